// RUN: not burin-opt %s --graph-bind-shapes='shapes=z=1x3' 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not burin-opt %s --graph-bind-shapes='shapes=x=1x3x4' 2>&1 | FileCheck %s --check-prefix=RANK
// RUN: not burin-opt %s --graph-bind-shapes='shapes=x=1x4' 2>&1 | FileCheck %s --check-prefix=DIM
// RUN: not burin-opt %s --graph-bind-shapes='shapes=x=1xa' 2>&1 | FileCheck %s --check-prefix=TEXT
// RUN: not burin-opt %s --graph-bind-shapes='dims=m=4' 2>&1 | FileCheck %s --check-prefix=SYMBOL
// RUN: not burin-opt %s --graph-bind-shapes='dims=n=four' 2>&1 | FileCheck %s --check-prefix=NUMBER
// RUN: not burin-opt %s --graph-bind-shapes='shapes=x=2x3 dims=n=4' 2>&1 | FileCheck %s --check-prefix=TWICE

// NAME: error: {{.*}}expected the name of an input (x, y) before '=' in a shape, got 'z'
// RANK: error: {{.*}}expected 2 dims for input 'x', got 3 in '1x3x4'
// DIM: error: {{.*}}expected 3 for dim 1 of input 'x', got 4
// TEXT: error: {{.*}}expected a shape such as 1x3x224x224 for input 'x', got '1xa'
// SYMBOL: error: {{.*}}expected the name of a symbolic dim (n), got 'm'
// NUMBER: error: {{.*}}expected a number for dim 'n', got 'four'
// TWICE: error: {{.*}}expected one size for dim 'n', got 2 and 4
func.func @main(%x: tensor<?x3xf32, #onnx.dims<["n", ""]>> {onnx.name = "x"}, %y: tensor<f32> {onnx.name = "y"}) -> tensor<f32> {
  return %y : tensor<f32>
}
