// The definition of each op, seen through the kernels of one thread an element, which take what faster ones do not. Numbers are tested in test/passes/Vpu and test/EndToEnd.
// RUN: burin-opt %s --cuda-lower-nn="block-size=1 tensor-cores=false" --canonicalize --cse --split-input-file | FileCheck %s

// Groups choose the input channels; without padding no tap needs a bound; products may contract.
// CHECK-LABEL: func.func @grouped
// CHECK-SAME: (%[[X:.*]]: memref<1x4x4x6xf32>, %[[W:.*]]: memref<3x3x2x12xf32>
// CHECK: arith.remui %{{.*}}, %c12_i32
// CHECK: %[[C:.*]] = arith.index_castui
// CHECK-DAG: %[[G:.*]] = arith.divui %[[C]], %c4
// CHECK-DAG: %[[BASE:.*]] = arith.muli %[[G]], %c2
// CHECK: scf.for %[[KH:.*]] = %c0 to %c3
// CHECK: scf.for %[[KW:.*]] = %c0 to %c3
// CHECK: scf.for %[[I:.*]] = %c0 to %c2
// CHECK: %[[IC:.*]] = arith.addi %[[BASE]], %[[I]]
// CHECK: memref.load %[[X]][%{{.*}}, %{{.*}}, %{{.*}}, %[[IC]]]
// CHECK: memref.load %[[W]][%[[KH]], %[[KW]], %[[I]], %[[C]]]
// CHECK: arith.mulf %{{.*}} fastmath<contract>
// CHECK: arith.addf %{{.*}} fastmath<contract>
func.func @grouped(%x: memref<1x4x4x6xf32>, %w: memref<3x3x2x12xf32>, %o: memref<1x2x2x12xf32>) {
  nn.conv ins(%x, %w : memref<1x4x4x6xf32>, memref<3x3x2x12xf32>) outs(%o : memref<1x2x2x12xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, groups = 3 : i64}
  return
}

// -----

// Integers: extended as their signedness says, less their zero point, summed in i32. The packed filter is read by block and lane.
// A 1x1 window is no loop.
// CHECK-LABEL: func.func @integers
// CHECK: arith.remui %{{.*}}, %c6_i32
// CHECK: %[[C:.*]] = arith.index_castui
// CHECK: %[[BLOCK:.*]] = arith.divui %[[C]], %c4
// CHECK: %[[LANE:.*]] = arith.remui %[[C]], %c4
// CHECK: scf.for %[[I:.*]] = %c0 to %c8 step %c1 iter_args(%[[SUM:.*]] = %c0_i32) -> (i32)
// CHECK-NOT: scf.for
// CHECK: %[[X8:.*]] = memref.load %{{.*}} : memref<1x2x2x8xi8>
// CHECK: %[[X32:.*]] = arith.extui %[[X8]] : i8 to i32
// CHECK: %[[XZ:.*]] = arith.{{subi %.*, %c128_i32|addi %.*, %c-128_i32}}
// CHECK: %[[W8:.*]] = memref.load %{{.*}}[%[[BLOCK]], %c0, %c0, %[[I]], %[[LANE]]]
// CHECK: %[[W32:.*]] = arith.extsi %[[W8]] : i8 to i32
// CHECK: %[[P:.*]] = arith.muli %[[XZ]], %[[W32]] : i32
// CHECK: arith.addi %[[SUM]], %[[P]] : i32
// CHECK: %[[R:.*]] = arith.trunci %{{.*}} : i32 to i8
// CHECK: memref.store %[[R]]
func.func @integers(%x: memref<1x2x2x8xi8>, %w: memref<2x1x1x8x4xi8>, %o: memref<1x2x2x6xi8>) {
  nn.conv ins(%x, %w : memref<1x2x2x8xi8>, memref<2x1x1x8x4xi8>) outs(%o : memref<1x2x2x6xi8>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, packed = 4 : i64, input_unsigned, input_zero_point = 128 : i64}
  return
}

// -----

