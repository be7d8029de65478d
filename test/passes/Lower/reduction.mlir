// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case sum: over the dims where they lie; keepdims is a reshape.
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: arith.addf
// CHECK: tensor.expand_shape {{.*}} into tensor<2x3x1xf32>
func.func @main(%x: tensor<2x3x4xf32>) -> tensor<2x3x1xf32> {
  %axes = onnx.Constant dense<-1> : tensor<1xi64>
  %y = onnx.ReduceSum(%x, %axes) : (tensor<2x3x4xf32>, tensor<1xi64>) -> tensor<2x3x1xf32>
  return %y : tensor<2x3x1xf32>
}

// -----

// Case max_unsigned: starts at the least value of the type.
// CHECK: arith.constant 0 : i8
// CHECK: arith.maxui
func.func @main(%x: tensor<2x3xui8>) -> tensor<ui8> {
  %none = onnx.NoValue
  %y = onnx.ReduceMax(%x, %none) {keepdims = 0 : i64} : (tensor<2x3xui8>, none) -> tensor<ui8>
  return %y : tensor<ui8>
}

// -----

// Case noop: no axes and noop_with_empty_axes: only what is not reduction is done.
// CHECK: iterator_types = ["parallel"]
// CHECK-NOT: "reduction"
// CHECK: arith.mulf
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %none = onnx.NoValue
  %y = onnx.ReduceSumSquare(%x, %none) {noop_with_empty_axes = 1 : i64} : (tensor<4xf32>, none) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Case arg_max: value and index together; the first of equals, NaN first of all.
// CHECK: linalg.generic {{.*}} outs(%{{.*}}, %{{.*}} : tensor<2xf32>, tensor<2xi64>)
// CHECK: arith.cmpf olt
// CHECK: linalg.index 1
func.func @main(%x: tensor<2x5xf32>) -> tensor<2xi64> {
  %y = onnx.ArgMax(%x) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<2x5xf32>) -> tensor<2xi64>
  return %y : tensor<2xi64>
}

// -----

// Case cumulative: log2 steps.
// CHECK-COUNT-3: tensor.insert_slice
// CHECK-NOT: tensor.insert_slice
func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  %axis = onnx.Constant dense<0> : tensor<i64>
  %y = onnx.CumSum(%x, %axis) : (tensor<8xf32>, tensor<i64>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}
