// See Rows.h. Two functions a kind of operation: which rows it reads, and the operation on them. A window that reaches
// beyond the rows it may read has padding there, at the first and last rows as before.
#include "passes/Tensor/Rows.h"

#include "dialects/Nn/Nn.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace burin;

using Reads = std::optional<SmallVector<ReadRows>>;

static RankedTensorType withRows(Type type, int64_t dim, int64_t rows) {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape());
  shape[dim] = rows;
  return RankedTensorType::get(shape, tensor.getElementType());
}

static int64_t sizeOf(Value tensor, int64_t dim) { return cast<RankedTensorType>(tensor.getType()).getDimSize(dim); }

namespace {
// Where the windows of some rows lie in the input, and how far they reach beyond it.
struct Window {
  Rows rows;
  int64_t before, behind;
};
} // namespace

static Window windowOf(Rows out, int64_t stride, int64_t dilation, int64_t taps, int64_t padBefore, int64_t padBehind,
                       int64_t size) {
  int64_t from = out.from * stride - padBefore, to = (out.to - 1) * stride + (taps - 1) * dilation + 1 - padBefore;
  return {{std::max<int64_t>(from, 0), std::min(to, size)},
          std::max<int64_t>(-from, 0),
          std::min(std::max<int64_t>(to - size, 0), padBehind)};
}

// Extents of a filter's taps, however it is packed.
static int64_t tapsOf(nn::ConvOp op, int64_t spatial) {
  if (op.getKernel())
    return (*op.getKernel())[spatial];
  if (op.getWinograd())
    return 3;
  return sizeOf(op.getFilter(), spatial + (op.getPacked() ? 1 : 0));
}
static int64_t tapsOf(nn::DepthwiseConvOp op, int64_t spatial) { return sizeOf(op.getFilter(), spatial); }
static int64_t tapsOf(nn::PoolOp op, int64_t spatial) { return op.getKernel()[spatial]; }

template <typename Op> static Window windowOf(Op op, int64_t dim, Rows rows) {
  int64_t spatial = dim - 1, rank = op.getStrides().size();
  return windowOf(rows, op.getStrides()[spatial], op.getDilations()[spatial], tapsOf(op, spatial),
                  op.getPads()[spatial], op.getPads()[rank + spatial], sizeOf(op.getInput(), dim));
}

// Output row o is the sum over taps k of input rows i with o = i * stride + k * dilation - pad: the first and last i,
// and where output row `from` lies in what these give.
static Window windowOf(nn::ConvTransposeOp op, int64_t dim, Rows out) {
  int64_t spatial = dim - 1, stride = op.getStrides()[spatial], pad = op.getPads()[spatial];
  int64_t reach = (sizeOf(op.getFilter(), spatial) - 1) * op.getDilations()[spatial], size = sizeOf(op.getInput(), dim);
  int64_t from = std::max<int64_t>(
      0, llvm::divideFloorSigned(std::min(out.from + pad - reach + stride - 1, out.from + pad), stride));
  int64_t to = std::min(size, (out.to - 1 + pad) / stride + 1);
  return {{from, to}, out.from + pad - from * stride, op.getPads()[op.getStrides().size() + spatial]};
}

static Reads windowReads(Operation *op, int64_t dim, Rows rows, const Window &window, int64_t spatialDims) {
  if (dim < 1 || dim > spatialDims || window.rows.from >= window.rows.to || window.before < 0)
    return std::nullopt;
  return SmallVector<ReadRows>{{&op->getOpOperand(0), dim, window.rows}};
}

// Operands of an epilogue, read through maps from the result's indices.
static Reads withEpilogue(nn::ComputeOp op, int64_t dim, Rows rows, Reads reads) {
  if (!reads)
    return reads;
  for (auto [i, map] : llvm::enumerate(op.getEpilogueMaps().getAsValueRange<AffineMapAttr>()))
    for (auto [at, expr] : llvm::enumerate(map.getResults())) {
      if (!expr.isFunctionOfDim(dim))
        continue;
      if (!isa<AffineDimExpr>(expr))
        return std::nullopt;
      reads->push_back({&op->getOpOperand(op.getEpilogueOperandsBegin() + i), int64_t(at), rows});
    }
  return reads;
}

