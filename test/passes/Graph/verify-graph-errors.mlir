// RUN: burin-opt %s --split-input-file --verify-graph --verify-diagnostics

func.func @foreign(%x: i64) -> i64 {
  // expected-error @+1 {{expected only onnx operators in a graph, got 'arith.addi'}}
  %0 = arith.addi %x, %x : i64
  return %0 : i64
}

// -----

func.func @unknown(%x: tensor<2xf32>) -> !onnx.any {
  // expected-error @+1 {{expected a result of known type, got '!onnx.any'}}
  %0 = onnx.Relu(%x) : (tensor<2xf32>) -> !onnx.any
  return %0 : !onnx.any
}

// -----

func.func @identity(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{expected no Identity within a graph, got one}}
  %0 = onnx.Identity(%x) : (tensor<2xf32>) -> tensor<2xf32>
  %1 = onnx.Relu(%0) : (tensor<2xf32>) -> tensor<2xf32>
  return %1 : tensor<2xf32>
}

// -----

func.func @shape(%x: tensor<2xf32>) -> tensor<1xi64> {
  // expected-error @+1 {{expected the Shape of a tensor of static shape to be a constant, got the operator}}
  %0 = onnx.Shape(%x) : (tensor<2xf32>) -> tensor<1xi64>
  return %0 : tensor<1xi64>
}
