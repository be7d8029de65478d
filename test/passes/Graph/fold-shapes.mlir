// RUN: burin-opt %s --split-input-file --graph-fold-shapes | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-fold-shapes --remarks-filter='FoldShapes' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Heads split by sizes taken from a Shape of a value on the way: both are the operand's own.
// CHECK-LABEL: @split_heads
// CHECK: %[[S:.*]] = onnx.Constant dense<[0, 0, 2, 4]> : tensor<4xi64>
// CHECK: onnx.Reshape(%{{.*}}, %[[S]]) : (tensor<?x?x8xf32, #onnx.dims<["b", "s", ""]>>, tensor<4xi64>)
// CHECK-NOT: onnx.Shape
// REMARK: [Passed] ConstantShape
func.func @split_heads(%x: tensor<?x?x8xf32, #onnx.dims<["b", "s", ""]>>) -> tensor<?x?x2x4xf32, #onnx.dims<["b", "s", "", ""]>> {
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %axis = onnx.Constant dense<0> : tensor<1xi64>
  %heads = onnx.Constant dense<2> : tensor<1xi64>
  %dim = onnx.Constant dense<4> : tensor<1xi64>
  %0 = onnx.Relu(%x) : (tensor<?x?x8xf32, #onnx.dims<["b", "s", ""]>>) -> tensor<?x?x8xf32>
  %1 = onnx.Shape(%0) : (tensor<?x?x8xf32>) -> tensor<3xi64>
  %2 = onnx.Gather(%1, %zero) : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %3 = onnx.Gather(%1, %one) : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %4 = onnx.Unsqueeze(%2, %axis) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %5 = onnx.Unsqueeze(%3, %axis) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %6 = onnx.Concat(%4, %5, %heads, %dim) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %7 = onnx.Reshape(%0, %6) : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32, #onnx.dims<["b", "s", "", ""]>>
  return %7 : tensor<?x?x2x4xf32, #onnx.dims<["b", "s", "", ""]>>
}

// -----

// A size is never -1, so Where takes the computed one; the Expand is then one that the sum does by itself.
// CHECK-LABEL: @expand
// CHECK-NOT: onnx.Expand
// CHECK: %[[Y:.*]] = onnx.Add(%arg0, %arg1)
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] SkipExpand
func.func @expand(%x: tensor<1x4xf32>, %y: tensor<?x4xf32, #onnx.dims<["n", ""]>>) -> tensor<?x4xf32, #onnx.dims<["n", ""]>> {
  %minus = onnx.Constant dense<-1> : tensor<2xi64>
  %ones = onnx.Constant dense<1> : tensor<2xi64>
  %0 = onnx.Shape(%y) : (tensor<?x4xf32, #onnx.dims<["n", ""]>>) -> tensor<2xi64>
  %1 = onnx.Equal(%0, %minus) : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi1>
  %2 = onnx.Where(%1, %ones, %0) : (tensor<2xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %3 = onnx.Expand(%x, %2) : (tensor<1x4xf32>, tensor<2xi64>) -> tensor<?x4xf32>
  %4 = onnx.Add(%3, %y) : (tensor<?x4xf32>, tensor<?x4xf32, #onnx.dims<["n", ""]>>) -> tensor<?x4xf32, #onnx.dims<["n", ""]>>
  return %4 : tensor<?x4xf32, #onnx.dims<["n", ""]>>
}

// -----

// Past and present add up to the length the output is declared to have: a Slice of that many is the whole.
// CHECK-LABEL: @cache
// CHECK: %[[C:.*]] = onnx.Concat(%arg0, %arg1)
// CHECK-NOT: onnx.Slice
// CHECK: onnx.Relu(%[[C]]) : {{.*}} -> tensor<?x4xf32, #onnx.dims<["total", ""]>>
// REMARK: [Passed] SameShape
func.func @cache(%past: tensor<?x4xf32, #onnx.dims<["past", ""]>>, %x: tensor<?x4xf32, #onnx.dims<["new", ""]>>) -> (tensor<?x4xf32, #onnx.dims<["total", ""]>>, tensor<?x4xf32>) {
  %zero = onnx.Constant dense<0> : tensor<i64>
  %axis = onnx.Constant dense<0> : tensor<1xi64>
  %0 = onnx.Concat(%past, %x) {axis = 0 : i64} : (tensor<?x4xf32, #onnx.dims<["past", ""]>>, tensor<?x4xf32, #onnx.dims<["new", ""]>>) -> tensor<?x4xf32, #onnx.dims<["total", ""]>>
  %1 = onnx.Shape(%past) : (tensor<?x4xf32, #onnx.dims<["past", ""]>>) -> tensor<2xi64>
  %2 = onnx.Shape(%x) : (tensor<?x4xf32, #onnx.dims<["new", ""]>>) -> tensor<2xi64>
  %3 = onnx.Gather(%1, %zero) : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %4 = onnx.Gather(%2, %zero) : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %5 = onnx.Add(%3, %4) : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %6 = onnx.Unsqueeze(%5, %axis) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %none = onnx.NoValue
  %7 = onnx.Slice(%0, %axis, %6, %axis, %none) : (tensor<?x4xf32, #onnx.dims<["total", ""]>>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<?x4xf32>
  %8 = onnx.Relu(%7) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %9 = onnx.Neg(%8) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0, %9 : tensor<?x4xf32, #onnx.dims<["total", ""]>>, tensor<?x4xf32>
}

// -----

// Two that ask for the same size in their own way share one question to the input; a comparison that names decide.
// CHECK-LABEL: @asked
// CHECK-DAG: %[[N:.*]] = onnx.Shape(%arg0) {end = 1 : i64} : (tensor<?x4xf32, #onnx.dims<["n", ""]>>) -> tensor<1xi64>
// CHECK-DAG: %[[TRUE:.*]] = onnx.Constant dense<true> : tensor<1xi1>
// CHECK: return %[[N]], %[[N]], %[[TRUE]]
// REMARK: [Passed] AskInput
// REMARK: [Passed] FoldElements
func.func @asked(%x: tensor<?x4xf32, #onnx.dims<["n", ""]>>) -> (tensor<1xi64>, tensor<1xi64>, tensor<1xi1>) {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %four = onnx.Constant dense<4> : tensor<1xi64>
  %rows = onnx.Constant dense<[-1, 4]> : tensor<2xi64>
  %0 = onnx.Transpose(%x) {perm = array<i64: 1, 0>} : (tensor<?x4xf32, #onnx.dims<["n", ""]>>) -> tensor<4x?xf32>
  %1 = onnx.Shape(%0) {start = 1 : i64} : (tensor<4x?xf32>) -> tensor<1xi64>
  %2 = onnx.Size(%x) : (tensor<?x4xf32, #onnx.dims<["n", ""]>>) -> tensor<i64>
  %3 = onnx.Unsqueeze(%2, %zero) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %4 = onnx.Div(%3, %four) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %5 = onnx.Add(%4, %four) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %6 = onnx.Greater(%5, %1) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi1>
  return %1, %4, %6 : tensor<1xi64>, tensor<1xi64>, tensor<1xi1>
}

// -----

// Heads merged the other way: rows may be none, and then a size left to infer could be anything. Names that say nothing
// are nobody's.
// CHECK-LABEL: @near_misses
// CHECK: onnx.Concat
// CHECK: onnx.Reshape
// CHECK: onnx.Expand
// REMARK: [Missed] ConstantShape | {{.*}}a size is left to infer next to one that may be 0
func.func @near_misses(%x: tensor<?x2x?x4xf32, #onnx.dims<["b", "", "s", ""]>>, %y: tensor<1x4xf32>, %z: tensor<?x?xf32, #onnx.dims<["?", "?"]>>) -> (tensor<?x?x4xf32>, tensor<?x?xf32>) {
  %0 = onnx.Shape(%x) {end = 1 : i64} : (tensor<?x2x?x4xf32, #onnx.dims<["b", "", "s", ""]>>) -> tensor<1xi64>
  %1 = onnx.Shape(%x) {start = 2 : i64, end = 3 : i64} : (tensor<?x2x?x4xf32, #onnx.dims<["b", "", "s", ""]>>) -> tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %four = onnx.Constant dense<4> : tensor<1xi64>
  %2 = onnx.Mul(%1, %two) : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %3 = onnx.Concat(%0, %2, %four) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %4 = onnx.Reshape(%x, %3) : (tensor<?x2x?x4xf32, #onnx.dims<["b", "", "s", ""]>>, tensor<3xi64>) -> tensor<?x?x4xf32>
  %5 = onnx.Transpose(%z) {perm = array<i64: 1, 0>} : (tensor<?x?xf32, #onnx.dims<["?", "?"]>>) -> tensor<?x?xf32, #onnx.dims<["?", "?"]>>
  %6 = onnx.Shape(%5) : (tensor<?x?xf32, #onnx.dims<["?", "?"]>>) -> tensor<2xi64>
  %7 = onnx.Expand(%z, %6) : (tensor<?x?xf32, #onnx.dims<["?", "?"]>>, tensor<2xi64>) -> tensor<?x?xf32>
  return %4, %7 : tensor<?x?x4xf32>, tensor<?x?xf32>
}
