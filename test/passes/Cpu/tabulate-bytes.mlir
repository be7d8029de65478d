// RUN: burin-opt %s --split-input-file --cpu-tabulate-bytes=machine=x86-64-v4+avx512vnni | FileCheck %s

// Between bytes, silu and both quantizations are one table: entry 128 stands for the zero point, 0.
// CHECK-LABEL: func @silu
// CHECK: %[[TABLE:.*]] = arith.constant dense<{{.*}}> : vector<256xi8>
// CHECK: %[[AT:.*]] = arith.index_castui %{{.*}} : i8 to index
// CHECK: %[[Y:.*]] = vector.extract %[[TABLE]][%[[AT]]] : i8 from vector<256xi8>
// CHECK: linalg.yield %[[Y]]
// CHECK-NOT: math.exp
func.func @silu(%x: memref<64xi8>, %y: memref<64xi8>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%x : memref<64xi8>) outs(%y : memref<64xi8>) {
  ^bb0(%in: i8, %out: i8):
    %zero = arith.constant 128 : i32
    %scale = arith.constant 0.05 : f32
    %one = arith.constant 1.0 : f32
    %low = arith.constant 0.0 : f32
    %high = arith.constant 255.0 : f32
    %wide = arith.extui %in : i8 to i32
    %less = arith.subi %wide, %zero : i32
    %float = arith.sitofp %less : i32 to f32
    %value = arith.mulf %float, %scale : f32
    %minus = arith.negf %value : f32
    %exp = math.exp %minus : f32
    %sum = arith.addf %exp, %one : f32
    %silu = arith.divf %value, %sum : f32
    %units = arith.divf %silu, %scale : f32
    %round = math.roundeven %units : f32
    %above = arith.cmpf ogt, %round, %low : f32
    %least = arith.select %above, %round, %low : f32
    %below = arith.cmpf olt, %least, %high : f32
    %most = arith.select %below, %least, %high : f32
    %whole = arith.fptosi %most : f32 to i32
    %byte = arith.trunci %whole : i32 to i8
    linalg.yield %byte : i8
  }
  return
}

// -----

// Two bytes decide: no table.
// CHECK-LABEL: func @two
// CHECK-NOT: vector.extract
// CHECK: linalg.yield
func.func @two(%x: memref<64xi8>, %z: memref<64xi8>, %y: memref<64xi8>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%x, %z : memref<64xi8>, memref<64xi8>) outs(%y : memref<64xi8>) {
  ^bb0(%a: i8, %b: i8, %out: i8):
    %0 = arith.uitofp %a : i8 to f32
    %1 = arith.uitofp %b : i8 to f32
    %2 = arith.divf %0, %1 : f32
    %3 = math.tanh %2 : f32
    %4 = math.absf %3 : f32
    %5 = arith.fptosi %4 : f32 to i32
    %6 = arith.trunci %5 : i32 to i8
    linalg.yield %6 : i8
  }
  return
}

// -----

// A few instructions are as good.
// CHECK-LABEL: func @short
// CHECK-NOT: vector.extract
// CHECK: linalg.yield
func.func @short(%x: memref<64xi8>, %y: memref<64xi8>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%x : memref<64xi8>) outs(%y : memref<64xi8>) {
  ^bb0(%a: i8, %out: i8):
    %c = arith.constant 9 : i8
    %0 = arith.addi %a, %c : i8
    linalg.yield %0 : i8
  }
  return
}
