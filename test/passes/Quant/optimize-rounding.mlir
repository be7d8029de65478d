// RUN: burin-opt %s --split-input-file --quant-optimize-rounding | FileCheck %s
// RUN: burin-opt %s --split-input-file --quant-optimize-rounding --remarks-filter='OptimizeRounding' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Two inputs that are one: both weights lie 0.6 above an integer (of 0.01). To nearest, both go up and the sum is 0.8 off; one
// down makes it 0.2.
// CHECK-LABEL: @pair
// CHECK: onnx.Constant dense<{{\[\[\[\[}}1.270000e+00]], {{\[\[}}0.04999{{[0-9]*}}]], {{\[\[}}6.000000e-02]]]]>
// REMARK: [Passed] Weights
func.func @pair(%x: tensor<1x3x1x1xf32>) -> tensor<1x1x1x1xf32> {
  %w = onnx.Constant dense<[[[[1.27]], [[0.056]], [[0.056]]]]> : tensor<1x3x1x1xf32>
  %none = onnx.NoValue
  %0 = onnx.Conv(%x, %w, %none) {burin.moments = [64.0 : f64, dense<0.0> : tensor<1x3xf32>, dense<[[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]]> : tensor<1x3x3xf32>]} : (tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>, none) -> tensor<1x1x1x1xf32>
  return %0 : tensor<1x1x1x1xf32>
}

// -----

// The mean that rounding moves, 0.004 * 10, goes into the bias; inputs that are independent are rounded to nearest.
// CHECK-LABEL: @bias
// CHECK: onnx.Constant dense<{{\[\[}}1.270000e+00, 0.000000e+00]]> : tensor<1x2xf32>
// CHECK: onnx.Constant dense<1.04{{.*}}> : tensor<1xf32>
func.func @bias(%x: tensor<4x2xf32>) -> tensor<4x1xf32> {
  %w = onnx.Constant dense<[[1.27, 0.004]]> : tensor<1x2xf32>
  %b = onnx.Constant dense<1.0> : tensor<1xf32>
  %0 = onnx.Gemm(%x, %w, %b) {transB = 1 : i64, burin.moments = [64.0 : f64, dense<[[0.0, 10.0]]> : tensor<1x2xf32>, dense<[[[1.0, 0.0], [0.0, 1.0]]]> : tensor<1x2x2xf32>]} : (tensor<4x2xf32>, tensor<1x2xf32>, tensor<1xf32>) -> tensor<4x1xf32>
  return %0 : tensor<4x1xf32>
}

// -----

// Nothing measured, nothing done; the same of an operator that stays float.
// CHECK-LABEL: @unmeasured
// CHECK: dense<{{\[\[}}1.234500e-01]
// REMARK: [Missed] Weights | {{.*}}nothing was measured of what it multiplies
func.func @unmeasured(%x: tensor<4x2xf32>) -> tensor<4x1xf32> {
  %w = onnx.Constant dense<[[0.12345], [1.0]]> : tensor<2x1xf32>
  %0 = onnx.MatMul(%x, %w) : (tensor<4x2xf32>, tensor<2x1xf32>) -> tensor<4x1xf32>
  return %0 : tensor<4x1xf32>
}
