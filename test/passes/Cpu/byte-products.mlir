// What multiplies bytes on each machine: the dot product where there is one, and nothing that saturates elsewhere.
// RUN: burin-compile %s --target=x86-64-v4+avx512vnni --emit=asm -o %t.s && FileCheck --check-prefixes=VNNI,X86 %s < %t.s
// RUN: burin-compile %s --target=x86-64-v3+avxvnni --emit=asm -o %t.s && FileCheck --check-prefixes=AVXVNNI,X86 %s < %t.s
// RUN: burin-compile %s --target=x86-64-v4 --emit=asm -o %t.s && FileCheck --check-prefixes=AVX512,X86 %s < %t.s
// RUN: burin-compile %s --target=x86-64-v3 --emit=asm -o %t.s && FileCheck --check-prefixes=AVX2,X86 %s < %t.s
// RUN: burin-compile %s --target=aarch64 --emit=asm -o %t.s && FileCheck --check-prefix=NEON %s < %t.s
// RUN: burin-compile %s --target=aarch64+dotprod --emit=asm -o %t.s && FileCheck --check-prefix=DOT %s < %t.s
// RUN: burin-compile %s --target=aarch64+i8mm --emit=asm -o %t.s && FileCheck --check-prefix=MIXED %s < %t.s
// RUN: burin-compile %s --target=wasm32 --emit=asm -o %t.s && FileCheck --check-prefix=WASM %s < %t.s

// VNNI: vpdpbusd {{.*}}%zmm
// AVXVNNI: {vex} vpdpbusd {{.*}}%ymm
// AVX512: vpmaddwd {{.*}}%zmm
// AVX2: vpmaddwd {{.*}}%ymm
// X86-NOT: vpmaddubsw
// NEON: smull
// NEON: saddlp
// DOT: sdot
// MIXED: usmmla
// WASM: i32x4.dot_i16x8_s
func.func @main(%x: tensor<1x64x8x8xui8> {onnx.name = "x"}) -> (tensor<1x32x6x6xi32> {onnx.name = "y"}) {
  %w = onnx.Constant dense<3> : tensor<32x64x3x3xi8>
  %z = onnx.Constant dense<7> : tensor<ui8>
  %none = onnx.NoValue
  %y = onnx.ConvInteger(%x, %w, %z, %none) {kernel_shape = array<i64: 3, 3>} : (tensor<1x64x8x8xui8>, tensor<32x64x3x3xi8>, tensor<ui8>, none) -> tensor<1x32x6x6xi32>
  return %y : tensor<1x32x6x6xi32>
}
