// Equal frames are shared by CSE; two results that begin in one frame must not meet in one of the caller's buffers.
// RUN: burin-opt %s --graph --pipeline=lower -o %t.mlir
// RUN: burin-opt %t.mlir --pipeline=tensor | FileCheck %s
// CHECK-LABEL: @main
// CHECK-SAME: %[[Y:arg[0-9]+]]: memref<1x1x4x2xf32> {burin.dtype = 1 : i32, onnx.name = "y"}
// CHECK-NOT: memref.copy %[[Y]],
// CHECK: return
func.func @main(%a: tensor<1x1x3x2xf32> {onnx.name = "a"}, %b: tensor<1x1x3x2xf32> {onnx.name = "b"}, %u: tensor<1x1x1x2xf32> {onnx.name = "u"},
    %i: tensor<1xi64> {onnx.name = "i"}) -> (tensor<1x1x4x2xf32> {onnx.name = "y"}, tensor<1x1x4x2xf32> {onnx.name = "z"}) {
  %p = onnx.Constant dense<[0,0,0,0,0,0,1,0]> : tensor<8xi64>
  %n = onnx.NoValue
  %0 = onnx.Pad(%a, %p, %n, %n) : (tensor<1x1x3x2xf32>, tensor<8xi64>, none, none) -> tensor<1x1x4x2xf32>
  %1 = onnx.TensorScatter(%0, %u, %i) {axis = 2 : i64} : (tensor<1x1x4x2xf32>, tensor<1x1x1x2xf32>, tensor<1xi64>) -> tensor<1x1x4x2xf32>
  %2 = onnx.Pad(%b, %p, %n, %n) : (tensor<1x1x3x2xf32>, tensor<8xi64>, none, none) -> tensor<1x1x4x2xf32>
  %3 = onnx.TensorScatter(%2, %u, %i) {axis = 2 : i64} : (tensor<1x1x4x2xf32>, tensor<1x1x1x2xf32>, tensor<1xi64>) -> tensor<1x1x4x2xf32>
  return %1, %3 : tensor<1x1x4x2xf32>, tensor<1x1x4x2xf32>
}
