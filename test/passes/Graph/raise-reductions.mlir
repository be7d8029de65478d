// RUN: burin-opt %s --split-input-file --graph-raise-reductions | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-raise-reductions --remarks-filter='RaiseReductions' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// JAX divides a sum, or multiplies it; the batch is free.
// CHECK-LABEL: @mean
// CHECK-COUNT-2: onnx.ReduceMean(%arg0, %{{.*}}) : {{.*}} -> tensor<?x1xf32>
// CHECK-NOT: onnx.ReduceSum
// REMARK: [Passed] Mean
func.func @mean(%x: tensor<?x8xf32>) -> (tensor<?x1xf32>, tensor<?x1xf32>) {
  %axis = onnx.Constant dense<-1> : tensor<1xi64>
  %eight = onnx.Constant dense<8.0> : tensor<f32>
  %eighth = onnx.Constant dense<0.125> : tensor<1x1xf32>
  %0 = onnx.ReduceSum(%x, %axis) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %1 = onnx.Div(%0, %eight) : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %2 = onnx.ReduceSum(%x, %axis) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %3 = onnx.Mul(%eighth, %2) : (tensor<1x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  return %1, %3 : tensor<?x1xf32>, tensor<?x1xf32>
}

// -----

// An axis that is dropped and put back, by either operator; the dropped form has another use and stays for it.
// CHECK-LABEL: @kept
// CHECK: %[[D:.*]] = onnx.ReduceMax(%arg0, %{{.*}}) {keepdims = 0 : i64}
// CHECK: %[[K:.*]] = onnx.ReduceMax(%arg0, %{{.*}}) : {{.*}} -> tensor<2x1x4xf32>
// CHECK: %[[M:.*]] = onnx.ReduceMean(%arg0, %{{.*}}) : {{.*}} -> tensor<2x1x1xf32>
// CHECK: return %[[K]], %[[D]], %[[M]]
// REMARK: [Passed] KeptDims
func.func @kept(%x: tensor<2x3x4xf32>) -> (tensor<2x1x4xf32>, tensor<2x4xf32>, tensor<2x1x1xf32>) {
  %axis = onnx.Constant dense<1> : tensor<1xi64>
  %axes = onnx.Constant dense<[-1, 1]> : tensor<2xi64>
  %shape = onnx.Constant dense<[2, 1, 1]> : tensor<3xi64>
  %0 = onnx.ReduceMax(%x, %axis) {keepdims = 0 : i64} : (tensor<2x3x4xf32>, tensor<1xi64>) -> tensor<2x4xf32>
  %1 = onnx.Unsqueeze(%0, %axis) : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1x4xf32>
  %2 = onnx.ReduceMean(%x, %axes) {keepdims = 0 : i64} : (tensor<2x3x4xf32>, tensor<2xi64>) -> tensor<2xf32>
  %3 = onnx.Reshape(%2, %shape) : (tensor<2xf32>, tensor<3xi64>) -> tensor<2x1x1xf32>
  return %1, %0, %3 : tensor<2x1x4xf32>, tensor<2x4xf32>, tensor<2x1x1xf32>
}

// -----

// Another axis comes back; the sum is used itself; nobody knows how many were summed; another number.
// CHECK-LABEL: @near_misses
// CHECK-NOT: onnx.ReduceMean
// CHECK-NOT: onnx.ReduceMax(%arg0, %{{.*}}) :
// REMARK: [Missed] KeptDims | {{.*}}the dims that come back are not those that went
// REMARK: [Missed] Mean | {{.*}}the sum has several uses
// REMARK: [Missed] Mean | {{.*}}how many elements are summed is not known
func.func @near_misses(%x: tensor<2x3x4xf32>, %y: tensor<2x?xf32>) -> (tensor<1x2x4xf32>, tensor<2x3x1xf32>, tensor<2x3x1xf32>, tensor<2x1xf32>, tensor<2x1x4xf32>) {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %axis = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Constant dense<2> : tensor<1xi64>
  %four = onnx.Constant dense<4.0> : tensor<f32>
  %0 = onnx.ReduceMax(%x, %axis) {keepdims = 0 : i64} : (tensor<2x3x4xf32>, tensor<1xi64>) -> tensor<2x4xf32>
  %1 = onnx.Unsqueeze(%0, %zero) : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<1x2x4xf32>
  %2 = onnx.ReduceSum(%x, %last) : (tensor<2x3x4xf32>, tensor<1xi64>) -> tensor<2x3x1xf32>
  %3 = onnx.Div(%2, %four) : (tensor<2x3x1xf32>, tensor<f32>) -> tensor<2x3x1xf32>
  %4 = onnx.ReduceSum(%y, %axis) : (tensor<2x?xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %5 = onnx.Div(%4, %four) : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %6 = onnx.ReduceSum(%x, %axis) : (tensor<2x3x4xf32>, tensor<1xi64>) -> tensor<2x1x4xf32>
  %7 = onnx.Div(%6, %four) : (tensor<2x1x4xf32>, tensor<f32>) -> tensor<2x1x4xf32>
  return %1, %2, %3, %5, %7 : tensor<1x2x4xf32>, tensor<2x3x1xf32>, tensor<2x3x1xf32>, tensor<2x1xf32>, tensor<2x1x4xf32>
}
