// What makes an nn op well formed: ranks, dims that must agree, and an epilogue that fits its operands.
#include "dialects/Nn/Nn.h"
#include "dialects/Nn/Sparse.h"
#include "dialects/Nn/Stored.h"
#include "dialects/Nn/Winograd.h"

using namespace mlir;
using namespace burin::nn;

static bool agree(int64_t a, int64_t b) { return ShapedType::isDynamic(a) || ShapedType::isDynamic(b) || a == b; }

static LogicalResult verifyEpilogue(ComputeOp op) {
  auto initType = cast<ShapedType>(op.getInitOperand().get().getType());
  if (!initType.hasRank())
    return op->emitOpError("expected a ranked destination, got ") << initType;
  bool onTensors = isa<TensorType>(initType);
  if (op->getNumResults() != (onTensors ? 1u : 0u))
    return op->emitOpError("expected ") << (onTensors ? "one result" : "no result on memrefs") << ", got "
                                        << op->getNumResults();
  if (onTensors && op->getResult(0).getType() != initType)
    return op->emitOpError("expected a result of the destination's type ")
           << initType << ", got " << op->getResult(0).getType();
  auto extras = op.getEpilogueOperands();
  ArrayAttr maps = op.getEpilogueMaps();
  if (maps.size() != extras.size())
    return op->emitOpError("expected one extra_maps entry for each of the ")
           << extras.size() << " extras, got " << maps.size();
  for (auto [extra, attr] : llvm::zip(extras, maps)) {
    AffineMap map = cast<AffineMapAttr>(attr).getValue();
    auto type = cast<ShapedType>(extra.getType());
    if (map.getNumDims() != (unsigned)initType.getRank() || map.getNumSymbols() != 0)
      return op->emitOpError("expected an extra map from ") << initType.getRank() << " result indices, got " << attr;
    if (!type.hasRank() || map.getNumResults() != (unsigned)type.getRank())
      return op->emitOpError("expected an extra map to the ") << type << " it reads, got " << attr;
  }
  Region &region = op.getEpilogueRegion();
  if (region.empty())
    return extras.empty() ? success() : op->emitOpError("has extras but no epilogue");
  if (!region.hasOneBlock())
    return op->emitOpError("expected one block in the epilogue, got ") << region.getBlocks().size();
  Block &block = region.front();
  if (block.getNumArguments() != 1 + extras.size())
    return op->emitOpError("expected ") << 1 + extras.size() << " epilogue arguments, got " << block.getNumArguments();
  if (block.getArgument(0).getType() != op.getAccumulatorType())
    return op->emitOpError("expected the first epilogue argument to be the accumulator ")
           << op.getAccumulatorType() << ", got " << block.getArgument(0).getType();
  for (auto [extra, argument] : llvm::zip(extras, block.getArguments().drop_front()))
    if (argument.getType() != getElementTypeOrSelf(extra.getType()))
      return op->emitOpError("expected an epilogue argument of type ")
             << getElementTypeOrSelf(extra.getType()) << ", got " << argument.getType();
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!yield || yield.getValue().getType() != initType.getElementType())
    return op->emitOpError("expected the epilogue to end in nn.yield of ") << initType.getElementType();
  return success();
}

static LogicalResult verifyWindow(Operation *op, int64_t rank, ArrayRef<int64_t> strides, ArrayRef<int64_t> dilations,
                                  ArrayRef<int64_t> pads) {
  int64_t spatial = rank - 2;
  if (spatial < 1 || spatial > 3)
    return op->emitOpError("expected 1 to 3 spatial dims, got an input of rank ") << rank;
  if ((int64_t)strides.size() != spatial || (int64_t)dilations.size() != spatial || (int64_t)pads.size() != 2 * spatial)
    return op->emitOpError("expected ") << spatial << " strides, " << spatial << " dilations and " << 2 * spatial
                                        << " pads, got " << strides.size() << ", " << dilations.size() << " and "
                                        << pads.size();
  auto atLeast = [](int64_t bound) { return [=](int64_t v) { return v >= bound; }; };
  if (!llvm::all_of(strides, atLeast(1)) || !llvm::all_of(dilations, atLeast(1)) || !llvm::all_of(pads, atLeast(0)))
    return op->emitOpError("expected strides and dilations >= 1 and pads >= 0");
  return success();
}

