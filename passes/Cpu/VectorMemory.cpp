// Loads, stores and transposes of vectors. Where there are no masks, a partial vector is moved in pieces of powers of
// two.
#include "passes/Cpu/VectorMemory.h"
#include "passes/Cpu/LoopNest.h"
#include "passes/Cpu/Views.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

Value VectorMemory::flatten(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset, span = 1;
  (void)type.getStridesAndOffset(strides, offset);
  if (!type.hasStaticShape() || llvm::any_of(strides, ShapedType::isDynamic)) {
    FailureOr<Layout> layout = layoutOf(b, b.getLoc(), memref);
    Value flat = flatBuffer(b, b.getLoc(), memref, *layout);
    auto flatType = cast<MemRefType>(flat.getType());
    if (!flatType.getElementType().isInteger(1))
      return flat;
    auto bytes = MemRefType::get(flatType.getShape(), b.getI8Type(), flatType.getLayout());
    return UnrealizedConversionCastOp::create(b, bytes, flat).getResult(0);
  }
  for (auto [size, stride] : llvm::zip(type.getShape(), strides))
    span += (size - 1) * stride;
  span = std::max<int64_t>(span, 0);
  bool isBool = type.getElementType().isInteger(1);
  auto layout = offset ? StridedLayoutAttr::get(b.getContext(), offset, {1}) : MemRefLayoutAttrInterface();
  auto flat = MemRefType::get({span}, isBool ? b.getI8Type() : type.getElementType(), layout);
  if (flat == type)
    return memref;
  // memref has no op that changes the element type of a view; cpu-lower-to-llvm reads this as the same pointer.
  if (isBool)
    return UnrealizedConversionCastOp::create(b, flat, memref).getResult(0);
  auto strided = MemRefType::get({span}, type.getElementType(), StridedLayoutAttr::get(b.getContext(), offset, {1}));
  return memref::ReinterpretCastOp::create(b, strided, memref, offset, ArrayRef<int64_t>{span}, ArrayRef<int64_t>{1});
}

Value VectorMemory::plus(Value offset, int64_t constant) {
  if (constant == 0)
    return offset;
  return b.createOrFold<arith::AddIOp>(offset, arith::ConstantIndexOp::create(b, constant));
}

Value VectorMemory::mask(unsigned width, unsigned active) {
  SmallVector<bool> lanes(width, false);
  std::fill(lanes.begin(), lanes.begin() + active, true);
  return arith::ConstantOp::create(b, DenseElementsAttr::get(VectorType::get({width}, b.getI1Type()), lanes));
}

Value VectorMemory::lanesBefore(Value end, Value begin, unsigned width, int64_t shift) {
  auto type = VectorType::get({width}, b.getI32Type());
  SmallVector<int32_t> numbers;
  for (unsigned lane = 0; lane < width; ++lane)
    numbers.push_back(lane + shift);
  Value rest = arith::IndexCastOp::create(b, b.getI32Type(), b.createOrFold<arith::SubIOp>(end, begin));
  return arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                               arith::ConstantOp::create(b, DenseIntElementsAttr::get(type, numbers)),
                               vector::BroadcastOp::create(b, type, rest));
}

Value VectorMemory::wholeOf(Value extent, int64_t group) {
  Value rest = b.createOrFold<arith::AndIOp>(extent, arith::ConstantIndexOp::create(b, group - 1).getResult());
  return b.createOrFold<arith::SubIOp>(extent, rest);
}

Value VectorMemory::toBool(Value stored) {
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(stored.getType()));
  return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, stored, zero);
}

Value VectorMemory::shuffle(Value a, Value c, ArrayRef<int64_t> lanes) {
  return vector::ShuffleOp::create(b, a, c, lanes);
}

// Each lane from (source, its lane), or from nowhere (-1): one shuffle of two vectors a source after the first.
Value VectorMemory::gather(ArrayRef<Value> sources, ArrayRef<std::pair<int, int>> lanes) {
  int width = lanes.size();
  if (width == 1)
    return sources[std::max(0, lanes[0].first)];
  Value result;
  SmallVector<bool> done(width, false);
  for (int source = 0; source < int(sources.size()); ++source) {
    if (llvm::none_of(lanes, [&](auto lane) { return lane.first == source; }))
      continue;
    SmallVector<int64_t> mask;
    for (int l = 0; l < width; ++l) {
      bool here = lanes[l].first == source;
      mask.push_back(here ? (result ? width : 0) + lanes[l].second : result && done[l] ? l : -1);
      done[l] = done[l] || here;
    }
    result = result ? shuffle(result, sources[source], mask) : shuffle(sources[source], sources[source], mask);
  }
  return result;
}

