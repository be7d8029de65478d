// RUN: burin-opt %s --split-input-file --graph-raise-rms-norm | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-raise-rms-norm --remarks-filter='RaiseRmsNorm' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// The half-precision form: Casts around, the scale after the Cast back, 1 / root by Div, dynamic rows.
// CHECK-LABEL: @casts
// CHECK: %[[S:.*]] = onnx.Constant dense<[2.000000e+00, 3.000000e+00]> : tensor<2xf16>
// CHECK: %[[Y:.*]] = onnx.RMSNormalization(%arg0, %[[S]])
// CHECK-SAME: -> tensor<?x2xf16>
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] RMSNormalization
func.func @casts(%x: tensor<?x2xf16>) -> tensor<?x2xf16> {
  %axes = onnx.Constant dense<-1> : tensor<1xi64>
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<f32>
  %eps = onnx.Constant dense<9.99999975e-06> : tensor<f32>
  %s = onnx.Constant dense<[2.0, 3.0]> : tensor<2xf16>
  %0 = onnx.Cast(%x) {to = 1 : i64} : (tensor<?x2xf16>) -> tensor<?x2xf32>
  %1 = onnx.Pow(%0, %two) : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  %2 = onnx.ReduceMean(%1, %axes) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %3 = onnx.Add(%2, %eps) : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %4 = onnx.Sqrt(%3) : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %5 = onnx.Div(%one, %4) : (tensor<f32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %6 = onnx.Mul(%0, %5) : (tensor<?x2xf32>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %7 = onnx.Cast(%6) {to = 10 : i64} : (tensor<?x2xf32>) -> tensor<?x2xf16>
  %8 = onnx.Mul(%s, %7) : (tensor<2xf16>, tensor<?x2xf16>) -> tensor<?x2xf16>
  return %8 : tensor<?x2xf16>
}

// -----

// The scale before the Cast back is applied in f32: the Casts stay. Square by Mul, a Reciprocal, epsilon first.
// CHECK-LABEL: @scaled_wide
// CHECK: %[[X:.*]] = onnx.Cast(%arg0)
// CHECK: %[[Y:.*]] = onnx.RMSNormalization(%[[X]], %{{.*}}) {epsilon = 1.000000e-03 : f32}
// CHECK: onnx.Cast(%[[Y]])
func.func @scaled_wide(%x: tensor<3x2xf16>) -> tensor<3x2xf16> {
  %axes = onnx.Constant dense<1> : tensor<1xi64>
  %eps = onnx.Constant dense<1.0e-03> : tensor<1xf32>
  %s = onnx.Constant dense<[2.0, 3.0]> : tensor<2xf32>
  %0 = onnx.Cast(%x) {to = 1 : i64} : (tensor<3x2xf16>) -> tensor<3x2xf32>
  %1 = onnx.Mul(%0, %0) : (tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<3x2xf32>
  %2 = onnx.ReduceMean(%1, %axes) : (tensor<3x2xf32>, tensor<1xi64>) -> tensor<3x1xf32>
  %3 = onnx.Add(%eps, %2) : (tensor<1xf32>, tensor<3x1xf32>) -> tensor<3x1xf32>
  %4 = onnx.Sqrt(%3) : (tensor<3x1xf32>) -> tensor<3x1xf32>
  %5 = onnx.Reciprocal(%4) : (tensor<3x1xf32>) -> tensor<3x1xf32>
  %6 = onnx.Mul(%5, %0) : (tensor<3x1xf32>, tensor<3x2xf32>) -> tensor<3x2xf32>
  %7 = onnx.Mul(%6, %s) : (tensor<3x2xf32>, tensor<2xf32>) -> tensor<3x2xf32>
  %8 = onnx.Cast(%7) {to = 10 : i64} : (tensor<3x2xf32>) -> tensor<3x2xf16>
  return %8 : tensor<3x2xf16>
}

// -----

// A scale of 1 that went; the root by Pow.
// CHECK-LABEL: @bare
// CHECK: %[[S:.*]] = onnx.Constant dense<1.000000e+00> : tensor<2xf32>
// CHECK: onnx.RMSNormalization(%arg0, %[[S]])
func.func @bare(%x: tensor<3x2xf32>) -> tensor<3x2xf32> {
  %axes = onnx.Constant dense<1> : tensor<1xi64>
  %half = onnx.Constant dense<5.0e-01> : tensor<f32>
  %eps = onnx.Constant dense<1.0e-03> : tensor<f32>
  %1 = onnx.Mul(%x, %x) : (tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<3x2xf32>
  %2 = onnx.ReduceMean(%1, %axes) : (tensor<3x2xf32>, tensor<1xi64>) -> tensor<3x1xf32>
  %3 = onnx.Add(%2, %eps) : (tensor<3x1xf32>, tensor<f32>) -> tensor<3x1xf32>
  %4 = onnx.Pow(%3, %half) : (tensor<3x1xf32>, tensor<f32>) -> tensor<3x1xf32>
  %5 = onnx.Div(%x, %4) : (tensor<3x2xf32>, tensor<3x1xf32>) -> tensor<3x2xf32>
  return %5 : tensor<3x2xf32>
}

// -----

// A mean over the first dim is another normalization; a mean that is a result too would be computed twice; half
// precision throughout would round less.
// CHECK-LABEL: @near_misses
// CHECK-NOT: RMSNormalization
// REMARK: [Missed] RMSNormalization | {{.*}}the mean is not over the last dims, kept
// REMARK: [Missed] RMSNormalization | {{.*}}a part has several uses
// REMARK: [Missed] RMSNormalization | {{.*}}computed in another type than f32
func.func @near_misses(%x: tensor<3x2xf32>, %h: tensor<3x2xf16>) -> (tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x1xf32>, tensor<3x2xf16>) {
  %first = onnx.Constant dense<0> : tensor<1xi64>
  %last = onnx.Constant dense<1> : tensor<1xi64>
  %eps = onnx.Constant dense<1.0e-03> : tensor<f32>
  %heps = onnx.Constant dense<1.0e-03> : tensor<f16>
  %0 = onnx.Mul(%x, %x) : (tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<3x2xf32>
  %1 = onnx.ReduceMean(%0, %first) : (tensor<3x2xf32>, tensor<1xi64>) -> tensor<1x2xf32>
  %2 = onnx.Add(%1, %eps) : (tensor<1x2xf32>, tensor<f32>) -> tensor<1x2xf32>
  %3 = onnx.Sqrt(%2) : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %4 = onnx.Div(%x, %3) : (tensor<3x2xf32>, tensor<1x2xf32>) -> tensor<3x2xf32>
  %5 = onnx.Mul(%x, %x) : (tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<3x2xf32>
  %6 = onnx.ReduceMean(%5, %last) : (tensor<3x2xf32>, tensor<1xi64>) -> tensor<3x1xf32>
  %7 = onnx.Add(%6, %eps) : (tensor<3x1xf32>, tensor<f32>) -> tensor<3x1xf32>
  %8 = onnx.Sqrt(%7) : (tensor<3x1xf32>) -> tensor<3x1xf32>
  %9 = onnx.Div(%x, %8) : (tensor<3x2xf32>, tensor<3x1xf32>) -> tensor<3x2xf32>
  %10 = onnx.Mul(%h, %h) : (tensor<3x2xf16>, tensor<3x2xf16>) -> tensor<3x2xf16>
  %11 = onnx.ReduceMean(%10, %last) : (tensor<3x2xf16>, tensor<1xi64>) -> tensor<3x1xf16>
  %12 = onnx.Add(%11, %heps) : (tensor<3x1xf16>, tensor<f16>) -> tensor<3x1xf16>
  %13 = onnx.Sqrt(%12) : (tensor<3x1xf16>) -> tensor<3x1xf16>
  %14 = onnx.Div(%h, %13) : (tensor<3x2xf16>, tensor<3x1xf16>) -> tensor<3x2xf16>
  return %4, %9, %6, %14 : tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x1xf32>, tensor<3x2xf16>
}
