// RUN: burin-opt %s --split-input-file --quant-insert-qdq="outputs=true" --quant-require-integers --verify-diagnostics | FileCheck %s

// CHECK-LABEL: @conv
// CHECK-SAME: (%arg0: tensor<1x1x4x4xui8>{{.*}} -> tensor<1x1x4x4xui8>
// CHECK: %[[Q:.*]] = onnx.QuantizeLinear
// CHECK-NEXT: return %[[Q]]
func.func @conv(%x: tensor<1x1x4x4xf32> {burin.range = array<f32: -1.0, 1.0>}) -> tensor<1x1x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<1x1x1x1xf32>
  %0 = onnx.Conv(%x, %w, %none) {burin.ranges = [array<f32: -1.0, 1.0>]} : (tensor<1x1x4x4xf32>, tensor<1x1x1x1xf32>, none) -> tensor<1x1x4x4xf32>
  return %0 : tensor<1x1x4x4xf32>
}

// -----

func.func @softmax(%x: tensor<1x4xf32> {burin.range = array<f32: -1.0, 1.0>}) -> tensor<1x4xf32> {
  %w = onnx.Constant dense<1.0> : tensor<4x4xf32>
  // expected-error @below {{expected integers alone, got an operator on floats}}
  %0 = onnx.MatMul(%x, %w) {burin.ranges = [array<f32: -1.0, 1.0>]} : (tensor<1x4xf32>, tensor<4x4xf32>) -> tensor<1x4xf32>
  // expected-error @below {{expected integers alone, got an operator on floats}}
  %1 = onnx.Softmax(%0) {burin.ranges = [array<f32: 0.0, 1.0>]} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  return %1 : tensor<1x4xf32>
}
