// RUN: burin-opt %s --split-input-file --verify-diagnostics

// expected-error@below {{expected 2 dimension names, got 1}}
func.func private @names(tensor<?x2xf32, #onnx.dims<["n"]>>)

// -----

// expected-error@below {{expected no name for a static dimension, got 'n'}}
func.func private @static(tensor<4xf32, #onnx.dims<["n"]>>)

// -----

func.func @constant() {
  // expected-error@below {{'onnx.Constant' op expected a result of type 'tensor<2xi64>', got 'tensor<3xi64>'}}
  %0 = onnx.Constant dense<[1, 2]> : tensor<2xi64> as tensor<3xi64>
  return
}

// -----

func.func @custom(%x: tensor<2xf32>) {
  // expected-error@below {{'onnx.Custom' op expected a name for each of 1 graphs, got 0}}
  %0 = onnx.Custom "d" "Foo"(%x) {} : (tensor<2xf32>) -> tensor<2xf32> {
    onnx.Yield(%x) : tensor<2xf32>
  }
  return
}

// -----

func.func @attribute(%x: tensor<2xf32>) {
  // expected-error@below {{attribute 'axis' failed to satisfy constraint: 64-bit integer attribute}}
  %0 = onnx.Softmax(%x) {axis = "one"} : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @required(%x: tensor<2xf32>) {
  // expected-error@below {{'onnx.Concat' op requires attribute 'axis'}}
  %0 = onnx.Concat(%x, %x) : (tensor<2xf32>, tensor<2xf32>) -> tensor<4xf32>
  return
}
