// RUN: burin-opt %s --vpu-verify-memory --split-input-file --verify-diagnostics

func.func @overlap(%x: memref<64xf16>) attributes {vpu.cmx_bytes = 1024 : i64} {
  // expected-note@+1 {{which lies at [0, 128)}}
  %a = vpu.buffer at 0 : memref<64xf16, 1>
  // expected-error@+1 {{overlaps a buffer that is in use at the same time}}
  %b = vpu.buffer at 64 : memref<64xf16, 1>
  vpu.dma %x, %a : memref<64xf16>, memref<64xf16, 1>
  vpu.dma %a, %b : memref<64xf16, 1>, memref<64xf16, 1>
  return
}

// -----

func.func @outside(%x: memref<64xf16>) attributes {vpu.cmx_bytes = 128 : i64} {
  // expected-error@+1 {{expected a place within 128 bytes of CMX, got [64, 192)}}
  %a = vpu.buffer at 64 : memref<64xf16, 1>
  vpu.dma %x, %a : memref<64xf16>, memref<64xf16, 1>
  return
}

// -----

func.func @main_memory(%x: memref<4x8xf16>, %w: memref<8x2xf16>, %y: memref<4x2xf16>) {
  // expected-error@+1 {{expected operands of the engine in CMX, got 'memref<4x8xf16>'}}
  vpu.matmul ins(%x, %w : memref<4x8xf16>, memref<8x2xf16>) outs(%y : memref<4x2xf16>)
  return
}
