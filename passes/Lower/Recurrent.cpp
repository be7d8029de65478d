// The Recurrent family: RNN, GRU, LSTM. The input's part of all steps is one product before the steps; a step is one
// product with the recurrent weights (two for a GRU that resets before it) and elementwise gates. Few steps are written
// out; many become a loop whose states are updated in place, so that no buffer is ever carried to the next iteration.
#include "passes/Lower/NN.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <cstring>
#include <variant>

using namespace mlir;

namespace burin::lower {
namespace {

/// Up to this many steps are written out: no dynamic offsets, and neighbours fuse.
constexpr int64_t maxUnrolledSteps = 8;

struct Activation {
  std::string name; // lower case
  double alpha = 0, beta = 0;

  Value apply(Scalars &s, Value x) const {
    auto c = [&](double value) { return s.like(x, value); };
    if (name == "relu")
      return s.max(x, c(0));
    if (name == "tanh")
      return s.tanh(x);
    if (name == "sigmoid")
      return s.sigmoid(x);
    if (name == "affine")
      return s.add(s.mul(c(alpha), x), c(beta));
    if (name == "leakyrelu")
      return s.select(s.less(x, c(0)), s.mul(c(alpha), x), x);
    if (name == "thresholdedrelu")
      return s.select(s.less(c(alpha), x), x, c(0));
    if (name == "scaledtanh")
      return s.mul(c(alpha), s.tanh(s.mul(c(beta), x)));
    if (name == "hardsigmoid")
      return s.max(s.min(s.add(s.mul(c(alpha), x), c(beta)), c(1)), c(0));
    if (name == "elu")
      return s.select(s.less(x, c(0)), s.mul(c(alpha), s.sub(s.exp(x), c(1))), x);
    if (name == "softsign")
      return s.div(x, s.add(c(1), s.abs(x)));
    return s.softplus(x);
  }
};

/// ONNX's defaults of alpha and beta; nothing where the function has none.
struct Defaults {
  StringRef name;
  std::optional<double> alpha, beta;
};
const Defaults functions[] = {{"relu", {}, {}},         {"tanh", {}, {}},          {"sigmoid", {}, {}},
                              {"affine", 1.0, 0.0},     {"leakyrelu", 0.01, {}},   {"thresholdedrelu", 1.0, {}},
                              {"scaledtanh", 1.0, 1.0}, {"hardsigmoid", 0.2, 0.5}, {"elu", 1.0, {}},
                              {"softsign", {}, {}},     {"softplus", {}, {}}};

/// States [batch, hidden]; `c` only in an LSTM.
struct State {
  Value h, c;
};

/// One recurrent node: its sizes, and what its directions share.
class Recurrence {
public:
  enum Kind { rnn, gru, lstm };
  Recurrence(Lowering &l, Operation *op, Kind kind) : l(l), op(op), kind(kind) {}

