// RUN: burin-opt %s --graph-append-postprocessing="append=picture:y" | FileCheck %s

// Phases become a picture behind the arithmetic, as bytes; what the float picture had been is gone.
// CHECK-LABEL: func.func @main
// CHECK: onnx.Mul(%arg0
// CHECK: onnx.Cast({{.*}} -> tensor<1x9x8x8xui8>
// CHECK: onnx.DepthToSpace({{.*}} : (tensor<1x9x8x8xui8>) -> tensor<1x1x24x24xui8>
// CHECK-NOT: DepthToSpace
// CHECK: onnx.Transpose
func.func @main(%x: tensor<1x9x8x8xf32> {onnx.name = "x"}) -> (tensor<1x1x24x24xf32> {onnx.name = "y"}) {
  %y = onnx.DepthToSpace(%x) {blocksize = 3 : i64} : (tensor<1x9x8x8xf32>) -> tensor<1x1x24x24xf32>
  return %y : tensor<1x1x24x24xf32>
}
