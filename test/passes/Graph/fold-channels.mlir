// RUN: burin-opt %s --split-input-file --graph-fold-channels | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-fold-channels --remarks-filter='FoldChannels' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Channels 2 and 0 of three, past a Relu and a Mul by channel: rows 2 and 0 of weights, bias and factor.
// CHECK-LABEL: @rows
// CHECK-DAG: %[[W:.*]] = onnx.Constant dense<{{\[\[\[\[}}3.000000e+00]]], {{\[\[\[}}1.000000e+00]]]]> : tensor<2x1x1x1xf32>
// CHECK-DAG: %[[B:.*]] = onnx.Constant dense<[6.000000e+00, 4.000000e+00]> : tensor<2xf32>
// CHECK: %[[C:.*]] = onnx.Conv(%arg0, %[[W]], %[[B]])
// CHECK: %[[R:.*]] = onnx.Relu(%[[C]])
// CHECK: %[[M:.*]] = onnx.Constant dense<{{\[\[\[}}9.000000e+00]], {{\[\[}}7.000000e+00]]]> : tensor<2x1x1xf32>
// CHECK: %[[Y:.*]] = onnx.Mul(%[[R]], %[[M]])
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] Rows
func.func @rows(%x: tensor<?x1x?x4xf32>) -> tensor<?x2x?x4xf32> {
  %w = onnx.Constant dense<[[[[1.0]]], [[[2.0]]], [[[3.0]]]]> : tensor<3x1x1x1xf32>
  %b = onnx.Constant dense<[4.0, 5.0, 6.0]> : tensor<3xf32>
  %m = onnx.Constant dense<[[[7.0]], [[8.0]], [[9.0]]]> : tensor<3x1x1xf32>
  %i = onnx.Constant dense<[2, -3]> : tensor<2xi64>
  %0 = onnx.Conv(%x, %w, %b) : (tensor<?x1x?x4xf32>, tensor<3x1x1x1xf32>, tensor<3xf32>) -> tensor<?x3x?x4xf32>
  %1 = onnx.Relu(%0) : (tensor<?x3x?x4xf32>) -> tensor<?x3x?x4xf32>
  %2 = onnx.Mul(%1, %m) : (tensor<?x3x?x4xf32>, tensor<3x1x1xf32>) -> tensor<?x3x?x4xf32>
  %3 = onnx.Gather(%2, %i) {axis = 1 : i64} : (tensor<?x3x?x4xf32>, tensor<2xi64>) -> tensor<?x2x?x4xf32>
  return %3 : tensor<?x2x?x4xf32>
}

// -----

// A Slice keeps the first two rows, past a depthwise convolution, which becomes one of two groups.
// CHECK-LABEL: @slice
// CHECK: onnx.Conv(%arg0, {{.*}}) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
// CHECK: onnx.Conv({{.*}}) {group = 2 : i64} : (tensor<1x2x4x4xf32>, tensor<2x1x3x3xf32>, none) -> tensor<1x2x2x2xf32>
// CHECK-NEXT: return
func.func @slice(%x: tensor<1x1x4x4xf32>) -> tensor<1x2x2x2xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<3x1x1x1xf32>
  %d = onnx.Constant dense<2.0> : tensor<3x1x3x3xf32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<3x1x1x1xf32>, none) -> tensor<1x3x4x4xf32>
  %1 = onnx.Conv(%0, %d, %none) {group = 3 : i64} : (tensor<1x3x4x4xf32>, tensor<3x1x3x3xf32>, none) -> tensor<1x3x2x2xf32>
  %2 = onnx.Slice(%1, %zero, %two, %one, %none) : (tensor<1x3x2x2xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<1x2x2x2xf32>
  return %2 : tensor<1x2x2x2xf32>
}

// -----