  LogicalResult run() {
    Value x = op->getOperand(0), r = op->getOperand(2);
    if (l.rank(x) != 3)
      return l.impossible = true, l.error(op) << "expected X of rank 3, got rank " << l.rank(x);
    if (l.rank(op->getOperand(1)) != 3 || l.rank(r) != 3)
      return l.error(op) << "expected W and R of rank 3, got ranks " << l.rank(op->getOperand(1)) << " and "
                         << l.rank(r);
    type = l.element(x);
    wide = computeType(type);
    gates = kind == rnn ? 1 : kind == gru ? 3 : 4;
    batchFirst = integer("layout") == 1;
    Order stepsFirst = batchFirst ? Order{1, 0, 2} : identityOrder(3);
    Dims shape = permuted(l.shape(x), stepsFirst);
    steps = shape[0], batch = shape[1], inputs = shape[2];
    hidden = l.shape(r)[2];
    directions = l.shape(r)[0];
    if (l.shape(r)[1] != gates * hidden || l.shape(op->getOperand(1))[1] != gates * hidden ||
        l.shape(op->getOperand(1))[2] != inputs)
      return l.error(op) << "expected W and R of " << gates * hidden << " rows for " << inputs << " inputs, got "
                         << op->getOperand(1).getType() << " and " << r.getType();
    auto direction = op->getAttrOfType<StringAttr>("direction").getValue();
    if (directions != (direction == "bidirectional" ? 2 : 1))
      return l.error(op) << "expected R of " << (direction == "bidirectional" ? 2 : 1) << " directions, got "
                         << directions;
    if (failed(readActivations()))
      return failure();
    if (auto attr = op->getAttrOfType<FloatAttr>("clip"))
      clip = attr.getValueAsDouble();
    inputForget = kind == lstm && integer("input_forget");
    linearBeforeReset = kind == gru && integer("linear_before_reset");
    readLengths();

    Value all = l.reshape(l.getIn(x, stepsFirst), {l.mul(steps, batch), inputs});
    bool wantsY = !l.isAbsent(op->getResult(0)) && !op->getResult(0).use_empty();
    Value y = wantsY ? l.empty({steps, directions, batch, hidden}, type) : Value();
    SmallVector<State> finals;
    for (int64_t d = 0; d < directions; ++d)
      finals.push_back(runDirection(d, all, direction == "reverse" || d == 1, y));

    if (wantsY)
      l.set(op->getResult(0), y, batchFirst ? Order{1, 2, 0, 3} : identityOrder(4));
    for (unsigned i : {1u, 2u}) {
      if (i >= op->getNumResults() || l.isAbsent(op->getResult(i)))
        continue;
      SmallVector<Value> parts;
      for (State &state : finals)
        parts.push_back(i == 1 ? state.h : state.c);
      l.set(op->getResult(i), stack(parts), batchFirst ? Order{1, 0, 2} : identityOrder(3));
    }
    return success();
  }

private:
  Lowering &l;
  Operation *op;
  Kind kind;
  Type type, wide;
  int64_t steps, batch, inputs, hidden, directions, gates;
  bool batchFirst, inputForget, linearBeforeReset;
  std::optional<double> clip;
  SmallVector<Activation> activations; // those of direction 0, then of direction 1
  Value lengths;                       // [batch] i32; null where every sequence is full

  int64_t integer(StringRef name) {
    auto attr = op->getAttrOfType<IntegerAttr>(name);
    return attr ? attr.getInt() : 0;
  }

  LogicalResult readActivations() {
    size_t each = kind == rnn ? 1 : kind == gru ? 2 : 3;
    static const char *const defaults[] = {"sigmoid", "tanh", "tanh"};
    SmallVector<std::string> names;
    if (auto attr = op->getAttrOfType<ArrayAttr>("activations"))
      for (auto name : attr.getAsRange<StringAttr>())
        names.push_back(name.getValue().lower());
    if (names.empty())
      for (size_t i = 0; i < each; ++i)
        names.push_back(kind == rnn ? "tanh" : defaults[i]);
    if (names.size() == each && directions == 2)
      names.append(SmallVector<std::string>(names));
    if (names.size() < each * directions)
      return l.error(op) << "expected " << each * directions << " activations, got " << names.size();
    ArrayRef<float> alphas, betas;
    if (auto attr = op->getAttrOfType<DenseF32ArrayAttr>("activation_alpha"))
      alphas = attr.asArrayRef();
    if (auto attr = op->getAttrOfType<DenseF32ArrayAttr>("activation_beta"))
      betas = attr.asArrayRef();
    auto take = [](std::optional<double> fallback, ArrayRef<float> &given) {
      if (!fallback || given.empty())
        return fallback.value_or(0);
      double value = given.front();
      given = given.drop_front();
      return value;
    };
    for (const std::string &name : names) {
      auto known = llvm::find_if(functions, [&](const Defaults &f) { return f.name == name; });
      if (known == std::end(functions))
        return l.unsupported(op, "activation '" + name + "'; Tanh, Sigmoid, Relu and the others ONNX lists work");
      double alpha = take(known->alpha, alphas);
      activations.push_back({name, alpha, take(known->beta, betas)});
    }
    return success();
  }

  void readLengths() {
    Value v = op->getOperand(4);
    if (l.isAbsent(v))
      return;
    if (auto known = onnx::getConstantInts(v); known && llvm::all_of(*known, [&](int64_t n) { return n == steps; }))
      return;
    lengths = l.getIdentity(v);
  }

  // --- Weights
  // ---------------------------------------------------------------------------------------------------------

