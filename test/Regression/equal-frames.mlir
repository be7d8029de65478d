// Two producers write into frames of equal shape: each has its own memory, or the second would start from a copy of the first.
// RUN: burin-opt %s --graph --pipeline=lower -o %t.mlir
// RUN: burin-opt %t.mlir --pipeline=tensor | FileCheck %s
// CHECK-LABEL: @main
// CHECK-COUNT-3: nn.conv
// CHECK-NOT: memref.copy
func.func @main(%x: tensor<1x8x6x6xf32> {onnx.name = "x"}) -> (tensor<1x8x6x6xf32> {onnx.name = "y"}) {
  %none = onnx.NoValue
  %a = onnx.Constant dense<0.125> : tensor<8x8x3x3xf32>
  %b = onnx.Constant dense<0.25> : tensor<8x8x3x3xf32>
  %c = onnx.Constant dense<0.5> : tensor<8x8x3x3xf32>
  %0 = onnx.Conv(%x, %a, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x8x6x6xf32>, tensor<8x8x3x3xf32>, none) -> tensor<1x8x6x6xf32>
  %r = onnx.Relu(%0) : (tensor<1x8x6x6xf32>) -> tensor<1x8x6x6xf32>
  %1 = onnx.Conv(%r, %b, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x8x6x6xf32>, tensor<8x8x3x3xf32>, none) -> tensor<1x8x6x6xf32>
  %s = onnx.Relu(%1) : (tensor<1x8x6x6xf32>) -> tensor<1x8x6x6xf32>
  %2 = onnx.Conv(%s, %c, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x8x6x6xf32>, tensor<8x8x3x3xf32>, none) -> tensor<1x8x6x6xf32>
  return %2 : tensor<1x8x6x6xf32>
}