static Reads matmulReads(nn::MatmulOp op, int64_t dim, Rows rows) {
  auto lhs = cast<RankedTensorType>(op.getLhs().getType()), rhs = cast<RankedTensorType>(op.getRhs().getType());
  int64_t rank = cast<RankedTensorType>(op.getInit().getType()).getRank();
  if (lhs.getRank() != rank || dim == rank - 1)
    return std::nullopt;
  SmallVector<ReadRows> reads;
  if (lhs.getDimSize(dim) != 1)
    reads.push_back({&op.getLhsMutable(), dim, rows});
  if (dim < rank - 2 && rhs.getRank() == rank && rhs.getDimSize(dim) != 1)
    reads.push_back({&op.getRhsMutable(), dim, rows});
  return reads;
}

static Reads linalgReads(linalg::LinalgOp op, int64_t dim, Rows rows) {
  if (op->getNumResults() != 1)
    return std::nullopt;
  OpOperand *init = op.getDpsInitOperand(0);
  auto loop = dyn_cast<AffineDimExpr>(op.getMatchingIndexingMap(init).getResult(dim));
  if (!loop || op.getIteratorTypesArray()[loop.getPosition()] != utils::IteratorType::parallel)
    return std::nullopt;
  SmallVector<ReadRows> reads;
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<RankedTensorType>(operand.get().getType()) || (&operand == init && !op.payloadUsesValueFromOperand(init)))
      continue;
    bool isFound = false;
    for (auto [at, expr] : llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults())) {
      if (!expr.isFunctionOfDim(loop.getPosition()))
        continue;
      if (!isa<AffineDimExpr>(expr) || std::exchange(isFound, true))
        return std::nullopt;
      reads.push_back({&operand, int64_t(at), rows});
    }
  }
  return reads;
}

namespace {
// A dim of the longer shape of a reshape that is `inner` elements of one of the shorter one; those before it are 1.
struct Reshape {
  int64_t longer, shorter, inner;
};
} // namespace

static std::optional<Reshape> reshapeAt(ArrayRef<ReassociationIndices> groups, ArrayRef<int64_t> longerShape,
                                        std::optional<int64_t> longer, std::optional<int64_t> shorter) {
  for (auto [group, dims] : llvm::enumerate(groups)) {
    if (shorter ? int64_t(group) != *shorter : !llvm::is_contained(dims, *longer))
      continue;
    size_t at = 0;
    while (at + 1 < dims.size() && (longer ? dims[at] != *longer : longerShape[dims[at]] == 1)) {
      if (longerShape[dims[at]] != 1)
        return std::nullopt;
      ++at;
    }
    int64_t inner = 1;
    for (size_t i = at + 1; i < dims.size(); ++i)
      inner *= longerShape[dims[i]];
    return Reshape{dims[at], int64_t(group), inner};
  }
  return std::nullopt;
}

static std::optional<Reshape> reshapeOf(tensor::ExpandShapeOp op, int64_t dim) {
  return reshapeAt(op.getReassociationIndices(), op.getResultType().getShape(), dim, std::nullopt);
}
static std::optional<Reshape> reshapeOf(tensor::CollapseShapeOp op, int64_t dim) {
  return reshapeAt(op.getReassociationIndices(), op.getSrcType().getShape(), std::nullopt, dim);
}

static Rows outerRows(Rows rows, int64_t inner) { return {rows.from / inner, (rows.to + inner - 1) / inner}; }

template <typename Op> static bool isStatic(Op op) {
  auto isKnown = [](ArrayRef<int64_t> values) { return llvm::none_of(values, ShapedType::isDynamic); };
  return isKnown(op.getStaticOffsets()) && isKnown(op.getStaticSizes()) && isKnown(op.getStaticStrides()) &&
         op.getSourceType().getRank() == int64_t(op.getStaticSizes().size());
}

// The rows of an insertion that its source gives.
static Rows insertedRows(tensor::InsertSliceOp op, int64_t dim, Rows rows) {
  int64_t offset = op.getStaticOffset(dim);
  return {std::max(rows.from, offset), std::min(rows.to, offset + op.getStaticSize(dim))};
}