  /// A right operand of nn.matmul: [k, n], or [n, k] with `transposed`.
  struct Matrix {
    Value tensor;
    bool transposed;
    int64_t columns;
  };

  /// Rows [from, from + count) of direction d of W or R [directions, rows, k], as a right operand.
  Matrix matrix(Value v, int64_t d, int64_t from, int64_t count) {
    int64_t rows = l.shape(v)[1], k = l.shape(v)[2];
    auto attr = l.constant(v);
    auto raw = attr ? onnx::getRawElements(attr) : std::nullopt;
    size_t size = type.getIntOrFloatBitWidth() / 8;
    if (!raw || !(raw->splat || raw->bytes.size() == size * attr.getNumElements())) {
      Value slice = l.slice(l.getIdentity(v), {d, from, 0}, {1, count, k});
      return {l.reshape(slice, {count, k}), true, count};
    }
    std::vector<char> turned(size * k * count);
    for (int64_t i = 0; i < k; ++i)
      for (int64_t j = 0; j < count; ++j)
        std::memcpy(&turned[(i * count + j) * size],
                    raw->bytes.data() + (raw->splat ? 0 : ((d * rows + from + j) * k + i) * size), size);
    return {l.makeTensor(RankedTensorType::get({k, count}, type), turned), false, count};
  }

  /// lhs [m, k] times `rhs`, plus `addend` [m, n] or [n] where given.
  Value product(Value lhs, const Matrix &rhs, Value addend = {}) {
    SmallVector<NamedAttribute> attributes;
    if (rhs.transposed)
      attributes.push_back(l.b.getNamedAttr("transpose_rhs", l.b.getUnitAttr()));
    int64_t m = l.extentsOf(lhs)[0];
    Value init = l.empty({m, rhs.columns}, type);
    auto matmul = nn::MatmulOp::create(l.b, ValueRange{lhs, rhs.tensor}, init, attributes);
    if (addend) {
      int64_t rank = cast<RankedTensorType>(addend.getType()).getRank();
      AffineMap map = l.b.getMultiDimIdentityMap(2);
      addBiasEpilogue(l, matmul, addend, rank == 2 ? map : map.getMinorIdentityMap(2, 1, l.b.getContext()));
    }
    return l.built(matmul->getResult(0), {m, rhs.columns});
  }

  /// `count` elements from `from` of direction d of a vector operand [directions, n].
  Value part(Value v, int64_t d, int64_t from, int64_t count) {
    return l.reshape(l.slice(l.getIdentity(v), {d, from}, {1, count}), {count});
  }

  /// What the input's product adds: Wb + Rb, but for a hidden gate whose Rb is reset: that one is `resetBias`.
  Value biasOf(int64_t d, Value &resetBias) {
    Value v = op->getOperand(3);
    if (l.isAbsent(v))
      return {};
    int64_t n = gates * hidden, summed = linearBeforeReset ? n - hidden : n;
    if (linearBeforeReset)
      resetBias = part(v, d, n + summed, hidden);
    auto floats = type.isF32() ? onnx::getConstantFloats(v) : std::nullopt;
    auto vectorType = RankedTensorType::get({n}, type);
    if (floats) {
      SmallVector<float> sums(n);
      for (int64_t i = 0; i < n; ++i)
        sums[i] = (*floats)[2 * d * n + i] + (i < summed ? (*floats)[2 * d * n + n + i] : 0);
      return l.makeTensor(onnx::makeFloats(vectorType, sums));
    }
    Value input = part(v, d, 0, n), recurrent = part(v, d, n, n);
    AffineMap map = l.b.getMultiDimIdentityMap(1);
    return l.map(vectorType, {input, recurrent}, {map, map}, [&](ImplicitLocOpBuilder &b, ValueRange args) {
      Value sum = arith::AddFOp::create(b, args[0], args[1]);
      if (summed == n)
        return sum;
      Value index = linalg::IndexOp::create(b, 0), limit = arith::ConstantIndexOp::create(b, summed);
      Value both = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, index, limit);
      return arith::SelectOp::create(b, both, sum, args[0]).getResult();
    });
  }

  // --- Steps
  // -----------------------------------------------------------------------------------------------------------

