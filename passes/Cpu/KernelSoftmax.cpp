// Softmax: maximum, exponentials with their sum, division. Along contiguous elements with vectors that end in one
// narrower step; along any other dim with vectors across the elements beside it.
#include "passes/Cpu/Kernels.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {
struct Softmax {
  Emitter &e;
  const Machine &machine;
  nn::SoftmaxOp op;
  Flat in, out;
  Epilogue epilogue;
  Type acc = op.getAccumulatorType();
  ArrayRef<Size> shape = in.sizes;
  int64_t rank = shape.size(), dim = op.getDim();
  Size size = shape[dim];
  int64_t lanes = std::max<int64_t>(1, machine.lanes(acc.getIntOrFloatBitWidth()));

  Value offset(ArrayRef<Value> at, ArrayRef<Size> steps, int64_t constant = 0) {
    Value sum = e.index(constant);
    for (auto [i, step] : llvm::zip(at, steps))
      if (i)
        sum = e.add(sum, e.mul(i, step));
    return sum;
  }
  Value load(const Flat &flat, Value at, int64_t width, Value mask = nullptr) {
    bool isUnsigned = op.getInputUnsigned();
    if (!mask)
      return e.convert(flat.load(e, at, width), acc, isUnsigned);
    auto type = VectorType::get({width}, flat.element);
    bool isInteger = isa<IntegerType>(flat.element);
    Value none = isInteger ? e.constant(type, 0) : lowest(width, flat.element);
    Value loaded = vector::MaskedLoadOp::create(e.b, e.loc, type, flat.buffer, ValueRange(at), mask, none).getResult();
    loaded = e.convert(loaded, acc, isUnsigned);
    return isInteger ? arith::SelectOp::create(e.b, e.loc, mask, loaded, lowest(width)).getResult() : loaded;
  }
  Value lowest(int64_t width) { return lowest(width, acc); }
  Value lowest(int64_t width, Type of) {
    auto type = VectorType::get({width}, of);
    auto element = cast<FloatType>(of);
    return arith::ConstantOp::create(e.b, e.loc,
                                     DenseElementsAttr::get(type, APFloat::getInf(element.getFloatSemantics(), true)));
  }
  Value exp(Value x, Value most) {
    Value below = arith::SubFOp::create(e.b, e.loc, x, most);
    if (op.getScale())
      below = arith::MulFOp::create(e.b, e.loc, below, e.constant(below.getType(), op.getScale()->convertToFloat()));
    return math::ExpOp::create(e.b, e.loc, below);
  }
  void store(ArrayRef<Value> at, Value result, int64_t width, Value mask = nullptr) {
    result = epilogue.apply(e, result, [&](unsigned x) -> Value {
      const Epilogue::Extra &extra = epilogue.extras()[x];
      Value from = offset(at, extra.coefficients, extra.constant);
      return extra.coefficients.back().is(1) ? extra.flat.load(e, from, width)
                                             : e.broadcast(extra.flat.load(e, from), width);
    });
    Value to = offset(at, out.strides);
    if (mask)
      vector::MaskedStoreOp::create(e.b, e.loc, out.buffer, ValueRange(to), mask, result);
    else
      out.store(e, result, to);
  }

  void overOthers(llvm::function_ref<void(SmallVector<Value> &)> body) {
    SmallVector<Value> at(rank);
    std::function<void(int64_t)> nest = [&](int64_t d) {
      if (d == rank)
        return body(at);
      if (d == dim || d == rank - 1)
        return nest(d + 1);
      e.parallel(0, shape[d], 1, [&](Value i) {
        at[d] = i;
        nest(d + 1);
      });
    };
    nest(0);
  }

