// RUN: burin-opt %s --split-input-file --cpu-outline-kernels | FileCheck %s

// Case shared: two additions that differ only in place are one kernel; each call is a layer; arena and weights are 64-byte aligned.
// CHECK: module attributes {burin.layers = [
// CHECK-SAME: {bytes = 384 : i64, flops = 32 : i64, kind = "elementwise", name = "first", symbol = "kernel_elementwise_0", weight_bytes = 128 : i64}
// CHECK-SAME: {bytes = 384 : i64, flops = 32 : i64, kind = "elementwise", name = "second+third", symbol = "kernel_elementwise_0", weight_bytes = 128 : i64}
// CHECK-LABEL: func.func @main
// CHECK-SAME: burin.num_inputs = 1
// CHECK: call @kernel_elementwise_0(
// CHECK: call @kernel_elementwise_0(
// CHECK-NOT: linalg.generic
// CHECK-LABEL: func.func private @kernel_elementwise_0
// CHECK-SAME: memref<4x8xf32> {llvm.align = 64 : i64, llvm.noalias}
// CHECK-SAME: memref<4x8xf32> {llvm.align = 64 : i64, llvm.noalias}
// CHECK-SAME: memref<4x8xf32> {llvm.align = 64 : i64, llvm.noalias}
// CHECK: linalg.generic
// CHECK-NOT: kernel_elementwise_1
#id = affine_map<(d0, d1) -> (d0, d1)>
module {
  func.func @main(%in: memref<4x8xf32>, %out: memref<4x8xf32>, %arena: memref<1024xi8>, %weights: memref<256xi8>) {
    %c0 = arith.constant 0 : index
    %c128 = arith.constant 128 : index
    %c256 = arith.constant 256 : index
    %a = memref.view %arena[%c0][] : memref<1024xi8> to memref<4x8xf32>
    %b = memref.view %arena[%c128][] : memref<1024xi8> to memref<4x8xf32>
    %c = memref.view %arena[%c256][] : memref<1024xi8> to memref<4x8xf32>
    %w = memref.view %weights[%c0][] : memref<256xi8> to memref<4x8xf32>
    linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%a, %w : memref<4x8xf32>, memref<4x8xf32>) outs(%b : memref<4x8xf32>) {
    ^bb0(%x: f32, %y: f32, %z: f32):
      %s = arith.addf %x, %y : f32
      linalg.yield %s : f32
    } loc("first")
    linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%b, %w : memref<4x8xf32>, memref<4x8xf32>) outs(%c : memref<4x8xf32>) {
    ^bb0(%x: f32, %y: f32, %z: f32):
      %s = arith.addf %x, %y : f32
      linalg.yield %s : f32
    } loc(fused["second", "third", "second"])
    memref.copy %c, %out : memref<4x8xf32> to memref<4x8xf32>
    return
  }
}

// -----

