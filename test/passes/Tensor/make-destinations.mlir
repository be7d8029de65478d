// RUN: burin-opt %s --tensor-make-destinations | FileCheck %s

// CHECK-LABEL: func.func @two_results
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32> {bufferization.writable = false}, %[[A:.*]]: memref<4xf32> {onnx.name = "a"}, %[[B:.*]]: memref<4xf32> {onnx.name = "b"}) {
// CHECK: bufferization.materialize_in_destination %[[X]] in restrict writable %[[A]]
// CHECK: bufferization.materialize_in_destination %[[X]] in restrict writable %[[B]]
// CHECK: return{{$}}
func.func @two_results(%x: tensor<4xf32>) -> (tensor<4xf32> {onnx.name = "a"}, tensor<4xf32> {onnx.name = "b"}) {
  return %x, %x : tensor<4xf32>, tensor<4xf32>
}
