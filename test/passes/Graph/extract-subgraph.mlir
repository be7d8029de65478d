// RUN: burin-opt %s --graph-extract-subgraph="inputs=h outputs=second" | FileCheck %s
// RUN: burin-opt %s --graph-extract-subgraph="outputs=h" | FileCheck %s --check-prefix=HEAD
// RUN: not burin-opt %s --graph-extract-subgraph="inputs=x outputs=y" -o /dev/null 2>&1 | FileCheck %s --check-prefix=OPEN
// RUN: not burin-opt %s --graph-extract-subgraph="outputs=nothing" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NAME

// `h` is a tensor's name in the file, `second` a node's.
// CHECK-LABEL: func.func @middle(%arg0: tensor<?x2xf32> {onnx.name = "h"}) -> (tensor<?x2xf32> {onnx.name = "second"})
// CHECK-NEXT: %[[T:.*]] = onnx.Tanh(%arg0)
// CHECK-NEXT: return %[[T]]
// HEAD-LABEL: func.func @middle(%arg0: tensor<?x2xf32> {onnx.name = "x"}) -> (tensor<?x2xf32> {onnx.name = "h"})
// HEAD-NEXT: %[[R:.*]] = onnx.Relu(%arg0)
// HEAD-NOT: result_names
// HEAD: return %[[R]]
// OPEN: error: expected inputs that cut the outputs off from the rest, got a graph that still reads 'z'
// NAME: error: expected the name of a tensor or of a node to extract, got 'nothing'
func.func @middle(%x: tensor<?x2xf32> {onnx.name = "x"}, %z: tensor<?x2xf32> {onnx.name = "z"}) -> (tensor<?x2xf32> {onnx.name = "y"}) {
  %0 = onnx.Relu(%x) {onnx.result_names = ["h"]} : (tensor<?x2xf32>) -> tensor<?x2xf32> loc("first"("Relu, opset 17"("m.onnx":1:0)))
  %1 = onnx.Tanh(%0) : (tensor<?x2xf32>) -> tensor<?x2xf32> loc("second"("Tanh, opset 17"("m.onnx":2:0)))
  %2 = onnx.Add(%1, %z) : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32> loc("third"("Add, opset 17"("m.onnx":3:0)))
  return %2 : tensor<?x2xf32>
}
