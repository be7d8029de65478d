// RUN: burin-opt %s --split-input-file --graph-resolve-sequences | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-resolve-sequences --remarks-filter='ResolveSequences' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: burin-opt %s --split-input-file --graph-infer-shapes --graph-resolve-sequences='max-unroll=2' | FileCheck %s --check-prefix=FEW

// Insert, erase and read at constant positions, also from the end: only the element is left.
// CHECK-LABEL: @positions
// CHECK-NOT: Sequence
// CHECK: %[[Y:.*]] = onnx.Relu(%arg1)
// CHECK: return %[[Y]]
// REMARK: [Passed] SequenceAt
func.func @positions(%a: tensor<2xf32>, %b: tensor<3xf32>) -> tensor<3xf32> {
  %none = onnx.NoValue
  %one = onnx.Constant dense<1> : tensor<i64>
  %last = onnx.Constant dense<-1> : tensor<i64>
  %0 = onnx.SequenceEmpty() : () -> !onnx.seq<tensor<*xf32>>
  %1 = onnx.SequenceInsert(%0, %a, %none) : (!onnx.seq<tensor<*xf32>>, tensor<2xf32>, none) -> !onnx.seq<tensor<*xf32>>
  %2 = onnx.SequenceInsert(%1, %b, %one) : (!onnx.seq<tensor<*xf32>>, tensor<3xf32>, tensor<i64>) -> !onnx.seq<tensor<*xf32>>
  %3 = onnx.SequenceInsert(%2, %a, %none) : (!onnx.seq<tensor<*xf32>>, tensor<2xf32>, none) -> !onnx.seq<tensor<*xf32>>
  %4 = onnx.SequenceErase(%3, %last) : (!onnx.seq<tensor<*xf32>>, tensor<i64>) -> !onnx.seq<tensor<*xf32>>
  %5 = onnx.SequenceAt(%4, %last) : (!onnx.seq<tensor<*xf32>>, tensor<i64>) -> tensor<*xf32>
  %6 = onnx.Relu(%5) : (tensor<*xf32>) -> tensor<3xf32>
  return %6 : tensor<3xf32>
}

// -----

// A near miss: outside the sequence.
// CHECK-LABEL: @outside
// CHECK: onnx.SequenceAt
// REMARK: [Missed] SequenceAt | {{.*}}the position is outside the sequence of 2
func.func @outside(%a: tensor<2xf32>) -> tensor<2xf32> {
  %two = onnx.Constant dense<2> : tensor<i64>
  %0 = onnx.SequenceConstruct(%a, %a) : (tensor<2xf32>, tensor<2xf32>) -> !onnx.seq<tensor<2xf32>>
  %1 = onnx.SequenceAt(%0, %two) : (!onnx.seq<tensor<2xf32>>, tensor<i64>) -> tensor<2xf32>
  return %1 : tensor<2xf32>
}

// -----

// A position that running tells is a Gather where the elements have one shape; not where they differ.
// CHECK-LABEL: @runtime_position
// CHECK: %[[ALL:.*]] = onnx.Concat({{.*}}-> tensor<2x2xf32>
// CHECK: onnx.Gather(%[[ALL]], %arg2)
// CHECK: onnx.SequenceAt
// REMARK: [Missed] SequenceAt | {{.*}}the elements differ in shape
func.func @runtime_position(%a: tensor<2xf32>, %b: tensor<3xf32>, %i: tensor<i64>) -> (tensor<2xf32>, tensor<?xf32>) {
  %0 = onnx.SequenceConstruct(%a, %a) : (tensor<2xf32>, tensor<2xf32>) -> !onnx.seq<tensor<2xf32>>
  %1 = onnx.SequenceAt(%0, %i) : (!onnx.seq<tensor<2xf32>>, tensor<i64>) -> tensor<2xf32>
  %2 = onnx.SequenceConstruct(%a, %b) : (tensor<2xf32>, tensor<3xf32>) -> !onnx.seq<tensor<?xf32>>
  %3 = onnx.SequenceAt(%2, %i) : (!onnx.seq<tensor<?xf32>>, tensor<i64>) -> tensor<?xf32>
  return %1, %3 : tensor<2xf32>, tensor<?xf32>
}

// -----

