// RUN: burin-opt %s --vpu-make-tasks --split-input-file --verify-diagnostics

func.func @branch(%c: i1) {
  // expected-error@+1 {{'scf.if' has no task on the vision unit: --fallback=cpu leaves it and what follows to the CPU, --cut=TENSOR says from where}}
  scf.if %c {
  }
  return
}

// -----

func.func @integers(%x: memref<4x8xi8, 1>, %w: memref<8x2xi8, 1>, %o: memref<4x2xi32, 1>) {
  // expected-error@+1 {{of integers has no task on the vision unit, which computes in f16}}
  nn.matmul ins(%x, %w : memref<4x8xi8, 1>, memref<8x2xi8, 1>) outs(%o : memref<4x2xi32, 1>)
  return
}

// -----

func.func @three_dims(%x: memref<1x4x4x4x8xf16, 1>, %o: memref<1x2x2x2x8xf16, 1>) {
  // expected-error@+1 {{of 3 spatial dims has no task on the vision unit, which has 1 or 2}}
  nn.pool ins(%x : memref<1x4x4x4x8xf16, 1>) outs(%o : memref<1x2x2x2x8xf16, 1>)
    {kind = #nn.pool_kind<max>, kernel = array<i64: 2, 2, 2>, strides = array<i64: 2, 2, 2>, dilations = array<i64: 1, 1, 1>, pads = array<i64: 0, 0, 0, 0, 0, 0>}
  return
}
