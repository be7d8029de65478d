// RUN: burin-opt %s --split-input-file --verify-lowered --verify-diagnostics

// Case lowered: what the lower stage promises.
func.func @main(%x: tensor<4xi8> {onnx.name = "x", burin.dtype = 2 : i32}) -> (tensor<4xi8> {onnx.name = "y", burin.dtype = 2 : i32}) {
  return %x : tensor<4xi8>
}

// -----

func.func @main(%x: tensor<4xf32> {onnx.name = "x", burin.dtype = 1 : i32}) -> (tensor<4xf32> {onnx.name = "y", burin.dtype = 1 : i32}) {
  // expected-error @+1 {{expected only nn, linalg, tensor, arith, math and scf operations after the lower stage, got 'onnx.Relu'}}
  %y = onnx.Relu(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// expected-error @+1 {{expected attribute 'burin.dtype' on argument 0 of @main, got none}}
func.func @main(%x: tensor<4xf32> {onnx.name = "x"}) {
  return
}

// -----

// expected-error @+1 {{expected tensors with signless elements and no encoding after the lower stage, got 'tensor<4xui8>'}}
func.func @main(%x: tensor<4xui8> {onnx.name = "x", burin.dtype = 2 : i32}) {
  return
}

// -----

// expected-error @+1 {{expected a function @main with a body after the lower stage, got none}}
module {}
