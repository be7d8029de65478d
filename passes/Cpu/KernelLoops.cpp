// The reference lowering: nn ops as scalar loops over the result's elements, straight from their definitions in Nn.td.
// Slow on purpose and complete: it is what everything else falls back to and is tested against, so it shares no
// schedule with the kernels.
#include "passes/Cpu/Kernels.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

/// Taps of a window at one result position: [lo, hi) lie inside the input; the input position of tap k is start + k *
/// dilation.
struct Taps {
  Value lo, hi, start;
};

struct Loops {
  Emitter &e;
  nn::ComputeOp op;
  Type acc = op.getAccumulatorType();
  Value init = op.getInitOperand().get();

  Value dim(Value memref, int64_t i) {
    auto type = cast<MemRefType>(memref.getType());
    return type.isDynamicDim(i) ? memref::DimOp::create(e.b, e.loc, memref, i).getResult()
                                : e.index(type.getDimSize(i));
  }

  void overResult(llvm::function_ref<void(SmallVector<Value> &)> body, unsigned skip = ~0u) {
    SmallVector<Value> at(cast<MemRefType>(init.getType()).getRank());
    std::function<void(unsigned)> nest = [&](unsigned d) {
      if (d == at.size())
        return body(at);
      if (d == skip)
        return nest(d + 1);
      e.loop(e.index(0), dim(init, d), 1, [&](Value i) {
        at[d] = i;
        nest(d + 1);
      });
    };
    nest(0);
  }

  /// Nested loops lo[i] <= index[i] < hi[i] around one carried value.
  Value reduce(ArrayRef<Value> lo, ArrayRef<Value> hi, Value from,
               llvm::function_ref<Value(ArrayRef<Value>, Value)> body) {
    SmallVector<Value> at(lo.size());
    std::function<Value(unsigned, Value)> nest = [&](unsigned d, Value carried) -> Value {
      if (d == lo.size())
        return body(at, carried);
      return e.loop(lo[d], hi[d], 1, carried, [&](Value i, ValueRange values) -> SmallVector<Value> {
        at[d] = i;
        return {nest(d + 1, values[0])};
      })[0];
    };
    return nest(0, from);
  }

  Value element(Value memref, ArrayRef<Value> at, bool isUnsigned = false, int64_t zeroPoint = 0) {
    Value value = e.convert(memref::LoadOp::create(e.b, e.loc, memref, at), acc, isUnsigned);
    if (zeroPoint)
      value = arith::SubIOp::create(e.b, e.loc, value, e.constant(acc, zeroPoint));
    return value;
  }
  Value multiplyAdd(Value a, Value b, Value c) {
    Value product = isa<FloatType>(acc) ? arith::MulFOp::create(e.b, e.loc, a, b).getResult()
                                        : arith::MulIOp::create(e.b, e.loc, a, b).getResult();
    return e.addElements(product, c);
  }

  Taps taps(Value input, unsigned d, Value at, Value kernel, int64_t stride, int64_t dilation, int64_t pad) {
    Value start = e.add(e.mul(at, stride), -pad), zero = e.index(0);
    // start + k * dilation >= 0 and < size
    Value lo = e.divUp(e.max(zero, e.sub(zero, start)), dilation);
    Value hi = e.min(kernel, e.divUp(e.max(zero, e.sub(dim(input, d), start)), dilation));
    return {lo, hi, start};
  }

  void windows(Value input, ArrayRef<Value> kernel, ArrayRef<int64_t> strides, ArrayRef<int64_t> dilations,
               ArrayRef<int64_t> pads, ArrayRef<Value> at, SmallVectorImpl<Value> &lo, SmallVectorImpl<Value> &hi,
               SmallVectorImpl<Value> &start) {
    for (unsigned s = 0; s < strides.size(); ++s) {
      Taps t = taps(input, s + 1, at[s + 1], kernel[s], strides[s], dilations[s], pads[s]);
      lo.push_back(t.lo);
      hi.push_back(t.hi);
      start.push_back(t.start);
    }
  }
  SmallVector<Value> position(ArrayRef<Value> at, ArrayRef<Value> start, ArrayRef<Value> k, ArrayRef<int64_t> dilations,
                              Value channel) {
    SmallVector<Value> in = {at[0]};
    for (unsigned s = 0; s < start.size(); ++s)
      in.push_back(e.add(start[s], e.mul(k[s], dilations[s])));
    in.push_back(channel);
    return in;
  }
  SmallVector<Value> dims(Value memref, unsigned first, unsigned count) {
    SmallVector<Value> result;
    for (unsigned d = first; d < first + count; ++d)
      result.push_back(dim(memref, d));
    return result;
  }

