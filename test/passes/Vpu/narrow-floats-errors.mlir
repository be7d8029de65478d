// RUN: burin-opt %s --vpu-narrow-floats --split-input-file --verify-diagnostics

func.func @integers(%x: tensor<4x8xi8>, %w: tensor<8x2xi8>) -> tensor<4x2xi32> {
  %o = tensor.empty() : tensor<4x2xi32>
  // expected-error@+1 {{of integers is not supported on the vision unit, which computes in f16: compile the model before quantization}}
  %r = nn.matmul ins(%x, %w : tensor<4x8xi8>, tensor<8x2xi8>) outs(%o : tensor<4x2xi32>) -> tensor<4x2xi32>
  return %r : tensor<4x2xi32>
}

// -----

func.func @branch(%c: i1, %x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{control flow ('scf.if') has no task on the vision unit: --fallback=cpu leaves it and what follows to the CPU}}
  %r = scf.if %c -> tensor<4xf32> {
    scf.yield %x : tensor<4xf32>
  } else {
    scf.yield %x : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}

// -----

// Of integers too, since what is in it may read floats.
func.func @loop(%x: tensor<4xf32>, %n: index, %s: tensor<4xi64>) -> tensor<4xi64> {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  // expected-error@+1 {{control flow ('scf.for') has no task on the vision unit}}
  %r = scf.for %i = %zero to %n step %one iter_args(%t = %s) -> tensor<4xi64> {
    %e = tensor.extract %x[%i] : tensor<4xf32>
    %k = arith.fptosi %e : f32 to i64
    %u = tensor.insert %k into %t[%i] : tensor<4xi64>
    scf.yield %u : tensor<4xi64>
  }
  return %r : tensor<4xi64>
}

// -----

func.func @size(%x: tensor<4xf32>, %n: index) -> tensor<?xf32> {
  // expected-error@+1 {{makes 'tensor<?xf32>', whose size depends on data: the vision unit runs fixed shapes}}
  %r = tensor.extract_slice %x[0] [%n] [1] : tensor<4xf32> to tensor<?xf32>
  return %r : tensor<?xf32>
}
