// RUN: burin-opt %s | burin-opt | FileCheck %s
// RUN: burin-opt %s --one-shot-bufferize=bufferize-function-boundaries | FileCheck %s --check-prefix=BUFFERS

// CHECK-LABEL: @call
// CHECK: foreign.context
// CHECK: foreign.call "f" context(%{{.*}}) ins(%arg0 : tensor<4xf32>) outs(%{{.*}}, %{{.*}} : tensor<4xf32>, tensor<i32>)
// A slice is copied before the call, the destination is written in place.
// BUFFERS-LABEL: @call
// BUFFERS: foreign.call "f" context(%{{.*}}) ins(%{{.*}} : memref<4xf32{{.*}}>) outs(%{{.*}}, %{{.*}} : memref<4xf32>, memref<i32>)
func.func @call(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<i32>) {
  %c = foreign.context
  %y = tensor.empty() : tensor<4xf32>
  %s = tensor.empty() : tensor<i32>
  %r:2 = foreign.call "f" context(%c) ins(%x : tensor<4xf32>) outs(%y, %s : tensor<4xf32>, tensor<i32>)
    {dtypes = array<i32: 1, 1>, node_attributes = {}} -> tensor<4xf32>, tensor<i32>
  return %r#0, %r#1 : tensor<4xf32>, tensor<i32>
}
