// A Mul behind an Add of a rank-2 constant was folded into that constant as if the Add were a MatMul.
// RUN: burin-opt %s --graph-fuse-conv-bn | FileCheck %s

// CHECK: onnx.Add
// CHECK: onnx.Mul
func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %a = onnx.Constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %b = onnx.Constant dense<2.5> : tensor<1x1xf32>
  %s = onnx.Add(%x, %a) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %y = onnx.Mul(%s, %b) : (tensor<2x3xf32>, tensor<1x1xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
