// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case broadcast: dims that repeat are dropped, so that every map is a projected permutation; splats are scalars inside.
// CHECK-DAG: #[[ALL:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-DAG: #[[ROW:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[LAST:.*]] = affine_map<(d0, d1, d2) -> (d2)>
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {indexing_maps = [#[[ALL]], #[[ROW]], #[[ALL]]]
// CHECK: arith.addf
// CHECK: linalg.generic {indexing_maps = [#[[ALL]], #[[LAST]], #[[ALL]]]
// CHECK: arith.mulf
// CHECK: linalg.generic {indexing_maps = [#[[ALL]], #[[ALL]]]
// CHECK: %[[TWO:.*]] = arith.constant 2.000000e+00
// CHECK: arith.subf %{{.*}}, %[[TWO]]
func.func @main(%x: tensor<2x3x4xf32>, %y: tensor<2x1x4xf32>, %z: tensor<4xf32>) -> tensor<2x3x4xf32> {
  %two = onnx.Constant dense<2.0> : tensor<1x1xf32>
  %a = onnx.Add(%x, %y) : (tensor<2x3x4xf32>, tensor<2x1x4xf32>) -> tensor<2x3x4xf32>
  %b = onnx.Mul(%a, %z) : (tensor<2x3x4xf32>, tensor<4xf32>) -> tensor<2x3x4xf32>
  %c = onnx.Sub(%b, %two) : (tensor<2x3x4xf32>, tensor<1x1xf32>) -> tensor<2x3x4xf32>
  return %c : tensor<2x3x4xf32>
}

// -----

// Case narrow: f16 is computed in f32 and rounded once an operator.
// CHECK-LABEL: func.func @main
// CHECK: arith.extf %{{.*}} : f16 to f32
// CHECK: math.exp %{{.*}} : f32
// CHECK: arith.truncf %{{.*}} : f32 to f16
func.func @main(%x: tensor<4xf16>) -> tensor<4xf16> {
  %a = onnx.Exp(%x) : (tensor<4xf16>) -> tensor<4xf16>
  return %a : tensor<4xf16>
}

// -----

// Case guarded: no integer division can trap; a constant divisor needs no guard.
// CHECK-LABEL: func.func @main
// CHECK: arith.cmpi eq
// CHECK: arith.select
// CHECK: arith.divsi
// CHECK: ^bb0
// CHECK-NOT: arith.select
// CHECK: arith.divsi
// CHECK: ^bb0
// CHECK: arith.divui
func.func @main(%x: tensor<4xi32>, %y: tensor<4xi32>, %u: tensor<4xui32>) -> (tensor<4xi32>, tensor<4xi32>, tensor<4xui32>) {
  %three = onnx.Constant dense<3> : tensor<i32>
  %a = onnx.Div(%x, %y) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  %b = onnx.Div(%x, %three) : (tensor<4xi32>, tensor<i32>) -> tensor<4xi32>
  %c = onnx.Div(%u, %u) : (tensor<4xui32>, tensor<4xui32>) -> tensor<4xui32>
  return %a, %b, %c : tensor<4xi32>, tensor<4xi32>, tensor<4xui32>
}

// -----

// Case clip: absent bounds are absent; NaN passes.
// CHECK-LABEL: func.func @main
// CHECK-NOT: arith.maximumf
// CHECK: arith.minimumf
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %none = onnx.NoValue
  %six = onnx.Constant dense<6.0> : tensor<f32>
  %a = onnx.Clip(%x, %none, %six) : (tensor<4xf32>, none, tensor<f32>) -> tensor<4xf32>
  return %a : tensor<4xf32>
}

// -----

// Case casts: through i32, so that what a byte cannot hold wraps; bool is `!= 0`.
// CHECK-LABEL: func.func @main
// CHECK: arith.fptosi %{{.*}} : f32 to i32
// CHECK: arith.trunci %{{.*}} : i32 to i8
// CHECK: arith.cmpf une
// CHECK: arith.uitofp %{{.*}} : i8 to f32
func.func @main(%x: tensor<4xf32>) -> (tensor<4xui8>, tensor<4xi1>, tensor<4xf32>) {
  %a = onnx.Cast(%x) {to = 2 : i64} : (tensor<4xf32>) -> tensor<4xui8>
  %b = onnx.Cast(%x) {to = 9 : i64} : (tensor<4xf32>) -> tensor<4xi1>
  %c = onnx.Cast(%a) {to = 1 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  return %a, %b, %c : tensor<4xui8>, tensor<4xi1>, tensor<4xf32>
}

// -----

// Case powers: a constant exponent needs no pow.
// CHECK-LABEL: func.func @main
// CHECK-NOT: math.powf
// CHECK: arith.mulf
// CHECK: math.sqrt
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %half = onnx.Constant dense<0.5> : tensor<f32>
  %a = onnx.Pow(%x, %two) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %b = onnx.Pow(%a, %half) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %b : tensor<4xf32>
}
