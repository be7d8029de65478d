// RUN: not burin-opt %s --graph-append-postprocessing="append=picture:p;scale=255,upsample:m;size=frame,colors:m,boxes:b;shares=1 image-inputs=x=RGB:64x48:flip=horizontal fit=stretch" 2>&1 | FileCheck %s --check-prefix=TURNED
// RUN: burin-opt %s --graph-append-postprocessing="append=picture:p;scale=255,upsample:m;size=frame,colors:m,boxes:b;shares=1 image-inputs=x=RGB:64x48 fit=letterbox" | FileCheck %s
// RUN: burin-opt %s --graph-append-postprocessing="append=boxes:b image-inputs=x=RGB:64x48:region=run:rotate=90 fit=letterbox" | FileCheck %s --check-prefix=GIVEN
// RUN: not burin-opt %s --graph-append-postprocessing="append=boxes:b" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not burin-opt %s --graph-append-postprocessing="append=boxes:m source=48x64 preprocess-input=x" 2>&1 | FileCheck %s --check-prefix=BOXES
// RUN: not burin-opt %s --graph-append-postprocessing="append=picture:b" 2>&1 | FileCheck %s --check-prefix=PICTURE
// RUN: not burin-opt %s --graph-append-postprocessing="append=colors:m;palette=ff0000/00ff00" 2>&1 | FileCheck %s --check-prefix=FEW
// RUN: not burin-opt %s --graph-append-postprocessing="append=colors:m;palette=red" 2>&1 | FileCheck %s --check-prefix=RED
// RUN: not burin-opt %s --graph-append-postprocessing="append=upsample:m" 2>&1 | FileCheck %s --check-prefix=SIZE
// RUN: not burin-opt %s --graph-append-postprocessing="append=upsample:m;size=frame image-inputs=x=RGB:64x48 fit=crop" 2>&1 | FileCheck %s --check-prefix=CROP

// TURNED: error: --append upsample:m;size=frame: expected a frame that is not turned, and whose region is not left to each run, got 'tensor<1x4x16x16xf32>'
// NONE: error: --append boxes:b: expected --image-input or --source-size, which say what the network's image is made of
// BOXES: expected an output of floats [..., 4], got 'tensor<1x4x16x16xf32>'
// PICTURE: expected an output of floats [n, 1 or 3, height, width], got 'tensor<1x9x4xf32>'
// FEW: expected a colour for each of 4 classes, got 2
// RED: expected colours RRGGBB/RRGGBB/..., got 'red'
// SIZE: expected size=HxW or size=frame, got ''
// CROP: expected --fit=stretch or letterbox, as a crop leaves out parts of the frame

// The picture is 32x24 of the network's 32x32, so the mask's are rows 2 to 14.
// CHECK-LABEL: func.func @main
// CHECK-SAME: -> (tensor<1x24x24x3xui8> {onnx.name = "p"}, tensor<1x48x64x3xui8> {onnx.name = "m"}, tensor<1x9x4xf32> {onnx.name = "b"})
// CHECK: onnx.Mul(%arg0
// CHECK: onnx.Round
// CHECK: onnx.Clip
// CHECK: onnx.Cast
// CHECK: onnx.Transpose{{.*}} {perm = array<i64: 0, 2, 3, 1>}
// CHECK-DAG: dense<[2, 0]>
// CHECK-DAG: dense<[14, 16]>
// CHECK: onnx.Slice(%arg1
// CHECK: onnx.Resize
// CHECK: onnx.ArgMax
// CHECK: onnx.Gather
// CHECK: onnx.Mul(%arg2
// CHECK: onnx.Max
// CHECK: onnx.Min
// Each run says the region: the boxes ask its input, and the columns are those of a frame that lies on its side.
// GIVEN-LABEL: func.func @main
// GIVEN-SAME: tensor<4xi32> {onnx.name = "x_region"}
// GIVEN: onnx.Cast(%[[R:.*]]) {{.*}} : (tensor<4xi32>) -> tensor<4xf64>
// GIVEN: dense<[1, 2, 3, 0]>
func.func @main(%p: tensor<1x3x24x24xf32>, %m: tensor<1x4x16x16xf32>, %b: tensor<1x9x4xf32>, %x: tensor<1x3x32x32xf32> {onnx.name = "x"})
    -> (tensor<1x3x24x24xf32> {onnx.name = "p"}, tensor<1x4x16x16xf32> {onnx.name = "m"}, tensor<1x9x4xf32> {onnx.name = "b"}) {
  return %p, %m, %b : tensor<1x3x24x24xf32>, tensor<1x4x16x16xf32>, tensor<1x9x4xf32>
}
