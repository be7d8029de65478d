// RUN: burin-opt %s -split-input-file --tensor-elide-copies --canonicalize | FileCheck %s
// RUN: burin-opt %s -split-input-file --tensor-elide-copies --remarks-filter=tensor-elide-copies 2>&1 >/dev/null | FileCheck %s --check-prefix=WHY

// Case ghost: a value in a frame is also the first half of a concatenation, whose second half is made from it: all is one
// buffer with a frame.
// CHECK-LABEL: func.func @main
// CHECK: %[[ALL:.*]] = memref.alloc() : memref<1x10x10x8xf32>
// CHECK-NOT: memref.alloc
// CHECK-DAG: %[[FIRST:.*]] = memref.subview %[[ALL]][0, 1, 1, 0] [1, 8, 8, 4]
// CHECK-DAG: %[[SECOND:.*]] = memref.subview %[[ALL]][0, 1, 1, 4] [1, 8, 8, 4]
// CHECK-DAG: %[[FRAMED:.*]] = memref.subview %[[ALL]][0, 0, 0, 0] [1, 10, 10, 4]
// CHECK-DAG: %[[BOTH:.*]] = memref.subview %[[ALL]][0, 1, 1, 0] [1, 8, 8, 8]
// CHECK: linalg.exp ins(%{{.*}}) outs(%[[FIRST]]
// CHECK: nn.depthwise_conv ins(%[[FRAMED]], {{.*}} outs(%[[SECOND]]
// CHECK-NOT: memref.copy
// CHECK: linalg.exp ins(%[[BOTH]]
// WHY: remark: [Passed] Copy
module {
  func.func @main(%x: memref<1x8x8x4xf32>, %w: memref<3x3x4xf32>, %out: memref<1x8x8x8xf32>) {
    %zero = arith.constant 0.0 : f32
    %frame = memref.alloc() : memref<1x10x10x4xf32>
    linalg.fill ins(%zero : f32) outs(%frame : memref<1x10x10x4xf32>)
    %a = memref.subview %frame[0, 1, 1, 0] [1, 8, 8, 4] [1, 1, 1, 1] : memref<1x10x10x4xf32> to memref<1x8x8x4xf32, strided<[400, 40, 4, 1], offset: 44>>
    linalg.exp ins(%x : memref<1x8x8x4xf32>) outs(%a : memref<1x8x8x4xf32, strided<[400, 40, 4, 1], offset: 44>>)
    %c = memref.alloc() : memref<1x8x8x8xf32>
    %c0 = memref.subview %c[0, 0, 0, 0] [1, 8, 8, 4] [1, 1, 1, 1] : memref<1x8x8x8xf32> to memref<1x8x8x4xf32, strided<[512, 64, 8, 1]>>
    %c1 = memref.subview %c[0, 0, 0, 4] [1, 8, 8, 4] [1, 1, 1, 1] : memref<1x8x8x8xf32> to memref<1x8x8x4xf32, strided<[512, 64, 8, 1], offset: 4>>
    memref.copy %a, %c0 : memref<1x8x8x4xf32, strided<[400, 40, 4, 1], offset: 44>> to memref<1x8x8x4xf32, strided<[512, 64, 8, 1]>>
    nn.depthwise_conv ins(%frame, %w : memref<1x10x10x4xf32>, memref<3x3x4xf32>) outs(%c1 : memref<1x8x8x4xf32, strided<[512, 64, 8, 1], offset: 4>>)
      {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
    linalg.exp ins(%c : memref<1x8x8x8xf32>) outs(%out : memref<1x8x8x8xf32>)
    return
  }
}

// -----

// Several uses: the frame of one and the larger frame of the other are filled with one value, so that their order does not count.
// CHECK-LABEL: func.func @main
// CHECK: memref.alloc() : memref<8xf32>
// CHECK-NOT: memref.alloc
// CHECK-NOT: memref.copy
// WHY: remark: [Passed] Copy
module {
  func.func @main(%x: memref<4xf32>, %out: memref<6xf32>, %wide: memref<8xf32>) {
    %zero = arith.constant 0.0 : f32
    %small = memref.alloc() : memref<6xf32>
    %large = memref.alloc() : memref<8xf32>
    linalg.fill ins(%zero : f32) outs(%large : memref<8xf32>)
    linalg.fill ins(%zero : f32) outs(%small : memref<6xf32>)
    %a = memref.subview %small[1] [4] [1] : memref<6xf32> to memref<4xf32, strided<[1], offset: 1>>
    %b = memref.subview %large[2] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1], offset: 2>>
    linalg.exp ins(%x : memref<4xf32>) outs(%a : memref<4xf32, strided<[1], offset: 1>>)
    memref.copy %a, %b : memref<4xf32, strided<[1], offset: 1>> to memref<4xf32, strided<[1], offset: 2>>
    linalg.exp ins(%small : memref<6xf32>) outs(%out : memref<6xf32>)
    linalg.exp ins(%large : memref<8xf32>) outs(%wide : memref<8xf32>)
    return
  }
}

