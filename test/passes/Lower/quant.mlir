// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case quantize: divide, round half to even, add the zero point, saturate.
// CHECK-LABEL: func.func @main
// CHECK: arith.divf
// CHECK: math.roundeven
// CHECK: arith.addf
// CHECK: arith.cmpf ogt
// CHECK: arith.fptosi
func.func @main(%x: tensor<3x4xf32>) -> tensor<3x4xui8> {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<3> : tensor<ui8>
  %y = onnx.QuantizeLinear(%x, %s, %z) : (tensor<3x4xf32>, tensor<f32>, tensor<ui8>) -> tensor<3x4xui8>
  return %y : tensor<3x4xui8>
}

// -----

// Case dequantize_block: one scale a block is read through a map.
// CHECK: affine_map<(d0, d1) -> (d0 floordiv 3, d1)>
// CHECK-LABEL: func.func @main
// CHECK: arith.extsi
// CHECK: arith.sitofp
func.func @main(%x: tensor<6x4xi8>, %s: tensor<2x4xf32>) -> tensor<6x4xf32> {
  %none = onnx.NoValue
  %y = onnx.DequantizeLinear(%x, %s, %none) {axis = 0 : i64, block_size = 3 : i64} : (tensor<6x4xi8>, tensor<2x4xf32>, none) -> tensor<6x4xf32>
  return %y : tensor<6x4xf32>
}

// -----

// Case matmul_constant_zero_points: attributes of the product, nothing else.
// CHECK-LABEL: func.func @main
// CHECK: nn.matmul {{.*}} {lhs_unsigned, lhs_zero_point = 200 : i64, rhs_zero_point = -3 : i64}
// CHECK-NOT: linalg.generic
func.func @main(%a: tensor<3x5xui8>, %b: tensor<5x4xi8>) -> tensor<3x4xi32> {
  %za = onnx.Constant dense<200> : tensor<ui8>
  %zb = onnx.Constant dense<-3> : tensor<i8>
  %y = onnx.MatMulInteger(%a, %b, %za, %zb) : (tensor<3x5xui8>, tensor<5x4xi8>, tensor<ui8>, tensor<i8>) -> tensor<3x4xi32>
  return %y : tensor<3x4xi32>
}

// -----

// Case matmul_runtime_zero_point: corrected by the sums of the other side's columns.
// CHECK-LABEL: func.func @main
// CHECK: nn.matmul
// CHECK: iterator_types = ["reduction", "parallel"]
// CHECK: arith.muli
// CHECK: arith.subi
func.func @main(%a: tensor<3x5xui8>, %b: tensor<5x4xi8>, %za: tensor<ui8>) -> tensor<3x4xi32> {
  %none = onnx.NoValue
  %y = onnx.MatMulInteger(%a, %b, %za, %none) : (tensor<3x5xui8>, tensor<5x4xi8>, tensor<ui8>, none) -> tensor<3x4xi32>
  return %y : tensor<3x4xi32>
}

// -----

// Case qlinear_conv: an integer convolution and the step that requantizes it, channels last.
// CHECK-LABEL: func.func @main
// CHECK: nn.conv {{.*}} outs(%{{.*}} : tensor<1x6x5x4xi32>) {{.*}}input_unsigned, input_zero_point = 120 : i64
// CHECK: math.roundeven
// CHECK: linalg.yield {{.*}} : i8
func.func @main(%x: tensor<1x3x6x5xui8>) -> tensor<1x4x6x5xui8> {
  %xs = onnx.Constant dense<0.02> : tensor<f32>
  %xz = onnx.Constant dense<120> : tensor<ui8>
  %w = onnx.Constant dense<1> : tensor<4x3x3x3xi8>
  %ws = onnx.Constant dense<[0.1, 0.2, 0.3, 0.4]> : tensor<4xf32>
  %wz = onnx.Constant dense<0> : tensor<4xi8>
  %none = onnx.NoValue
  %y = onnx.QLinearConv(%x, %xs, %xz, %w, %ws, %wz, %xs, %xz, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x3x6x5xui8>, tensor<f32>, tensor<ui8>, tensor<4x3x3x3xi8>, tensor<4xf32>, tensor<4xi8>, tensor<f32>, tensor<ui8>, none) -> tensor<1x4x6x5xui8>
  return %y : tensor<1x4x6x5xui8>
}
