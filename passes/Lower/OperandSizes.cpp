// Sizes that the operands of an operator must share. Where types prove them, nothing is built; where dims are free, the
// program checks them before it reads, so that no pair of inputs makes it read or write outside a tensor. What
// broadcasts is checked with the result's shape (SizesOfResults.cpp).
#include "passes/Lower/Sizes.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace burin::lower {
namespace {

struct Checker {
  Lowering &l;

  /// Dim `dim` of a present operand, counted from the end where negative; of one of less rank nothing.
  std::optional<int64_t> dim(Value v, int64_t dim) {
    if (l.isAbsent(v))
      return std::nullopt;
    int64_t rank = l.rank(v);
    dim += dim < 0 ? rank : 0;
    return dim >= 0 && dim < rank ? std::optional(l.shape(v)[dim]) : std::nullopt;
  }
  void same(std::optional<int64_t> x, std::optional<int64_t> y) {
    if (x && y)
      l.agree(*x, *y);
  }
  void sameShape(Value v, ArrayRef<int64_t> shape) {
    for (auto [d, extent] : llvm::enumerate(shape))
      same(dim(v, d), extent);
  }
  void atMost(std::optional<int64_t> x, std::optional<int64_t> limit) {
    if (!x || !limit || *x == *limit || !(isFree(*x) || isFree(*limit)))
      return;
    int64_t fits = l.extents.compare(l.b, arith::CmpIPredicate::sle, *x, *limit);
    l.agree(fits, 1);
  }

  void convolution(Value x, Value w, Value bias, int64_t group) {
    if (auto inputs = dim(w, 1))
      same(dim(x, 1), l.mul(*inputs, group));
    if (bias)
      same(dim(bias, 0), dim(w, 0));
  }

  /// One number for all, or one for each place along `axis` (where blocks do not divide it).
  void alongAxis(Value x, Value scale, Value zeroPoint, int64_t axis, bool isBlocked) {
    if (!l.isAbsent(scale) && l.rank(scale) == 1 && !isBlocked && dim(scale, 0) != 1)
      same(dim(scale, 0), dim(x, axis));
    if (zeroPoint && !l.isAbsent(zeroPoint) && !l.isAbsent(scale))
      sameShape(zeroPoint, l.shape(scale));
  }

  /// Index tensors that lie along all dims of `data`: no longer than it but on `axis`.
  void elementIndices(Value data, Value indices, int64_t axis) {
    for (int64_t d = 0, rank = l.rank(data); d < rank; ++d)
      if (d != normalizeAxis(axis, rank))
        atMost(dim(indices, d), dim(data, d));
  }

  void scatterND(onnx::ScatterNDOp op) {
    ArrayRef<int64_t> data = l.shape(op.getData()), indices = l.shape(op.getIndices());
    if (indices.empty() || isFree(indices.back()) || indices.back() > int64_t(data.size()))
      return;
    Dims updates(indices.drop_back());
    llvm::append_range(updates, data.drop_front(indices.back()));
    sameShape(op.getUpdates(), updates);
  }

  /// X[steps, batch, size] (or batch first), W[directions, gates * hidden, size], R[directions, gates * hidden,
  /// hidden].
  template <typename OpTy> void recurrent(OpTy op, int64_t gates, ArrayRef<Value> states) {
    auto batch = dim(op.getX(), op.getLayout() ? 0 : 1), hidden = dim(op.getR(), -1), directions = dim(op.getW(), 0);
    same(dim(op.getX(), -1), dim(op.getW(), -1));
    if (!hidden)
      return;
    same(dim(op.getW(), 1), l.mul(*hidden, gates));
    same(dim(op.getR(), 1), l.mul(*hidden, gates));
    same(dim(op.getR(), 0), directions);
    same(dim(op.getB(), 0), directions);
    same(dim(op.getB(), 1), l.mul(*hidden, 2 * gates));
    same(dim(op.getSequenceLens(), 0), batch);
    for (Value state : states) {
      same(dim(state, op.getLayout() ? 0 : 1), batch);
      same(dim(state, op.getLayout() ? 1 : 0), directions);
      same(dim(state, 2), hidden);
    }
  }
};

} // namespace

