// Shave programs: the loops of a vpu.shave in the order the shaves run them, its body as steps over registers.
#include "burin/runtime.h"
#include "lib/Target/BlobTables.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace burin;

namespace {

/// An operand's elements by loop.
struct Stream {
  burin_vpu_view base; // of its memref
  SmallVector<int64_t> strides;
  int64_t offset = 0; // elements, from the memref's first
};

class Program {
public:
  Program(vpu::ShaveOp op, BlobTables &tables, burin_vpu_task &task)
      : op(op), tables(tables), task(task), body(op.getBody().front()),
        loops(op.getLoops().begin(), op.getLoops().end()) {}

  LogicalResult run() {
    for (size_t i = 0; i < loops.size(); ++i)
      order.push_back(i);
    if (failed(findStreams()))
      return failure();
    simplifyLoops();
    if (loops.size() > BURIN_VPU_MAX_RANK)
      return op.emitOpError("has ") << loops.size() << " loops, more than the " << BURIN_VPU_MAX_RANK
                                    << " of a shave program";
    findLastUses();
    for (auto [i, stream] : llvm::enumerate(streams)) {
      views.push_back(tables.views.size() - task.first_view);
      bool isUsed = i >= firstOutput() || !element(i).use_empty();
      if (!isUsed)
        continue;
      burin_vpu_view view = stream.base;
      view.rank = loops.size();
      view.offset += stream.offset * burin_vpu_dtype_bytes(view.dtype);
      for (int d = 0; d < BURIN_VPU_MAX_RANK; ++d) {
        view.dims[d] = d < (int)loops.size() ? loops[d] : 0;
        view.strides[d] = d < (int)loops.size() ? stream.strides[d] : 0;
      }
      tables.views.push_back(view);
    }
    for (Operation &inner : body.without_terminator())
      if (failed(emit(inner)))
        return failure();
    // Stores come last, since they overwrite what the point reads.
    SmallVector<burin_vpu_step> stores;
    for (auto [i, result] : llvm::enumerate(body.getTerminator()->getOperands())) {
      FailureOr<uint8_t> value = use(result);
      if (failed(value))
        return failure();
      burin_vpu_step store = step(BURIN_VPU_STORE, result.getType());
      store.a = *value;
      store.view = views[firstOutput() + i];
      stores.push_back(store);
    }
    llvm::append_range(tables.steps, stores);
    return success();
  }

private:
  unsigned firstOutput() { return op.getInputs().size(); }
  Value element(unsigned operand) { return body.getArgument(op.getLoops().size() + operand); }

  LogicalResult findStreams() {
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      AffineMap map = cast<AffineMapAttr>(op.getMaps()[i]).getValue();
      FailureOr<burin_vpu_view> base = tables.view(op, operand);
      if (failed(base))
        return failure();
      // Linear maps are known by their values at zero and at each unit.
      auto at = [&](unsigned loop) {
        SmallVector<Attribute> point(map.getNumDims(), IntegerAttr::get(IndexType::get(op.getContext()), 0)), indices;
        if (loop < point.size())
          point[loop] = IntegerAttr::get(IndexType::get(op.getContext()), 1);
        (void)map.constantFold(point, indices);
        int64_t offset = 0;
        for (auto [d, index] : llvm::enumerate(indices))
          offset += cast<IntegerAttr>(index).getInt() * base->strides[d];
        return offset;
      };
      Stream stream{*base, {}, at(~0u)};
      for (size_t loop = 0; loop < loops.size(); ++loop)
        stream.strides.push_back(loops[loop] > 1 ? at(loop) - stream.offset : 0);
      if (llvm::any_of(stream.strides, [](int64_t s) { return s < 0; }))
        return op.emitOpError("reads backwards, which views of the container cannot");
      streams.push_back(std::move(stream));
    }
    return success();
  }

  bool indexIsUsed(unsigned loop) { return !body.getArgument(order[loop]).use_empty(); }

  void eraseLoop(unsigned loop) {
    loops.erase(loops.begin() + loop);
    order.erase(order.begin() + loop);
    for (Stream &stream : streams)
      stream.strides.erase(stream.strides.begin() + loop);
  }

