// Folding compiles and runs: chains of constants become one constant, splats stay splats.
// RUN: burin-opt %s --pipeline=graph | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-DAG:     %[[BIG:.*]] = onnx.Constant dense_resource<{{.*}}> : tensor<512xf32>
// CHECK-DAG:     %[[SPLAT:.*]] = onnx.Constant dense<4.48168898> : tensor<512xf32>
// CHECK:         %[[SUM:.*]] = onnx.Add(%{{.*}}, %[[BIG]])
// CHECK:         %[[PRODUCT:.*]] = onnx.Mul(%[[SUM]], %[[SPLAT]])
// CHECK:         return %[[PRODUCT]]
func.func @main(%x: tensor<4x512xf32> {onnx.name = "x"}) -> (tensor<4x512xf32> {onnx.name = "y"}) {
  %a = onnx.Constant dense<1.5> : tensor<512xf32>
  %i = onnx.Constant dense<[0.0, 1.0, 2.0, 3.0]> : tensor<4xf32>
  %t = onnx.Constant dense<128> : tensor<1xi64>
  %r = onnx.Tile(%i, %t) : (tensor<4xf32>, tensor<1xi64>) -> tensor<512xf32>
  %e = onnx.Sqrt(%r) : (tensor<512xf32>) -> tensor<512xf32>
  %s = onnx.Mul(%e, %a) : (tensor<512xf32>, tensor<512xf32>) -> tensor<512xf32>
  %q = onnx.Exp(%a) : (tensor<512xf32>) -> tensor<512xf32>
  %y = onnx.Add(%x, %s) : (tensor<4x512xf32>, tensor<512xf32>) -> tensor<4x512xf32>
  %z = onnx.Mul(%y, %q) : (tensor<4x512xf32>, tensor<512xf32>) -> tensor<4x512xf32>
  return %z : tensor<4x512xf32>
}
