// The reference lowering: nn ops as scalar loops over the result's elements. Slow on purpose and complete: what
// everything else falls back to and is tested against. The dialect defines an element (dialects/Nn/Element.h); softmax,
// whose elements share a row's maximum and sum, is spelled out here.
#include "dialects/Nn/Element.h"
#include "passes/Cpu/Kernels.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

struct SoftmaxLoops {
  Emitter &e;
  nn::SoftmaxOp op;
  Type acc = op.getAccumulatorType();
  Value init = op.getInit();

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
      e.parallel(e.index(0), dim(init, d), 1, [&](Value i) {
        at[d] = i;
        nest(d + 1);
      });
    };
    nest(0);
  }

  Value element(Value memref, ArrayRef<Value> at) {
    return e.convert(memref::LoadOp::create(e.b, e.loc, memref, at), acc, op.getInputUnsigned());
  }

  Value lowest() {
    if (auto type = dyn_cast<FloatType>(acc))
      return arith::ConstantOp::create(e.b, e.loc,
                                       FloatAttr::get(type, APFloat::getInf(type.getFloatSemantics(), true)));
    return arith::ConstantOp::create(e.b, e.loc,
                                     IntegerAttr::get(acc, APInt::getSignedMinValue(acc.getIntOrFloatBitWidth())));
  }

  Value maximum(Value a, Value b) {
    if (isa<FloatType>(acc))
      return arith::MaximumFOp::create(e.b, e.loc, a, b);
    return arith::MaxSIOp::create(e.b, e.loc, a, b);
  }

  void emit() {
    unsigned d = op.getDim();
    Value input = op.getInput(), size = dim(input, d);
    auto along = [&](ArrayRef<Value> at, Value from, llvm::function_ref<Value(Value, Value)> combine) {
      return e.loop(e.index(0), size, 1, from, [&](Value i, ValueRange carried) -> SmallVector<Value> {
        SmallVector<Value> in(at.begin(), at.end());
        in[d] = i;
        return {combine(element(input, in), carried[0])};
      })[0];
    };
    overResult(
        [&](SmallVector<Value> &at) {
          Value most = along(at, lowest(), [&](Value x, Value carried) { return maximum(x, carried); });
          auto exp = [&](Value x) -> Value {
            Value below = arith::SubFOp::create(e.b, e.loc, x, most);
            if (op.getScale())
              below = arith::MulFOp::create(e.b, e.loc, below, e.constant(acc, op.getScale()->convertToFloat()));
            return math::ExpOp::create(e.b, e.loc, below);
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
  if (auto softmax = dyn_cast<nn::SoftmaxOp>(*op))
    SoftmaxLoops{e, softmax}.emit();
  else
    (void)nn::buildLoops(e.b, op);
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
