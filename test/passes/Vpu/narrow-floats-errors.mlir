// RUN: burin-opt %s --vpu-narrow-floats --split-input-file --verify-diagnostics

func.func @integers(%x: tensor<4x8xi8>, %w: tensor<8x2xi8>) -> tensor<4x2xi32> {
  %o = tensor.empty() : tensor<4x2xi32>
  // expected-error@+1 {{of integers is not supported on the vision unit, which computes in f16: compile the model before quantization}}
  %r = nn.matmul ins(%x, %w : tensor<4x8xi8>, tensor<8x2xi8>) outs(%o : tensor<4x2xi32>) -> tensor<4x2xi32>
  return %r : tensor<4x2xi32>
}

// -----

func.func @branch(%c: i1, %x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{is not supported on the vision unit: it has no control flow; compile the part before or after it with --extract}}
  %r = scf.if %c -> tensor<4xf32> {
    scf.yield %x : tensor<4xf32>
  } else {
    scf.yield %x : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}
