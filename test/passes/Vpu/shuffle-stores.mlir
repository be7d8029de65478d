// RUN: burin-opt %s --vpu-shuffle-stores --split-input-file | FileCheck %s

#channel = affine_map<(n, h, w, c) -> (c)>
// Rows of the block outside: the channels of one row lie together, so there is a convolution for each of the two.
// CHECK-LABEL: func.func @depth_column_row
// CHECK: %[[O:.*]] = memref.alloc() : memref<1x4x2x5x2x16xf16>
// CHECK: %[[W:.*]] = memref.subview %{{.*}}[0, 0, 0, 0] [1, 1, 8, 32] [1, 1, 1, 1]
// CHECK: %[[B:.*]] = memref.subview %{{.*}}[0] [32] [1]
// CHECK: %[[R:.*]] = memref.reinterpret_cast %[[O]] to offset: [0], sizes: [1, 4, 5, 32], strides: [1280, 320, 32, 1]
// CHECK: nn.conv ins(%{{.*}}, %[[W]] {{.*}} extras(%[[B]] {{.*}} outs(%[[R]]
// CHECK: memref.subview %{{.*}}[0, 0, 0, 32] [1, 1, 8, 32]
// CHECK: memref.reinterpret_cast %[[O]] to offset: [160]
// CHECK: nn.conv
// CHECK-NOT: linalg.transpose
func.func @depth_column_row(%x: memref<1x4x5x8xf16>, %w: memref<1x1x8x64xf16>, %b: memref<64xf32>, %y: memref<1x4x2x5x2x16xf16>) {
  %a = memref.alloc() : memref<1x4x5x64xf16>
  nn.conv ins(%x, %w : memref<1x4x5x8xf16>, memref<1x1x8x64xf16>) extras(%b : memref<64xf32>) outs(%a : memref<1x4x5x64xf16>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, extra_maps = [#channel]} epilogue {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    %t = arith.truncf %s : f32 to f16
    nn.yield %t : f16
  }
  %e = memref.expand_shape %a [[0], [1], [2], [3, 4, 5]] output_shape [1, 4, 5, 2, 2, 16] : memref<1x4x5x64xf16> into memref<1x4x5x2x2x16xf16>
  %o = memref.alloc() : memref<1x4x2x5x2x16xf16>
  linalg.transpose ins(%e : memref<1x4x5x2x2x16xf16>) outs(%o : memref<1x4x2x5x2x16xf16>) permutation = [0, 1, 3, 2, 4, 5]
  memref.copy %o, %y : memref<1x4x2x5x2x16xf16> to memref<1x4x2x5x2x16xf16>
  return
}

// -----

// Blocks inside: every fourth channel, four times.
// CHECK-LABEL: func.func @column_row_depth
// CHECK: memref.subview %{{.*}}[0, 0, 0, 0] [1, 1, 8, 32] [1, 1, 1, 4]
// CHECK-COUNT-4: nn.conv
// CHECK-NOT: linalg.transpose
func.func @column_row_depth(%x: memref<1x4x5x8xf16>, %w: memref<1x1x8x128xf16>, %y: memref<1x4x2x5x2x32xf16>) {
  %a = memref.alloc() : memref<1x4x5x128xf16>
  nn.conv ins(%x, %w : memref<1x4x5x8xf16>, memref<1x1x8x128xf16>) outs(%a : memref<1x4x5x128xf16>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  %e = memref.expand_shape %a [[0], [1], [2], [3, 4, 5]] output_shape [1, 4, 5, 32, 2, 2] : memref<1x4x5x128xf16> into memref<1x4x5x32x2x2xf16>
  %o = memref.alloc() : memref<1x4x2x5x2x32xf16>
  linalg.transpose ins(%e : memref<1x4x5x32x2x2xf16>) outs(%o : memref<1x4x2x5x2x32xf16>) permutation = [0, 1, 4, 2, 5, 3]
  memref.copy %o, %y : memref<1x4x2x5x2x32xf16> to memref<1x4x2x5x2x32xf16>
  return
}

// -----

// Three channels: as many convolutions would waste the engine.
// CHECK-LABEL: func.func @few
// CHECK: linalg.transpose
func.func @few(%x: memref<1x4x5x8xf16>, %w: memref<1x1x8x12xf16>, %y: memref<1x4x2x5x2x3xf16>) {
  %a = memref.alloc() : memref<1x4x5x12xf16>
  nn.conv ins(%x, %w : memref<1x4x5x8xf16>, memref<1x1x8x12xf16>) outs(%a : memref<1x4x5x12xf16>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  %e = memref.expand_shape %a [[0], [1], [2], [3, 4, 5]] output_shape [1, 4, 5, 2, 2, 3] : memref<1x4x5x12xf16> into memref<1x4x5x2x2x3xf16>
  %o = memref.alloc() : memref<1x4x2x5x2x3xf16>
  linalg.transpose ins(%e : memref<1x4x5x2x2x3xf16>) outs(%o : memref<1x4x2x5x2x3xf16>) permutation = [0, 1, 3, 2, 4, 5]
  memref.copy %o, %y : memref<1x4x2x5x2x3xf16> to memref<1x4x2x5x2x3xf16>
  return
}

// -----

// Another reader needs the channels as they are.
// CHECK-LABEL: func.func @two_readers
// CHECK: linalg.transpose
func.func @two_readers(%x: memref<1x4x5x8xf16>, %w: memref<1x1x8x64xf16>, %y: memref<1x4x2x5x2x16xf16>, %z: memref<1x4x5x64xf16>) {
  %a = memref.alloc() : memref<1x4x5x64xf16>
  nn.conv ins(%x, %w : memref<1x4x5x8xf16>, memref<1x1x8x64xf16>) outs(%a : memref<1x4x5x64xf16>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  %e = memref.expand_shape %a [[0], [1], [2], [3, 4, 5]] output_shape [1, 4, 5, 2, 2, 16] : memref<1x4x5x64xf16> into memref<1x4x5x2x2x16xf16>
  %o = memref.alloc() : memref<1x4x2x5x2x16xf16>
  linalg.transpose ins(%e : memref<1x4x5x2x2x16xf16>) outs(%o : memref<1x4x2x5x2x16xf16>) permutation = [0, 1, 3, 2, 4, 5]
  memref.copy %o, %y : memref<1x4x2x5x2x16xf16> to memref<1x4x2x5x2x16xf16>
  memref.copy %a, %z : memref<1x4x5x64xf16> to memref<1x4x5x64xf16>
  return
}

// -----

// Windows that do not overlap: a 1x1 convolution for each of four taps, to every second pixel of every second row.
// CHECK-LABEL: func.func @spread
// CHECK: %[[W:.*]] = memref.subview %{{.*}}[0, 1, 0, 0] [1, 1, 32, 32] [1, 1, 1, 1]
// CHECK: %[[O:.*]] = memref.subview %{{.*}}[0, 0, 1, 0] [1, 4, 5, 32] [1, 2, 2, 1]
// CHECK: nn.conv ins(%{{.*}}, %[[W]] {{.*}} outs(%[[O]]
// CHECK-SAME: strides = array<i64: 1, 1>
// CHECK-NOT: nn.conv_transpose
func.func @spread(%x: memref<1x4x5x32xf16>, %w: memref<2x2x32x32xf16>, %y: memref<1x8x10x32xf16>) {
  nn.conv_transpose ins(%x, %w : memref<1x4x5x32xf16>, memref<2x2x32x32xf16>) outs(%y : memref<1x8x10x32xf16>)
    {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  return
}

// -----

// Windows that overlap are the shaves'.
// CHECK-LABEL: func.func @overlapping
// CHECK: nn.conv_transpose
func.func @overlapping(%x: memref<1x4x5x8xf16>, %w: memref<3x3x8x16xf16>, %y: memref<1x9x11x16xf16>) {
  nn.conv_transpose ins(%x, %w : memref<1x4x5x8xf16>, memref<3x3x8x16xf16>) outs(%y : memref<1x9x11x16xf16>)
    {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  return
}