  struct Direction {
    SmallVector<Activation> f;
    SmallVector<Matrix> recurrent; // all gates, or for a GRU that resets before the product: gates z and r, then h
    Value resetBias;               // [hidden] or null
    SmallVector<Value> peepholes;  // i, o, f: [hidden] each, or none
  };

  State runDirection(int64_t d, Value all, bool reverse, Value &y) {
    Direction dir;
    size_t each = activations.size() / directions;
    dir.f.assign(activations.begin() + d * each, activations.begin() + (d + 1) * each);
    Value r = op->getOperand(2);
    if (kind == gru && !linearBeforeReset)
      dir.recurrent = {matrix(r, d, 0, 2 * hidden), matrix(r, d, 2 * hidden, hidden)};
    else
      dir.recurrent = {matrix(r, d, 0, gates * hidden)};
    if (kind == lstm && !l.isAbsent(op->getOperand(7)))
      for (int64_t i = 0; i < 3; ++i)
        dir.peepholes.push_back(part(op->getOperand(7), d, i * hidden, hidden));

    Value bias = biasOf(d, dir.resetBias);
    Value projected = product(all, matrix(op->getOperand(1), d, 0, gates * hidden), bias);
    projected = l.reshape(projected, {steps, batch, gates * hidden});
    State state{initial(5, d), kind == lstm ? initial(6, d) : Value()};

    if (!isFree(steps) && steps <= maxUnrolledSteps) {
      for (int64_t i = 0; i < steps; ++i) {
        int64_t t = reverse ? steps - 1 - i : i;
        state = step(dir, projected, l.b.getIndexAttr(t), state);
        if (y)
          y = insert(y, state.h, l.b.getIndexAttr(t), d);
      }
      return state;
    }

    SmallVector<Value> carried{l.own(state.h)};
    if (state.c)
      carried.push_back(l.own(state.c));
    if (y)
      carried.push_back(y);
    Value zero = l.index(0), one = l.index(1), end = l.index(steps), last = l.index(l.sub(steps, 1));
    auto loop = scf::ForOp::create(l.b, zero, end, one, carried);
    {
      OpBuilder::InsertionGuard guard(l.b);
      l.b.setInsertionPointToEnd(loop.getBody());
      Value t = loop.getInductionVar();
      if (reverse)
        t = arith::SubIOp::create(l.b, last, t);
      auto args = loop.getRegionIterArgs();
      for (Value arg : args.take_front(state.c ? 2 : 1))
        l.built(arg, {batch, hidden});
      if (y)
        l.built(args.back(), {steps, directions, batch, hidden});
      State next = step(dir, projected, t, {args[0], state.c ? args[1] : Value()});
      SmallVector<Value> yielded{l.moveInto(next.h, args[0])};
      if (next.c)
        yielded.push_back(l.moveInto(next.c, args[1]));
      if (y)
        yielded.push_back(insert(args.back(), yielded[0], t, d));
      scf::YieldOp::create(l.b, yielded);
    }
    for (Value result : loop.getResults().take_front(state.c ? 2 : 1))
      l.built(result, {batch, hidden});
    if (y)
      y = l.built(loop.getResults().back(), {steps, directions, batch, hidden});
    return {loop.getResult(0), state.c ? loop.getResult(1) : Value()};
  }

  /// Direction d of an initial state, [batch, hidden]; zeros where it is absent.
  Value initial(unsigned operand, int64_t d) {
    Value v = op->getOperand(operand);
    Shaped state({batch, hidden}, type);
    if (l.isAbsent(v))
      return l.makeSplat(state, l.zero(type));
    Value tensor = l.getIn(v, batchFirst ? Order{1, 0, 2} : identityOrder(3));
    return l.reshape(l.slice(tensor, {d, 0, 0}, {1, batch, hidden}), {batch, hidden});
  }

  Value stack(ArrayRef<Value> parts) {
    if (parts.size() == 1)
      return l.reshape(parts[0], {1, batch, hidden});
    Value result = l.empty({directions, batch, hidden}, type);
    for (auto [d, value] : llvm::enumerate(parts))
      result = insertInto(result, value, {l.b.getIndexAttr(d), l.b.getIndexAttr(0), l.b.getIndexAttr(0)});
    return result;
  }