// Several users of one sequence: its length, its elements, all of them; dims that are not known stay so.
// CHECK-LABEL: @uses
// CHECK: %[[SIZES:.*]] = onnx.Constant dense<[2, 1]> : tensor<2xi64>
// CHECK: %[[S:.*]]:2 = onnx.Split(%arg0, %[[SIZES]])
// CHECK-DAG: dense<2> : tensor<i64>
// CHECK-DAG: onnx.Concat(%[[S]]#0, %[[S]]#1) {axis = 0 : i64} : (tensor<2x?xf32>, tensor<1x?xf32>) -> tensor<3x?xf32>
func.func @uses(%x: tensor<3x?xf32>) -> (tensor<i64>, tensor<*xf32>) {
  %two = onnx.Constant dense<2> : tensor<i64>
  %0 = onnx.SplitToSequence(%x, %two) {axis = 0 : i64} : (tensor<3x?xf32>, tensor<i64>) -> !onnx.seq<tensor<?x?xf32>>
  %1 = onnx.SequenceLength(%0) : (!onnx.seq<tensor<?x?xf32>>) -> tensor<i64>
  %2 = onnx.ConcatFromSequence(%0) {axis = 0 : i64} : (!onnx.seq<tensor<?x?xf32>>) -> tensor<*xf32>
  return %1, %2 : tensor<i64>, tensor<*xf32>
}

// -----

// A dynamic dim does not tell how many parts there are.
// CHECK-LABEL: @parts
// CHECK: onnx.SplitToSequence
// REMARK: [Missed] SplitToSequence | {{.*}}the dim or the size of the parts is not known
func.func @parts(%x: tensor<?xf32>) -> tensor<i64> {
  %none = onnx.NoValue
  %0 = onnx.SplitToSequence(%x, %none) {axis = 0 : i64} : (tensor<?xf32>, none) -> !onnx.seq<tensor<?xf32>>
  %1 = onnx.SequenceLength(%0) : (!onnx.seq<tensor<?xf32>>) -> tensor<i64>
  return %1 : tensor<i64>
}

// -----

// CHECK-LABEL: @optionals
// CHECK-DAG: %[[NO:.*]] = onnx.Constant dense<false> : tensor<i1>
// CHECK-DAG: %[[X:.*]] = onnx.Identity(%arg0)
// CHECK-DAG: %[[OUT:.*]] = onnx.Identity(%[[NO]])
// CHECK: return %[[OUT]], %[[X]]
func.func @optionals(%x: tensor<2xf32>) -> (tensor<i1>, tensor<2xf32>) {
  %none = onnx.NoValue
  %0 = onnx.Optional(%none) {elem_type = tensor<2xf32>} : (none) -> !onnx.opt<tensor<2xf32>>
  %1 = onnx.OptionalHasElement(%0) : (!onnx.opt<tensor<2xf32>>) -> tensor<i1>
  %2 = onnx.Optional(%x) : (tensor<2xf32>) -> !onnx.opt<tensor<2xf32>>
  %3 = onnx.OptionalGetElement(%2) : (!onnx.opt<tensor<2xf32>>) -> tensor<2xf32>
  return %1, %3 : tensor<i1>, tensor<2xf32>
}

// -----

// Outputs become their tensors; the attribute says how many each had.
// CHECK-LABEL: @outputs
// CHECK-SAME: -> (tensor<2xf32> {onnx.name = "y[0]"}, tensor<2xf32> {onnx.name = "y[1]"})
// CHECK-SAME: onnx.lengths = {y = 2 : i64, z}
func.func @outputs(%x: tensor<2xf32>) -> (!onnx.seq<tensor<2xf32>> {onnx.name = "y"}, !onnx.opt<tensor<2xf32>> {onnx.name = "z"}) {
  %none = onnx.NoValue
  %0 = onnx.SequenceConstruct(%x, %x) : (tensor<2xf32>, tensor<2xf32>) -> !onnx.seq<tensor<2xf32>>
  %1 = onnx.Optional(%none) {elem_type = tensor<2xf32>} : (none) -> !onnx.opt<tensor<2xf32>>
  return %0, %1 : !onnx.seq<tensor<2xf32>>, !onnx.opt<tensor<2xf32>>
}

// -----

// CHECK-LABEL: @branches
// CHECK: %[[R:.*]]:2 = onnx.If(%arg0) : (tensor<i1>) -> (tensor<2xf32>, tensor<2xf32>)
// CHECK: return %[[R]]#1
func.func @branches(%c: tensor<i1>, %x: tensor<2xf32>, %y: tensor<2xf32>) -> tensor<2xf32> {
  %one = onnx.Constant dense<1> : tensor<i64>
  %0 = onnx.If(%c) : (tensor<i1>) -> !onnx.seq<tensor<2xf32>> {
    %1 = onnx.SequenceConstruct(%x, %y) : (tensor<2xf32>, tensor<2xf32>) -> !onnx.seq<tensor<2xf32>>
    onnx.Yield(%1) : !onnx.seq<tensor<2xf32>>
  }, {
    %1 = onnx.SequenceConstruct(%y, %x) : (tensor<2xf32>, tensor<2xf32>) -> !onnx.seq<tensor<2xf32>>
    onnx.Yield(%1) : !onnx.seq<tensor<2xf32>>
  }
  %2 = onnx.SequenceAt(%0, %one) : (!onnx.seq<tensor<2xf32>>, tensor<i64>) -> tensor<2xf32>
  return %2 : tensor<2xf32>
}

