// RUN: burin-opt %s --cpu-lower-linalg=machine=x86-64-v4 | FileCheck %s
// RUN: burin-opt %s --cpu-lower-linalg=machine=x86-64-v3 | FileCheck %s --check-prefix=AVX2

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>

// Case add: both dims lie behind one another in every operand: one loop over vectors.
// CHECK-LABEL: @add
// CHECK: scf.for
// CHECK-NOT: scf.for
// CHECK: vector.load {{.*}} vector<16xf32>
// CHECK: arith.addf {{.*}} fastmath<contract> : vector<16xf32>
// CHECK: vector.store
// AVX2-LABEL: @add
// AVX2: vector<8xf32>
func.func @add(%a: memref<32x64xf32>, %b: memref<32x64xf32>, %o: memref<32x64xf32>) {
  linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%a, %b : memref<32x64xf32>, memref<32x64xf32>) outs(%o : memref<32x64xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %s = arith.addf %x, %y : f32
    linalg.yield %s : f32
  }
  return
}

// Case tail: what is left of a row is masked, or moved in pieces where there are no masks.
// CHECK-LABEL: @tail
// CHECK: vector.maskedload {{.*}} vector<4xf32>
// CHECK: vector.maskedstore
// AVX2-LABEL: @tail
// AVX2-NOT: masked
// AVX2: vector.store {{.*}} vector<2xf32>
// AVX2: memref.store
func.func @tail(%a: memref<19xf32>, %o: memref<19xf32>) {
  linalg.map { math.absf } ins(%a : memref<19xf32>) outs(%o : memref<19xf32>)
  return
}

// Case stream: what is too large for the last cache is stored past it from a cache line on, which is found at run time.
// CHECK-LABEL: @stream
// CHECK: memref.extract_aligned_pointer_as_index
// CHECK: vector.maskedstore
// CHECK: scf.for
// CHECK: vector.store {{.*}}alignment = 64 : i64, nontemporal = true
// CHECK: vector.maskedstore
// AVX2-LABEL: @stream
// AVX2: vector.store {{.*}}alignment = 32 : i64, nontemporal = true
func.func @stream(%a: memref<4194304xf32>, %o: memref<4194304xf32> {llvm.noalias}) {
  linalg.map { math.absf } ins(%a : memref<4194304xf32>) outs(%o : memref<4194304xf32>)
  return
}

// In place the lines have just been read.
// CHECK-LABEL: @in_place
// CHECK-NOT: nontemporal
// CHECK: return
func.func @in_place(%a: memref<4194304xf32>, %o: memref<4194304xf32>) {
  linalg.map { math.absf } ins(%a : memref<4194304xf32>) outs(%o : memref<4194304xf32>)
  return
}

// Case hoist: what depends on the row alone is computed once a row.
// CHECK-LABEL: @hoist
// CHECK: scf.for
// CHECK: memref.load
// CHECK: math.sqrt {{.*}} : f32
// CHECK: scf.for
// CHECK-NOT: math.sqrt
// CHECK: vector.broadcast
func.func @hoist(%a: memref<8x256xf32>, %r: memref<8xf32>, %o: memref<8x256xf32>) {
  linalg.generic {indexing_maps = [#id, affine_map<(d0, d1) -> (d0)>, #id], iterator_types = ["parallel", "parallel"]} ins(%a, %r : memref<8x256xf32>, memref<8xf32>) outs(%o : memref<8x256xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %q = math.sqrt %y : f32
    %s = arith.mulf %x, %q : f32
    linalg.yield %s : f32
  }
  return
}

// Case sum: along contiguous elements: several accumulators, one horizontal step a row.
// CHECK-LABEL: @sum
// CHECK: scf.for {{.*}} iter_args({{.*}}, {{.*}}, {{.*}}, {{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK: vector.reduction <add>
func.func @sum(%a: memref<8x256xf32>, %o: memref<8xf32>) {
  linalg.generic {indexing_maps = [#id, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%a : memref<8x256xf32>) outs(%o : memref<8xf32>) {
  ^bb0(%x: f32, %z: f32):
    %s = arith.addf %x, %z : f32
    linalg.yield %s : f32
  }
  return
}

// Case columns: across rows: the accumulators are columns side by side.
// CHECK-LABEL: @columns
// CHECK-NOT: vector.reduction
// CHECK: scf.for {{.*}} iter_args
// CHECK: arith.maximumf {{.*}} : vector<16xf32>
// CHECK-NOT: vector.reduction
// CHECK: return
func.func @columns(%a: memref<49x64xf32>, %o: memref<64xf32>) {
  linalg.generic {indexing_maps = [#id, #row], iterator_types = ["reduction", "parallel"]} ins(%a : memref<49x64xf32>) outs(%o : memref<64xf32>) {
  ^bb0(%x: f32, %z: f32):
    %s = arith.maximumf %x, %z : f32
    linalg.yield %s : f32
  }
  return
}

// Case transpose: through a square of registers.
// CHECK-LABEL: @transpose
// CHECK-COUNT-16: vector.load {{.*}} vector<16xf32>
// CHECK-COUNT-64: vector.shuffle
// CHECK-COUNT-16: vector.store
// AVX2-LABEL: @transpose
// AVX2-COUNT-8: vector.load {{.*}} vector<8xf32>
// AVX2-COUNT-24: vector.shuffle
func.func @transpose(%a: memref<64x128xf32>, %o: memref<128x64xf32>) {
  linalg.transpose ins(%a : memref<64x128xf32>) outs(%o : memref<128x64xf32>) permutation = [1, 0]
  return
}

// Case interleave: planes to pixels of three channels: whole vectors of planes in, whole vectors of pixels out.
// CHECK-LABEL: @interleave
// CHECK-COUNT-3: vector.load {{.*}} vector<16xf32>
// CHECK-COUNT-6: vector.shuffle
// CHECK-NOT: memref.store
// CHECK: return
func.func @interleave(%a: memref<3x1024xf32>, %o: memref<1024x3xf32>) {
  linalg.transpose ins(%a : memref<3x1024xf32>) outs(%o : memref<1024x3xf32>) permutation = [1, 0]
  return
}

// Case upsample: dims that a map divides are split; no division is left.
// CHECK-LABEL: @upsample
// CHECK-NOT: arith.divsi
// CHECK: vector.store
func.func @upsample(%a: memref<4x4x64xf32>, %o: memref<8x8x64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0 floordiv 2, d1 floordiv 2, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
                  iterator_types = ["parallel", "parallel", "parallel"]} ins(%a : memref<4x4x64xf32>) outs(%o : memref<8x8x64xf32>) {
  ^bb0(%x: f32, %z: f32):
    linalg.yield %x : f32
  }
  return
}

// Case gather: rows chosen by data are still read as vectors.
// CHECK-LABEL: @gather
// CHECK: scf.for
// CHECK: arith.index_cast
// CHECK: vector.load
func.func @gather(%i: memref<10xi64>, %t: memref<100x64xf32>, %o: memref<10x64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, #id], iterator_types = ["parallel", "parallel"]} ins(%i : memref<10xi64>) outs(%o : memref<10x64xf32>) {
  ^bb0(%x: i64, %z: f32):
    %row = arith.index_cast %x : i64 to index
    %column = linalg.index 1 : index
    %v = memref.load %t[%row, %column] : memref<100x64xf32>
    linalg.yield %v : f32
  }
  return
}

// Case half: f16 computes in f32 and rounds once, at the end.
// CHECK-LABEL: @half
// CHECK: arith.extf {{.*}} vector<16xf16> to vector<16xf32>
// CHECK: arith.mulf {{.*}} vector<16xf32>
// CHECK: arith.truncf {{.*}} vector<16xf32> to vector<16xf16>
func.func @half(%a: memref<64xf16>, %o: memref<64xf16>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%a : memref<64xf16>) outs(%o : memref<64xf16>) {
  ^bb0(%x: f16, %z: f16):
    %s = arith.mulf %x, %x : f16
    linalg.yield %s : f16
  }
  return
}

