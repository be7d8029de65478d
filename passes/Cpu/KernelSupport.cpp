// Emitter, flat buffers, epilogues: see the header.
#include "passes/Cpu/KernelSupport.h"

#include "passes/Cpu/ByteTables.h"
#include "passes/Cpu/ParallelLoops.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/AffineExprVisitor.h"
#include "mlir/IR/IRMapping.h"
#include <functional>

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

std::optional<int64_t> cpu::constantIndex(Value value) { return getConstantIntValue(value); }

bool cpu::hasFma(const Machine &machine) { return machine.vectorBits > 128 || !machine.triple.starts_with("x86"); }

void Emitter::loop(Value lo, Value hi, int64_t step, llvm::function_ref<void(Value)> body) {
  loop(lo, hi, step, ValueRange(), [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>();
  });
}

void Emitter::parallel(Value lo, Value hi, int64_t step, llvm::function_ref<void(Value)> body, bool overlaps,
                       bool sharesInput) {
  auto first = constantIndex(lo), last = constantIndex(hi);
  overlaps |= step > 1 && (!first || !last || (*last - *first) % step != 0);
  loop(lo, hi, step, [&](Value i) {
    if (scf::ForOp loop = scf::getForInductionVarOwner(i))
      markParallel(loop, operation, overlaps, sharesInput);
    body(i);
  });
}

SmallVector<Value> Emitter::loop(Value lo, Value hi, int64_t step, ValueRange inits,
                                 llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto first = constantIndex(lo), last = constantIndex(hi);
  if (first && last && *first >= *last)
    return llvm::to_vector(inits);
  if (first && last && *first + step >= *last)
    return body(lo, inits);
  auto loop = scf::ForOp::create(b, loc, lo, hi, index(step), inits);
  OpBuilder::InsertionGuard guard(b);
  // Without values to carry the builder has made the terminator already.
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> results = body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!inits.empty())
    scf::YieldOp::create(b, loc, results);
  return llvm::to_vector(ValueRange(loop.getResults()));
}

Value Emitter::constant(Type type, double value) {
  Type element = getElementTypeOrSelf(type);
  TypedAttr attr;
  if (auto floatType = dyn_cast<FloatType>(element)) {
    APFloat converted(value);
    bool lost;
    converted.convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
    attr = FloatAttr::get(floatType, converted);
  } else {
    attr = IntegerAttr::get(element, (int64_t)value);
  }
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return arith::ConstantOp::create(b, loc, attr);
}

Value Emitter::broadcast(Value scalar, int64_t lanes) {
  return vector::BroadcastOp::create(b, loc, VectorType::get({lanes}, scalar.getType()), scalar);
}

Value Emitter::broadcastLane(Value vector, int64_t lane, int64_t lanes) {
  return vector::ShuffleOp::create(b, loc, vector, vector, SmallVector<int64_t>(lanes, lane));
}

Value Emitter::convert(Value value, Type element, bool isUnsigned) {
  Type from = getElementTypeOrSelf(value.getType());
  if (from == element)
    return value;
  Type to = element;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    to = vector.clone(element);
  unsigned fromBits = from.getIntOrFloatBitWidth(), toBits = element.getIntOrFloatBitWidth();
  if (isa<FloatType>(from) && isa<FloatType>(element)) {
    if (fromBits < toBits)
      return arith::ExtFOp::create(b, loc, to, value);
    if (fromBits == toBits) // f16 and bf16: through f32, which holds both
      return convert(convert(value, b.getF32Type(), isUnsigned), element, isUnsigned);
    return arith::TruncFOp::create(b, loc, to, value);
  }
  if (isa<FloatType>(element))
    return isUnsigned ? arith::UIToFPOp::create(b, loc, to, value).getResult()
                      : arith::SIToFPOp::create(b, loc, to, value).getResult();
  if (isa<FloatType>(from))
    return isUnsigned ? arith::FPToUIOp::create(b, loc, to, value).getResult()
                      : arith::FPToSIOp::create(b, loc, to, value).getResult();
  if (fromBits > toBits)
    return arith::TruncIOp::create(b, loc, to, value);
  return isUnsigned ? arith::ExtUIOp::create(b, loc, to, value).getResult()
                    : arith::ExtSIOp::create(b, loc, to, value).getResult();
}

Value Emitter::multiplyAdd(const Machine &machine, Value x, Value y, Value z) {
  if (!isa<FloatType>(getElementTypeOrSelf(z.getType())))
    return arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, x, y), z);
  if (!hasFma(machine))
    return arith::AddFOp::create(b, loc, arith::MulFOp::create(b, loc, x, y), z);
  if (isa<VectorType>(z.getType()))
    return vector::FMAOp::create(b, loc, x, y, z);
  return math::FmaOp::create(b, loc, x, y, z);
}

