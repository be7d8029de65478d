// Blocks of 16 output channels whatever the machine, so that weights pruned for one are sparse for all: one to four
// registers, which is what hides an FMA's latency beside the pixels of a tile.
#include "passes/Tensor/PackSparse.h"

#include "dialects/Nn/Sparse.h"
#include "lib/Support/Packing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/Endian.h"

using namespace mlir;
using namespace burin;

namespace {

/// f32 weights as [rows, columns].
struct Matrix {
  int64_t rows = 0, columns = 0;
  ArrayRef<char> bytes; // empty where they are not at hand, or all the same

  explicit Matrix(ElementsAttr weights) {
    auto type = cast<ShapedType>(weights.getType());
    if (!type.getElementType().isF32() || type.getNumElements() == 0 || weights.isSplat())
      return;
    if (auto dense = dyn_cast<DenseElementsAttr>(weights))
      bytes = dense.getRawData();
    else if (auto resource = dyn_cast<DenseResourceElementsAttr>(weights))
      if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
        bytes = blob->getData();
    columns = type.getShape().back();
    rows = type.getNumElements() / columns;
    if (int64_t(bytes.size()) < rows * columns * 4)
      bytes = {};
  }
  int64_t blocks() const { return llvm::divideCeil(columns, sparseBlock); }
  int64_t width(int64_t block) const { return std::min(sparseBlock, columns - block * sparseBlock); }
  const char *at(int64_t row, int64_t block) const { return bytes.data() + (row * columns + block * sparseBlock) * 4; }
  /// No bit but signs.
  bool isZero(int64_t row, int64_t block) const {
    const char *from = at(row, block);
    for (int64_t i = 0; i < width(block); ++i)
      if (llvm::support::endian::read32le(from + 4 * i) << 1)
        return false;
    return true;
  }
  int64_t zeros() const {
    int64_t count = 0;
    for (int64_t block = 0; block < blocks(); ++block)
      for (int64_t row = 0; row < rows; ++row)
        count += isZero(row, block);
    return count;
  }
};

} // namespace

double burin::zeroBlocks(ElementsAttr weights) {
  Matrix matrix(weights);
  return matrix.bytes.empty() ? 0 : double(matrix.zeros()) / (matrix.rows * matrix.blocks());
}

bool burin::gainsBySparse(const Machine &machine, ElementsAttr weights) {
  auto type = cast<ShapedType>(weights.getType());
  return canSparse(machine) && type.getRank() >= 2 && zeroBlocks(weights) >= sparseThreshold;
}

Value burin::packSparse(ElementsAttr weights, OpBuilder &constants, Location loc) {
  Matrix matrix(weights);
  auto type = cast<ShapedType>(weights.getType());
  int64_t channels = type.getShape()[type.getRank() - 2];
  nn::SparseLayout layout{sparseBlock, matrix.rows / channels, channels, matrix.columns,
                          matrix.rows * matrix.blocks() - matrix.zeros()};
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(layout.bytes(), 64);
  char *target = blob.getMutableData().data();
  std::memset(target, 0, layout.bytes());
  auto word = [&](int64_t from, int64_t number, int64_t value) {
    llvm::support::endian::write32le(target + from + 4 * number, uint32_t(value));
  };
  int64_t entry = 0;
  for (int64_t block = 0; block < matrix.blocks(); ++block)
    for (int64_t tap = 0; tap < layout.taps; ++tap) {
      word(layout.startsAt(), block * layout.taps + tap, entry);
      for (int64_t channel = 0; channel < channels; ++channel) {
        int64_t row = tap * channels + channel;
        if (matrix.isZero(row, block))
          continue;
        std::memcpy(target + entry * layout.weightBytes(), matrix.at(row, block), 4 * matrix.width(block));
        word(layout.channelsAt(), entry++, channel);
      }
    }
  word(layout.startsAt(), layout.lists(), entry);
  auto bytes = RankedTensorType::get({layout.bytes()}, constants.getI8Type());
  return arith::ConstantOp::create(constants, loc, bytes,
                                   DenseResourceElementsAttr::get(bytes, "sparse", std::move(blob)));
}
