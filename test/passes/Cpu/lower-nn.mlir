// RUN: burin-opt %s --pass-pipeline='builtin.module(func.func(cpu-lower-nn{machine=x86-64-v4}))' | FileCheck %s
// RUN: burin-opt %s --pass-pipeline='builtin.module(func.func(cpu-lower-nn{machine=aarch64}))' | FileCheck %s --check-prefix=ARM
// RUN: burin-opt %s --pass-pipeline='builtin.module(func.func(cpu-lower-nn{machine=cortex-a76}))' | FileCheck %s --check-prefix=HALF

// All pixels of a 1x1 convolution are one dim; 14 x 32 accumulators, no remainder: the last tile starts earlier.
// CHECK-LABEL: func @conv(
// CHECK-NOT: nn.conv
// CHECK: scf.for
// CHECK: arith.minsi
// CHECK: %[[SUM:.*]]:28 = scf.for {{.*}} -> (vector<16xf32>
// Both lines of a step are asked for a page ahead.
// CHECK-COUNT-2: memref.prefetch
// CHECK-COUNT-2: vector.load {{.*}} vector<16xf32>
// CHECK: memref.load
// CHECK: vector.broadcast
// CHECK-COUNT-28: vector.fma
// CHECK: scf.yield
// The epilogue, on registers.
// CHECK: %[[B:.*]] = vector.load
// CHECK: %[[S:.*]] = arith.addf %[[SUM]]#0, %[[B]]
// CHECK: %[[C:.*]] = arith.cmpf ogt, %[[Z:.*]], %[[S]]
// CHECK: %[[R:.*]] = arith.select %[[C]], %[[Z]], %[[S]]
// CHECK: vector.store %[[R]]
// Inputs of four steps are one load; products take each from its lane.
// ARM-LABEL: func @conv(
// ARM-NOT: memref.prefetch
// ARM: :16 = scf.for {{.*}} step %{{.*}} iter_args
// ARM: %[[X:.*]] = vector.load {{.*}} vector<4xf32>
// ARM: vector.shuffle %[[X]], %[[X]] [0, 0, 0, 0]
// ARM-COUNT-8: vector.fma {{.*}} : vector<4xf32>
// ARM-NOT: vector.broadcast
// ARM: vector.shuffle %[[X]], %[[X]] [3, 3, 3, 3]
// ARM: arith.maximumf
func.func @conv(%x: memref<1x1x41x24xf32>, %w: memref<2x1x1x24x32xf32>, %b: memref<64xf32>, %y: memref<1x1x41x64xf32>) {
  nn.conv ins(%x, %w : memref<1x1x41x24xf32>, memref<2x1x1x24x32xf32>) extras(%b : memref<64xf32>) outs(%y : memref<1x1x41x64xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, packed = 32 : i64,
     extra_maps = [affine_map<(n, h, w, c) -> (c)>]} epilogue {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    %z = arith.constant 0.0 : f32
    %m = arith.maximumf %s, %z : f32
    nn.yield %m : f32
  }
  return
}

// A long epilogue is not repeated for every register: the sums go to the destination and a loop over the tile comes after.
// CHECK-LABEL: func @long_epilogue(
// CHECK: vector.fma
// CHECK: vector.store
// CHECK: scf.for
// CHECK: vector.load
// CHECK: math.exp {{.*}} : vector<16xf32>
// CHECK-NOT: math.exp
func.func @long_epilogue(%x: memref<8x24xf32>, %w: memref<1x24x16xf32>, %y: memref<8x16xf32>) {
  nn.matmul ins(%x, %w : memref<8x24xf32>, memref<1x24x16xf32>) outs(%y : memref<8x16xf32>) {packed = 16 : i64} epilogue {
  ^bb0(%acc: f32):
    %e = math.exp %acc : f32
    nn.yield %e : f32
  }
  return
}

