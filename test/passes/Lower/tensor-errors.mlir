// RUN: burin-opt %s --split-input-file --lower-onnx --verify-diagnostics

func.func @main(%x: tensor<2x4xf32>) -> tensor<2x7xf32> {
  %none = onnx.NoValue
  %pads = onnx.Constant dense<[0, 2, 0, 1]> : tensor<4xi64>
  // expected-error @+1 {{expected mode constant, edge, reflect or wrap, got mirror}}
  %y = onnx.Pad(%x, %pads, %none, %none) {mode = "mirror"} : (tensor<2x4xf32>, tensor<4xi64>, none, none) -> tensor<2x7xf32>
  return %y : tensor<2x7xf32>
}

// -----

func.func @main(%x: tensor<5x6xf32>) -> tensor<1x6xf32> {
  %i = onnx.Constant dense<5> : tensor<1xi64>
  // expected-error @+1 {{expected indices in [-5, 4], got 5}}
  %y = onnx.Gather(%x, %i) : (tensor<5x6xf32>, tensor<1xi64>) -> tensor<1x6xf32>
  return %y : tensor<1x6xf32>
}

// -----

func.func @main(%x: tensor<4xf32>, %i: tensor<3xi64>, %u: tensor<3xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{expected reduction none, add, mul, max or min, got mean}}
  %y = onnx.ScatterElements(%x, %i, %u) {reduction = "mean"} : (tensor<4xf32>, tensor<3xi64>, tensor<3xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @main(%x: tensor<1x1x4x5xf32>, %scales: tensor<4xf32>) -> tensor<1x1x8x10xf32> {
  %none = onnx.NoValue
  // expected-error @+1 {{operator is not supported by the CPU target yet: scales computed at run time; a constant operand 'scales' works}}
  %y = onnx.Resize(%x, %none, %scales, %none) : (tensor<1x1x4x5xf32>, none, tensor<4xf32>, none) -> tensor<1x1x8x10xf32>
  return %y : tensor<1x1x8x10xf32>
}

// -----

func.func @main(%x: tensor<6x4xi8>, %s: tensor<3xf32>) -> tensor<6x4xf32> {
  %none = onnx.NoValue
  // expected-error @+1 {{expected operand 'x_scale' to hold one value, one an index of axis 1 or one a block, got shape (3) for data of shape (6, 4)}}
  %y = onnx.DequantizeLinear(%x, %s, %none) : (tensor<6x4xi8>, tensor<3xf32>, none) -> tensor<6x4xf32>
  return %y : tensor<6x4xf32>
}