// Ranks of operands that must be images of the same rank as the destination.
template <typename Op> static LogicalResult verifyImages(Op op, Value input) {
  auto in = cast<ShapedType>(input.getType()), out = cast<ShapedType>(op.getInit().getType());
  if (!in.hasRank() || !out.hasRank() || in.getRank() != out.getRank())
    return op->emitOpError("expected input and destination of one rank, got ") << in << " and " << out;
  if (!agree(in.getDimSize(0), out.getDimSize(0)))
    return op->emitOpError("expected one batch size, got ") << in << " and " << out;
  return verifyWindow(op, in.getRank(), op.getStrides(), op.getDilations(), op.getPads());
}

// A filter packed for integer dot products.
static LogicalResult verifyDotFilter(ConvOp op) {
  auto in = cast<ShapedType>(op.getInput().getType()), out = cast<ShapedType>(op.getInit().getType()),
       filter = cast<ShapedType>(op.getFilter().getType());
  int64_t groups = op.getGroups(), ic = in.getShape().back(), oc = out.getShape().back();
  ArrayRef<int64_t> kernel = *op.getKernel();
  if (!op.getPacked() || *op.getPacked() < 1 || (int64_t)kernel.size() != in.getRank() - 2 || groups < 1 ||
      ShapedType::isDynamic(ic) || ShapedType::isDynamic(oc) || ic % groups || oc % groups)
    return op.emitOpError("expected a block, ")
           << in.getRank() - 2 << " kernel dims and known channels that groups divide, got kernel " << kernel << " for "
           << in << " -> " << out;
  int64_t blocks = groups * llvm::divideCeil(oc / groups, *op.getPacked());
  int64_t bytes = dotLayout(op, kernel, *op.getPacked()).blockBytes();
  if (filter.getShape() != ArrayRef<int64_t>{blocks, bytes} || !filter.getElementType().isInteger(8))
    return op.emitOpError("expected a filter packed for dot products, ")
           << blocks << "x" << bytes << "xi8, got " << filter;
  return success();
}

// Weights of which blocks of zeros are left out: known sizes, and as many bytes as some number of entries takes.
template <typename Op> static LogicalResult verifySparse(Op op, Value input, Value weights, bool fits) {
  auto out = cast<ShapedType>(op.getInit().getType());
  int64_t bytes = cast<ShapedType>(weights.getType()).getDimSize(0);
  fits &= *op.getPacked() >= 1 && !ShapedType::isDynamic(cast<ShapedType>(input.getType()).getShape().back()) &&
          !ShapedType::isDynamic(out.getShape().back()) && op.getAccumulatorType().isF32();
  if (fits) {
    SparseLayout layout = sparseLayout(op);
    fits = layout.entries >= 0 && layout.share() <= 1 && layout.bytes() == bytes;
  }
  if (!fits)
    return op.emitOpError("expected known channels, sums of f32 and the bytes of a number of blocks, got ")
           << input.getType() << " and " << weights.getType() << " -> " << out;
  return success();
}

LogicalResult ConvOp::verify() {
  if (failed(verifyImages(*this, getInput())) || failed(verifyEpilogue(*this)))
    return failure();
  auto in = cast<ShapedType>(getInput().getType()), out = cast<ShapedType>(getInit().getType()),
       filter = cast<ShapedType>(getFilter().getType());
  int64_t rank = in.getRank(), groups = getGroups();
  if (isPackedSparse(*this))
    return verifySparse(*this, getInput(), getFilter(),
                        groups == 1 && !getWinograd() && (int64_t)getKernel()->size() == rank - 2);
  if (getKernel())
    return verifyDotFilter(*this);
  int64_t filterRank = rank + (getPacked() ? 1 : 0) - (getWinograd() ? 1 : 0);
  if (!filter.hasRank() || filter.getRank() != filterRank)
    return emitOpError("expected a filter of rank ") << filterRank << ", got " << filter;
  if (getWinograd()) {
    int64_t results = *getWinograd();
    auto isOne = [](int64_t v) { return v == 1; };
    if (!Winograd::isKnown(results) || rank != 4 || groups != 1 || !llvm::all_of(getStrides(), isOne) ||
        !llvm::all_of(getDilations(), isOne) || !in.getElementType().isF32() || !filter.getElementType().isF32() ||
        !agree(filter.getDimSize(getPacked() ? 1 : 0), (results + 2) * (results + 2)))
      return emitOpError("expected winograd = 2 or 4 on an f32 convolution of two spatial dims with steps of 1, one "
                         "group and (M + 2)^2 filter positions, got winograd = ")
             << results << " and " << filter;
  }
  int64_t ic = in.getDimSize(rank - 1), oc = out.getDimSize(rank - 1);
  if (groups < 1 || (!ShapedType::isDynamic(ic) && ic % groups) || (!ShapedType::isDynamic(oc) && oc % groups))
    return emitOpError("expected groups that divide ")
           << ic << " input and " << oc << " output channels, got " << groups;
  if (getPacked()) {
    int64_t block = *getPacked();
    if (groups != 1 || block < 1 || !agree(filter.getDimSize(filterRank - 1), block) ||
        !agree(filter.getDimSize(filterRank - 2), ic) ||
        (!ShapedType::isDynamic(oc) && !agree(filter.getDimSize(0), llvm::divideCeil(oc, block))))
      return emitOpError("expected a filter packed by ")
             << block << " for " << ic << " -> " << oc << " channels in one group, got " << filter;
    return success();
  }
  if ((!ShapedType::isDynamic(ic) && !agree(filter.getDimSize(filterRank - 2), ic / groups)) ||
      !agree(filter.getDimSize(filterRank - 1), oc))
    return emitOpError("expected a filter [k..., ") << ic / groups << ", " << oc << "], got " << filter;
  return success();
}

