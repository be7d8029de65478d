// RUN: burin-opt %s --verify-graph | FileCheck %s

// CHECK-LABEL: @good
func.func @good(%x: tensor<?x3xf32>) -> tensor<2xi64> {
  %0 = onnx.Relu(%x) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %1 = onnx.Shape(%0) : (tensor<?x3xf32>) -> tensor<2xi64>
  return %1 : tensor<2xi64>
}