  // Fewer loops, and the longest that no reduction runs over innermost, since the shaves take it in vectors. Each
  // result still sees its points in the old order.
  void simplifyLoops() {
    for (unsigned i = loops.size(); i-- > 0;)
      if (loops[i] == 1 && loops.size() > 1 && !indexIsUsed(i))
        eraseLoop(i);
    for (unsigned i = loops.size(); i-- > 1;) {
      bool together = !indexIsUsed(i) && !indexIsUsed(i - 1) && llvm::all_of(streams, [&](const Stream &s) {
        return s.strides[i - 1] == s.strides[i] * loops[i];
      });
      if (!together)
        continue;
      loops[i] *= loops[i - 1];
      eraseLoop(i - 1);
    }
    ArrayRef<Stream> outs = ArrayRef(streams).drop_front(firstOutput());
    int best = -1;
    for (unsigned i = 0; i < loops.size(); ++i)
      if (llvm::all_of(outs, [&](const Stream &out) { return out.strides[i] > 0; }) &&
          (best < 0 || loops[i] >= loops[best]))
        best = i;
    if (best < 0 || best + 1 == (int)loops.size())
      return;
    auto toEnd = [&](auto &list) { std::rotate(list.begin() + best, list.begin() + best + 1, list.end()); };
    toEnd(loops);
    toEnd(order);
    for (Stream &stream : streams)
      toEnd(stream.strides);
  }

  void findLastUses() {
    for (Operation &inner : body)
      for (Value operand : inner.getOperands())
        lastUse[operand] = &inner;
  }

  static uint8_t typeOf(Type type) {
    return type.isF16() ? BURIN_VPU_F16 : type.isF32() ? BURIN_VPU_F32 : BURIN_VPU_INT;
  }

  burin_vpu_step step(unsigned code, Type type) {
    burin_vpu_step s = {};
    s.op = code;
    s.type = typeOf(type);
    return s;
  }

  FailureOr<uint8_t> allocate() {
    for (unsigned r = 0; r < BURIN_VPU_REGISTERS; ++r)
      if (!taken[r]) {
        taken[r] = true;
        return uint8_t(r);
      }
    return op.emitOpError("needs more than the ") << BURIN_VPU_REGISTERS << " registers of a shave program", failure();
  }

  /// The register of a value; elements, indices and constants come into one when they are first used.
  FailureOr<uint8_t> use(Value value) {
    if (auto found = registers.find(value); found != registers.end())
      return found->second;
    FailureOr<uint8_t> r = allocate();
    if (failed(r))
      return failure();
    burin_vpu_step s = step(BURIN_VPU_CONST, value.getType());
    s.dst = *r;
    Attribute constant;
    if (auto argument = dyn_cast<BlockArgument>(value); argument && argument.getOwner() == &body) {
      unsigned number = argument.getArgNumber(), count = op.getLoops().size();
      if (number < count) {
        auto at = llvm::find(order, number);
        s.op = BURIN_VPU_INDEX;
        s.a = at - order.begin();
        s.type = BURIN_VPU_INT;
      } else {
        s.op = BURIN_VPU_LOAD;
        s.view = views[number - count];
      }
    } else if (matchPattern(value, m_Constant(&constant))) {
      if (auto number = dyn_cast<FloatAttr>(constant))
        s.number = number.getValue().convertToFloat();
      else
        s.integer = cast<IntegerAttr>(constant).getInt();
      if (value.getType().isInteger(1))
        s.integer &= 1;
    } else {
      return op.emitOpError("reads a value that is computed outside of it"), failure();
    }
    if (!isa<FloatType>(value.getType()) && !value.getType().isIntOrIndex())
      return op.emitOpError("computes in a type that the shaves do not have: ") << value.getType(), failure();
    if (isa<FloatType>(value.getType()) && s.type == BURIN_VPU_INT)
      return op.emitOpError("computes in a type that the shaves do not have: ") << value.getType(), failure();
    tables.steps.push_back(s);
    registers[value] = *r;
    return *r;
  }

  void release(Operation &user) {
    for (Value operand : user.getOperands())
      if (auto found = registers.find(operand); found != registers.end() && lastUse.lookup(operand) == &user) {
        taken[found->second] = false;
        registers.erase(found);
      }
  }