Value VectorMemory::deinterleave(ArrayRef<Value> parts, unsigned column, unsigned columns, unsigned width) {
  SmallVector<std::pair<int, int>> lanes;
  for (unsigned l = 0; l < width; ++l) {
    unsigned element = column + l * columns;
    lanes.push_back(element / width < parts.size() ? std::make_pair(int(element / width), int(element % width))
                                                   : std::make_pair(-1, 0));
  }
  return gather(parts, lanes);
}

Value VectorMemory::interleave(ArrayRef<Value> columns, unsigned start, unsigned width) {
  SmallVector<std::pair<int, int>> lanes;
  for (unsigned l = 0; l < width; ++l) {
    unsigned element = start + l;
    lanes.push_back(element / columns.size() < width
                        ? std::make_pair(int(element % columns.size()), int(element / columns.size()))
                        : std::make_pair(-1, 0));
  }
  return gather(columns, lanes);
}

Value VectorMemory::loadScalar(Value buffer, Value offset) { return memref::LoadOp::create(b, buffer, offset); }

void VectorMemory::storeScalar(Value value, Value buffer, Value offset) {
  memref::StoreOp::create(b, value, buffer, offset);
}

// The parts a partial vector is moved in: (first lane, lanes), powers of two, largest first.
static SmallVector<std::pair<unsigned, unsigned>> pieces(unsigned active) {
  SmallVector<std::pair<unsigned, unsigned>> result;
  for (unsigned lane = 0; lane < active;) {
    unsigned size = llvm::bit_floor(active - lane);
    result.push_back({lane, size});
    lane += size;
  }
  return result;
}

Value VectorMemory::loadStrided(Value buffer, Value offset, int64_t step, unsigned width, unsigned active) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  auto type = VectorType::get({width}, element);
  if (step == 1 && active == width)
    return vector::LoadOp::create(b, type, buffer, offset);
  Value result = arith::ConstantOp::create(b, b.getZeroAttr(type));
  if (step > 1 && step <= maxLoadStride && active == width && width > 2) {
    // Whole vectors up to the last element wanted and not beyond: the last one overlaps the one before.
    SmallVector<Value> parts;
    SmallVector<std::pair<int, int>> lanes;
    int64_t last = (width - 1) * step + 1 - width;
    for (int64_t part = 0; part < step; ++part)
      parts.push_back(vector::LoadOp::create(b, type, buffer, plus(offset, std::min<int64_t>(part * width, last))));
    for (int64_t lane = 0; lane < width; ++lane) {
      int64_t part = lane * step / width, begin = std::min<int64_t>(part * width, last);
      lanes.push_back({part, lane * step - begin});
    }
    return gather(parts, lanes);
  }
  if (step != 1) {
    for (unsigned lane = 0; lane < active; ++lane)
      result = vector::InsertOp::create(b, loadScalar(buffer, plus(offset, lane * step)), result, lane);
    return result;
  }
  if (machine.maskedMemory)
    return vector::MaskedLoadOp::create(b, type, buffer, ValueRange(offset), mask(width, active), result);
  for (auto [lane, size] : pieces(active)) {
    Value at = plus(offset, lane);
    if (size == 1) {
      result = vector::InsertOp::create(b, loadScalar(buffer, at), result, lane);
      continue;
    }
    Value piece = vector::LoadOp::create(b, VectorType::get({size}, element), buffer, at);
    SmallVector<int64_t> spread(width, -1), merge;
    std::iota(spread.begin(), spread.begin() + size, 0);
    for (unsigned i = 0; i < width; ++i)
      merge.push_back(i >= lane && i < lane + size ? width + i - lane : i);
    result = shuffle(result, shuffle(piece, piece, spread), merge);
  }
  return result;
}

Value VectorMemory::loadMasked(Value buffer, Value offset, Value lanes) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  auto type = VectorType::get(cast<VectorType>(lanes.getType()).getShape(), element);
  Value nothing = arith::ConstantOp::create(b, b.getZeroAttr(type));
  return vector::MaskedLoadOp::create(b, type, buffer, ValueRange(offset), lanes, nothing);
}

void VectorMemory::storeMasked(Value vector, Value buffer, Value offset, Value lanes) {
  vector::MaskedStoreOp::create(b, buffer, ValueRange(offset), lanes, vector);
}

Value VectorMemory::loadLanes(Value buffer, Value offsets, unsigned width, unsigned active) {
  auto type = VectorType::get({width}, cast<MemRefType>(buffer.getType()).getElementType());
  Value result = arith::ConstantOp::create(b, b.getZeroAttr(type));
  for (unsigned lane = 0; lane < active; ++lane)
    result = vector::InsertOp::create(b, loadScalar(buffer, vector::ExtractOp::create(b, offsets, lane)), result, lane);
  return result;
}

