// RUN: burin-opt %s --verify-roundtrip | FileCheck %s

// One op a record of the container.
// CHECK-LABEL: func.func @records
func.func @records(%x: memref<1x4x4x8xf16>, %y: memref<1x4x4x16xf16>) {
  %w = memref.get_global @w : memref<1x1x8x16xf16>
  // CHECK: vpu.buffer at 0 : memref<1x4x4x8xf16, 1>
  %in = vpu.buffer at 0 : memref<1x4x4x8xf16, 1>
  %filter = vpu.buffer at 256 : memref<1x1x8x16xf16, 1>
  %out = vpu.buffer at 512 : memref<1x4x4x16xf16, 1>
  // CHECK: vpu.dma %{{.*}}, %{{.*}} : memref<1x4x4x8xf16>, memref<1x4x4x8xf16, 1>
  vpu.dma %x, %in : memref<1x4x4x8xf16>, memref<1x4x4x8xf16, 1>
  vpu.dma %w, %filter : memref<1x1x8x16xf16>, memref<1x1x8x16xf16, 1>
  // CHECK: vpu.barrier <engine> dma(2) engine(0) shave(0)
  vpu.barrier <engine> dma(2) engine(0) shave(0)
  // CHECK: vpu.conv ins
  vpu.conv ins(%in, %filter : memref<1x4x4x8xf16, 1>, memref<1x1x8x16xf16, 1>) outs(%out : memref<1x4x4x16xf16, 1>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, groups = 1 : i64, low = 0.0 : f32}
  vpu.barrier <shave> dma(0) engine(1) shave(0)
  // CHECK: vpu.shave loops {{\[}}256]
  %flat = memref.collapse_shape %out [[0, 1, 2, 3]] : memref<1x4x4x16xf16, 1> into memref<256xf16, 1>
  vpu.shave loops [256] outs(%flat : memref<256xf16, 1>) {maps = [affine_map<(d0) -> (d0)>]} body {
  ^bb0(%i: index, %e: f16):
    %d = arith.addf %e, %e : f16
    vpu.yield %d : f16
  }
  vpu.barrier <dma> dma(0) engine(0) shave(1)
  vpu.dma %out, %y : memref<1x4x4x16xf16, 1>, memref<1x4x4x16xf16>
  return
}
memref.global "private" constant @w : memref<1x1x8x16xf16> = dense<0.5>
