// Blocks of columns: each part of a group, scales, zero points and words, is a matrix with a row of one block's columns
// after another's, so that packing moves runs of bytes.
#include "passes/Tensor/PackStored.h"

#include "dialects/Nn/Stored.h"
#include "lib/Support/Packing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace burin;

// From one layout of the same matrix to another. Columns [from, from + count) lie in one block of either.
static void moveColumns(const char *source, const nn::StoredLayout &a, char *target, const nn::StoredLayout &b,
                        int64_t from, int64_t count) {
  int64_t inA = from % a.block, inB = from % b.block, blockA = from / a.block, blockB = from / b.block;
  int64_t widthA = a.widthOf(blockA), widthB = b.widthOf(blockB);
  for (int64_t group = 0; group < a.groups(); ++group) {
    const char *x = source + a.start(blockA, group);
    char *y = target + b.start(blockB, group);
    std::memcpy(y + inB * a.scaleBytes, x + inA * a.scaleBytes, count * a.scaleBytes);
    if (a.zeros)
      std::memcpy(y + widthB * a.scaleBytes + inB, x + widthA * a.scaleBytes + inA, count);
    for (int64_t word = 0; word < a.wordsOf(group); ++word)
      std::memcpy(y + b.wordAt(word, inB, widthB), x + a.wordAt(word, inA, widthA), 4 * count);
  }
}

LogicalResult burin::packStored(const Machine &machine, nn::MatmulOp matmul, OpBuilder &constants,
                                std::string &reason) {
  ElementsAttr value;
  if (!matchPattern(matmul.getRhs(), m_Constant(&value)))
    return reason = "the weights are not constant", failure();
  nn::StoredLayout from = nn::storedLayout(matmul), to = from;
  to.block = storedBlock(machine, from.n);
  auto type = cast<RankedTensorType>(matmul.getRhs().getType());
  auto resource = dyn_cast<DenseResourceElementsAttr>(value);
  auto dense = dyn_cast<DenseElementsAttr>(value);
  ArrayRef<char> source;
  if (dense && !dense.isSplat())
    source = dense.getRawData();
  else if (resource && resource.getRawHandle().getBlob())
    source = resource.getRawHandle().getBlob()->getData();
  if (int64_t(source.size()) < from.bytes())
    return reason = "the weights' bytes are not at hand", failure();
  if (to.block != from.block) {
    AsmResourceBlob blob = HeapAsmResourceBlob::allocate(to.bytes(), 64);
    for (int64_t column = 0; column < to.n; column += to.block)
      for (int64_t done = 0, width = std::min(to.block, to.n - column); done < width;) {
        int64_t at = column + done, count = std::min(width - done, from.block - at % from.block);
        moveColumns(source.data(), from, blob.getMutableData().data(), to, at, count);
        done += count;
      }
    matmul.getRhsMutable().assign(arith::ConstantOp::create(
        constants, matmul.getRhs().getLoc(), type, DenseResourceElementsAttr::get(type, "packed", std::move(blob))));
  }
  matmul.setPacked(to.block);
  return success();
}
