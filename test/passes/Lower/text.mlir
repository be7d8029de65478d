// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// A string is a pointer: what moves it needs no function; a constant is made at run time.
// CHECK-LABEL: @main(%arg0: tensor<2x3xi64>
// CHECK-SAME: burin.dtype = 8 : i32
// CHECK: foreign.call "burin_string_constant"
// CHECK-SAME: value = ["a", "b"]
// CHECK: cf.assert {{.*}} {burin.status = 12 : i32}
// CHECK: tensor.insert_slice
func.func @main(%x: tensor<2x3x!onnx.string>) -> tensor<2x4x!onnx.string> {
  %c = onnx.Constant dense<["a", "b"]> : tensor<2x!onnx.string>
  %axes = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.Unsqueeze(%c, %axes) : (tensor<2x!onnx.string>, tensor<1xi64>) -> tensor<2x1x!onnx.string>
  %1 = onnx.Concat(%x, %0) {axis = 1 : i64} : (tensor<2x3x!onnx.string>, tensor<2x1x!onnx.string>) -> tensor<2x4x!onnx.string>
  return %1 : tensor<2x4x!onnx.string>
}

// -----

// What makes strings or looks into them is a call; operands broadcast before it.
// CHECK-LABEL: @main
// CHECK: %[[B:.*]] = linalg.generic {{.*}}ins(%arg1 : tensor<3xi64>)
// CHECK: foreign.call "burin_string_equal" context(%{{.*}}) ins(%arg0, %[[B]] : tensor<2x3xi64>, tensor<2x3xi64>)
// CHECK-SAME: dtypes = array<i32: 8, 8, 9>
func.func @main(%x: tensor<2x3x!onnx.string>, %y: tensor<3x!onnx.string>) -> tensor<2x3xi1> {
  %0 = onnx.Equal(%x, %y) : (tensor<2x3x!onnx.string>, tensor<3x!onnx.string>) -> tensor<2x3xi1>
  return %0 : tensor<2x3xi1>
}

// -----

// CHECK-LABEL: @main
// CHECK: foreign.call "my_function" context(%{{.*}}) ins(%arg0, %{{.*}} : tensor<2xf32>, tensor<0xi8>) outs(%{{.*}} : tensor<4xf32>, tensor<i32>)
// CHECK-SAME: dtypes = array<i32: 1, 0, 1>, node_attributes = {alpha = 2.000000e+00 : f32}
func.func @main(%x: tensor<2xf32>) -> tensor<4xf32> {
  %none = onnx.NoValue
  %0 = onnx.Custom "com.acme" "Scale"(%x, %none) {alpha = 2.0 : f32} : (tensor<2xf32>, none) -> tensor<4xf32> attributes {burin.callee = "my_function"}
  return %0 : tensor<4xf32>
}
