// RUN: burin-opt %s --cuda-emulate-kernels --split-input-file --verify-diagnostics | FileCheck %s

// The thread's numbers come out of its record; what it does alone stays.
// CHECK-LABEL: func.func private @add_body
// CHECK-SAME: (%[[X:.*]]: memref<64xf32> {{.*}}, %[[O:.*]]: memref<64xf32> {{.*}}, %[[T:.*]]: !llvm.ptr)
// CHECK: llvm.getelementptr %[[T]]
// CHECK: llvm.load
// CHECK: memref.load %[[X]]
// CHECK: arith.addf
// CHECK: memref.store
// CHECK: func.func @add(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr)
// CHECK: call @add_body
// Two arguments, no shared memory, threads that never meet.
// CHECK: llvm.mlir.global external constant @add_info(dense<[2, 0, 0, 0]>
gpu.module @kernels {
  gpu.func @add(%x: memref<64xf32>, %o: memref<64xf32>) kernel {
    %i = gpu.thread_id x
    %a = memref.load %x[%i] : memref<64xf32>
    %s = arith.addf %a, %a : f32
    memref.store %s, %o[%i] : memref<64xf32>
    gpu.return
  }
}

// -----

// A list that is closed: no kernel escapes its test.
gpu.module @kernels {
  gpu.func @unknown(%x: memref<64xf32>) kernel {
    // expected-error @+1 {{the emulator of kernels has no such operation}}
    %i = gpu.subgroup_id : index
    gpu.return
  }
}
