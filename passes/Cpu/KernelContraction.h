// One micro-kernel builder for everything that is a sum of products with contiguous output channels: convolutions
// (implicit GEMM), grouped and transposed ones, matrix products. The op's builder only fills in extents and element
// strides.
#ifndef BURIN_PASSES_CPU_KERNELCONTRACTION_H
#define BURIN_PASSES_CPU_KERNELCONTRACTION_H

#include "dialects/Nn/Sparse.h"
#include "passes/Cpu/KernelSupport.h"

namespace burin::cpu {

/// out[p..., c] = epilogue(sum over r... of lhs[p..., r...] * rhs[p..., r..., c]), every access linear in the indices.
/// lhs may have any strides (its elements are broadcast); rhs and out have their channels side by side.
struct Contraction {
  /// A loop over results other than channels ("pixels"), outermost first.
  struct Parallel {
    Size extent = 1, lhs = 0, rhs = 0, out = 0;
    llvm::SmallVector<Size, 2> extras;
    int id = -1; // what Reduction::window refers to
  };
  /// A loop over products, outermost first. With a window, tap t of pixel p is at input position base + p + t * tapStep
  /// in units that have `pixelStep` a pixel, and is skipped outside [0, size).
  struct Reduction {
    Size extent = 1, lhs = 0, rhs = 0;
    int window = -1; // id of the Parallel that moves the window, -1 when every tap lies inside
    int64_t base = 0, pixelStep = 1, tapStep = 1;
    Size size = 0;
    Value moved; // more of `base`, known at run time only; null for none
  };

  Flat lhs, rhs, out;
  int64_t lhsBase = 0, rhsBase = 0, outBase = 0;
  llvm::SmallVector<int64_t, 2> extraBases;
  /// Further offsets known at run time only, null when there are none.
  Value lhsOffset, rhsOffset, outOffset;
  llvm::SmallVector<Value, 2> extraOffsets;
  llvm::SmallVector<Parallel, 4> parallels;
  llvm::SmallVector<Reduction, 4> reductions;
  Size channels = 1;
  int64_t block = 0;       // channels a block of packed rhs; 0: a row of rhs holds all channels
  int64_t blockStride = 0; // elements of rhs from one block to the next
  /// Channels too few for a vector: rhs is [channels][reduction], and vectors lie along the reduction. 0, or elements
  /// from channel to channel.
  int64_t acrossStride = 0;
  /// rhs is packed for byte products (nn::DotLayout): a step of the innermost reduction is a word of four elements, of
  /// which `dotBytes` are there. Behind its last step comes one at `dotTail` (steps of lhs, of rhs) where that is not
  /// 0.
  bool dots = false;
  int64_t dotBytes = 4;
  std::pair<int64_t, int64_t> dotTail = {0, 0};
  /// rhs leaves blocks of zeros out: a step of the innermost reduction is an entry, whose channel says where its inputs
  /// lie; the others move rhs by lists of entries (c.block channels of results, and a tap, each).
  std::optional<nn::SparseLayout> sparse;
  void setSparse(const nn::SparseLayout &layout);
  Type acc;
  /// What products are summed in, some at a time before they join the sum in `acc`: f16 where both factors are and the
  /// machine computes in it, `acc` elsewhere.
  Type sumType(const Machine &machine) const;
  bool lhsUnsigned = false, rhsUnsigned = false;
  int64_t lhsZeroPoint = 0, rhsZeroPoint = 0;
  const Epilogue *epilogue = nullptr;

  bool windowed(const Parallel &p) const;
  const Parallel *parallelOf(const Reduction &r) const; // that moves its window
  /// Is known where windows along `p` leave the input?
  bool windowIsStatic(const Parallel &p) const;
  /// Pixels of `p` whose windows lie inside the input; the second, for sizes known at run time only.
  std::pair<int64_t, int64_t> interior(const Parallel &p) const;
  std::pair<Value, Value> interior(Emitter &e, const Parallel &p) const;
  /// Fewer and longer loops: drops windows no tap leaves, dims of one, and merges neighbours that lie behind one
  /// another everywhere.
  void normalize();
  /// Copies rhs to the stack as [channels][reduction] where vectors along the reduction do more at once than vectors of
  /// so few channels.
  void turnAcross(Emitter &e, const Machine &machine);
  /// What stands for a number of pixels known at run time only.
  static constexpr int64_t guessedPixels = 1024;
  /// Block outside or pixels outside? Whichever reads less from beyond L2.
  bool pixelsOutside(const Machine &machine, int64_t blocks, int64_t tilePixels) const;
  /// Than inputs and results: what threads had better read twice.
  bool weightsAreSmaller() const;
  /// Do the inputs of so many neighbouring pixels lie in the same sets of the cache, more of them than it holds? Copied
  /// to where they do not, they are read by all channel blocks. 1x1 1024-256: 76 % of the peak, 1040-256 99 %.
  bool pixelsCollide(const Machine &machine, int64_t pixels, const Parallel &columns) const;
  /// Room for them on the stack, a vector more apart.
  Flat panel(Emitter &e, int64_t pixels, int64_t lanes) const;
  /// Takes the extras' constant offsets.
  void setEpilogue(const Epilogue &e);
  /// Adds a parallel loop over result dim `resultDim` (or over several elements of it at once), extras' steps included.
  void addParallel(const Size &extent, const Size &lhsStep, const Size &rhsStep, const Size &outStep,
                   unsigned resultDim, int64_t resultStep = 1, int id = -1);
  /// Pixels [from, to) of the last parallel dim.
  Contraction part(int64_t from, int64_t to) const;
  /// The same for pixels whose windows meet the same taps; others than those are left out.
  Contraction partOfSameTaps(int64_t from, int64_t to) const;
  /// Where that can cut the last parallel dim: the pixels at which the taps that windows meet change, the first and the
  /// end among them.
  llvm::SmallVector<int64_t> cuts() const;
  /// The same where they are known at run time only. Inside, no window leaves the input.
  Contraction part(Emitter &e, Value from, Value to, bool inside) const;
};

/// Emits the loops. Fails when the packed block cannot be held in registers.
mlir::LogicalResult emitContraction(Emitter &e, const Machine &machine, Contraction contraction, std::string &reason);

} // namespace burin::cpu

#endif
