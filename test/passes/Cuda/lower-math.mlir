// RUN: burin-opt %s --split-input-file --pass-pipeline="builtin.module(gpu.module(cuda-lower-math))" | FileCheck %s
// RUN: sed '/^\/\/ -----/,$d' %s > %t.mlir
// RUN: burin-opt %t.mlir --cuda=chip=sm_80 | sed 's/\\0A/\n/g; s/\\09/\t/g' | FileCheck %s --check-prefix=PTX --implicit-check-not=".extern .func"

// CHECK-LABEL: gpu.func @round
// CHECK: llvm.call_intrinsic "llvm.floor"
// CHECK: llvm.call_intrinsic "llvm.sqrt"
// CHECK: llvm.call_intrinsic "llvm.fabs"
// PTX: cvt.rmi.f32.f32
// PTX: sqrt.rn.f32
// PTX: abs.f32
gpu.module @kernels {
  gpu.func @round(%x: memref<64xf32>) kernel {
    %i = gpu.thread_id x
    %a = memref.load %x[%i] : memref<64xf32>
    %b = math.floor %a : f32
    %c = math.sqrt %b : f32
    %d = math.absf %c : f32
    memref.store %d, %x[%i] : memref<64xf32>
    gpu.return
  }
}

// -----

// Near miss: what PTX has no instruction for stays.
// CHECK-LABEL: gpu.func @library
// CHECK: math.tanh
gpu.module @more {
  gpu.func @library(%x: memref<64xf32>) {
    %i = gpu.thread_id x
    %a = memref.load %x[%i] : memref<64xf32>
    %b = math.tanh %a : f32
    memref.store %b, %x[%i] : memref<64xf32>
    gpu.return
  }
}
