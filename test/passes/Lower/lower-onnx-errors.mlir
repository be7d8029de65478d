// RUN: burin-opt %s --split-input-file --lower-onnx --verify-diagnostics

func.func @main(%x: tensor<1x3x?x?xf32, #onnx.dims<["", "", "height", "width"]>> {onnx.name = "image"}) -> tensor<1x3x?x?xf32> {
  // expected-error @+1 {{operator takes no free dims on the CPU target yet; dim 2 ('height') of input 'image' is free; bind it with --dim height=N or --shape image=1x3xNxN}}
  %y = onnx.LRN(%x) {size = 3 : i64} : (tensor<1x3x?x?xf32, #onnx.dims<["", "", "height", "width"]>>) -> tensor<1x3x?x?xf32>
  return %y : tensor<1x3x?x?xf32>
}

// -----

func.func @main(%x: tensor<?x4xf32> {onnx.name = "x"}) -> tensor<?x4xf32> {
  // expected-error @+1 {{operator takes no free dims on the CPU target yet; dim 0 of input 'x' is free; bind it with --shape x=Nx4}}
  %y = onnx.LRN(%x) {size = 3 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// expected-error @+1 {{input 'words': expected a tensor of numbers of known rank, got 'tensor<*x!onnx.string>'}}
func.func @main(%x: tensor<*x!onnx.string> {onnx.name = "words"}) {
  return
}

// -----

func.func @main(%x: tensor<4x5xf32>, %d: tensor<?xi64>) -> tensor<*xf32> {
  // expected-error @+1 {{the shape of its result depends on data, which the CPU target does not support yet}}
  %a = onnx.Reshape(%x, %d) : (tensor<4x5xf32>, tensor<?xi64>) -> tensor<*xf32>
  return %a : tensor<*xf32>
}

// -----

func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{operator of domain 'com.acme' is not known; bind it to a C function with --custom-op=com.acme.Frobnicate=FUNCTION, or give it a function body in the model}}
  %a = onnx.Custom "com.acme" "Frobnicate"(%x) {} : (tensor<4xf32>) -> tensor<4xf32>
  return %a : tensor<4xf32>
}

// -----

func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{operator is not supported by the CPU target yet; --emit=onnx and --stop-after=graph still work}}
  %a = onnx.Bernoulli(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %a : tensor<4xf32>
}

// -----

func.func @main(%n: tensor<i64>, %hz: tensor<f32>) -> tensor<9x4xf32> {
  // expected-error @+1 {{operator is not supported by the CPU target yet: operands computed at run time; constants work}}
  %y = onnx.MelWeightMatrix(%n, %n, %n, %hz, %hz) : (tensor<i64>, tensor<i64>, tensor<i64>, tensor<f32>, tensor<f32>) -> tensor<9x4xf32>
  return %y : tensor<9x4xf32>
}

// -----

func.func @main(%x: tensor<2x4xf32>, %axes: tensor<1xi64>) -> tensor<2x1xf32> {
  // expected-error @+1 {{expected operand 'axes' to be a constant, got a value computed at run time}}
  %y = onnx.ReduceSum(%x, %axes) : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  return %y : tensor<2x1xf32>
}

// -----

// expected-error @+1 {{expected a function @main with a body, got none}}
module {}
