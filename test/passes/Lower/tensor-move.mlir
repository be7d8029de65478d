// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case concat: parts are written into one new tensor, in the order in which they lie.
// CHECK-LABEL: func.func @main
// CHECK: %[[E:.*]] = tensor.empty() : tensor<1x4x5x5xf32>
// CHECK-NEXT: %[[A:.*]] = tensor.insert_slice %arg0 into %[[E]][0, 0, 0, 0] [1, 4, 5, 2]
// CHECK-NEXT: %[[B:.*]] = tensor.insert_slice %arg1 into %[[A]][0, 0, 0, 2] [1, 4, 5, 3]
// CHECK-NEXT: return %[[B]]
func.func @main(%x: tensor<1x4x5x2xf32>, %y: tensor<1x4x5x3xf32>) -> tensor<1x4x5x5xf32> {
  %a = onnx.Transpose(%x) {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x5x2xf32>) -> tensor<1x2x4x5xf32>
  %b = onnx.Transpose(%y) {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x5x3xf32>) -> tensor<1x3x4x5xf32>
  %c = onnx.Concat(%a, %b) {axis = 1 : i64} : (tensor<1x2x4x5xf32>, tensor<1x3x4x5xf32>) -> tensor<1x5x4x5xf32>
  %d = onnx.Transpose(%c) {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x5x4x5xf32>) -> tensor<1x4x5x5xf32>
  return %d : tensor<1x4x5x5xf32>
}

// -----

// Case split: slices of what is there.
// CHECK-LABEL: func.func @main
// CHECK: tensor.extract_slice %arg0[0, 0] [2, 3] [1, 1]
// CHECK: tensor.extract_slice %arg0[0, 3] [2, 4] [1, 1]
func.func @main(%x: tensor<2x7xf32>) -> (tensor<2x3xf32>, tensor<2x4xf32>) {
  %sizes = onnx.Constant dense<[3, 4]> : tensor<2xi64>
  %a, %b = onnx.Split(%x, %sizes) {axis = 1 : i64} : (tensor<2x7xf32>, tensor<2xi64>) -> (tensor<2x3xf32>, tensor<2x4xf32>)
  return %a, %b : tensor<2x3xf32>, tensor<2x4xf32>
}

// -----

// Case slice_steps: positive steps are a view, a negative one is read through a table.
// CHECK-LABEL: func.func @main
// CHECK: tensor.extract_slice %arg0[0, 1] [6, 4] [1, 2]
// CHECK: arith.constant dense<[5, 4, 3, 2, 1, 0]> : tensor<6xi32>
// CHECK: linalg.generic
// CHECK: tensor.extract
func.func @main(%x: tensor<6x8xf32>) -> tensor<6x4xf32> {
  %starts = onnx.Constant dense<[-1, 1]> : tensor<2xi64>
  %ends = onnx.Constant dense<[-100, 100]> : tensor<2xi64>
  %axes = onnx.Constant dense<[0, 1]> : tensor<2xi64>
  %steps = onnx.Constant dense<[-1, 2]> : tensor<2xi64>
  %y = onnx.Slice(%x, %starts, %ends, %axes, %steps) : (tensor<6x8xf32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<6x4xf32>
  return %y : tensor<6x4xf32>
}

// -----

// Case pad: only the frame is filled; the operand is written into the middle.
// CHECK-LABEL: func.func @main
// CHECK: tensor.empty() : tensor<4x5xf32>
// CHECK: linalg.fill {{.*}} -> tensor<1x5xf32>
// CHECK: linalg.fill {{.*}} -> tensor<3x2xf32>
// CHECK: tensor.insert_slice %arg0 into %{{.*}}[1, 0] [3, 3] [1, 1]
func.func @main(%x: tensor<3x3xf32>) -> tensor<4x5xf32> {
  %none = onnx.NoValue
  %pads = onnx.Constant dense<[1, 0, 0, 2]> : tensor<4xi64>
  %y = onnx.Pad(%x, %pads, %none, %none) : (tensor<3x3xf32>, tensor<4xi64>, none, none) -> tensor<4x5xf32>
  return %y : tensor<4x5xf32>
}

// -----

// Case pad_reflect.
// CHECK-LABEL: func.func @main
// CHECK: arith.constant dense<[2, 1, 0, 1, 2, 3, 2]> : tensor<7xi32>
func.func @main(%x: tensor<2x4xf32>) -> tensor<2x7xf32> {
  %none = onnx.NoValue
  %pads = onnx.Constant dense<[0, 2, 0, 1]> : tensor<4xi64>
  %y = onnx.Pad(%x, %pads, %none, %none) {mode = "reflect"} : (tensor<2x4xf32>, tensor<4xi64>, none, none) -> tensor<2x7xf32>
  return %y : tensor<2x7xf32>
}

// -----

// Case empty_result: a tensor without elements is made, not computed.
// CHECK-LABEL: func.func @main
// CHECK-NEXT: tensor.empty() : tensor<0x8xf32>
// CHECK-NEXT: return
func.func @main(%x: tensor<6x8xf32>) -> tensor<0x8xf32> {
  %none = onnx.NoValue
  %starts = onnx.Constant dense<4> : tensor<1xi64>
  %ends = onnx.Constant dense<2> : tensor<1xi64>
  %axes = onnx.Constant dense<0> : tensor<1xi64>
  %y = onnx.Slice(%x, %starts, %ends, %axes, %none) : (tensor<6x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<0x8xf32>
  return %y : tensor<0x8xf32>
}

// -----

// Case cache: an input with rows behind it that is an output keeps the order that both have.
// CHECK-LABEL: func.func @main
// CHECK: tensor.insert_slice %arg0 into
func.func @main(%past: tensor<1x4x5x8xf32>, %x: tensor<1x5x4x8xf32>) -> (tensor<1x4x10x8xf32>) {
  %k = onnx.Transpose(%x) {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x5x4x8xf32>) -> tensor<1x4x5x8xf32>
  %c = onnx.Concat(%past, %k) {axis = 2 : i64} : (tensor<1x4x5x8xf32>, tensor<1x4x5x8xf32>) -> tensor<1x4x10x8xf32>
  return %c : tensor<1x4x10x8xf32>
}

// -----

// Case pad_free: over extents that the program finds out each element is looked up.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: arith.remsi
// CHECK: tensor.extract %arg0
func.func @main(%x: tensor<2x?xf32>) -> tensor<2x?xf32> {
  %p = onnx.Constant dense<[0, 2, 0, 3]> : tensor<4xi64>
  %none = onnx.NoValue
  %y = onnx.Pad(%x, %p, %none, %none) {mode = "reflect"} : (tensor<2x?xf32>, tensor<4xi64>, none, none) -> tensor<2x?xf32>
  return %y : tensor<2x?xf32>
}
