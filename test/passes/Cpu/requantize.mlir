// The end of a requantization in a product's epilogue: registers are rounded as they become integers, then narrowed four at a time by what saturates; the zero point is
// added to words of 16 bits.
// RUN: burin-compile %s --target=x86-64-v4+avx512vnni --emit=asm -o %t.s && FileCheck --check-prefix=X86 %s < %t.s
// RUN: burin-compile %s --target=x86-64-v3 --emit=asm -o %t.s && FileCheck --check-prefix=X86 %s < %t.s
// RUN: burin-compile %s --target=aarch64+dotprod --emit=asm -o %t.s && FileCheck --check-prefix=ARM %s < %t.s

// X86-NOT: vround
// X86-NOT: vrndscale
// X86: vcvtps2dq
// X86: vpackssdw
// X86: vpaddsw
// X86: vpackuswb
// ARM-NOT: frintn
// ARM: fcvtns
// ARM: sqxtn
// ARM: sqadd
// ARM: sqxtun
func.func @main(%x: tensor<16x64xui8> {onnx.name = "x"}) -> (tensor<16x32xui8> {onnx.name = "y"}) {
  %w = onnx.Constant dense<3> : tensor<64x32xi8>
  %xz = onnx.Constant dense<5> : tensor<ui8>
  %wz = onnx.Constant dense<0> : tensor<i8>
  %yz = onnx.Constant dense<7> : tensor<ui8>
  %s = onnx.Constant dense<0.01> : tensor<f32>
  %y = onnx.QLinearMatMul(%x, %s, %xz, %w, %s, %wz, %s, %yz) : (tensor<16x64xui8>, tensor<f32>, tensor<ui8>, tensor<64x32xi8>, tensor<f32>, tensor<i8>, tensor<f32>, tensor<ui8>) -> tensor<16x32xui8>
  return %y : tensor<16x32xui8>
}
