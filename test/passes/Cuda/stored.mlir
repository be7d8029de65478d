// RUN: burin-opt %s --cuda-lower-nn | FileCheck %s

// 4 bits, runs of 32 rows, scales of f16: 18 bytes a column and run.
// CHECK-LABEL: func.func @token
// CHECK: gpu.launch
// CHECK: arith.shrui
// CHECK-NOT: memref.alloc
func.func @token(%x: memref<1x64xf16>, %w: memref<2304xi8>, %y: memref<1x64xf16>) {
  nn.matmul ins(%x, %w : memref<1x64xf16>, memref<2304xi8>) outs(%y : memref<1x64xf16>)
    {packed = 64 : i64, stored = #nn.stored<bits = 4, run = 32, scale = f16, zeros = false>}
  return
}

// Many rows: the weights become floats in scratch memory, which tensor cores multiply.
// CHECK-LABEL: func.func @prompt
// CHECK: memref.alloc() : memref<64x64xf16>
// CHECK: gpu.launch
// CHECK: arith.shrui
// CHECK: gpu.launch
// CHECK: nvvm.mma.sync
func.func @prompt(%x: memref<32x64xf16>, %w: memref<2304xi8>, %y: memref<32x64xf16>) {
  nn.matmul ins(%x, %w : memref<32x64xf16>, memref<2304xi8>) outs(%y : memref<32x64xf16>)
    {packed = 64 : i64, stored = #nn.stored<bits = 4, run = 32, scale = f16, zeros = false>}
  return
}

// Near miss: rows of a run do not fill words; the definition takes it.
// CHECK-LABEL: func.func @odd
// CHECK: gpu.launch
// CHECK-NOT: nvvm.mma.sync
func.func @odd(%x: memref<32x63xf32>, %w: memref<576xi8>, %y: memref<32x16xf32>) {
  nn.matmul ins(%x, %w : memref<32x63xf32>, memref<576xi8>) outs(%y : memref<32x16xf32>)
    {packed = 16 : i64, stored = #nn.stored<bits = 4, run = 63, scale = f32, zeros = false>}
  return
}
