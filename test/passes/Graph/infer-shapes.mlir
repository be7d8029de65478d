// RUN: burin-opt %s --split-input-file --graph-infer-shapes | FileCheck %s

// CHECK-LABEL: @conv
// CHECK-SAME: -> tensor<1x3x4x4xf32>
// CHECK: onnx.Conv{{.*}} -> tensor<1x3x4x4xf32>
func.func @conv(%x: tensor<1x2x8x8xf32>, %w: tensor<3x2x3x3xf32>) -> tensor<?x?x?x?xf32> {
  %none = onnx.NoValue
  %0 = onnx.Conv(%x, %w, %none) {pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>} : (tensor<1x2x8x8xf32>, tensor<3x2x3x3xf32>, none) -> tensor<?x?x?x?xf32>
  return %0 : tensor<?x?x?x?xf32>
}

// -----

// Values of shapes flow: the batch keeps its name.
// CHECK-LABEL: @values
// CHECK-SAME: -> tensor<?x12xf32, #onnx.dims<["n", ""]>>
func.func @values(%x: tensor<?x3x4xf32, #onnx.dims<["n", "", ""]>>) -> tensor<?x?xf32> {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %rest = onnx.Constant dense<12> : tensor<1xi64>
  %0 = onnx.Shape(%x) : (tensor<?x3x4xf32, #onnx.dims<["n", "", ""]>>) -> tensor<3xi64>
  %1 = onnx.Gather(%0, %zero) : (tensor<3xi64>, tensor<1xi64>) -> tensor<1xi64>
  %2 = onnx.Concat(%1, %rest) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %3 = onnx.Reshape(%x, %2) : (tensor<?x3x4xf32, #onnx.dims<["n", "", ""]>>, tensor<2xi64>) -> tensor<?x?xf32>
  return %3 : tensor<?x?xf32>
}

// -----

// CHECK-LABEL: @region
// CHECK: onnx.Relu{{.*}} -> tensor<2x3xf32>
// CHECK: return %{{.*}} : tensor<2x3xf32>
func.func @region(%c: tensor<i1>, %x: tensor<2x3xf32>) -> tensor<?x?xf32> {
  %0 = onnx.If(%c) : (tensor<i1>) -> tensor<?x?xf32> {
    %t = onnx.Relu(%x) : (tensor<2x3xf32>) -> tensor<?x?xf32>
    onnx.Yield(%t) : tensor<?x?xf32>
  }, {
    %e = onnx.Neg(%x) : (tensor<2x3xf32>) -> tensor<?x?xf32>
    onnx.Yield(%e) : tensor<?x?xf32>
  }
  return %0 : tensor<?x?xf32>
}
