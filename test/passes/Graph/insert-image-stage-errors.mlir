// Each line: what is asked for, and the end of what it is told.
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=z=NV12:64x48" 2>&1 | FileCheck %s --check-prefix=NAME
// NAME: error: --image-input z=NV12:64x48: expected the name of an input (x), got 'z'
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=P010:64x48" 2>&1 | FileCheck %s --check-prefix=FORMAT
// FORMAT: error: --image-input x=P010:64x48: expected a format of NV12, I420, YUYV, RGB, BGR, RGBA, GRAY, RGGB, GRBG, GBRG, BGGR, got 'P010'
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=RGB:0x48" 2>&1 | FileCheck %s --check-prefix=SIZE
// SIZE: expected the frame's size such as 1920x1080 (width x height, at most 32768), got '0x48'
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=NV12:63x48" 2>&1 | FileCheck %s --check-prefix=ODD
// ODD: expected an even width, as two pixels share their chroma in NV12, got 63
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=I420:64x47" 2>&1 | FileCheck %s --check-prefix=ROWS
// ROWS: expected an even height, as two rows share their chroma in I420, got 47
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=RGB:64x48:stride=191" 2>&1 | FileCheck %s --check-prefix=STRIDE
// STRIDE: expected a stride of 192 bytes or more, got '191'
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=RGB:64x48:region=8x8+60+0" 2>&1 | FileCheck %s --check-prefix=REGION
// REGION: expected a region WxH+X+Y inside the frame of 64x48, or run (each run says it), got '8x8+60+0'
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=RGB:64x48:region=0x8+0+0" 2>&1 | FileCheck %s --check-prefix=EMPTY
// EMPTY: expected a region WxH+X+Y inside the frame of 64x48, or run (each run says it), got '0x8+0+0'
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=RGB:64x48:region=8x8+0+0:region=run" 2>&1 | FileCheck %s --check-prefix=BOTH
// BOTH: expected one region, of the frame or of each run, got both
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=BGGR:64x47" 2>&1 | FileCheck %s --check-prefix=MOSAIC
// MOSAIC: expected an even height, as two rows share their colours in BGGR, got 47
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=NV12:64x48:stride=65" 2>&1 | FileCheck %s --check-prefix=EVEN
// EVEN: expected a stride of 64 bytes or more, even, got '65'
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=RGB:64x48 fit=zoom" 2>&1 | FileCheck %s --check-prefix=FIT
// FIT: expected fit stretch, letterbox or crop, got 'zoom'
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=RGB:64x48:gamma=2" 2>&1 | FileCheck %s --check-prefix=KEY
// KEY: expected stride=N, matrix=601|709, range=limited|full, region=WxH+X+Y|run, rotate=90|180|270 or flip=horizontal|vertical, got 'gamma=2'
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=RGB:64x48 scale=1,2" 2>&1 | FileCheck %s --check-prefix=SCALE
// SCALE: expected 1 value or one a channel (3) of mean and scale, no scale of 0
// RUN: not burin-opt %s --graph-insert-image-stage="inputs=x=RGB:64x48 layout=NHWC" 2>&1 | FileCheck %s --check-prefix=LAYOUT
// LAYOUT: expected an input of 1 or 3 channels of float, float16, uint8 or int8, got
func.func @main(%x: tensor<1x3x8x8xf32> {onnx.name = "x"}) -> (tensor<1x3x8x8xf32> {onnx.name = "y"}) {
  return %x : tensor<1x3x8x8xf32>
}
