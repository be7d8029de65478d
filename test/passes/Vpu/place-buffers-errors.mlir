// RUN: burin-opt %s --vpu-place-buffers --verify-diagnostics

func.func @free(%n: index) {
  // expected-error@+1 {{expected a buffer of static shape on the vision unit, got 'memref<?xf16>'; bind free dims with --shape or --dim}}
  %a = memref.alloc(%n) : memref<?xf16>
  return
}
