// A tiled operation gives the numbers of the whole one, bit for bit (all are small integers, so that no order of additions matters).
// DEFINE: %{to_llvm} = expand-strided-metadata,lower-affine,convert-scf-to-cf,convert-to-llvm,reconcile-unrealized-casts
// DEFINE: %{lib} = /usr/lib/llvm-22/lib
// DEFINE: %{run} = mlir-runner -e main --entry-point-result=void --shared-libs=%{lib}/libmlir_runner_utils.so,%{lib}/libmlir_c_runner_utils.so
// RUN: burin-opt %s --pass-pipeline='builtin.module(func.func(cpu-lower-nn-to-loops),%{to_llvm})' | %{run} | sed 's/base@ = [^ ]*//' > %t.whole
// RUN: burin-opt %s --pass-pipeline='builtin.module(func.func(vpu-plan-tasks{scratchpad-bytes=1536},cpu-lower-nn-to-loops),%{to_llvm})' | %{run} | sed 's/base@ = [^ ]*//' > %t.1536
// RUN: diff %t.whole %t.1536
// RUN: burin-opt %s --pass-pipeline='builtin.module(func.func(vpu-plan-tasks{scratchpad-bytes=1024},cpu-lower-nn-to-loops),%{to_llvm})' | %{run} | sed 's/base@ = [^ ]*//' > %t.1024
// RUN: diff %t.whole %t.1024
// RUN: burin-opt %s --pass-pipeline='builtin.module(func.func(vpu-plan-tasks{scratchpad-bytes=768},cpu-lower-nn-to-loops),%{to_llvm})' | %{run} | sed 's/base@ = [^ ]*//' > %t.768
// RUN: diff %t.whole %t.768
// RUN: FileCheck %s < %t.whole
// CHECK-COUNT-10: Unranked Memref

#channel = affine_map<(n, h, w, c) -> (c)>

func.func private @printMemrefF32(memref<*xf32>)

// Integers from -11 to 11 in no simple order.
func.func @numbers(%n: index) -> memref<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c17 = arith.constant 17 : index
  %c23 = arith.constant 23 : index
  %m = memref.alloc(%n) : memref<?xf32>
  scf.for %i = %c0 to %n step %c1 {
    %s = arith.addi %n, %i : index
    %p = arith.muli %s, %c17 : index
    %q = arith.muli %p, %s : index
    %r = arith.remui %q, %c23 : index
    %k = arith.index_cast %r : index to i32
    %f = arith.sitofp %k : i32 to f32
    %half = arith.constant 11.0 : f32
    %v = arith.subf %f, %half : f32
    memref.store %v, %m[%i] : memref<?xf32>
  }
  return %m : memref<?xf32>
}

func.func @main() {
  call @conv() : () -> ()
  call @grouped() : () -> ()
  call @packed() : () -> ()
  call @depthwise() : () -> ()
  call @transposed() : () -> ()
  call @average() : () -> ()
  call @maximum() : () -> ()
  call @matmul() : () -> ()
  call @matmul_batched() : () -> ()
  call @matmul_packed() : () -> ()
  return
}

