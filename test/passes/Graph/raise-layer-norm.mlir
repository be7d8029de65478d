// RUN: burin-opt %s --split-input-file --graph-raise-layer-norm | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-raise-layer-norm --remarks-filter='RaiseLayerNorm' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: @affine
// CHECK-DAG: %[[S:.*]] = onnx.Constant dense<[2.000000e+00, 3.000000e+00]>
// CHECK-DAG: %[[B:.*]] = onnx.Constant dense<[4.000000e+00, 5.000000e+00]>
// CHECK: %[[Y:.*]], %{{.*}}, %{{.*}} = onnx.LayerNormalization(%arg0, %[[S]], %[[B]])
// CHECK-SAME: -> (tensor<?x2xf32>, none, none)
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] LayerNormalization
func.func @affine(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %axes = onnx.Constant dense<-1> : tensor<1xi64>
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %eps = onnx.Constant dense<1.0e-05> : tensor<f32>
  %s = onnx.Constant dense<[2.0, 3.0]> : tensor<2xf32>
  %b = onnx.Constant dense<[4.0, 5.0]> : tensor<2xf32>
  %0 = onnx.ReduceMean(%x, %axes) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %1 = onnx.Sub(%x, %0) : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %2 = onnx.Pow(%1, %two) : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %3 = onnx.ReduceMean(%2, %axes) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %4 = onnx.Add(%3, %eps) : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %5 = onnx.Sqrt(%4) : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %6 = onnx.Div(%1, %5) : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %7 = onnx.Mul(%6, %s) : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %8 = onnx.Add(%7, %b) : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %8 : tensor<?x2xf32>
}

// -----

// Two dims normalized, the difference written twice, a square by Mul, no scale left.
// CHECK-LABEL: @bare
// CHECK-DAG: %[[S:.*]] = onnx.Constant dense<1.000000e+00> : tensor<2x4xf32>
// CHECK: onnx.LayerNormalization(%arg0, %[[S]], %{{.*}}) {axis = -2 : i64, epsilon = 1.000000e-03 : f32}
func.func @bare(%x: tensor<3x2x4xf32>) -> tensor<3x2x4xf32> {
  %axes = onnx.Constant dense<[2, 1]> : tensor<2xi64>
  %eps = onnx.Constant dense<1.0e-03> : tensor<1xf32>
  %0 = onnx.ReduceMean(%x, %axes) : (tensor<3x2x4xf32>, tensor<2xi64>) -> tensor<3x1x1xf32>
  %1 = onnx.Sub(%x, %0) : (tensor<3x2x4xf32>, tensor<3x1x1xf32>) -> tensor<3x2x4xf32>
  %2 = onnx.Sub(%x, %0) : (tensor<3x2x4xf32>, tensor<3x1x1xf32>) -> tensor<3x2x4xf32>
  %3 = onnx.Mul(%2, %2) : (tensor<3x2x4xf32>, tensor<3x2x4xf32>) -> tensor<3x2x4xf32>
  %4 = onnx.ReduceMean(%3, %axes) : (tensor<3x2x4xf32>, tensor<2xi64>) -> tensor<3x1x1xf32>
  %5 = onnx.Add(%eps, %4) : (tensor<1xf32>, tensor<3x1x1xf32>) -> tensor<3x1x1xf32>
  %6 = onnx.Sqrt(%5) : (tensor<3x1x1xf32>) -> tensor<3x1x1xf32>
  %7 = onnx.Div(%1, %6) : (tensor<3x2x4xf32>, tensor<3x1x1xf32>) -> tensor<3x2x4xf32>
  return %7 : tensor<3x2x4xf32>
}

// -----

