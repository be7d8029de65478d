// RUN: burin-opt %s --tensor-align-loops | FileCheck %s

// The condition passes on the two tensors alone; the counter, which nobody reads afterwards, goes behind them.
// CHECK-LABEL: func.func @moved_apart
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>, %[[Y:.*]]: tensor<4xf32>
// CHECK: scf.while (%[[A:.*]] = %[[X]], %[[B:.*]] = %[[Y]], %[[N:.*]] = %{{.*}}) : (tensor<4xf32>, tensor<4xf32>, i64) -> (tensor<4xf32>, tensor<4xf32>)
// CHECK: arith.cmpi slt, %[[N]]
// CHECK: scf.condition(%{{.*}}) %[[A]], %[[B]]
// CHECK: scf.yield %{{.*}}, %{{.*}}, %{{.*}} : tensor<4xf32>, tensor<4xf32>, i64
func.func @moved_apart(%x: tensor<4xf32>, %y: tensor<4xf32>, %end: i64) -> (tensor<4xf32>, tensor<4xf32>) {
  %c0 = arith.constant 0 : i64
  %0:2 = scf.while (%a = %x, %n = %c0, %b = %y) : (tensor<4xf32>, i64, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
    %go = arith.cmpi slt, %n, %end : i64
    scf.condition(%go) %a, %b : tensor<4xf32>, tensor<4xf32>
  } do {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    scf.yield %a, %end, %b : tensor<4xf32>, i64, tensor<4xf32>
  }
  return %0#0, %0#1 : tensor<4xf32>, tensor<4xf32>
}

// Near miss: all in place.
// CHECK-LABEL: func.func @in_place
// CHECK: scf.while (%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) : (tensor<?xf32>, i64) -> tensor<?xf32>
func.func @in_place(%x: tensor<?xf32>, %end: i64) -> tensor<?xf32> {
  %c0 = arith.constant 0 : i64
  %0 = scf.while (%a = %x, %n = %c0) : (tensor<?xf32>, i64) -> tensor<?xf32> {
    %go = arith.cmpi slt, %n, %end : i64
    scf.condition(%go) %a : tensor<?xf32>
  } do {
  ^bb0(%a: tensor<?xf32>):
    scf.yield %a, %end : tensor<?xf32>, i64
  }
  return %0 : tensor<?xf32>
}
