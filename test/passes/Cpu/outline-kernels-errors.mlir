// RUN: burin-opt %s --split-input-file --verify-diagnostics --cpu-outline-kernels

// expected-error @+1 {{expected a function @main(inputs..., outputs..., arena, weights) of one block without results}}
module {
  func.func @other() {
    return
  }
}

// -----

// Case dynamic: where a buffer lies must be known.
module {
  func.func @main(%in: memref<?xf32>, %arena: memref<64xi8>, %weights: memref<64xi8>) {
    %zero = arith.constant 0.0 : f32
    // expected-error @+1 {{views of the function's arguments, got 'memref<?xf32>'}}
    linalg.fill ins(%zero : f32) outs(%in : memref<?xf32>)
    return
  }
}
