// The NN family, products: MatMul, Gemm and Einsum. Floats become nn.matmul, integers a plain contraction (they are
// rare and wrap in their own type). A right operand whose last two dims lie swapped in memory is taken so, by
// transpose_rhs.
#include "passes/Lower/NN.h"
#include "passes/Lower/StoredWeights.h"

#include <map>

using namespace mlir;

namespace burin::lower {
namespace {

bool isMatmulType(Type type) { return isa<FloatType>(type) && type.getIntOrFloatBitWidth() >= 16; }

/// The two last dims swapped.
Order swappedOrder(int64_t rank) {
  Order order = identityOrder(rank);
  std::swap(order[rank - 1], order[rank - 2]);
  return order;
}

/// A right operand [b..., k, n], or [b..., n, k] where it lies so already.
struct Rhs {
  Value tensor;
  bool transposed = false;
};
Rhs getRhs(Lowering &l, Value v) {
  int64_t rank = l.rank(v);
  Order swapped = swappedOrder(rank);
  if (!l.isConstant(v)) {
    Order order = l.get(v).order;
    if (!sameMemory(l.shape(v), order, identityOrder(rank)) && sameMemory(l.shape(v), order, swapped))
      return {l.getIn(v, swapped), true};
  }
  return {l.getIdentity(v), false};
}

/// lhs [b..., m, k] times rhs, all of one rank or rhs of rank 2, into [b..., m, n].
nn::MatmulOp createMatmul(Lowering &l, Value lhs, const Rhs &rhs, const Shaped &type) {
  SmallVector<NamedAttribute> attributes;
  if (rhs.transposed)
    attributes.push_back(l.b.getNamedAttr("transpose_rhs", l.b.getUnitAttr()));
  auto matmul = nn::MatmulOp::create(l.b, ValueRange{lhs, rhs.tensor}, l.empty(type), attributes);
  l.built(matmul->getResult(0), type.shape);
  return matmul;
}

/// The contraction that `maps` (from loops to lhs, rhs) describe; loops not in `kept` are summed.
Value contract(Lowering &l, ArrayRef<int64_t> loops, ValueRange operands, ArrayRef<AffineMap> maps,
               ArrayRef<int64_t> axes, Type type) {
  Type wide = computeType(type);
  Value sum = l.reduce(loops, operands, maps, axes, l.zero(wide), [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    Value term = s.cast(args[0], wide);
    for (Value v : args.drop_front().drop_back())
      term = s.mul(term, s.cast(v, wide));
    return s.add(args.back(), term);
  });
  if (wide == type)
    return sum;
  auto result = Shaped(l.extentsOf(sum), type);
  return l.map(result, sum, l.b.getMultiDimIdentityMap(result.getRank()),
               [&](ImplicitLocOpBuilder &b, ValueRange args) { return Scalars(b, false).cast(args[0], type); });
}

/// lhs [B, m, k] x rhs [B or 1, k, n] of integers.
Value integerMatmul(Lowering &l, Value lhs, Value rhs, Type type) {
  Dims a = l.extentsOf(lhs), c = l.extentsOf(rhs);
  auto d = [&](int64_t i) { return l.b.getAffineDimExpr(i); };
  AffineExpr batch = c[0] == 1 ? l.b.getAffineConstantExpr(0) : d(0);
  AffineExpr lhsBatch = a[0] == 1 ? l.b.getAffineConstantExpr(0) : d(0);
  AffineMap maps[] = {AffineMap::get(4, 0, {lhsBatch, d(1), d(3)}, l.b.getContext()),
                      AffineMap::get(4, 0, {batch, d(3), d(2)}, l.b.getContext())};
  return contract(l, {l.broadcastExtent(a[0], c[0]), a[1], c[2], a[2]}, {lhs, rhs}, maps, 3, type);
}

/// Heads [b, h, t, d] that an Expand repeats for groups: rhs = Reshape(Expand(Unsqueeze(heads))) of [b, h * groups, t,
/// d], or its last two dims swapped.
struct Repeated {
  Value heads;
  int64_t count, groups;
  bool transposed;
};
std::optional<Repeated> getRepeated(Lowering &l, Value rhs) {
  bool transposed = false;
  if (auto transpose = rhs.getDefiningOp<onnx::TransposeOp>();
      transpose && l.rank(rhs) == 4 && transpose.getPerm() == ArrayRef<int64_t>({0, 1, 3, 2})) {
    transposed = true;
    rhs = transpose.getData();
  }
  auto merge = rhs.getDefiningOp<onnx::ReshapeOp>();
  auto expand = merge ? merge.getData().getDefiningOp<onnx::ExpandOp>() : onnx::ExpandOp();
  auto split = expand ? expand.getInput().getDefiningOp<onnx::UnsqueezeOp>() : onnx::UnsqueezeOp();
  if (!split || l.rank(rhs) != 4 || l.rank(expand.getOutput()) != 5 || l.rank(split.getData()) != 4)
    return std::nullopt;
  Value heads = split.getData();
  ArrayRef<int64_t> source = l.shape(heads), wide = l.shape(expand.getOutput()), merged = l.shape(rhs);
  int64_t count = source[1], groups = wide[2];
  if (count < 1 || groups < 1 || l.shape(expand.getInput())[2] != 1)
    return std::nullopt;
  bool fits = Dims(wide) == Dims({source[0], count, groups, source[2], source[3]}) &&
              Dims(merged) == Dims({source[0], count * groups, source[2], source[3]});
  return fits ? std::optional<Repeated>({heads, count, groups, transposed}) : std::nullopt;
}

/// lhs [b, h * groups, m, k] times heads that groups share: the rows of a group are those of one product, and nothing
/// is repeated.
LogicalResult lowerGroupedMatMul(Lowering &l, onnx::MatMulOp op, const Repeated &rhs) {
  Value lhs = l.getIdentity(op.getA()), right = l.getIdentity(rhs.heads);
  Dims a = l.extentsOf(lhs), c = l.extentsOf(right);
  int64_t rows = l.mul(rhs.groups, a[2]), n = rhs.transposed ? c[2] : c[3], batch = l.mul(a[0], rhs.count);
  lhs = l.reshape(l.merge(l.split(lhs, 1, {rhs.count, rhs.groups}), 2, 2, rows), {batch, rows, a[3]});
  Value result = createMatmul(l, lhs, {l.reshape(right, {batch, c[2], c[3]}), rhs.transposed},
                              Shaped({batch, rows, n}, l.element(op.getY())))
                     ->getResult(0);
  result = l.split(l.split(result, 0, {a[0], rhs.count}), 2, {rhs.groups, a[2]});
  l.set(op.getY(), l.merge(result, 1, 2, a[1]));
  return success();
}

LogicalResult lowerMatMul(Lowering &l, onnx::MatMulOp op) {
  Value a = op.getA(), b = op.getB(), y = op.getY();
  if (l.rank(a) == 0 || l.rank(b) == 0)
    return l.error(op) << "expected operands of rank 1 or more, got a scalar";
  Type type = l.element(y);
  if (auto repeated = getRepeated(l, b); repeated && isMatmulType(type) && l.rank(a) == 4 &&
                                         l.shape(a)[0] == l.shape(b)[0] && l.shape(a)[1] == l.shape(b)[1])
    return lowerGroupedMatMul(l, op, *repeated);
  Value lhs = l.getIdentity(a);
  Dims lhsShape = l.extentsOf(lhs);
  if (lhsShape.size() == 1)
    lhsShape.insert(lhsShape.begin(), 1);
  if (auto stored = getStoredWeight(l, b, false)) {
    int64_t rows = l.product(ArrayRef<int64_t>(lhsShape).drop_back());
    lhs = l.reshape(lhs, {rows, stored->rows});
    l.set(y, l.reshape(createStoredMatmul(l, lhs, *stored, Shaped({rows, stored->columns}, type))->getResult(0),
                       l.shape(y)));
    return success();
  }
  Rhs rhs;
  if (l.rank(b) == 1)
    rhs = {l.reshape(l.getIdentity(b), {l.shape(b)[0], 1})};
  else
    rhs = getRhs(l, b);
  Dims rhsShape = l.extentsOf(rhs.tensor);
  int64_t k = lhsShape.back(), m = lhsShape[lhsShape.size() - 2];
  int64_t n = rhsShape[rhsShape.size() - (rhs.transposed ? 2 : 1)];
  Dims lhsBatch(ArrayRef<int64_t>(lhsShape).drop_back(2)), rhsBatch(ArrayRef<int64_t>(rhsShape).drop_back(2));
  while (lhsBatch.size() < rhsBatch.size())
    lhsBatch.insert(lhsBatch.begin(), 1);
  while (rhsBatch.size() < lhsBatch.size())
    rhsBatch.insert(rhsBatch.begin(), 1);

  Dims lhsTarget, rhsTarget, batch;
  if (product(rhsBatch) == 1) {
    // One matrix serves all batches: their rows are one long left operand.
    lhsTarget = {l.mul(l.product(lhsBatch), m), k};
  } else if (lhsBatch == rhsBatch) {
    batch = {l.product(lhsBatch)};
    lhsTarget = {batch[0], m, k};
    rhsTarget = batch;
  } else {
    for (auto [i, j] : llvm::zip(lhsBatch, rhsBatch))
      batch.push_back(l.broadcastExtent(i, j));
    lhsTarget = lhsBatch;
    lhsTarget.append({m, k});
    rhsTarget = rhsBatch;
  }
  rhsTarget.append({rhs.transposed ? n : k, rhs.transposed ? k : n});
  lhs = l.reshape(lhs, lhsTarget);
  rhs.tensor = l.reshape(rhs.tensor, rhsTarget);
  Dims shape = batch;
  shape.append({lhsTarget[lhsTarget.size() - 2], n});

  Value result;
  if (isMatmulType(type)) {
    result = createMatmul(l, lhs, rhs, Shaped(shape, type))->getResult(0);
  } else {
    if (batch.size() > 1)
      return l.unsupported(op, "integers whose batches are broadcast in part; an Expand before the node does the same");
    Value right = rhs.transposed ? l.transpose(rhs.tensor, swappedOrder(rhsTarget.size())) : rhs.tensor;
    Dims rightShape = {batch.empty() ? 1 : batch[0], k, n},
         leftShape = {batch.empty() ? 1 : batch[0], lhsTarget[lhsTarget.size() - 2], k};
    result = integerMatmul(l, l.reshape(lhs, leftShape), l.reshape(right, rightShape), type);
  }
  l.set(y, l.reshape(result, l.shape(y)));
  return success();
}

LogicalResult lowerGemm(Lowering &l, onnx::GemmOp op) {
  Type type = l.element(op.getY());
  ArrayRef<int64_t> shape = l.shape(op.getY());
  Value lhs = l.getIn(op.getA(), op.getTransA() ? swappedOrder(2) : identityOrder(2));
  auto stored = getStoredWeight(l, op.getB(), op.getTransB());
  // B as [k, n]: its dims are (k, n) or, with transB, (n, k). Constants are turned at compile time.
  Order wanted = op.getTransB() ? swappedOrder(2) : identityOrder(2),
        other = op.getTransB() ? identityOrder(2) : swappedOrder(2);
  Rhs rhs;
  if (stored)
    rhs = {};
  else if (l.isConstant(op.getB()) || sameMemory(l.shape(op.getB()), l.get(op.getB()).order, wanted))
    rhs = {l.getIn(op.getB(), wanted), false};
  else
    rhs = {l.getIn(op.getB(), other), true};

  bool hasBias = !l.isAbsent(op.getC()) && op.getBeta() != 0 && !onnx::isConstantFloat(op.getC(), 0);
  if (isMatmulType(type)) {
    nn::MatmulOp matmul = stored ? createStoredMatmul(l, lhs, *stored, Shaped(shape, type))
                                 : createMatmul(l, lhs, rhs, Shaped(shape, type));
    Value bias;
    AffineMap map;
    if (hasBias) {
      OpBuilder::InsertionGuard guard(l.b);
      l.b.setInsertionPoint(matmul);
      std::tie(bias, map) = l.broadcast(op.getC(), shape, identityOrder(2));
    }
    addBiasEpilogue(l, matmul, bias, map, op.getAlpha(), op.getBeta());
    l.set(op.getY(), matmul->getResult(0));
    return success();
  }
  Value right = rhs.transposed ? l.transpose(rhs.tensor, {1, 0}) : rhs.tensor;
  Dims lhsShape = l.extentsOf(lhs), rhsShape = l.extentsOf(right);
  Value sum = integerMatmul(l, l.reshape(lhs, {1, lhsShape[0], lhsShape[1]}),
                            l.reshape(right, {1, rhsShape[0], rhsShape[1]}), type);
  sum = l.reshape(sum, shape);
  SmallVector<Value> operands = {sum};
  SmallVector<AffineMap> maps = {l.b.getMultiDimIdentityMap(2)};
  if (hasBias) {
    auto [bias, map] = l.broadcast(op.getC(), shape, identityOrder(2));
    operands.push_back(bias);
    maps.push_back(map);
  }
  l.set(op.getY(), l.map(Shaped(shape, type), operands, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, l.isUnsigned(op.getY()));
    auto scaled = [&](Value v, double factor) {
      Type wide = b.getF64Type();
      return factor == 1 ? v : s.cast(s.mul(s.cast(v, wide), s.constant(wide, factor)), type, s.isUnsigned);
    };
    Value value = scaled(args[0], op.getAlpha());
    return hasBias ? s.add(value, scaled(args[1], op.getBeta())) : value;
  }));
  return success();
}

