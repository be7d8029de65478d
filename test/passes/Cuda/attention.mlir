// RUN: burin-opt %s --cuda-lower-nn | FileCheck %s
// RUN: burin-opt %s --cuda-lower-nn=exact | FileCheck %s --check-prefix=EXACT

#q = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#k = affine_map<(d0, d1, d2) -> (d0 floordiv 4, d1, d2)>

// Scores stay in registers: copies of keys and values, two products, exponentials, no store but the result's.
// CHECK-LABEL: func.func @tiles
// CHECK: gpu.launch
// CHECK: nvvm.cp.async.shared.global
// CHECK: scf.for
// CHECK: gpu.barrier
// CHECK: nvvm.ldmatrix
// CHECK: nvvm.mma.sync
// CHECK: math.exp
// CHECK: nvvm.mma.sync
// CHECK-NOT: gpu.launch
// EXACT-LABEL: func.func @tiles
// EXACT-NOT: nvvm.mma.sync
func.func @tiles(%q: memref<8x64x32xf32>, %k: memref<2x48x32xf32>, %v: memref<2x48x32xf32>, %o: memref<8x64x32xf32>) {
  nn.attention ins(%q, %k, %v : memref<8x64x32xf32>, memref<2x48x32xf32>, memref<2x48x32xf32>) outs(%o : memref<8x64x32xf32>)
    {maps = [#q, #k, #k, #q], sizes = array<i64: 8, 64, 48, 32, 32>}
  return
}

// One query and many keys: blocks share it, a second launch combines what they leave.
// CHECK-LABEL: func.func @decode
// CHECK: memref.alloc() : memref<[[SPLITS:[0-9]+]]x8x34xf32>
// CHECK: gpu.launch
// CHECK: gpu.shuffle  idx
// CHECK: gpu.launch
func.func @decode(%q: memref<8x1x32xf32>, %k: memref<2x4096x32xf32>, %v: memref<2x4096x32xf32>, %o: memref<8x1x32xf32>) {
  nn.attention ins(%q, %k, %v : memref<8x1x32xf32>, memref<2x4096x32xf32>, memref<2x4096x32xf32>) outs(%o : memref<8x1x32xf32>)
    {maps = [#q, #k, #k, #q], sizes = array<i64: 8, 1, 4096, 32, 32>}
  return
}