  /// dim is the last: body(width, from, to) for spans covered by vectors of that width, each element once.
  void spans(llvm::function_ref<void(int64_t, Value, Value)> body) {
    if (!size.isStatic()) {
      Value done = e.index(0), extent = e.index(size);
      for (int64_t width = lanes; width >= 1; width /= 2) {
        Value end = e.wholeOf(extent, width);
        body(width, done, end);
        done = end;
      }
      return;
    }
    int64_t done = 0, extent = size.value();
    for (int64_t width = lanes; width >= 1; width /= 2)
      if (int64_t count = (extent - done) / width) {
        body(width, e.index(done), e.index(done + count * width));
        done += count * width;
      }
  }

  void alongRows() {
    overOthers([&](SmallVector<Value> &at) {
      Value from = offset(at, in.strides), to = offset(at, out.strides), most, total;
      auto each = [&](Value init, int64_t width, Value lo, Value hi, llvm::function_ref<Value(Value, Value)> body) {
        return e.loop(lo, hi, width, init,
                      [&](Value i, ValueRange carried) { return SmallVector<Value>{body(i, carried[0])}; })[0];
      };
      auto across = [&](Value vector, vector::CombiningKind kind) {
        return vector::ReductionOp::create(e.b, e.loc, kind, vector).getResult();
      };
      spans([&](int64_t width, Value lo, Value hi) {
        Value part = each(lowest(width), width, lo, hi, [&](Value i, Value carried) {
          return arith::MaximumFOp::create(e.b, e.loc, load(in, e.add(from, i), width), carried).getResult();
        });
        part = across(part, vector::CombiningKind::MAXIMUMF);
        most = most ? arith::MaximumFOp::create(e.b, e.loc, most, part).getResult() : part;
      });
      // Exponentials stay in the destination where it can hold them.
      bool keep = out.element == acc;
      spans([&](int64_t width, Value lo, Value hi) {
        Value maximum = e.broadcast(most, width);
        Value part = each(e.constant(VectorType::get({width}, acc), 0), width, lo, hi, [&](Value i, Value carried) {
          Value value = exp(load(in, e.add(from, i), width), maximum);
          if (keep)
            out.store(e, value, e.add(to, i));
          return e.addElements(carried, value);
        });
        part = across(part, vector::CombiningKind::ADD);
        total = total ? e.addElements(total, part) : part;
      });
      spans([&](int64_t width, Value lo, Value hi) {
        Value maximum = e.broadcast(most, width), sum = e.broadcast(total, width);
        e.loop(lo, hi, width, [&](Value i) {
          Value value = keep ? load(out, e.add(to, i), width) : exp(load(in, e.add(from, i), width), maximum);
          at[dim] = i;
          store(at, arith::DivFOp::create(e.b, e.loc, value, sum), width);
        });
      });
    });
  }

