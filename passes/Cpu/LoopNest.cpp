// From a linalg operation to its loop nest, simplified: dims of 1 dropped, dims merged that lie behind one another in
// every operand.
#include "passes/Cpu/LoopNest.h"

#include "passes/Cpu/ByteTables.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace burin::cpu;

Type burin::cpu::computeType(Type element) {
  return element.isF16() || element.isBF16() ? Float32Type::get(element.getContext()) : element;
}

static bool isScalarType(Type type) {
  return type.isIntOrIndexOrFloat() && !(isa<IntegerType>(type) && type.getIntOrFloatBitWidth() > 64);
}

// Buffers that the emitter can address: a flat layout, elements of whole bytes or i1.
static bool isSupportedBuffer(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  if (!memref)
    return false;
  Type element = memref.getElementType();
  if (!element.isIntOrIndexOrFloat() ||
      (!element.isIndex() && !element.isInteger(1) && element.getIntOrFloatBitWidth() % 8 != 0))
    return false;
  SmallVector<int64_t> strides;
  int64_t offset;
  return succeeded(memref.getStridesAndOffset(strides, offset)) && !ShapedType::isDynamic(offset) &&
         llvm::none_of(strides, [](int64_t s) { return s < 0 && !ShapedType::isDynamic(s); });
}

static bool isSupportedBody(Block &body) {
  return llvm::all_of(body.without_terminator(), [](Operation &op) {
    if (auto load = dyn_cast<memref::LoadOp>(op))
      return isSupportedBuffer(load.getMemRefType());
    if (isa<linalg::IndexOp, arith::ConstantOp>(op) || (op.getNumResults() == 1 && matchLookup(op.getResult(0))))
      return true;
    return OpTrait::hasElementwiseMappableTraits(&op) && op.getNumRegions() == 0 && isMemoryEffectFree(&op) &&
           llvm::all_of(op.getOperandTypes(), isScalarType) && llvm::all_of(op.getResultTypes(), isScalarType);
  });
}

// expr = sum of coefficients[d] * d + constant
static bool addLinear(AffineExpr expr, const Size &scale, NestOperand &o) {
  if (auto value = dyn_cast<AffineConstantExpr>(expr)) {
    Size distance = scale * Size(value.getValue());
    if (distance.isStatic())
      o.offset += distance.value();
    else
      o.offsets.push_back(distance);
    return true;
  }
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    std::optional<Size> sum = o.strides[dim.getPosition()].plus(scale);
    o.strides[dim.getPosition()] = sum.value_or(Size());
    return sum.has_value();
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return false;
  if (binary.getKind() == AffineExprKind::Add)
    return addLinear(binary.getLHS(), scale, o) && addLinear(binary.getRHS(), scale, o);
  auto factor = dyn_cast<AffineConstantExpr>(binary.getRHS());
  return binary.getKind() == AffineExprKind::Mul && factor &&
         addLinear(binary.getLHS(), scale * Size(factor.getValue()), o);
}

// --- Maps with floordiv and mod
// ------------------------------------------------------------------------------------------------

// The smallest c such that `dim floordiv c` or `dim mod c` occurs; 0 when none does.
static int64_t smallestDivisor(ArrayRef<AffineMap> maps, unsigned dim) {
  int64_t smallest = 0;
  for (AffineMap map : maps)
    map.walkExprs([&](AffineExpr expr) {
      auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
      if (!binary || (expr.getKind() != AffineExprKind::FloorDiv && expr.getKind() != AffineExprKind::Mod))
        return;
      auto divisor = dyn_cast<AffineConstantExpr>(binary.getRHS());
      if (divisor && divisor.getValue() > 1 && binary.getLHS() == getAffineDimExpr(dim, map.getContext()))
        smallest = smallest == 0 ? divisor.getValue() : std::min(smallest, divisor.getValue());
    });
  return smallest;
}

// `expr` with dim `dim` replaced by outer * c + inner, where 0 <= inner < c.
static AffineExpr splitDim(AffineExpr expr, AffineExpr dim, AffineExpr outer, AffineExpr inner, int64_t c) {
  if (expr == dim)
    return outer * c + inner;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return expr;
  if (auto divisor = dyn_cast<AffineConstantExpr>(binary.getRHS());
      divisor && binary.getLHS() == dim && divisor.getValue() % c == 0) {
    if (expr.getKind() == AffineExprKind::FloorDiv)
      return outer.floorDiv(divisor.getValue() / c);
    if (expr.getKind() == AffineExprKind::Mod)
      return (outer % (divisor.getValue() / c)) * c + inner;
  }
  return getAffineBinaryOpExpr(expr.getKind(), splitDim(binary.getLHS(), dim, outer, inner, c),
                               splitDim(binary.getRHS(), dim, outer, inner, c));
}