void checkOperandSizes(Lowering &l, Operation *op) {
  Checker c{l};
  auto operand = [&](unsigned i) { return i < op->getNumOperands() ? op->getOperand(i) : Value(); };
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](onnx::GemmOp o) {
        c.same(c.dim(o.getA(), o.getTransA() ? 0 : 1), c.dim(o.getB(), o.getTransB() ? 1 : 0));
        for (auto [v, d, product] :
             {std::tuple(o.getA(), o.getTransA() ? 1 : 0, -2), std::tuple(o.getB(), o.getTransB() ? 0 : 1, -1)})
          if (auto extent = c.dim(o.getC(), product); extent && *extent != 1)
            c.same(extent, c.dim(v, d));
      })
      .Case([&](onnx::ConvOp o) { c.convolution(o.getX(), o.getW(), o.getB(), o.getGroup()); })
      .Case([&](onnx::ConvIntegerOp o) { c.convolution(o.getX(), o.getW(), Value(), o.getGroup()); })
      .Case([&](onnx::QLinearConvOp o) { c.convolution(operand(0), operand(3), operand(8), o.getGroup()); })
      .Case([&](onnx::ConvTransposeOp o) {
        c.same(c.dim(o.getX(), 1), c.dim(o.getW(), 0));
        if (auto outputs = c.dim(o.getW(), 1))
          c.same(c.dim(o.getB(), 0), l.mul(*outputs, o.getGroup()));
      })
      .Case<onnx::BatchNormalizationOp, onnx::InstanceNormalizationOp>([&](Operation *o) {
        for (Value parameter : o->getOperands().drop_front())
          c.same(c.dim(parameter, 0), c.dim(operand(0), 1));
      })
      .Case<onnx::QuantizeLinearOp, onnx::DequantizeLinearOp>(
          [&](auto o) { c.alongAxis(operand(0), operand(1), operand(2), o.getAxis(), o.getBlockSize() != 0); })
      .Case([&](onnx::GatherElementsOp o) { c.elementIndices(o.getData(), o.getIndices(), o.getAxis()); })
      .Case([&](onnx::ScatterElementsOp o) {
        c.elementIndices(o.getData(), o.getIndices(), o.getAxis());
        c.sameShape(o.getUpdates(), l.shape(o.getIndices()));
      })
      .Case([&](onnx::GatherNDOp o) {
        for (int64_t d = 0; d < o.getBatchDims(); ++d)
          c.same(c.dim(o.getIndices(), d), c.dim(o.getData(), d));
      })
      .Case([&](onnx::ScatterNDOp o) { c.scatterND(o); })
      .Case([&](onnx::TensorScatterOp o) {
        int64_t rank = l.rank(o.getPastCache()), axis = normalizeAxis(o.getAxis(), rank);
        for (int64_t d = 0; d < rank; ++d)
          if (d == axis)
            c.atMost(c.dim(o.getUpdate(), d), c.dim(o.getPastCache(), d));
          else
            c.same(c.dim(o.getUpdate(), d), c.dim(o.getPastCache(), d));
        c.same(c.dim(o.getWriteIndices(), 0), c.dim(o.getPastCache(), 0));
      })
      .Case([&](onnx::LSTMOp o) {
        c.recurrent(o, 4, {o.getInitialH(), o.getInitialC()});
        if (auto hidden = c.dim(o.getR(), -1))
          c.same(c.dim(o.getP(), 1), l.mul(*hidden, 3));
      })
      .Case([&](onnx::GRUOp o) { c.recurrent(o, 3, {o.getInitialH()}); })
      .Case([&](onnx::RNNOp o) { c.recurrent(o, 1, {o.getInitialH()}); });
}

} // namespace burin::lower