Value Emitter::addElements(Value x, Value y) {
  if (isa<FloatType>(getElementTypeOrSelf(x.getType())))
    return arith::AddFOp::create(b, loc, x, y);
  return arith::AddIOp::create(b, loc, x, y);
}

Value Emitter::sumLanes(Value vector) {
  for (int64_t n = cast<VectorType>(vector.getType()).getNumElements(); n > 1; n /= 2) {
    auto half = [&](int64_t from) {
      return vector::ShuffleOp::create(b, loc, vector, vector, llvm::to_vector(llvm::seq(from, from + n / 2)))
          .getResult();
    };
    vector = addElements(half(0), half(n / 2));
  }
  return vector::ExtractOp::create(b, loc, vector, 0);
}

SmallVector<Value> Emitter::sumEach(ArrayRef<Value> vectors) {
  int64_t lanes = cast<VectorType>(vectors.front().getType()).getNumElements();
  // One merge takes two vectors of chunks of `size` partial sums to one of chunks half as long. The masks stay within
  // 128 bits where chunks do, which x86 does in one instruction each.
  auto mask = [&](int64_t size, int64_t upper) {
    SmallVector<int64_t> picked;
    int64_t group = std::min<int64_t>(lanes, std::max<int64_t>(size, 4));
    if (size > 4 || group < 4) {
      for (int64_t chunk = 0; chunk < 2 * lanes; chunk += size)
        for (int64_t i = 0; i < size / 2; ++i)
          picked.push_back(chunk + upper * size / 2 + i);
    } else {
      for (int64_t g = 0; g < lanes; g += group)
        for (int64_t side : {g, lanes + g})
          for (int64_t chunk = side; chunk < side + group; chunk += size)
            for (int64_t i = 0; i < size / 2; ++i)
              picked.push_back(chunk + upper * size / 2 + i);
    }
    return picked;
  };
  // Which leaf arrives in which lane, found by sending numbers down the same tree.
  std::function<SmallVector<int64_t>(int64_t, int64_t)> arrive = [&](int64_t first,
                                                                     int64_t count) -> SmallVector<int64_t> {
    if (count == 1)
      return SmallVector<int64_t>(lanes, first);
    SmallVector<int64_t> a = arrive(first, count / 2), b = arrive(first + count / 2, count / 2), out;
    a.append(b);
    for (int64_t i : mask(2 * lanes / count, 0))
      out.push_back(a[i]);
    return out;
  };
  SmallVector<int64_t> leafOf = arrive(0, lanes);
  SmallVector<Value> results;
  for (size_t begin = 0; begin < vectors.size(); begin += lanes) {
    SmallVector<Value> leaves(lanes);
    for (int64_t lane = 0; lane < lanes && begin + lane < vectors.size(); ++lane)
      leaves[leafOf[lane]] = vectors[begin + lane];
    std::function<Value(int64_t, int64_t)> merge = [&](int64_t first, int64_t count) -> Value {
      if (count == 1)
        return leaves[first];
      Value x = merge(first, count / 2), y = merge(first + count / 2, count / 2);
      if (!x && !y)
        return nullptr;
      x = x ? x : y;
      y = y ? y : x;
      auto half = [&](int64_t upper) {
        return vector::ShuffleOp::create(b, loc, x, y, mask(2 * lanes / count, upper)).getResult();
      };
      return addElements(half(0), half(1));
    };
    results.push_back(merge(0, lanes));
  }
  return results;
}

void Emitter::tiles(Value extent, ArrayRef<int64_t> widths, llvm::function_ref<void(Value, int64_t)> body) {
  Value done = index(0), rest = extent;
  for (size_t level = 0; level < widths.size(); ++level) {
    int64_t width = widths[level], next = level + 1 < widths.size() ? widths[level + 1] : 0;
    Value whole = wholeOf(rest, width), over = sub(rest, whole), end = add(done, whole);
    if (width > 1) {
      // One more tile where the next narrower one would not do and there is room to start it earlier.
      Value worth = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sgt, over, index(next));
      Value room = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, extent, index(width));
      Value more = arith::AndIOp::create(b, loc, worth, room);
      end = arith::SelectOp::create(b, loc, more, extent, end);
      Value last = sub(extent, index(width));
      parallel(done, end, width, [&](Value i) { body(min(i, last), width); });
    } else {
      parallel(done, end, 1, [&](Value i) { body(i, 1); });
    }
    done = end;
    rest = sub(extent, end);
  }
}

