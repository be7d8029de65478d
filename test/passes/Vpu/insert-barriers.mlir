// RUN: burin-opt %s --vpu-insert-barriers | FileCheck %s

// The engine waits for the transfer, the transfer back for the engine; the next load, which overwrites what the engine read, needs no
// barrier of its own: its queue waited for the engine already.
// CHECK-LABEL: func.func @load_compute_store
func.func @load_compute_store(%x: memref<1x2x2x4xf16>, %y: memref<1x1x1x4xf16>) {
  %in = vpu.buffer at 0 : memref<1x2x2x4xf16, 1>
  %out = vpu.buffer at 64 : memref<1x1x1x4xf16, 1>
  // CHECK: vpu.dma
  vpu.dma %x, %in : memref<1x2x2x4xf16>, memref<1x2x2x4xf16, 1>
  // CHECK-NEXT: vpu.barrier <engine> dma(1) engine(0) shave(0)
  // CHECK-NEXT: vpu.pool
  vpu.pool <max> ins(%in : memref<1x2x2x4xf16, 1>) outs(%out : memref<1x1x1x4xf16, 1>)
    {kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  // CHECK-NEXT: vpu.barrier <dma> dma(0) engine(1) shave(0)
  // CHECK-NEXT: vpu.dma
  vpu.dma %out, %y : memref<1x1x1x4xf16, 1>, memref<1x1x1x4xf16>
  // CHECK-NEXT: vpu.dma
  vpu.dma %x, %in : memref<1x2x2x4xf16>, memref<1x2x2x4xf16, 1>
  return
}

// Neither other bytes nor two readers need one.
// CHECK-LABEL: func.func @apart
func.func @apart(%x: memref<1x2x2x4xf16>) {
  %a = vpu.buffer at 0 : memref<1x2x2x4xf16, 1>
  %b = vpu.buffer at 64 : memref<4xf16, 1>
  // CHECK-NOT: vpu.barrier
  vpu.dma %x, %a : memref<1x2x2x4xf16>, memref<1x2x2x4xf16, 1>
  %zero = arith.constant 0.0 : f16
  vpu.shave loops [4] outs(%b : memref<4xf16, 1>) {maps = [affine_map<(d0) -> (d0)>]} body {
  ^bb0(%i: index, %e: f16):
    vpu.yield %zero : f16
  }
  return
}
