// Several instruction sets in one artifact, best first whatever the order given; the run-time takes the first that the CPU has.
// RUN: rm -rf %t && mkdir -p %t
// RUN: %python -c "import numpy as np; x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3); np.savez(r'%t/x.npz', x=x); np.savez(r'%t/y.npz', y=np.maximum(x, 0))"
// RUN: burin-compile %s --target=x86-64,x86-64-v4,x86-64-v3 -o %t/program
// RUN: %t/program --describe | FileCheck %s
// RUN: %t/program --inputs %t/x.npz --expect %t/y.npz
// RUN: burin-compile %s --target=x86-64,x86-64-v3 -o %t/libnet.a
// RUN: llvm-nm --defined-only %t/libnet.a | FileCheck %s --check-prefix=SYMBOLS
// RUN: not burin-compile %s --target=x86-64,aarch64 -o %t/out 2>&1 | FileCheck %s --check-prefix=MIXED
// RUN: not burin-compile %s --target=x86-64,x86-64-v3 --emit=asm -o - 2>&1 | FileCheck %s --check-prefix=ASM

// CHECK: variants:
// CHECK-NEXT: x86-64-v4, needs avx2+fma avx512
// CHECK-NEXT: x86-64-v3, needs avx2+fma
// CHECK-NEXT: x86-64, needs nothing special
// CHECK: "target":"x86-64-v4,x86-64-v3,x86-64"
// SYMBOLS-DAG: net_x86_64_v3_entry
// SYMBOLS-DAG: net_x86_64_entry
// MIXED: error: {{.*}}targets 'x86-64' and 'aarch64' are of different architectures, expected one in an artifact
// ASM: error: --emit=asm shows the code of one target, got 2
func.func @main(%x: tensor<2x3xf32> {onnx.name = "x"}) -> (tensor<2x3xf32> {onnx.name = "y"}) {
  %0 = onnx.Relu(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}
