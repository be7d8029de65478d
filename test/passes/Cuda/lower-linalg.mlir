// RUN: burin-opt %s --cuda-lower-linalg --split-input-file | FileCheck %s

// A fill before is what the sum begins with; it is no kernel of its own. Rows that fill a warp are shared by its lanes.
// CHECK-LABEL: func.func @sum_rows
// CHECK: gpu.launch
// CHECK: scf.for
// CHECK: memref.load
// CHECK: arith.addf
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: scf.if
// CHECK: memref.store
// CHECK-NOT: gpu.launch
#in = affine_map<(r, c) -> (r, c)>
#out = affine_map<(r, c) -> (r)>
func.func @sum_rows(%x: memref<300x40xf32>, %o: memref<300xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%o : memref<300xf32>)
  linalg.generic {indexing_maps = [#in, #out], iterator_types = ["parallel", "reduction"]} ins(%x : memref<300x40xf32>) outs(%o : memref<300xf32>) {
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// Sums of columns: neighbouring threads read side by side, so each has a column of its own.
// CHECK-LABEL: func.func @sum_columns
// CHECK: %[[ZERO:.*]] = arith.constant 0.0
// CHECK: gpu.launch
// CHECK: %[[SUM:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[ZERO]])
// CHECK: memref.load
// CHECK: memref.store %[[SUM]]
// CHECK-NOT: gpu.shuffle
#in = affine_map<(r, c) -> (c, r)>
#out = affine_map<(r, c) -> (r)>
func.func @sum_columns(%x: memref<40x300xf32>, %o: memref<300xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%o : memref<300xf32>)
  linalg.generic {indexing_maps = [#in, #out], iterator_types = ["parallel", "reduction"]} ins(%x : memref<40x300xf32>) outs(%o : memref<300xf32>) {
  ^bb0(%a: f32, %b: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// Neighbouring threads write side by side, whatever the order of the loops: the result's last dim is the fastest.
// CHECK-LABEL: func.func @transpose
// CHECK: gpu.launch
// CHECK: %[[C:.*]] = arith.remui
// CHECK: %[[CI:.*]] = arith.index_castui %[[C]]
// CHECK: memref.store {{.*}}[{{.*}}, %[[CI]]]
#id = affine_map<(r, c) -> (r, c)>
#t = affine_map<(r, c) -> (c, r)>
func.func @transpose(%x: memref<30x40xf32>, %o: memref<40x30xf32>) {
  linalg.generic {indexing_maps = [#id, #t], iterator_types = ["parallel", "parallel"]} ins(%x : memref<30x40xf32>) outs(%o : memref<40x30xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  }
  return
}

// -----

// CHECK-LABEL: func.func @copy
// CHECK: gpu.launch
// CHECK-NOT: memref.copy
func.func @copy(%x: memref<4x8xi8>, %o: memref<4x8xi8>) {
  memref.copy %x, %o : memref<4x8xi8> to memref<4x8xi8>
  return
}

// -----

// Near misses: a size of the run, and results that several points of the loops write.
// CHECK-LABEL: func.func @stays
// CHECK-NOT: gpu.launch
#id = affine_map<(r) -> (r)>
#half = affine_map<(r) -> (r floordiv 2)>
func.func @stays(%x: memref<?xf32>, %y: memref<8xf32>, %o: memref<4xf32>) {
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%x : memref<?xf32>) {
  ^bb0(%b: f32):
    linalg.yield %b : f32
  }
  linalg.generic {indexing_maps = [#id, #half], iterator_types = ["parallel"]} ins(%y : memref<8xf32>) outs(%o : memref<4xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  }
  return
}
