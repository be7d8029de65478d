// RUN: burin-opt %s --split-input-file --graph-raise-group-norm | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-raise-group-norm --remarks-filter='RaiseGroupNorm' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// As PyTorch exports it: two groups of two channels, scale and bias after it.
// CHECK-LABEL: @groups
// CHECK-DAG: %[[S:.*]] = onnx.Constant dense<[1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00]> : tensor<4xf32>
// CHECK-DAG: %[[B:.*]] = onnx.Constant dense<5.000000e-01> : tensor<4xf32>
// CHECK: %[[Y:.*]] = onnx.GroupNormalization(%arg0, %[[S]], %[[B]]) {epsilon = 1.000000e-03 : f32, num_groups = 2 : i64}
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] GroupNormalization
// REMARK: [Passed] Affine
func.func @groups(%x: tensor<?x4x3x5xf32, #onnx.dims<["n", "", "", ""]>>, %to: tensor<4xi64>) -> tensor<?x4x3x5xf32, #onnx.dims<["n", "", "", ""]>> {
  %split = onnx.Constant dense<[0, 2, -1]> : tensor<3xi64>
  %one = onnx.Constant dense<1.0> : tensor<2xf32>
  %zero = onnx.Constant dense<0.0> : tensor<2xf32>
  %s = onnx.Constant dense<[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]> : tensor<4x1x1xf32>
  %b = onnx.Constant dense<0.5> : tensor<4x1x1xf32>
  %0 = onnx.Reshape(%x, %split) : (tensor<?x4x3x5xf32, #onnx.dims<["n", "", "", ""]>>, tensor<3xi64>) -> tensor<?x2x30xf32, #onnx.dims<["n", "", ""]>>
  %1 = onnx.InstanceNormalization(%0, %one, %zero) {epsilon = 0.001 : f32} : (tensor<?x2x30xf32, #onnx.dims<["n", "", ""]>>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2x30xf32, #onnx.dims<["n", "", ""]>>
  %2 = onnx.Reshape(%1, %to) : (tensor<?x2x30xf32, #onnx.dims<["n", "", ""]>>, tensor<4xi64>) -> tensor<?x4x3x5xf32, #onnx.dims<["n", "", "", ""]>>
  %3 = onnx.Mul(%2, %s) : (tensor<?x4x3x5xf32, #onnx.dims<["n", "", "", ""]>>, tensor<4x1x1xf32>) -> tensor<?x4x3x5xf32, #onnx.dims<["n", "", "", ""]>>
  %4 = onnx.Add(%b, %3) : (tensor<4x1x1xf32>, tensor<?x4x3x5xf32, #onnx.dims<["n", "", "", ""]>>) -> tensor<?x4x3x5xf32, #onnx.dims<["n", "", "", ""]>>
  return %4 : tensor<?x4x3x5xf32, #onnx.dims<["n", "", "", ""]>>
}

// -----

// CHECK-LABEL: @instances
// CHECK: onnx.InstanceNormalization(%arg0, %{{.*}}, %{{.*}}) : (tensor<2x3x4x5xf32>, tensor<3xf32>, tensor<3xf32>)
// CHECK-NEXT: return
// REMARK: [Passed] InstanceNormalization
func.func @instances(%x: tensor<2x3x4x5xf32>) -> tensor<2x3x4x5xf32> {
  %axes = onnx.Constant dense<[2, -1]> : tensor<2xi64>
  %eps = onnx.Constant dense<1.0e-5> : tensor<f32>
  %s = onnx.Constant dense<[[[[2.0]], [[3.0]], [[4.0]]]]> : tensor<1x3x1x1xf32>
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %0 = onnx.ReduceMean(%x, %axes) : (tensor<2x3x4x5xf32>, tensor<2xi64>) -> tensor<2x3x1x1xf32>
  %1 = onnx.Sub(%x, %0) : (tensor<2x3x4x5xf32>, tensor<2x3x1x1xf32>) -> tensor<2x3x4x5xf32>
  %2 = onnx.Pow(%1, %two) : (tensor<2x3x4x5xf32>, tensor<f32>) -> tensor<2x3x4x5xf32>
  %3 = onnx.ReduceMean(%2, %axes) : (tensor<2x3x4x5xf32>, tensor<2xi64>) -> tensor<2x3x1x1xf32>
  %4 = onnx.Add(%3, %eps) : (tensor<2x3x1x1xf32>, tensor<f32>) -> tensor<2x3x1x1xf32>
  %5 = onnx.Sqrt(%4) : (tensor<2x3x1x1xf32>) -> tensor<2x3x1x1xf32>
  %6 = onnx.Div(%1, %5) : (tensor<2x3x4x5xf32>, tensor<2x3x1x1xf32>) -> tensor<2x3x4x5xf32>
  %7 = onnx.Mul(%6, %s) : (tensor<2x3x4x5xf32>, tensor<1x3x1x1xf32>) -> tensor<2x3x4x5xf32>
  return %7 : tensor<2x3x4x5xf32>
}

// -----

// Another shape after it; a scale by column; a normalized value with two uses.
// CHECK-LABEL: @near_misses
// CHECK-NOT: GroupNormalization
// REMARK: [Missed] GroupNormalization | {{.*}}the last shape is not known to be the first
// REMARK: [Missed] Affine | {{.*}}the constant is not one number a channel
// REMARK: [Missed] Affine | {{.*}}the normalized value has several uses
func.func @near_misses(%x: tensor<2x4x6xf32>, %o: tensor<4xf32>, %z: tensor<4xf32>) -> (tensor<2x6x4xf32>, tensor<2x4x6xf32>, tensor<2x4x6xf32>, tensor<2x4x6xf32>) {
  %split = onnx.Constant dense<[2, 2, 12]> : tensor<3xi64>
  %to = onnx.Constant dense<[2, 6, 4]> : tensor<3xi64>
  %one = onnx.Constant dense<1.0> : tensor<2xf32>
  %zero = onnx.Constant dense<0.0> : tensor<2xf32>
  %columns = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]> : tensor<6xf32>
  %bias = onnx.Constant dense<2.0> : tensor<f32>
  %z4 = onnx.Constant dense<0.0> : tensor<4xf32>
  %0 = onnx.Reshape(%x, %split) : (tensor<2x4x6xf32>, tensor<3xi64>) -> tensor<2x2x12xf32>
  %1 = onnx.InstanceNormalization(%0, %one, %zero) : (tensor<2x2x12xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<2x2x12xf32>
  %2 = onnx.Reshape(%1, %to) : (tensor<2x2x12xf32>, tensor<3xi64>) -> tensor<2x6x4xf32>
  %3 = onnx.InstanceNormalization(%x, %o, %z4) : (tensor<2x4x6xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<2x4x6xf32>
  %4 = onnx.Mul(%3, %columns) : (tensor<2x4x6xf32>, tensor<6xf32>) -> tensor<2x4x6xf32>
  %5 = onnx.InstanceNormalization(%x, %o, %z4) : (tensor<2x4x6xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<2x4x6xf32>
  %6 = onnx.Add(%5, %bias) : (tensor<2x4x6xf32>, tensor<f32>) -> tensor<2x4x6xf32>
  return %2, %4, %5, %6 : tensor<2x6x4xf32>, tensor<2x4x6xf32>, tensor<2x4x6xf32>, tensor<2x4x6xf32>
}
