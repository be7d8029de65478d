// RUN: burin-opt %s --split-input-file --verify-diagnostics

func.func @filter(%x: tensor<1x8x8x3xf32>, %w: tensor<3x3x4x16xf32>, %e: tensor<1x6x6x16xf32>) -> tensor<1x6x6x16xf32> {
  // expected-error @+1 {{expected a filter [k..., 3, 16], got}}
  %0 = nn.conv ins(%x, %w : tensor<1x8x8x3xf32>, tensor<3x3x4x16xf32>) outs(%e : tensor<1x6x6x16xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x6x6x16xf32>
  return %0 : tensor<1x6x6x16xf32>
}

// -----

func.func @groups(%x: tensor<1x8x8x3xf32>, %w: tensor<3x3x1x16xf32>, %e: tensor<1x6x6x16xf32>) -> tensor<1x6x6x16xf32> {
  // expected-error @+1 {{expected groups that divide 3 input and 16 output channels, got 2}}
  %0 = nn.conv ins(%x, %w : tensor<1x8x8x3xf32>, tensor<3x3x1x16xf32>) outs(%e : tensor<1x6x6x16xf32>)
    {groups = 2 : i64, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x6x6x16xf32>
  return %0 : tensor<1x6x6x16xf32>
}

// -----

func.func @window(%x: tensor<1x8x8x3xf32>, %w: tensor<3x3x3x16xf32>, %e: tensor<1x6x6x16xf32>) -> tensor<1x6x6x16xf32> {
  // expected-error @+1 {{expected 2 strides, 2 dilations and 4 pads, got 1, 2 and 4}}
  %0 = nn.conv ins(%x, %w : tensor<1x8x8x3xf32>, tensor<3x3x3x16xf32>) outs(%e : tensor<1x6x6x16xf32>)
    {strides = array<i64: 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x6x6x16xf32>
  return %0 : tensor<1x6x6x16xf32>
}

// -----

func.func @winograd(%x: tensor<1x8x8x3xf32>, %w: tensor<25x3x16xf32>, %e: tensor<1x6x6x16xf32>) -> tensor<1x6x6x16xf32> {
  // expected-error @+1 {{expected winograd = 2 or 4 on an f32 convolution of two spatial dims with steps of 1, one group and (M + 2)^2 filter positions, got winograd = 3}}
  %0 = nn.conv ins(%x, %w : tensor<1x8x8x3xf32>, tensor<25x3x16xf32>) outs(%e : tensor<1x6x6x16xf32>)
    {winograd = 3 : i64, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x6x6x16xf32>
  return %0 : tensor<1x6x6x16xf32>
}

// -----

func.func @matrices(%x: tensor<4x8xf32>, %w: tensor<9x16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // expected-error @+1 {{expected matching matrices}}
  %0 = nn.matmul ins(%x, %w : tensor<4x8xf32>, tensor<9x16xf32>) outs(%e : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----

func.func @epilogue(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // expected-error @+1 {{expected the first epilogue argument to be the accumulator 'f32', got 'i32'}}
  %0 = nn.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x16xf32>) outs(%e : tensor<4x16xf32>) epilogue {
  ^bb0(%acc: i32):
    %f = arith.sitofp %acc : i32 to f32
    nn.yield %f : f32
  } -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----

func.func @extras(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %b: tensor<16xf32>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // expected-error @+1 {{expected one extra_maps entry for each of the 1 extras, got 0}}
  %0 = nn.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x16xf32>) extras(%b : tensor<16xf32>) outs(%e : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----

func.func @softmax(%x: tensor<4x8xf32>, %e: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{expected a dim in [0, 2), got 2}}
  %0 = nn.softmax ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {dim = 2 : i64} -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

func.func @softmax_of_bytes(%x: tensor<4x8xi8>, %e: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{expected floats, or integers of 8 bits with a scale and acc f32}}
  %0 = nn.softmax ins(%x : tensor<4x8xi8>) outs(%e : tensor<4x8xf32>) {dim = 1 : i64} -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----

func.func @stored_bytes(%x: tensor<4x8xf32>, %w: tensor<100xi8>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // expected-error @+1 {{expected as many rows in as out and 128 bytes of weights, got}}
  %0 = nn.matmul ins(%x, %w : tensor<4x8xf32>, tensor<100xi8>) outs(%e : tensor<4x16xf32>)
    {packed = 16 : i64, stored = #nn.stored<bits = 4, run = 8, scale = f32, zeros = false>} -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----

func.func @stored_bits(%x: tensor<4x8xf32>, %w: tensor<100xi8>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // expected-error @+1 {{expected 2, 4 or 8 bits, runs of 1 or more and scales of f32 or f16, got}}
  %0 = nn.matmul ins(%x, %w : tensor<4x8xf32>, tensor<100xi8>) outs(%e : tensor<4x16xf32>)
    {packed = 16 : i64, stored = #nn.stored<bits = 3, run = 8, scale = f32, zeros = false>} -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}

// -----

func.func @stored_unpacked(%x: tensor<4x8xf32>, %w: tensor<128xi8>, %e: tensor<4x16xf32>) -> tensor<4x16xf32> {
  // expected-error @+1 {{expected matrices with known k and n, a block and sums of f32, got}}
  %0 = nn.matmul ins(%x, %w : tensor<4x8xf32>, tensor<128xi8>) outs(%e : tensor<4x16xf32>)
    {stored = #nn.stored<bits = 4, run = 8, scale = f32, zeros = false>} -> tensor<4x16xf32>
  return %0 : tensor<4x16xf32>
}