  /// Emits `code` on the operands' registers as the op's result. The result may take a register that it reads last.
  LogicalResult simple(Operation &inner, unsigned code, ValueRange operands, Type type = {}) {
    uint8_t in[3] = {};
    for (auto [i, operand] : llvm::enumerate(operands)) {
      FailureOr<uint8_t> r = use(operand);
      if (failed(r))
        return failure();
      in[i] = *r;
    }
    burin_vpu_step s = step(code, type ? type : inner.getResult(0).getType());
    s.a = in[0];
    s.b = in[1];
    s.c = in[2];
    if (code == BURIN_VPU_CONVERT)
      s.b = typeOf(operands[0].getType());
    return finish(inner, s);
  }

  LogicalResult finish(Operation &inner, burin_vpu_step s) {
    release(inner);
    FailureOr<uint8_t> r = allocate();
    if (failed(r))
      return failure();
    s.dst = *r;
    tables.steps.push_back(s);
    registers[inner.getResult(0)] = *r;
    if (inner.getResult(0).use_empty()) {
      taken[*r] = false;
      registers.erase(inner.getResult(0));
    }
    return success();
  }

  /// A register that holds an integer for a moment.
  FailureOr<uint8_t> integer(int64_t value) {
    FailureOr<uint8_t> r = allocate();
    if (failed(r))
      return failure();
    burin_vpu_step s = {};
    s.op = BURIN_VPU_CONST;
    s.type = BURIN_VPU_INT;
    s.dst = *r;
    s.integer = value;
    tables.steps.push_back(s);
    return *r;
  }

  // Element number = sum of index * stride.
  LogicalResult gather(memref::LoadOp load) {
    FailureOr<burin_vpu_view> view = tables.view(op, load.getMemRef());
    FailureOr<uint8_t> sum = integer(0);
    if (failed(view) || failed(sum))
      return failure();
    for (auto [d, index] : llvm::enumerate(load.getIndices())) {
      if (view->strides[d] == 0)
        continue;
      FailureOr<uint8_t> value = use(index), stride = integer(view->strides[d]);
      if (failed(value) || failed(stride))
        return failure();
      burin_vpu_step s = {};
      s.type = BURIN_VPU_INT;
      s.op = BURIN_VPU_MUL;
      s.dst = *stride;
      s.a = *value;
      s.b = *stride;
      tables.steps.push_back(s);
      s.op = BURIN_VPU_ADD;
      s.dst = *sum;
      s.a = *sum;
      tables.steps.push_back(s);
      taken[*stride] = false;
    }
    burin_vpu_step s = step(BURIN_VPU_GATHER, load.getType());
    s.a = *sum;
    s.view = tables.views.size() - task.first_view;
    tables.views.push_back(*view);
    taken[*sum] = false;
    return finish(*load, s);
  }

  // Unsigned numbers of fewer bits than a register.
  LogicalResult unsignedConvert(Operation &inner) {
    Type from = inner.getOperand(0).getType();
    FailureOr<uint8_t> value = use(inner.getOperand(0));
    FailureOr<uint8_t> mask = integer(from.isIntOrIndex() && from.getIntOrFloatBitWidth() < 64
                                          ? (int64_t(1) << from.getIntOrFloatBitWidth()) - 1
                                          : -1);
    if (failed(value) || failed(mask))
      return failure();
    burin_vpu_step s = {};
    s.op = BURIN_VPU_AND;
    s.type = BURIN_VPU_INT;
    s.dst = *mask;
    s.a = *value;
    s.b = *mask;
    tables.steps.push_back(s);
    burin_vpu_step convert = step(BURIN_VPU_CONVERT, inner.getResult(0).getType());
    convert.a = *mask;
    convert.b = BURIN_VPU_INT;
    taken[*mask] = false;
    return finish(inner, convert);
  }

