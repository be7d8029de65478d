// RUN: burin-opt %s --split-input-file --quant-prune-weights='sparsity=0.5 least=4' | FileCheck %s
// RUN: burin-opt %s --split-input-file --quant-prune-weights='sparsity=0.5 least=4 global' | FileCheck %s --check-prefix=GLOBAL
// RUN: burin-opt %s --split-input-file --quant-prune-weights='pattern=2:4 least=4' | FileCheck %s --check-prefix=PATTERN
// RUN: burin-opt %s --split-input-file --quant-prune-weights='unit=filter least=4' | FileCheck %s --check-prefix=FILTER
// RUN: burin-opt %s --split-input-file --quant-prune-weights='unit=block least=4' | FileCheck %s --check-prefix=BLOCK
// RUN: burin-opt %s --split-input-file --quant-prune-weights='criterion=fisher least=4' | FileCheck %s --check-prefix=FISHER
// RUN: burin-opt %s --split-input-file --quant-prune-weights='criterion=variance least=4' | FileCheck %s --check-prefix=VARIANCE
// RUN: burin-opt %s --split-input-file --quant-prune-weights='sparsity=0.5 least=4' --remarks-filter='PruneWeights' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: not burin-opt %s --split-input-file --quant-prune-weights='pattern=4:2' 2>&1 | FileCheck %s --check-prefix=WRONG

// Half of each layer; over both layers together the second's small weights go; two of each four inputs of an output channel;
// the lesser of two filters; in blocks of up to 16 output channels the lesser inputs.
// WRONG: error: {{.*}}expected a criterion of magnitude, variance, gradient, fisher, a unit of element, block, filter, a sparsity from 0 to below 1 and a pattern N:M of elements
// CHECK-LABEL: @magnitude
// CHECK-DAG: dense<{{\[\[}}8.000000e+00, 0.000000e+00, 6.000000e+00, 0.000000e+00], [7.000000e+00, 0.000000e+00, 5.000000e+00, 0.000000e+00]]>
// CHECK-DAG: dense<{{\[\[}}0.000000e+00, 4.000000e-01, 0.000000e+00, 3.000000e-01]]>
// GLOBAL-LABEL: @magnitude
// GLOBAL-DAG: dense<{{\[\[}}8.000000e+00, 0.000000e+00, 6.000000e+00, 3.000000e+00], [7.000000e+00, 0.000000e+00, 5.000000e+00, 3.000000e+00]]>
// GLOBAL-DAG: dense<0.000000e+00> : tensor<1x4xf32>
// PATTERN-LABEL: @magnitude
// PATTERN-DAG: dense<{{\[\[}}8.000000e+00, 0.000000e+00, 6.000000e+00, 0.000000e+00], [7.000000e+00, 0.000000e+00, 5.000000e+00, 0.000000e+00]]>
// FILTER-LABEL: @magnitude
// FILTER-DAG: dense<{{\[\[}}8.000000e+00, 1.000000e+00, 6.000000e+00, 3.000000e+00], [0.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00]]>
// BLOCK-LABEL: @magnitude
// BLOCK-DAG: dense<{{\[\[}}8.000000e+00, 0.000000e+00, 6.000000e+00, 0.000000e+00], [7.000000e+00, 0.000000e+00, 5.000000e+00, 0.000000e+00]]>
// REMARK: [Passed] Weights | {{.*}}4 of 8 elements are zero
func.func @magnitude(%x: tensor<3x4xf32>) -> (tensor<3x2xf32>, tensor<3x1xf32>) {
  %none = onnx.NoValue
  %v = onnx.Constant dense<[[0.1, 0.4, 0.2, 0.3]]> : tensor<1x4xf32>
  %w1 = onnx.Constant dense<[[8.0, 1.0, 6.0, 3.0], [7.0, 2.0, 5.0, 3.0]]> : tensor<2x4xf32>
  %0 = onnx.Gemm(%x, %w1, %none) {transB = 1 : i64} : (tensor<3x4xf32>, tensor<2x4xf32>, none) -> tensor<3x2xf32>
  %1 = onnx.Gemm(%x, %v, %none) {transB = 1 : i64} : (tensor<3x4xf32>, tensor<1x4xf32>, none) -> tensor<3x1xf32>
  return %0, %1 : tensor<3x2xf32>, tensor<3x1xf32>
}

// -----

// By what comes in: input 0 is large on average but hardly varies, input 3 varies. Input 1 follows input 0 and makes up for it
// where that goes.
// FISHER-LABEL: @measured
// FISHER: dense<{{\[\[}}{{[0-9.e+]+}}, 0.000000e+00, 0.000000e+00, {{[0-9.e+]+}}]]>
// VARIANCE-LABEL: @measured
// VARIANCE: dense<{{\[\[}}0.000000e+00, {{[1-9][0-9.e+-]+}}, 0.000000e+00, {{[0-9.e+]+}}]]>
func.func @measured(%x: tensor<3x4xf32>) -> tensor<3x1xf32> {
  %w = onnx.Constant dense<[[1.0, 1.0, 1.0, 1.0]]> : tensor<1x4xf32>
  %b = onnx.Constant dense<0.0> : tensor<1xf32>
  %0 = onnx.Gemm(%x, %w, %b) {transB = 1 : i64, burin.sensitivity = 2.0 : f64, burin.moments = [64.0 : f64, dense<[[10.0, 0.0, 0.0, 0.0]]> : tensor<1x4xf32>, dense<[[[0.1, 0.1, 0.0, 0.0], [0.1, 0.2, 0.0, 0.0], [0.0, 0.0, 0.01, 0.0], [0.0, 0.0, 0.0, 4.0]]]> : tensor<1x4x4xf32>]} : (tensor<3x4xf32>, tensor<1x4xf32>, tensor<1xf32>) -> tensor<3x1xf32>
  return %0 : tensor<3x1xf32>
}
