// RUN: burin-opt %s --cpu-outline-kernels --cuda-split-device --split-input-file | FileCheck %s
// RUN: burin-opt %s --cpu-outline-kernels --cuda-split-device=warpgroups --split-input-file | FileCheck %s --check-prefix=WIDE

// What has a kernel is marked, and its function stands in both modules.
// CHECK-LABEL: func.func @main
// CHECK: call @[[COPY:kernel_copy_0]]{{.*}} {burin.on_device}
// CHECK: scf.for
// Near miss: inside a loop of the model.
// CHECK: call @[[INNER:kernel_copy_1]](
// CHECK-NOT: burin.on_device
// CHECK: func.func private @[[COPY]]
// CHECK: module @device attributes {burin.device_calls = 1 : i64, burin.host_calls = ["copy: it stands inside control flow"]}
// CHECK: func.func private @[[COPY]]
// CHECK-NOT: func.func private @[[INNER]]
func.func @main(%x: memref<64xf32>, %y: memref<64xf32>, %a: memref<256xi8>, %w: memref<0xi8>) {
  %zero = arith.constant 0 : index
  %one = arith.constant 1 : index
  %two = arith.constant 2 : index
  %view = memref.view %a[%zero][] : memref<256xi8> to memref<64xf32>
  memref.copy %x, %view : memref<64xf32> to memref<64xf32>
  scf.for %i = %zero to %two step %one {
    %s = memref.subview %y[0] [32] [1] : memref<64xf32> to memref<32xf32, strided<[1]>>
    %t = memref.subview %y[32] [32] [1] : memref<64xf32> to memref<32xf32, strided<[1], offset: 32>>
    memref.copy %s, %t : memref<32xf32, strided<[1]>> to memref<32xf32, strided<[1], offset: 32>>
  }
  return
}

// -----

// What sm_90a has a better kernel for stands there twice.
// WIDE: module @device
// WIDE: module @device
// WIDE-DAG: func.func private @kernel_matmul_0_sm_90a({{.*}} attributes {{.*}}burin.warpgroups
// WIDE-DAG: func.func private @kernel_matmul_0({{.*}} attributes
func.func @main(%x: memref<128x64xf16>, %w: memref<64x64xf16>, %y: memref<128x64xf16>, %a: memref<0xi8>, %c: memref<0xi8>) {
  nn.matmul ins(%x, %w : memref<128x64xf16>, memref<64x64xf16>) outs(%y : memref<128x64xf16>) {acc = f32}
  return
}

// -----

// Data decides how much the second copy moves: the first stays the GPU's.
// CHECK-LABEL: func.func @main
// CHECK: call @{{.*}} {burin.on_device}
// CHECK: memref.alloc
// CHECK: burin.host_calls = [{{.*}}: data decides its sizes"]
func.func @main(%x: memref<64xf32>, %n: memref<index>, %y: memref<?xf32>, %a: memref<256xi8>, %w: memref<0xi8>) {
  %zero = arith.constant 0 : index
  %view = memref.view %a[%zero][] : memref<256xi8> to memref<64xf32>
  memref.copy %x, %view : memref<64xf32> to memref<64xf32>
  %size = memref.load %n[] : memref<index>
  %own = memref.alloc(%size) : memref<?xf32>
  memref.copy %own, %y : memref<?xf32> to memref<?xf32>
  return
}