// Dims that maps divide become two: repeated rows of an upsampling, the parts of a reshape. Maps are linear afterwards,
// or were too odd.
static void splitDividedDims(LoopNest &nest, SmallVectorImpl<AffineMap> &maps) {
  MLIRContext *ctx = nest.op->getContext();
  for (unsigned dim = 0; dim < nest.extents.size(); ++dim) {
    int64_t c = smallestDivisor(maps, dim);
    std::optional<Size> part = c == 0 ? std::nullopt : nest.extents[dim].dividedBy(c);
    if (!part || llvm::is_contained(nest.dimOfIndex, int(dim)))
      continue;
    unsigned added = nest.extents.size();
    nest.extents[dim] = *part;
    nest.extents.push_back(c);
    nest.reduction.push_back(nest.reduction[dim]);
    for (AffineMap &map : maps) {
      SmallVector<AffineExpr> results;
      for (AffineExpr expr : map.getResults())
        results.push_back(
            splitDim(expr, getAffineDimExpr(dim, ctx), getAffineDimExpr(dim, ctx), getAffineDimExpr(added, ctx), c));
      map = AffineMap::get(added + 1, 0, results, ctx);
    }
    --dim; // what is left of it may be divided again
  }
}

// --- Simplification
// -------------------------------------------------------------------------------------------------------------

// Dim `inner` continues where `outer` steps: in every buffer one step of `outer` is a whole run of `inner`.
static bool canMerge(const LoopNest &nest, unsigned outer, unsigned inner) {
  if (nest.reduction[outer] != nest.reduction[inner] || llvm::is_contained(nest.dimOfIndex, int(outer)) ||
      llvm::is_contained(nest.dimOfIndex, int(inner)))
    return false;
  return llvm::all_of(nest.operands, [&](const NestOperand &o) {
    return o.isScalar || o.strides[outer] == o.strides[inner] * nest.extents[inner];
  });
}

static void dropDim(LoopNest &nest, unsigned dim) {
  nest.extents.erase(nest.extents.begin() + dim);
  nest.reduction.erase(nest.reduction.begin() + dim);
  for (NestOperand &o : nest.operands)
    if (!o.isScalar)
      o.strides.erase(o.strides.begin() + dim);
  for (int &d : nest.dimOfIndex)
    d = d == int(dim) ? -1 : d > int(dim) ? d - 1 : d;
}

static void simplify(LoopNest &nest) {
  for (unsigned d = nest.extents.size(); d-- > 0;)
    if (nest.extents[d].is(1))
      dropDim(nest, d);
  for (bool changed = true; changed;) {
    changed = false;
    for (unsigned outer = 0; outer < nest.extents.size() && !changed; ++outer)
      for (unsigned inner = 0; inner < nest.extents.size() && !changed; ++inner)
        if (outer != inner && canMerge(nest, outer, inner)) {
          nest.extents[inner] = nest.extents[inner] * nest.extents[outer];
          dropDim(nest, outer);
          changed = true;
        }
  }
}

static void findDependences(LoopNest &nest) {
  for (const NestOperand &o : nest.operands) {
    uint64_t mask = o.isOutput ? LoopNest::accumulated : 0;
    for (unsigned d = 0; !o.isScalar && d < nest.extents.size(); ++d)
      mask |= !o.strides[d].is(0) ? uint64_t(1) << d : 0;
    nest.dependences[o.argument] = mask;
  }
  for (Operation &op : nest.body().without_terminator()) {
    uint64_t mask = 0;
    if (auto index = dyn_cast<linalg::IndexOp>(op))
      mask = nest.dimOfIndex[index.getDim()] < 0 ? 0 : uint64_t(1) << nest.dimOfIndex[index.getDim()];
    for (Value operand : op.getOperands())
      mask |= nest.depends(operand);
    for (Value result : op.getResults())
      nest.dependences[result] = mask;
  }
}