  Value insertInto(Value target, Value value, SmallVector<OpFoldResult> offsets) {
    Dims shape = l.extentsOf(value);
    SmallVector<OpFoldResult> sizes(offsets.size() - shape.size(), l.b.getIndexAttr(1)),
        strides(offsets.size(), l.b.getIndexAttr(1));
    llvm::append_range(sizes, l.fold(shape));
    return l.built(tensor::InsertSliceOp::create(l.b, value, target, offsets, sizes, strides), l.extentsOf(target));
  }

  /// y[t, d] = h, or zero where the sequence has ended.
  Value insert(Value y, Value h, OpFoldResult t, int64_t d) {
    if (lengths)
      h = elementwise({h}, [&](Scalars &s, ValueRange args) { return args[0]; }, t, l.zero(type));
    Attribute zero = l.b.getIndexAttr(0);
    return insertInto(y, h, {t, l.b.getIndexAttr(d), zero, zero});
  }

  /// Elementwise over [batch, hidden]: operands are of that shape, or [hidden]. With lengths and a step `t` the result
  /// of a sequence that has ended is `otherwise`: an operand's index or a constant.
  Value elementwise(SmallVector<Value> operands, llvm::function_ref<Value(Scalars &, ValueRange)> body,
                    OpFoldResult t = {}, std::variant<std::monostate, unsigned, TypedAttr> otherwise = {}) {
    Shaped resultType({batch, hidden}, type);
    MLIRContext *ctx = l.b.getContext();
    AffineMap all = l.b.getMultiDimIdentityMap(2);
    SmallVector<AffineMap> maps;
    for (Value v : operands)
      maps.push_back(cast<RankedTensorType>(v.getType()).getRank() == 2 ? all
                                                                        : AffineMap::getMinorIdentityMap(2, 1, ctx));
    bool masked = lengths && otherwise.index() != 0;
    Value step;
    if (masked) {
      operands.push_back(lengths);
      maps.push_back(AffineMap::get(2, 0, {l.b.getAffineDimExpr(0)}, ctx));
      if (auto value = dyn_cast<Value>(t))
        step = arith::IndexCastOp::create(l.b, l.b.getI32Type(), value);
    }
    maps.push_back(all);
    SmallVector<utils::IteratorType> iterators(2, utils::IteratorType::parallel);
    auto build = [&](OpBuilder &builder, Location loc, ValueRange args) {
      ImplicitLocOpBuilder b(loc, builder);
      Scalars s(b, false);
      SmallVector<Value> widened;
      for (Value arg : args.drop_back(masked ? 2 : 1))
        widened.push_back(s.cast(arg, wide));
      Value result = s.cast(body(s, widened), type);
      if (masked) {
        Value now =
            step ? step : arith::ConstantOp::create(b, b.getI32IntegerAttr(*getConstantIntValue(t))).getResult();
        Value runs = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, now, args[operands.size() - 1]);
        Value old = otherwise.index() == 1 ? Value(args[std::get<1>(otherwise)])
                                           : arith::ConstantOp::create(b, std::get<2>(otherwise)).getResult();
        result = arith::SelectOp::create(b, runs, result, old);
      }
      linalg::YieldOp::create(b, result);
    };
    return l.built(linalg::GenericOp::create(l.b, TypeRange(RankedTensorType(resultType)), operands,
                                             ValueRange(l.empty(resultType)), maps, iterators, build)
                       .getResult(0),
                   resultType.shape);
  }

  Value activate(Scalars &s, Value x, const Activation &f) {
    if (clip)
      x = s.min(s.max(x, s.like(x, -*clip)), s.like(x, *clip));
    return f.apply(s, x);
  }

