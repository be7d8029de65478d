// RUN: burin-opt %s --split-input-file --graph-eliminate-identities | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-eliminate-identities --remarks-filter='EliminateIdentities' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: @identity
// CHECK-NEXT: %[[Y:.*]] = onnx.Relu(%arg0)
// CHECK-NEXT: return %[[Y]]
func.func @identity(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = onnx.Identity(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = onnx.Relu(%0) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %2 = onnx.Identity(%1) : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %2 : tensor<2x3xf32>
}

// -----

// An output that is an input, or another output, keeps its operator: ONNX names every output once.
// CHECK-LABEL: @outputs
// CHECK-COUNT-2: onnx.Identity
func.func @outputs(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
  %0 = onnx.Identity(%x) : (tensor<2xf32>) -> tensor<2xf32>
  %1 = onnx.Relu(%x) : (tensor<2xf32>) -> tensor<2xf32>
  %2 = onnx.Identity(%1) : (tensor<2xf32>) -> tensor<2xf32>
  return %0, %1, %2 : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
}

// -----

// CHECK-LABEL: @reshapes
// CHECK-DAG: %[[C:.*]] = onnx.Constant dense<[6, 4]>
// CHECK: %[[R:.*]] = onnx.Reshape(%arg0, %[[C]]) : (tensor<2x3x4xf32>, tensor<2xi64>) -> tensor<6x4xf32>
// CHECK-NEXT: return %[[R]]
// REMARK: [Passed] MergeReshapes
func.func @reshapes(%x: tensor<2x3x4xf32>) -> tensor<6x4xf32> {
  %axes = onnx.Constant dense<0> : tensor<1xi64>
  %shape = onnx.Constant dense<[6, 4]> : tensor<2xi64>
  %0 = onnx.Unsqueeze(%x, %axes) : (tensor<2x3x4xf32>, tensor<1xi64>) -> tensor<1x2x3x4xf32>
  %1 = onnx.Flatten(%0) : (tensor<1x2x3x4xf32>) -> tensor<1x24xf32>
  %2 = onnx.Reshape(%1, %shape) : (tensor<1x24xf32>, tensor<2xi64>) -> tensor<6x4xf32>
  return %2 : tensor<6x4xf32>
}

// -----

// One unknown dim is -1; two are too many.
// CHECK-LABEL: @dynamic
// CHECK-DAG: dense<[-1, 12]>
// CHECK: onnx.Reshape(%arg0
// CHECK: onnx.Unsqueeze
// CHECK: onnx.Squeeze
// REMARK: [Missed] MergeReshapes | {{.*}}the last shape has several unknown dims
func.func @dynamic(%x: tensor<?x3x4xf32>, %y: tensor<?x?xf32>) -> (tensor<?x12xf32>, tensor<?x?xf32>) {
  %axes = onnx.Constant dense<0> : tensor<1xi64>
  %0 = onnx.Unsqueeze(%x, %axes) : (tensor<?x3x4xf32>, tensor<1xi64>) -> tensor<1x?x3x4xf32>
  %1 = onnx.Flatten(%0) {axis = 2 : i64} : (tensor<1x?x3x4xf32>) -> tensor<?x12xf32>
  %2 = onnx.Unsqueeze(%y, %axes) : (tensor<?x?xf32>, tensor<1xi64>) -> tensor<1x?x?xf32>
  %3 = onnx.Squeeze(%2, %axes) : (tensor<1x?x?xf32>, tensor<1xi64>) -> tensor<?x?xf32>
  return %1, %3 : tensor<?x12xf32>, tensor<?x?xf32>
}

// -----

// CHECK-LABEL: @transposes
// CHECK-NEXT: %[[T:.*]] = onnx.Transpose(%arg0) {perm = array<i64: 2, 0, 1>}
// CHECK-NEXT: %[[A:.*]] = onnx.Relu(%[[T]])
// CHECK-NEXT: %[[B:.*]] = onnx.Relu(%arg0)
// CHECK-NEXT: return %[[A]], %[[B]]
func.func @transposes(%x: tensor<2x3x4xf32>) -> (tensor<4x2x3xf32>, tensor<2x3x4xf32>) {
  %0 = onnx.Transpose(%x) {perm = array<i64: 1, 0, 2>} : (tensor<2x3x4xf32>) -> tensor<3x2x4xf32>
  %1 = onnx.Transpose(%0) {perm = array<i64: 2, 1, 0>} : (tensor<3x2x4xf32>) -> tensor<4x2x3xf32>
  %2 = onnx.Relu(%1) : (tensor<4x2x3xf32>) -> tensor<4x2x3xf32>
  %3 = onnx.Transpose(%0) {perm = array<i64: 1, 0, 2>} : (tensor<3x2x4xf32>) -> tensor<2x3x4xf32>
  %4 = onnx.Relu(%3) : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %2, %4 : tensor<4x2x3xf32>, tensor<2x3x4xf32>
}

// -----

// Only dims of size 1 move.
// CHECK-LABEL: @unit_dims
// CHECK-NOT: onnx.Transpose
// CHECK: onnx.Reshape(%arg0
func.func @unit_dims(%x: tensor<1x4x1x3xf32>) -> tensor<1x1x4x3xf32> {
  %0 = onnx.Transpose(%x) {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x4x1x3xf32>) -> tensor<1x1x4x3xf32>
  return %0 : tensor<1x1x4x3xf32>
}

// -----

// f16 -> f32 loses nothing, f32 -> f16 does: the first pair goes, the second stays.
// CHECK-LABEL: @casts
// CHECK-NEXT: %[[A:.*]] = onnx.Relu(%arg0)
// CHECK-NEXT: %[[H:.*]] = onnx.Cast(%arg1)
// CHECK-NEXT: %[[S:.*]] = onnx.Cast(%[[H]])
// CHECK-NEXT: %[[B:.*]] = onnx.Relu(%[[S]])
// CHECK-NEXT: %[[I:.*]] = onnx.Cast(%arg2) {to = 1 : i64} : (tensor<2xi1>) -> tensor<2xf32>
// CHECK-NEXT: return %[[A]], %[[B]], %[[I]]
// REMARK: [Missed] MergeCasts | {{.*}}the first Cast rounds
func.func @casts(%x: tensor<2xf16>, %y: tensor<2xf32>, %z: tensor<2xi1>) -> (tensor<2xf16>, tensor<2xf32>, tensor<2xf32>) {
  %0 = onnx.Cast(%x) {to = 1 : i64} : (tensor<2xf16>) -> tensor<2xf32>
  %1 = onnx.Cast(%0) {to = 10 : i64} : (tensor<2xf32>) -> tensor<2xf16>
  %2 = onnx.Relu(%1) : (tensor<2xf16>) -> tensor<2xf16>
  %3 = onnx.Cast(%y) {to = 10 : i64} : (tensor<2xf32>) -> tensor<2xf16>
  %4 = onnx.Cast(%3) {to = 1 : i64} : (tensor<2xf16>) -> tensor<2xf32>
  %5 = onnx.Relu(%4) : (tensor<2xf32>) -> tensor<2xf32>
  %6 = onnx.Cast(%z) {to = 7 : i64} : (tensor<2xi1>) -> tensor<2xi64>
  %7 = onnx.Cast(%6) {to = 1 : i64} : (tensor<2xi64>) -> tensor<2xf32>
  return %2, %5, %7 : tensor<2xf16>, tensor<2xf32>, tensor<2xf32>
}

// -----

// Multiplying by one goes; by a one that broadcasts stays.
// CHECK-LABEL: @neutral
// CHECK-DAG: %[[C:.*]] = onnx.Constant dense<1.000000e+00> : tensor<4x1xf32>
// CHECK-DAG: %[[R:.*]] = onnx.Relu(%arg0)
// CHECK: %[[M:.*]] = onnx.Mul(%arg0, %[[C]])
// CHECK-NEXT: return %[[R]], %[[M]]
func.func @neutral(%x: tensor<3xf32>) -> (tensor<3xf32>, tensor<4x3xf32>) {
  %one = onnx.Constant dense<1.0> : tensor<f32>
  %ones = onnx.Constant dense<1.0> : tensor<4x1xf32>
  %0 = onnx.Mul(%x, %one) : (tensor<3xf32>, tensor<f32>) -> tensor<3xf32>
  %1 = onnx.Relu(%0) : (tensor<3xf32>) -> tensor<3xf32>
  %2 = onnx.Mul(%x, %ones) : (tensor<3xf32>, tensor<4x1xf32>) -> tensor<4x3xf32>
  return %1, %2 : tensor<3xf32>, tensor<4x3xf32>
}

// -----

// CHECK-LABEL: @branch
// CHECK-NOT: onnx.If
// CHECK: %[[N:.*]] = onnx.Neg(%arg0)
// CHECK: %[[S:.*]] = onnx.Sigmoid(%[[N]])
// CHECK: return %[[S]]
func.func @branch(%x: tensor<2xf32>) -> tensor<2xf32> {
  %c = onnx.Constant dense<false> : tensor<i1>
  %0 = onnx.If(%c) : (tensor<i1>) -> tensor<2xf32> {
    %t = onnx.Relu(%x) : (tensor<2xf32>) -> tensor<2xf32>
    onnx.Yield(%t) : tensor<2xf32>
  }, {
    %e = onnx.Neg(%x) : (tensor<2xf32>) -> tensor<2xf32>
    onnx.Yield(%e) : tensor<2xf32>
  }
  %1 = onnx.Sigmoid(%0) : (tensor<2xf32>) -> tensor<2xf32>
  return %1 : tensor<2xf32>
}

// -----

// CHECK-LABEL: @dropout
// CHECK-NEXT: %[[N:.*]] = onnx.NoValue
// CHECK: %[[D:.*]], %{{.*}} = onnx.Dropout(%arg0, %[[N]], %arg1)
// CHECK-NEXT: onnx.Relu(%arg0)
// CHECK-NEXT: onnx.Relu(%[[D]])
// REMARK: [Missed] Dropout | {{.*}}training_mode is not known to be false
func.func @dropout(%x: tensor<2xf32>, %training: tensor<i1>) -> (tensor<2xf32>, tensor<2xf32>) {
  %none = onnx.NoValue
  %0:2 = onnx.Dropout(%x, %none, %none) : (tensor<2xf32>, none, none) -> (tensor<2xf32>, none)
  %1:2 = onnx.Dropout(%x, %none, %training) : (tensor<2xf32>, none, tensor<i1>) -> (tensor<2xf32>, none)
  %2 = onnx.Relu(%0#0) : (tensor<2xf32>) -> tensor<2xf32>
  %3 = onnx.Relu(%1#0) : (tensor<2xf32>) -> tensor<2xf32>
  return %2, %3 : tensor<2xf32>, tensor<2xf32>
}

// -----

// What is done to each element alone, between two moves that undo each other; a softmax that an old opset flattens.
// CHECK-LABEL: @moves
// CHECK: %[[A:.*]] = onnx.Relu(%arg0) : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
// CHECK: %[[B:.*]] = onnx.Mul(%arg0, %{{.*}}) : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<2x3x4xf32>
// CHECK: %[[C:.*]] = onnx.Softmax(%arg1) {axis = 1 : i64} : (tensor<2x5x1x1xf32>) -> tensor<2x5x1x1xf32>
// CHECK: return %[[A]], %[[B]], %[[C]]
// REMARK: [Passed] SkipTransposes
// REMARK: [Passed] SkipReshapes
// REMARK: [Passed] FlatSoftmax
func.func @moves(%x: tensor<2x3x4xf32>, %y: tensor<2x5x1x1xf32>) -> (tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x5x1x1xf32>) {
  %half = onnx.Constant dense<0.5> : tensor<f32>
  %flat = onnx.Constant dense<[6, 4]> : tensor<2xi64>
  %back = onnx.Constant dense<[2, 3, 4]> : tensor<3xi64>
  %all = onnx.Constant dense<[2, 5, 1, 1]> : tensor<4xi64>
  %0 = onnx.Transpose(%x) {perm = array<i64: 1, 2, 0>} : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
  %1 = onnx.Relu(%0) : (tensor<3x4x2xf32>) -> tensor<3x4x2xf32>
  %2 = onnx.Transpose(%1) {perm = array<i64: 2, 0, 1>} : (tensor<3x4x2xf32>) -> tensor<2x3x4xf32>
  %3 = onnx.Reshape(%x, %flat) : (tensor<2x3x4xf32>, tensor<2xi64>) -> tensor<6x4xf32>
  %4 = onnx.Mul(%3, %half) : (tensor<6x4xf32>, tensor<f32>) -> tensor<6x4xf32>
  %5 = onnx.Reshape(%4, %back) : (tensor<6x4xf32>, tensor<3xi64>) -> tensor<2x3x4xf32>
  %6 = onnx.Flatten(%y) : (tensor<2x5x1x1xf32>) -> tensor<2x5xf32>
  %7 = onnx.Softmax(%6) : (tensor<2x5xf32>) -> tensor<2x5xf32>
  %8 = onnx.Reshape(%7, %all) : (tensor<2x5xf32>, tensor<4xi64>) -> tensor<2x5x1x1xf32>
  return %2, %5, %8 : tensor<2x3x4xf32>, tensor<2x3x4xf32>, tensor<2x5x1x1xf32>
}

// -----

// The other order, a moved value with another use, a softmax over two dims that are not 1.
// CHECK-LABEL: @moves_that_stay
// CHECK-COUNT-4: onnx.Transpose
// CHECK: onnx.Flatten
// CHECK: onnx.Softmax
// CHECK: onnx.Reshape
func.func @moves_that_stay(%x: tensor<2x3x4xf32>, %y: tensor<2x5x2x1xf32>) -> (tensor<4x2x3xf32>, tensor<3x4x2xf32>, tensor<2x3x4xf32>, tensor<2x5x2x1xf32>) {
  %all = onnx.Constant dense<[2, 5, 2, 1]> : tensor<4xi64>
  %0 = onnx.Transpose(%x) {perm = array<i64: 1, 2, 0>} : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
  %1 = onnx.Relu(%0) : (tensor<3x4x2xf32>) -> tensor<3x4x2xf32>
  %2 = onnx.Transpose(%1) {perm = array<i64: 1, 2, 0>} : (tensor<3x4x2xf32>) -> tensor<4x2x3xf32>
  %3 = onnx.Transpose(%x) {perm = array<i64: 1, 2, 0>} : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
  %4 = onnx.Exp(%3) : (tensor<3x4x2xf32>) -> tensor<3x4x2xf32>
  %5 = onnx.Transpose(%4) {perm = array<i64: 2, 0, 1>} : (tensor<3x4x2xf32>) -> tensor<2x3x4xf32>
  %6 = onnx.Flatten(%y) : (tensor<2x5x2x1xf32>) -> tensor<2x10xf32>
  %7 = onnx.Softmax(%6) : (tensor<2x10xf32>) -> tensor<2x10xf32>
  %8 = onnx.Reshape(%7, %all) : (tensor<2x10xf32>, tensor<4xi64>) -> tensor<2x5x2x1xf32>
  return %2, %4, %5, %8 : tensor<4x2x3xf32>, tensor<3x4x2xf32>, tensor<2x3x4xf32>, tensor<2x5x2x1xf32>
}
