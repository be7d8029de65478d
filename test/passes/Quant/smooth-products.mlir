// RUN: burin-opt %s --split-input-file --quant-smooth-products | FileCheck %s
// RUN: burin-opt %s --split-input-file --quant-smooth-products --remarks-filter='SmoothProducts' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Channel 0 reaches 16 and its row of the weights 1: s = sqrt(16 / 1); the others have s = 1. Both readers share it.
// CHECK-LABEL: @outlier
// CHECK: %[[F:.*]] = onnx.Constant dense<[2.500000e-01, 1.000000e+00, 1.000000e+00]> : tensor<3xf32>
// CHECK: %[[M:.*]] = onnx.Mul(%arg0, %[[F]]) {burin.ranges = [array<f32: -1.000000e+00, 4.000000e+00>]}
// CHECK: %[[W:.*]] = onnx.Constant dense<{{\[\[}}4.000000e+00], [1.000000e+00], [1.000000e+00]]> : tensor<3x1xf32>
// CHECK: onnx.MatMul(%[[M]], %[[W]])
// CHECK: onnx.MatMul(%[[M]],
// REMARK: [Passed] Smooth
func.func @outlier(%x: tensor<?x3xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>) {
  %w = onnx.Constant dense<1.0> : tensor<3x1xf32>
  %0 = onnx.MatMul(%x, %w) {burin.channels = [array<f32: 0.0, -1.0, 0.0>, array<f32: 16.0, 1.0, 1.0>, array<f32: 0.0, 0.0, 0.0>]} : (tensor<?x3xf32>, tensor<3x1xf32>) -> tensor<?x1xf32>
  %1 = onnx.MatMul(%x, %w) {burin.channels = [array<f32: 0.0, -1.0, 0.0>, array<f32: 16.0, 1.0, 1.0>, array<f32: 0.0, 0.0, 0.0>]} : (tensor<?x3xf32>, tensor<3x1xf32>) -> tensor<?x1xf32>
  return %0, %1 : tensor<?x1xf32>, tensor<?x1xf32>
}

// -----

// CHECK-LABEL: @alike
// CHECK-NOT: onnx.Mul
// REMARK: [Missed] Smooth | {{.*}}no channel of its input stands out
func.func @alike(%x: tensor<2x2xf32>) -> tensor<2x1xf32> {
  %w = onnx.Constant dense<1.0> : tensor<2x1xf32>
  %0 = onnx.MatMul(%x, %w) {burin.channels = [array<f32: 0.0, -1.0>, array<f32: 1.0, 1.0>, array<f32: 0.0, 0.0>]} : (tensor<2x2xf32>, tensor<2x1xf32>) -> tensor<2x1xf32>
  return %0 : tensor<2x1xf32>
}
