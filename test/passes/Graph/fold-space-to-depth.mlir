// RUN: burin-opt %s --split-input-file --graph-fold-space-to-depth | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-fold-space-to-depth --remarks-filter='FoldSpaceToDepth' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// 3x3 over blocks of two is 6x6 of stride 2 over the image.
// CHECK-LABEL: @stem
// CHECK: onnx.Conv(%arg0, {{.*}}) {kernel_shape = array<i64: 6, 6>, pads = array<i64: 2, 2, 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x3x8x8xf32>, tensor<8x3x6x6xf32>, none) -> tensor<1x8x4x4xf32>
// CHECK-NEXT: return
// REMARK: [Passed] SpaceToDepth
func.func @stem(%x: tensor<1x3x8x8xf32>) -> tensor<1x8x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<8x12x3x3xf32>
  %0 = onnx.SpaceToDepth(%x) {blocksize = 2 : i64} : (tensor<1x3x8x8xf32>) -> tensor<1x12x4x4xf32>
  %1 = onnx.Conv(%0, %w, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x12x4x4xf32>, tensor<8x12x3x3xf32>, none) -> tensor<1x8x4x4xf32>
  return %1 : tensor<1x8x4x4xf32>
}

// -----

// Near misses: several uses, dilations, many channels, a dynamic size.
// CHECK-LABEL: @near_misses
// CHECK-COUNT-4: onnx.SpaceToDepth
// REMARK: [Missed] SpaceToDepth | {{.*}}the SpaceToDepth has several uses
// REMARK: [Missed] SpaceToDepth | {{.*}}the convolution has groups or dilations
// REMARK: [Missed] SpaceToDepth | {{.*}}the image has more channels than max-channels
// REMARK: [Missed] SpaceToDepth | {{.*}}the sizes are not known
func.func @near_misses(%x: tensor<1x1x8x8xf32>, %f: tensor<1x8x8x8xf32>, %y: tensor<1x1x?x?xf32>)
    -> (tensor<1x4x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x2x2x2xf32>, tensor<1x2x4x4xf32>, tensor<1x2x?x?xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x4x1x1xf32>
  %w2 = onnx.Constant dense<1.0> : tensor<2x4x2x2xf32>
  %wf = onnx.Constant dense<1.0> : tensor<2x32x1x1xf32>
  %0 = onnx.SpaceToDepth(%x) {blocksize = 2 : i64} : (tensor<1x1x8x8xf32>) -> tensor<1x4x4x4xf32>
  %1 = onnx.Conv(%0, %w, %none) : (tensor<1x4x4x4xf32>, tensor<2x4x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %2 = onnx.SpaceToDepth(%x) {blocksize = 2 : i64} : (tensor<1x1x8x8xf32>) -> tensor<1x4x4x4xf32>
  %3 = onnx.Conv(%2, %w2, %none) {dilations = array<i64: 2, 2>} : (tensor<1x4x4x4xf32>, tensor<2x4x2x2xf32>, none) -> tensor<1x2x2x2xf32>
  %4 = onnx.SpaceToDepth(%f) {blocksize = 2 : i64} : (tensor<1x8x8x8xf32>) -> tensor<1x32x4x4xf32>
  %5 = onnx.Conv(%4, %wf, %none) : (tensor<1x32x4x4xf32>, tensor<2x32x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %6 = onnx.SpaceToDepth(%y) {blocksize = 2 : i64} : (tensor<1x1x?x?xf32>) -> tensor<1x4x?x?xf32>
  %7 = onnx.Conv(%6, %w, %none) : (tensor<1x4x?x?xf32>, tensor<2x4x1x1xf32>, none) -> tensor<1x2x?x?xf32>
  return %0, %1, %3, %5, %7 : tensor<1x4x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x2x2x2xf32>, tensor<1x2x4x4xf32>, tensor<1x2x?x?xf32>
}
