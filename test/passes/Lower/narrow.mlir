// Floats of 8 and 4 bits and integers of 4 and 2 bits: one byte an element in memory, read and written in integer
// arithmetic; constants are unpacked.
// RUN: burin-opt %s --split-input-file --lower-onnx --verify-lowered | FileCheck %s

// CHECK-LABEL: func.func @main(
// CHECK-SAME: tensor<3xi8> {burin.dtype = 17 : i32
// CHECK-SAME: tensor<3xf32> {burin.dtype = 1 : i32
// CHECK: linalg.generic
// CHECK: ^bb0(%[[BYTE:.*]]: i8,
// CHECK: %[[WORD:.*]] = arith.extui %[[BYTE]] : i8 to i32
// CHECK: arith.cmpi eq, %{{.*}}, %{{.*}} : i32
// CHECK: %[[REAL:.*]] = arith.bitcast %{{.*}} : i32 to f32
// CHECK: linalg.yield %[[REAL]] : f32
func.func @main(%x: tensor<3xf8E4M3FN> {onnx.name = "x"}) -> (tensor<3xf32> {onnx.name = "y"}) {
  %y = onnx.Cast(%x) {to = 1 : i64} : (tensor<3xf8E4M3FN>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// -----
// To nearest even by adding half of the last place that stays; no trap, no table, no call.
// CHECK-LABEL: func.func @main(
// CHECK: arith.bitcast %{{.*}} : f32 to i32
// CHECK: arith.shrui
// CHECK: %[[CODE:.*]] = arith.trunci %{{.*}} : i32 to i8
// CHECK-NEXT: linalg.yield %[[CODE]] : i8
func.func @main(%x: tensor<3xf64> {onnx.name = "x"}) -> (tensor<3xf8E5M2> {onnx.name = "y"}) {
  %y = onnx.Cast(%x) {to = 19 : i64} : (tensor<3xf64>) -> tensor<3xf8E5M2>
  return %y : tensor<3xf8E5M2>
}

// -----
// What moves bytes never looks at them.
// CHECK-LABEL: func.func @main(
// CHECK-SAME: tensor<2x3xi8> {burin.dtype = 22 : i32
// CHECK-SAME: tensor<3x2xi8> {burin.dtype = 22 : i32
// CHECK: linalg.transpose
// CHECK-NOT: linalg.generic
func.func @main(%x: tensor<2x3xi4> {onnx.name = "x"}) -> (tensor<3x2xi4> {onnx.name = "y"}) {
  %y = onnx.Transpose(%x) {perm = array<i64: 1, 0>} : (tensor<2x3xi4>) -> tensor<3x2xi4>
  return %y : tensor<3x2xi4>
}

// -----
// A constant is unpacked, its values in the low bits: -1 is 15. Reading extends the sign.
// CHECK-LABEL: func.func @main(
// CHECK: arith.constant dense<[1, 15, 7]> : tensor<3xi8>
// CHECK: arith.shli
// CHECK: arith.shrsi
// CHECK: arith.extsi %{{.*}} : i8 to i32
func.func @main(%scale: tensor<f32> {onnx.name = "s"}) -> (tensor<3xf32> {onnx.name = "y"}) {
  %x = onnx.Constant dense<[1, -1, 7]> : tensor<3xi4>
  %none = onnx.NoValue
  %y = onnx.DequantizeLinear(%x, %scale, %none) : (tensor<3xi4>, tensor<f32>, none) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// -----
// Quantizing clamps to the type's own range before the low bits are taken.
// CHECK-LABEL: func.func @main(
// CHECK-DAG: arith.constant -8.000000e+00 : f32
// CHECK-DAG: arith.constant 7.000000e+00 : f32
// CHECK: arith.andi %{{.*}} : i8
func.func @main(%x: tensor<3xf32> {onnx.name = "x"}, %scale: tensor<f32> {onnx.name = "s"}) -> (tensor<3xi4> {onnx.name = "y"}) {
  %none = onnx.NoValue
  %y = onnx.QuantizeLinear(%x, %scale, %none) {output_dtype = 22 : i64} : (tensor<3xf32>, tensor<f32>, none) -> tensor<3xi4>
  return %y : tensor<3xi4>
}