  State step(Direction &dir, Value projected, OpFoldResult t, State old) {
    SmallVector<OpFoldResult> offsets{t, l.b.getIndexAttr(0), l.b.getIndexAttr(0)}, strides(3, l.b.getIndexAttr(1));
    int64_t columns = gates * hidden;
    Dims sizes = {1, batch, columns};
    Value x = tensor::ExtractSliceOp::create(l.b, RankedTensorType(Shaped({batch, columns}, type)), projected, offsets,
                                             l.fold(sizes), strides);
    l.built(x, {batch, columns});
    auto gate = [&](Value tensor, int64_t i) { return l.slice(tensor, {0, i * hidden}, {batch, hidden}); };
    ArrayRef<Activation> f = dir.f;

    if (kind == rnn) {
      Value sum = product(old.h, dir.recurrent[0], x);
      SmallVector<Value> operands{sum};
      if (lengths)
        operands.push_back(old.h);
      return {elementwise(operands, [&](Scalars &s, ValueRange a) { return activate(s, a[0], f[0]); }, t, 1u), {}};
    }

    if (kind == gru) {
      Value sum, hiddenSum, reset;
      if (linearBeforeReset) {
        Value recurrent = product(old.h, dir.recurrent[0]);
        SmallVector<Value> operands{gate(recurrent, 1), gate(x, 1), gate(recurrent, 2), gate(x, 2)};
        if (dir.resetBias)
          operands.push_back(dir.resetBias);
        hiddenSum = elementwise(operands, [&](Scalars &s, ValueRange a) {
          Value r = activate(s, s.add(a[0], a[1]), f[0]);
          return s.add(a[3], s.mul(r, a.size() > 4 ? s.add(a[2], a[4]) : a[2]));
        });
        sum =
            elementwise({gate(recurrent, 0), gate(x, 0)}, [&](Scalars &s, ValueRange a) { return s.add(a[0], a[1]); });
      } else {
        Value both = product(old.h, dir.recurrent[0], l.slice(x, {0, 0}, {batch, 2 * hidden}));
        reset = elementwise({gate(both, 1), old.h},
                            [&](Scalars &s, ValueRange a) { return s.mul(activate(s, a[0], f[0]), a[1]); });
        hiddenSum = product(reset, dir.recurrent[1], gate(x, 2));
        sum = gate(both, 0);
      }
      return {elementwise(
                  {sum, hiddenSum, old.h},
                  [&](Scalars &s, ValueRange a) {
                    Value z = activate(s, a[0], f[0]), h = activate(s, a[1], f[1]);
                    return s.add(s.mul(s.sub(s.like(z, 1), z), h), s.mul(z, a[2]));
                  },
                  t, 2u),
              {}};
    }

    // LSTM: gates i, o, f, c.
    Value sum = product(old.h, dir.recurrent[0], x);
    bool peeps = !dir.peepholes.empty();
    SmallVector<Value> operands{old.c, gate(sum, 0), gate(sum, 2), gate(sum, 3)};
    if (peeps)
      operands.append({dir.peepholes[0], dir.peepholes[2]});
    Value c = elementwise(
        operands,
        [&](Scalars &s, ValueRange a) {
          auto peep = [&](Value v, unsigned i) { return peeps ? s.add(v, s.mul(a[i], a[0])) : v; };
          Value i = activate(s, peep(a[1], 4), f[0]);
          Value forget = inputForget ? s.sub(s.like(i, 1), i) : activate(s, peep(a[2], 5), f[0]);
          return s.add(s.mul(forget, a[0]), s.mul(i, activate(s, a[3], f[1])));
        },
        t, 0u);
    operands = {gate(sum, 1), c};
    if (lengths)
      operands.push_back(old.h);
    if (peeps)
      operands.push_back(dir.peepholes[1]);
    Value h = elementwise(
        operands,
        [&](Scalars &s, ValueRange a) {
          Value o = activate(s, peeps ? s.add(a[0], s.mul(a.back(), a[1])) : a[0], f[0]);
          return s.mul(o, f[2].apply(s, a[1]));
        },
        t, 2u);
    return {h, c};
  }
};

LogicalResult lowerRNN(Lowering &l, onnx::RNNOp op) { return Recurrence(l, op, Recurrence::rnn).run(); }
LogicalResult lowerGRU(Lowering &l, onnx::GRUOp op) { return Recurrence(l, op, Recurrence::gru).run(); }
LogicalResult lowerLSTM(Lowering &l, onnx::LSTMOp op) { return Recurrence(l, op, Recurrence::lstm).run(); }

} // namespace

void populateRecurrentLowerings(Registry &registry) {
  registry.add(lowerRNN);
  registry.add(lowerGRU);
  registry.add(lowerLSTM);
}

} // namespace burin::lower
