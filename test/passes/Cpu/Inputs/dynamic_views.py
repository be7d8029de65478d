"""Views of dynamic buffers through the cpu stage against numpy, for many sizes with one piece of code. Argument: machine."""
import sys

import numpy as np

import compiled

# in [t, 8, 16] -> heads [8, t, 16] in a slot of the arena -> scores with the last row; the first rows of `in` come back, too.
TEXT = """
#copy = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#swap = affine_map<(d0, d1, d2) -> (d1, d0, d2)>
module {
  func.func @main(%in: memref<?x128xf32>, %keep: memref<i64>, %heads: memref<8x?x16xf32>, %last: memref<8x1x?xf32>, %first: memref<?x128xf32>,
                  %sum: memref<?xf32>, %arena: memref<?xi8>, %weights: memref<64xi8>) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c64 = arith.constant 64 : index
    %c512 = arith.constant 512 : index
    %zero = arith.constant 0.0 : f32
    %t = memref.dim %in, %c0 : memref<?x128xf32>
    %bytes = arith.muli %t, %c512 : index
    %second = arith.addi %bytes, %c64 : index
    %split = memref.expand_shape %in [[0], [1, 2]] output_shape [%t, 8, 16] : memref<?x128xf32> into memref<?x8x16xf32>
    %slot = memref.view %arena[%c64][%t] : memref<?xi8> to memref<8x?x16xf32>
    linalg.generic {indexing_maps = [#swap, #copy], iterator_types = ["parallel", "parallel", "parallel"]}
        ins(%split : memref<?x8x16xf32>) outs(%slot : memref<8x?x16xf32>) {
    ^bb0(%x: f32, %y: f32):
      linalg.yield %x : f32
    }
    memref.copy %slot, %heads : memref<8x?x16xf32> to memref<8x?x16xf32>
    // The last row of each head, at a place that depends on the size.
    %end = arith.subi %t, %c1 : index
    %row = memref.subview %slot[0, %end, 0] [8, 1, 16] [1, 1, 1] : memref<8x?x16xf32> to memref<8x1x16xf32, strided<[?, 16, 1], offset: ?>>
    nn.matmul ins(%row, %slot : memref<8x1x16xf32, strided<[?, 16, 1], offset: ?>>, memref<8x?x16xf32>) outs(%last : memref<8x1x?xf32>) {transpose_rhs}
    // As many rows as the data says.
    %wanted = memref.load %keep[] : memref<i64>
    %n = arith.index_cast %wanted : i64 to index
    %from = memref.subview %in[%c1, 0] [%n, 128] [1, 1] : memref<?x128xf32> to memref<?x128xf32, strided<[128, 1], offset: ?>>
    %to = memref.subview %first[%c1, 0] [%n, 128] [1, 1] : memref<?x128xf32> to memref<?x128xf32, strided<[128, 1], offset: ?>>
    memref.copy %from, %to : memref<?x128xf32, strided<[128, 1], offset: ?>> to memref<?x128xf32, strided<[128, 1], offset: ?>>
    // All of it as one row, through a second slot.
    %flat = memref.collapse_shape %slot [[0, 1, 2]] : memref<8x?x16xf32> into memref<?xf32>
    %all = memref.dim %flat, %c0 : memref<?xf32>
    %other = memref.view %arena[%second][%all] : memref<?xi8> to memref<?xf32>
    linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
        ins(%flat : memref<?xf32>) outs(%other : memref<?xf32>) {
    ^bb0(%x: f32, %y: f32):
      %s = arith.addf %x, %x : f32
      linalg.yield %s : f32
    }
    %back = memref.expand_shape %other [[0, 1, 2]] output_shape [8, %t, 16] : memref<?xf32> into memref<8x?x16xf32>
    linalg.fill ins(%zero : f32) outs(%sum : memref<?xf32>)
    linalg.generic {indexing_maps = [#copy, affine_map<(d0, d1, d2) -> (d1)>], iterator_types = ["reduction", "parallel", "reduction"]}
        ins(%back : memref<8x?x16xf32>) outs(%sum : memref<?xf32>) {
    ^bb0(%x: f32, %y: f32):
      %s = arith.addf %x, %y : f32
      linalg.yield %s : f32
    }
    return
  }
}
"""


def main():
    rng, bad = np.random.default_rng(3), 0
    for t in [1, 2, 3, 15, 16, 17, 33, 64, 65]:
        n = (t - 1) // 2
        x = rng.standard_normal((t, 128)).astype(np.float32)
        outputs = [np.zeros((8, t, 16), np.float32), np.zeros((8, 1, t), np.float32), np.zeros((t, 128), np.float32), np.zeros(t, np.float32)]
        results = compiled.run(TEXT, [x, np.array(n, np.int64)], outputs, sys.argv[1])
        heads = x.reshape(t, 8, 16).swapaxes(0, 1)
        first = np.zeros_like(x)
        first[1 : n + 1] = x[1 : n + 1]
        expected = [heads, heads[:, -1:] @ heads.swapaxes(1, 2), first, 2 * heads.sum((0, 2))]
        for name, got, want in zip(["heads", "last", "first", "sum"], results, expected):
            if not np.allclose(got, want, rtol=1e-4, atol=1e-4):
                bad += 1
                print(f"{t} rows: {name} is wrong")
    print(f"{bad} wrong on {sys.argv[1]}")
    sys.exit(bad != 0)


main()