FailureOr<Flat> cpu::flatten(Emitter &e, Value memref) {
  auto type = dyn_cast<MemRefType>(memref.getType());
  if (!type)
    return failure();
  Flat flat;
  FailureOr<Layout> known = layoutOf(e.b, e.loc, memref);
  if (failed(known))
    return failure();
  auto isStatic = [](const Size &size) { return size.isStatic(); };
  flat.sizes.assign(known->sizes.begin(), known->sizes.end());
  flat.strides.assign(known->strides.begin(), known->strides.end());
  if (llvm::is_contained(flat.sizes, Size(0)))
    return failure();
  if (!llvm::all_of(flat.sizes, isStatic) || !llvm::all_of(flat.strides, isStatic)) {
    flat.element = type.getElementType();
    flat.buffer = flatBuffer(e.b, e.loc, memref, *known);
    return flat;
  }
  int64_t span = 1;
  for (auto [stride, size] : llvm::zip(flat.strides, flat.sizes))
    span += stride.value() * (size.value() - 1);
  SmallVector<int64_t> unused;
  int64_t offset;
  (void)type.getStridesAndOffset(unused, offset);
  flat.element = type.getElementType();
  if (type.getRank() == 1 && flat.strides[0].is(1)) {
    flat.buffer = memref;
    return flat;
  }
  auto layout = StridedLayoutAttr::get(type.getContext(), offset, {1});
  auto flatType = MemRefType::get({span}, type.getElementType(), layout, type.getMemorySpace());
  OpFoldResult at = e.b.getIndexAttr(offset);
  if (ShapedType::isDynamic(offset))
    at = memref::ExtractStridedMetadataOp::create(e.b, e.loc, memref).getOffset();
  flat.buffer = memref::ReinterpretCastOp::create(e.b, e.loc, flatType, memref, at,
                                                  ArrayRef<OpFoldResult>{e.b.getIndexAttr(span)},
                                                  ArrayRef<OpFoldResult>{e.b.getIndexAttr(1)});
  return flat;
}

// Adds `factor * expr` to the coefficients of its dims; false when it is not linear.
static bool addLinear(AffineExpr expr, const Size &factor, SmallVectorImpl<Size> &coefficients, int64_t &constant) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    std::optional<Size> sum = coefficients[dim.getPosition()].plus(factor);
    coefficients[dim.getPosition()] = sum.value_or(Size(0));
    return sum.has_value();
  }
  if (auto value = dyn_cast<AffineConstantExpr>(expr)) {
    Size distance = factor * Size(value.getValue());
    constant += distance.orElse(0);
    return distance.isStatic();
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return false;
  if (binary.getKind() == AffineExprKind::Add)
    return addLinear(binary.getLHS(), factor, coefficients, constant) &&
           addLinear(binary.getRHS(), factor, coefficients, constant);
  if (binary.getKind() == AffineExprKind::Mul)
    if (auto by = dyn_cast<AffineConstantExpr>(binary.getRHS()))
      return addLinear(binary.getLHS(), factor * Size(by.getValue()), coefficients, constant);
  return false;
}

FailureOr<Epilogue> Epilogue::get(Emitter &e, nn::ComputeOp op) {
  Epilogue result;
  result.op = op;
  auto initType = cast<MemRefType>(op.getInitOperand().get().getType());
  for (auto [operand, attr] : llvm::zip(op.getEpilogueOperands(), op.getEpilogueMaps())) {
    FailureOr<Flat> flat = flatten(e, operand);
    if (failed(flat))
      return failure();
    Extra extra;
    extra.flat = *flat;
    extra.coefficients.assign(initType.getRank(), Size(0));
    for (auto [expr, stride] : llvm::zip(cast<AffineMapAttr>(attr).getValue().getResults(), flat->strides))
      if (!addLinear(expr, stride, extra.coefficients, extra.constant))
        return failure();
    // A result dim of one element never moves.
    for (auto [coefficient, size] : llvm::zip(extra.coefficients, initType.getShape()))
      if (size == 1)
        coefficient = Size(0);
    if (!extra.coefficients.back().is(0) && !extra.coefficients.back().is(1))
      return failure();
    result.operands.push_back(std::move(extra));
  }
  if (!op.getEpilogueRegion().empty()) {
    unsigned count = 0;
    for (Operation &inner : op.getEpilogueRegion().front().without_terminator()) {
      if (isa<arith::ConstantOp>(inner))
        continue;
      ++count;
      // Functions that become polynomials: too much code to repeat for each register.
      if (isa<math::MathDialect>(inner.getDialect()) &&
          !isa<math::AbsFOp, math::AbsIOp, math::FmaOp, math::SqrtOp, math::RoundEvenOp>(inner))
        count += 16;
      if (isa<arith::DivFOp, arith::MaximumFOp, arith::MinimumFOp>(inner))
        count += 1;
    }
    result.longBody = count > 8;
  }
  return result;
}

