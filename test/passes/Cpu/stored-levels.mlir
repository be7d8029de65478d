// Fields of up to 4 bits pick their level from a register where one holds 16 floats; elsewhere, and of 8 bits, they are masked into floats.
// RUN: burin-compile %s --target=x86-64-v4 --emit=asm -o %t.s && FileCheck --check-prefix=AVX512 %s < %t.s
// RUN: burin-compile %s --target=x86-64-v3 --emit=asm -o %t.s && FileCheck --check-prefix=AVX2 %s < %t.s

// AVX512: vpermps {{.*}}%zmm
// AVX2-NOT: vpermps
// AVX2: vsubps
func.func @main(%x: tensor<1x32xf32> {onnx.name = "x"}) -> (tensor<1x64xf32> {onnx.name = "y"}) {
  %q = onnx.Constant dense<3> : tensor<32x64xi4>
  %s = onnx.Constant dense<0.5> : tensor<1x64xf32>
  %none = onnx.NoValue
  %w = onnx.DequantizeLinear(%q, %s, %none) {axis = 0 : i64, block_size = 32 : i64} : (tensor<32x64xi4>, tensor<1x64xf32>, none) -> tensor<32x64xf32>
  %y = onnx.MatMul(%x, %w) : (tensor<1x32xf32>, tensor<32x64xf32>) -> tensor<1x64xf32>
  return %y : tensor<1x64xf32>
}
