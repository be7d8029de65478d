// RUN: burin-opt %s --split-input-file --verify-diagnostics --cpu-make-entry

// expected-error @+1 {{expected @main with arena and weights and the attribute burin.num_inputs, as cpu-outline-kernels leaves it}}
module {
  func.func @main(%arena: memref<256xi8>, %weights: memref<64xi8>) {
    return
  }
}

// -----

module {
  func.func @main(%arena: memref<256xi8>, %weights: memref<64xi8>) attributes {burin.num_inputs = 0 : i64} {
    %c0 = arith.constant 0 : i8
    // expected-error @+1 {{calls of kernels in @main, got linalg.fill}}
    linalg.fill ins(%c0 : i8) outs(%arena : memref<256xi8>)
    return
  }
}