// A shuffle of two groups behind a grouped convolution cannot go up; the depthwise and the 1x1 convolution behind take it.
// CHECK-LABEL: @shuffle
// CHECK: %[[G:.*]] = onnx.Conv(%arg0, %{{.*}}, %{{.*}}) {group = 2 : i64}
// CHECK-NOT: onnx.Transpose
// CHECK-DAG: onnx.Constant dense<{{\[\[\[\[}}1.000000e+00]]], {{\[\[\[}}3.000000e+00]]], {{\[\[\[}}2.000000e+00]]], {{\[\[\[}}4.000000e+00]]]]> : tensor<4x1x1x1xf32>
// CHECK-DAG: onnx.Constant dense<{{\[\[\[\[}}5.000000e+00]], {{\[\[}}7.000000e+00]], {{\[\[}}6.000000e+00]], {{\[\[}}8.000000e+00]]]]> : tensor<1x4x1x1xf32>
// CHECK: onnx.Conv(%[[G]]
// REMARK: [Passed] Columns
func.func @shuffle(%x: tensor<?x4x2x2xf32>) -> tensor<?x1x2x2xf32> {
  %none = onnx.NoValue
  %g = onnx.Constant dense<1.0> : tensor<4x2x1x1xf32>
  %d = onnx.Constant dense<[[[[1.0]]], [[[2.0]]], [[[3.0]]], [[[4.0]]]]> : tensor<4x1x1x1xf32>
  %w = onnx.Constant dense<[[[[5.0]], [[6.0]], [[7.0]], [[8.0]]]]> : tensor<1x4x1x1xf32>
  %split = onnx.Constant dense<[-1, 2, 2, 2, 2]> : tensor<5xi64>
  %back = onnx.Constant dense<[-1, 4, 2, 2]> : tensor<4xi64>
  %0 = onnx.Conv(%x, %g, %none) {group = 2 : i64} : (tensor<?x4x2x2xf32>, tensor<4x2x1x1xf32>, none) -> tensor<?x4x2x2xf32>
  %1 = onnx.Reshape(%0, %split) : (tensor<?x4x2x2xf32>, tensor<5xi64>) -> tensor<?x2x2x2x2xf32>
  %2 = onnx.Transpose(%1) {perm = array<i64: 0, 2, 1, 3, 4>} : (tensor<?x2x2x2x2xf32>) -> tensor<?x2x2x2x2xf32>
  %3 = onnx.Reshape(%2, %back) : (tensor<?x2x2x2x2xf32>, tensor<4xi64>) -> tensor<?x4x2x2xf32>
  %4 = onnx.Conv(%3, %d, %none) {group = 4 : i64} : (tensor<?x4x2x2xf32>, tensor<4x1x1x1xf32>, none) -> tensor<?x4x2x2xf32>
  %5 = onnx.Conv(%4, %w, %none) : (tensor<?x4x2x2xf32>, tensor<1x4x1x1xf32>, none) -> tensor<?x1x2x2xf32>
  return %5 : tensor<?x1x2x2xf32>
}

// -----