Reads burin::readRows(Operation *op, int64_t dim, Rows rows) {
  auto isKnown = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return !tensor || tensor.hasStaticShape();
  };
  if (op->getNumResults() != 1 || !isa<RankedTensorType>(op->getResult(0).getType()) ||
      !llvm::all_of(op->getOperandTypes(), isKnown) || !isKnown(op->getResult(0).getType()))
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, Reads>(op)
      .Case<nn::ConvOp, nn::DepthwiseConvOp, nn::PoolOp, nn::ConvTransposeOp>([&](auto o) -> Reads {
        int64_t spatial = o.getStrides().size();
        if (dim < 1 || dim > spatial)
          return std::nullopt;
        return withEpilogue(o, dim, rows, windowReads(o, dim, rows, windowOf(o, dim, rows), spatial));
      })
      .Case([&](nn::MatmulOp o) { return withEpilogue(o, dim, rows, matmulReads(o, dim, rows)); })
      .Case([&](nn::SoftmaxOp o) -> Reads {
        if (dim == int64_t(o.getDim()))
          return std::nullopt;
        return withEpilogue(o, dim, rows, SmallVector<ReadRows>{{&o.getInputMutable(), dim, rows}});
      })
      .Case([&](linalg::LinalgOp o) { return linalgReads(o, dim, rows); })
      .Case([&](tensor::ExpandShapeOp o) -> Reads {
        auto at = reshapeOf(o, dim);
        if (!at)
          return std::nullopt;
        return SmallVector<ReadRows>{{&o.getSrcMutable(), at->shorter, {rows.from * at->inner, rows.to * at->inner}}};
      })
      .Case([&](tensor::CollapseShapeOp o) -> Reads {
        auto at = reshapeOf(o, dim);
        if (!at)
          return std::nullopt;
        return SmallVector<ReadRows>{{&o.getSrcMutable(), at->longer, outerRows(rows, at->inner)}};
      })
      .Case([&](tensor::ExtractSliceOp o) -> Reads {
        if (!isStatic(o) || o.getType().getRank() != o.getSourceType().getRank())
          return std::nullopt;
        int64_t offset = o.getStaticOffset(dim), stride = o.getStaticStride(dim);
        return SmallVector<ReadRows>{
            {&o.getSourceMutable(), dim, {offset + rows.from * stride, offset + (rows.to - 1) * stride + 1}}};
      })
      .Case([&](tensor::InsertSliceOp o) -> Reads {
        if (!isStatic(o) || o.getStaticStride(dim) != 1)
          return std::nullopt;
        SmallVector<ReadRows> reads{{&o.getDestMutable(), dim, rows}};
        int64_t offset = o.getStaticOffset(dim);
        if (Rows in = insertedRows(o, dim, rows); in.from < in.to)
          reads.push_back({&o.getSourceMutable(), dim, {in.from - offset, in.to - offset}});
        return reads;
      })
      .Default([](Operation *) { return std::nullopt; });
}

Value burin::sliceRows(OpBuilder &builder, Location loc, Value tensor, int64_t dim, Rows rows) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (rows.count() == type.getDimSize(dim))
    return tensor;
  if (tensor.getDefiningOp<tensor::EmptyOp>())
    return tensor::EmptyOp::create(builder, loc, withRows(type, dim, rows.count()).getShape(), type.getElementType());
  SmallVector<OpFoldResult> offsets(type.getRank(), builder.getIndexAttr(0)),
      ones(type.getRank(), builder.getIndexAttr(1)),
      sizes = getAsIndexOpFoldResult(builder.getContext(), withRows(type, dim, rows.count()).getShape());
  offsets[dim] = builder.getIndexAttr(rows.from);
  return tensor::ExtractSliceOp::create(builder, loc, tensor, offsets, sizes, ones);
}

Value burin::insertRows(OpBuilder &builder, Location loc, Value part, Value whole, int64_t dim, Rows rows) {
  auto type = cast<RankedTensorType>(whole.getType());
  SmallVector<OpFoldResult> offsets(type.getRank(), builder.getIndexAttr(0)),
      ones(type.getRank(), builder.getIndexAttr(1)),
      sizes = getAsIndexOpFoldResult(builder.getContext(), withRows(type, dim, rows.count()).getShape());
  offsets[dim] = builder.getIndexAttr(rows.from);
  return tensor::InsertSliceOp::create(builder, loc, part, whole, offsets, sizes, ones);
}

