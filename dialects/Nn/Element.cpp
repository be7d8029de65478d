// One element of each nn op, straight from the formulas in Nn.td. Index arithmetic folds as it is made, so that static
// shapes leave constants; nothing else is optimized here, because what this file emits is what optimized kernels are
// judged by.
#include "dialects/Nn/Element.h"
#include "dialects/Nn/Sparse.h"
#include "dialects/Nn/Stored.h"
#include "dialects/Nn/Winograd.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace burin::nn;

namespace {

/// Where the window of one result position lies along one spatial dim: taps [lo, hi) are inside the input, tap k reads
/// start + k * dilation.
struct Taps {
  Value lo, hi, start;
};

struct ElementBuilder {
  OpBuilder &b;
  Location loc;
  ComputeOp op;
  ValueRange at;
  Type acc = op.getAccumulatorType();
  MemRefType initType = cast<MemRefType>(op.getInitOperand().get().getType());

  // Index arithmetic.
  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  Value add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(loc, x, y); }
  Value sub(Value x, Value y) { return b.createOrFold<arith::SubIOp>(loc, x, y); }
  Value mul(Value x, Value y) { return b.createOrFold<arith::MulIOp>(loc, x, y); }
  Value min(Value x, Value y) { return b.createOrFold<arith::MinSIOp>(loc, x, y); }
  Value max(Value x, Value y) { return b.createOrFold<arith::MaxSIOp>(loc, x, y); }
  Value div(Value x, Value y) { return b.createOrFold<arith::DivUIOp>(loc, x, y); }
  Value rem(Value x, Value y) { return b.createOrFold<arith::RemUIOp>(loc, x, y); }
  // x / y rounded up, nothing below zero.
  Value divUp(Value x, int64_t y) { return div(add(max(x, index(0)), index(y - 1)), index(y)); }

  Value extent(Value memref, int64_t dim) {
    auto type = cast<MemRefType>(memref.getType());
    return type.isDynamicDim(dim) ? memref::DimOp::create(b, loc, memref, dim).getResult()
                                  : index(type.getDimSize(dim));
  }

  // Accumulator arithmetic.
  bool isFloat() { return isa<FloatType>(acc); }
  Value zero() { return arith::ConstantOp::create(b, loc, b.getZeroAttr(acc)); }
  Value addElements(Value x, Value y) {
    return isFloat() ? arith::AddFOp::create(b, loc, x, y).getResult()
                     : arith::AddIOp::create(b, loc, x, y).getResult();
  }
  // Contraction is allowed, not asked for: one rounding where the machine has the instruction, no library call where it
  // has not.
  Value multiplyAdd(Value x, Value y, Value sum) {
    if (!isFloat())
      return arith::AddIOp::create(b, loc, sum, arith::MulIOp::create(b, loc, x, y));
    auto flags = arith::FastMathFlagsAttr::get(b.getContext(), arith::FastMathFlags::contract);
    return arith::AddFOp::create(b, loc, sum, arith::MulFOp::create(b, loc, x, y, flags), flags);
  }

  // An element as the accumulator's type: floats exact or rounded once, integers extended as `isUnsigned` says.
  Value toAccumulator(Value value, bool isUnsigned) {
    Type from = value.getType();
    if (from == acc)
      return value;
    unsigned have = from.getIntOrFloatBitWidth(), want = acc.getIntOrFloatBitWidth();
    if (isa<FloatType>(from) && isFloat()) {
      if (have == want) // f16 and bf16: through f32, which holds both
        value = arith::ExtFOp::create(b, loc, b.getF32Type(), value);
      return have < want ? arith::ExtFOp::create(b, loc, acc, value).getResult()
                         : arith::TruncFOp::create(b, loc, acc, value).getResult();
    }
    if (isFloat())
      return isUnsigned ? arith::UIToFPOp::create(b, loc, acc, value).getResult()
                        : arith::SIToFPOp::create(b, loc, acc, value).getResult();
    if (isa<FloatType>(from))
      return arith::FPToSIOp::create(b, loc, acc, value);
    if (have > want)
      return arith::TruncIOp::create(b, loc, acc, value);
    return isUnsigned ? arith::ExtUIOp::create(b, loc, acc, value).getResult()
                      : arith::ExtSIOp::create(b, loc, acc, value).getResult();
  }
  Value load(Value memref, ValueRange indices, bool isUnsigned = false, int64_t zeroPoint = 0) {
    Value value = toAccumulator(memref::LoadOp::create(b, loc, memref, indices), isUnsigned);
    if (zeroPoint == 0 || isFloat())
      return value;
    return arith::SubIOp::create(b, loc, value, arith::ConstantOp::create(b, loc, b.getIntegerAttr(acc, zeroPoint)));
  }

