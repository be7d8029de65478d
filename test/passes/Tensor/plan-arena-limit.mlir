// RUN: burin-opt %s --tensor-plan-arena | FileCheck %s --check-prefix=FREE
// RUN: burin-opt %s --tensor-plan-arena='limit=1600' | FileCheck %s --check-prefix=BOUND
// RUN: not burin-opt %s --tensor-plan-arena='limit=800' 2>&1 | FileCheck %s --check-prefix=REFUSED

// Two branches, each a large buffer that becomes a small one. As written, both large ones live at once; one branch after the other
// needs one of them.
// FREE: burin.arena_bytes = 2112 : i64
// BOUND: burin.arena_bytes = 1152 : i64
// BOUND-LABEL: func.func @main
// BOUND: linalg.exp
// BOUND-NEXT: linalg.reduce
// BOUND: linalg.exp
// BOUND-NEXT: linalg.reduce
// REFUSED: error: {{.*}}the arena takes 1152 bytes, the limit is 800; of them {{[0-9]+}} are in use at once, most by 'memref<16x16xf32>' (1024 bytes)
// REFUSED: note: this makes one of 1024 bytes
module {
  func.func @main(%in: memref<16x16xf32>, %out: memref<16xf32>) {
    %large1 = memref.alloc() : memref<16x16xf32>
    %large2 = memref.alloc() : memref<16x16xf32>
    %small1 = memref.alloc() : memref<16xf32>
    %small2 = memref.alloc() : memref<16xf32>
    linalg.exp ins(%in : memref<16x16xf32>) outs(%large1 : memref<16x16xf32>)
    linalg.exp ins(%in : memref<16x16xf32>) outs(%large2 : memref<16x16xf32>)
    linalg.reduce ins(%large1 : memref<16x16xf32>) outs(%small1 : memref<16xf32>) dimensions = [1]
      (%a: f32, %b: f32) { %s = arith.addf %a, %b : f32 linalg.yield %s : f32 }
    linalg.reduce ins(%large2 : memref<16x16xf32>) outs(%small2 : memref<16xf32>) dimensions = [1]
      (%a: f32, %b: f32) { %s = arith.addf %a, %b : f32 linalg.yield %s : f32 }
    linalg.add ins(%small1, %small2 : memref<16xf32>, memref<16xf32>) outs(%out : memref<16xf32>)
    return
  }
}
