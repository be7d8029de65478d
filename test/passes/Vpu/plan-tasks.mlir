// RUN: burin-opt %s --vpu-plan-tasks=scratchpad-bytes=8192 --split-input-file | FileCheck %s
// RUN: burin-opt %s --vpu-plan-tasks="scratchpad-bytes=8192 double-buffer=false" --split-input-file | FileCheck %s --check-prefix=SINGLE
// RUN: burin-opt %s --vpu-plan-tasks --split-input-file | FileCheck %s --check-prefix=ROOMY

// The operation of test/passes/Cuda/lower-nn.mlir, for another machine: nothing of a CPU hides in it.
// What lies in 8192 bytes: the filter 4608, the bias 64, and twice (3 input rows 576 + 1 residual row 384 + 1 result row 384) = 2688; 7360 in all.
// CHECK-LABEL: func.func @conv_bias_relu_residual
// CHECK-SAME: (%[[X:.*]]: memref<1x6x6x8xf32>, %[[W:.*]]: memref<3x3x8x16xf32>, %[[B:.*]]: memref<16xf32>, %[[R:.*]]: memref<1x6x6x16xf32>, %[[O:.*]]: memref<1x6x6x16xf32>)
// CHECK: %[[PAD:.*]] = memref.alloc() {alignment = 64 : i64} : memref<8192xi8, 1>
//
// The first tile: two input rows, the one above them padding.
// CHECK: %[[X0:.*]] = memref.view %[[PAD]][%c0{{.*}}][] : memref<8192xi8, 1> to memref<1x2x6x8xf32, 1>
// CHECK: %[[XS:.*]] = memref.subview %[[X]][0, 0, 0, 0] [1, 2, 6, 8]
// CHECK: memref.copy %[[XS]], %[[X0]]
// CHECK: %[[W0:.*]] = memref.view %[[PAD]][%c1152{{.*}}][] : memref<8192xi8, 1> to memref<3x3x8x16xf32, 1>
// CHECK: memref.copy %[[W]], %[[W0]]
// CHECK: %[[B0:.*]] = memref.view %[[PAD]][%c5760{{.*}}][]
// CHECK: memref.copy %[[B]], %[[B0]]
// CHECK: %[[R0:.*]] = memref.view %[[PAD]][%c5824{{.*}}][]
// CHECK: memref.copy %{{.*}}, %[[R0]]
// CHECK: %[[O0:.*]] = memref.view %[[PAD]][%c6592{{.*}}][] : memref<8192xi8, 1> to memref<1x1x6x16xf32, 1>
// CHECK: nn.conv ins(%[[X0]], %[[W0]] : memref<1x2x6x8xf32, 1>, memref<3x3x8x16xf32, 1>) extras(%[[B0]], %[[R0]] : {{.*}}) outs(%[[O0]]
// CHECK-SAME: pads = array<i64: 1, 1, 0, 1>
// CHECK: ^bb0(%[[ACC:.*]]: f32, %[[BIAS:.*]]: f32, %[[RES:.*]]: f32):
// CHECK: arith.addf %[[ACC]], %[[BIAS]]
// CHECK: arith.maximumf
// CHECK: nn.yield
// CHECK: %[[OS:.*]] = memref.subview %[[O]][0, 0, 0, 0] [1, 1, 6, 16]
// CHECK: memref.copy %[[O0]], %[[OS]]
//
// The second: three rows to the other place; filter and bias are there already.
// CHECK: %[[X1:.*]] = memref.view %[[PAD]][%c576{{.*}}][] : memref<8192xi8, 1> to memref<1x3x6x8xf32, 1>
// CHECK: memref.copy %{{.*}}, %[[X1]]
// CHECK-NOT: memref.copy %[[W]],
// CHECK: %[[R1:.*]] = memref.view %[[PAD]][%c6208{{.*}}][]
// CHECK: memref.copy %{{.*}}, %[[R1]]
// CHECK: %[[O1:.*]] = memref.view %[[PAD]][%c6976{{.*}}][]
// CHECK: nn.conv ins(%[[X1]]
// CHECK-SAME: pads = array<i64: 0, 1, 0, 1>
// CHECK: memref.copy %[[O1]]
//
// Three more, then the last with its padding below.
// CHECK-COUNT-3: pads = array<i64: 0, 1, 0, 1>
// CHECK: pads = array<i64: 0, 1, 1, 1>
// CHECK: %[[LAST:.*]] = memref.subview %[[O]][0, 5, 0, 0] [1, 1, 6, 16]
// CHECK: memref.copy %{{.*}}, %[[LAST]]
// CHECK-NOT: nn.conv
//
// One place each leaves room for three rows a tile: 4608 + 64 + 4 input rows 768 + 3 residual rows 1152 + 3 result rows 1152 = 7744.
// SINGLE-LABEL: func.func @conv_bias_relu_residual
// SINGLE-COUNT-2: outs(%{{.*}} : memref<1x3x6x16xf32, 1>)
// SINGLE-NOT: nn.conv
// SINGLE: return
//
// ROOMY-LABEL: func.func @conv_bias_relu_residual
// ROOMY: outs(%{{.*}} : memref<1x6x6x16xf32, 1>)
// ROOMY-NOT: nn.conv
// ROOMY: return
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