// A partial convolution: what is passed on comes first, as it lies in the value that is added later, and the weights behind take
// the order (columns 0 to 2 hold 1 to 3).
// CHECK-LABEL: @parts
// CHECK: %[[P:.*]]:2 = onnx.Split(%arg0
// CHECK: %[[N:.*]] = onnx.Conv(%[[P]]#0
// CHECK: %[[C:.*]] = onnx.Concat(%[[P]]#1, %[[N]])
// CHECK: %[[W:.*]] = onnx.Constant dense<{{\[\[\[\[}}2.000000e+00]], {{\[\[}}3.000000e+00]], {{\[\[}}1.000000e+00]]]]> : tensor<1x3x1x1xf32>
// CHECK: %[[R:.*]] = onnx.Relu(%[[C]])
// CHECK: onnx.Conv(%[[R]], %[[W]]
// REMARK: [Passed] Parts
// REMARK: [Passed] Columns
func.func @parts(%x: tensor<?x3x4x4xf32>) -> tensor<?x3x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<5.0> : tensor<1x1x1x1xf32>
  %v = onnx.Constant dense<[[[[1.0]], [[2.0]], [[3.0]]]]> : tensor<1x3x1x1xf32>
  %sizes = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %0:2 = onnx.Split(%x, %sizes) {axis = 1 : i64} : (tensor<?x3x4x4xf32>, tensor<2xi64>) -> (tensor<?x1x4x4xf32>, tensor<?x2x4x4xf32>)
  %1 = onnx.Conv(%0#0, %w, %none) : (tensor<?x1x4x4xf32>, tensor<1x1x1x1xf32>, none) -> tensor<?x1x4x4xf32>
  %2 = onnx.Concat(%1, %0#1) {axis = 1 : i64} : (tensor<?x1x4x4xf32>, tensor<?x2x4x4xf32>) -> tensor<?x3x4x4xf32>
  %3 = onnx.Relu(%2) : (tensor<?x3x4x4xf32>) -> tensor<?x3x4x4xf32>
  %4 = onnx.Conv(%3, %v, %none) : (tensor<?x3x4x4xf32>, tensor<1x3x1x1xf32>, none) -> tensor<?x1x4x4xf32>
  %5 = onnx.Add(%x, %4) : (tensor<?x3x4x4xf32>, tensor<?x1x4x4xf32>) -> tensor<?x3x4x4xf32>
  return %5 : tensor<?x3x4x4xf32>
}

// -----

// Near miss: the result leaves the graph, so its order counts.
// CHECK-LABEL: @parts_seen
// CHECK: onnx.Concat(%{{.*}}, %{{.*}}#1)
// CHECK-NEXT: return
// REMARK: [Missed] Parts | {{.*}}no weights behind it can take another order
func.func @parts_seen(%x: tensor<1x3x4x4xf32>) -> (tensor<1x3x4x4xf32>, tensor<1x3x4x4xf32>) {
  %sizes = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %0:2 = onnx.Split(%x, %sizes) {axis = 1 : i64} : (tensor<1x3x4x4xf32>, tensor<2xi64>) -> (tensor<1x1x4x4xf32>, tensor<1x2x4x4xf32>)
  %1 = onnx.Relu(%0#0) : (tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32>
  %2 = onnx.Exp(%x) : (tensor<1x3x4x4xf32>) -> tensor<1x3x4x4xf32>
  %3 = onnx.Concat(%1, %0#1) {axis = 1 : i64} : (tensor<1x1x4x4xf32>, tensor<1x2x4x4xf32>) -> tensor<1x3x4x4xf32>
  return %2, %3 : tensor<1x3x4x4xf32>, tensor<1x3x4x4xf32>
}

// -----

// Near misses: several uses, more channels than there were, a choice before the convolution.
// CHECK-LABEL: @near_misses
// CHECK-COUNT-3: onnx.Gather
// REMARK: [Missed] Rows | {{.*}}a value between the weights and the new order has several uses
// REMARK: [Missed] Rows | {{.*}}there would be more channels to compute
// REMARK: [Missed] Columns | {{.*}}not every channel is kept once
func.func @near_misses(%x: tensor<1x1x4x4xf32>, %y: tensor<1x4x4x4xf32>)
    -> (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x3x4x4xf32>, tensor<1x1x4x4xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x1x1x1xf32>
  %v = onnx.Constant dense<1.0> : tensor<1x2x1x1xf32>
  %swap = onnx.Constant dense<[1, 0]> : tensor<2xi64>
  %more = onnx.Constant dense<[1, 0, 1]> : tensor<3xi64>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %1 = onnx.Gather(%0, %swap) {axis = 1 : i64} : (tensor<1x2x4x4xf32>, tensor<2xi64>) -> tensor<1x2x4x4xf32>
  %2 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %3 = onnx.Gather(%2, %more) {axis = 1 : i64} : (tensor<1x2x4x4xf32>, tensor<3xi64>) -> tensor<1x3x4x4xf32>
  %4 = onnx.Gather(%y, %swap) {axis = 1 : i64} : (tensor<1x4x4x4xf32>, tensor<2xi64>) -> tensor<1x2x4x4xf32>
  %5 = onnx.Conv(%4, %v, %none) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, none) -> tensor<1x1x4x4xf32>
  return %0, %1, %3, %5 : tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x3x4x4xf32>, tensor<1x1x4x4xf32>
}
