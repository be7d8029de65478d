// RUN: burin-opt %s --split-input-file --graph-fold-constants | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-fold-constants --remarks-filter='FoldConstants' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// What no folder computes is compiled and run, once for all results.
// CHECK-LABEL: @evaluated
// CHECK-DAG: %[[P:.*]] = onnx.Constant dense<{{\[\[}}1.100000e+01, 1.400000e+01], [2.300000e+01, 3.000000e+01]]>
// CHECK-DAG: %[[S:.*]] = onnx.Constant dense<5.000000e-01> : tensor<2x2xf32>
// CHECK-NOT: onnx.MatMul
// CHECK: return %[[P]], %[[S]]
// REMARK: [Passed] Evaluate
func.func @evaluated() -> (tensor<2x2xf32>, tensor<2x2xf32>) {
  %a = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %b = onnx.Constant dense<[[1.0, 2.0], [5.0, 6.0]]> : tensor<2x2xf32>
  %z = onnx.Constant dense<[[1.0, 1.0], [2.0, 2.0]]> : tensor<2x2xf32>
  %0 = onnx.MatMul(%a, %b) : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %1 = onnx.Softmax(%z) : (tensor<2x2xf32>) -> tensor<2x2xf32>
  return %0, %1 : tensor<2x2xf32>, tensor<2x2xf32>
}

// -----

// No division by zero runs in the compiler.
// CHECK-LABEL: @undefined
// CHECK: onnx.Div
func.func @undefined() -> tensor<2xi64> {
  %a = onnx.Constant dense<[7, -7]> : tensor<2xi64>
  %z = onnx.Constant dense<0> : tensor<2xi64>
  %0 = onnx.Div(%a, %z) : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %0 : tensor<2xi64>
}
