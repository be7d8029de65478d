// RUN: burin-opt %s --split-input-file --quant-correct-biases | FileCheck %s
// RUN: burin-opt %s --split-input-file --quant-correct-biases --remarks-filter='CorrectBiases' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// 0.5 of 1.27 at scale 0.01 is exact, 0.004 rounds to 0: the mean of its channel, 10, goes into the bias.
// CHECK-LABEL: @conv
// CHECK: %[[B:.*]] = onnx.Constant dense<1.04{{0*}}{{.*}}> : tensor<1xf32>
// CHECK: onnx.Conv(%arg0, %{{.*}}, %[[B]])
// REMARK: [Passed] Bias
func.func @conv(%x: tensor<1x3x1x1xf32>) -> tensor<1x1x1x1xf32> {
  %w = onnx.Constant dense<[[[[1.27]], [[0.5]], [[0.004]]]]> : tensor<1x3x1x1xf32>
  %b = onnx.Constant dense<1.0> : tensor<1xf32>
  %0 = onnx.Conv(%x, %w, %b) {burin.channels = [array<f32: 0.0, 0.0, 0.0>, array<f32: 1.0, 1.0, 20.0>, array<f32: 0.0, 0.0, 10.0>]} : (tensor<1x3x1x1xf32>, tensor<1x3x1x1xf32>, tensor<1xf32>) -> tensor<1x1x1x1xf32>
  return %0 : tensor<1x1x1x1xf32>
}

// -----

// A Gemm of transposed weights gets a bias; without means nothing is known.
// CHECK-LABEL: @gemm
// CHECK: %[[B:.*]] = onnx.Constant dense<[0.04{{.*}}, 0.000000e+00]> : tensor<2xf32>
// CHECK: onnx.Gemm(%arg0, %{{.*}}, %[[B]]) {{.*}}transB = 1 : i64
// CHECK: onnx.Gemm(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<?x2xf32>, tensor<2x2xf32>, none)
// REMARK: [Missed] Bias | {{.*}}no means of its input were measured
func.func @gemm(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<[[1.27, 0.004], [1.0, 0.0]]> : tensor<2x2xf32>
  %0 = onnx.Gemm(%x, %w, %none) {transB = 1 : i64, burin.channels = [array<f32: 0.0, 0.0>, array<f32: 1.0, 20.0>, array<f32: 0.0, 10.0>]} : (tensor<?x2xf32>, tensor<2x2xf32>, none) -> tensor<?x2xf32>
  %1 = onnx.Gemm(%0, %w, %none) : (tensor<?x2xf32>, tensor<2x2xf32>, none) -> tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}