  /// Nested loops lo[i] <= k[i] < hi[i] around one carried value; a loop of one known iteration is none.
  Value reduce(ArrayRef<Value> lo, ArrayRef<Value> hi, Value from,
               llvm::function_ref<Value(ArrayRef<Value>, Value)> body) {
    SmallVector<Value> k;
    auto nest = [&](auto &self, Value carried) -> Value {
      unsigned d = k.size();
      if (d == lo.size())
        return body(k, carried);
      auto first = getConstantIntValue(lo[d]), last = getConstantIntValue(hi[d]);
      if (first && last && *first >= *last)
        return carried;
      if (first && last && *first + 1 == *last) {
        k.push_back(lo[d]);
        Value result = self(self, carried);
        k.pop_back();
        return result;
      }
      auto loop = scf::ForOp::create(b, loc, lo[d], hi[d], index(1), carried);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      k.push_back(loop.getInductionVar());
      scf::YieldOp::create(b, loc, self(self, loop.getRegionIterArg(0)));
      k.pop_back();
      return loop.getResult(0);
    };
    return nest(nest, from);
  }

  Taps taps(Value input, unsigned spatial, Value kernel, int64_t stride, int64_t dilation, int64_t pad) {
    unsigned dim = spatial + 1;
    Value start = sub(mul(at[dim], index(stride)), index(pad));
    Value lo = pad == 0 ? index(0) : min(kernel, divUp(sub(index(0), start), dilation));
    // Where even the last window ends inside the input, no tap needs a bound.
    int64_t size = cast<MemRefType>(input.getType()).getDimSize(dim), positions = initType.getDimSize(dim);
    auto taps = getConstantIntValue(kernel);
    if (taps && !ShapedType::isDynamic(size) && !ShapedType::isDynamic(positions) &&
        (positions - 1) * stride - pad + (*taps - 1) * dilation < size)
      return {lo, kernel, start};
    Value hi = min(kernel, divUp(sub(extent(input, dim), start), dilation));
    // A window that lies wholly in the padding has no taps, not a negative number of them.
    return {pad == 0 ? lo : min(lo, hi), hi, start};
  }

  struct Window {
    SmallVector<Value> lo, hi, start;
  };
  template <typename Op> Window window(Op conv, Value input, ArrayRef<Value> kernel) {
    Window result;
    for (unsigned s = 0; s < kernel.size(); ++s) {
      Taps t = taps(input, s, kernel[s], conv.getStrides()[s], conv.getDilations()[s], conv.getPads()[s]);
      result.lo.push_back(t.lo);
      result.hi.push_back(t.hi);
      result.start.push_back(t.start);
    }
    return result;
  }
  SmallVector<Value> inputIndices(const Window &window, ArrayRef<Value> k, ArrayRef<int64_t> dilations, Value channel) {
    SmallVector<Value> result = {at[0]};
    for (unsigned s = 0; s < window.start.size(); ++s)
      result.push_back(add(window.start[s], mul(k[s], index(dilations[s]))));
    result.push_back(channel);
    return result;
  }
  SmallVector<Value> extents(Value memref, unsigned first, unsigned count) {
    SmallVector<Value> result;
    for (unsigned d = first; d < first + count; ++d)
      result.push_back(extent(memref, d));
    return result;
  }

