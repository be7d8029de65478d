// RUN: burin-opt %s --graph-convert-precision="to=f16 keep=Relu,here" | FileCheck %s
// RUN: not burin-opt %s --graph-convert-precision="to=f16 keep=nowhere" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not burin-opt %s --graph-convert-precision="to=f8" -o /dev/null 2>&1 | FileCheck %s --check-prefix=TYPE

// CHECK-LABEL: @kept
// CHECK: onnx.Relu({{.*}}) : (tensor<2xf32>) -> tensor<2xf32>
// CHECK: onnx.Tanh({{.*}}) : (tensor<2xf16>) -> tensor<2xf16>
// CHECK: onnx.Tanh({{.*}}) : (tensor<2xf32>) -> tensor<2xf32>
// NAME: error: expected the name of a node or of an operator to keep in f32, got 'nowhere'
// TYPE: error: expected f16 or bf16 to convert to, got 'f8'
func.func @kept(%x: tensor<2xf32>) -> tensor<2xf32> {
  %0 = onnx.Relu(%x) : (tensor<2xf32>) -> tensor<2xf32>
  %1 = onnx.Tanh(%0) : (tensor<2xf32>) -> tensor<2xf32>
  %2 = onnx.Tanh(%1) : (tensor<2xf32>) -> tensor<2xf32> loc("here"("Tanh, opset 17"("m.onnx":3:0)))
  return %2 : tensor<2xf32>
}
