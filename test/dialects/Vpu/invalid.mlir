// RUN: burin-opt %s --split-input-file --verify-diagnostics

func.func @dma(%x: memref<4xf16>, %y: memref<5xf16>) {
  // expected-error@+1 {{expected source and target of one shape and type, got 'memref<4xf16>' and 'memref<5xf16>'}}
  vpu.dma %x, %y : memref<4xf16>, memref<5xf16>
  return
}

// -----

func.func @groups(%x: memref<1x4x4x8xf16, 1>, %w: memref<1x1x3x16xf16, 1>, %y: memref<1x4x4x16xf16, 1>) {
  // expected-error@+1 {{expected the filter's input channels times groups to be 8, got 3}}
  vpu.conv ins(%x, %w : memref<1x4x4x8xf16, 1>, memref<1x1x3x16xf16, 1>) outs(%y : memref<1x4x4x16xf16, 1>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, groups = 1 : i64}
  return
}

// -----

func.func @bias(%x: memref<4x8xf16, 1>, %w: memref<8x2xf16, 1>, %b: memref<3xf16, 1>, %y: memref<4x2xf16, 1>) {
  // expected-error@+1 {{expected scale, bias and slope of one element a channel, 2, got 'memref<3xf16, 1>'}}
  vpu.matmul ins(%x, %w : memref<4x8xf16, 1>, memref<8x2xf16, 1>) bias(%b : memref<3xf16, 1>) outs(%y : memref<4x2xf16, 1>)
  return
}

// -----

func.func @maps(%y: memref<4x2xf16, 1>) {
  // expected-error@+1 {{expected maps linear in the loops, got affine_map<(d0, d1) -> (d0 floordiv 2, d1)>}}
  vpu.shave loops [4, 2] outs(%y : memref<4x2xf16, 1>) {maps = [affine_map<(d0, d1) -> (d0 floordiv 2, d1)>]} body {
  ^bb0(%i: index, %j: index, %e: f16):
    vpu.yield %e : f16
  }
  return
}

// -----

func.func @arguments(%y: memref<4xf16, 1>) {
  // expected-error@+1 {{expected a block argument a loop and operand, 2, got 1}}
  vpu.shave loops [4] outs(%y : memref<4xf16, 1>) {maps = [affine_map<(d0) -> (d0)>]} body {
  ^bb0(%e: f16):
    vpu.yield %e : f16
  }
  return
}
