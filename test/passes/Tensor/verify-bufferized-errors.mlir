// RUN: burin-opt %s --verify-bufferized --verify-diagnostics --split-input-file

module attributes {burin.arena_bytes = 0 : i64, burin.peak_live_bytes = 0 : i64, burin.weights = []} {
  func.func @main(%arena: memref<0xi8>, %weights: memref<0xi8>) {
    // expected-error @+1 {{is left after the tensor stage}}
    %leftover_alloc = memref.alloc() : memref<4xf32>
    return
  }
}

// -----

// expected-error @+1 {{expected the module attribute burin.arena_bytes}}
module {
  func.func @main() {
    return
  }
}
