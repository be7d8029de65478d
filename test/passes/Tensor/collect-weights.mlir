// RUN: burin-opt %s --tensor-collect-weights | FileCheck %s

// Case two_constants: equal constants share a slot; slots are 64-byte aligned.
// CHECK: burin.weights = [{data = dense<{{.*}}> : tensor<2xf32>, encoding = "raw", name = {{.*}}, offset = 0 : i64, source_bytes = 8 : i64}
// CHECK-SAME: offset = 64 : i64, source_bytes = 12 : i64}]
// CHECK-NOT: memref.global
// CHECK: func.func @main(%{{.*}}: memref<2xf32>, %[[W:.*]]: memref<128xi8>)
// CHECK-NOT: memref.get_global
memref.global "private" constant @a : memref<2xf32> = dense<[1.0, 2.0]>
memref.global "private" constant @b : memref<3xf32> = dense<[1.0, 2.0, 3.0]>
memref.global "private" constant @c : memref<2xf32> = dense<[1.0, 2.0]>
func.func @main(%out: memref<2xf32>) {
  %a = memref.get_global @a : memref<2xf32>
  %b = memref.get_global @b : memref<3xf32>
  %c = memref.get_global @c : memref<2xf32>
  %s = memref.subview %b[1] [2] [1] : memref<3xf32> to memref<2xf32, strided<[1], offset: 1>>
  linalg.add ins(%a, %c : memref<2xf32>, memref<2xf32>) outs(%out : memref<2xf32>)
  linalg.add ins(%a, %s : memref<2xf32>, memref<2xf32, strided<[1], offset: 1>>) outs(%out : memref<2xf32>)
  return
}
