// RUN: burin-opt %s --split-input-file --quant-equalize-layers=rounds=1 | FileCheck %s
// RUN: burin-opt %s --split-input-file --quant-equalize-layers=measured | FileCheck %s --check-prefix=MEASURED
// RUN: burin-opt %s --split-input-file --quant-equalize-layers --remarks-filter='EqualizeLayers' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Ranges 16 and 1 of channel 0, 1 and 4 of channel 1: s = 4 and 1/2.
// CHECK-LABEL: @chain
// CHECK-DAG: onnx.Constant dense<2.000000e+00> : tensor<2xf32>
// CHECK-DAG: onnx.Constant dense<{{\[\[\[\[}}4.000000e+00]]], {{\[\[\[}}2.000000e+00]]]]> : tensor<2x1x1x1xf32>
// CHECK-DAG: onnx.Constant dense<{{\[\[\[\[}}4.000000e+00]], {{\[\[}}2.000000e+00]]]]> : tensor<1x2x1x1xf32>
// REMARK: [Passed] Pair
func.func @chain(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<[[[[16.0]]], [[[1.0]]]]> : tensor<2x1x1x1xf32>
  %b = onnx.Constant dense<[8.0, 1.0]> : tensor<2xf32>
  %v = onnx.Constant dense<[[[[1.0]], [[4.0]]]]> : tensor<1x2x1x1xf32>
  %0 = onnx.Conv(%x, %w, %b) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  %1 = onnx.Relu(%0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %2 = onnx.Conv(%1, %v, %none) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, none) -> tensor<1x1x4x4xf32>
  return %2 : tensor<1x1x4x4xf32>
}

// -----

// Near misses: a Clip, and a second user.
// CHECK-LABEL: @limited
// CHECK-COUNT-2: onnx.Constant dense<{{.*}}> : tensor<2x2x1x1xf32>
// REMARK: [Missed] Pair | {{.*}}a Clip limits what lies between
func.func @limited(%x: tensor<?x2x4x4xf32>) -> (tensor<?x2x4x4xf32>, tensor<?x2x4x4xf32>) {
  %none = onnx.NoValue
  %six = onnx.Constant dense<6.0> : tensor<f32>
  %w = onnx.Constant dense<16.0> : tensor<2x2x1x1xf32>
  %v = onnx.Constant dense<1.0> : tensor<2x2x1x1xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<?x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<?x2x4x4xf32>
  %1 = onnx.Clip(%0, %none, %six) : (tensor<?x2x4x4xf32>, none, tensor<f32>) -> tensor<?x2x4x4xf32>
  %2 = onnx.Conv(%1, %v, %none) : (tensor<?x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<?x2x4x4xf32>
  %3 = onnx.Conv(%2, %w, %none) : (tensor<?x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<?x2x4x4xf32>
  return %2, %3 : tensor<?x2x4x4xf32>, tensor<?x2x4x4xf32>
}

// -----

// Channels in front of a depthwise convolution reach to 8 and 2: the second is made four times as large. Nothing was
// measured of the convolutions above, which stay.
// MEASURED-LABEL: @chain
// MEASURED: onnx.Constant dense<{{.*}}1.600000e+01{{.*}}1.000000e+00{{.*}}> : tensor<2x1x1x1xf32>
// MEASURED-LABEL: @depthwise
// MEASURED-DAG: onnx.Constant dense<{{\[\[\[\[}}3.000000e+00]]], {{\[\[\[}}2.000000e+01]]]]> : tensor<2x1x1x1xf32>
// MEASURED-DAG: onnx.Constant dense<[1.000000e+00, 8.000000e+00]> : tensor<2xf32>
// MEASURED-DAG: onnx.Constant dense<{{\[\[\[\[}}7.000000e+00]]], {{\[\[\[}}2.000000e+00]]]]> : tensor<2x1x1x1xf32>
// MEASURED-DAG: burin.ranges = [array<f32: -4.000000e+00, 8.000000e+00>]
func.func @depthwise(%x: tensor<1x1x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<[[[[3.0]]], [[[5.0]]]]> : tensor<2x1x1x1xf32>
  %b = onnx.Constant dense<[1.0, 2.0]> : tensor<2xf32>
  %v = onnx.Constant dense<[[[[7.0]]], [[[8.0]]]]> : tensor<2x1x1x1xf32>
  %0 = onnx.Conv(%x, %w, %b) {burin.ranges = [array<f32: -1.0, 8.0>]} : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  %1 = onnx.Conv(%0, %v, %none) {group = 2 : i64, burin.channels = [array<f32: 0.0, -1.0>, array<f32: 8.0, 2.0>, array<f32: 1.0, 1.0>]} : (tensor<1x2x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  return %1 : tensor<1x2x4x4xf32>
}