template <typename Op> static void setPads(Op op, int64_t dim, const Window &window) {
  SmallVector<int64_t> pads(op.getPads());
  pads[dim - 1] = window.before;
  pads[pads.size() / 2 + dim - 1] = window.behind;
  op.setPads(pads);
}

// An operation with a destination: cloned, its operands and the type of its result replaced.
static Value computeInDestination(OpBuilder &builder, Operation *op, int64_t dim, Rows rows, ArrayRef<ReadRows> reads,
                                  llvm::function_ref<Value(const ReadRows &)> take) {
  unsigned init = cast<DestinationStyleOpInterface>(op).getDpsInitOperand(0)->getOperandNumber();
  RankedTensorType type = withRows(op->getResult(0).getType(), dim, rows.count());
  SmallVector<Value> operands(op->getOperands());
  operands[init] = nullptr;
  for (const ReadRows &read : reads)
    operands[read.operand->getOperandNumber()] = take(read);
  if (!operands[init])
    operands[init] = tensor::EmptyOp::create(builder, op->getLoc(), type.getShape(), type.getElementType());
  Operation *copy = builder.clone(*op);
  copy->setOperands(operands);
  copy->getResult(0).setType(type);
  if (auto loops = dyn_cast<linalg::LinalgOp>(op)) {
    auto loop = cast<AffineDimExpr>(loops.getMatchingIndexingMap(loops.getDpsInitOperand(0)).getResult(dim));
    copy->walk([&](linalg::IndexOp index) {
      if (index.getDim() != loop.getPosition() || rows.from == 0)
        return;
      OpBuilder body(index->getContext());
      body.setInsertionPointAfter(index);
      Value from = arith::ConstantIndexOp::create(body, index.getLoc(), rows.from);
      Value moved = arith::AddIOp::create(body, index.getLoc(), index, from);
      index.getResult().replaceAllUsesExcept(moved, moved.getDefiningOp());
    });
  }
  llvm::TypeSwitch<Operation *>(op).Case<nn::ConvOp, nn::DepthwiseConvOp, nn::PoolOp, nn::ConvTransposeOp>(
      [&](auto o) { setPads(cast<decltype(o)>(copy), dim, windowOf(o, dim, rows)); });
  return copy->getResult(0);
}

Value burin::computeRows(OpBuilder &builder, Operation *op, int64_t dim, Rows rows,
                         llvm::function_ref<Value(const ReadRows &)> take) {
  SmallVector<ReadRows> reads = *readRows(op, dim, rows);
  Location loc = op->getLoc();
  RankedTensorType type = withRows(op->getResult(0).getType(), dim, rows.count());
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](tensor::ExpandShapeOp o) -> Value {
        return tensor::ExpandShapeOp::create(builder, loc, type, take(reads[0]), o.getReassociationIndices());
      })
      .Case([&](tensor::CollapseShapeOp o) -> Value {
        int64_t inner = reshapeOf(o, dim)->inner, first = reads[0].rows.from * inner;
        Value all = tensor::CollapseShapeOp::create(builder, loc, take(reads[0]), o.getReassociationIndices());
        return sliceRows(builder, loc, all, dim, {rows.from - first, rows.to - first});
      })
      .Case([&](tensor::ExtractSliceOp o) -> Value {
        SmallVector<OpFoldResult> offsets = o.getMixedOffsets(), sizes = o.getMixedSizes();
        offsets[dim] = builder.getIndexAttr(0);
        sizes[dim] = builder.getIndexAttr(rows.count());
        return tensor::ExtractSliceOp::create(builder, loc, take(reads[0]), offsets, sizes, o.getMixedStrides());
      })
      .Case([&](tensor::InsertSliceOp o) -> Value {
        Value dest = take(reads[0]);
        if (reads.size() == 1)
          return dest;
        Rows in = insertedRows(o, dim, rows);
        SmallVector<OpFoldResult> offsets = o.getMixedOffsets(), sizes = o.getMixedSizes();
        offsets[dim] = builder.getIndexAttr(in.from - rows.from);
        sizes[dim] = builder.getIndexAttr(in.count());
        return tensor::InsertSliceOp::create(builder, loc, take(reads[1]), dest, offsets, sizes, o.getMixedStrides());
      })
      .Default([&](Operation *) { return computeInDestination(builder, op, dim, rows, reads, take); });
}