// What an operation's maps say is one dim has one size, whatever values its operands' layouts name it by.
static void shareExtents(LoopNest &nest, ArrayRef<AffineMap> maps) {
  SmallVector<std::optional<Size>> extents(nest.extents.size());
  llvm::SmallMapVector<Value, Size, 4> same;
  std::function<Size(Value)> resolve = [&](Value value) {
    auto found = same.find(value);
    return found == same.end() ? Size(value) : found->second.map(resolve);
  };
  auto isValue = [](const Size &size) { return size.values().size() == 1 && size.constantFactor() == 1; };
  for (const NestOperand &o : nest.operands)
    for (auto [expr, size] : llvm::zip(maps[o.operand->getOperandNumber()].getResults(), o.layout.sizes)) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      if (!dim)
        continue;
      std::optional<Size> &extent = extents[dim.getPosition()];
      Size a = size.map(resolve), b = extent ? extent->map(resolve) : a;
      extent = b;
      if (a == b)
        continue;
      // Never a value in terms of itself.
      auto replace = [&](const Size &from, const Size &to) {
        if (!isValue(from) || llvm::is_contained(to.values(), from.values()[0]))
          return false;
        same[from.values()[0]] = to;
        return true;
      };
      if (!replace(a, b) && replace(b, a))
        extent = a;
    }
  for (NestOperand &o : nest.operands)
    for (SmallVector<Size> *sizes : {&o.layout.sizes, &o.layout.strides})
      for (Size &size : *sizes)
        size = size.map(resolve);
  for (auto [extent, found] : llvm::zip(nest.extents, extents))
    if (found)
      extent = found->map(resolve);
}

FailureOr<LoopNest> burin::cpu::makeLoopNest(OpBuilder &builder, linalg::LinalgOp op) {
  LoopNest nest;
  nest.op = op;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  if (ranges.size() > 60 || !isSupportedBody(nest.body()))
    return failure();
  nest.extents.assign(ranges.begin(), ranges.end());
  for (utils::IteratorType type : op.getIteratorTypesArray())
    nest.reduction.push_back(type == utils::IteratorType::reduction);

  // Only dims whose index the body asks for must keep their identity.
  nest.dimOfIndex.assign(nest.extents.size(), -1);
  for (auto index : nest.body().getOps<linalg::IndexOp>())
    nest.dimOfIndex[index.getDim()] = index.getDim();

  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (OpOperand &operand : op->getOpOperands()) {
    NestOperand o;
    o.operand = &operand;
    o.argument = op.getMatchingBlockArgument(&operand);
    o.isOutput = op.isDpsInit(&operand);
    o.element = getElementTypeOrSelf(operand.get().getType());
    o.isScalar = !isa<MemRefType>(operand.get().getType());
    if (!o.isScalar) {
      FailureOr<Layout> layout = isSupportedBuffer(operand.get().getType())
                                     ? layoutOf(builder, op.getLoc(), operand.get())
                                     : FailureOr<Layout>(failure());
      if (failed(layout))
        return failure();
      o.layout = *layout;
    }
    nest.operands.push_back(std::move(o));
  }
  if (llvm::any_of(ranges, ShapedType::isDynamic)) {
    for (auto [extent, range] : llvm::zip(nest.extents, ranges))
      extent = ShapedType::isDynamic(range) ? Size(-1) : extent;
    shareExtents(nest, maps);
    if (llvm::is_contained(nest.extents, Size(-1)))
      return failure();
  }
  splitDividedDims(nest, maps);
  for (NestOperand &o : nest.operands) {
    if (o.isScalar)
      continue;
    o.strides.assign(nest.extents.size(), Size(0));
    for (auto [expr, stride] : llvm::zip(maps[o.operand->getOperandNumber()].getResults(), o.layout.strides))
      if (!addLinear(expr, stride, o))
        return failure();
    if (llvm::any_of(o.strides, [](const Size &s) { return s.constantFactor() < 0; }) && o.isOutput)
      return failure();
  }
  simplify(nest);
  findDependences(nest);
  return nest;
}