/// The letters of one operand or of the result; an ellipsis stands for upper dims, written as the letters '0' ... '9'.
std::string expandTerm(StringRef term, int64_t rank) {
  std::string letters;
  int64_t named = llvm::count_if(term, [](char c) { return isalpha(c); });
  for (size_t i = 0; i < term.size(); ++i) {
    if (isalpha(term[i]))
      letters += term[i];
    if (term.substr(i).starts_with("...")) {
      for (int64_t dim = rank - named; dim > 0; --dim)
        letters += static_cast<char>('0' + dim - 1);
      i += 2;
    }
  }
  return letters;
}

LogicalResult lowerEinsum(Lowering &l, onnx::EinsumOp op) {
  std::string equation = op.getEquation().str();
  llvm::erase(equation, ' ');
  auto [left, right] = StringRef(equation).split("->");
  bool isExplicit = StringRef(equation).contains("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != op.getInputs().size())
    return l.error(op) << "expected an equation of " << op.getInputs().size() << " terms, got '" << op.getEquation()
                       << "'";
  SmallVector<std::string> inputs;
  std::map<char, int64_t> extents;
  int64_t upper = 0;
  for (auto [term, v] : llvm::zip(terms, op.getInputs())) {
    inputs.push_back(expandTerm(term, l.rank(v)));
    if (static_cast<int64_t>(inputs.back().size()) != l.rank(v))
      return l.error(op) << "expected term '" << term << "' of rank " << l.rank(v) << ", got " << inputs.back().size();
    for (auto [letter, extent] : llvm::zip(inputs.back(), l.shape(v))) {
      upper = std::max<int64_t>(upper, isdigit(letter) ? letter - '0' + 1 : 0);
      int64_t &known = extents.try_emplace(letter, 1).first->second;
      known = extent == 1 ? known : extent;
    }
  }
  std::string output;
  if (isExplicit) {
    int64_t named = llvm::count_if(right, [](char c) { return isalpha(c); });
    output = expandTerm(right, named + upper);
  } else { // the upper dims, then every letter that occurs once, in alphabetical order
    output = expandTerm("...", upper);
    for (auto [letter, extent] : extents)
      if (isalpha(letter) && llvm::count(StringRef(llvm::join(inputs, "")), letter) == 1)
        output += letter;
  }
  // Loops: the result's dims, then those that are summed.
  std::string loops = output;
  for (auto [letter, extent] : extents)
    if (output.find(letter) == std::string::npos)
      loops += letter;
  Dims loopExtents, axes;
  for (auto [i, letter] : llvm::enumerate(loops)) {
    loopExtents.push_back(extents[letter]);
    if (i >= output.size())
      axes.push_back(i);
  }
  SmallVector<Value> tensors;
  SmallVector<AffineMap> maps;
  for (auto [letters, v] : llvm::zip(inputs, op.getInputs())) {
    SmallVector<AffineExpr> exprs;
    Dims kept;
    for (auto [letter, extent] : llvm::zip(letters, l.shape(v)))
      if (extent != 1 || extents[letter] == 1) {
        exprs.push_back(l.b.getAffineDimExpr(loops.find(letter)));
        kept.push_back(extent);
      }
    tensors.push_back(l.reshape(l.getIdentity(v), kept));
    maps.push_back(AffineMap::get(loops.size(), 0, exprs, l.b.getContext()));
  }
  l.set(op.getOutput(), contract(l, loopExtents, tensors, maps, axes, l.element(op.getOutput())));
  return success();
}

} // namespace

void populateNNMatmulLowerings(Registry &registry) {
  registry.add(lowerMatMul);
  registry.add(lowerGemm);
  registry.add(lowerEinsum);
}

} // namespace burin::lower
