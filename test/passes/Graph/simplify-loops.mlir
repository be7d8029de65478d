// RUN: burin-opt %s --split-input-file --graph-simplify-loops | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-simplify-loops --remarks-filter='SimplifyLoops' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// A state that counts, compared with a size from outside as floats are, before the loop and in it: a trip count.
// CHECK-LABEL: @counts
// CHECK: %[[SIZE:.*]] = onnx.Cast(%arg1) {to = 7
// CHECK: %[[RUNS:.*]] = onnx.Reshape(%[[SIZE]]
// CHECK: onnx.Loop(%[[RUNS]], %{{.*}}, %{{.*}}, %arg0) : (tensor<i64>, none
// CHECK: %[[YES:.*]] = onnx.Constant dense<true>
// CHECK: onnx.Yield(%[[YES]]
// REMARK: [Passed] BoundByCount
func.func @counts(%x: tensor<2xf32>, %n: tensor<i32>) -> tensor<*xf32> {
  %none = onnx.NoValue
  %zero = onnx.Constant dense<0> : tensor<i32>
  %start = onnx.Constant dense<0.0> : tensor<f32>
  %limit = onnx.Cast(%n) {to = 1 : i64} : (tensor<i32>) -> tensor<f32>
  %go = onnx.Less(%start, %limit) : (tensor<f32>, tensor<f32>) -> tensor<i1>
  %0:2 = onnx.Loop(%none, %go, %zero, %x) : (none, tensor<i1>, tensor<i32>, tensor<2xf32>) -> (tensor<*xi32>, tensor<*xf32>) {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %count: tensor<i32>, %state: tensor<*xf32>):
    %one = onnx.Constant dense<1> : tensor<i32>
    %next = onnx.Add(%count, %one) : (tensor<i32>, tensor<i32>) -> tensor<i32>
    %y = onnx.Neg(%state) : (tensor<*xf32>) -> tensor<*xf32>
    %a = onnx.Cast(%next) {to = 1 : i64} : (tensor<i32>) -> tensor<f32>
    %b = onnx.Cast(%n) {to = 1 : i64} : (tensor<i32>) -> tensor<f32>
    %more = onnx.Less(%a, %b) : (tensor<f32>, tensor<f32>) -> tensor<i1>
    onnx.Yield(%more, %next, %y) : tensor<i1>, tensor<i32>, tensor<*xf32>
  }
  return %0#1 : tensor<*xf32>
}

// -----

// One condition of two counts, and the loop begins by another one: at least one iteration, and the rest stays.
// CHECK-LABEL: @rest
// CHECK: %[[TEN:.*]] = onnx.Constant dense<10> : tensor<i64>
// CHECK: %[[RUNS:.*]] = onnx.Max(%[[TEN]], %{{.*}})
// CHECK: onnx.Loop(%[[RUNS]], %arg1, %arg0)
// CHECK: %[[MORE:.*]] = onnx.Greater
// CHECK: onnx.Yield(%[[MORE]]
func.func @rest(%x: tensor<f32>, %go: tensor<i1>) -> tensor<*xf32> {
  %none = onnx.NoValue
  %0 = onnx.Loop(%none, %go, %x) : (none, tensor<i1>, tensor<f32>) -> tensor<*xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %state: tensor<*xf32>):
    %limit = onnx.Constant dense<8> : tensor<i64>
    %zero = onnx.Constant dense<0.0> : tensor<f32>
    %few = onnx.LessOrEqual(%i, %limit) : (tensor<i64>, tensor<i64>) -> tensor<i1>
    %y = onnx.Relu(%state) : (tensor<*xf32>) -> tensor<*xf32>
    %large = onnx.Greater(%y, %zero) : (tensor<*xf32>, tensor<f32>) -> tensor<*xi1>
    %more = onnx.And(%few, %large) : (tensor<i1>, tensor<*xi1>) -> tensor<*xi1>
    onnx.Yield(%more, %y) : tensor<*xi1>, tensor<*xf32>
  }
  return %0 : tensor<*xf32>
}

// -----

// A near miss: the state grows by two.
// CHECK-LABEL: @by_two
// CHECK: onnx.Loop(%{{[0-9]+}}, %arg0, %{{[0-9]+}}) : (none
func.func @by_two(%go: tensor<i1>) -> tensor<*xi64> {
  %none = onnx.NoValue
  %zero = onnx.Constant dense<0> : tensor<i64>
  %0 = onnx.Loop(%none, %go, %zero) : (none, tensor<i1>, tensor<i64>) -> tensor<*xi64> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %count: tensor<i64>):
    %two = onnx.Constant dense<2> : tensor<i64>
    %limit = onnx.Constant dense<9> : tensor<i64>
    %next = onnx.Add(%count, %two) : (tensor<i64>, tensor<i64>) -> tensor<i64>
    %more = onnx.Less(%next, %limit) : (tensor<i64>, tensor<i64>) -> tensor<i1>
    onnx.Yield(%more, %next) : tensor<i1>, tensor<i64>
  }
  return %0 : tensor<*xi64>
}

// -----

