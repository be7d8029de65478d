// RUN: not burin-opt %s --graph-insert-preprocessing="mean=1" -o /dev/null 2>&1 | FileCheck %s --check-prefix=TWO
// RUN: not burin-opt %s --graph-insert-preprocessing="mean=1,2 input=a" -o /dev/null 2>&1 | FileCheck %s --check-prefix=COUNT
// RUN: not burin-opt %s --graph-insert-preprocessing="scale=0 input=a" -o /dev/null 2>&1 | FileCheck %s --check-prefix=ZERO
// RUN: not burin-opt %s --graph-insert-preprocessing="mean=1 input=c" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not burin-opt %s --graph-insert-preprocessing="source=9x9 input=b" -o /dev/null 2>&1 | FileCheck %s --check-prefix=SIZE
// RUN: not burin-opt %s --graph-insert-preprocessing="source=9x9 input=a resize-mode=best" -o /dev/null 2>&1 | FileCheck %s --check-prefix=MODE

// MODE: error: preprocessing of input 'a': expected resize mode linear, cubic, nearest or area, got 'best'
// TWO: error: expected one image input to preprocess, got 2; name one with --preprocess-input
// COUNT: error: preprocessing of input 'a': expected 1 value or one a channel (3) of mean and scale, got 2
// ZERO: error: preprocessing of input 'a': expected a scale other than 0, got 0
// NAME: error: expected the name of an input (a, b), got 'c'
// SIZE: error: preprocessing of input 'b': expected a network of known height and width to resize to, got 'tensor<1x3x?x?xf32>'
func.func @main(%a: tensor<1x3x4x4xf32> {onnx.name = "a"}, %b: tensor<1x3x?x?xf32> {onnx.name = "b"}) -> tensor<1x3x4x4xf32> {
  return %a : tensor<1x3x4x4xf32>
}
