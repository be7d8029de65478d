// RUN: burin-opt %s --graph-expand-functions | FileCheck %s
// RUN: burin-opt %s --graph-expand-functions='keep=Mish,Softplus' | FileCheck %s --check-prefix=KEEP
// RUN: burin-opt %s --graph-expand-functions='only=Elu' | FileCheck %s --check-prefix=KEEP

// CHECK-LABEL: @mish
// CHECK-NOT: onnx.Mish
// CHECK: onnx.Tanh
// CHECK: onnx.Mul
// KEEP-LABEL: @mish
// KEEP: onnx.Mish
func.func @mish(%x: tensor<2xf32>) -> tensor<2xf32> {
  %0 = onnx.Mish(%x) : (tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// Several uses of one, of a free size: its body stands there once. What has no body stays, and so does what is kept.
// CHECK-LABEL: @several_uses
// CHECK-COUNT-1: onnx.Tanh
// CHECK-NOT: onnx.Tanh
// CHECK: onnx.Sigmoid
// KEEP-LABEL: @several_uses
func.func @several_uses(%x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %0 = onnx.Mish(%x) : (tensor<?xf32>) -> tensor<?xf32>
  %1 = onnx.Sigmoid(%0) : (tensor<?xf32>) -> tensor<?xf32>
  return %0, %1 : tensor<?xf32>, tensor<?xf32>
}
