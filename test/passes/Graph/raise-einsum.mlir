// RUN: burin-opt %s --split-input-file --graph-raise-einsum | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-raise-einsum --remarks-filter='RaiseEinsum' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Keras' attention: keys first, heads after the sequence; sizes free. Twice used, and one product all the same.
// CHECK-LABEL: @scores
// CHECK: %[[Q:.*]] = onnx.Transpose(%arg1) {perm = array<i64: 0, 2, 1, 3>}
// CHECK: %[[K:.*]] = onnx.Transpose(%arg0) {perm = array<i64: 0, 2, 3, 1>}
// CHECK: %[[S:.*]] = onnx.MatMul(%[[Q]], %[[K]])
// CHECK-NEXT: return %[[S]], %[[S]]
// REMARK: [Passed] MatMul
func.func @scores(%k: tensor<?x?x4x8xf32, #onnx.dims<["b", "s", "", ""]>>, %q: tensor<?x?x4x8xf32, #onnx.dims<["b", "t", "", ""]>>) -> (tensor<?x4x?x?xf32, #onnx.dims<["b", "", "t", "s"]>>, tensor<?x4x?x?xf32, #onnx.dims<["b", "", "t", "s"]>>) {
  %0 = onnx.Einsum(%k, %q) {equation = "aecd,abcd->acbe"} : (tensor<?x?x4x8xf32, #onnx.dims<["b", "s", "", ""]>>, tensor<?x?x4x8xf32, #onnx.dims<["b", "t", "", ""]>>) -> tensor<?x4x?x?xf32, #onnx.dims<["b", "", "t", "s"]>>
  return %0, %0 : tensor<?x4x?x?xf32, #onnx.dims<["b", "", "t", "s"]>>, tensor<?x4x?x?xf32, #onnx.dims<["b", "", "t", "s"]>>
}

// -----

// Weights of several columns, then of several rows; a result in another order.
// CHECK-LABEL: @dense
// CHECK: %[[W:.*]] = onnx.Reshape(%arg1, %{{.*}}) : {{.*}} -> tensor<6x32xf32>
// CHECK: %[[P:.*]] = onnx.MatMul(%arg0, %[[W]]) : {{.*}} -> tensor<2x5x32xf32>
// CHECK: %[[H:.*]] = onnx.Reshape(%[[P]], %{{.*}}) : {{.*}} -> tensor<2x5x4x8xf32>
// CHECK: %[[X:.*]] = onnx.Reshape(%[[H]], %{{.*}}) : {{.*}} -> tensor<2x5x32xf32>
// CHECK: %[[V:.*]] = onnx.Reshape(%arg2, %{{.*}}) : {{.*}} -> tensor<32x6xf32>
// CHECK: onnx.MatMul(%[[X]], %[[V]])
// CHECK: %[[O:.*]] = onnx.MatMul(%{{.*}}, %{{.*}}) : (tensor<2x4x5x3xf32>, tensor<2x4x3x8xf32>) -> tensor<2x4x5x8xf32>
// CHECK: onnx.Transpose(%[[O]]) {perm = array<i64: 0, 2, 1, 3>}
func.func @dense(%x: tensor<2x5x6xf32>, %w: tensor<6x4x8xf32>, %v: tensor<4x8x6xf32>, %p: tensor<2x4x5x3xf32>, %t: tensor<2x3x4x8xf32>) -> (tensor<2x5x6xf32>, tensor<2x5x4x8xf32>) {
  %0 = onnx.Einsum(%x, %w) {equation = "abc, cde -> abde"} : (tensor<2x5x6xf32>, tensor<6x4x8xf32>) -> tensor<2x5x4x8xf32>
  %1 = onnx.Einsum(%0, %v) {equation = "abcd,cde->abe"} : (tensor<2x5x4x8xf32>, tensor<4x8x6xf32>) -> tensor<2x5x6xf32>
  %2 = onnx.Einsum(%p, %t) {equation = "acbe,aecd->abcd"} : (tensor<2x4x5x3xf32>, tensor<2x3x4x8xf32>) -> tensor<2x5x4x8xf32>
  return %1, %2 : tensor<2x5x6xf32>, tensor<2x5x4x8xf32>
}

// -----

// CHECK-LABEL: @near_misses
// CHECK-NOT: onnx.MatMul
// REMARK: [Missed] MatMul | {{.*}}it has not two operands
// REMARK: [Missed] MatMul | {{.*}}a letter occurs twice in one term
// REMARK: [Missed] MatMul | {{.*}}it is no product of matrices
// REMARK: [Missed] MatMul | {{.*}}a dim of one operand alone is summed
// REMARK: [Missed] MatMul | {{.*}}dims of one letter are not known to be equal
func.func @near_misses(%x: tensor<3x3xf32>, %y: tensor<3x5xf32>, %z: tensor<?x?xf32>) -> (tensor<3xf32>, tensor<3x3xf32>, tensor<3x5xf32>, tensor<3xf32>, tensor<?x5xf32>) {
  %0 = onnx.Einsum(%x) {equation = "ij->i"} : (tensor<3x3xf32>) -> tensor<3xf32>
  %1 = onnx.Einsum(%x, %x) {equation = "ii,ij->ij"} : (tensor<3x3xf32>, tensor<3x3xf32>) -> tensor<3x3xf32>
  %2 = onnx.Einsum(%0, %y) {equation = "i,ij->ij"} : (tensor<3xf32>, tensor<3x5xf32>) -> tensor<3x5xf32>
  %3 = onnx.Einsum(%x, %y) {equation = "ij,ik->i"} : (tensor<3x3xf32>, tensor<3x5xf32>) -> tensor<3xf32>
  %4 = onnx.Einsum(%z, %y) {equation = "ij,jk->ik"} : (tensor<?x?xf32>, tensor<3x5xf32>) -> tensor<?x5xf32>
  return %0, %1, %2, %3, %4 : tensor<3xf32>, tensor<3x3xf32>, tensor<3x5xf32>, tensor<3xf32>, tensor<?x5xf32>
}