LogicalResult DepthwiseConvOp::verify() {
  if (failed(verifyImages(*this, getInput())) || failed(verifyEpilogue(*this)))
    return failure();
  auto in = cast<ShapedType>(getInput().getType()), out = cast<ShapedType>(getInit().getType()),
       filter = cast<ShapedType>(getFilter().getType());
  int64_t rank = in.getRank();
  if (!filter.hasRank() || filter.getRank() != rank - 1)
    return emitOpError("expected a filter of rank ") << rank - 1 << ", got " << filter;
  if (!agree(in.getDimSize(rank - 1), out.getDimSize(rank - 1)) ||
      !agree(in.getDimSize(rank - 1), filter.getDimSize(rank - 2)))
    return emitOpError("expected one number of channels in input, filter and destination, got ")
           << in << ", " << filter << " and " << out;
  return success();
}

LogicalResult ConvTransposeOp::verify() {
  if (failed(verifyImages(*this, getInput())) || failed(verifyEpilogue(*this)))
    return failure();
  auto in = cast<ShapedType>(getInput().getType()), out = cast<ShapedType>(getInit().getType()),
       filter = cast<ShapedType>(getFilter().getType());
  int64_t rank = in.getRank(), groups = getGroups();
  if (!filter.hasRank() || filter.getRank() != rank)
    return emitOpError("expected a filter of rank ") << rank << ", got " << filter;
  int64_t ic = in.getDimSize(rank - 1), oc = out.getDimSize(rank - 1);
  if (groups < 1 || (!ShapedType::isDynamic(ic) && ic % groups) || (!ShapedType::isDynamic(oc) && oc % groups))
    return emitOpError("expected groups that divide ")
           << ic << " input and " << oc << " output channels, got " << groups;
  if (!agree(filter.getDimSize(rank - 2), ic) ||
      (!ShapedType::isDynamic(oc) && !agree(filter.getDimSize(rank - 1), oc / groups)))
    return emitOpError("expected a filter [k..., ") << ic << ", " << oc / groups << "], got " << filter;
  return success();
}

// A product with integers that stand for floats.
static LogicalResult verifyStored(MatmulOp op) {
  auto lhs = cast<ShapedType>(op.getLhs().getType()), rhs = cast<ShapedType>(op.getRhs().getType()),
       out = cast<ShapedType>(op.getInit().getType());
  StoredAttr stored = op.getStoredAttr();
  int64_t bits = stored.getBits();
  if ((bits != 2 && bits != 4 && bits != 8) || stored.getRun() < 1 ||
      !(stored.getScale().isF32() || stored.getScale().isF16()))
    return op.emitOpError("expected 2, 4 or 8 bits, runs of 1 or more and scales of f32 or f16, got ") << stored;
  if (lhs.getRank() != 2 || out.getRank() != 2 || !op.getPacked() || *op.getPacked() < 1 || op.getTransposeRhs() ||
      !op.getAccumulatorType().isF32() || lhs.isDynamicDim(1) || out.isDynamicDim(1))
    return op.emitOpError("expected matrices with known k and n, a block and sums of f32, got ")
           << lhs << " -> " << out;
  int64_t bytes = storedLayout(op).bytes();
  if (!agree(lhs.getDimSize(0), out.getDimSize(0)) || rhs.getRank() != 1 || !rhs.getElementType().isInteger(8) ||
      rhs.getDimSize(0) != bytes)
    return op.emitOpError("expected as many rows in as out and ")
           << bytes << " bytes of weights, got " << lhs << " x " << rhs << " -> " << out;
  return success();
}

