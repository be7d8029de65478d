// RUN: burin-opt %s --split-input-file --graph-build-early-exit="exits=late:threshold=0.5,early" | FileCheck %s
// RUN: not burin-opt %s --split-input-file --graph-build-early-exit="exits=early" -o /dev/null 2>&1 | FileCheck %s --check-prefix=TWO
// RUN: not burin-opt %s --split-input-file --graph-build-early-exit="exits=nothing" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not burin-opt %s --split-input-file --graph-build-early-exit="exits=early:threshold=x,late" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NUMBER

// Heads in the order in which they become known; one already gives probabilities; the first threshold is an input.
// CHECK: burin.early_exit = "[{\22exit\22:\22early\22,\22macs\22:4,\22probabilities\22:false},{\22exit\22:\22late\22,\22macs\22:8,\22probabilities\22:true},{\22exit\22:\22y\22,\22macs\22:12,\22probabilities\22:false}]"
// CHECK-LABEL: func.func @two
// CHECK-SAME: %arg1: tensor<f32> {onnx.name = "early_threshold"}) -> (tensor<1x2xf32> {onnx.name = "y"}, tensor<i64> {onnx.name = "exit_index"})
// CHECK: %[[A:.*]] = onnx.MatMul(%arg0
// CHECK: %[[S:.*]] = onnx.Softmax(%[[A]])
// CHECK: %[[M:.*]] = onnx.ReduceMax(%[[S]]
// CHECK: %[[L:.*]] = onnx.ReduceMin(%[[M]]
// CHECK: %[[C:.*]] = onnx.GreaterOrEqual(%[[L]], %arg1)
// CHECK: onnx.If(%[[C]])
// CHECK: onnx.Yield(%[[A]]
// CHECK: onnx.MatMul(%[[A]]
// CHECK: %[[P:.*]] = onnx.Softmax
// CHECK-NOT: onnx.Softmax
// CHECK: onnx.ReduceMax(%[[P]]
// CHECK: onnx.If
// CHECK: onnx.MatMul
// TWO: error: --early-exit: expected one output beside the heads, the network's own, got 2
// NAME: error: --early-exit: expected the name of an output (y, late, early), got 'nothing'
// NUMBER: error: --early-exit: expected HEAD:threshold=NUMBER or HEAD:threshold=input, got 'early:threshold=x'
func.func @two(%x: tensor<1x2xf32> {onnx.name = "x"}) -> (tensor<1x2xf32> {onnx.name = "y"}, tensor<1x2xf32> {onnx.name = "late"}, tensor<1x2xf32> {onnx.name = "early"}) {
  %w = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %0 = onnx.MatMul(%x, %w) : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %1 = onnx.MatMul(%0, %w) : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %2 = onnx.Softmax(%1) : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %3 = onnx.MatMul(%1, %w) : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  return %3, %2, %0 : tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>
}

// -----

// Dims that are not known count as one; a batch is as sure as its least.
// CHECK-LABEL: func.func @dynamic
// CHECK: onnx.ReduceMin({{.*}}keepdims = 0
func.func @dynamic(%x: tensor<?x2xf32> {onnx.name = "x"}) -> (tensor<?x2xf32> {onnx.name = "y"}, tensor<?x2xf32> {onnx.name = "late"}, tensor<?x2xf32> {onnx.name = "early"}) {
  %0 = onnx.Relu(%x) : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %1 = onnx.Tanh(%0) : (tensor<?x2xf32>) -> tensor<?x2xf32>
  %2 = onnx.Neg(%1) : (tensor<?x2xf32>) -> tensor<?x2xf32>
  return %2, %1, %0 : tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>
}
