// RUN: burin-opt %s --split-input-file --graph-fuse-conv-bn | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-fuse-conv-bn --remarks-filter='FuseConvBn' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// scale / sqrt(variance + epsilon) is 2 and 3: weights times it; bias (b - mean) * s + B.
// CHECK-LABEL: @conv
// CHECK-DAG: %[[W:.*]] = onnx.Constant dense<{{\[\[\[\[}}2.000000e+00]]], {{\[\[\[}}6.000000e+00]]]]> : tensor<2x1x1x1xf32>
// CHECK-DAG: %[[B:.*]] = onnx.Constant dense<[1.000000e+01, -3.100000e+01]> : tensor<2xf32>
// CHECK: %[[Y:.*]] = onnx.Conv(%arg0, %[[W]], %[[B]]) {strides = array<i64: 2, 2>}
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] Conv | {{.*}}BatchNormalization into Conv
func.func @conv(%x: tensor<1x1x4x4xf32>) -> tensor<1x2x2x2xf32> {
  %w = onnx.Constant dense<[[[[1.0]]], [[[2.0]]]]> : tensor<2x1x1x1xf32>
  %b = onnx.Constant dense<[4.0, 5.0]> : tensor<2xf32>
  %scale = onnx.Constant dense<[4.0, 6.0]> : tensor<2xf32>
  %bias = onnx.Constant dense<[0.0, -40.0]> : tensor<2xf32>
  %mean = onnx.Constant dense<[-1.0, 2.0]> : tensor<2xf32>
  %var = onnx.Constant dense<[3.0, 3.0]> : tensor<2xf32>
  %0 = onnx.Conv(%x, %w, %b) {strides = array<i64: 2, 2>} : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, tensor<2xf32>) -> tensor<1x2x2x2xf32>
  %1:3 = onnx.BatchNormalization(%0, %scale, %bias, %mean, %var) {epsilon = 1.0 : f32} : (tensor<1x2x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<1x2x2x2xf32>, none, none)
  return %1#0 : tensor<1x2x2x2xf32>
}

// -----

// Mul, Div, Add and Sub by channel one after the other, without a bias to begin with; the batch is dynamic.
// CHECK-LABEL: @scale_shift
// CHECK-DAG: %[[W:.*]] = onnx.Constant dense<{{\[\[\[\[}}1.000000e+00]]], {{\[\[\[}}3.000000e+00]]]]>
// CHECK-DAG: %[[B:.*]] = onnx.Constant dense<[-5.500000e+00, -5.000000e+00]>
// CHECK: %[[Y:.*]] = onnx.Conv(%arg0, %[[W]], %[[B]])
// CHECK-NEXT: return %[[Y]]
func.func @scale_shift(%x: tensor<?x1x4x4xf32>) -> tensor<?x2x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<[[[[1.0]]], [[[2.0]]]]> : tensor<2x1x1x1xf32>
  %m = onnx.Constant dense<[[[2.0]], [[3.0]]]> : tensor<2x1x1xf32>
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %a = onnx.Constant dense<[[[[-0.5]], [[0.0]]]]> : tensor<1x2x1x1xf32>
  %s = onnx.Constant dense<5.0> : tensor<1x1x1xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<?x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<?x2x4x4xf32>
  %1 = onnx.Mul(%m, %0) : (tensor<2x1x1xf32>, tensor<?x2x4x4xf32>) -> tensor<?x2x4x4xf32>
  %2 = onnx.Div(%1, %two) : (tensor<?x2x4x4xf32>, tensor<f32>) -> tensor<?x2x4x4xf32>
  %3 = onnx.Add(%2, %a) : (tensor<?x2x4x4xf32>, tensor<1x2x1x1xf32>) -> tensor<?x2x4x4xf32>
  %4 = onnx.Sub(%3, %s) : (tensor<?x2x4x4xf32>, tensor<1x1x1xf32>) -> tensor<?x2x4x4xf32>
  return %4 : tensor<?x2x4x4xf32>
}

// -----