// -----

// A Loop that carries a sequence is copied out, with FEW not: three runs are too many.
// CHECK-LABEL: @unrolled
// CHECK-NOT: onnx.Loop
// CHECK-COUNT-3: onnx.Relu
// FEW-LABEL: @unrolled
// FEW: onnx.Loop
// REMARK: [Passed] UnrollLoop
func.func @unrolled(%x: tensor<2xf32>) -> tensor<i64> {
  %three = onnx.Constant dense<3> : tensor<i64>
  %none = onnx.NoValue
  %0 = onnx.SequenceEmpty() : () -> !onnx.seq<tensor<*xf32>>
  %1:2 = onnx.Loop(%three, %none, %0, %x) : (tensor<i64>, none, !onnx.seq<tensor<*xf32>>, tensor<2xf32>) -> (!onnx.seq<tensor<*xf32>>, tensor<2xf32>) {
  ^bb0(%i: tensor<i64>, %go: tensor<i1>, %s: !onnx.seq<tensor<*xf32>>, %v: tensor<2xf32>):
    %2 = onnx.Relu(%v) : (tensor<2xf32>) -> tensor<2xf32>
    %3 = onnx.SequenceInsert(%s, %2, %i) : (!onnx.seq<tensor<*xf32>>, tensor<2xf32>, tensor<i64>) -> !onnx.seq<tensor<*xf32>>
    onnx.Yield(%go, %3, %2) : tensor<i1>, !onnx.seq<tensor<*xf32>>, tensor<2xf32>
  }
  %5 = onnx.SequenceLength(%1#0) : (!onnx.seq<tensor<*xf32>>) -> tensor<i64>
  %6 = onnx.Add(%5, %5) : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %7 = onnx.ReduceSum(%1#1, %none) {keepdims = 0 : i64} : (tensor<2xf32>, none) -> tensor<f32>
  %8 = onnx.Cast(%7) {to = 7 : i64} : (tensor<f32>) -> tensor<i64>
  %9 = onnx.Add(%6, %8) : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %9 : tensor<i64>
}

// -----

// A Loop that appends and is concatenated stacks instead, however often it runs.
// CHECK-LABEL: @stacked
// CHECK: %[[L:.*]] = onnx.Loop(%arg1, {{.*}}-> tensor<?x2xf32>
// CHECK: onnx.Yield(%{{.*}}, %{{.*}}) : tensor<i1>, tensor<2xf32>
// CHECK: onnx.Reshape(%[[L]]
// REMARK: [Passed] StackInsertions
func.func @stacked(%x: tensor<2xf32>, %n: tensor<i64>) -> tensor<?xf32> {
  %none = onnx.NoValue
  %0 = onnx.SequenceEmpty() : () -> !onnx.seq<tensor<*xf32>>
  %1 = onnx.Loop(%n, %none, %0) : (tensor<i64>, none, !onnx.seq<tensor<*xf32>>) -> !onnx.seq<tensor<*xf32>> {
  ^bb0(%i: tensor<i64>, %go: tensor<i1>, %s: !onnx.seq<tensor<*xf32>>):
    %2 = onnx.Relu(%x) : (tensor<2xf32>) -> tensor<2xf32>
    %3 = onnx.SequenceInsert(%s, %2, %none) : (!onnx.seq<tensor<*xf32>>, tensor<2xf32>, none) -> !onnx.seq<tensor<*xf32>>
    onnx.Yield(%go, %3) : tensor<i1>, !onnx.seq<tensor<*xf32>>
  }
  %4 = onnx.ConcatFromSequence(%1) {axis = 0 : i64} : (!onnx.seq<tensor<*xf32>>) -> tensor<?xf32>
  return %4 : tensor<?xf32>
}

// -----

// CHECK-LABEL: @mapped
// CHECK-COUNT-2: onnx.Relu
// CHECK: onnx.Concat
func.func @mapped(%x: tensor<2xf32>, %y: tensor<3xf32>) -> tensor<*xf32> {
  %0 = onnx.SequenceConstruct(%x, %y) : (tensor<2xf32>, tensor<3xf32>) -> !onnx.seq<tensor<?xf32>>
  %1 = onnx.SequenceMap(%0) : (!onnx.seq<tensor<?xf32>>) -> !onnx.seq<tensor<?xf32>> {
  ^bb0(%v: tensor<?xf32>):
    %2 = onnx.Relu(%v) : (tensor<?xf32>) -> tensor<?xf32>
    onnx.Yield(%2) : tensor<?xf32>
  }
  %3 = onnx.ConcatFromSequence(%1) {axis = 0 : i64} : (!onnx.seq<tensor<?xf32>>) -> tensor<*xf32>
  return %3 : tensor<*xf32>
}