// -----

// Near miss: what was copied is changed, and the original read after that.
// CHECK-LABEL: func.func @main
// CHECK: memref.copy
// WHY: remark: [Missed] Copy{{.*}}one side is written while the other is still read
module {
  func.func @main(%x: memref<4xf32>, %out: memref<4xf32>, %other: memref<4xf32>) {
    %a = memref.alloc() : memref<4xf32>
    %b = memref.alloc() : memref<4xf32>
    linalg.exp ins(%x : memref<4xf32>) outs(%a : memref<4xf32>)
    memref.copy %a, %b : memref<4xf32> to memref<4xf32>
    linalg.exp ins(%x : memref<4xf32>) outs(%b : memref<4xf32>)
    linalg.exp ins(%a : memref<4xf32>) outs(%out : memref<4xf32>)
    linalg.exp ins(%b : memref<4xf32>) outs(%other : memref<4xf32>)
    return
  }
}

// -----

// Near miss: frames of different values.
// CHECK-LABEL: func.func @main
// CHECK: memref.copy
// WHY: remark: [Missed] Copy{{.*}}one side is written while the other is still read
module {
  func.func @main(%x: memref<4xf32>, %out: memref<6xf32>, %wide: memref<8xf32>) {
    %zero = arith.constant 0.0 : f32
    %one = arith.constant 1.0 : f32
    %small = memref.alloc() : memref<6xf32>
    %large = memref.alloc() : memref<8xf32>
    linalg.fill ins(%one : f32) outs(%large : memref<8xf32>)
    linalg.fill ins(%zero : f32) outs(%small : memref<6xf32>)
    %a = memref.subview %small[1] [4] [1] : memref<6xf32> to memref<4xf32, strided<[1], offset: 1>>
    %b = memref.subview %large[2] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1], offset: 2>>
    linalg.exp ins(%x : memref<4xf32>) outs(%a : memref<4xf32, strided<[1], offset: 1>>)
    memref.copy %a, %b : memref<4xf32, strided<[1], offset: 1>> to memref<4xf32, strided<[1], offset: 2>>
    linalg.exp ins(%small : memref<6xf32>) outs(%out : memref<6xf32>)
    linalg.exp ins(%large : memref<8xf32>) outs(%wide : memref<8xf32>)
    return
  }
}

// -----

// Near miss: a short-lived large buffer and a long-lived small one would be a long-lived large one, at a peak.
// CHECK-LABEL: func.func @main
// CHECK: memref.copy
// WHY: remark: [Missed] Copy{{.*}}one buffer for both would need a larger arena
module {
  func.func @main(%x: memref<4xf32>, %out: memref<64xf32>, %y: memref<80xf32>) {
    %a = memref.alloc() : memref<4xf32>
    %b = memref.alloc() : memref<64xf32>
    %t = memref.alloc() : memref<80xf32>
    linalg.exp ins(%x : memref<4xf32>) outs(%a : memref<4xf32>)
    linalg.exp ins(%y : memref<80xf32>) outs(%t : memref<80xf32>)
    linalg.exp ins(%t : memref<80xf32>) outs(%y : memref<80xf32>)
    %b0 = memref.subview %b[0] [4] [1] : memref<64xf32> to memref<4xf32, strided<[1]>>
    memref.copy %a, %b0 : memref<4xf32> to memref<4xf32, strided<[1]>>
    linalg.exp ins(%b : memref<64xf32>) outs(%out : memref<64xf32>)
    return
  }
}

// -----

// One size that only running tells is enough; a view that is no window is left alone.
// CHECK-LABEL: func.func @main
// CHECK-COUNT-1: memref.copy
// CHECK-NOT: memref.copy
// WHY: remark: [Passed] Copy
// WHY: remark: [Missed] Copy{{.*}}a side is used in ways that are not told
module {
  func.func @main(%x: memref<?xf32>, %n: index, %v: memref<4xf32>, %out: memref<?xf32>, %square: memref<2x2xf32>) {
    %a = memref.alloc(%n) : memref<?xf32>
    %b = memref.alloc(%n) : memref<?xf32>
    linalg.exp ins(%x : memref<?xf32>) outs(%a : memref<?xf32>)
    memref.copy %a, %b : memref<?xf32> to memref<?xf32>
    linalg.exp ins(%b : memref<?xf32>) outs(%out : memref<?xf32>)
    %c = memref.alloc() : memref<4xf32>
    %d = memref.alloc() : memref<4xf32>
    linalg.exp ins(%v : memref<4xf32>) outs(%c : memref<4xf32>)
    memref.copy %c, %d : memref<4xf32> to memref<4xf32>
    %e = memref.expand_shape %d [[0, 1]] output_shape [2, 2] : memref<4xf32> into memref<2x2xf32>
    linalg.exp ins(%e : memref<2x2xf32>) outs(%square : memref<2x2xf32>)
    return
  }
}

