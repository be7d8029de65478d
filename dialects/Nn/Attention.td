// Attention in one pass: what softmax stands between two matrix products, none of whose scores reach memory.
#ifndef BURIN_NN_ATTENTION_TD
#define BURIN_NN_ATTENTION_TD

include "dialects/Nn/Nn.td"

def Nn_AttentionOp : Nn_Op<"attention", [
    DestinationStyleOpInterface, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
    DeclareOpInterfaceMethods<ConditionallySpeculatable>]> {
  let summary = "softmax of scores of queries and keys, times values";
  let description = [{
    `sizes` are extents [B, I, J, E, C] of batches, queries, keys, elements of a key, columns of a value. With q(b, i, e), k(b, j, e) and v(b, j, c) the elements of
    query, key and value that the first three of `maps` find, and `s(b, i, j) = score(sum over e of q k, extras)`:
    `result at map 3 of (b, i, c) = (sum over j of exp(s - m) v) / sum over j of exp(s - m)`, m the greatest s of (b, i).
    Maps repeat, turn and cut operands: heads that share keys, caches, parts of one projection. The fourth must reach each element of the result once. Sums
    are f32; `score` has the sum and one element of each extra, found at (b, i, j), as arguments and yields a float; an empty one yields the sum.
    A row whose scores are all -infinity is NaN.
  }];
  let arguments = (ins AnyShaped:$query, AnyShaped:$key, AnyShaped:$value, Variadic<AnyShaped>:$extras, AnyShaped:$init,
                       DenseI64ArrayAttr:$sizes, AffineMapArrayAttr:$maps, DefaultValuedAttr<AffineMapArrayAttr, "{}">:$extra_maps);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region AnyRegion:$score);
  let hasVerifier = 1;
  let assemblyFormat = [{`ins` `(` $query `,` $key `,` $value `:` type($query) `,` type($key) `,` type($value) `)`
    (`extras` `(` $extras^ `:` type($extras) `)`)? `outs` `(` $init `:` type($init) `)` attr-dict (`score` $score^)? (`->` type($results)^)?}];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
    ::mlir::OpOperand &getInitOperand() { return getInitMutable(); }
    ::mlir::AffineMap getMap(unsigned i) { return ::llvm::cast<::mlir::AffineMapAttr>(getMaps()[i]).getValue(); }
    ::mlir::AffineMap getExtraMap(unsigned i) { return ::llvm::cast<::mlir::AffineMapAttr>(getExtraMaps()[i]).getValue(); }
  }];
}

#endif // BURIN_NN_ATTENTION_TD