// Case in_place: reading and writing one buffer is one argument; overlapping ones are not noalias.
// CHECK-LABEL: func.func private @kernel_elementwise_0(%{{.*}}: memref<16xf32> {llvm.align = 64 : i64, llvm.noalias})
// CHECK-LABEL: func.func private @kernel_copy_1
// CHECK-SAME: memref<8xf32> {llvm.align = 64 : i64}, %{{.*}}: memref<8xf32> {llvm.align = 16 : i64}
#v = affine_map<(d0) -> (d0)>
module {
  func.func @main(%arena: memref<1024xi8>, %weights: memref<256xi8>) {
    %c0 = arith.constant 0 : index
    %c16 = arith.constant 16 : index
    %a = memref.view %arena[%c0][] : memref<1024xi8> to memref<16xf32>
    %b = memref.view %arena[%c0][] : memref<1024xi8> to memref<8xf32>
    %c = memref.view %arena[%c16][] : memref<1024xi8> to memref<8xf32>
    linalg.generic {indexing_maps = [#v, #v], iterator_types = ["parallel"]} ins(%a : memref<16xf32>) outs(%a : memref<16xf32>) {
    ^bb0(%x: f32, %z: f32):
      %s = math.exp %x : f32
      linalg.yield %s : f32
    }
    memref.copy %b, %c : memref<8xf32> to memref<8xf32>
    return
  }
}

// -----

// Case fill_joins: a fill goes along with the reduction that accumulates onto it. Case strided: parts of buffers keep their strides only.
// CHECK: kind = "reduce"
// CHECK-LABEL: func.func @main
// CHECK: memref.reinterpret_cast {{.*}} to offset: [0], sizes: [4, 2], strides: [8, 1]
// CHECK-LABEL: func.func private @kernel_reduce_0
// CHECK-SAME: memref<4x2xf32, strided<[8, 1]>>
// CHECK: linalg.fill
// CHECK: linalg.generic
module {
  func.func @main(%out: memref<4xf32>, %arena: memref<1024xi8>, %weights: memref<256xi8>) {
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0.0 : f32
    %a = memref.view %arena[%c0][] : memref<1024xi8> to memref<4x8xf32>
    %part = memref.subview %a[0, 4] [4, 2] [1, 1] : memref<4x8xf32> to memref<4x2xf32, strided<[8, 1], offset: 4>>
    linalg.fill ins(%zero : f32) outs(%out : memref<4xf32>)
    linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
        ins(%part : memref<4x2xf32, strided<[8, 1], offset: 4>>) outs(%out : memref<4xf32>) {
    ^bb0(%x: f32, %z: f32):
      %s = arith.addf %x, %z : f32
      linalg.yield %s : f32
    }
    return
  }
}

// -----

// Case frame: fills in a row share a kernel and a layer.
// CHECK: burin.layers = [{bytes = 96 : i64, flops = 0 : i64, kind = "fill"
// CHECK-LABEL: func.func private @kernel_fill_0
// CHECK: linalg.fill
// CHECK: linalg.fill
module {
  func.func @main(%arena: memref<1024xi8>, %weights: memref<256xi8>) {
    %c0 = arith.constant 0 : index
    %c512 = arith.constant 512 : index
    %zero = arith.constant 0.0 : f32
    %a = memref.view %arena[%c0][] : memref<1024xi8> to memref<16xf32>
    %b = memref.view %arena[%c512][] : memref<1024xi8> to memref<8xf32>
    linalg.fill ins(%zero : f32) outs(%a : memref<16xf32>)
    linalg.fill ins(%zero : f32) outs(%b : memref<8xf32>)
    return
  }
}

// -----

// Case around: the sides of a frame go into the kernel of the operation that writes what they surround, which names the layer; no two overlap. One that
// also reads there keeps its own kernel.
// CHECK: burin.layers = [{bytes = 640 : i64, flops = 0 : i64, kind = "copy", name = "inner", symbol = "kernel_copy_0"}
// CHECK-SAME: kind = "fill"
// CHECK-SAME: kind = "elementwise"
// CHECK-LABEL: func.func private @kernel_copy_0
// CHECK-SAME: memref<4x1x4xf32, strided<[24, 4, 1]>> {llvm.align = {{32|64}} : i64, llvm.noalias}
// CHECK-SAME: memref<4x1x4xf32, strided<[24, 4, 1]>> {llvm.align = 16 : i64, llvm.noalias}
// CHECK-SAME: memref<4x4x4xf32, strided<[24, 4, 1]>> {llvm.align = 16 : i64, llvm.noalias}
// CHECK: linalg.fill
// CHECK: linalg.fill
// CHECK: memref.copy
// CHECK-LABEL: func.func private @kernel_fill_1
// CHECK-LABEL: func.func private @kernel_elementwise_2
#w = affine_map<(y, x, c) -> (y, x, c)>
module {
  func.func @main(%in: memref<4x4x4xf32>, %arena: memref<1024xi8>, %weights: memref<256xi8>) {
    %c0 = arith.constant 0 : index
    %zero = arith.constant 0.0 : f32
    %whole = memref.view %arena[%c0][] : memref<1024xi8> to memref<4x6x4xf32>
    %left = memref.subview %whole[0, 0, 0] [4, 1, 4] [1, 1, 1] : memref<4x6x4xf32> to memref<4x1x4xf32, strided<[24, 4, 1]>>
    %right = memref.subview %whole[0, 5, 0] [4, 1, 4] [1, 1, 1] : memref<4x6x4xf32> to memref<4x1x4xf32, strided<[24, 4, 1], offset: 20>>
    %inner = memref.subview %whole[0, 1, 0] [4, 4, 4] [1, 1, 1] : memref<4x6x4xf32> to memref<4x4x4xf32, strided<[24, 4, 1], offset: 4>>
    linalg.fill ins(%zero : f32) outs(%left : memref<4x1x4xf32, strided<[24, 4, 1]>>) loc("outer")
    linalg.fill ins(%zero : f32) outs(%right : memref<4x1x4xf32, strided<[24, 4, 1], offset: 20>>) loc("outer")
    memref.copy %in, %inner : memref<4x4x4xf32> to memref<4x4x4xf32, strided<[24, 4, 1], offset: 4>> loc("inner")
    linalg.fill ins(%zero : f32) outs(%left : memref<4x1x4xf32, strided<[24, 4, 1]>>)
    linalg.generic {indexing_maps = [#w, #w], iterator_types = ["parallel", "parallel", "parallel"]}
        ins(%left : memref<4x1x4xf32, strided<[24, 4, 1]>>) outs(%right : memref<4x1x4xf32, strided<[24, 4, 1], offset: 20>>) {
    ^bb0(%x: f32, %z: f32):
      %s = math.exp %x : f32
      linalg.yield %s : f32
    }
    return
  }
}

// -----

// Case dynamic: a buffer of dynamic sizes is one pointer, and its sizes and strides are scalars beside it, each distinct one once. Both calls share
// a kernel. A size is asked for once; those of views are what made the views; a scalar is read from its place.
// CHECK-LABEL: func.func @main(%arg0: memref<?x64xf32>
// CHECK: %[[ROWS:.*]] = memref.dim %arg0
// CHECK-NOT: memref.dim %{{.*}} : memref<?x32xf32
// CHECK: memref.view %arg1[%{{.*}}][%{{.*}}] : memref<?xi8> to memref<?xf32>
// CHECK: %[[N:.*]] = arith.index_cast %[[ROWS]] : index to i64
// CHECK: call @kernel_copy_0(%{{.*}}, %{{.*}}, %[[N]]) : (memref<?xf32>, memref<?xf32>, i64) -> ()
// CHECK: %[[M:.*]] = arith.index_cast %[[ROWS]] : index to i64
// CHECK: call @kernel_copy_0(%{{.*}}, %{{.*}}, %[[M]]) : (memref<?xf32>, memref<?xf32>, i64) -> ()
// CHECK: %[[PLACE:.*]] = memref.view %{{.*}}[%{{.*}}][] : memref<?xi8> to memref<f32>
// CHECK: memref.load %[[PLACE]][] : memref<f32>
// CHECK-LABEL: func.func private @kernel_copy_0
// CHECK-SAME: %[[FROM:.*]]: memref<?xf32> {llvm.align = 4 : i64, llvm.noalias}, %[[TO:.*]]: memref<?xf32> {llvm.align = 64 : i64, llvm.noalias}, %[[SIZE:.*]]: i64
// CHECK: %[[INDEX:.*]] = arith.index_cast %[[SIZE]] : i64 to index
// CHECK: memref.reinterpret_cast %[[FROM]] to offset: [0], sizes: [%[[INDEX]], 32], strides: [64, 1] : memref<?xf32> to memref<?x32xf32, strided<[64, 1]>>
// CHECK: memref.reinterpret_cast %[[TO]] to offset: [0], sizes: [%[[INDEX]], 32], strides: [32, 1] : memref<?xf32> to memref<?x32xf32>
// CHECK: memref.copy
// CHECK: func.func private @kernel_if_1
module {
  func.func @main(%in: memref<?x64xf32>, %arena: memref<?xi8>, %weights: memref<256xi8>) {
    %c0 = arith.constant 0 : index
    %c64 = arith.constant 64 : index
    %c128 = arith.constant 128 : index
    %c192 = arith.constant 192 : index
    %one = arith.constant 1.0 : f32
    %rows = memref.dim %in, %c0 : memref<?x64xf32>
    %half = memref.subview %in[0, 32] [%rows, 32] [1, 1] : memref<?x64xf32> to memref<?x32xf32, strided<[64, 1], offset: 32>>
    %other = memref.subview %in[0, 0] [%rows, 32] [1, 1] : memref<?x64xf32> to memref<?x32xf32, strided<[64, 1]>>
    %again = memref.dim %half, %c0 : memref<?x32xf32, strided<[64, 1], offset: 32>>
    %bytes = arith.muli %again, %c128 : index
    %slot = arith.addi %bytes, %c192 : index
    %a = memref.view %arena[%c192][%rows] : memref<?xi8> to memref<?x32xf32>
    %b = memref.view %arena[%slot][%again] : memref<?xi8> to memref<?x32xf32>
    memref.copy %half, %a : memref<?x32xf32, strided<[64, 1], offset: 32>> to memref<?x32xf32>
    memref.copy %other, %b : memref<?x32xf32, strided<[64, 1]>> to memref<?x32xf32>
    %w = memref.view %weights[%c0][] : memref<256xi8> to memref<f32>
    %value = memref.load %b[%c0, %c0] : memref<?x32xf32>
    %large = arith.cmpf ogt, %value, %one : f32
    scf.if %large {
      memref.store %value, %w[] : memref<f32>
    }
    return
  }
}
