// RUN: burin-opt %s --split-input-file --graph-bind-shapes='shapes=x=2x3x8x8' | FileCheck %s --check-prefix=SHAPES
// RUN: burin-opt %s --split-input-file --graph-bind-shapes='dims=n=5' | FileCheck %s --check-prefix=DIMS
// RUN: burin-opt %s --split-input-file --graph-bind-shapes='shapes=x=?x3x-1x8' | FileCheck %s --check-prefix=OPEN
// RUN: burin-opt %S/Inputs/lengths.mlir --graph-bind-shapes='lengths=s=2,o=none,p=1 shapes=s[1]=4' | FileCheck %S/Inputs/lengths.mlir

// A shape binds the input and, by its names, every other input with the same symbol.
// SHAPES-LABEL: @shapes
// SHAPES-SAME: tensor<2x3x8x8xf32> {onnx.name = "x"}, %{{.*}}: tensor<2x4xf32> {onnx.name = "y"}
// DIMS-LABEL: @shapes
// DIMS-SAME: tensor<5x3x?x?xf32, #onnx.dims<["", "", "h", ""]>> {onnx.name = "x"}, %{{.*}}: tensor<5x4xf32>
// OPEN-LABEL: @shapes
// OPEN-SAME: tensor<?x3x?x8xf32, #onnx.dims<["n", "", "h", ""]>> {onnx.name = "x"}, %{{.*}}: tensor<?x4xf32, #onnx.dims<["n", ""]>>
func.func @shapes(%x: tensor<?x3x?x?xf32, #onnx.dims<["n", "", "h", ""]>> {onnx.name = "x"}, %y: tensor<?x4xf32, #onnx.dims<["n", ""]>> {onnx.name = "y"})
    -> tensor<?x4xf32, #onnx.dims<["n", ""]>> {
  return %y : tensor<?x4xf32, #onnx.dims<["n", ""]>>
}
