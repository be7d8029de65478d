// RUN: burin-opt %s --split-input-file --graph-lower-strided-conv | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-lower-strided-conv --remarks-filter='LowerStridedConv' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// 3x3 of stride 2 and pads 1: two blocks each way; the taps -1, 0 and 1 lie in the second half of the first block and in
// the second block.
// CHECK-LABEL: @stem
// CHECK: %[[D:.*]] = onnx.SpaceToDepth(%arg0) {blocksize = 2 : i64}
// CHECK: onnx.Conv(%[[D]], {{.*}}) {kernel_shape = array<i64: 2, 2>, pads = array<i64: 1, 1, 0, 0>} : (tensor<1x4x4x4xf32>, tensor<1x4x2x2xf32>, none) -> tensor<1x1x4x4xf32>
// REMARK: [Passed] StridedConv
func.func @stem(%x: tensor<1x1x8x8xf32>) -> tensor<1x1x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<1x1x3x3xf32>
  %0 = onnx.Conv(%x, %w, %none) {pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>} : (tensor<1x1x8x8xf32>, tensor<1x1x3x3xf32>, none) -> tensor<1x1x4x4xf32>
  return %0 : tensor<1x1x4x4xf32>
}

// -----

// An odd size is padded to whole blocks.
// CHECK-LABEL: @odd
// CHECK: onnx.Pad(%arg0
// CHECK: onnx.SpaceToDepth
func.func @odd(%x: tensor<1x1x7x8xf32>) -> tensor<1x1x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<1x1x3x3xf32>
  %0 = onnx.Conv(%x, %w, %none) {pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>} : (tensor<1x1x7x8xf32>, tensor<1x1x3x3xf32>, none) -> tensor<1x1x4x4xf32>
  return %0 : tensor<1x1x4x4xf32>
}

// -----

// Near misses: many channels, groups, strides that differ, dynamic sizes. The image's other uses do not matter.
// CHECK-LABEL: @near_misses
// CHECK-NOT: onnx.SpaceToDepth
// REMARK: [Missed] StridedConv | {{.*}}its input has more channels than max-channels
// REMARK: [Missed] StridedConv | {{.*}}it has several groups
// REMARK: [Missed] StridedConv | {{.*}}the strides differ
// REMARK: [Missed] StridedConv | {{.*}}the sizes are not known
func.func @near_misses(%x: tensor<1x8x8x8xf32>, %y: tensor<1x2x?x?xf32>)
    -> (tensor<1x1x4x4xf32>, tensor<1x8x4x4xf32>, tensor<1x1x4x3xf32>, tensor<1x1x?x?xf32>) {
  %none = onnx.NoValue
  %w8 = onnx.Constant dense<1.0> : tensor<1x8x2x2xf32>
  %d = onnx.Constant dense<1.0> : tensor<8x1x2x2xf32>
  %w = onnx.Constant dense<1.0> : tensor<1x2x2x2xf32>
  %0 = onnx.Conv(%x, %w8, %none) {strides = array<i64: 2, 2>} : (tensor<1x8x8x8xf32>, tensor<1x8x2x2xf32>, none) -> tensor<1x1x4x4xf32>
  %1 = onnx.Conv(%x, %d, %none) {group = 8 : i64, strides = array<i64: 2, 2>} : (tensor<1x8x8x8xf32>, tensor<8x1x2x2xf32>, none) -> tensor<1x8x4x4xf32>
  %2 = onnx.Conv(%x, %w8, %none) {strides = array<i64: 2, 3>} : (tensor<1x8x8x8xf32>, tensor<1x8x2x2xf32>, none) -> tensor<1x1x4x3xf32>
  %3 = onnx.Conv(%y, %w, %none) {strides = array<i64: 2, 2>} : (tensor<1x2x?x?xf32>, tensor<1x2x2x2xf32>, none) -> tensor<1x1x?x?xf32>
  return %0, %1, %2, %3 : tensor<1x1x4x4xf32>, tensor<1x8x4x4xf32>, tensor<1x1x4x3xf32>, tensor<1x1x?x?xf32>
}