// Half precision is summed in single and rounded once.
// CHECK-LABEL: func.func @half
// CHECK: %[[SUM:.*]] = scf.for
// CHECK-COUNT-2: arith.extf %{{.*}} : f16 to f32
// CHECK: arith.truncf %[[SUM]] : f32 to f16
func.func @half(%x: memref<1x4x4x2xf16>, %w: memref<3x3x2xf16>, %o: memref<1x2x2x2xf16>) {
  nn.depthwise_conv ins(%x, %w : memref<1x4x4x2xf16>, memref<3x3x2xf16>) outs(%o : memref<1x2x2x2xf16>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  return
}

// -----

// A tap counts where the distance is a multiple of the stride and inside the input.
// CHECK-LABEL: func.func @transposed
// CHECK: scf.for
// CHECK: arith.divsi
// CHECK: arith.cmpi eq
// CHECK: scf.if %{{.*}} -> (f32)
// CHECK: memref.load
// CHECK: } else {
// CHECK-NEXT: scf.yield
func.func @transposed(%x: memref<1x3x2xf32>, %w: memref<3x2x4xf32>, %o: memref<1x7x4xf32>) {
  nn.conv_transpose ins(%x, %w : memref<1x3x2xf32>, memref<3x2x4xf32>) outs(%o : memref<1x7x4xf32>)
    {strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
  return
}

// -----

// A batch of one serves all; a right side of rank 2 serves all batches.
// CHECK-LABEL: func.func @broadcast
// CHECK-SAME: (%[[A:.*]]: memref<1x6x3xf32>, %[[B:.*]]: memref<5x4x3xf32>
// CHECK: memref.load %[[A]][%c0, %[[M:.*]], %[[K:.*]]]
// CHECK: memref.load %[[B]][%[[BATCH:.*]], %[[N:.*]], %[[K]]]
// CHECK: memref.store %{{.*}}, %{{.*}}[%[[BATCH]], %[[M]], %[[N]]]
func.func @broadcast(%a: memref<1x6x3xf32>, %b: memref<5x4x3xf32>, %o: memref<5x6x4xf32>) {
  nn.matmul ins(%a, %b : memref<1x6x3xf32>, memref<5x4x3xf32>) outs(%o : memref<5x6x4xf32>) {transpose_rhs}
  return
}

// -----

// Without count_padding an average divides by the taps it has.
// CHECK-LABEL: func.func @average
// CHECK: arith.minsi
// CHECK: %[[HI:.*]] = arith.minsi
// CHECK: %[[LO:.*]] = arith.minsi %{{.*}}, %[[HI]]
// CHECK: %[[SUM:.*]] = scf.for %{{.*}} = %[[LO]] to %[[HI]]
// CHECK: %[[TAPS:.*]] = arith.subi %[[HI]], %[[LO]]
// CHECK: %[[I:.*]] = arith.index_cast %[[TAPS]] : index to i32
// CHECK: %[[F:.*]] = arith.sitofp %[[I]] : i32 to f32
// CHECK: arith.divf %[[SUM]], %[[F]]
func.func @average(%x: memref<1x5x4xf32>, %o: memref<1x5x4xf32>) {
  nn.pool ins(%x : memref<1x5x4xf32>) outs(%o : memref<1x5x4xf32>)
    {kind = #nn.pool_kind<average>, kernel = array<i64: 3>, strides = array<i64: 1>, dilations = array<i64: 1>, pads = array<i64: 1, 1>}
  return
}

// -----

// A maximum starts below everything and ignores no NaN.
// CHECK-LABEL: func.func @maximum
// CHECK: arith.constant 0xFF800000 : f32
// CHECK: arith.maximumf
func.func @maximum(%x: memref<1x4x4xf32>, %o: memref<1x2x4xf32>) {
  nn.pool ins(%x : memref<1x4x4xf32>) outs(%o : memref<1x2x4xf32>)
    {kind = #nn.pool_kind<max>, kernel = array<i64: 2>, strides = array<i64: 2>, dilations = array<i64: 1>, pads = array<i64: 0, 0>}
  return
}
