// RUN: burin-opt %s --split-input-file --lower-onnx --verify-diagnostics

func.func @main(%x: tensor<2x!onnx.string>) -> tensor<2xi1> {
  // expected-error@+1 {{expected a regular expression in RE2's syntax, got 'a(b': missing ): a(b}}
  %0 = onnx.RegexFullMatch(%x) {pattern = "a(b"} : (tensor<2x!onnx.string>) -> tensor<2xi1>
  return %0 : tensor<2xi1>
}

// -----

func.func @main(%x: tensor<2x!onnx.string>) -> tensor<2x!onnx.string> {
  // expected-error@+1 {{operator is not supported by the CPU target yet: elements that are strings}}
  %0 = onnx.Sin(%x) : (tensor<2x!onnx.string>) -> tensor<2x!onnx.string>
  return %0 : tensor<2x!onnx.string>
}

// -----

func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error@+1 {{operator of domain 'com.acme' is not known; bind it to a C function with --custom-op=com.acme.Scale=FUNCTION}}
  %0 = onnx.Custom "com.acme" "Scale"(%x) {} : (tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}
