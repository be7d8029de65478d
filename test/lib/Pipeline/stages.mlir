// Each stage by its --stop-after name, continued from its own output; all roads end in the same code.
// RUN: rm -rf %t && mkdir -p %t
// RUN: burin-compile %s --stop-after=graph -o - | FileCheck %s --check-prefixes=GRAPH
// RUN: burin-compile %s --stop-after=lower -o - | FileCheck %s --check-prefixes=LOWER,SIGNATURE
// RUN: burin-compile %s --stop-after=tensor -o - | FileCheck %s --check-prefixes=TENSOR,SIGNATURE
// RUN: burin-compile %s --stop-after=target -o - | FileCheck %s --check-prefixes=TARGET,SIGNATURE
// RUN: burin-compile %s --emit=asm --name=m -o %t/direct.s
// RUN: burin-compile %s --stop-after=tensor -o %t/half.mlir
// RUN: burin-compile %t/half.mlir --emit=asm --name=m -o %t/continued.s
// RUN: grep -v -e compiler -e "size.*text" %t/direct.s > %t/a && grep -v -e compiler -e "size.*text" %t/continued.s > %t/b && cmp %t/a %t/b
// RUN: burin-opt %s --pipeline=all | FileCheck %s --check-prefix=TARGETOP
// RUN: not burin-opt %s --pipeline=everything 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// SIGNATURE: burin.signature = {inputs = [{dims = array<i64: 2, 3>, dtype = 1 : i32, name = "x"}], outputs = [{dims = array<i64: 2, 3>, dtype = 1 : i32, name = "y"}]}
// GRAPH: burin.stage = "graph"
// GRAPH: onnx.Relu
// LOWER: burin.stage = "lower"
// LOWER: linalg.generic
// TENSOR: burin.stage = "tensor"
// TENSOR: memref<2x3xf32>
// TARGET: burin.stage = "target"
// TARGET: llvm.func @entry
// TARGETOP: llvm.func @entry
// UNKNOWN: unknown pipeline 'everything', expected one of graph, lower, tensor, cpu, all
module {
  func.func @main(%x: tensor<2x3xf32> {onnx.name = "x"}) -> (tensor<2x3xf32> {onnx.name = "y"}) {
    %0 = onnx.Relu(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
    return %0 : tensor<2x3xf32>
  }
}
