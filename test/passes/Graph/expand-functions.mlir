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
