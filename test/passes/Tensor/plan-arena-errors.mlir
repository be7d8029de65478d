// RUN: burin-opt %s --tensor-plan-arena --verify-diagnostics

func.func @main(%n: index, %out: memref<4xf32>) {
  // expected-error @+1 {{expected a buffer of static size, got 'memref<?xf32>'; bind the free dims with --dim or --shape}}
  %a = memref.alloc(%n) : memref<?xf32>
  return
}
