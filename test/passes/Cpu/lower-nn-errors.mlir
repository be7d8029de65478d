// RUN: burin-opt %s --pass-pipeline='builtin.module(func.func(cpu-lower-nn))' --split-input-file --verify-diagnostics

func.func @tensors(%x: tensor<8x24xf32>, %w: tensor<24x12xf32>, %y: tensor<8x12xf32>) -> tensor<8x12xf32> {
  // expected-error @below {{expected buffers, got tensors: run the tensor stage first}}
  %r = nn.matmul ins(%x, %w : tensor<8x24xf32>, tensor<24x12xf32>) outs(%y : tensor<8x12xf32>) -> tensor<8x12xf32>
  return %r : tensor<8x12xf32>
}