  void conv(nn::ConvOp conv) {
    unsigned spatial = conv.getStrides().size();
    Value input = conv.getInput(), filter = conv.getFilter();
    bool packed = conv.getPacked().has_value();
    SmallVector<Value> kernel = dims(filter, packed ? 1 : 0, spatial);
    int64_t groups = conv.getGroups();
    Value icg = dim(filter, spatial + (packed ? 1 : 0));
    Value ocg = e.b.createOrFold<arith::DivUIOp>(e.loc, dim(init, spatial + 1), e.index(groups));
    overResult([&](SmallVector<Value> &at) {
      SmallVector<Value> lo, hi, start;
      windows(input, kernel, conv.getStrides(), conv.getDilations(), conv.getPads(), at, lo, hi, start);
      lo.push_back(e.index(0));
      hi.push_back(icg);
      Value channel = at.back();
      Value base = groups == 1 ? e.index(0) : e.mul(e.b.createOrFold<arith::DivUIOp>(e.loc, channel, ocg), icg);
      Value sum = reduce(lo, hi, e.constant(acc, 0), [&](ArrayRef<Value> k, Value carried) {
        Value x = element(input, position(at, start, k, conv.getDilations(), e.add(base, k.back())),
                          conv.getInputUnsigned(), conv.getInputZeroPoint());
        SmallVector<Value> w(k.begin(), k.end());
        if (packed) {
          Value block = e.index(*conv.getPacked());
          w.insert(w.begin(), e.b.createOrFold<arith::DivUIOp>(e.loc, channel, block));
          w.push_back(e.b.createOrFold<arith::RemUIOp>(e.loc, channel, block));
        } else {
          w.push_back(channel);
        }
        return multiplyAdd(x, element(filter, w, conv.getFilterUnsigned(), conv.getFilterZeroPoint()), carried);
      });
      storeElement(e, op, sum, at);
    });
  }

  void depthwise(nn::DepthwiseConvOp conv) {
    unsigned spatial = conv.getStrides().size();
    SmallVector<Value> kernel = dims(conv.getFilter(), 0, spatial);
    overResult([&](SmallVector<Value> &at) {
      SmallVector<Value> lo, hi, start;
      windows(conv.getInput(), kernel, conv.getStrides(), conv.getDilations(), conv.getPads(), at, lo, hi, start);
      Value sum = reduce(lo, hi, e.constant(acc, 0), [&](ArrayRef<Value> k, Value carried) {
        Value x = element(conv.getInput(), position(at, start, k, conv.getDilations(), at.back()),
                          conv.getInputUnsigned(), conv.getInputZeroPoint());
        SmallVector<Value> w(k.begin(), k.end());
        w.push_back(at.back());
        return multiplyAdd(x, element(conv.getFilter(), w, conv.getFilterUnsigned(), conv.getFilterZeroPoint()),
                           carried);
      });
      storeElement(e, op, sum, at);
    });
  }

