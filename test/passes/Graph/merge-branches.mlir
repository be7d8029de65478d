// RUN: burin-opt %s --split-input-file --graph-merge-branches | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-merge-branches --remarks-filter='MergeBranches' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// 3x3 + 1x1 + identity, on a dynamic batch and dynamic sizes: the centre tap is 1 + 4 + 1, the bias 2 + 3.
// CHECK-LABEL: @rep_vgg
// CHECK-DAG: %[[W:.*]] = onnx.Constant dense<{{\[\[\[\[}}1.000000e+00, 1.000000e+00, 1.000000e+00], [1.000000e+00, 6.000000e+00, 1.000000e+00], [1.000000e+00, 1.000000e+00, 1.000000e+00]]]]> : tensor<1x1x3x3xf32>
// CHECK-DAG: %[[B:.*]] = onnx.Constant dense<5.000000e+00> : tensor<1xf32>
// CHECK: %[[Y:.*]] = onnx.Conv(%arg0, %[[W]], %[[B]]) {kernel_shape = array<i64: 3, 3>, pads = array<i64: 1, 1, 1, 1>}
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] Branches
func.func @rep_vgg(%x: tensor<?x1x?x?xf32>) -> tensor<?x1x?x?xf32> {
  %w3 = onnx.Constant dense<1.0> : tensor<1x1x3x3xf32>
  %b3 = onnx.Constant dense<2.0> : tensor<1xf32>
  %w1 = onnx.Constant dense<4.0> : tensor<1x1x1x1xf32>
  %b1 = onnx.Constant dense<3.0> : tensor<1xf32>
  %0 = onnx.Conv(%x, %w3, %b3) {pads = array<i64: 1, 1, 1, 1>} : (tensor<?x1x?x?xf32>, tensor<1x1x3x3xf32>, tensor<1xf32>) -> tensor<?x1x?x?xf32>
  %1 = onnx.Conv(%x, %w1, %b1) : (tensor<?x1x?x?xf32>, tensor<1x1x1x1xf32>, tensor<1xf32>) -> tensor<?x1x?x?xf32>
  %2 = onnx.Add(%0, %1) : (tensor<?x1x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x1x?x?xf32>
  %3 = onnx.Add(%2, %x) : (tensor<?x1x?x?xf32>, tensor<?x1x?x?xf32>) -> tensor<?x1x?x?xf32>
  return %3 : tensor<?x1x?x?xf32>
}

// -----

// x + scale * (depthwise(x) - x), scale 2 and 3 by channel: 1 + 2 * (1 - 1) and 1 + 3 * (1 - 1) in the middle.
// CHECK-LABEL: @mixer
// CHECK: onnx.Constant dense<{{\[\[\[\[}}2.000000e+00, 1.000000e+00, 2.000000e+00]]], {{\[\[\[}}3.000000e+00, 1.000000e+00, 3.000000e+00]]]]> : tensor<2x1x1x3xf32>
// CHECK: onnx.Conv(%arg0, {{.*}}) {group = 2 : i64, kernel_shape = array<i64: 1, 3>, pads = array<i64: 0, 1, 0, 1>}
// CHECK-NEXT: return
func.func @mixer(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x1x1x3xf32>
  %s = onnx.Constant dense<[[[2.0]], [[3.0]]]> : tensor<2x1x1xf32>
  %0 = onnx.Conv(%x, %w, %none) {group = 2 : i64, pads = array<i64: 0, 1, 0, 1>} : (tensor<1x2x4x4xf32>, tensor<2x1x1x3xf32>, none) -> tensor<1x2x4x4xf32>
  %1 = onnx.Sub(%0, %x) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %2 = onnx.Mul(%s, %1) : (tensor<2x1x1xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %3 = onnx.Add(%x, %2) : (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %3 : tensor<1x2x4x4xf32>
}

// -----

// A 3x3 of dilation 2 and the input itself keep the dilation: both lie on every second position.
// CHECK-LABEL: @dilated
// CHECK: onnx.Conv(%arg0, {{.*}}) {dilations = array<i64: 2, 2>, kernel_shape = array<i64: 3, 3>, pads = array<i64: 2, 2, 2, 2>}
// CHECK-NEXT: return
func.func @dilated(%x: tensor<1x1x8x8xf32>) -> tensor<1x1x8x8xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<1x1x3x3xf32>
  %0 = onnx.Conv(%x, %w, %none) {dilations = array<i64: 2, 2>, pads = array<i64: 2, 2, 2, 2>} : (tensor<1x1x8x8xf32>, tensor<1x1x3x3xf32>, none) -> tensor<1x1x8x8xf32>
  %1 = onnx.Add(%0, %x) : (tensor<1x1x8x8xf32>, tensor<1x1x8x8xf32>) -> tensor<1x1x8x8xf32>
  return %1 : tensor<1x1x8x8xf32>
}

// -----

// The mean counts its padding, so it is a depthwise convolution of ninths; without, it is none.
// CHECK-LABEL: @mean
// CHECK: %[[Y:.*]] = onnx.Conv(%arg0
// CHECK-NOT: onnx.Add
// CHECK: onnx.AveragePool
// CHECK: onnx.Add
// CHECK: return
func.func @mean(%x: tensor<1x1x4x4xf32>) -> (tensor<1x1x4x4xf32>, tensor<1x1x4x4xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<1x1x1x1xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<1x1x1x1xf32>, none) -> tensor<1x1x4x4xf32>
  %1 = onnx.AveragePool(%x) {count_include_pad = 1 : i64, kernel_shape = array<i64: 3, 3>, pads = array<i64: 1, 1, 1, 1>} : (tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32>
  %2 = onnx.Add(%0, %1) : (tensor<1x1x4x4xf32>, tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32>
  %3 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<1x1x1x1xf32>, none) -> tensor<1x1x4x4xf32>
  %4 = onnx.AveragePool(%x) {kernel_shape = array<i64: 3, 3>, pads = array<i64: 1, 1, 1, 1>} : (tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32>
  %5 = onnx.Add(%3, %4) : (tensor<1x1x4x4xf32>, tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32>
  return %2, %5 : tensor<1x1x4x4xf32>, tensor<1x1x4x4xf32>
}

// -----

// A branch that something else uses stays for it and counts as a value of its own.
// CHECK-LABEL: @several_uses
// CHECK: onnx.Conv
// CHECK: onnx.Conv
// CHECK: onnx.Add
func.func @several_uses(%x: tensor<1x1x4x4xf32>) -> (tensor<1x1x4x4xf32>, tensor<1x1x4x4xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<1x1x3x3xf32>
  %v = onnx.Constant dense<2.0> : tensor<1x1x1x1xf32>
  %0 = onnx.Conv(%x, %w, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x1x4x4xf32>, tensor<1x1x3x3xf32>, none) -> tensor<1x1x4x4xf32>
  %1 = onnx.Conv(%x, %v, %none) : (tensor<1x1x4x4xf32>, tensor<1x1x1x1xf32>, none) -> tensor<1x1x4x4xf32>
  %2 = onnx.Add(%0, %1) : (tensor<1x1x4x4xf32>, tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32>
  return %2, %0 : tensor<1x1x4x4xf32>, tensor<1x1x4x4xf32>
}

// -----

// Near misses: strides that differ, a dense 1x1 that would have to become a dense 3x3, and a residual sum over two values.
// CHECK-LABEL: @near_misses
// CHECK-COUNT-3: onnx.Add
// REMARK: [Missed] Branches | {{.*}}the branches differ in strides or channels
// REMARK: [Missed] Branches | {{.*}}one convolution would take more multiplications
func.func @near_misses(%x: tensor<1x8x4x4xf32>, %r: tensor<1x8x4x4xf32>) -> (tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>) {
  %none = onnx.NoValue
  %d3 = onnx.Constant dense<1.0> : tensor<8x1x3x3xf32>
  %w1 = onnx.Constant dense<1.0> : tensor<8x8x1x1xf32>
  %0 = onnx.Conv(%x, %w1, %none) : (tensor<1x8x4x4xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x4x4xf32>
  %1 = onnx.Conv(%x, %w1, %none) {pads = array<i64: 2, 2, 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x8x4x4xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x4x4xf32>
  %2 = onnx.Add(%0, %1) : (tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  %3 = onnx.Conv(%x, %d3, %none) {group = 8 : i64, pads = array<i64: 1, 1, 1, 1>} : (tensor<1x8x4x4xf32>, tensor<8x1x3x3xf32>, none) -> tensor<1x8x4x4xf32>
  %4 = onnx.Conv(%x, %w1, %none) : (tensor<1x8x4x4xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x4x4xf32>
  %5 = onnx.Add(%3, %4) : (tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  %6 = onnx.Conv(%x, %w1, %none) : (tensor<1x8x4x4xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x4x4xf32>
  %7 = onnx.Add(%6, %r) : (tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>) -> tensor<1x8x4x4xf32>
  return %2, %5, %7 : tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>, tensor<1x8x4x4xf32>
}
