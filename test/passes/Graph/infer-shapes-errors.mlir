// RUN: not burin-opt %s --graph-infer-shapes 2>&1 | FileCheck %s

// CHECK: error: {{.*}}incompatible dimensions
func.func @main(%x: tensor<1x2xf32>, %y: tensor<3x4xf32>) -> tensor<?x?xf32> {
  %0 = onnx.MatMul(%x, %y) : (tensor<1x2xf32>, tensor<3x4xf32>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}