// A mean over the first dim is another normalization; a scale of one element is no scale of the normalized dims.
// CHECK-LABEL: @near_misses
// CHECK: onnx.Div
// CHECK: onnx.LayerNormalization
// CHECK: onnx.Mul
// REMARK: [Missed] LayerNormalization | {{.*}}the means are not over the same last dims
func.func @near_misses(%x: tensor<3x2xf32>) -> (tensor<3x2xf32>, tensor<3x2xf32>) {
  %first = onnx.Constant dense<0> : tensor<1xi64>
  %last = onnx.Constant dense<1> : tensor<1xi64>
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %eps = onnx.Constant dense<1.0e-05> : tensor<f32>
  %0 = onnx.ReduceMean(%x, %first) : (tensor<3x2xf32>, tensor<1xi64>) -> tensor<1x2xf32>
  %1 = onnx.Sub(%x, %0) : (tensor<3x2xf32>, tensor<1x2xf32>) -> tensor<3x2xf32>
  %2 = onnx.Pow(%1, %two) : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %3 = onnx.ReduceMean(%2, %first) : (tensor<3x2xf32>, tensor<1xi64>) -> tensor<1x2xf32>
  %4 = onnx.Add(%3, %eps) : (tensor<1x2xf32>, tensor<f32>) -> tensor<1x2xf32>
  %5 = onnx.Sqrt(%4) : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %6 = onnx.Div(%1, %5) : (tensor<3x2xf32>, tensor<1x2xf32>) -> tensor<3x2xf32>
  %7 = onnx.ReduceMean(%x, %last) : (tensor<3x2xf32>, tensor<1xi64>) -> tensor<3x1xf32>
  %8 = onnx.Sub(%x, %7) : (tensor<3x2xf32>, tensor<3x1xf32>) -> tensor<3x2xf32>
  %9 = onnx.Pow(%8, %two) : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %10 = onnx.ReduceMean(%9, %last) : (tensor<3x2xf32>, tensor<1xi64>) -> tensor<3x1xf32>
  %11 = onnx.Add(%10, %eps) : (tensor<3x1xf32>, tensor<f32>) -> tensor<3x1xf32>
  %12 = onnx.Sqrt(%11) : (tensor<3x1xf32>) -> tensor<3x1xf32>
  %13 = onnx.Div(%8, %12) : (tensor<3x2xf32>, tensor<3x1xf32>) -> tensor<3x2xf32>
  %14 = onnx.Mul(%13, %two) : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  return %6, %14 : tensor<3x2xf32>, tensor<3x2xf32>
}

// -----

// As TensorFlow writes it: the mean is scaled and subtracted from the bias.
// CHECK-LABEL: @folded
// CHECK: %[[Y:.*]], %{{.*}}, %{{.*}} = onnx.LayerNormalization(%arg0, %{{.*}}, %{{.*}}) {epsilon = 1.000000e-03 : f32}
// CHECK-NEXT: return %[[Y]]
func.func @folded(%x: tensor<?x3x4xf32>) -> tensor<?x3x4xf32> {
  %axis = onnx.Constant dense<2> : tensor<1xi64>
  %eps = onnx.Constant dense<0.001> : tensor<f32>
  %scale = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %bias = onnx.Constant dense<[5.0, 6.0, 7.0, 8.0]> : tensor<4xf32>
  %0 = onnx.ReduceMean(%x, %axis) : (tensor<?x3x4xf32>, tensor<1xi64>) -> tensor<?x3x1xf32>
  %1 = onnx.Sub(%x, %0) : (tensor<?x3x4xf32>, tensor<?x3x1xf32>) -> tensor<?x3x4xf32>
  %2 = onnx.Mul(%1, %1) : (tensor<?x3x4xf32>, tensor<?x3x4xf32>) -> tensor<?x3x4xf32>
  %3 = onnx.ReduceMean(%2, %axis) : (tensor<?x3x4xf32>, tensor<1xi64>) -> tensor<?x3x1xf32>
  %4 = onnx.Add(%3, %eps) : (tensor<?x3x1xf32>, tensor<f32>) -> tensor<?x3x1xf32>
  %5 = onnx.Sqrt(%4) : (tensor<?x3x1xf32>) -> tensor<?x3x1xf32>
  %6 = onnx.Reciprocal(%5) : (tensor<?x3x1xf32>) -> tensor<?x3x1xf32>
  %7 = onnx.Mul(%6, %scale) : (tensor<?x3x1xf32>, tensor<4xf32>) -> tensor<?x3x4xf32>
  %8 = onnx.Mul(%x, %7) : (tensor<?x3x4xf32>, tensor<?x3x4xf32>) -> tensor<?x3x4xf32>
  %9 = onnx.Mul(%0, %7) : (tensor<?x3x1xf32>, tensor<?x3x4xf32>) -> tensor<?x3x4xf32>
  %10 = onnx.Sub(%bias, %9) : (tensor<4xf32>, tensor<?x3x4xf32>) -> tensor<?x3x4xf32>
  %11 = onnx.Add(%8, %10) : (tensor<?x3x4xf32>, tensor<?x3x4xf32>) -> tensor<?x3x4xf32>
  return %11 : tensor<?x3x4xf32>
}

// -----

