// RUN: burin-opt %s --split-input-file --lower-expand-unlowered | FileCheck %s

// Case expands: an operator without a lowering becomes its body.
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.MeanVarianceNormalization
// CHECK: onnx.ReduceMean
// CHECK: onnx.Div
func.func @main(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %y = onnx.MeanVarianceNormalization(%x) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %y : tensor<1x2x4x4xf32>
}

// -----

// Case keeps: an operator with a lowering stays, although it has a body.
// CHECK-LABEL: func.func @main
// CHECK: onnx.LayerNormalization
func.func @main(%x: tensor<2x8xf32>, %s: tensor<8xf32>) -> tensor<2x8xf32> {
  %none = onnx.NoValue
  %y, %m, %i = onnx.LayerNormalization(%x, %s, %none) : (tensor<2x8xf32>, tensor<8xf32>, none) -> (tensor<2x8xf32>, none, none)
  return %y : tensor<2x8xf32>
}