  // One of `values`, chosen at run time.
  Value pick(ArrayRef<double> values, Value which) {
    Value result = zero();
    for (auto [i, value] : llvm::enumerate(values)) {
      if (value == 0)
        continue;
      Value test = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, which, index(i));
      Value number = arith::ConstantOp::create(b, loc, b.getFloatAttr(acc, value));
      result = arith::SelectOp::create(b, loc, test, number, result);
    }
    return result;
  }

  // Tiles start at multiples of M; what a window reads beyond the input never counts.
  Value accumulateWinograd(ConvOp conv) {
    Winograd w = Winograd::get(*conv.getWinograd());
    Value input = conv.getInput(), filter = conv.getFilter(), results = index(w.results), inputs = index(w.inputs);
    Value channels = extent(input, 3), block, lane = at[3];
    if (conv.getPacked()) {
      block = div(at[3], index(*conv.getPacked()));
      lane = rem(at[3], index(*conv.getPacked()));
    }
    SmallVector<Value> start, in, zeros(2, index(0));
    for (unsigned s = 0; s < 2; ++s) {
      start.push_back(sub(mul(div(at[s + 1], results), results), index(conv.getPads()[s])));
      in.push_back(rem(at[s + 1], results));
    }
    Value none = zero();
    auto times = [&](Value x, Value y) { return multiplyAdd(x, y, none); };
    auto entry = [&](ArrayRef<double> matrix, Value row, Value column) {
      return pick(matrix, add(mul(row, inputs), column));
    };
    return reduce(zeros, {inputs, inputs}, none, [&](ArrayRef<Value> p, Value sum) {
      Value factor = times(entry(w.out, in[0], p[0]), entry(w.out, in[1], p[1]));
      Value position = add(mul(p[0], inputs), p[1]), i = p[0], j = p[1];
      return reduce({index(0)}, {channels}, sum, [&](ArrayRef<Value> c, Value sum) {
        SmallVector<Value> lo, hi;
        for (unsigned s = 0; s < 2; ++s) {
          lo.push_back(max(index(0), sub(index(0), start[s])));
          hi.push_back(min(inputs, sub(extent(input, s + 1), start[s])));
        }
        Value d = reduce(lo, hi, none, [&](ArrayRef<Value> k, Value d) {
          Value x = load(input, {at[0], add(start[0], k[0]), add(start[1], k[1]), c[0]});
          return multiplyAdd(times(entry(w.in, i, k[0]), entry(w.in, j, k[1])), x, d);
        });
        SmallVector<Value> tap = {position, c[0], lane};
        if (block)
          tap.insert(tap.begin(), block);
        return multiplyAdd(times(factor, load(filter, tap)), d, sum);
      });
    });
  }

  /// A weight packed in a DotLayout: element `i` of tap `row`.
  Value loadPacked(Value filter, const DotLayout &layout, Value block, Value lane, Value row, Value i) {
    Value last = index(layout.words() - 1), word = div(i, index(DotLayout::group));
    Value inLast = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, word, last);
    Value start = arith::SelectOp::create(b, loc, inLast, index(layout.start(layout.words() - 1)),
                                          mul(word, index(DotLayout::group)));
    Value at = add(add(index(1), mul(row, index(layout.words()))), word);
    at = add(mul(add(mul(at, index(layout.block)), lane), index(DotLayout::group)), sub(i, start));
    return load(filter, {block, at});
  }

  Value accumulateDots(ConvOp conv) {
    ArrayRef<int64_t> kernel = *conv.getKernel();
    DotLayout layout = dotLayout(conv, kernel, *conv.getPacked());
    bool merged = dotRunHasColumns(conv, kernel);
    SmallVector<Value> extents;
    for (int64_t k : kernel)
      extents.push_back(index(k));
    Window w = window(conv, conv.getInput(), extents);
    int64_t inGroup = cast<ShapedType>(conv.getInput().getType()).getShape().back() / conv.getGroups();
    int64_t outGroup = initType.getShape().back() / conv.getGroups();
    Value group = div(at.back(), index(outGroup)), channel = rem(at.back(), index(outGroup));
    Value block = add(mul(group, index(llvm::divideCeil(outGroup, layout.block))), div(channel, index(layout.block)));
    Value lane = rem(channel, index(layout.block));
    w.lo.push_back(index(0));
    w.hi.push_back(index(inGroup));
    return reduce(w.lo, w.hi, zero(), [&](ArrayRef<Value> k, Value sum) {
      Value x =
          load(conv.getInput(), inputIndices(w, k, conv.getDilations(), add(mul(group, index(inGroup)), k.back())),
               conv.getInputUnsigned(), conv.getInputZeroPoint());
      Value row = index(0), i = k.back();
      for (auto [s, extent] : llvm::enumerate(kernel))
        if (!merged || s + 1 < kernel.size())
          row = add(mul(row, index(extent)), k[s]);
      if (merged)
        i = add(mul(k[kernel.size() - 1], index(inGroup)), i);
      return multiplyAdd(x, loadPacked(conv.getFilter(), layout, block, lane, row, i), sum);
    });
  }

  /// sum + the products of what a SparseLayout keeps of a block's tap, for one of the block's columns.
  Value reduceEntries(Value weights, const SparseLayout &layout, Value list, Value lane, Value sum,
                      llvm::function_ref<Value(Value channel)> input) {
    auto word = [&](Value number, int64_t from) -> Value {
      Value bytes = loadBytes(weights, add(mul(number, index(4)), index(from)), 4);
      return arith::IndexCastOp::create(b, loc, b.getIndexType(), bytes);
    };
    Value first = word(list, layout.startsAt()), end = word(list, layout.startsAt() + 4);
    return reduce({first}, {end}, sum, [&](ArrayRef<Value> entry, Value sum) {
      Value at = add(mul(entry[0], index(layout.weightBytes())), mul(lane, index(4)));
      Value weight = arith::BitcastOp::create(b, loc, acc, loadBytes(weights, at, 4));
      return multiplyAdd(input(word(entry[0], layout.channelsAt())), weight, sum);
    });
  }

  Value accumulateSparse(ConvOp conv) {
    ArrayRef<int64_t> kernel = *conv.getKernel();
    SparseLayout layout = sparseLayout(conv);
    SmallVector<Value> extents;
    for (int64_t k : kernel)
      extents.push_back(index(k));
    Window w = window(conv, conv.getInput(), extents);
    Value block = div(at.back(), index(layout.block)), lane = rem(at.back(), index(layout.block));
    return reduce(w.lo, w.hi, zero(), [&](ArrayRef<Value> k, Value sum) {
      Value list = block;
      for (auto [extent, tap] : llvm::zip(kernel, k))
        list = add(mul(list, index(extent)), tap);
      return reduceEntries(conv.getFilter(), layout, list, lane, sum, [&](Value channel) {
        return load(conv.getInput(), inputIndices(w, k, conv.getDilations(), channel));
      });
    });
  }

  Value accumulate(ConvOp conv) {
    if (conv.getWinograd())
      return accumulateWinograd(conv);
    if (isPackedSparse(conv))
      return accumulateSparse(conv);
    if (isPackedForDots(conv))
      return accumulateDots(conv);
    unsigned spatial = conv.getStrides().size(), packed = conv.getPacked() ? 1 : 0;
    Value filter = conv.getFilter(), channel = at.back(), groups = index(conv.getGroups());
    Window w = window(conv, conv.getInput(), extents(filter, packed, spatial));
    Value inGroup = extent(filter, spatial + packed),
          outGroup = div(extent(op.getInitOperand().get(), spatial + 1), groups);
    Value base = conv.getGroups() == 1 ? index(0) : mul(div(channel, outGroup), inGroup);
    w.lo.push_back(index(0));
    w.hi.push_back(inGroup);
    Value block, lane = channel;
    if (packed) {
      block = div(channel, index(*conv.getPacked()));
      lane = rem(channel, index(*conv.getPacked()));
    }
    return reduce(w.lo, w.hi, zero(), [&](ArrayRef<Value> k, Value sum) {
      Value x = load(conv.getInput(), inputIndices(w, k, conv.getDilations(), add(base, k.back())),
                     conv.getInputUnsigned(), conv.getInputZeroPoint());
      SmallVector<Value> tap(k);
      tap.push_back(lane);
      if (packed)
        tap.insert(tap.begin(), block);
      return multiplyAdd(x, load(filter, tap, conv.getFilterUnsigned(), conv.getFilterZeroPoint()), sum);
    });
  }

  Value accumulate(DepthwiseConvOp conv) {
    Value filter = conv.getFilter(), channel = at.back();
    Window w = window(conv, conv.getInput(), extents(filter, 0, conv.getStrides().size()));
    return reduce(w.lo, w.hi, zero(), [&](ArrayRef<Value> k, Value sum) {
      Value x = load(conv.getInput(), inputIndices(w, k, conv.getDilations(), channel), conv.getInputUnsigned(),
                     conv.getInputZeroPoint());
      SmallVector<Value> tap(k);
      tap.push_back(channel);
      return multiplyAdd(x, load(filter, tap, conv.getFilterUnsigned(), conv.getFilterZeroPoint()), sum);
    });
  }

  // Gathers what the definition scatters: tap k reaches result o from input d when o + pad = d * stride + k * dilation.
  Value accumulate(ConvTransposeOp conv) {
    unsigned spatial = conv.getStrides().size();
    Value input = conv.getInput(), filter = conv.getFilter(), channel = at.back(), groups = index(conv.getGroups());
    SmallVector<Value> hi = extents(filter, 0, spatial), lo(spatial + 1, index(0));
    Value inGroup = div(extent(filter, spatial), groups), outGroup = extent(filter, spatial + 1);
    Value base = conv.getGroups() == 1 ? index(0) : mul(div(channel, outGroup), inGroup);
    Value filterChannel = conv.getGroups() == 1 ? channel : rem(channel, outGroup);
    hi.push_back(inGroup);
    return reduce(lo, hi, zero(), [&](ArrayRef<Value> k, Value sum) -> Value {
      SmallVector<Value> in = {at[0]};
      Value reaches;
      auto require = [&](arith::CmpIPredicate predicate, Value x, Value y) {
        Value test = arith::CmpIOp::create(b, loc, predicate, x, y);
        reaches = reaches ? arith::AndIOp::create(b, loc, reaches, test).getResult() : test;
      };
      for (unsigned s = 0; s < spatial; ++s) {
        Value distance = sub(add(at[s + 1], index(conv.getPads()[s])), mul(k[s], index(conv.getDilations()[s])));
        Value stride = index(conv.getStrides()[s]);
        // Signed: a negative distance must stay one, whatever its quotient.
        Value d = b.createOrFold<arith::DivSIOp>(loc, distance, stride);
        require(arith::CmpIPredicate::sge, distance, index(0));
        if (conv.getStrides()[s] != 1)
          require(arith::CmpIPredicate::eq, mul(d, stride), distance);
        require(arith::CmpIPredicate::slt, d, extent(input, s + 1));
        in.push_back(d);
      }
      Value i = add(base, k.back());
      in.push_back(i);
      auto branch = scf::IfOp::create(b, loc, TypeRange(acc), reaches, /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(branch.thenBlock());
      SmallVector<Value> tap(k.drop_back());
      tap.append({i, filterChannel});
      Value x = load(input, in);
      scf::YieldOp::create(b, loc, multiplyAdd(x, load(filter, tap), sum));
      b.setInsertionPointToStart(branch.elseBlock());
      scf::YieldOp::create(b, loc, sum);
      return branch.getResult(0);
    });
  }

  /// `bytes` of a memref of i8 from `at` on, little endian, as one integer.
  Value loadBytes(Value memref, Value at, int64_t bytes) {
    Type type = b.getIntegerType(8 * bytes);
    Value all;
    for (int64_t i = 0; i < bytes; ++i) {
      Value byte = memref::LoadOp::create(b, loc, memref, add(at, index(i)));
      if (bytes > 1)
        byte = arith::ExtUIOp::create(b, loc, type, byte);
      Value distance = arith::ConstantIntOp::create(b, loc, type, 8 * i);
      byte = i ? arith::ShLIOp::create(b, loc, byte, distance).getResult() : byte;
      all = all ? arith::OrIOp::create(b, loc, all, byte).getResult() : byte;
    }
    return all;
  }

  /// Element [k, n] of what a StoredLayout stands for.
  Value loadStored(MatmulOp matmul, Value k, Value n) {
    StoredLayout layout = storedLayout(matmul);
    Value rhs = matmul.getRhs(), block = div(n, index(layout.block)), lane = rem(n, index(layout.block));
    Value width = min(index(layout.block), sub(index(layout.n), mul(block, index(layout.block))));
    Value group = div(k, index(layout.run)), row = rem(k, index(layout.run));
    Value start =
        add(mul(block, index(layout.block * layout.columnBytes())), mul(mul(group, index(layout.groupBytes())), width));
    Value word = div(row, index(layout.perWord())), bit = mul(rem(row, index(layout.perWord())), index(layout.bits));
    Value at = add(add(start, mul(width, index(layout.headBytes()))), mul(add(mul(word, width), lane), index(4)));
    Type i32 = b.getI32Type();
    auto integer = [&](int64_t value) -> Value { return arith::ConstantIntOp::create(b, loc, i32, value); };
    Value number = arith::ShRUIOp::create(b, loc, loadBytes(rhs, at, 4), arith::IndexCastOp::create(b, loc, i32, bit));
    number = arith::AndIOp::create(b, loc, number, integer(layout.mask()));
    Value zero = integer(layout.middle());
    if (layout.zeros)
      zero = arith::ExtUIOp::create(b, loc, i32,
                                    loadBytes(rhs, add(add(start, mul(width, index(layout.scaleBytes))), lane), 1));
    number = arith::SIToFPOp::create(b, loc, acc, arith::SubIOp::create(b, loc, number, zero));
    Value scale = loadBytes(rhs, add(start, mul(lane, index(layout.scaleBytes))), layout.scaleBytes);
    scale = arith::BitcastOp::create(b, loc, matmul.getStoredAttr().getScale(), scale);
    return arith::MulFOp::create(b, loc, number, toAccumulator(scale, false));
  }

  Value accumulate(MatmulOp matmul) {
    if (matmul.getStored())
      return reduce({index(0)}, {extent(matmul.getLhs(), 1)}, zero(), [&](ArrayRef<Value> k, Value sum) {
        return multiplyAdd(load(matmul.getLhs(), {at[0], k[0]}), loadStored(matmul, k[0], at[1]), sum);
      });
    Value lhs = matmul.getLhs(), rhs = matmul.getRhs();
    int64_t rank = initType.getRank();
    Value m = at[rank - 2], n = at[rank - 1];
    // A batch dim of one element serves all.
    auto batch = [&](Value memref) {
      SmallVector<Value> indices;
      auto type = cast<MemRefType>(memref.getType());
      for (int64_t d = 0; d < rank - 2; ++d)
        indices.push_back(type.getDimSize(d) == 1 ? index(0) : at[d]);
      return indices;
    };
    if (isPackedSparse(matmul)) {
      SparseLayout layout = sparseLayout(matmul);
      Value block = div(n, index(layout.block)), lane = rem(n, index(layout.block));
      return reduceEntries(rhs, layout, block, lane, zero(), [&](Value k) {
        SmallVector<Value> left = batch(lhs);
        left.append({m, k});
        return load(lhs, left);
      });
    }
    bool batchedRhs = !matmul.getPacked() && cast<MemRefType>(rhs.getType()).getRank() == rank;
    Value block, lane;
    if (matmul.getPacked()) {
      block = div(n, index(*matmul.getPacked()));
      lane = rem(n, index(*matmul.getPacked()));
    }
    return reduce({index(0)}, {extent(lhs, rank - 1)}, zero(), [&](ArrayRef<Value> k, Value sum) {
      SmallVector<Value> left = batch(lhs), right;
      left.append({m, k[0]});
      if (isPackedForDots(matmul))
        return multiplyAdd(load(lhs, left, matmul.getLhsUnsigned(), matmul.getLhsZeroPoint()),
                           loadPacked(rhs, dotLayout(matmul, *matmul.getPacked()), block, lane, index(0), k[0]), sum);
      if (matmul.getPacked()) {
        right = {block, k[0], lane};
      } else {
        if (batchedRhs)
          right = batch(rhs);
        right.append({matmul.getTransposeRhs() ? n : k[0], matmul.getTransposeRhs() ? k[0] : n});
      }
      return multiplyAdd(load(lhs, left, matmul.getLhsUnsigned(), matmul.getLhsZeroPoint()),
                         load(rhs, right, matmul.getRhsUnsigned(), matmul.getRhsZeroPoint()), sum);
    });
  }

  Value lowest() {
    if (auto type = dyn_cast<FloatType>(acc))
      return arith::ConstantOp::create(
          b, loc, b.getFloatAttr(type, APFloat::getInf(type.getFloatSemantics(), /*Negative=*/true)));
    return arith::ConstantOp::create(b, loc,
                                     IntegerAttr::get(acc, APInt::getSignedMinValue(acc.getIntOrFloatBitWidth())));
  }

  Value accumulate(PoolOp pool) {
    Value input = pool.getInput();
    SmallVector<Value> kernel;
    for (int64_t size : pool.getKernel())
      kernel.push_back(index(size));
    Window w = window(pool, input, kernel);
    bool isMax = pool.getKind() == PoolKind::max;
    Value result = reduce(w.lo, w.hi, isMax ? lowest() : zero(), [&](ArrayRef<Value> k, Value carried) -> Value {
      Value x = load(input, inputIndices(w, k, pool.getDilations(), at.back()), pool.getInputUnsigned());
      if (!isMax)
        return addElements(carried, x);
      // maximumf, not maxnumf: no NaN is ignored.
      return isFloat() ? arith::MaximumFOp::create(b, loc, carried, x).getResult()
                       : arith::MaxSIOp::create(b, loc, carried, x).getResult();
    });
    if (pool.getKind() != PoolKind::average)
      return result;
    Value count = index(1);
    for (unsigned s = 0; s < kernel.size(); ++s) {
      Value taps = sub(w.hi[s], w.lo[s]);
      if (pool.getCountPadding()) {
        // The extended input starts where the first window does; only its end can cut windows, in ceil mode.
        Value end = add(extent(input, s + 1), index(pool.getPads()[kernel.size() + s]));
        taps = min(kernel[s], divUp(sub(end, w.start[s]), pool.getDilations()[s]));
      }
      count = mul(count, taps);
    }
    count = arith::IndexCastOp::create(b, loc, b.getI32Type(), count);
    if (isFloat())
      return arith::DivFOp::create(b, loc, result, toAccumulator(count, false));
    // A window without taps divides by nothing: integers have no NaN to say so.
    count = arith::MaxSIOp::create(b, loc, count, arith::ConstantIntOp::create(b, loc, 1, 32));
    return arith::DivSIOp::create(b, loc, result, toAccumulator(count, false));
  }
};

} // namespace

