// A tensor map is read from the kernel's parameters, dynamic shared memory has no size.
// RUN: burin-opt %s --pass-pipeline='builtin.module(gpu.module(cuda-pass-tensor-maps))' | FileCheck %s

gpu.module @kernels_sm_90a {
  // CHECK: llvm.mlir.global external @shared() {addr_space = 3 : i32
  llvm.mlir.global internal @shared() {addr_space = 3 : i32, alignment = 16 : i64} : !llvm.array<0 x i8>
  // Near miss: it has a size.
  // CHECK: llvm.mlir.global internal @static()
  llvm.mlir.global internal @static() {addr_space = 3 : i32} : !llvm.array<64 x i8>
  // CHECK: llvm.func @copies(%arg0: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant}, %arg1: !llvm.ptr) attributes
  llvm.func @copies(%map: !llvm.ptr, %other: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
    %zero = llvm.mlir.constant(0 : i32) : i32
    %here = llvm.mlir.addressof @shared : !llvm.ptr<3>
    %to = llvm.addrspacecast %here : !llvm.ptr<3> to !llvm.ptr<7>
    nvvm.cp.async.bulk.tensor.shared.cluster.global %to, %map, %here, box[%zero, %zero] : !llvm.ptr<7>, !llvm.ptr
    llvm.return
  }
}