// Taps are unrolled, each input vector is loaded once for all pixels of the tile: 4 x 6 of them for 2 x 4 pixels, and 9 weights.
// CHECK-LABEL: func @depthwise(
// CHECK-COUNT-33: vector.load {{.*}} vector<16xf32>
// CHECK-NOT: vector.load
// CHECK: vector.store
// Where no product reads memory, the weights stay in registers while tiles go by.
// ARM-LABEL: func @depthwise(
// ARM-COUNT-9: vector.load {{.*}} vector<4xf32>
// ARM: scf.for
// ARM: scf.for
// ARM-COUNT-24: vector.load {{.*}} vector<4xf32>
// ARM-NOT: vector.load
// ARM: vector.store
func.func @depthwise(%x: memref<1x10x10x32xf32>, %w: memref<3x3x32xf32>, %y: memref<1x8x8x32xf32>) {
  nn.depthwise_conv ins(%x, %w : memref<1x10x10x32xf32>, memref<3x3x32xf32>) outs(%y : memref<1x8x8x32xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  return
}

// Sums begin with the bias instead of having it added.
// CHECK-LABEL: func @depthwise_bias(
// CHECK-NOT: arith.addf
// CHECK: vector.store
func.func @depthwise_bias(%x: memref<1x10x10x32xf32>, %w: memref<3x3x32xf32>, %b: memref<32xf32>, %y: memref<1x8x8x32xf32>) {
  nn.depthwise_conv ins(%x, %w : memref<1x10x10x32xf32>, memref<3x3x32xf32>) extras(%b : memref<32xf32>) outs(%y : memref<1x8x8x32xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, extra_maps = [affine_map<(n, h, w, c) -> (c)>]} epilogue {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    nn.yield %s : f32
  }
  return
}

// 12 channels are covered by vectors of 8 and 4, never by a mask or scalars.
// CHECK-LABEL: func @narrow(
// CHECK: vector.fma {{.*}} : vector<8xf32>
// CHECK: vector.fma {{.*}} : vector<4xf32>
// CHECK-NOT: vector.mask
func.func @narrow(%x: memref<8x24xf32>, %w: memref<1x24x12xf32>, %y: memref<8x12xf32>) {
  nn.matmul ins(%x, %w : memref<8x24xf32>, memref<1x24x12xf32>) outs(%y : memref<8x12xf32>) {packed = 12 : i64}
  return
}

// Softmax along rows: 33 = 2 x 16 + 1.
// CHECK-LABEL: func @softmax(
// CHECK: math.exp {{.*}} : vector<16xf32>
// CHECK: math.exp {{.*}} : vector<1xf32>
func.func @softmax(%x: memref<4x33xf32>, %y: memref<4x33xf32>) {
  nn.softmax ins(%x : memref<4x33xf32>) outs(%y : memref<4x33xf32>) {dim = 1 : i64}
  return
}

// Bytes are widened in registers; only differences to the maximum are scaled.
// CHECK-LABEL: func @softmax_of_bytes(
// CHECK: arith.uitofp {{.*}} : vector<16xi8> to vector<16xf32>
// CHECK: arith.subf
// CHECK: arith.mulf
// CHECK: math.exp {{.*}} : vector<16xf32>
func.func @softmax_of_bytes(%x: memref<4x32xi8>, %y: memref<4x32xf32>) {
  nn.softmax ins(%x : memref<4x32xi8>) outs(%y : memref<4x32xf32>) {acc = f32, dim = 1 : i64, input_unsigned, scale = 0.05 : f32}
  return
}

// Channels that do not lie side by side: the loops of cpu-lower-nn-to-loops.
// CHECK-LABEL: func @strided_channels(
// CHECK-NOT: vector
// CHECK: arith.mulf
// CHECK: return
func.func @strided_channels(%x: memref<8x24xf32>, %w: memref<24x12xf32>, %y: memref<8x12xf32, strided<[24, 2]>>) {
  nn.matmul ins(%x, %w : memref<8x24xf32>, memref<24x12xf32>) outs(%y : memref<8x12xf32, strided<[24, 2]>>)
  return
}

// Rows known at run time only: tiles of 14 rows, then of 8, 5, 3, 2 and 1; each also starts earlier where that is less work than narrower ones.
// CHECK-LABEL: func @rows(
// CHECK-NOT: nn.matmul
// CHECK: scf.for
// CHECK: %{{.*}}:28 = scf.for {{.*}} -> (vector<16xf32>
// CHECK: %{{.*}}:16 = scf.for {{.*}} -> (vector<16xf32>
// CHECK: %{{.*}}:10 = scf.for {{.*}} -> (vector<16xf32>
// CHECK-LABEL: func @scores(
// A few rows: sums across vectors; else panels.
// CHECK: scf.if
// CHECK: } else {
// CHECK: memref.alloca
// CHECK: return
func.func @rows(%px: memref<?xf32>, %w: memref<2x24x32xf32>, %py: memref<?xf32>, %m: index) {
  %x = memref.reinterpret_cast %px to offset: [0], sizes: [%m, 24], strides: [24, 1] : memref<?xf32> to memref<?x24xf32>
  %y = memref.reinterpret_cast %py to offset: [0], sizes: [%m, 64], strides: [64, 1] : memref<?xf32> to memref<?x64xf32>
  nn.matmul ins(%x, %w : memref<?x24xf32>, memref<2x24x32xf32>) outs(%y : memref<?x64xf32>) {packed = 32 : i64}
  return
}

func.func @scores(%px: memref<?xf32>, %pw: memref<?xf32>, %py: memref<?xf32>, %m: index, %n: index) {
  %x = memref.reinterpret_cast %px to offset: [0], sizes: [%m, 64], strides: [64, 1] : memref<?xf32> to memref<?x64xf32>
  %w = memref.reinterpret_cast %pw to offset: [0], sizes: [%n, 64], strides: [64, 1] : memref<?xf32> to memref<?x64xf32>
  %y = memref.reinterpret_cast %py to offset: [0], sizes: [%m, %n], strides: [%n, 1] : memref<?xf32> to memref<?x?xf32>
  nn.matmul ins(%x, %w : memref<?x64xf32>, memref<?x64xf32>) outs(%y : memref<?x?xf32>) {transpose_rhs}
  return
}

// Products of f16 are summed in f16 where the machine computes in it, in runs that join a sum of f32.
// HALF-LABEL: func @halves(
// HALF: scf.for {{.*}} -> (vector<8xf32>
// HALF: scf.for {{.*}} -> (vector<8xf16>
// HALF: vector.load {{.*}} vector<8xf16>
// HALF: vector.shuffle {{.*}} [0, 0, 0, 0, 0, 0, 0, 0]
// HALF: vector.fma {{.*}} : vector<8xf16>
// HALF: arith.extf {{.*}} : vector<8xf16> to vector<8xf32>
// HALF: arith.addf {{.*}} : vector<8xf32>
// HALF: arith.truncf
func.func @halves(%x: memref<8x128xf16>, %w: memref<1x128x16xf16>, %y: memref<8x16xf16>) {
  nn.matmul ins(%x, %w : memref<8x128xf16>, memref<1x128x16xf16>) outs(%y : memref<8x16xf16>) {packed = 16 : i64}
  return
}

// Rows 4 KiB apart share the sets of the cache: those of a tile are copied to where they do not, for all blocks.
// CHECK-LABEL: func @collide(
// CHECK: %[[PANEL:.*]] = memref.alloca() {{.*}}: memref<14560xf32>
// CHECK: scf.for
// CHECK: scf.for
// CHECK: vector.store {{.*}}, %[[PANEL]]
// CHECK: scf.for
// CHECK: memref.load %[[PANEL]]
func.func @collide(%x: memref<196x1024xf32>, %w: memref<2x1024x32xf32>, %y: memref<196x64xf32>) {
  nn.matmul ins(%x, %w : memref<196x1024xf32>, memref<2x1024x32xf32>) outs(%y : memref<196x64xf32>) {packed = 32 : i64}
  return
}
