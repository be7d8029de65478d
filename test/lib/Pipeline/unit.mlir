// The vision unit from the command line: a blob, what it holds, budgets and shares.
// RUN: burin-compile %s --target=myriad:shaves=4 -o %t.blob -v 2>&1 | FileCheck %s --check-prefix=MODELLED
// MODELLED: modelled: {{[0-9.]+}} ms a frame, {{[0-9.]+}} FPS with 2 threads
// RUN: burin-run %t.blob --describe | FileCheck %s --check-prefix=DESCRIBE
// DESCRIBE: container: Burin's own, version 1; no Myriad hardware executes it
// DESCRIBE: unit: myriad, 4 shaves, 4 CMX slices, 2 threads
// DESCRIBE: tasks: {{.*}}dma {{.*}}conv 1
// RUN: burin-compile %s --target=myriad:shaves=4 -o %t2.blob && cmp %t.blob %t2.blob

// RUN: burin-compile %s --target=myriad --budget=fps=10,latency=30ms,share=0.5 -o %t.blob 2>&1 | FileCheck %s --check-prefix=WITHIN
// WITHIN: verdict: within budget
// RUN: not burin-compile %s --target=myriad --budget=latency=0.01ms -o %t.over.blob 2>&1 | FileCheck %s --check-prefix=OVER
// OVER: over budget: latency in ms {{[0-9.]+}}, expected at most 0.01
// RUN: not burin-compile %s --target=myriad --budget=latency=0.01ms -o %t.over.blob 2>&1 | FileCheck %s --check-prefix=ADVICE
// ADVICE: advice: no known rewrite makes these layers faster
// RUN: burin-compile %s --target=myriad:threads=1 --sweep-shaves -o %t.blob 2>&1 | FileCheck %s --check-prefix=SWEEP
// SWEEP: 16 {{ *[0-9.]+}}
// SWEEP: recommended: shaves={{[0-9]+}}

// RUN: not burin-compile %s --target=myriad:shaves=9 -o %t.blob 2>&1 | FileCheck %s --check-prefix=SHARE
// SHARE: 2 threads of 9 shaves and 9 CMX slices take 18 shaves and 18 slices; the unit has 16 shaves, 19 slices and at most 3 threads
// RUN: not burin-compile %s --target=myriad:lanes=2 -o %t.blob 2>&1 | FileCheck %s --check-prefix=KEY
// KEY: expected myriad[:shaves=N,cmx=N,threads=N], each at least 1, and acc=f32 or f16, got 'lanes=2'
// RUN: not burin-compile %s --target=myriad --emit=exe -o %t 2>&1 | FileCheck %s --check-prefix=KIND
// KIND: --emit=exe is of a processor; --target=myriad makes --emit=blob
// RUN: not burin-compile %s --emit=blob -o %t 2>&1 | FileCheck %s --check-prefix=TARGET
// TARGET: --emit=blob is of a vision unit: give --target=myriad[:shaves=N,cmx=N,threads=N]
// RUN: not burin-compile %s --target=myriad --budget=speed=3 -o %t 2>&1 | FileCheck %s --check-prefix=BUDGET
// BUDGET: --budget: expected fps=N,latency=Nms,traffic=NMB,share=0..1, got 'speed=3'

// Damaged blobs are refused.
// RUN: head -c 400 %t.blob > %t.cut && not burin-run %t.cut --describe 2>&1 | FileCheck %s --check-prefix=CUT
// CUT: it is truncated or has bytes behind its end
// RUN: (head -c 1000 %t.blob; printf x; tail -c +1002 %t.blob) > %t.bad && not burin-run %t.bad --describe 2>&1 | FileCheck %s --check-prefix=BAD
// BAD: its checksum is wrong: it was damaged on the way
module attributes {burin.stage = "tensor", burin.signature = {inputs = [{dims = array<i64: 1, 8, 8, 16>, dtype = 10 : i32, name = "x"}],
                                                              outputs = [{dims = array<i64: 1, 8, 8, 32>, dtype = 10 : i32, name = "y"}]}} {
  memref.global "private" constant @w : memref<3x3x16x32xf16> = dense<0.125> {alignment = 64 : i64}
  func.func @main(%x: memref<1x8x8x16xf16>, %y: memref<1x8x8x32xf16>) {
    %w = memref.get_global @w : memref<3x3x16x32xf16>
    nn.conv ins(%x, %w : memref<1x8x8x16xf16>, memref<3x3x16x32xf16>) outs(%y : memref<1x8x8x32xf16>)
      {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>}
    return
  }
}
