// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case if: both branches end in one buffer known before.
// CHECK-LABEL: func.func @main
// CHECK: %[[TARGET:.*]] = bufferization.alloc_tensor() : tensor<2xf32>
// CHECK: scf.if %{{.*}} -> (tensor<2xf32>) {
// CHECK: bufferization.materialize_in_destination %{{.*}} in %[[TARGET]]
// CHECK: } else {
// CHECK: bufferization.materialize_in_destination %{{.*}} in %[[TARGET]]
func.func @main(%c: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  %y = onnx.If(%c) : (tensor<i1>) -> tensor<2xf32> {
    %a = onnx.Neg(%x) : (tensor<2xf32>) -> tensor<2xf32>
    onnx.Yield(%a) : tensor<2xf32>
  }, {
    %b = onnx.Abs(%x) : (tensor<2xf32>) -> tensor<2xf32>
    onnx.Yield(%b) : tensor<2xf32>
  }
  return %y : tensor<2xf32>
}

// -----

// Case scan: a slice in, the state copied into what the loop carries, a slice out.
// CHECK-LABEL: func.func @main
// CHECK: scf.for %[[I:.*]] = %{{.*}} iter_args(%[[S:.*]] = %{{.*}}, %[[Y:.*]] = %{{.*}}) -> (tensor<3xf32>, tensor<4x3xf32>)
// CHECK: tensor.extract_slice %{{.*}}[%[[I]], 0] [1, 3]
// CHECK: tensor.insert_slice %{{.*}} into %[[Y]][%[[I]], 0] [1, 3]
// CHECK: linalg.copy {{.*}} outs(%[[S]] : tensor<3xf32>)
func.func @main(%s: tensor<3xf32>, %x: tensor<4x3xf32>) -> (tensor<3xf32>, tensor<4x3xf32>) {
  %r:2 = onnx.Scan(%s, %x) : (tensor<3xf32>, tensor<4x3xf32>) -> (tensor<3xf32>, tensor<4x3xf32>) attributes {num_scan_inputs = 1 : i64} {
  ^bb0(%a: tensor<3xf32>, %b: tensor<3xf32>):
    %t = onnx.Add(%a, %b) : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
    %u = onnx.Neg(%t) : (tensor<3xf32>) -> tensor<3xf32>
    onnx.Yield(%t, %u) : tensor<3xf32>, tensor<3xf32>
  }
  return %r#0, %r#1 : tensor<3xf32>, tensor<4x3xf32>
}
