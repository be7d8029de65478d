// Two launches of one text are one kernel; another type is another.
// RUN: burin-opt %s --cuda-lower-linalg --gpu-kernel-outlining --cuda-merge-kernels | FileCheck %s

// CHECK-LABEL: func.func @twice
// CHECK: gpu.launch_func @kernels::@[[K:[a-z_0-9]+]]
// CHECK: gpu.launch_func @kernels::@[[K]] {{.*}} args(%arg1
// CHECK: gpu.launch_func @kernels::@[[OTHER:[a-z_0-9]+]]
// CHECK: gpu.module @kernels
// CHECK: gpu.func @[[K]]
// CHECK: gpu.func @[[OTHER]]
// CHECK-NOT: gpu.func
func.func @twice(%x: memref<64xf32>, %y: memref<64xf32>, %z: memref<64xf32>, %i: memref<64xi8>, %j: memref<64xi8>) {
  memref.copy %x, %y : memref<64xf32> to memref<64xf32>
  memref.copy %y, %z : memref<64xf32> to memref<64xf32>
  memref.copy %i, %j : memref<64xi8> to memref<64xi8>
  return
}