  /// A row of a length known at run time only: whole vectors, and a masked one that stays in registers throughout, for
  /// a masked store is slow to read back.
  void alongUnknownRows() {
    Value extent = e.index(size), whole = e.wholeOf(extent, lanes);
    auto type = VectorType::get({lanes}, e.b.getI32Type());
    Value numbers = arith::ConstantOp::create(
        e.b, e.loc, DenseIntElementsAttr::get(type, llvm::to_vector(llvm::seq<int32_t>(0, lanes))));
    Value rest = arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), e.sub(extent, whole));
    Value mask = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, numbers, e.broadcast(rest, lanes));
    overOthers([&](SmallVector<Value> &at) {
      Value from = offset(at, in.strides), to = offset(at, out.strides);
      auto each = [&](Value init, llvm::function_ref<Value(Value, Value)> body) {
        return e.loop(e.index(0), whole, lanes, init,
                      [&](Value i, ValueRange carried) { return SmallVector<Value>{body(i, carried[0])}; })[0];
      };
      auto across = [&](Value vector, vector::CombiningKind kind) {
        return e.broadcast(vector::ReductionOp::create(e.b, e.loc, kind, vector), lanes);
      };
      // Lanes beyond the end hold what adds nothing: the exponential of minus infinity.
      Value last = load(in, e.add(from, whole), lanes, mask);
      Value most = each(last, [&](Value i, Value carried) {
        return arith::MaximumFOp::create(e.b, e.loc, load(in, e.add(from, i), lanes), carried).getResult();
      });
      most = across(most, vector::CombiningKind::MAXIMUMF);
      last = exp(last, most);
      bool keep = out.element == acc;
      Value total = each(e.constant(last.getType(), 0), [&](Value i, Value carried) {
        Value value = exp(load(in, e.add(from, i), lanes), most);
        if (keep)
          out.store(e, value, e.add(to, i));
        return e.addElements(carried, value);
      });
      total = across(e.addElements(total, last), vector::CombiningKind::ADD);
      auto finish = [&](Value i, Value value, Value mask) {
        at[dim] = i;
        store(at, arith::DivFOp::create(e.b, e.loc, value, total), lanes, mask);
      };
      e.loop(e.index(0), whole, lanes, [&](Value i) {
        finish(i, keep ? load(out, e.add(to, i), lanes) : exp(load(in, e.add(from, i), lanes), most), nullptr);
      });
      finish(whole, last, mask);
    });
  }

  void acrossRows() {
    const Size &inner = shape[rank - 1];
    auto columns = [&](llvm::function_ref<void(Value, int64_t)> body) {
      if (!inner.isStatic())
        return e.tiles(e.index(inner), lanes > 4 ? ArrayRef<int64_t>{lanes, 4, 1} : ArrayRef<int64_t>{lanes, 1}, body);
      int64_t extent = inner.value(), width = lanes;
      while (width > extent)
        width /= 2;
      e.parallel(0, extent, width,
                 [&](Value j) { body(extent % width ? e.min(j, e.index(extent - width)) : j, width); });
    };
    overOthers([&](SmallVector<Value> &at) {
      columns([&](Value j, int64_t width) {
        at[rank - 1] = j;
        at[dim] = nullptr;
        Value from = offset(at, in.strides);
        auto each = [&](Value init, llvm::function_ref<Value(Value, Value)> body) {
          return e.loop(e.index(0), e.index(size), 1, init, [&](Value i, ValueRange carried) {
            return SmallVector<Value>{body(load(in, e.add(from, e.mul(i, in.strides[dim])), width), carried[0])};
          })[0];
        };
        Value most = each(lowest(width), [&](Value x, Value carried) {
          return arith::MaximumFOp::create(e.b, e.loc, x, carried).getResult();
        });
        Value total = each(e.constant(VectorType::get({width}, acc), 0),
                           [&](Value x, Value carried) { return e.addElements(carried, exp(x, most)); });
        e.loop(0, size, 1, [&](Value i) {
          Value value = exp(load(in, e.add(from, e.mul(i, in.strides[dim])), width), most);
          at[dim] = i;
          store(at, arith::DivFOp::create(e.b, e.loc, value, total), width);
        });
      });
    });
  }
};
} // namespace

LogicalResult cpu::emitSoftmax(Emitter &e, const Machine &machine, nn::SoftmaxOp op, std::string &reason) {
  FailureOr<Flat> in = flatten(e, op.getInput()), out = flatten(e, op.getInit());
  if (failed(in) || failed(out) || !isa<FloatType>(op.getAccumulatorType())) {
    reason = "a buffer is not static";
    return failure();
  }
  FailureOr<Epilogue> epilogue = Epilogue::get(e, op);
  if (failed(epilogue)) {
    reason = "an epilogue operand is not linear in the result's indices";
    return failure();
  }
  Softmax softmax{e, machine, op, *in, *out, *epilogue};
  bool isLast = softmax.dim == softmax.rank - 1;
  if (!softmax.shape.back().is(1) && (!in->strides.back().is(1) || !out->strides.back().is(1))) {
    reason = "elements are not contiguous";
    return failure();
  }
  bool masked = machine.maskedMemory && softmax.epilogue.extras().empty() && !softmax.size.isStatic();
  if (isLast && masked)
    softmax.alongUnknownRows();
  else if (isLast)
    softmax.alongRows();
  else
    softmax.acrossRows();
  return success();
}
