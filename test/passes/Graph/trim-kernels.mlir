// RUN: burin-opt %s --split-input-file --graph-trim-kernels | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-trim-kernels --remarks-filter='TrimKernels' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Over 4 positions a dilation of 4 leaves the middle tap, one of 3 all of them.
// CHECK-LABEL: @dilated
// CHECK: %[[W:.*]] = onnx.Constant dense<{{\[\[\[\[}}4.000000e+00], [5.000000e+00], [6.000000e+00]]]]> : tensor<1x1x3x1xf32>
// CHECK: onnx.Conv(%arg0, %[[W]], {{.*}}) {dilations = array<i64: 3, 1>, kernel_shape = array<i64: 3, 1>, pads = array<i64: 3, 0, 3, 0>}
// REMARK: [Passed] DeadTaps
func.func @dilated(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<[[[[1.0, 4.0, 7.0], [2.0, 5.0, 8.0], [3.0, 6.0, 9.0]]]]> : tensor<1x1x3x3xf32>
  %0 = onnx.Conv(%x, %w, %none) {dilations = array<i64: 3, 4>, pads = array<i64: 3, 4, 3, 4>} : (tensor<1x1x4x4xf32>, tensor<1x1x3x3xf32>, none) -> tensor<1x1x4x4xf32>
  return %0 : tensor<1x1x4x4xf32>
}

// -----

// A stride of 2 over two positions: one result, whose last tap is outside. The image's other uses do not matter.
// CHECK-LABEL: @strided
// CHECK: onnx.Conv({{.*}}) {kernel_shape = array<i64: 2>, strides = array<i64: 2>} : (tensor<1x1x2xf32>, tensor<1x1x2xf32>, none) -> tensor<1x1x1xf32>
func.func @strided(%x: tensor<1x1x2xf32>) -> (tensor<1x1x1xf32>, tensor<1x1x2xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<1x1x3xf32>
  %0 = onnx.Conv(%x, %w, %none) {pads = array<i64: 0, 1>, strides = array<i64: 2>} : (tensor<1x1x2xf32>, tensor<1x1x3xf32>, none) -> tensor<1x1x1xf32>
  return %0, %x : tensor<1x1x1xf32>, tensor<1x1x2xf32>
}

// -----

// Near misses: every tap meets the image; nothing is padded; a weight is infinite; sizes are free.
// CHECK-LABEL: @near_misses
// CHECK-COUNT-4: onnx.Conv({{.*}}tensor<1x1x3xf32>
// REMARK: [Missed] DeadTaps | {{.*}}a weight is not finite
func.func @near_misses(%x: tensor<1x1x4xf32>, %y: tensor<1x1x?xf32>) -> (tensor<1x1x4xf32>, tensor<1x1x2xf32>, tensor<1x1x4xf32>, tensor<1x1x?xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<1x1x3xf32>
  %inf = onnx.Constant dense<0x7F800000> : tensor<1x1x3xf32>
  %0 = onnx.Conv(%x, %w, %none) {dilations = array<i64: 3>, pads = array<i64: 3, 3>} : (tensor<1x1x4xf32>, tensor<1x1x3xf32>, none) -> tensor<1x1x4xf32>
  %1 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4xf32>, tensor<1x1x3xf32>, none) -> tensor<1x1x2xf32>
  %2 = onnx.Conv(%x, %inf, %none) {dilations = array<i64: 4>, pads = array<i64: 4, 4>} : (tensor<1x1x4xf32>, tensor<1x1x3xf32>, none) -> tensor<1x1x4xf32>
  %3 = onnx.Conv(%y, %w, %none) {dilations = array<i64: 4>, pads = array<i64: 4, 4>} : (tensor<1x1x?xf32>, tensor<1x1x3xf32>, none) -> tensor<1x1x?xf32>
  return %0, %1, %2, %3 : tensor<1x1x4xf32>, tensor<1x1x2xf32>, tensor<1x1x4xf32>, tensor<1x1x?xf32>
}