// Two images, stride and dilation, padding on three sides, a residual read at half its resolution.
func.func @conv() {
  %n0 = arith.constant 378 : index
  %b0 = call @numbers(%n0) : (index) -> memref<?xf32>
  %v0 = memref.reinterpret_cast %b0 to offset: [0], sizes: [2, 9, 7, 3], strides: [189, 21, 3, 1] : memref<?xf32> to memref<2x9x7x3xf32>
  %n1 = arith.constant 144 : index
  %b1 = call @numbers(%n1) : (index) -> memref<?xf32>
  %v1 = memref.reinterpret_cast %b1 to offset: [0], sizes: [3, 2, 3, 8], strides: [48, 24, 8, 1] : memref<?xf32> to memref<3x2x3x8xf32>
  %n2 = arith.constant 8 : index
  %b2 = call @numbers(%n2) : (index) -> memref<?xf32>
  %v2 = memref.reinterpret_cast %b2 to offset: [0], sizes: [8], strides: [1] : memref<?xf32> to memref<8xf32>
  %n3 = arith.constant 96 : index
  %b3 = call @numbers(%n3) : (index) -> memref<?xf32>
  %v3 = memref.reinterpret_cast %b3 to offset: [0], sizes: [2, 3, 2, 8], strides: [48, 16, 8, 1] : memref<?xf32> to memref<2x3x2x8xf32>
  %o = memref.alloc() : memref<2x5x3x8xf32>
  nn.conv ins(%v0, %v1 : memref<2x9x7x3xf32>, memref<3x2x3x8xf32>) extras(%v2, %v3 : memref<8xf32>, memref<2x3x2x8xf32>)
    outs(%o : memref<2x5x3x8xf32>) {strides = array<i64: 2, 2>, dilations = array<i64: 2, 1>, pads = array<i64: 2, 0, 1, 0>, extra_maps = [#channel, affine_map<(n, h, w, c) -> (n, h floordiv 2, w floordiv 2, c)>]} epilogue {
  ^bb0(%acc: f32, %bias: f32, %res: f32):
    %zero = arith.constant 0.0 : f32
    %s = arith.addf %acc, %bias : f32
    %t = arith.maximumf %s, %zero : f32
    %r = arith.addf %t, %res : f32
    nn.yield %r : f32
  }
  %u = memref.cast %o : memref<2x5x3x8xf32> to memref<*xf32>
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  return
}

// Groups: a block of channels is some of them whole, with the input channels they read.
func.func @grouped() {
  %n0 = arith.constant 120 : index
  %b0 = call @numbers(%n0) : (index) -> memref<?xf32>
  %v0 = memref.reinterpret_cast %b0 to offset: [0], sizes: [1, 5, 4, 6], strides: [120, 24, 6, 1] : memref<?xf32> to memref<1x5x4x6xf32>
  %n1 = arith.constant 216 : index
  %b1 = call @numbers(%n1) : (index) -> memref<?xf32>
  %v1 = memref.reinterpret_cast %b1 to offset: [0], sizes: [3, 3, 2, 12], strides: [72, 24, 12, 1] : memref<?xf32> to memref<3x3x2x12xf32>
  %n2 = arith.constant 12 : index
  %b2 = call @numbers(%n2) : (index) -> memref<?xf32>
  %v2 = memref.reinterpret_cast %b2 to offset: [0], sizes: [12], strides: [1] : memref<?xf32> to memref<12xf32>
  %o = memref.alloc() : memref<1x5x4x12xf32>
  nn.conv ins(%v0, %v1 : memref<1x5x4x6xf32>, memref<3x3x2x12xf32>) extras(%v2 : memref<12xf32>)
    outs(%o : memref<1x5x4x12xf32>) {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>, groups = 3 : i64, extra_maps = [#channel]} epilogue {
  ^bb0(%acc: f32, %x: f32):
    %s = arith.addf %acc, %x : f32
    nn.yield %s : f32
  }
  %u = memref.cast %o : memref<1x5x4x12xf32> to memref<*xf32>
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  return
}

// A packed filter of 10 channels in blocks of 4.
func.func @packed() {
  %n0 = arith.constant 72 : index
  %b0 = call @numbers(%n0) : (index) -> memref<?xf32>
  %v0 = memref.reinterpret_cast %b0 to offset: [0], sizes: [1, 6, 4, 3], strides: [72, 12, 3, 1] : memref<?xf32> to memref<1x6x4x3xf32>
  %n1 = arith.constant 108 : index
  %b1 = call @numbers(%n1) : (index) -> memref<?xf32>
  %v1 = memref.reinterpret_cast %b1 to offset: [0], sizes: [3, 3, 1, 3, 4], strides: [36, 12, 12, 4, 1] : memref<?xf32> to memref<3x3x1x3x4xf32>
  %o = memref.alloc() : memref<1x6x4x10xf32>
  nn.conv ins(%v0, %v1 : memref<1x6x4x3xf32>, memref<3x3x1x3x4xf32>)
    outs(%o : memref<1x6x4x10xf32>) {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 0, 1, 0>, packed = 4 : i64}
  %u = memref.cast %o : memref<1x6x4x10xf32> to memref<*xf32>
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  return
}

func.func @depthwise() {
  %n0 = arith.constant 240 : index
  %b0 = call @numbers(%n0) : (index) -> memref<?xf32>
  %v0 = memref.reinterpret_cast %b0 to offset: [0], sizes: [1, 8, 5, 6], strides: [240, 30, 6, 1] : memref<?xf32> to memref<1x8x5x6xf32>
  %n1 = arith.constant 90 : index
  %b1 = call @numbers(%n1) : (index) -> memref<?xf32>
  %v1 = memref.reinterpret_cast %b1 to offset: [0], sizes: [5, 3, 6], strides: [18, 6, 1] : memref<?xf32> to memref<5x3x6xf32>
  %n2 = arith.constant 6 : index
  %b2 = call @numbers(%n2) : (index) -> memref<?xf32>
  %v2 = memref.reinterpret_cast %b2 to offset: [0], sizes: [6], strides: [1] : memref<?xf32> to memref<6xf32>
  %o = memref.alloc() : memref<1x4x5x6xf32>
  nn.depthwise_conv ins(%v0, %v1 : memref<1x8x5x6xf32>, memref<5x3x6xf32>) extras(%v2 : memref<6xf32>)
    outs(%o : memref<1x4x5x6xf32>) {strides = array<i64: 2, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 2, 1, 2, 1>, extra_maps = [#channel]} epilogue {
  ^bb0(%acc: f32, %x: f32):
    %s = arith.addf %acc, %x : f32
    nn.yield %s : f32
  }
  %u = memref.cast %o : memref<1x4x5x6xf32> to memref<*xf32>
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  return
}

// Stride 3 leaves rows that no input reaches; the result asks for two rows behind the full one.
func.func @transposed() {
  %n0 = arith.constant 48 : index
  %b0 = call @numbers(%n0) : (index) -> memref<?xf32>
  %v0 = memref.reinterpret_cast %b0 to offset: [0], sizes: [1, 4, 3, 4], strides: [48, 12, 4, 1] : memref<?xf32> to memref<1x4x3x4xf32>
  %n1 = arith.constant 72 : index
  %b1 = call @numbers(%n1) : (index) -> memref<?xf32>
  %v1 = memref.reinterpret_cast %b1 to offset: [0], sizes: [2, 3, 4, 3], strides: [36, 12, 3, 1] : memref<?xf32> to memref<2x3x4x3xf32>
  %o = memref.alloc() : memref<1x13x7x6xf32>
  nn.conv_transpose ins(%v0, %v1 : memref<1x4x3x4xf32>, memref<2x3x4x3xf32>)
    outs(%o : memref<1x13x7x6xf32>) {strides = array<i64: 3, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 0, 0, 0>, groups = 2 : i64}
  %u = memref.cast %o : memref<1x13x7x6xf32> to memref<*xf32>
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  return
}

// Ceil mode: the last windows reach behind the padding, which does not count there.
func.func @average() {
  %n0 = arith.constant 144 : index
  %b0 = call @numbers(%n0) : (index) -> memref<?xf32>
  %v0 = memref.reinterpret_cast %b0 to offset: [0], sizes: [1, 6, 6, 4], strides: [144, 24, 4, 1] : memref<?xf32> to memref<1x6x6x4xf32>
  %o = memref.alloc() : memref<1x4x4x4xf32>
  nn.pool ins(%v0 : memref<1x6x6x4xf32>)
    outs(%o : memref<1x4x4x4xf32>) {kind = #nn.pool_kind<average>, kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 0, 0>, count_padding}
  %u = memref.cast %o : memref<1x4x4x4xf32> to memref<*xf32>
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  return
}

func.func @maximum() {
  %n0 = arith.constant 280 : index
  %b0 = call @numbers(%n0) : (index) -> memref<?xf32>
  %v0 = memref.reinterpret_cast %b0 to offset: [0], sizes: [2, 7, 5, 4], strides: [140, 20, 4, 1] : memref<?xf32> to memref<2x7x5x4xf32>
  %o = memref.alloc() : memref<2x4x3x4xf32>
  nn.pool ins(%v0 : memref<2x7x5x4xf32>)
    outs(%o : memref<2x4x3x4xf32>) {kind = #nn.pool_kind<max>, kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>}
  %u = memref.cast %o : memref<2x4x3x4xf32> to memref<*xf32>
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  return
}

// Batched on the left, one right side for all.
func.func @matmul() {
  %n0 = arith.constant 60 : index
  %b0 = call @numbers(%n0) : (index) -> memref<?xf32>
  %v0 = memref.reinterpret_cast %b0 to offset: [0], sizes: [3, 5, 4], strides: [20, 4, 1] : memref<?xf32> to memref<3x5x4xf32>
  %n1 = arith.constant 24 : index
  %b1 = call @numbers(%n1) : (index) -> memref<?xf32>
  %v1 = memref.reinterpret_cast %b1 to offset: [0], sizes: [4, 6], strides: [6, 1] : memref<?xf32> to memref<4x6xf32>
  %n2 = arith.constant 30 : index
  %b2 = call @numbers(%n2) : (index) -> memref<?xf32>
  %v2 = memref.reinterpret_cast %b2 to offset: [0], sizes: [5, 6], strides: [6, 1] : memref<?xf32> to memref<5x6xf32>
  %o = memref.alloc() : memref<3x5x6xf32>
  nn.matmul ins(%v0, %v1 : memref<3x5x4xf32>, memref<4x6xf32>) extras(%v2 : memref<5x6xf32>)
    outs(%o : memref<3x5x6xf32>) {extra_maps = [affine_map<(b, m, n) -> (m, n)>]} epilogue {
  ^bb0(%acc: f32, %x: f32):
    %s = arith.addf %acc, %x : f32
    nn.yield %s : f32
  }
  %u = memref.cast %o : memref<3x5x6xf32> to memref<*xf32>
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  return
}

// A batch of one is repeated; the right side lies transposed.
func.func @matmul_batched() {
  %n0 = arith.constant 20 : index
  %b0 = call @numbers(%n0) : (index) -> memref<?xf32>
  %v0 = memref.reinterpret_cast %b0 to offset: [0], sizes: [1, 5, 4], strides: [20, 4, 1] : memref<?xf32> to memref<1x5x4xf32>
  %n1 = arith.constant 48 : index
  %b1 = call @numbers(%n1) : (index) -> memref<?xf32>
  %v1 = memref.reinterpret_cast %b1 to offset: [0], sizes: [2, 6, 4], strides: [24, 4, 1] : memref<?xf32> to memref<2x6x4xf32>
  %o = memref.alloc() : memref<2x5x6xf32>
  nn.matmul ins(%v0, %v1 : memref<1x5x4xf32>, memref<2x6x4xf32>)
    outs(%o : memref<2x5x6xf32>) {transpose_rhs}
  %u = memref.cast %o : memref<2x5x6xf32> to memref<*xf32>
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  return
}

func.func @matmul_packed() {
  %n0 = arith.constant 35 : index
  %b0 = call @numbers(%n0) : (index) -> memref<?xf32>
  %v0 = memref.reinterpret_cast %b0 to offset: [0], sizes: [7, 5], strides: [5, 1] : memref<?xf32> to memref<7x5xf32>
  %n1 = arith.constant 40 : index
  %b1 = call @numbers(%n1) : (index) -> memref<?xf32>
  %v1 = memref.reinterpret_cast %b1 to offset: [0], sizes: [2, 5, 4], strides: [20, 4, 1] : memref<?xf32> to memref<2x5x4xf32>
  %o = memref.alloc() : memref<7x7xf32>
  nn.matmul ins(%v0, %v1 : memref<7x5xf32>, memref<2x5x4xf32>)
    outs(%o : memref<7x7xf32>) {packed = 4 : i64}
  %u = memref.cast %o : memref<7x7xf32> to memref<*xf32>
  call @printMemrefF32(%u) : (memref<*xf32>) -> ()
  return
}
