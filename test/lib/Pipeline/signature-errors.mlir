// Shapes that the target needs and the model leaves open: the dim and the flag are named, or the node whose data decides.
// RUN: rm -rf %t && split-file %s %t
// RUN: not burin-compile %t/named.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=NAMED
// RUN: not burin-compile %t/unnamed.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=UNNAMED
// RUN: not burin-compile %t/data.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=DATA
// RUN: not burin-compile %t/type.mlir -o %t/out 2>&1 | FileCheck %s --check-prefix=TYPE
// RUN: not ls %t/out
// RUN: burin-compile %t/named.mlir --dim batch=2 -o %t/out
// RUN: burin-compile %t/unnamed.mlir --shape x=2x3 -o %t/out

// NAMED: error: {{.*}}: dim 0 ('batch') of input 'x' is not bound and this target needs every shape at compile time; give --dim batch=N or --shape x=Nx3
// UNNAMED: error: {{.*}}: dim 0 of input 'x' is not bound and this target needs every shape at compile time; give --shape x=Nx3
// DATA: error: {{.*}}the shape of its result is known only at run time, so dim 1 of output 'y' is not known at compile time
// TYPE: error: {{.*}}: input 'x' is a '!onnx.seq<tensor<2xf32>>', which compiled models cannot take or give; expected a tensor of numbers with a known rank

//--- named.mlir
func.func @main(%x: tensor<?x3xf32, #onnx.dims<["batch", ""]>> {onnx.name = "x"}) -> (tensor<?x3xf32, #onnx.dims<["batch", ""]>> {onnx.name = "y"}) {
  %0 = onnx.Relu(%x) : (tensor<?x3xf32, #onnx.dims<["batch", ""]>>) -> tensor<?x3xf32, #onnx.dims<["batch", ""]>>
  return %0 : tensor<?x3xf32, #onnx.dims<["batch", ""]>>
}
//--- unnamed.mlir
func.func @main(%x: tensor<?x3xf32> {onnx.name = "x"}) -> (tensor<?x3xf32> {onnx.name = "y"}) {
  %0 = onnx.Relu(%x) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}
//--- data.mlir
func.func @main(%x: tensor<2x3xf32> {onnx.name = "x"}) -> (tensor<2x?xi64> {onnx.name = "y"}) {
  %0 = onnx.NonZero(%x) : (tensor<2x3xf32>) -> tensor<2x?xi64>
  return %0 : tensor<2x?xi64>
}
//--- type.mlir
func.func @main(%x: !onnx.seq<tensor<2xf32>> {onnx.name = "x"}) -> (tensor<2xf32> {onnx.name = "y"}) {
  %0 = onnx.Constant dense<0.0> : tensor<2xf32>
  return %0 : tensor<2xf32>
}
