// Private to the ops that slide a window (convolutions, pools and their integer kin): ONNX's attributes as numbers.
// Paddings that ONNX spells by rule are computed from the inferred result shape, so that they agree with inference.
#ifndef BURIN_PASSES_LOWER_WINDOW_H
#define BURIN_PASSES_LOWER_WINDOW_H

#include "passes/Lower/Lowering.h"

namespace burin::lower {

/// strides, dilations and begin and end paddings, one entry a spatial dim.
struct Window {
  /// A begin padding that only the program could tell.
  static constexpr int64_t unknown = std::numeric_limits<int64_t>::min();
  Dims kernel, strides, dilations, begin, end;
  Dims pads() const {
    Dims all = begin;
    all.append(end);
    return all;
  }
  int64_t extent(int64_t dim) const { return (kernel[dim] - 1) * dilations[dim] + 1; }
};

template <typename OpTy> Window getWindow(OpTy op, llvm::ArrayRef<int64_t> kernel) {
  Window w;
  int64_t rank = kernel.size();
  w.kernel.assign(kernel.begin(), kernel.end());
  auto orOnes = [&](std::optional<llvm::ArrayRef<int64_t>> given) {
    return given && !given->empty() ? Dims(*given) : Dims(rank, 1);
  };
  w.strides = orOnes(op.getStrides());
  w.dilations = orOnes(op.getDilations());
  w.begin.assign(rank, 0);
  w.end.assign(rank, 0);
  if (auto pads = op.getPads(); pads && op.getAutoPad() == "NOTSET")
    for (int64_t dim = 0; dim < rank && static_cast<int64_t>(pads->size()) == 2 * rank; ++dim) {
      w.begin[dim] = (*pads)[dim];
      w.end[dim] = (*pads)[rank + dim];
    }
  return w;
}

/// SAME_UPPER and SAME_LOWER share out what the result needs; an odd one goes to the end or to the begin.
void padSame(Window &w, llvm::StringRef autoPad, llvm::ArrayRef<int64_t> input, llvm::ArrayRef<int64_t> output);
/// Fails with the error where nn's windows cannot say it.
mlir::LogicalResult checkWindow(Lowering &l, mlir::Operation *op, const Window &w);
llvm::SmallVector<mlir::NamedAttribute> windowAttributes(Lowering &l, const Window &w);
/// [k..., then `last`] of a filter whose ONNX dims are two and then the kernel's.
Order filterOrder(int64_t rank, llvm::ArrayRef<int64_t> last);

/// The flat positions of a MaxPool's maxima, the first of equals, computed beside the values (Detection.cpp).
void setMaxPoolIndices(Lowering &l, onnx::MaxPoolOp op, const Window &w);

} // namespace burin::lower

#endif