// Two groups of a transposed convolution: the scale of output channel g * 2 + m goes to weight [group g, m].
// CHECK-LABEL: @transposed
// CHECK-DAG: dense<{{\[\[\[\[}}1.000000e+00]], {{\[\[}}2.000000e+00]]], {{\[\[\[}}3.000000e+00]], {{\[\[}}4.000000e+00]]]]> : tensor<2x2x1x1xf32>
// CHECK: onnx.ConvTranspose(%arg0, %{{.*}}, %{{.*}}) {group = 2 : i64}
// CHECK-NOT: onnx.Mul
func.func @transposed(%x: tensor<1x2x4x4xf32>) -> tensor<1x4x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x2x1x1xf32>
  %m = onnx.Constant dense<[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]> : tensor<4x1x1xf32>
  %0 = onnx.ConvTranspose(%x, %w, %none) {group = 2 : i64} : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x4x4x4xf32>
  %1 = onnx.Mul(%0, %m) : (tensor<1x4x4x4xf32>, tensor<4x1x1xf32>) -> tensor<1x4x4x4xf32>
  return %1 : tensor<1x4x4x4xf32>
}

// -----

// Gemm keeps alpha; beta goes into the bias. Splat weights under a splat scale stay a splat.
// CHECK-LABEL: @gemm
// CHECK-DAG: %[[W:.*]] = onnx.Constant dense<6.000000e+00> : tensor<300x200xf32>
// CHECK-DAG: %[[B:.*]] = onnx.Constant dense<4.000000e+00> : tensor<300xf32>
// CHECK: onnx.Gemm(%arg0, %[[W]], %[[B]]) {alpha = 5.000000e-01 : f32, transB = 1 : i64}
func.func @gemm(%x: tensor<1x200xf32>) -> tensor<1x300xf32> {
  %w = onnx.Constant dense<3.0> : tensor<300x200xf32>
  %b = onnx.Constant dense<1.0> : tensor<300xf32>
  %m = onnx.Constant dense<2.0> : tensor<1x300xf32>
  %0 = onnx.Gemm(%x, %w, %b) {alpha = 0.5 : f32, beta = 2.0 : f32, transB = 1 : i64} : (tensor<1x200xf32>, tensor<300x200xf32>, tensor<300xf32>) -> tensor<1x300xf32>
  %1 = onnx.Mul(%0, %m) : (tensor<1x300xf32>, tensor<1x300xf32>) -> tensor<1x300xf32>
  return %1 : tensor<1x300xf32>
}

// -----

// A second user needs the convolution as it was: the normalization becomes Mul and Add.
// CHECK-LABEL: @two_uses
// CHECK: %[[C:.*]] = onnx.Conv(
// CHECK-DAG: %[[M:.*]] = onnx.Mul(%[[C]],
// CHECK-DAG: %[[A:.*]] = onnx.Add(%[[M]],
// CHECK: return %[[C]], %[[A]]
// REMARK: [Missed] Conv | {{.*}}the Conv has several uses
// REMARK: [Passed] ScaleShift
func.func @two_uses(%x: tensor<1x1x4x4xf32>) -> (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<[[[[1.0]]], [[[2.0]]]]> : tensor<2x1x1x1xf32>
  %p = onnx.Constant dense<[1.0, 2.0]> : tensor<2xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %1:3 = onnx.BatchNormalization(%0, %p, %p, %p, %p) : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<1x2x4x4xf32>, none, none)
  return %0, %1#0 : tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>
}

// -----

