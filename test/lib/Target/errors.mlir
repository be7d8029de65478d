// What the emit stage refuses: calls out of the generated code, attributes that are missing or malformed.
// RUN: rm -rf %t && split-file %s %t
// RUN: not burin-compile %t/call.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=CALL
// RUN: not burin-compile %t/signature.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=SIGNATURE
// RUN: not burin-compile %t/offset.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=OFFSET
// RUN: not burin-compile %t/entry.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=ENTRY
// RUN: not ls %t/out

// CALL: error: {{.*}}call.mlir:1:1: the generated code calls 'expf', and may call nothing but memcpy, memmove and memset
// SIGNATURE: error: {{.*}}module attribute 'burin.signature' is missing or malformed; the module must come from the target stage
// OFFSET: error: {{.*}}module attribute 'burin.weights': 'w' starts at byte 4, expected a multiple of 64 from 0 on
// ENTRY: error: {{.*}}expected a function @entry of five pointers, as the target stage leaves it

//--- call.mlir
module attributes {burin.stage = "target", burin.arena_bytes = 0 : i64, burin.peak_live_bytes = 0 : i64, burin.layers = [], burin.weights = [],
                   burin.signature = {inputs = [], outputs = []}} {
  llvm.func @expf(f32) -> f32
  llvm.func @entry(%i: !llvm.ptr, %o: !llvm.ptr, %a: !llvm.ptr, %w: !llvm.ptr, %c: !llvm.ptr) -> i32 {
    %x = llvm.load %i : !llvm.ptr -> f32
    %0 = llvm.call @expf(%x) : (f32) -> f32
    llvm.store %0, %a : f32, !llvm.ptr
    %ok = llvm.mlir.constant(0 : i32) : i32
    llvm.return %ok : i32
  }
}
//--- signature.mlir
module attributes {burin.stage = "target", burin.arena_bytes = 0 : i64, burin.peak_live_bytes = 0 : i64, burin.layers = [], burin.weights = []} {
}
//--- offset.mlir
module attributes {burin.stage = "target", burin.arena_bytes = 0 : i64, burin.peak_live_bytes = 0 : i64, burin.layers = [],
                   burin.signature = {inputs = [], outputs = []},
                   burin.weights = [{name = "w", offset = 4 : i64, source_bytes = 4 : i64, encoding = "raw", data = dense<1.0> : tensor<1xf32>}]} {
}
//--- entry.mlir
module attributes {burin.stage = "target", burin.arena_bytes = 0 : i64, burin.peak_live_bytes = 0 : i64, burin.layers = [], burin.weights = [],
                   burin.signature = {inputs = [], outputs = []}} {
}
