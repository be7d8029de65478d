// RUN: burin-opt %s --vpu-plan-tasks=scratchpad-bytes=1024 --split-input-file --verify-diagnostics
// RUN: not burin-opt %s --vpu-plan-tasks=scratchpad-bytes=0 2>&1 | FileCheck %s
// CHECK: error: expected scratchpad-bytes of at least 64, got 0

// One result element of one row needs 3 input rows of 512 bytes, 256 of filter, and 64, the least a place has, for the result row of 16 bytes.
func.func @one_row(%x: memref<1x4x4x32xf32>, %w: memref<3x1x32x8xf32>, %o: memref<1x2x4x8xf32>) {
  // expected-error @+1 {{'nn.conv' op expected scratchpad-bytes of at least 1984 for the smallest tile (1 row of 1 channels), got 1024}}
  nn.conv ins(%x, %w : memref<1x4x4x32xf32>, memref<3x1x32x8xf32>) outs(%o : memref<1x2x4x8xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  return
}

// -----

// The last two rows of the result see nothing but padding; alone they would have no input.
func.func @behind(%x: memref<1x4x4x16xf32>, %w: memref<1x1x16x16xf32>, %o: memref<1x6x4x16xf32>) {
  // expected-error @+1 {{'nn.conv' op expected every window to reach its input, got rows of the result that lie wholly in the padding behind it}}
  nn.conv ins(%x, %w : memref<1x4x4x16xf32>, memref<1x1x16x16xf32>) outs(%o : memref<1x6x4x16xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 2, 0>}
  return
}