std::optional<unsigned> Epilogue::takeFirstAddend() {
  if (!op || op.getEpilogueRegion().empty())
    return std::nullopt;
  Value sum = op.getEpilogueRegion().front().getArgument(0);
  if (!sum.hasOneUse() || !isa<arith::AddFOp, arith::AddIOp>(*sum.user_begin()))
    return std::nullopt;
  Operation *addition = *sum.user_begin();
  auto other = dyn_cast<BlockArgument>(addition->getOperand(addition->getOperand(0) == sum));
  if (!other || !other.hasOneUse() || other.getOwner() != sum.getParentBlock())
    return std::nullopt;
  unsigned found = other.getArgNumber() - 1;
  if (!llvm::all_of(ArrayRef(operands[found].coefficients).drop_back(), [](const Size &step) { return step.is(0); }))
    return std::nullopt;
  added = addition->getResult(0);
  return found;
}

/// `begun`: a value of the body that the accumulator is already.
static Value cloneEpilogue(Emitter &e, nn::ComputeOp op, Value accumulator, llvm::function_ref<Value(unsigned)> extra,
                           Value until = nullptr, Value begun = nullptr) {
  Type resultElement = cast<ShapedType>(op.getInitOperand().get().getType()).getElementType();
  if (op.getEpilogueRegion().empty())
    return e.convert(accumulator, resultElement, false);
  Block &block = op.getEpilogueRegion().front();
  auto vector = dyn_cast<VectorType>(accumulator.getType());
  IRMapping mapping;
  mapping.map(begun ? begun : block.getArgument(0), accumulator);
  auto isLeftOut = [&](Value argument) {
    return begun && argument.hasOneUse() && *argument.user_begin() == begun.getDefiningOp();
  };
  for (unsigned i = 1; i < block.getNumArguments(); ++i)
    if (!block.getArgument(i).use_empty() && !isLeftOut(block.getArgument(i)))
      mapping.map(block.getArgument(i), extra(i - 1));
  // Scalars from outside the region, once a use.
  auto mapped = [&](Value value) {
    if (Value found = mapping.lookupOrNull(value))
      return found;
    Value outside = vector ? e.broadcast(value, vector.getNumElements()) : value;
    mapping.map(value, outside);
    return outside;
  };
  for (Operation &inner : block.without_terminator()) {
    if (until && mapping.contains(until))
      break;
    if (begun && &inner == begun.getDefiningOp())
      continue;
    if (auto constant = dyn_cast<arith::ConstantOp>(inner)) {
      if (vector && isa<VectorType>(constant.getType())) // a table
        continue;
      TypedAttr attr = constant.getValue();
      if (vector)
        attr = DenseElementsAttr::get(vector.clone(constant.getType()), Attribute(attr));
      mapping.map(constant.getResult(), arith::ConstantOp::create(e.b, e.loc, attr).getResult());
      continue;
    }
    if (std::optional<ByteTable> table = vector ? matchLookup(inner.getResult(0)) : std::nullopt) {
      mapping.map(inner.getResult(0), emitLookup(e.b, e.loc, *e.machine, table->values, mapped(table->input)));
      continue;
    }
    // What a vector's lookup does without.
    if (vector && isa<arith::IndexCastUIOp>(inner))
      continue;
    for (Value operand : inner.getOperands())
      (void)mapped(operand);
    Operation *copy = inner.clone(mapping);
    if (vector)
      for (OpResult result : copy->getResults())
        result.setType(vector.clone(result.getType()));
    e.b.insert(copy);
  }
  return mapped(until ? until : block.getTerminator()->getOperand(0));
}

Value Epilogue::apply(Emitter &e, Value accumulator, llvm::function_ref<Value(unsigned)> extra, Value until) const {
  return op ? cloneEpilogue(e, op, accumulator, extra, until, added) : accumulator;
}

Value Epilogue::yielded() const {
  nn::ComputeOp of = op;
  if (!of || of.getEpilogueRegion().empty())
    return nullptr;
  return of.getEpilogueRegion().front().getTerminator()->getOperand(0);
}

void cpu::storeElement(Emitter &e, nn::ComputeOp op, Value accumulator, ValueRange at) {
  Value result = cloneEpilogue(e, op, accumulator, [&](unsigned i) -> Value {
    AffineMap map = cast<AffineMapAttr>(op.getEpilogueMaps()[i]).getValue();
    SmallVector<Value> indices = *affine::expandAffineMap(e.b, e.loc, map, at);
    return memref::LoadOp::create(e.b, e.loc, op.getEpilogueOperands()[i], indices);
  });
  memref::StoreOp::create(e.b, e.loc, result, op.getInitOperand().get(), at);
}
