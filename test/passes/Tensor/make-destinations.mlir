// RUN: burin-opt %s --tensor-make-destinations | FileCheck %s

// CHECK-LABEL: func.func @two_results
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32> {bufferization.writable = false}, %[[A:.*]]: memref<4xf32> {onnx.name = "a"}, %[[B:.*]]: memref<4xf32> {onnx.name = "b"}) {
// CHECK: bufferization.materialize_in_destination %[[X]] in restrict writable %[[A]]
// CHECK: bufferization.materialize_in_destination %[[X]] in restrict writable %[[B]]
// CHECK: return{{$}}
func.func @two_results(%x: tensor<4xf32>) -> (tensor<4xf32> {onnx.name = "a"}, tensor<4xf32> {onnx.name = "b"}) {
  return %x, %x : tensor<4xf32>, tensor<4xf32>
}

// Free dims: the dims of each result are returned, as arithmetic on dims of the arguments; nobody asks the result itself.
// CHECK-LABEL: func.func @free_dims
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32> {bufferization.writable = false}, %[[Y:.*]]: memref<?x4xf32> {onnx.name = "y"}) -> (index, index) attributes {burin.num_inputs = 1 : i64}
// CHECK: %[[N:.*]] = tensor.dim %[[X]]
// CHECK: bufferization.materialize_in_destination %{{.*}} in restrict writable %[[Y]]
// CHECK: return %{{.*}}, %c4 : index, index
func.func @free_dims(%x: tensor<?x4xf32>) -> (tensor<?x4xf32> {onnx.name = "y"}) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %e = tensor.empty(%n) : tensor<?x4xf32>
  %0 = linalg.exp ins(%x : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// A size that data decides: the output is allocated as soon as it is known, and its dim is -1 before the run.
// CHECK-LABEL: func.func @sized_by_data
// CHECK: %[[COUNT:.*]] = arith.index_cast
// CHECK-NEXT: %[[OWN:.*]] = memref.alloc(%[[COUNT]]) {burin.output = 0 : i64} : memref<?xf32>
// CHECK: bufferization.materialize_in_destination %{{.*}} in restrict writable %[[OWN]]
// CHECK: return %c-1 : index
func.func @sized_by_data(%x: tensor<i64>) -> tensor<?xf32> {
  %one = arith.constant 1.0 : f32
  %count = tensor.extract %x[] : tensor<i64>
  %n = arith.index_cast %count : i64 to index
  %e = tensor.empty(%n) : tensor<?xf32>
  %0 = linalg.fill ins(%one : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
