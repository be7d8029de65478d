// Inputs and outputs that no artifact can have, and those it describes: free dims with the names of their symbols.
// RUN: rm -rf %t && split-file %s %t
// RUN: burin-compile %t/free.mlir --stop-after=lower -o - | FileCheck %s --check-prefix=FREE
// RUN: not burin-compile %t/type.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=TYPE
// RUN: not ls %t/out
// RUN: burin-compile %t/free.mlir --dim batch=2 --stop-after=lower -o - | FileCheck %s --check-prefix=BOUND
// RUN: burin-compile %t/free.mlir --shape x=2x3 --stop-after=lower -o - | FileCheck %s --check-prefix=BOUND

// FREE: burin.signature = {inputs = [{dim_names = ["batch", ""], dims = array<i64: -1, 3>, dtype = 1 : i32, name = "x"}]
// BOUND: burin.signature = {inputs = [{dims = array<i64: 2, 3>, dtype = 1 : i32, name = "x"}]
// TYPE: error: {{.*}}: input 'x' is a

//--- free.mlir
func.func @main(%x: tensor<?x3xf32, #onnx.dims<["batch", ""]>> {onnx.name = "x"}) -> (tensor<?x3xf32, #onnx.dims<["batch", ""]>> {onnx.name = "y"}) {
  %0 = onnx.Relu(%x) : (tensor<?x3xf32, #onnx.dims<["batch", ""]>>) -> tensor<?x3xf32, #onnx.dims<["batch", ""]>>
  return %0 : tensor<?x3xf32, #onnx.dims<["batch", ""]>>
}
//--- type.mlir
func.func @main(%x: !onnx.seq<tensor<2xf32>> {onnx.name = "x"}) -> (tensor<2xf32> {onnx.name = "y"}) {
  %0 = onnx.Constant dense<0.0> : tensor<2xf32>
  return %0 : tensor<2xf32>
}
