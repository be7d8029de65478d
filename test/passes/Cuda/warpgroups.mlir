// Products of 16-bit floats for sm_90a: one thread copies boxes, two warpgroups multiply what lies in shared memory.
// RUN: burin-opt %s --split-input-file --cuda-lower-nn=warpgroups | FileCheck %s
// RUN: burin-opt %s --split-input-file --cuda=chip=sm_90a | sed 's/\\0A/\n/g; s/\\09/\t/g' | FileCheck %s --check-prefix=PTX --implicit-check-not=".extern .func"

// The maps are made in front of the launch and taken by value; shared memory is the launch's.
// CHECK-LABEL: func.func @product
// CHECK: builtin.unrealized_conversion_cast %arg0 : memref<256x128xf16> to !llvm.ptr {burin.tensor_map = {box = array<i64: 64, 128>, dims = array<i64: 128, 256>, steps = array<i64: 1, 1>, strides = array<i64: 256>}}
// CHECK: builtin.unrealized_conversion_cast %arg1 : memref<128x192xf16> to !llvm.ptr {burin.tensor_map = {box = array<i64: 64, 64>, dims = array<i64: 192, 128>
// CHECK: gpu.launch
// CHECK: gpu.dynamic_shared_memory
// CHECK: nvvm.mbarrier.init
// CHECK: gpu.barrier
// CHECK: nvvm.mbarrier.try_wait.parity
// CHECK: nvvm.mbarrier.arrive.expect_tx
// CHECK: nvvm.cp.async.bulk.tensor
// CHECK: nvvm.wgmma.fence.aligned
// CHECK: nvvm.wgmma.mma_async
// CHECK: nvvm.wgmma.wait.group.sync.aligned 1
// CHECK: nvvm.mbarrier.arrive
// CHECK: nvvm.wgmma.wait.group.sync.aligned 0
// PTX: .target sm_90a
// PTX: .extern .shared .align
// PTX: .param .align 64 .b8 product_kernel_param_0[128]
// PTX: cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
// PTX: mbarrier.try_wait.parity
// PTX: wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16
// PTX: wgmma.wait_group.sync.aligned
func.func @product(%x: memref<256x128xf16>, %w: memref<128x192xf16>, %o: memref<256x192xf16>) {
  nn.matmul ins(%x, %w : memref<256x128xf16>, memref<128x192xf16>) outs(%o : memref<256x192xf16>) {acc = f32}
  return
}

// -----

// Many tiles: 256 columns each.
// PTX: wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16
func.func @wide(%x: memref<4096x64xbf16>, %w: memref<64x4096xbf16>, %o: memref<4096x4096xbf16>) {
  nn.matmul ins(%x, %w : memref<4096x64xbf16>, memref<64x4096xbf16>) outs(%o : memref<4096x4096xbf16>) {acc = f32}
  return
}

// -----

// A box of pixels, every second one; taps are steps in the image.
// CHECK-LABEL: func.func @strided
// CHECK: box = array<i64: 64, 32, 16, 1>, dims = array<i64: 64, 32, 32, 2>, steps = array<i64: 1, 2, 2, 1>
// CHECK: box = array<i64: 64, 64, 1>, dims = array<i64: 64, 64, 9>
func.func @strided(%x: memref<2x32x32x64xf16>, %w: memref<3x3x64x64xf16>, %o: memref<2x16x16x64xf16>) {
  nn.conv ins(%x, %w : memref<2x32x32x64xf16>, memref<3x3x64x64xf16>) outs(%o : memref<2x16x16x64xf16>)
    {acc = f32, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>}
  return
}

// -----

// Near misses: few rows, another type, rows that are no multiple of 16 bytes.
// CHECK-LABEL: func.func @others
// CHECK-NOT: wgmma
// CHECK: return
func.func @others(%a: memref<32x64xf16>, %b: memref<64x64xf16>, %c: memref<32x64xf16>, %d: memref<128x64xf32>, %e: memref<64x64xf32>, %f: memref<128x64xf32>,
                  %g: memref<128x68xf16>, %h: memref<68x64xf16>, %i: memref<128x64xf16>) {
  nn.matmul ins(%a, %b : memref<32x64xf16>, memref<64x64xf16>) outs(%c : memref<32x64xf16>) {acc = f32}
  nn.matmul ins(%d, %e : memref<128x64xf32>, memref<64x64xf32>) outs(%f : memref<128x64xf32>)
  nn.matmul ins(%g, %h : memref<128x68xf16>, memref<68x64xf16>) outs(%i : memref<128x64xf16>) {acc = f32}
  return
}