  //   %n = negf %x;  %e = exp %n;  %s = addf %e, 1;  divf 1, %s    ->    sigmoid %x
  Value sigmoidOperand(arith::DivFOp divide) {
    auto sum = divide.getRhs().getDefiningOp<arith::AddFOp>();
    if (!sum || !matchPattern(divide.getLhs(), m_OneFloat()))
      return nullptr;
    bool oneFirst = matchPattern(sum.getLhs(), m_OneFloat());
    if (!oneFirst && !matchPattern(sum.getRhs(), m_OneFloat()))
      return nullptr;
    auto exp = (oneFirst ? sum.getRhs() : sum.getLhs()).getDefiningOp<math::ExpOp>();
    auto negated = exp ? exp.getOperand().getDefiningOp<arith::NegFOp>() : nullptr;
    return negated && sum->hasOneUse() && exp->hasOneUse() && negated->hasOneUse() ? negated.getOperand() : Value();
  }

  bool isPartOfSigmoid(Operation &inner) {
    Operation *user = &inner;
    for (int i = 0; i < 3 && user; ++i) {
      if (!isa<arith::NegFOp, math::ExpOp, arith::AddFOp>(user) || !user->hasOneUse())
        return false;
      user = *user->getUsers().begin();
      if (auto divide = dyn_cast<arith::DivFOp>(user))
        return sigmoidOperand(divide) && divide.getRhs() == user->getOperand(1);
    }
    return false;
  }

  LogicalResult compare(arith::CmpFOp cmp) {
    using P = arith::CmpFPredicate;
    unsigned code;
    bool negate = false; // unordered comparisons are ordered ones of the opposite, negated
    switch (cmp.getPredicate()) {
    case P::OEQ:
      code = BURIN_VPU_EQ;
      break;
    case P::UNE:
    case P::ONE:
      code = BURIN_VPU_NE;
      break;
    case P::OLT:
      code = BURIN_VPU_LT;
      break;
    case P::OLE:
      code = BURIN_VPU_LE;
      break;
    case P::OGT:
      code = BURIN_VPU_GT;
      break;
    case P::OGE:
      code = BURIN_VPU_GE;
      break;
    case P::UGT:
      code = BURIN_VPU_LE;
      negate = true;
      break;
    case P::UGE:
      code = BURIN_VPU_LT;
      negate = true;
      break;
    case P::ULT:
      code = BURIN_VPU_GE;
      negate = true;
      break;
    case P::ULE:
      code = BURIN_VPU_GT;
      negate = true;
      break;
    case P::UEQ:
      code = BURIN_VPU_EQ;
      break;
    case P::UNO:
    case P::ORD:
      if (cmp.getLhs() != cmp.getRhs())
        return unknown(*cmp);
      code = cmp.getPredicate() == P::UNO ? BURIN_VPU_NE : BURIN_VPU_EQ;
      break;
    default:
      return unknown(*cmp);
    }
    FailureOr<uint8_t> a = use(cmp.getLhs()), b = use(cmp.getRhs());
    if (failed(a) || failed(b))
      return failure();
    burin_vpu_step s = step(code, cmp.getLhs().getType());
    s.a = *a;
    s.b = *b;
    if (!negate)
      return finish(*cmp, s);
    FailureOr<uint8_t> one = integer(1), raw = allocate();
    if (failed(one) || failed(raw))
      return failure();
    s.dst = *raw;
    tables.steps.push_back(s);
    burin_vpu_step flip = {};
    flip.op = BURIN_VPU_XOR;
    flip.type = BURIN_VPU_INT;
    flip.a = *raw;
    flip.b = *one;
    taken[*one] = taken[*raw] = false;
    return finish(*cmp, flip);
  }

  LogicalResult compare(arith::CmpIOp cmp) {
    using P = arith::CmpIPredicate;
    static const std::pair<P, unsigned> codes[] = {{P::eq, BURIN_VPU_EQ},  {P::ne, BURIN_VPU_NE},
                                                   {P::slt, BURIN_VPU_LT}, {P::sle, BURIN_VPU_LE},
                                                   {P::sgt, BURIN_VPU_GT}, {P::sge, BURIN_VPU_GE}};
    for (auto [predicate, code] : codes)
      if (predicate == cmp.getPredicate())
        return simple(*cmp, code, cmp->getOperands(), cmp.getLhs().getType());
    return unknown(*cmp);
  }

  LogicalResult unknown(Operation &inner) {
    return op.emitOpError("computes '") << inner.getName()
                                        << "', which the shaves do not have: --fallback=cpu leaves it and what follows "
                                           "to the CPU, --cut=TENSOR says from where";
  }

