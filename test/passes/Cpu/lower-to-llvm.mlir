// RUN: burin-opt %s --cpu-lower-to-llvm --cpu-convert-functions | FileCheck %s
// RUN: burin-opt %s --cpu-lower-to-llvm --cpu-convert-functions | mlir-translate --mlir-to-llvmir | FileCheck %s --check-prefix=LLVM

// Case bare_pointers: addresses come from one pointer and static strides; no descriptor is left.
// CHECK-LABEL: llvm.func internal @kernel(%{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: !llvm.ptr)
// CHECK-NOT: llvm.mlir.poison
// CHECK-NOT: llvm.insertvalue
// CHECK-NOT: unrealized_conversion_cast
// LLVM: define internal void @kernel(ptr noalias %0, ptr %1)
// LLVM: load <8 x float>
func.func private @kernel(%a: memref<4x8xf32, strided<[16, 1], offset: 2>> {llvm.noalias}, %b: memref<4x8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.for %i = %c0 to %c4 step %c1 {
    %v = vector.load %a[%i, %c0] : memref<4x8xf32, strided<[16, 1], offset: 2>>, vector<8xf32>
    %w = arith.addf %v, %v : vector<8xf32>
    vector.store %w, %b[%i, %c0] : memref<4x8xf32>, vector<8xf32>
  }
  return
}

// Case expands: operations that LLVM has no counterpart of.
// CHECK-LABEL: llvm.func internal @expands
// CHECK-NOT: vector.
func.func private @expands(%a: memref<8x4xf32>, %b: memref<4x8xf32>, %out: memref<1xindex>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %v = vector.transfer_read %a[%c0, %c0], %zero {in_bounds = [true, true]} : memref<8x4xf32>, vector<8x4xf32>
  %t = vector.transpose %v, [1, 0] : vector<8x4xf32> to vector<4x8xf32>
  vector.transfer_write %t, %b[%c0, %c0] {in_bounds = [true, true]} : vector<4x8xf32>, memref<4x8xf32>
  %n = memref.load %out[%c0] : memref<1xindex>
  %three = arith.constant 3 : index
  %q = arith.floordivsi %n, %three : index
  memref.store %q, %out[%c0] : memref<1xindex>
  return
}

// Case bool: an i1 buffer read as the bytes it is stored in.
// CHECK-LABEL: llvm.func internal @bool
// CHECK: llvm.load %{{.*}} : !llvm.ptr -> vector<8xi8>
func.func private @bool(%a: memref<2x4xi1>, %b: memref<8xi8>) {
  %c0 = arith.constant 0 : index
  %flat = builtin.unrealized_conversion_cast %a : memref<2x4xi1> to memref<8xi8>
  %v = vector.load %flat[%c0] : memref<8xi8>, vector<8xi8>
  vector.store %v, %b[%c0] : memref<8xi8>, vector<8xi8>
  return
}

// Case streams: stores past the caches are done before whoever waits for the function goes on.
// CHECK-LABEL: llvm.func internal @streams
// CHECK: llvm.store {{.*}} {alignment = 32 : i64, nontemporal}
// CHECK: llvm.call_intrinsic "llvm.x86.sse.sfence"
// CHECK-NEXT: llvm.return
func.func private @streams(%v: vector<8xf32>, %o: memref<8xf32>) {
  %c0 = arith.constant 0 : index
  vector.store %v, %o[%c0] {nontemporal = true, alignment = 32 : i64} : memref<8xf32>, vector<8xf32>
  return
}