// Weights that are carried through are used as they are; what is stacked, and states, have shapes.
// CHECK-LABEL: @carried
// CHECK: %[[L:.*]]:2 = onnx.Loop(%{{.*}}, %{{.*}}, %arg0) : (tensor<i64>, none, tensor<1x2xf32>) -> (tensor<1x2xf32>, tensor<3x1x2xf32>)
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<i64>, %{{.*}}: tensor<i1>, %[[S:.*]]: tensor<1x2xf32>):
// CHECK: onnx.MatMul(%[[S]], %arg1)
// CHECK: return %[[L]]#1, %arg1
// REMARK-DAG: [Passed] InvariantStates
// REMARK-DAG: [Passed] StateShapes
func.func @carried(%x: tensor<1x2xf32>, %w: tensor<2x2xf32>) -> (tensor<*xf32>, tensor<2x2xf32>) {
  %none = onnx.NoValue
  %three = onnx.Constant dense<3> : tensor<i64>
  %0:3 = onnx.Loop(%three, %none, %x, %w) : (tensor<i64>, none, tensor<1x2xf32>, tensor<2x2xf32>) -> (tensor<*xf32>, tensor<2x2xf32>, tensor<*xf32>) {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %state: tensor<*xf32>, %weight: tensor<*xf32>):
    %y = onnx.MatMul(%state, %weight) : (tensor<*xf32>, tensor<*xf32>) -> tensor<*xf32>
    onnx.Yield(%c, %y, %weight, %y) : tensor<i1>, tensor<*xf32>, tensor<*xf32>, tensor<*xf32>
  }
  return %0#2, %0#1 : tensor<*xf32>, tensor<2x2xf32>
}

// -----

// A state that begins as a scalar and becomes a row: the first iteration is done before the loop.
// CHECK-LABEL: @peeled
// CHECK: %[[FIRST:.*]] = onnx.Add(%arg1, %{{.*}})
// CHECK: %[[LEFT:.*]] = onnx.Constant dense<3> : tensor<i64>
// CHECK: onnx.Loop(%[[LEFT]], %{{.*}}, %[[FIRST]])
// CHECK-NEXT: ^bb0(%[[I:.*]]: tensor<i64>,
// CHECK: onnx.Add(%[[I]], %{{.*}}) : (tensor<i64>, tensor<i64>) -> tensor<i64>
// REMARK: [Passed] PeelFirst
func.func @peeled(%x: tensor<f32>, %row: tensor<4xf32>) -> tensor<*xf32> {
  %none = onnx.NoValue
  %four = onnx.Constant dense<4> : tensor<i64>
  %0 = onnx.Loop(%four, %none, %x) : (tensor<i64>, none, tensor<f32>) -> tensor<*xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %state: tensor<*xf32>):
    %step = onnx.Cast(%i) {to = 1 : i64} : (tensor<i64>) -> tensor<f32>
    %y = onnx.Add(%row, %step) : (tensor<4xf32>, tensor<f32>) -> tensor<*xf32>
    onnx.Yield(%c, %y) : tensor<i1>, tensor<*xf32>
  }
  return %0 : tensor<*xf32>
}

// -----

// Near misses: a state that grows in every iteration, and a loop that may not run at all.
// CHECK-LABEL: @grows
// CHECK: onnx.Loop(%{{.*}}, %{{.*}}, %arg0, %arg1)
// CHECK-LABEL: @may_not_run
// CHECK: onnx.Loop(%arg2, %{{.*}}, %arg0)
// REMARK-DAG: [Missed] PeelFirst | {{.*}}states change their shapes in every iteration
// REMARK-DAG: [Missed] PeelFirst | {{.*}}it may be that no iteration runs
func.func @grows(%x: tensor<1xf32>, %y: tensor<1xf32>) -> tensor<*xf32> {
  %none = onnx.NoValue
  %four = onnx.Constant dense<4> : tensor<i64>
  %0:2 = onnx.Loop(%four, %none, %x, %y) : (tensor<i64>, none, tensor<1xf32>, tensor<1xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %state: tensor<*xf32>, %last: tensor<*xf32>):
    %longer = onnx.Concat(%state, %last) {axis = 0 : i64} : (tensor<*xf32>, tensor<*xf32>) -> tensor<*xf32>
    %next = onnx.Neg(%last) : (tensor<*xf32>) -> tensor<*xf32>
    onnx.Yield(%c, %longer, %next) : tensor<i1>, tensor<*xf32>, tensor<*xf32>
  }
  return %0#0 : tensor<*xf32>
}
func.func @may_not_run(%x: tensor<f32>, %row: tensor<4xf32>, %n: tensor<i64>) -> tensor<*xf32> {
  %none = onnx.NoValue
  %0 = onnx.Loop(%n, %none, %x) : (tensor<i64>, none, tensor<f32>) -> tensor<*xf32> {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %state: tensor<*xf32>):
    %y = onnx.Neg(%row) : (tensor<4xf32>) -> tensor<*xf32>
    onnx.Yield(%c, %y) : tensor<i1>, tensor<*xf32>
  }
  return %0 : tensor<*xf32>
}

// -----

// Free dims: weights that are carried through go all the same, and states stay as they are.
// CHECK-LABEL: @free
// CHECK: onnx.Loop(%{{.*}}, %{{.*}}, %arg0) : (tensor<i64>, none, tensor<?x2xf32{{.*}}>)
// CHECK: onnx.MatMul(%{{.*}}, %arg1) : (tensor<*xf32>, tensor<2x2xf32>)
func.func @free(%x: tensor<?x2xf32>, %w: tensor<2x2xf32>) -> tensor<*xf32> {
  %none = onnx.NoValue
  %three = onnx.Constant dense<3> : tensor<i64>
  %0:2 = onnx.Loop(%three, %none, %x, %w) : (tensor<i64>, none, tensor<?x2xf32>, tensor<2x2xf32>) -> (tensor<*xf32>, tensor<*xf32>) {
  ^bb0(%i: tensor<i64>, %c: tensor<i1>, %state: tensor<*xf32>, %weight: tensor<*xf32>):
    %y = onnx.MatMul(%state, %weight) : (tensor<*xf32>, tensor<*xf32>) -> tensor<*xf32>
    onnx.Yield(%c, %y, %weight) : tensor<i1>, tensor<*xf32>, tensor<*xf32>
  }
  return %0#0 : tensor<*xf32>
}