// -----

// A C function writes what lies without gaps, never the inside of a frame.
// CHECK-LABEL: func.func @main
// CHECK: foreign.call {{.*}} outs(%{{.*}}, %{{.*}} : memref<2x4xf32>, memref<i32>)
// CHECK: memref.copy
// WHY: remark: [Missed] Copy{{.*}}a side is used in ways that are not told
module {
  func.func @main(%x: memref<8xf32>, %out: memref<4x6xf32>) {
    %c = foreign.context
    %a = memref.alloc() : memref<2x4xf32>
    %s = memref.alloc() : memref<i32>
    %b = memref.alloc() : memref<4x6xf32>
    foreign.call "make" context(%c) ins(%x : memref<8xf32>) outs(%a, %s : memref<2x4xf32>, memref<i32>) {dtypes = array<i32: 1, 1>, node_attributes = {}}
    %b0 = memref.subview %b[1, 1] [2, 4] [1, 1] : memref<4x6xf32> to memref<2x4xf32, strided<[6, 1], offset: 7>>
    memref.copy %a, %b0 : memref<2x4xf32> to memref<2x4xf32, strided<[6, 1], offset: 7>>
    linalg.exp ins(%b : memref<4x6xf32>) outs(%out : memref<4x6xf32>)
    return
  }
}

// -----

// The first case for a free batch, height and width: the frame's sizes are the image's and two more.
// CHECK-LABEL: func.func @main
// CHECK: %[[H:.*]] = memref.dim %arg0, %c1
// CHECK: %[[W:.*]] = memref.dim %arg0, %c2
// CHECK: %[[ALL:.*]] = memref.alloc({{.*}}) : memref<?x?x?x8xf32>
// CHECK-NOT: memref.alloc
// CHECK-NOT: memref.copy
// CHECK-DAG: memref.subview %[[ALL]][0, 1, 1, 4] [%{{.*}}, %[[H]], %[[W]], 4]
// CHECK-DAG: memref.subview %[[ALL]][0, 1, 1, 0] [%{{.*}}, %[[H]], %[[W]], 8]
// CHECK: nn.depthwise_conv
// CHECK-NOT: memref.copy
// WHY: remark: [Passed] Copy
module {
  func.func @main(%x: memref<?x?x?x4xf32>, %w: memref<3x3x4xf32>, %out: memref<?x?x?x8xf32>) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %zero = arith.constant 0.0 : f32
    %n = memref.dim %x, %c0 : memref<?x?x?x4xf32>
    %h = memref.dim %x, %c1 : memref<?x?x?x4xf32>
    %v = memref.dim %x, %c2 : memref<?x?x?x4xf32>
    %h2 = arith.addi %h, %c2 : index
    %v2 = arith.addi %v, %c2 : index
    %h1 = arith.addi %h, %c1 : index
    %frame = memref.alloc(%n, %h2, %v2) : memref<?x?x?x4xf32>
    %top = memref.subview %frame[0, 0, 0, 0] [%n, 1, %v2, 4] [1, 1, 1, 1] : memref<?x?x?x4xf32> to memref<?x1x?x4xf32, strided<[?, ?, 4, 1]>>
    linalg.fill ins(%zero : f32) outs(%top : memref<?x1x?x4xf32, strided<[?, ?, 4, 1]>>)
    %low = memref.subview %frame[0, %h1, 0, 0] [%n, 1, %v2, 4] [1, 1, 1, 1] : memref<?x?x?x4xf32> to memref<?x1x?x4xf32, strided<[?, ?, 4, 1], offset: ?>>
    linalg.fill ins(%zero : f32) outs(%low : memref<?x1x?x4xf32, strided<[?, ?, 4, 1], offset: ?>>)
    %a = memref.subview %frame[0, 1, 1, 0] [%n, %h, %v, 4] [1, 1, 1, 1] : memref<?x?x?x4xf32> to memref<?x?x?x4xf32, strided<[?, ?, 4, 1], offset: ?>>
    linalg.exp ins(%x : memref<?x?x?x4xf32>) outs(%a : memref<?x?x?x4xf32, strided<[?, ?, 4, 1], offset: ?>>)
    %c = memref.alloc(%n, %h, %v) : memref<?x?x?x8xf32>
    %first = memref.subview %c[0, 0, 0, 0] [%n, %h, %v, 4] [1, 1, 1, 1] : memref<?x?x?x8xf32> to memref<?x?x?x4xf32, strided<[?, ?, 8, 1]>>
    %second = memref.subview %c[0, 0, 0, 4] [%n, %h, %v, 4] [1, 1, 1, 1] : memref<?x?x?x8xf32> to memref<?x?x?x4xf32, strided<[?, ?, 8, 1], offset: 4>>
    memref.copy %a, %first : memref<?x?x?x4xf32, strided<[?, ?, 4, 1], offset: ?>> to memref<?x?x?x4xf32, strided<[?, ?, 8, 1]>>
    nn.depthwise_conv ins(%frame, %w : memref<?x?x?x4xf32>, memref<3x3x4xf32>) outs(%second : memref<?x?x?x4xf32, strided<[?, ?, 8, 1], offset: 4>>)
      {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
    linalg.exp ins(%c : memref<?x?x?x8xf32>) outs(%out : memref<?x?x?x8xf32>)
    return
  }
}