// Half precision, the mean and root in f32: what the operator does itself.
// CHECK-LABEL: @casts
// CHECK-NOT: onnx.Cast
// CHECK: onnx.LayerNormalization(%arg0, %{{.*}}, %{{.*}}) : (tensor<2x4xf16>, tensor<4xf16>, tensor<4xf16>)
func.func @casts(%x: tensor<2x4xf16>) -> tensor<2x4xf16> {
  %axis = onnx.Constant dense<-1> : tensor<1xi64>
  %eps = onnx.Constant dense<1.0e-5> : tensor<f32>
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %scale = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf16>
  %bias = onnx.Constant dense<[5.0, 6.0, 7.0, 8.0]> : tensor<4xf16>
  %w = onnx.Cast(%x) {to = 1 : i64} : (tensor<2x4xf16>) -> tensor<2x4xf32>
  %0 = onnx.ReduceMean(%w, %axis) : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %1 = onnx.Sub(%w, %0) : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %2 = onnx.Pow(%1, %two) : (tensor<2x4xf32>, tensor<f32>) -> tensor<2x4xf32>
  %3 = onnx.ReduceMean(%2, %axis) : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %4 = onnx.Add(%3, %eps) : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %5 = onnx.Sqrt(%4) : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %6 = onnx.Div(%1, %5) : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %7 = onnx.Cast(%6) {to = 10 : i64} : (tensor<2x4xf32>) -> tensor<2x4xf16>
  %8 = onnx.Mul(%7, %scale) : (tensor<2x4xf16>, tensor<4xf16>) -> tensor<2x4xf16>
  %9 = onnx.Add(%8, %bias) : (tensor<2x4xf16>, tensor<4xf16>) -> tensor<2x4xf16>
  return %9 : tensor<2x4xf16>
}

// -----

// Several uses: the normalized value is read itself too, so that it stays spelled out.
// CHECK-LABEL: @several_uses
// CHECK: %[[N:.*]] = onnx.Div
// CHECK: %[[Y:.*]] = onnx.Mul(%[[N]], %{{.*}})
// CHECK: return %[[Y]], %[[N]]
// REMARK: [Missed] LayerNormalization | {{.*}}the normalized value has several uses
func.func @several_uses(%x: tensor<3x4xf32>) -> (tensor<3x4xf32>, tensor<3x4xf32>) {
  %last = onnx.Constant dense<1> : tensor<1xi64>
  %eps = onnx.Constant dense<1.0e-05> : tensor<f32>
  %scale = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %0 = onnx.ReduceMean(%x, %last) : (tensor<3x4xf32>, tensor<1xi64>) -> tensor<3x1xf32>
  %1 = onnx.Sub(%x, %0) : (tensor<3x4xf32>, tensor<3x1xf32>) -> tensor<3x4xf32>
  %2 = onnx.Mul(%1, %1) : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  %3 = onnx.ReduceMean(%2, %last) : (tensor<3x4xf32>, tensor<1xi64>) -> tensor<3x1xf32>
  %4 = onnx.Add(%3, %eps) : (tensor<3x1xf32>, tensor<f32>) -> tensor<3x1xf32>
  %5 = onnx.Sqrt(%4) : (tensor<3x1xf32>) -> tensor<3x1xf32>
  %6 = onnx.Div(%1, %5) : (tensor<3x4xf32>, tensor<3x1xf32>) -> tensor<3x4xf32>
  %7 = onnx.Mul(%6, %scale) : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<3x4xf32>
  return %7, %6 : tensor<3x4xf32>, tensor<3x4xf32>
}

// -----

// Flax: the mean of squares less the mean's square, the scale within the factor; Keras: the factor times the difference.
// CHECK-LABEL: @scale_first
// CHECK-COUNT-2: onnx.LayerNormalization(%arg0, %{{.*}}, %{{.*}}) {epsilon = 9.99999997E-7 : f32}
// CHECK-NOT: onnx.Mul
func.func @scale_first(%x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %last = onnx.Constant dense<1> : tensor<1xi64>
  %eps = onnx.Constant dense<1.0e-06> : tensor<f32>
  %scale = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %bias = onnx.Constant dense<[4.0, 3.0, 2.0, 1.0]> : tensor<4xf32>
  %0 = onnx.ReduceMean(%x, %last) : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %1 = onnx.Mul(%x, %x) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.ReduceMean(%1, %last) : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %3 = onnx.Mul(%0, %0) : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %4 = onnx.Sub(%2, %3) : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %5 = onnx.Add(%4, %eps) : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %6 = onnx.Sqrt(%5) : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %7 = onnx.Reciprocal(%6) : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %8 = onnx.Mul(%7, %scale) : (tensor<?x1xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %9 = onnx.Sub(%x, %0) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %10 = onnx.Mul(%9, %8) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %11 = onnx.Add(%10, %bias) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %12 = onnx.Mul(%9, %9) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %13 = onnx.ReduceMean(%12, %last) : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %14 = onnx.Add(%13, %eps) : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %15 = onnx.Sqrt(%14) : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %16 = onnx.Reciprocal(%15) : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %17 = onnx.Mul(%scale, %16) : (tensor<4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %18 = onnx.Mul(%17, %9) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %11, %18 : tensor<?x4xf32>, tensor<?x4xf32>
}