// Case scalar_loops: a layout that is not static (near miss) becomes plain loops.
// CHECK-LABEL: @scalar_loops
// CHECK-NOT: vector
// CHECK: return
func.func @scalar_loops(%a: memref<16xf32, strided<[1], offset: ?>>, %o: memref<16xf32>) {
  memref.copy %a, %o : memref<16xf32, strided<[1], offset: ?>> to memref<16xf32>
  return
}

// Case dynamic: buffers that lie alike are one loop over all their elements: whole vectors, then a masked one. A divided dim whose factor is known
// still splits.
// CHECK-LABEL: func.func @dynamic
// CHECK: %[[ALL:.*]] = arith.muli %{{.*}}, %{{.*}} : index
// CHECK: scf.for %{{.*}} = %{{.*}} to %{{.*}} step %c64
// CHECK-COUNT-4: vector.store
// CHECK: scf.for
// CHECK: vector.store
// CHECK: scf.for %{{.*}} = %{{.*}} to %{{.*}} step %c16
// CHECK: arith.cmpi slt
// CHECK: vector.maskedload
// CHECK: vector.maskedstore
// CHECK-NOT: memref.load
// CHECK-LABEL: func.func @upsample_dynamic
// CHECK: vector.store
func.func @dynamic(%pa: memref<?xf32>, %pb: memref<?xf32>, %n: index, %m: index) {
  %stride = arith.muli %m, %n : index
  %a = memref.reinterpret_cast %pa to offset: [0], sizes: [%n, %m], strides: [%m, 1] : memref<?xf32> to memref<?x?xf32>
  %b = memref.reinterpret_cast %pb to offset: [0], sizes: [%n, %m], strides: [%m, 1] : memref<?xf32> to memref<?x?xf32>
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%a : memref<?x?xf32>) outs(%b : memref<?x?xf32>) {
  ^bb0(%x: f32, %y: f32):
    %s = arith.addf %x, %x : f32
    linalg.yield %s : f32
  }
  return
}

func.func @upsample_dynamic(%pa: memref<?xf32>, %pb: memref<?xf32>, %n: index) {
  %c2 = arith.constant 2 : index
  %twice = arith.muli %n, %c2 : index
  %a = memref.reinterpret_cast %pa to offset: [0], sizes: [%n, 16], strides: [16, 1] : memref<?xf32> to memref<?x16xf32>
  %b = memref.reinterpret_cast %pb to offset: [0], sizes: [%twice, 16], strides: [16, 1] : memref<?xf32> to memref<?x16xf32>
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0 floordiv 2, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%a : memref<?x16xf32>) outs(%b : memref<?x16xf32>) {
  ^bb0(%x: f32, %y: f32):
    linalg.yield %x : f32
  }
  return
}
