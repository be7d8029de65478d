// The whole stage on a machine without GPU, driver or toolkit: PTX for tensor cores that calls nothing outside itself.
// RUN: burin-opt %s --cuda=chip=sm_80 | sed 's/\\0A/\n/g; s/\\09/\t/g' | FileCheck %s --implicit-check-not=".extern .func" --implicit-check-not=unrealized_conversion_cast

// CHECK: gpu.launch_func @conv_bias_relu_residual_kernel::@conv_bias_relu_residual_kernel
// CHECK-SAME: args(%{{.*}} : memref<1x6x6x8xf32>, %{{.*}} : memref<3x3x8x16xf32>, %{{.*}} : memref<16xf32>, %{{.*}} : memref<1x6x6x16xf32>, %{{.*}} : memref<1x6x6x16xf32>)
// CHECK: gpu.binary @conv_bias_relu_residual_kernel
// CHECK: .target sm_80
// CHECK: .visible .entry conv_bias_relu_residual_kernel(
// One bare pointer an operand.
// CHECK: .param .u64 .ptr .align 1 conv_bias_relu_residual_kernel_param_4
// CHECK-NOT: _param_5
// CHECK: .maxntid 128, 1, 1
// CHECK: cp.async.cg.shared.global
// CHECK: ldmatrix.sync.aligned.m8n8.x4.shared.b16
// CHECK: cvt.rna.tf32.f32
// CHECK: mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32
// A NaN survives the activation.
// CHECK: max.NaN.f32
// CHECK: st.global
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
