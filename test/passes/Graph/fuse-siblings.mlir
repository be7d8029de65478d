// RUN: burin-opt %s --split-input-file --graph-fuse-siblings='groups=true' | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-fuse-siblings='lanes=8' --remarks-filter='FuseSiblings' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Queries, keys and values with their biases: one product, one Add, one Split. The batch is dynamic.
// CHECK-LABEL: @projections
// CHECK: %[[W:.*]] = onnx.Constant dense<{{\[\[}}1.000000e+00, 1.000000e+00, 2.000000e+00, 3.000000e+00], {{.*}}> : tensor<2x4xf32>
// CHECK: %[[P:.*]] = onnx.MatMul(%arg0, %[[W]]) : (tensor<?x3x2xf32>, tensor<2x4xf32>) -> tensor<?x3x4xf32>
// CHECK: %[[B:.*]] = onnx.Constant dense<[4.000000e+00, 5.000000e+00, 6.000000e+00, 6.000000e+00]> : tensor<4xf32>
// CHECK: %[[S:.*]] = onnx.Add(%[[P]], %[[B]])
// CHECK: onnx.Split(%[[S]], %{{.*}}) {axis = 2 : i64}
// CHECK-NEXT: return
// REMARK: [Passed] MatMul | {{.*}}3 MatMul
// REMARK: [Passed] BehindSplit
func.func @projections(%x: tensor<?x3x2xf32>) -> (tensor<?x3x2xf32>, tensor<?x3x1xf32>, tensor<?x3x1xf32>) {
  %q = onnx.Constant dense<1.0> : tensor<2x2xf32>
  %k = onnx.Constant dense<2.0> : tensor<2x1xf32>
  %v = onnx.Constant dense<3.0> : tensor<2x1xf32>
  %a = onnx.Constant dense<[4.0, 5.0]> : tensor<2xf32>
  %b = onnx.Constant dense<6.0> : tensor<1xf32>
  %0 = onnx.MatMul(%x, %q) : (tensor<?x3x2xf32>, tensor<2x2xf32>) -> tensor<?x3x2xf32>
  %1 = onnx.Add(%a, %0) : (tensor<2xf32>, tensor<?x3x2xf32>) -> tensor<?x3x2xf32>
  %2 = onnx.MatMul(%x, %k) : (tensor<?x3x2xf32>, tensor<2x1xf32>) -> tensor<?x3x1xf32>
  %3 = onnx.Add(%2, %b) : (tensor<?x3x1xf32>, tensor<1xf32>) -> tensor<?x3x1xf32>
  %4 = onnx.MatMul(%x, %v) : (tensor<?x3x2xf32>, tensor<2x1xf32>) -> tensor<?x3x1xf32>
  %5 = onnx.Add(%4, %b) : (tensor<?x3x1xf32>, tensor<1xf32>) -> tensor<?x3x1xf32>
  return %1, %3, %5 : tensor<?x3x2xf32>, tensor<?x3x1xf32>, tensor<?x3x1xf32>
}

// -----

// Two heads over one map, then two towers of equal shape: one convolution, then one of two groups. A missing bias is 0.
// CHECK-LABEL: @towers
// CHECK: %[[A:.*]] = onnx.Conv(%arg0, {{.*}}) : (tensor<1x3x4x4xf32>, tensor<4x3x1x1xf32>, tensor<4xf32>) -> tensor<1x4x4x4xf32>
// CHECK: %[[R:.*]] = onnx.Relu(%[[A]])
// CHECK: %[[B:.*]] = onnx.Conv(%[[R]], {{.*}}) {group = 2 : i64, pads = array<i64: 1, 1, 1, 1>}
// CHECK: onnx.Split(%[[B]], %{{.*}}) {axis = 1 : i64}
// CHECK-NEXT: return
func.func @towers(%x: tensor<1x3x4x4xf32>) -> (tensor<1x5x4x4xf32>, tensor<1x5x4x4xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x3x1x1xf32>
  %b = onnx.Constant dense<2.0> : tensor<2xf32>
  %v = onnx.Constant dense<3.0> : tensor<5x2x3x3xf32>
  %u = onnx.Constant dense<4.0> : tensor<5x2x3x3xf32>
  %0 = onnx.Conv(%x, %w, %b) : (tensor<1x3x4x4xf32>, tensor<2x3x1x1xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  %1 = onnx.Conv(%x, %w, %none) : (tensor<1x3x4x4xf32>, tensor<2x3x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %2 = onnx.Relu(%0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %3 = onnx.Relu(%1) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %4 = onnx.Conv(%2, %v, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x2x4x4xf32>, tensor<5x2x3x3xf32>, none) -> tensor<1x5x4x4xf32>
  %5 = onnx.Conv(%3, %u, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x2x4x4xf32>, tensor<5x2x3x3xf32>, none) -> tensor<1x5x4x4xf32>
  return %4, %5 : tensor<1x5x4x4xf32>, tensor<1x5x4x4xf32>
}

// -----

// Near misses: attributes or kernels that differ; one activation of the parts alone stays behind the Split, and so does a
// part that is used twice. Sixteen columns fill vectors of eight as they are.
// CHECK-LABEL: @near_misses
// CHECK: onnx.Conv(%arg0
// CHECK: onnx.Conv(%arg0
// CHECK: %[[P:.*]] = onnx.MatMul(%arg1
// CHECK: %[[S:.*]]:2 = onnx.Split(%[[P]]
// CHECK: onnx.Relu(%[[S]]#0)
// REMARK: [Missed] MatMul | {{.*}}its siblings fill vectors well enough apart
func.func @near_misses(%x: tensor<1x3x4x4xf32>, %m: tensor<2x3xf32>)
    -> (tensor<1x2x4x4xf32>, tensor<1x2x2x2xf32>, tensor<2x16xf32>, tensor<2x16xf32>, tensor<2x16xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x3x1x1xf32>
  %w3 = onnx.Constant dense<1.0> : tensor<2x3x3x3xf32>
  %a = onnx.Constant dense<1.0> : tensor<3x16xf32>
  %b = onnx.Constant dense<2.0> : tensor<3x16xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x3x4x4xf32>, tensor<2x3x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %1 = onnx.Conv(%x, %w3, %none) : (tensor<1x3x4x4xf32>, tensor<2x3x3x3xf32>, none) -> tensor<1x2x2x2xf32>
  %2 = onnx.MatMul(%m, %a) : (tensor<2x3xf32>, tensor<3x16xf32>) -> tensor<2x16xf32>
  %3 = onnx.MatMul(%m, %b) : (tensor<2x3xf32>, tensor<3x16xf32>) -> tensor<2x16xf32>
  %4 = onnx.Relu(%2) : (tensor<2x16xf32>) -> tensor<2x16xf32>
  %5 = onnx.Sigmoid(%3) : (tensor<2x16xf32>) -> tensor<2x16xf32>
  return %0, %1, %4, %5, %3 : tensor<1x2x4x4xf32>, tensor<1x2x2x2xf32>, tensor<2x16xf32>, tensor<2x16xf32>, tensor<2x16xf32>
}
