// RUN: burin-opt %s --vpu-flatten-branches --split-input-file | FileCheck %s

// Both branches run; a shave chooses.
// CHECK-LABEL: func.func @early_exit
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>, %[[C:.*]]: tensor<i1>)
// CHECK-NOT: scf.if
// CHECK: %[[SUM:.*]] = linalg.generic
// CHECK: arith.addf
// CHECK: %[[R:.*]] = linalg.generic {{.*}} ins(%[[C]], %[[X]], %[[SUM]] : tensor<i1>, tensor<4xf32>, tensor<4xf32>)
// CHECK: ^bb0(%[[c:.*]]: i1, %[[a:.*]]: f32, %[[b:.*]]: f32, %{{.*}}: f32):
// CHECK: arith.select %[[c]], %[[a]], %[[b]] : f32
// CHECK: return %[[R]]
func.func @early_exit(%x: tensor<4xf32>, %t: tensor<i1>) -> tensor<4xf32> {
  %c = tensor.extract %t[] : tensor<i1>
  %r = scf.if %c -> tensor<4xf32> {
    scf.yield %x : tensor<4xf32>
  } else {
    %o = tensor.empty() : tensor<4xf32>
    %s = linalg.generic {indexing_maps = [affine_map<(a) -> (a)>, affine_map<(a) -> (a)>], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf32>) outs(%o : tensor<4xf32>) {
    ^bb0(%in: f32, %out: f32):
      %d = arith.addf %in, %in : f32
      linalg.yield %d : f32
    } -> tensor<4xf32>
    scf.yield %s : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}

// -----

// A branch within a branch, and a condition at a place.
// CHECK-LABEL: func.func @nested
// CHECK-NOT: scf.if
// CHECK-COUNT-2: arith.select
func.func @nested(%x: tensor<4xf32>, %y: tensor<4xf32>, %t: tensor<2xi1>) -> tensor<4xf32> {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %c = tensor.extract %t[%zero] : tensor<2xi1>
  %r = scf.if %c -> tensor<4xf32> {
    %d = tensor.extract %t[%one] : tensor<2xi1>
    %i = scf.if %d -> tensor<4xf32> {
      scf.yield %y : tensor<4xf32>
    } else {
      scf.yield %x : tensor<4xf32>
    }
    scf.yield %i : tensor<4xf32>
  } else {
    scf.yield %x : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}

// -----

// Left alone: a size that depends on the branch.
// CHECK-LABEL: func.func @sizes
// CHECK: scf.if
func.func @sizes(%x: tensor<?xf32>, %y: tensor<?xf32>, %t: tensor<i1>) -> tensor<?xf32> {
  %c = tensor.extract %t[] : tensor<i1>
  %r = scf.if %c -> tensor<?xf32> {
    scf.yield %y : tensor<?xf32>
  } else {
    scf.yield %x : tensor<?xf32>
  }
  return %r : tensor<?xf32>
}

// -----

// Left alone: a branch that writes memory.
// CHECK-LABEL: func.func @writes
// CHECK: scf.if
func.func @writes(%x: tensor<4xf32>, %m: memref<f32>, %v: f32, %t: tensor<i1>) -> tensor<4xf32> {
  %c = tensor.extract %t[] : tensor<i1>
  %r = scf.if %c -> tensor<4xf32> {
    memref.store %v, %m[] : memref<f32>
    scf.yield %x : tensor<4xf32>
  } else {
    scf.yield %x : tensor<4xf32>
  }
  return %r : tensor<4xf32>
}
