// RUN: burin-opt %s --split-input-file --lower-fuse-qdq | FileCheck %s

// Case conv: sums of integers, the bias among them; one scale an output channel; Relu as the zero point's bound.
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.DequantizeLinear
// CHECK: %[[SUM:.*]] = onnx.ConvInteger(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) {{.*}}-> tensor<1x2x4x4xi32>
// CHECK: %[[BIAS:.*]] = onnx.Constant dense<{{.*}}10{{.*}}-20{{.*}}> : tensor<2x1x1xi32>
// CHECK: %[[ADD:.*]] = onnx.Add(%[[SUM]], %[[BIAS]])
// CHECK: %[[CAST:.*]] = onnx.Cast(%[[ADD]])
// CHECK: %[[MUL:.*]] = onnx.Mul(%[[CAST]]
// CHECK: %[[Q:.*]] = onnx.QuantizeLinear(%[[MUL]]
// CHECK: onnx.Clip(%[[Q]]
func.func @main(%x: tensor<1x3x4x4xui8> {onnx.name = "x"}) -> (tensor<1x2x4x4xui8> {onnx.name = "y"}) {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<7> : tensor<ui8>
  %w = onnx.Constant dense<3> : tensor<2x3x1x1xi8>
  %ws = onnx.Constant dense<[0.25, 0.5]> : tensor<2xf32>
  %wz = onnx.Constant dense<0> : tensor<2xi8>
  %b = onnx.Constant dense<[10, -20]> : tensor<2xi32>
  %bs = onnx.Constant dense<[0.125, 0.25]> : tensor<2xf32>
  %none = onnx.NoValue
  %0 = onnx.DequantizeLinear(%x, %s, %z) : (tensor<1x3x4x4xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x3x4x4xf32>
  %1 = onnx.DequantizeLinear(%w, %ws, %wz) {axis = 0 : i64} : (tensor<2x3x1x1xi8>, tensor<2xf32>, tensor<2xi8>) -> tensor<2x3x1x1xf32>
  %2 = onnx.DequantizeLinear(%b, %bs, %none) {axis = 0 : i64} : (tensor<2xi32>, tensor<2xf32>, none) -> tensor<2xf32>
  %3 = onnx.Conv(%0, %1, %2) : (tensor<1x3x4x4xf32>, tensor<2x3x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  %4 = onnx.Relu(%3) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %5 = onnx.QuantizeLinear(%4, %s, %z) : (tensor<1x2x4x4xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x2x4x4xui8>
  return %5 : tensor<1x2x4x4xui8>
}

// -----

// Near miss: a filter that is computed stays float.
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.ConvInteger
// CHECK: onnx.Conv(
func.func @main(%x: tensor<1x3x4x4xui8> {onnx.name = "x"}, %w: tensor<2x3x1x1xi8> {onnx.name = "w"}) -> (tensor<1x2x4x4xf32> {onnx.name = "y"}) {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %none = onnx.NoValue
  %0 = onnx.DequantizeLinear(%x, %s, %none) : (tensor<1x3x4x4xui8>, tensor<f32>, none) -> tensor<1x3x4x4xf32>
  %1 = onnx.DequantizeLinear(%w, %s, %none) : (tensor<2x3x1x1xi8>, tensor<f32>, none) -> tensor<2x3x1x1xf32>
  %3 = onnx.Conv(%0, %1, %none) : (tensor<1x3x4x4xf32>, tensor<2x3x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  return %3 : tensor<1x2x4x4xf32>
}

// -----

// Case move: elements move as integers, and what undoes itself goes.
// CHECK-LABEL: func.func @main
// CHECK: %[[T:.*]] = onnx.Transpose(%arg0
// CHECK-SAME: tensor<3x2xui8>
// CHECK-NEXT: return %[[T]]
func.func @main(%x: tensor<2x3xui8> {onnx.name = "x"}) -> (tensor<3x2xui8> {onnx.name = "y"}) {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<7> : tensor<ui8>
  %0 = onnx.DequantizeLinear(%x, %s, %z) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xf32>
  %1 = onnx.Transpose(%0) {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %2 = onnx.QuantizeLinear(%1, %s, %z) : (tensor<3x2xf32>, tensor<f32>, tensor<ui8>) -> tensor<3x2xui8>
  return %2 : tensor<3x2xui8>
}

// -----

// Case concat: the part of another scale is quantized again, the other is taken as it is.
// CHECK-LABEL: func.func @main
// CHECK: %[[D:.*]] = onnx.DequantizeLinear(%arg1
// CHECK: %[[Q:.*]] = onnx.QuantizeLinear(%[[D]]
// CHECK: onnx.Concat(%arg0, %[[Q]])
func.func @main(%x: tensor<2x3xui8> {onnx.name = "x"}, %y: tensor<2x3xui8> {onnx.name = "z"}) -> (tensor<4x3xui8> {onnx.name = "y"}) {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %t = onnx.Constant dense<0.75> : tensor<f32>
  %z = onnx.Constant dense<7> : tensor<ui8>
  %0 = onnx.DequantizeLinear(%x, %s, %z) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xf32>
  %1 = onnx.DequantizeLinear(%y, %t, %z) : (tensor<2x3xui8>, tensor<f32>, tensor<ui8>) -> tensor<2x3xf32>
  %2 = onnx.Concat(%0, %1) {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<4x3xf32>
  %3 = onnx.QuantizeLinear(%2, %s, %z) : (tensor<4x3xf32>, tensor<f32>, tensor<ui8>) -> tensor<4x3xui8>
  return %3 : tensor<4x3xui8>
}

// -----

// Case signed: int8 between the two becomes uint8, 128 higher.
// CHECK-LABEL: func.func @main
// CHECK-DAG: %[[Z:.*]] = onnx.Constant dense<121> : tensor<ui8>
// CHECK: onnx.QuantizeLinear(%arg0, %{{.*}}, %[[Z]]) {{.*}}-> tensor<2x3xui8>
func.func @main(%x: tensor<2x3xf32> {onnx.name = "x"}) -> (tensor<2x3xf32> {onnx.name = "y"}) {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<-7> : tensor<i8>
  %0 = onnx.QuantizeLinear(%x, %s, %z) : (tensor<2x3xf32>, tensor<f32>, tensor<i8>) -> tensor<2x3xi8>
  %1 = onnx.DequantizeLinear(%0, %s, %z) : (tensor<2x3xi8>, tensor<f32>, tensor<i8>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// -----

// Case affine: one factor and one summand from integers to integers; Relu as their bound.
// CHECK-LABEL: func.func @main
// CHECK: %[[C:.*]] = onnx.Cast(%arg0)
// CHECK: %[[M:.*]] = onnx.Mul(%[[C]]
// CHECK: %[[A:.*]] = onnx.Add(%[[M]]
// CHECK: %[[Q:.*]] = onnx.QuantizeLinear(%[[A]]
// CHECK: onnx.Clip(%[[Q]]
func.func @main(%x: tensor<1x2x4xui8> {onnx.name = "x"}) -> (tensor<1x2x4xui8> {onnx.name = "y"}) {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<7> : tensor<ui8>
  %a = onnx.Constant dense<[[1.5], [2.5]]> : tensor<2x1xf32>
  %b = onnx.Constant dense<[[0.5], [-0.5]]> : tensor<2x1xf32>
  %0 = onnx.DequantizeLinear(%x, %s, %z) : (tensor<1x2x4xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x2x4xf32>
  %1 = onnx.Mul(%0, %a) : (tensor<1x2x4xf32>, tensor<2x1xf32>) -> tensor<1x2x4xf32>
  %2 = onnx.Add(%1, %b) : (tensor<1x2x4xf32>, tensor<2x1xf32>) -> tensor<1x2x4xf32>
  %3 = onnx.Relu(%2) : (tensor<1x2x4xf32>) -> tensor<1x2x4xf32>
  %4 = onnx.QuantizeLinear(%3, %s, %z) : (tensor<1x2x4xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x2x4xui8>
  return %4 : tensor<1x2x4xui8>
}

// -----

// Case average: over whole dims a sum of bytes, less the zero point once an element (4 * 7).
// CHECK-LABEL: func.func @main
// CHECK: %[[SUM:.*]] = onnx.ReduceSum
// CHECK: %[[SHIFT:.*]] = onnx.Constant dense<28> : tensor<i32>
// CHECK: onnx.Sub(%[[SUM]], %[[SHIFT]])
// CHECK-NOT: onnx.GlobalAveragePool
func.func @main(%x: tensor<1x3x2x2xui8> {onnx.name = "x"}) -> (tensor<1x3x1x1xui8> {onnx.name = "y"}) {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<7> : tensor<ui8>
  %0 = onnx.DequantizeLinear(%x, %s, %z) : (tensor<1x3x2x2xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x3x2x2xf32>
  %1 = onnx.GlobalAveragePool(%0) : (tensor<1x3x2x2xf32>) -> tensor<1x3x1x1xf32>
  %2 = onnx.QuantizeLinear(%1, %s, %z) : (tensor<1x3x1x1xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x3x1x1xui8>
  return %2 : tensor<1x3x1x1xui8>
}

// -----

// Case largest: the largest number is that of the largest byte.
// CHECK-LABEL: func.func @main
// CHECK: onnx.ReduceMax(%arg0{{.*}} -> tensor<1x3x1x1xui8>
// CHECK-NOT: onnx.GlobalMaxPool
func.func @main(%x: tensor<1x3x2x2xui8> {onnx.name = "x"}) -> (tensor<1x3x1x1xui8> {onnx.name = "y"}) {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<7> : tensor<ui8>
  %0 = onnx.DequantizeLinear(%x, %s, %z) : (tensor<1x3x2x2xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x3x2x2xf32>
  %1 = onnx.GlobalMaxPool(%0) : (tensor<1x3x2x2xf32>) -> tensor<1x3x1x1xf32>
  %2 = onnx.QuantizeLinear(%1, %s, %z) : (tensor<1x3x1x1xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x3x1x1xui8>
  return %2 : tensor<1x3x1x1xui8>
}

// -----

// Case windows: a convolution with ones, a factor for each place where padding does not count.
// CHECK-LABEL: func.func @main
// CHECK-DAG: onnx.Constant dense<1> : tensor<3x1x2x2xi8>
// CHECK: onnx.ConvInteger
// CHECK: onnx.Mul(%{{.*}}, %{{.*}}) : (tensor<1x3x3x3xf32>, tensor<1x3x3xf32>)
// CHECK-NOT: onnx.AveragePool
func.func @main(%x: tensor<1x3x2x2xui8> {onnx.name = "x"}) -> (tensor<1x3x3x3xui8> {onnx.name = "y"}) {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<7> : tensor<ui8>
  %0 = onnx.DequantizeLinear(%x, %s, %z) : (tensor<1x3x2x2xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x3x2x2xf32>
  %1 = onnx.AveragePool(%0) {kernel_shape = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>} : (tensor<1x3x2x2xf32>) -> tensor<1x3x3x3xf32>
  %2 = onnx.QuantizeLinear(%1, %s, %z) : (tensor<1x3x3x3xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x3x3x3xui8>
  return %2 : tensor<1x3x3x3xui8>
}

// -----

// Case resize: nearest elements are bytes, whatever comes behind.
// CHECK-LABEL: func.func @main
// CHECK: onnx.Resize(%arg0{{.*}} -> tensor<1x3x4x4xui8>
func.func @main(%x: tensor<1x3x2x2xui8> {onnx.name = "x"}) -> (tensor<1x3x4x4xf32> {onnx.name = "y"}) {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %z = onnx.Constant dense<7> : tensor<ui8>
  %scales = onnx.Constant dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>
  %none = onnx.NoValue
  %0 = onnx.DequantizeLinear(%x, %s, %z) : (tensor<1x3x2x2xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x3x2x2xf32>
  %1 = onnx.Resize(%0, %none, %scales, %none) : (tensor<1x3x2x2xf32>, none, tensor<4xf32>, none) -> tensor<1x3x4x4xf32>
  return %1 : tensor<1x3x4x4xf32>
}
