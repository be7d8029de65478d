// RUN: burin-opt %s --pass-pipeline='builtin.module(func.func(cpu-lower-nn-to-loops))' | FileCheck %s

// One loop a result dim, then taps that lie inside, then input channels.
// CHECK-LABEL: func @conv(
// CHECK-NOT: nn.conv
// CHECK-COUNT-3: scf.for
// CHECK: arith.maxsi
// CHECK: arith.minsi
// CHECK-COUNT-2: scf.for {{.*}} iter_args
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK: memref.store
func.func @conv(%x: memref<2x15x3xf32>, %w: memref<3x3x8xf32>, %y: memref<2x15x8xf32>) {
  nn.conv ins(%x, %w : memref<2x15x3xf32>, memref<3x3x8xf32>) outs(%y : memref<2x15x8xf32>)
    {strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 1, 1>}
  return
}

// Dynamic dims are asked of the buffers; 8-bit operands are widened, their zero points taken off, and requantized by the epilogue.
// CHECK-LABEL: func @dynamic(
// CHECK: memref.dim
// CHECK: arith.extui {{.*}} : i8 to i32
// CHECK: arith.subi
// CHECK: arith.extsi {{.*}} : i8 to i32
// CHECK: arith.muli
// CHECK: arith.trunci {{.*}} : i32 to i8
// CHECK: memref.store {{.*}} memref<?x8xi8>
func.func @dynamic(%x: memref<?x16xi8>, %w: memref<16x8xi8>, %y: memref<?x8xi8>) {
  nn.matmul ins(%x, %w : memref<?x16xi8>, memref<16x8xi8>) outs(%y : memref<?x8xi8>) {lhs_unsigned, lhs_zero_point = 128 : i64} epilogue {
  ^bb0(%acc: i32):
    %t = arith.trunci %acc : i32 to i8
    nn.yield %t : i8
  }
  return
}
