// RUN: burin-opt %s --tensor-band-rows='limit=20000 machine=x86-64-v3' --canonicalize --split-input-file | FileCheck %s

// Case chain: the tensor between two convolutions takes 16 KiB and a frame. In two bands it never exists whole: each computes its rows and
// one more, which have padding at the borders only, and writes its half of the result.
// CHECK-LABEL: func.func @main
// CHECK: %[[WHOLE:.*]] = tensor.empty() : tensor<1x16x16x2xf32>
// CHECK: %[[ROWS:.*]] = tensor.extract_slice %{{.*}}[0, 0, 0, 0] [1, 10, 16, 2]
// CHECK: %[[A:.*]] = nn.conv ins(%[[ROWS]], {{.*}} pads = array<i64: 1, 1, 0, 1>{{.*}} -> tensor<1x9x16x16xf32>
// CHECK: %[[B:.*]] = nn.conv ins(%[[A]], {{.*}} pads = array<i64: 1, 1, 0, 1>{{.*}} -> tensor<1x8x16x2xf32>
// CHECK: %[[FIRST:.*]] = tensor.insert_slice %[[B]] into %[[WHOLE]][0, 0, 0, 0]
// CHECK: tensor.extract_slice %{{.*}}[0, 6, 0, 0] [1, 10, 16, 2]
// CHECK: nn.conv {{.*}} pads = array<i64: 0, 1, 1, 1>{{.*}} -> tensor<1x9x16x16xf32>
// CHECK: %[[C:.*]] = nn.conv {{.*}} pads = array<i64: 0, 1, 1, 1>{{.*}} -> tensor<1x8x16x2xf32>
// CHECK: %[[BOTH:.*]] = tensor.insert_slice %[[C]] into %[[FIRST]][0, 8, 0, 0]
// CHECK: return %[[BOTH]]
module {
  func.func @main(%x: tensor<1x16x16x2xf32>) -> tensor<1x16x16x2xf32> {
    %f = arith.constant dense<0.5> : tensor<3x3x2x16xf32>
    %g = arith.constant dense<0.25> : tensor<3x3x16x2xf32>
    %e = tensor.empty() : tensor<1x16x16x16xf32>
    %o = tensor.empty() : tensor<1x16x16x2xf32>
    %0 = nn.conv ins(%x, %f : tensor<1x16x16x2xf32>, tensor<3x3x2x16xf32>) outs(%e : tensor<1x16x16x16xf32>)
      {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>} -> tensor<1x16x16x16xf32>
    %1 = nn.conv ins(%0, %g : tensor<1x16x16x16xf32>, tensor<3x3x16x2xf32>) outs(%o : tensor<1x16x16x2xf32>)
      {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>} -> tensor<1x16x16x2xf32>
    return %1 : tensor<1x16x16x2xf32>
  }
}

// -----

// Near miss: fits as it is.
// CHECK-LABEL: func.func @main
// CHECK-NOT: tensor.extract_slice
// CHECK: return
module {
  func.func @main(%x: tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32> {
    %f = arith.constant dense<0.5> : tensor<1x1x2x16xf32>
    %g = arith.constant dense<0.25> : tensor<1x1x16x2xf32>
    %e = tensor.empty() : tensor<1x4x4x16xf32>
    %o = tensor.empty() : tensor<1x4x4x2xf32>
    %0 = nn.conv ins(%x, %f : tensor<1x4x4x2xf32>, tensor<1x1x2x16xf32>) outs(%e : tensor<1x4x4x16xf32>)
      {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x4x4x16xf32>
    %1 = nn.conv ins(%0, %g : tensor<1x4x4x16xf32>, tensor<1x1x16x2xf32>) outs(%o : tensor<1x4x4x2xf32>)
      {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x4x4x2xf32>
    return %1 : tensor<1x4x4x2xf32>
  }
}

// -----

// Several uses, other strides, a pixel shuffle and a transposition at the end, along whose second dim rows lie no longer.
// CHECK-LABEL: func.func @main
// CHECK-NOT: tensor<1x32x32x16xf32>
// CHECK: nn.conv
// CHECK: nn.pool
// CHECK-NOT: tensor<1x32x32x16xf32>
// CHECK: return
module {
  func.func @main(%x: tensor<1x32x32x2xf32>) -> (tensor<1x4x32x32xf32>, tensor<1x16x16x16xf32>) {
    %f = arith.constant dense<0.5> : tensor<1x1x2x16xf32>
    %e = tensor.empty() : tensor<1x32x32x16xf32>
    %h = tensor.empty() : tensor<1x16x16x16xf32>
    %s = tensor.empty() : tensor<1x16x2x16x2x4xf32>
    %t = tensor.empty() : tensor<1x4x32x32xf32>
    %0 = nn.conv ins(%x, %f : tensor<1x32x32x2xf32>, tensor<1x1x2x16xf32>) outs(%e : tensor<1x32x32x16xf32>)
      {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x32x32x16xf32>
    %1 = nn.pool ins(%0 : tensor<1x32x32x16xf32>) outs(%h : tensor<1x16x16x16xf32>)
      {kind = #nn.pool_kind<max>, kernel = array<i64: 3, 3>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 0, 0>} -> tensor<1x16x16x16xf32>
    %2 = tensor.expand_shape %1 [[0], [1], [2], [3, 4, 5]] output_shape [1, 16, 16, 2, 2, 4] : tensor<1x16x16x16xf32> into tensor<1x16x16x2x2x4xf32>
    %3 = linalg.transpose ins(%2 : tensor<1x16x16x2x2x4xf32>) outs(%s : tensor<1x16x2x16x2x4xf32>) permutation = [0, 1, 3, 2, 4, 5]
    %4 = tensor.collapse_shape %3 [[0], [1, 2], [3, 4], [5]] : tensor<1x16x2x16x2x4xf32> into tensor<1x32x32x4xf32>
    %5 = linalg.transpose ins(%4 : tensor<1x32x32x4xf32>) outs(%t : tensor<1x4x32x32xf32>) permutation = [0, 3, 1, 2]
    return %5, %1 : tensor<1x4x32x32xf32>, tensor<1x16x16x16xf32>
  }
}

// -----

// Free sizes are left alone.
// CHECK-LABEL: func.func @main
// CHECK-NOT: tensor.insert_slice
// CHECK: return
module {
  func.func @main(%x: tensor<1x?x16x2xf32>, %e: tensor<1x?x16x16xf32>, %f: tensor<1x1x2x16xf32>) -> tensor<1x?x16x16xf32> {
    %0 = nn.conv ins(%x, %f : tensor<1x?x16x2xf32>, tensor<1x1x2x16xf32>) outs(%e : tensor<1x?x16x16xf32>)
      {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x?x16x16xf32>
    return %0 : tensor<1x?x16x16xf32>
  }
}