// -----

// Near miss: a size that is not known to be the other's.
// CHECK-LABEL: func.func @main
// CHECK: memref.copy
// WHY: remark: [Missed] Copy{{.*}}the buffers' sizes are not known to be related
module {
  func.func @main(%x: memref<?xf32>, %y: memref<?xf32>, %out: memref<?xf32>) {
    %c0 = arith.constant 0 : index
    %n = memref.dim %x, %c0 : memref<?xf32>
    %m = memref.dim %y, %c0 : memref<?xf32>
    %a = memref.alloc(%n) : memref<?xf32>
    %b = memref.alloc(%m) : memref<?xf32>
    linalg.exp ins(%x : memref<?xf32>) outs(%a : memref<?xf32>)
    memref.copy %a, %b : memref<?xf32> to memref<?xf32>
    linalg.exp ins(%b : memref<?xf32>) outs(%out : memref<?xf32>)
    return
  }
}

// -----

// A partial convolution: it cannot write where it still reads, so one copy stays, the smaller one.
// CHECK-LABEL: func.func @main
// CHECK: memref.copy {{.*}} : memref<1x8x8x2xf32
// CHECK-NOT: memref.copy
module {
  func.func @main(%x: memref<1x8x8x8xf32>, %w: memref<3x3x2xf32>, %out: memref<1x8x8x8xf32>) {
    %zero = arith.constant 0.0 : f32
    %z = memref.alloc() : memref<1x8x8x8xf32>
    linalg.exp ins(%x : memref<1x8x8x8xf32>) outs(%z : memref<1x8x8x8xf32>)
    %frame = memref.alloc() : memref<1x10x10x2xf32>
    linalg.fill ins(%zero : f32) outs(%frame : memref<1x10x10x2xf32>)
    %in = memref.subview %frame[0, 1, 1, 0] [1, 8, 8, 2] [1, 1, 1, 1] : memref<1x10x10x2xf32> to memref<1x8x8x2xf32, strided<[200, 20, 2, 1], offset: 22>>
    %za = memref.subview %z[0, 0, 0, 0] [1, 8, 8, 2] [1, 1, 1, 1] : memref<1x8x8x8xf32> to memref<1x8x8x2xf32, strided<[512, 64, 8, 1]>>
    %zb = memref.subview %z[0, 0, 0, 2] [1, 8, 8, 6] [1, 1, 1, 1] : memref<1x8x8x8xf32> to memref<1x8x8x6xf32, strided<[512, 64, 8, 1], offset: 2>>
    memref.copy %za, %in : memref<1x8x8x2xf32, strided<[512, 64, 8, 1]>> to memref<1x8x8x2xf32, strided<[200, 20, 2, 1], offset: 22>>
    %d = memref.alloc() : memref<1x8x8x8xf32>
    %da = memref.subview %d[0, 0, 0, 0] [1, 8, 8, 2] [1, 1, 1, 1] : memref<1x8x8x8xf32> to memref<1x8x8x2xf32, strided<[512, 64, 8, 1]>>
    %db = memref.subview %d[0, 0, 0, 2] [1, 8, 8, 6] [1, 1, 1, 1] : memref<1x8x8x8xf32> to memref<1x8x8x6xf32, strided<[512, 64, 8, 1], offset: 2>>
    nn.depthwise_conv ins(%frame, %w : memref<1x10x10x2xf32>, memref<3x3x2xf32>) outs(%da : memref<1x8x8x2xf32, strided<[512, 64, 8, 1]>>)
      {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
    memref.copy %zb, %db : memref<1x8x8x6xf32, strided<[512, 64, 8, 1], offset: 2>> to memref<1x8x8x6xf32, strided<[512, 64, 8, 1], offset: 2>>
    linalg.exp ins(%d : memref<1x8x8x8xf32>) outs(%out : memref<1x8x8x8xf32>)
    return
  }
}