// Rows alone do not fit beside a filter of 16384 bytes: channels are halved, and each half keeps its filter for all rows.
// CHECK-LABEL: func.func @channels
// CHECK-SAME: (%[[X:.*]]: memref<{{.*}}>, %[[W:.*]]: memref<{{.*}}>, %[[O:.*]]: memref<{{.*}}>)
// CHECK: memref.subview %[[W]][0, 0, 0, 0] [1, 1, 64, 16]
// CHECK: nn.conv {{.*}} outs(%{{.*}} : memref<1x{{.*}}x2x16xf32, 1>)
// CHECK: memref.subview %[[W]][0, 0, 0, 16] [1, 1, 64, 16]
// CHECK: nn.conv
// CHECK: memref.subview %[[W]][0, 0, 0, 32] [1, 1, 64, 16]
// CHECK: nn.conv
// CHECK: memref.subview %[[W]][0, 0, 0, 48] [1, 1, 64, 16]
// CHECK: nn.conv
func.func @channels(%x: memref<1x4x2x64xf32>, %w: memref<1x1x64x64xf32>, %o: memref<1x4x2x64xf32>) {
  nn.conv ins(%x, %w : memref<1x4x2x64xf32>, memref<1x1x64x64xf32>) outs(%o : memref<1x4x2x64xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  return
}

// -----

// Two operations share the one scratchpad, one after the other; neither softmax nor dynamic shapes are planned.
// CHECK-LABEL: func.func @layers
// CHECK: memref.alloc()
// CHECK-NOT: memref.alloc()
// CHECK: nn.matmul ins(%{{.*}} : memref<4x8xf32, 1>, memref<8x8xf32, 1>)
// CHECK: nn.pool ins(%{{.*}} : memref<1x2x2x8xf32, 1>)
// CHECK: nn.softmax ins(%{{.*}} : memref<4x8xf32>)
// CHECK: nn.matmul ins(%{{.*}} : memref<?x8xf32>, memref<8x8xf32>)
func.func @layers(%x: memref<4x8xf32>, %i: memref<1x2x2x8xf32>, %d: memref<?x8xf32>, %w: memref<8x8xf32>, %o: memref<4x8xf32>, %p: memref<1x1x1x8xf32>) {
  nn.matmul ins(%x, %w : memref<4x8xf32>, memref<8x8xf32>) outs(%o : memref<4x8xf32>)
  nn.pool ins(%i : memref<1x2x2x8xf32>) outs(%p : memref<1x1x1x8xf32>)
    {kind = #nn.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  nn.softmax ins(%x : memref<4x8xf32>) outs(%o : memref<4x8xf32>) {dim = 1 : i64}
  nn.matmul ins(%d, %w : memref<?x8xf32>, memref<8x8xf32>) outs(%o : memref<4x8xf32>)
  return
}
