// RUN: burin-opt %s --split-input-file --verify-diagnostics --cpu-outline-kernels

// expected-error @+1 {{expected a function @main(inputs..., outputs..., arena, weights) of one block without results}}
module {
  func.func @other() {
    return
  }
}

// -----

// Case root: where a buffer lies must be known.
module {
  memref.global "private" @table : memref<4xf32>
  func.func @main(%arena: memref<64xi8>, %weights: memref<64xi8>) {
    %zero = arith.constant 0.0 : f32
    %other = memref.get_global @table : memref<4xf32>
    // expected-error @+1 {{views of the function's arguments, got 'memref<4xf32>'}}
    linalg.fill ins(%zero : f32) outs(%other : memref<4xf32>)
    return
  }
}