std::optional<int64_t> LoopNest::coefficient(Value value, unsigned dim) const {
  if (!(depends(value) & (uint64_t(1) << dim)))
    return 0;
  Operation *def = value.getDefiningOp();
  if (!def)
    return std::nullopt; // an element of a buffer
  if (isa<linalg::IndexOp>(def))
    return 1;
  auto part = [&](unsigned i) { return coefficient(def->getOperand(i), dim); };
  if (isa<arith::IndexCastOp, arith::IndexCastUIOp>(def))
    return part(0);
  if (isa<arith::AddIOp, arith::SubIOp>(def)) {
    std::optional<int64_t> a = part(0), b = part(1);
    return a && b ? std::optional<int64_t>(isa<arith::AddIOp>(def) ? *a + *b : *a - *b) : std::nullopt;
  }
  APInt factor;
  for (unsigned i : {0, 1})
    if (isa<arith::MulIOp>(def) && matchPattern(def->getOperand(1 - i), m_ConstantInt(&factor)))
      if (std::optional<int64_t> a = part(i))
        return *a * factor.getSExtValue();
  return std::nullopt;
}

std::optional<Combiner> burin::cpu::findCombiner(const LoopNest &nest, unsigned output, Type compute) {
  Block &body = nest.body();
  BlockArgument accumulator = nest.outputs()[output].argument;
  Operation *op = body.getTerminator()->getOperand(output).getDefiningOp();
  if (!op || op->getBlock() != &body || op->getNumOperands() != 2 || !accumulator.hasOneUse() ||
      !llvm::is_contained(op->getOperands(), accumulator) || !op->getResult(0).hasOneUse())
    return std::nullopt;
  Value term = op->getOperand(op->getOperand(0) == accumulator ? 1 : 0);
  if (nest.depends(term) & LoopNest::accumulated)
    return std::nullopt;

  using Kind = vector::CombiningKind;
  Builder b(op->getContext());
  auto real = [&](double value) { return b.getFloatAttr(compute, value); };
  auto integer = [&](APInt value) { return b.getIntegerAttr(compute, value); };
  unsigned bits = compute.isIntOrFloat() ? compute.getIntOrFloatBitWidth() : 64;
  double infinity = std::numeric_limits<double>::infinity();
  return TypeSwitch<Operation *, std::optional<Combiner>>(op)
      .Case<arith::AddFOp>([&](auto) { return Combiner{op, Kind::ADD, real(-0.0)}; })
      .Case<arith::MulFOp>([&](auto) { return Combiner{op, Kind::MUL, real(1.0)}; })
      .Case<arith::MaximumFOp>([&](auto) { return Combiner{op, Kind::MAXIMUMF, real(-infinity)}; })
      .Case<arith::MinimumFOp>([&](auto) { return Combiner{op, Kind::MINIMUMF, real(infinity)}; })
      .Case<arith::MaxNumFOp>([&](auto) { return Combiner{op, Kind::MAXNUMF, real(-infinity)}; })
      .Case<arith::MinNumFOp>([&](auto) { return Combiner{op, Kind::MINNUMF, real(infinity)}; })
      .Case<arith::AddIOp>([&](auto) { return Combiner{op, Kind::ADD, integer(APInt::getZero(bits))}; })
      .Case<arith::MulIOp>([&](auto) { return Combiner{op, Kind::MUL, integer(APInt(bits, 1))}; })
      .Case<arith::MaxSIOp>([&](auto) { return Combiner{op, Kind::MAXSI, integer(APInt::getSignedMinValue(bits))}; })
      .Case<arith::MinSIOp>([&](auto) { return Combiner{op, Kind::MINSI, integer(APInt::getSignedMaxValue(bits))}; })
      .Case<arith::MaxUIOp>([&](auto) { return Combiner{op, Kind::MAXUI, integer(APInt::getZero(bits))}; })
      .Case<arith::MinUIOp>([&](auto) { return Combiner{op, Kind::MINUI, integer(APInt::getAllOnes(bits))}; })
      .Case<arith::AndIOp>([&](auto) { return Combiner{op, Kind::AND, integer(APInt::getAllOnes(bits))}; })
      .Case<arith::OrIOp>([&](auto) { return Combiner{op, Kind::OR, integer(APInt::getZero(bits))}; })
      .Case<arith::XOrIOp>([&](auto) { return Combiner{op, Kind::XOR, integer(APInt::getZero(bits))}; })
      .Default([](Operation *) { return std::nullopt; });
}

bool burin::cpu::isIndependent(const LoopNest &nest) {
  for (Operation &op : nest.body())
    if (auto effects = dyn_cast<MemoryEffectOpInterface>(op); effects && effects.hasEffect<MemoryEffects::Write>())
      return false;
  for (const NestOperand &o : nest.outputs())
    for (auto [d, extent] : llvm::enumerate(nest.extents))
      if (!nest.reduction[d] && !extent.is(1) && o.strides[d].is(0))
        return false;
  return true;
}
