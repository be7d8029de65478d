// RUN: burin-opt %s --split-input-file --verify-diagnostics

func.func @status(%c: i64, %y: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{expected a destination of i32 for the status, after the outputs}}
  %r = foreign.call "f" context(%c) outs(%y : tensor<4xf32>) {dtypes = array<i32: 1>, node_attributes = {}} -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----

func.func @dtypes(%c: i64, %y: tensor<4xf32>, %s: tensor<i32>) -> tensor<4xf32> {
  // expected-error@+1 {{expected 1 dtypes, got 2}}
  %r:2 = foreign.call "f" context(%c) outs(%y, %s : tensor<4xf32>, tensor<i32>) {dtypes = array<i32: 1, 1>, node_attributes = {}} -> tensor<4xf32>, tensor<i32>
  return %r#0 : tensor<4xf32>
}

// -----

func.func @dims(%c: i64, %y: tensor<3xi64>, %s: tensor<i32>) -> tensor<3xi64> {
  // expected-error@+1 {{expected destinations for 2 dims and the status}}
  %r:2 = foreign.call "f" context(%c) outs(%y, %s : tensor<3xi64>, tensor<i32>) {dtypes = array<i32: 1>, output_ranks = array<i32: 2>, node_attributes = {}} -> tensor<3xi64>, tensor<i32>
  return %r#0 : tensor<3xi64>
}
