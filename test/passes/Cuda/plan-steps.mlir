// Two segments around a loop of the host: what it reads is copied back before, what it writes there again.
// RUN: burin-opt %s --pass-pipeline="builtin.module(cpu-outline-kernels,cuda-split-device,builtin.module(func.func(cuda-lower-linalg),gpu-kernel-outlining,cuda-merge-kernels),cuda-plan-steps)" | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[A:[a-z0-9]+]]: memref<320xi8>
// CHECK: %[[STATUS:.*]] = memref.view %[[A]][%{{.*}}][] : memref<320xi8> to memref<i32>
// CHECK: call @segment0(
// CHECK: cf.assert {{.*}} "the device fails"
// CHECK: scf.for
// CHECK: call @segment1(
// CHECK: module @device
// The input goes in, the arena comes back; what the loop may have written goes in again; the result comes back.
// CHECK-SAME: burin.memory_bytes = 768 : i64
// CHECK-SAME: in = array<i64: 0, 0, 256, 256>, out = array<i64: 2, 0, 0, 256>
// CHECK-SAME: arguments = array<i64: 0, 256, 0, 0>
// CHECK-SAME: in = array<i64: 2, 0, 0, 256>, out = array<i64: 1, 0, 512, 256>
// CHECK: func.func private @segment0
// CHECK: foreign.call "burin_cuda_run"
// CHECK-SAME: node_attributes = {segment = 0 : i64}
func.func @main(%x: memref<64xf32>, %y: memref<64xf32>, %a: memref<256xi8>, %w: memref<0xi8>) attributes {burin.num_inputs = 1 : i64} {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %two = arith.constant 2 : index
  %view = memref.view %a[%zero][] : memref<256xi8> to memref<64xf32>
  memref.copy %x, %view : memref<64xf32> to memref<64xf32>
  scf.for %i = %zero to %two step %one {
    %s = memref.subview %view[0] [32] [1] : memref<64xf32> to memref<32xf32, strided<[1]>>
    %t = memref.subview %view[32] [32] [1] : memref<64xf32> to memref<32xf32, strided<[1], offset: 32>>
    memref.copy %s, %t : memref<32xf32, strided<[1]>> to memref<32xf32, strided<[1], offset: 32>>
  }
  memref.copy %view, %y : memref<64xf32> to memref<64xf32>
  return
}