Value burin::nn::buildEpilogue(OpBuilder &b, Location loc, ComputeOp op, Value accumulator, ValueRange indices) {
  Type element = cast<ShapedType>(op.getInitOperand().get().getType()).getElementType();
  if (op.getEpilogueRegion().empty())
    return convertAccumulator(b, loc, accumulator, element);
  Block &block = op.getEpilogueRegion().front();
  IRMapping mapping;
  mapping.map(block.getArgument(0), accumulator);
  for (auto [extra, attr, argument] :
       llvm::zip(op.getEpilogueOperands(), op.getEpilogueMaps(), block.getArguments().drop_front())) {
    if (argument.use_empty())
      continue;
    SmallVector<Value> position = *affine::expandAffineMap(b, loc, cast<AffineMapAttr>(attr).getValue(), indices);
    mapping.map(argument, memref::LoadOp::create(b, loc, extra, position).getResult());
  }
  for (Operation &inner : block.without_terminator())
    b.clone(inner, mapping);
  return mapping.lookupOrDefault(cast<YieldOp>(block.getTerminator()).getValue());
}

Value burin::nn::buildElement(OpBuilder &b, Location loc, ComputeOp op, ValueRange indices) {
  ElementBuilder element{b, loc, op, indices};
  Value accumulator = llvm::TypeSwitch<Operation *, Value>(op)
                          .Case<ConvOp, DepthwiseConvOp, ConvTransposeOp, MatmulOp, PoolOp>(
                              [&](auto concrete) { return element.accumulate(concrete); })
                          .Default([](Operation *) { return Value(); });
  return accumulator ? buildEpilogue(b, loc, op, accumulator, indices) : Value();
}

LogicalResult burin::nn::buildLoops(OpBuilder &b, ComputeOp op) {
  if (isa<SoftmaxOp>(op))
    return failure();
  Location loc = op.getLoc();
  Value init = op.getInitOperand().get();
  OpBuilder::InsertionGuard guard(b);
  SmallVector<Value> at;
  Value zero = arith::ConstantIndexOp::create(b, loc, 0), one = arith::ConstantIndexOp::create(b, loc, 1);
  for (int64_t d = 0, rank = cast<MemRefType>(init.getType()).getRank(); d < rank; ++d) {
    Value size = b.createOrFold<memref::DimOp>(loc, init, d);
    auto loop = scf::ForOp::create(b, loc, zero, size, one);
    at.push_back(loop.getInductionVar());
    b.setInsertionPointToStart(loop.getBody());
  }
  memref::StoreOp::create(b, loc, buildElement(b, loc, op, at), init, at);
  return success();
}
