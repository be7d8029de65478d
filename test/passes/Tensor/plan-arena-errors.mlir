// RUN: burin-opt %s --tensor-plan-arena --split-input-file --verify-diagnostics

// A buffer that one iteration hands to the next has no place of its own.
func.func @main(%in: memref<4xf32>, %out: memref<4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %last = scf.for %i = %c0 to %c4 step %c1 iter_args(%carried = %in) -> (memref<4xf32>) {
    // expected-error @+1 {{expected a buffer made inside a loop to be used in one iteration only}}
    %a = memref.alloc() : memref<4xf32>
    linalg.exp ins(%carried : memref<4xf32>) outs(%a : memref<4xf32>)
    scf.yield %a : memref<4xf32>
  }
  linalg.exp ins(%last : memref<4xf32>) outs(%out : memref<4xf32>)
  return
}

// -----

func.func @main(%in: memref<i64>, %out: memref<?xf32>) -> index {
  %loaded = memref.load %in[] : memref<i64>
  %count = arith.index_cast %loaded : i64 to index
  // expected-error @-3 {{expected the dims of outputs to be arithmetic on dims of inputs, as tensor-make-destinations leaves them}}
  return %count : index
}