LogicalResult MatmulOp::verify() {
  if (failed(verifyEpilogue(*this)))
    return failure();
  if (getStored())
    return verifyStored(*this);
  auto lhs = cast<ShapedType>(getLhs().getType()), rhs = cast<ShapedType>(getRhs().getType()),
       out = cast<ShapedType>(getInit().getType());
  if (!lhs.hasRank() || !rhs.hasRank() || lhs.getRank() < 2 || lhs.getRank() != out.getRank())
    return emitOpError("expected lhs and destination of one rank >= 2, got ") << lhs << " and " << out;
  int64_t rank = lhs.getRank(), k = lhs.getDimSize(rank - 1), n = out.getDimSize(rank - 1);
  bool fits = agree(lhs.getDimSize(rank - 2), out.getDimSize(rank - 2));
  if (isPackedSparse(*this))
    return verifySparse(*this, getLhs(), getRhs(), fits && !getTransposeRhs());
  if (isPackedForDots(*this)) {
    int64_t block = *getPacked();
    fits &= !getTransposeRhs() && rhs.getRank() == 2 && block >= 1 && !ShapedType::isDynamic(k) &&
            agree(rhs.getDimSize(1), dotLayout(*this, block).blockBytes()) &&
            (ShapedType::isDynamic(n) || agree(rhs.getDimSize(0), llvm::divideCeil(n, block)));
  } else if (getPacked()) {
    int64_t block = *getPacked();
    fits &= !getTransposeRhs() && rhs.getRank() == 3 && block >= 1 && agree(rhs.getDimSize(1), k) &&
            agree(rhs.getDimSize(2), block) &&
            (ShapedType::isDynamic(n) || agree(rhs.getDimSize(0), llvm::divideCeil(n, block)));
  } else {
    int64_t r = rhs.getRank();
    fits &= r == 2 || r == rank;
    if (fits)
      fits &= agree(rhs.getDimSize(r - 2), getTransposeRhs() ? n : k) &&
              agree(rhs.getDimSize(r - 1), getTransposeRhs() ? k : n);
    for (int64_t d = 0; fits && r == rank && d < rank - 2; ++d)
      fits &= rhs.getDimSize(d) == 1 || agree(rhs.getDimSize(d), out.getDimSize(d));
  }
  for (int64_t d = 0; d < rank - 2; ++d)
    fits &= lhs.getDimSize(d) == 1 || agree(lhs.getDimSize(d), out.getDimSize(d));
  if (!fits)
    return emitOpError("expected matching matrices, got ") << lhs << " x " << rhs << " -> " << out;
  return success();
}

LogicalResult PoolOp::verify() {
  if (failed(verifyImages(*this, getInput())) || failed(verifyEpilogue(*this)))
    return failure();
  auto in = cast<ShapedType>(getInput().getType()), out = cast<ShapedType>(getInit().getType());
  int64_t rank = in.getRank();
  if ((int64_t)getKernel().size() != rank - 2)
    return emitOpError("expected ") << rank - 2 << " kernel dims, got " << getKernel().size();
  if (!agree(in.getDimSize(rank - 1), out.getDimSize(rank - 1)))
    return emitOpError("expected one number of channels, got ") << in << " and " << out;
  return success();
}

LogicalResult SoftmaxOp::verify() {
  auto in = cast<ShapedType>(getInput().getType()), out = cast<ShapedType>(getInit().getType());
  if (failed(verifyEpilogue(*this)))
    return failure();
  if (!in.hasRank() || failed(verifyCompatibleShape(in, out)))
    return emitOpError("expected one shape, got ") << in << " and " << out;
  if ((int64_t)getDim() < 0 || (int64_t)getDim() >= in.getRank())
    return emitOpError("expected a dim in [0, ") << in.getRank() << "), got " << (int64_t)getDim();
  if (bool(getScale()) != in.getElementType().isInteger(8) || (getScale() && !getAccumulatorType().isF32()))
    return emitOpError("expected floats, or integers of 8 bits with a scale and acc f32, got ") << in;
  return success();
}