  LogicalResult emit(Operation &inner) {
    if (isa<arith::ConstantOp>(inner) || isPartOfSigmoid(inner))
      return success();
    ValueRange in = inner.getOperands();
    auto map = [&](unsigned code) { return [&inner, in, code, this](auto) { return simple(inner, code, in); }; };
    return llvm::TypeSwitch<Operation *, LogicalResult>(&inner)
        .Case([&](arith::DivFOp divide) {
          Value x = sigmoidOperand(divide);
          return x ? simple(inner, BURIN_VPU_SIGMOID, x) : simple(inner, BURIN_VPU_DIV, in);
        })
        .Case<arith::AddFOp, arith::AddIOp>(map(BURIN_VPU_ADD))
        .Case<arith::SubFOp, arith::SubIOp>(map(BURIN_VPU_SUB))
        .Case<arith::MulFOp, arith::MulIOp>(map(BURIN_VPU_MUL))
        .Case<arith::DivSIOp>(map(BURIN_VPU_DIV))
        .Case<arith::RemSIOp>(map(BURIN_VPU_REM))
        .Case<arith::MaximumFOp, arith::MaxNumFOp, arith::MaxSIOp>(map(BURIN_VPU_MAX))
        .Case<arith::MinimumFOp, arith::MinNumFOp, arith::MinSIOp>(map(BURIN_VPU_MIN))
        .Case<arith::AndIOp>(map(BURIN_VPU_AND))
        .Case<arith::OrIOp>(map(BURIN_VPU_OR))
        .Case<arith::XOrIOp>(map(BURIN_VPU_XOR))
        .Case<arith::SelectOp>(map(BURIN_VPU_SELECT))
        .Case<arith::NegFOp>(map(BURIN_VPU_NEG))
        .Case<math::AbsFOp, math::AbsIOp>(map(BURIN_VPU_ABS))
        .Case<math::SqrtOp>(map(BURIN_VPU_SQRT))
        .Case<math::ExpOp>(map(BURIN_VPU_EXP))
        .Case<math::LogOp>(map(BURIN_VPU_LOG))
        .Case<math::TanhOp>(map(BURIN_VPU_TANH))
        .Case<math::ErfOp>(map(BURIN_VPU_ERF))
        .Case<math::FloorOp>(map(BURIN_VPU_FLOOR))
        .Case<math::CeilOp>(map(BURIN_VPU_CEIL))
        .Case<math::RoundEvenOp>(map(BURIN_VPU_ROUND))
        .Case<math::SinOp>(map(BURIN_VPU_SIN))
        .Case<math::CosOp>(map(BURIN_VPU_COS))
        .Case<math::PowFOp>(map(BURIN_VPU_POW))
        .Case<arith::ExtFOp, arith::TruncFOp, arith::SIToFPOp, arith::FPToSIOp, arith::FPToUIOp, arith::ExtSIOp,
              arith::TruncIOp, arith::IndexCastOp>(map(BURIN_VPU_CONVERT))
        .Case<arith::UIToFPOp, arith::ExtUIOp, arith::IndexCastUIOp>([&](auto) { return unsignedConvert(inner); })
        .Case<arith::CmpFOp, arith::CmpIOp>([&](auto cmp) { return compare(cmp); })
        .Case([&](memref::LoadOp load) { return gather(load); })
        .Default([&](Operation *other) { return unknown(*other); });
  }

  vpu::ShaveOp op;
  BlobTables &tables;
  burin_vpu_task &task;
  Block &body;
  SmallVector<int64_t> loops;
  SmallVector<unsigned> order; // which loop of the op each is; of merged ones the inner
  SmallVector<Stream> streams;
  SmallVector<uint16_t> views; // of the task, by operand
  DenseMap<Value, uint8_t> registers;
  DenseMap<Value, Operation *> lastUse;
  bool taken[BURIN_VPU_REGISTERS] = {};
};
} // namespace

LogicalResult burin::addProgram(vpu::ShaveOp op, BlobTables &tables, burin_vpu_task &task) {
  return Program(op, tables, task).run();
}
