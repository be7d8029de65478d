// A GhostModule (convolution, cheap depthwise of it, both side by side) and a partial convolution (a quarter of the channels
// convolved, the rest passed on, the whole added later): no part is copied, and one buffer holds a block.
// RUN: burin-opt %s --graph --pipeline=lower -o %t.mlir
// RUN: burin-opt %t.mlir --pipeline=tensor -o %t.tensor.mlir
// RUN: grep -c "nn\." %t.tensor.mlir
// RUN: not grep memref.copy %t.tensor.mlir
func.func @main(%x: tensor<1x8x12x12xf32> {onnx.name = "x"}, %p: tensor<1x8x12x12xf32> {onnx.name = "p"})
    -> (tensor<1x8x12x12xf32> {onnx.name = "ghost"}, tensor<1x8x12x12xf32> {onnx.name = "partial"}) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<0.125> : tensor<8x8x1x1xf32>
  %d = onnx.Constant dense<0.25> : tensor<8x1x3x3xf32>
  %o = onnx.Constant dense<0.5> : tensor<8x16x1x1xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x8x12x12xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x12x12xf32>
  %1 = onnx.Relu(%0) : (tensor<1x8x12x12xf32>) -> tensor<1x8x12x12xf32>
  %2 = onnx.Conv(%1, %d, %none) {group = 8 : i64, pads = array<i64: 1, 1, 1, 1>} : (tensor<1x8x12x12xf32>, tensor<8x1x3x3xf32>, none) -> tensor<1x8x12x12xf32>
  %3 = onnx.Relu(%2) : (tensor<1x8x12x12xf32>) -> tensor<1x8x12x12xf32>
  %4 = onnx.Concat(%1, %3) {axis = 1 : i64} : (tensor<1x8x12x12xf32>, tensor<1x8x12x12xf32>) -> tensor<1x16x12x12xf32>
  %5 = onnx.Conv(%4, %o, %none) : (tensor<1x16x12x12xf32>, tensor<8x16x1x1xf32>, none) -> tensor<1x8x12x12xf32>

  %sizes = onnx.Constant dense<[2, 6]> : tensor<2xi64>
  %c = onnx.Constant dense<0.125> : tensor<2x2x3x3xf32>
  %6 = onnx.Conv(%p, %w, %none) : (tensor<1x8x12x12xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x12x12xf32>
  %7:2 = onnx.Split(%6, %sizes) {axis = 1 : i64} : (tensor<1x8x12x12xf32>, tensor<2xi64>) -> (tensor<1x2x12x12xf32>, tensor<1x6x12x12xf32>)
  %8 = onnx.Conv(%7#0, %c, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x2x12x12xf32>, tensor<2x2x3x3xf32>, none) -> tensor<1x2x12x12xf32>
  %9 = onnx.Concat(%8, %7#1) {axis = 1 : i64} : (tensor<1x2x12x12xf32>, tensor<1x6x12x12xf32>) -> tensor<1x8x12x12xf32>
  %10 = onnx.Conv(%9, %w, %none) : (tensor<1x8x12x12xf32>, tensor<8x8x1x1xf32>, none) -> tensor<1x8x12x12xf32>
  %11 = onnx.Add(%10, %6) : (tensor<1x8x12x12xf32>, tensor<1x8x12x12xf32>) -> tensor<1x8x12x12xf32>
  return %5, %11 : tensor<1x8x12x12xf32>, tensor<1x8x12x12xf32>
}