  void convTranspose(nn::ConvTransposeOp conv) {
    unsigned spatial = conv.getStrides().size();
    Value input = conv.getInput(), filter = conv.getFilter();
    int64_t groups = conv.getGroups();
    SmallVector<Value> hi = dims(filter, 0, spatial), lo(spatial + 1, e.index(0));
    Value ocg = dim(filter, spatial + 1);
    Value icg = e.b.createOrFold<arith::DivUIOp>(e.loc, dim(filter, spatial), e.index(groups));
    hi.push_back(icg);
    overResult([&](SmallVector<Value> &at) {
      Value channel = at.back(), inGroup = channel, base = e.index(0);
      if (groups != 1) {
        base = e.mul(e.b.createOrFold<arith::DivUIOp>(e.loc, channel, ocg), icg);
        inGroup = e.b.createOrFold<arith::RemUIOp>(e.loc, channel, ocg);
      }
      Value sum = reduce(lo, hi, e.constant(acc, 0), [&](ArrayRef<Value> k, Value carried) -> Value {
        // The input position, if this tap reaches the result at all: o + pad - k * dilation = d * stride with 0 <= d <
        // size.
        SmallVector<Value> in = {at[0]};
        Value reaches;
        for (unsigned s = 0; s < spatial; ++s) {
          Value far = e.sub(e.add(at[s + 1], conv.getPads()[s]), e.mul(k[s], conv.getDilations()[s])),
                stride = e.index(conv.getStrides()[s]);
          Value d = arith::DivSIOp::create(e.b, e.loc, far, stride),
                rest = arith::RemSIOp::create(e.b, e.loc, far, stride);
          for (Value test :
               {arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::sge, far, e.index(0)).getResult(),
                arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, rest, e.index(0)).getResult(),
                arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, d, dim(input, s + 1)).getResult()})
            reaches = reaches ? arith::AndIOp::create(e.b, e.loc, reaches, test).getResult() : test;
          in.push_back(d);
        }
        Value i = e.add(base, k.back());
        in.push_back(i);
        auto branch = scf::IfOp::create(e.b, e.loc, TypeRange(acc), reaches, /*withElseRegion=*/true);
        OpBuilder::InsertionGuard guard(e.b);
        e.b.setInsertionPointToStart(branch.thenBlock());
        SmallVector<Value> w(k.drop_back().begin(), k.drop_back().end());
        w.push_back(i);
        w.push_back(inGroup);
        Value more = multiplyAdd(element(input, in), element(filter, w), carried);
        scf::YieldOp::create(e.b, e.loc, more);
        e.b.setInsertionPointToStart(branch.elseBlock());
        scf::YieldOp::create(e.b, e.loc, carried);
        return branch.getResult(0);
      });
      storeElement(e, op, sum, at);
    });
  }

  void matmul(nn::MatmulOp matmul) {
    Value lhs = matmul.getLhs(), rhs = matmul.getRhs();
    int64_t rank = cast<MemRefType>(lhs.getType()).getRank(), rhsRank = cast<MemRefType>(rhs.getType()).getRank();
    // A batch dim of one element serves all.
    auto batch = [&](Value memref, ArrayRef<Value> at, SmallVector<Value> &indices) {
      for (int64_t d = 0; d < rank - 2; ++d)
        indices.push_back(cast<MemRefType>(memref.getType()).getDimSize(d) == 1 ? e.index(0) : at[d]);
    };
    overResult([&](SmallVector<Value> &at) {
      Value m = at[rank - 2], n = at[rank - 1];
      Value sum = reduce({e.index(0)}, {dim(lhs, rank - 1)}, e.constant(acc, 0), [&](ArrayRef<Value> k, Value carried) {
        SmallVector<Value> l, r;
        batch(lhs, at, l);
        l.append({m, k[0]});
        if (matmul.getPacked()) {
          Value block = e.index(*matmul.getPacked());
          r = {e.b.createOrFold<arith::DivUIOp>(e.loc, n, block), k[0],
               e.b.createOrFold<arith::RemUIOp>(e.loc, n, block)};
        } else {
          if (rhsRank == rank)
            batch(rhs, at, r);
          r.append({matmul.getTransposeRhs() ? n : k[0], matmul.getTransposeRhs() ? k[0] : n});
        }
        return multiplyAdd(element(lhs, l, matmul.getLhsUnsigned(), matmul.getLhsZeroPoint()),
                           element(rhs, r, matmul.getRhsUnsigned(), matmul.getRhsZeroPoint()), carried);
      });
      storeElement(e, op, sum, at);
    });
  }

  Value maximum(Value a, Value b) {
    if (isa<FloatType>(acc))
      return arith::MaximumFOp::create(e.b, e.loc, a, b);
    return arith::MaxSIOp::create(e.b, e.loc, a, b);
  }
  Value lowest() {
    if (auto type = dyn_cast<FloatType>(acc))
      return arith::ConstantOp::create(e.b, e.loc,
                                       FloatAttr::get(type, APFloat::getInf(type.getFloatSemantics(), true)));
    return arith::ConstantOp::create(e.b, e.loc,
                                     IntegerAttr::get(acc, APInt::getSignedMinValue(acc.getIntOrFloatBitWidth())));
  }

  void pool(nn::PoolOp pool) {
    Value input = pool.getInput();
    unsigned spatial = pool.getStrides().size();
    bool isMax = pool.getKind() == nn::PoolKind::max;
    SmallVector<Value> kernel;
    for (int64_t k : pool.getKernel())
      kernel.push_back(e.index(k));
    overResult([&](SmallVector<Value> &at) {
      SmallVector<Value> lo, hi, start;
      windows(input, kernel, pool.getStrides(), pool.getDilations(), pool.getPads(), at, lo, hi, start);
      Value result = reduce(lo, hi, isMax ? lowest() : e.constant(acc, 0), [&](ArrayRef<Value> k, Value carried) {
        Value x = element(input, position(at, start, k, pool.getDilations(), at.back()), pool.getInputUnsigned());
        return isMax ? maximum(x, carried) : e.addElements(x, carried);
      });
      if (pool.getKind() == nn::PoolKind::average) {
        Value count = e.index(1);
        for (unsigned s = 0; s < spatial; ++s) {
          Value taps = e.sub(hi[s], lo[s]);
          if (pool.getCountPadding()) {
            Value end = e.add(dim(input, s + 1), pool.getPads()[spatial + s]);
            taps = e.min(kernel[s], e.divUp(e.max(e.index(0), e.sub(end, start[s])), pool.getDilations()[s]));
          }
          count = e.mul(count, taps);
        }
        Value divisor = arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), count);
        divisor = e.convert(divisor, acc, false);
        result = isa<FloatType>(acc) ? arith::DivFOp::create(e.b, e.loc, result, divisor).getResult()
                                     : arith::DivSIOp::create(e.b, e.loc, result, divisor).getResult();
      }
      storeElement(e, op, result, at);
    });
  }

  void softmax(nn::SoftmaxOp softmax) {
    unsigned d = softmax.getDim();
    Value input = softmax.getInput(), size = dim(input, d);
    auto along = [&](ArrayRef<Value> at, Value from, llvm::function_ref<Value(Value, Value)> combine) {
      return reduce({e.index(0)}, {size}, from, [&](ArrayRef<Value> i, Value carried) {
        SmallVector<Value> in(at.begin(), at.end());
        in[d] = i[0];
        return combine(element(input, in), carried);
      });
    };
    overResult(
        [&](SmallVector<Value> &at) {
          Value most = along(at, lowest(), [&](Value x, Value carried) { return maximum(x, carried); });
          auto exp = [&](Value x) -> Value {
            return math::ExpOp::create(e.b, e.loc, arith::SubFOp::create(e.b, e.loc, x, most));
          };
          Value sum =
              along(at, e.constant(acc, 0), [&](Value x, Value carried) { return e.addElements(exp(x), carried); });
          e.loop(e.index(0), size, 1, [&](Value i) {
            at[d] = i;
            storeElement(e, op, arith::DivFOp::create(e.b, e.loc, exp(element(input, at)), sum), at);
          });
        },
        d);
  }
};

} // namespace

void cpu::emitLoops(Emitter &e, nn::ComputeOp op) {
  Loops loops{e, op};
  llvm::TypeSwitch<Operation *>(op)
      .Case([&](nn::ConvOp o) { loops.conv(o); })
      .Case([&](nn::DepthwiseConvOp o) { loops.depthwise(o); })
      .Case([&](nn::ConvTransposeOp o) { loops.convTranspose(o); })
      .Case([&](nn::MatmulOp o) { loops.matmul(o); })
      .Case([&](nn::PoolOp o) { loops.pool(o); })
      .Case([&](nn::SoftmaxOp o) { loops.softmax(o); });
}

FailureOr<SmallVector<nn::ComputeOp>> cpu::operationsOf(FunctionOpInterface function) {
  SmallVector<nn::ComputeOp> ops;
  WalkResult walked = function->walk([&](nn::ComputeOp op) -> WalkResult {
    if (op->getNumResults())
      return op->emitOpError("expected buffers, got tensors: run the tensor stage first"), WalkResult::interrupt();
    ops.push_back(op);
    return WalkResult::advance();
  });
  if (walked.wasInterrupted())
    return failure();
  return ops;
}
