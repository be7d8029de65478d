// RUN: burin-opt %s --split-input-file --graph-raise-softmax | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-raise-softmax --remarks-filter='RaiseSoftmax' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: @softmax
// CHECK: %[[Y:.*]] = onnx.Softmax(%arg0) {axis = 1 : i64} : (tensor<?x4x3xf32>) -> tensor<?x4x3xf32>
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] Softmax
func.func @softmax(%x: tensor<?x4x3xf32>) -> tensor<?x4x3xf32> {
  %axis = onnx.Constant dense<1> : tensor<1xi64>
  %back = onnx.Constant dense<-2> : tensor<1xi64>
  %0 = onnx.ReduceMax(%x, %axis) : (tensor<?x4x3xf32>, tensor<1xi64>) -> tensor<?x1x3xf32>
  %1 = onnx.Sub(%x, %0) : (tensor<?x4x3xf32>, tensor<?x1x3xf32>) -> tensor<?x4x3xf32>
  %2 = onnx.Exp(%1) : (tensor<?x4x3xf32>) -> tensor<?x4x3xf32>
  %3 = onnx.ReduceSum(%2, %back) : (tensor<?x4x3xf32>, tensor<1xi64>) -> tensor<?x1x3xf32>
  %4 = onnx.Div(%2, %3) : (tensor<?x4x3xf32>, tensor<?x1x3xf32>) -> tensor<?x4x3xf32>
  return %4 : tensor<?x4x3xf32>
}

// -----

// CHECK-LABEL: @logarithm
// CHECK-COUNT-2: onnx.LogSoftmax(%arg0)
// REMARK: [Passed] LogSoftmax
func.func @logarithm(%x: tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
  %axis = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.ReduceMax(%x, %axis) : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %1 = onnx.Sub(%x, %0) : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %2 = onnx.Exp(%1) : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %3 = onnx.ReduceSum(%2, %axis) : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %4 = onnx.Log(%3) : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %5 = onnx.Sub(%1, %4) : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %6 = onnx.ReduceLogSumExp(%x, %axis) : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %7 = onnx.Sub(%x, %6) : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  return %5, %7 : tensor<2x4xf32>, tensor<2x4xf32>
}

// -----

// No maximum; exponentials that are used elsewhere.
// CHECK-LABEL: @near_misses
// CHECK-NOT: onnx.Softmax
// REMARK: [Missed] Softmax | {{.*}}the greatest value is not subtracted
// REMARK: [Missed] Softmax | {{.*}}the exponentials have other uses
func.func @near_misses(%x: tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>) {
  %axis = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.Exp(%x) : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %1 = onnx.ReduceSum(%0, %axis) : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %2 = onnx.Div(%0, %1) : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %3 = onnx.ReduceMax(%x, %axis) : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %4 = onnx.Sub(%x, %3) : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %5 = onnx.Exp(%4) : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %6 = onnx.ReduceSum(%5, %axis) : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %7 = onnx.Div(%5, %6) : (tensor<2x4xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  return %2, %5, %7 : tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>
}