void VectorMemory::storePast(Value vector, Value buffer, Value offset) {
  auto type = cast<VectorType>(vector.getType());
  int64_t bytes = type.getNumElements() * storageBytes(type.getElementType());
  vector::StoreOp::create(b, vector, buffer, offset, /*nontemporal=*/true, llvm::MaybeAlign(bytes));
}

Value VectorMemory::elementsToLine(Value buffer, Value offset, int64_t bytes) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<int64_t> strides;
  int64_t begin;
  (void)type.getStridesAndOffset(strides, begin);
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
  Value first = b.createOrFold<arith::ShRUIOp>(address, arith::ConstantIndexOp::create(b, llvm::Log2_64(bytes)));
  Value place = plus(b.createOrFold<arith::AddIOp>(first, offset), begin);
  Value missing = arith::SubIOp::create(b, arith::ConstantIndexOp::create(b, 0), place);
  return arith::AndIOp::create(b, missing, arith::ConstantIndexOp::create(b, cacheLine / bytes - 1));
}

void VectorMemory::storeStrided(Value vector, Value buffer, Value offset, int64_t step, unsigned active) {
  unsigned width = cast<VectorType>(vector.getType()).getNumElements();
  if (step == 1 && active == width) {
    vector::StoreOp::create(b, vector, buffer, offset);
    return;
  }
  if (step == 1 && machine.maskedMemory) {
    vector::MaskedStoreOp::create(b, buffer, ValueRange(offset), mask(width, active), vector);
    return;
  }
  auto parts = pieces(active);
  if (step != 1) {
    parts.clear();
    for (unsigned lane = 0; lane < active; ++lane)
      parts.push_back({lane, 1});
  }
  for (auto [lane, size] : parts) {
    Value at = plus(offset, lane * step);
    if (size == 1) {
      storeScalar(vector::ExtractOp::create(b, vector, lane), buffer, at);
      continue;
    }
    SmallVector<int64_t> lanes(size);
    std::iota(lanes.begin(), lanes.end(), lane);
    vector::StoreOp::create(b, shuffle(vector, vector, lanes), buffer, at);
  }
}

// Squares of 4 inside registers by unpacking, which processors do within 128 bits, then squares of squares by
// exchanging halves (Eklundh, "A fast computer method for matrix transposing", 1972).
void VectorMemory::transpose(SmallVectorImpl<Value> &rows, unsigned size, unsigned columns) {
  auto type = cast<VectorType>(rows.front().getType());
  if (rows.size() < size)
    rows.append(size - rows.size(), arith::ConstantOp::create(b, b.getZeroAttr(type)));
  // Takes pairs (x, y) of `unit` lanes from a block of `block` lanes of a and c, from its first or second half.
  auto unpack = [&](Value a, Value c, unsigned block, unsigned unit, bool high) {
    SmallVector<int64_t> lanes;
    for (unsigned start = 0; start < size; start += block)
      for (unsigned pair = 0; pair < block / 2; pair += unit)
        for (unsigned source : {0u, size})
          for (unsigned i = 0; i < unit; ++i)
            lanes.push_back(source + start + (high ? block / 2 : 0) + pair + i);
    return shuffle(a, c, lanes);
  };
  unsigned first = 1;
  if (size >= 4) {
    for (unsigned r = 0; r < size; r += 4) {
      Value low0 = unpack(rows[r], rows[r + 1], 4, 1, false), high0 = unpack(rows[r], rows[r + 1], 4, 1, true);
      Value low1 = unpack(rows[r + 2], rows[r + 3], 4, 1, false), high1 = unpack(rows[r + 2], rows[r + 3], 4, 1, true);
      rows[r] = unpack(low0, low1, 4, 2, false);
      rows[r + 1] = unpack(low0, low1, 4, 2, true);
      rows[r + 2] = unpack(high0, high1, 4, 2, false);
      rows[r + 3] = unpack(high0, high1, 4, 2, true);
    }
    first = 4;
  }
  for (unsigned block = first; block < size; block *= 2)
    for (unsigned r = 0; r < size; ++r) {
      if (r & block)
        continue;
      SmallVector<int64_t> upper, lower;
      for (unsigned c = 0; c < size; ++c) {
        upper.push_back((c & block) == 0 ? c : size + c - block);
        lower.push_back((c & block) == 0 ? c + block : size + c);
      }
      Value a = rows[r], d = rows[r + block];
      rows[r] = shuffle(a, d, upper);
      rows[r + block] = shuffle(a, d, lower);
    }
  rows.resize(columns);
}
