// Products on tensor cores: strips by asynchronous copies, fragments by ldmatrix, one barrier a strip.
// RUN: burin-opt %s --cuda-lower-nn --split-input-file | FileCheck %s
// RUN: burin-opt %s --cuda-lower-nn=exact --split-input-file | FileCheck %s --check-prefix=EXACT

// CHECK-LABEL: func.func @matmul_tf32
// CHECK: gpu.launch {{.*}} workgroup
// CHECK: nvvm.cp.async.shared.global {{.*}}, 16, cache = cg
// CHECK: nvvm.cp.async.commit.group
// CHECK: scf.for
// CHECK: nvvm.cp.async.wait.group
// CHECK: gpu.barrier
// CHECK: nvvm.ldmatrix
// CHECK: nvvm.convert.float.to.tf32
// CHECK: nvvm.mma.sync {{.*}}shape = #nvvm.shape<m = 16, n = 8, k = 8>
// CHECK: memref.store
// EXACT-LABEL: func.func @matmul_tf32
// EXACT-NOT: nvvm.mma.sync
// EXACT: llvm.intr.fma
func.func @matmul_tf32(%x: memref<64x64xf32>, %w: memref<64x64xf32>, %o: memref<64x64xf32>) {
  nn.matmul ins(%x, %w : memref<64x64xf32>, memref<64x64xf32>) outs(%o : memref<64x64xf32>)
  return
}

// -----

// Rows of A are found in the image; a window beyond it gives zeros. No halves are lost to another type.
// CHECK-LABEL: func.func @conv_f16
// CHECK: arith.select
// CHECK: nvvm.cp.async.shared.global
// CHECK-NOT: nvvm.convert.float.to.tf32
// CHECK: nvvm.mma.sync {{.*}}shape = #nvvm.shape<m = 16, n = 8, k = 16>
func.func @conv_f16(%x: memref<1x9x9x16xf16>, %w: memref<3x3x16x32xf16>, %o: memref<1x9x9x32xf16>) {
  nn.conv ins(%x, %w : memref<1x9x9x16xf16>, memref<3x3x16x32xf16>) outs(%o : memref<1x9x9x32xf16>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>}
  return
}

// -----

// Channels that are no multiple of four: copies of one float each.
// CHECK-LABEL: func.func @few_channels
// CHECK: nvvm.cp.async.shared.global {{.*}}, 4, cache = ca
func.func @few_channels(%x: memref<1x9x9x3xf32>, %w: memref<3x3x3x32xf32>, %o: memref<1x7x7x32xf32>) {
  nn.conv ins(%x, %w : memref<1x9x9x3xf32>, memref<3x3x3x32xf32>) outs(%o : memref<1x7x7x32xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  return
}

// -----

// Bytes: squares of four turned in registers, since ldmatrix turns elements of 16 bits alone; one more product a step sums columns for the
// zero point.
// CHECK-LABEL: func.func @bytes
// CHECK: arith.shrui
// CHECK: nvvm.mma.sync {{.*}}intOverflowBehavior = #nvvm.mma_int_overflow<wrapped>{{.*}}shape = #nvvm.shape<m = 16, n = 8, k = 32>
// CHECK: arith.subi
func.func @bytes(%x: memref<32x64xi8>, %w: memref<64x32xi8>, %o: memref<32x32xi32>) {
  nn.matmul ins(%x, %w : memref<32x64xi8>, memref<64x32xi8>) outs(%o : memref<32x32xi32>) {lhs_unsigned, lhs_zero_point = 128 : i64}
  return
}

// -----

// Near misses: odd rows of halves and of bytes, which no copy of 4 bytes fits, get the reference kernel.
// CHECK-LABEL: func.func @not_tiled
// CHECK-NOT: nvvm.
// CHECK: gpu.launch
// CHECK: gpu.launch
// CHECK-NOT: nvvm.
func.func @not_tiled(%x: memref<8x7xf16>, %w: memref<7x9xf16>, %o: memref<8x9xf16>, %i: memref<8x8xi8>, %j: memref<8x7xi8>, %s: memref<8x7xi32>) {
  nn.matmul ins(%x, %w : memref<8x7xf16>, memref<7x9xf16>) outs(%o : memref<8x9xf16>)
  nn.matmul ins(%i, %j : memref<8x8xi8>, memref<8x7xi8>) outs(%s : memref<8x7xi32>)
  return
}

// -----

// Five tiles of 13 strips for eight blocks: each has a stretch of nine, of one tile or of two; a tile has three parts at most.
// CHECK-LABEL: func.func @stretches
// CHECK: memref.alloc() : memref<3x1x160x32xf32>
// CHECK: gpu.launch
// CHECK: arith.minui
// CHECK: scf.for
// CHECK: arith.maxui
// CHECK: gpu.barrier
// CHECK: nvvm.mma.sync
// CHECK: gpu.launch
func.func @stretches(%x: memref<160x208xf32>, %w: memref<208x32xf32>, %o: memref<160x32xf32>) {
  nn.matmul ins(%x, %w : memref<160x208xf32>, memref<208x32xf32>) outs(%o : memref<160x32xf32>)
  return
}
