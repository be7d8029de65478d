// RUN: burin-opt %s --vpu-place-buffers="cmx-bytes=1024 scratchpad-bytes=256" | FileCheck %s

// The two small buffers lie behind the scratchpad, the second beside the first since both live at the same time; the large one is left in
// main memory. Views follow.
// CHECK-LABEL: func.func @chain
// CHECK-SAME: vpu.cmx_bytes = 1024 : i64, vpu.ddr_bytes = 2048 : i64
// CHECK: %[[A:.*]] = vpu.buffer at 256 : memref<128xf16, 1>
// CHECK: %[[B:.*]] = vpu.buffer at 512 : memref<128xf16, 1>
// CHECK: %[[C:.*]] = vpu.buffer at 0 : memref<1024xf16>
// CHECK: memref.copy %{{.*}}, %[[A]]
// CHECK: memref.copy %[[A]], %[[B]]
// CHECK: %[[V:.*]] = memref.subview %[[B]][0] [64] [1] : memref<128xf16, 1> to memref<64xf16, strided<[1]>, 1>
// CHECK: memref.copy %[[V]]
func.func @chain(%x: memref<128xf16>, %y: memref<64xf16>) {
  %a = memref.alloc() : memref<128xf16>
  %b = memref.alloc() : memref<128xf16>
  %c = memref.alloc() : memref<1024xf16>
  memref.copy %x, %a : memref<128xf16> to memref<128xf16>
  memref.copy %a, %b : memref<128xf16> to memref<128xf16>
  %part = memref.subview %c[0] [64] [1] : memref<1024xf16> to memref<64xf16, strided<[1]>>
  %v = memref.subview %b[0] [64] [1] : memref<128xf16> to memref<64xf16, strided<[1]>>
  memref.copy %v, %part : memref<64xf16, strided<[1]>> to memref<64xf16, strided<[1]>>
  memref.copy %part, %y : memref<64xf16, strided<[1]>> to memref<64xf16>
  return
}
