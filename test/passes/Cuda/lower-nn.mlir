// RUN: burin-opt %s --cuda-lower-nn=tensor-cores=false --cse --split-input-file | FileCheck %s
// RUN: burin-opt %s "--cuda-lower-nn=block-size=64 tensor-cores=false" --split-input-file | FileCheck %s --check-prefix=SMALL

// The operation of test/passes/Vpu/plan-tasks.mlir, for another machine: nothing of a CPU hides in it.
// CHECK-LABEL: func.func @conv_bias_relu_residual
// CHECK-SAME: (%[[X:.*]]: memref<1x6x6x8xf32>, %[[W:.*]]: memref<3x3x8x16xf32>, %[[B:.*]]: memref<16xf32>, %[[R:.*]]: memref<1x6x6x16xf32>, %[[O:.*]]: memref<1x6x6x16xf32>)
// CHECK-DAG: %[[GRID:.*]] = arith.constant 3 : index
// CHECK-DAG: %[[BLOCK:.*]] = arith.constant 256 : index
// CHECK: gpu.launch blocks(%[[BX:[^,]*]], {{.*}}) in (%{{.*}} = %[[GRID]], {{.*}}) threads(%[[TX:[^,]*]], {{.*}}) in (%{{.*}} = %[[BLOCK]]
// CHECK: %[[FIRST:.*]] = arith.muli %[[BX]]
// CHECK: %[[I:.*]] = arith.addi %[[FIRST]], %[[TX]]
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[I]]
// CHECK: scf.if %[[INSIDE]]
// CHECK: %[[NARROW:.*]] = arith.index_castui %[[I]] : index to i32
// CHECK: %[[REST:.*]] = arith.remui %[[NARROW]]
// CHECK: %[[CHANNEL:.*]] = arith.index_castui %[[REST]] : i32 to index
// CHECK: %[[SUM:.*]] = scf.for
// CHECK: scf.for
// CHECK: scf.for
// CHECK: memref.load %[[X]]
// CHECK: memref.load %[[W]]
// CHECK: %[[BIAS:.*]] = memref.load %[[B]][%[[CHANNEL]]]
// CHECK: %[[RES:.*]] = memref.load %[[R]][%[[AT:.*]]]
// CHECK: %[[S:.*]] = arith.addf %[[SUM]], %[[BIAS]]
// CHECK: %[[T:.*]] = arith.maximumf %[[S]]
// CHECK: %[[U:.*]] = arith.addf %[[T]], %[[RES]]
// CHECK: memref.store %[[U]], %[[O]][%[[AT]]]
// CHECK-NOT: nn.conv
// SMALL-LABEL: func.func @conv_bias_relu_residual
// SMALL: gpu.launch
// 576 elements are nine blocks of 64, and no thread is left over.
// SMALL-NOT: scf.if
// SMALL: memref.store
#id = affine_map<(n, h, w, c) -> (n, h, w, c)>
#channel = affine_map<(n, h, w, c) -> (c)>
func.func @conv_bias_relu_residual(%x: memref<1x6x6x8xf32>, %w: memref<3x3x8x16xf32>, %b: memref<16xf32>, %r: memref<1x6x6x16xf32>, %o: memref<1x6x6x16xf32>) {
  nn.conv ins(%x, %w : memref<1x6x6x8xf32>, memref<3x3x8x16xf32>) extras(%b, %r : memref<16xf32>, memref<1x6x6x16xf32>) outs(%o : memref<1x6x6x16xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, extra_maps = [#channel, #id]} epilogue {
  ^bb0(%acc: f32, %bias: f32, %res: f32):
    %zero = arith.constant 0.0 : f32
    %s = arith.addf %acc, %bias : f32
    %t = arith.maximumf %s, %zero : f32
    %u = arith.addf %t, %res : f32
    nn.yield %u : f32
  }
  return
}

// -----

// CHECK-LABEL: func.func @two_layers
// CHECK: gpu.launch
// CHECK: gpu.launch
// CHECK-NOT: nn.
func.func @two_layers(%x: memref<4x8xf32>, %w: memref<8x8xf32>, %h: memref<4x8xf32>, %o: memref<4x8xf32>) {
  nn.matmul ins(%x, %w : memref<4x8xf32>, memref<8x8xf32>) outs(%h : memref<4x8xf32>)
  nn.matmul ins(%h, %w : memref<4x8xf32>, memref<8x8xf32>) outs(%o : memref<4x8xf32>)
  return
}

// -----

// Near misses: what has no kernel here stays.
// CHECK-LABEL: func.func @stays
// CHECK-NOT: gpu.launch
// CHECK: nn.softmax
// CHECK: nn.matmul
// CHECK: nn.matmul
func.func @stays(%x: memref<4x8xf64>, %y: memref<4x8xf64>, %d: memref<?x8xf32>, %w: memref<8x8xf32>, %o: memref<4x8xf32>, %t: tensor<4x8xf32>, %v: tensor<8x8xf32>) -> tensor<4x8xf32> {
  nn.softmax ins(%x : memref<4x8xf64>) outs(%y : memref<4x8xf64>) {dim = 1 : i64}
  nn.matmul ins(%d, %w : memref<?x8xf32>, memref<8x8xf32>) outs(%o : memref<4x8xf32>)
  %e = tensor.empty() : tensor<4x8xf32>
  %0 = nn.matmul ins(%t, %v : tensor<4x8xf32>, tensor<8x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

// A warp a row: four rows a block, maxima and sums by exchanges.
// CHECK-LABEL: func.func @softmax
// CHECK: gpu.launch
// CHECK: scf.for
// CHECK: arith.maximumf
// CHECK: gpu.shuffle xor
// CHECK: math.exp
// CHECK: gpu.shuffle xor
// CHECK: arith.divf
// CHECK: memref.store
func.func @softmax(%x: memref<6x40xf32>, %o: memref<6x40xf32>) {
  nn.softmax ins(%x : memref<6x40xf32>) outs(%o : memref<6x40xf32>) {dim = 1 : i64}
  return
}

// -----

// Bytes: what a step of them counts for multiplies what goes into the exponential.
// CHECK-LABEL: func.func @softmax_of_bytes
// CHECK: arith.uitofp {{.*}} : i8 to f32
// CHECK: arith.maximumf
// CHECK: %[[D:.*]] = arith.subf
// CHECK: %[[S:.*]] = arith.mulf %[[D]], %{{.*}}
// CHECK: math.exp %[[S]]
func.func @softmax_of_bytes(%x: memref<6x40xi8>, %o: memref<6x40xf32>) {
  nn.softmax ins(%x : memref<6x40xi8>) outs(%o : memref<6x40xf32>) {acc = f32, dim = 1 : i64, input_unsigned, scale = 0.25 : f32}
  return
}