// Constants that vary along the picture, weights that are inputs, and parameters computed at run time stay.
// CHECK-LABEL: @near_misses
// CHECK: onnx.Mul
// CHECK: onnx.Add
// CHECK: onnx.BatchNormalization
// REMARK: [Missed] Conv | {{.*}}the weights are no float constant
// REMARK: [Missed] Conv | {{.*}}its parameters are not constants of inference
func.func @near_misses(%x: tensor<1x1x1x2xf32>, %w1: tensor<2x1x1x1xf32>, %p: tensor<2xf32>)
    -> (tensor<1x2x1x2xf32>, tensor<1x2x1x2xf32>, tensor<1x2x1x2xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<[[[[1.0]]], [[[2.0]]]]> : tensor<2x1x1x1xf32>
  %m = onnx.Constant dense<[1.0, 2.0]> : tensor<2xf32>
  %a = onnx.Constant dense<1.0> : tensor<f32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x1x1x2xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x1x2xf32>
  %1 = onnx.Mul(%0, %m) : (tensor<1x2x1x2xf32>, tensor<2xf32>) -> tensor<1x2x1x2xf32>
  %2 = onnx.Conv(%x, %w1, %none) : (tensor<1x1x1x2xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x1x2xf32>
  %3 = onnx.Add(%2, %a) : (tensor<1x2x1x2xf32>, tensor<f32>) -> tensor<1x2x1x2xf32>
  %4 = onnx.Conv(%x, %w, %none) : (tensor<1x1x1x2xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x1x2xf32>
  %5:3 = onnx.BatchNormalization(%4, %p, %p, %p, %p) : (tensor<1x2x1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<1x2x1x2xf32>, none, none)
  return %1, %3, %5#0 : tensor<1x2x1x2xf32>, tensor<1x2x1x2xf32>, tensor<1x2x1x2xf32>
}

// -----

// Before a convolution of two groups: weights by input channel, and 10 * 1 + 20 * 2, 30 * 3 + 40 * 4 into the bias.
// CHECK-LABEL: @before
// CHECK-DAG: %[[W:.*]] = onnx.Constant dense<{{\[\[\[\[}}1.000000e+00]], {{\[\[}}4.000000e+00]]], {{\[\[\[}}9.000000e+00]], {{\[\[}}1.600000e+01]]]]>
// CHECK-DAG: %[[B:.*]] = onnx.Constant dense<[5.000000e+01, 2.500000e+02]>
// CHECK: onnx.Conv(%arg0, %[[W]], %[[B]]) {group = 2 : i64}
// REMARK: [Passed] BeforeConv
func.func @before(%x: tensor<?x4x5x5xf32>) -> tensor<?x2x5x5xf32> {
  %none = onnx.NoValue
  %s = onnx.Constant dense<[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]> : tensor<4x1x1xf32>
  %t = onnx.Constant dense<[[[10.0]], [[20.0]], [[30.0]], [[40.0]]]> : tensor<4x1x1xf32>
  %w = onnx.Constant dense<[[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]]> : tensor<2x2x1x1xf32>
  %0 = onnx.Mul(%x, %s) : (tensor<?x4x5x5xf32>, tensor<4x1x1xf32>) -> tensor<?x4x5x5xf32>
  %1 = onnx.Add(%t, %0) : (tensor<4x1x1xf32>, tensor<?x4x5x5xf32>) -> tensor<?x4x5x5xf32>
  %2 = onnx.Conv(%1, %w, %none) {group = 2 : i64} : (tensor<?x4x5x5xf32>, tensor<2x2x1x1xf32>, none) -> tensor<?x2x5x5xf32>
  return %2 : tensor<?x2x5x5xf32>
}

// -----

// A scale goes past padding, a shift does not.
// CHECK-LABEL: @padded
// CHECK: %[[A:.*]] = onnx.Add(%arg0
// CHECK: onnx.Conv(%[[A]]
// REMARK: [Missed] BeforeConv | {{.*}}a shift before it would reach into its padding
func.func @padded(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32> {
  %none = onnx.NoValue
  %c = onnx.Constant dense<2.0> : tensor<f32>
  %w = onnx.Constant dense<1.0> : tensor<1x1x3x3xf32>
  %0 = onnx.Add(%x, %c) : (tensor<1x1x4x4xf32>, tensor<f32>) -> tensor<1x1x4x4xf32>
  %1 = onnx.Mul(%0, %c) : (tensor<1x1x4x4xf32>, tensor<f32>) -> tensor<1x1x4x4xf32>
  %2 = onnx.Conv(%1, %w, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x1x4x4xf32>, tensor<1x1x3x3xf32>, none) -> tensor<1x1x4x4xf32>
  return %2 : tensor<1x1x4x4xf32>
}
