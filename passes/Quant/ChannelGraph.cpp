// One walk joins channels; an operator that is not known here fixes what it reads and makes. Removal slices constants
// along the dims that hold channels and sets types, so that no shape has to be inferred again.
#include "passes/Quant/ChannelGraph.h"
#include "passes/Quant/Plan.h"
#include "passes/Quant/Rewriting.h"

using namespace mlir;

namespace burin::quant {

// What keeps channels as they are, each by itself.
static bool isChannelwise(Operation *op) {
  StringRef type = onnx::getOpType(op);
  static constexpr StringLiteral names[] = {"Relu",
                                            "Clip",
                                            "LeakyRelu",
                                            "Sigmoid",
                                            "Tanh",
                                            "HardSigmoid",
                                            "HardSwish",
                                            "Swish",
                                            "Gelu",
                                            "Elu",
                                            "Mish",
                                            "Softplus",
                                            "Identity",
                                            "MaxPool",
                                            "AveragePool",
                                            "Selu",
                                            "Celu",
                                            "ThresholdedRelu",
                                            "GlobalAveragePool",
                                            "GlobalMaxPool"};
  if (op->getNumResults() == 0 || (type == "MaxPool" && op->getNumResults() > 1 && !op->getResult(1).use_empty()))
    return false;
  if (auto resize = dyn_cast<onnx::ResizeOp>(op)) // sizes name the channels
    return onnx::isNone(resize.getSizes()) && onnx::isNone(resize.getRoi());
  return llvm::is_contained(names, type);
}

// A reduction or reshape that leaves dims 0 and 1 alone.
static bool keepsLeadingDims(Operation *op) {
  if (op->getNumOperands() == 0 || op->getNumResults() == 0)
    return false;
  auto from = floatTensor(op->getOperand(0)), to = floatTensor(op->getResult(0));
  if (!from || !to || from.getRank() < 3 || to.getRank() < 2 || from.getDimSize(1) != to.getDimSize(1) ||
      from.getDimSize(0) != to.getDimSize(0))
    return false;
  if (isa<onnx::ReshapeOp, onnx::FlattenOp, onnx::SqueezeOp>(op))
    return from.hasStaticShape() || isa<onnx::FlattenOp>(op)
               ? llvm::all_of(from.getShape().drop_front(2), [](int64_t d) { return d == 1; })
               : false;
  if (!isa<onnx::ReduceMeanOp, onnx::ReduceMaxOp, onnx::ReduceSumOp>(op) || op->getNumOperands() < 2)
    return false;
  auto axes = onnx::getConstantInts(op->getOperand(1));
  return axes && !axes->empty() &&
         llvm::all_of(*axes, [&](int64_t a) { return (a < 0 ? a + from.getRank() : a) >= 2; });
}

// The dim of a constant that lines up with dim 1 of a value of this rank, or -1.
static int64_t channelDimOf(Value constant, int64_t rank) {
  auto type = cast<RankedTensorType>(constant.getType());
  int64_t dim = type.getRank() - rank + 1;
  return dim >= 0 && dim < type.getRank() && type.getDimSize(dim) != 1 ? dim : -1;
}

ChannelGraph::ChannelGraph(func::FuncOp function) : function(function) {
  for (BlockArgument arg : function.getArguments())
    fix(arg);
  for (Operation &op : function.front())
    if (!isConstant(op.getNumResults() ? op.getResult(0) : Value()) || op.getNumResults() == 0)
      visit(&op);
  for (auto &[value, classes] : known)
    for (unsigned &c : classes)
      c = find(c);
  for (unsigned c = 0; c < parents.size(); ++c)
    if (unsigned leader = find(c); leader != c)
      llvm::append_range(makers[leader], makers[c]);
}

ArrayRef<unsigned> ChannelGraph::classesOf(Value value) const {
  auto found = known.find(value);
  return found == known.end() ? ArrayRef<unsigned>() : ArrayRef<unsigned>(found->second);
}

unsigned ChannelGraph::fresh(bool isFixed) {
  parents.push_back(parents.size());
  fixed.push_back(isFixed);
  makers.emplace_back();
  return parents.size() - 1;
}

unsigned ChannelGraph::find(unsigned c) {
  while (parents[c] != c)
    c = parents[c] = parents[parents[c]];
  return c;
}

void ChannelGraph::join(ArrayRef<unsigned> a, ArrayRef<unsigned> b) {
  for (auto [x, y] : llvm::zip(a, b)) {
    unsigned low = std::min(find(x), find(y)), high = std::max(find(x), find(y));
    parents[high] = low;
    if (fixed[high])
      fixed.set(low);
  }
}

SmallVector<unsigned> &ChannelGraph::channels(Value value) {
  auto [place, isNew] = known.try_emplace(value);
  auto type = floatTensor(value);
  if (isNew && type && type.getRank() >= 2 && !type.isDynamicDim(1))
    for (int64_t c = 0; c < type.getDimSize(1); ++c)
      place->second.push_back(fresh(/*isFixed=*/true));
  return place->second;
}

void ChannelGraph::fix(Value value) {
  for (unsigned c : channels(value))
    fixed.set(find(c));
}

void ChannelGraph::same(Value from, Value to) {
  SmallVector<unsigned> copy = channels(from);
  known[to] = std::move(copy);
}

// Conv, Gemm and MatMul: the input's channels are columns of the weight, the output's are its rows.
bool ChannelGraph::visitProduct(Operation *op) {
  if (roleOf(op) != Role::Product)
    return false;
  auto conv = dyn_cast<onnx::ConvOp>(op);
  auto input = floatTensor(op->getOperand(0)), output = floatTensor(op->getResult(0));
  if (isa<onnx::ConvTransposeOp>(op) || !input || !output || input.getRank() < 2 || (!conv && input.getRank() != 2) ||
      input.isDynamicDim(1) || output.isDynamicDim(1))
    return false;
  Value bias = op->getNumOperands() > 2 ? op->getOperand(2) : Value();
  ElementsAttr given = floatConstant(bias);
  if (bias && !onnx::isNone(bias) && (!given || given.getNumElements() != output.getDimSize(1)))
    return false;
  if (conv && conv.getGroup() != 1) {
    if (conv.getGroup() != input.getDimSize(1) || conv.getGroup() != output.getDimSize(1))
      return false;
    same(op->getOperand(0), op->getResult(0));
  } else {
    channels(op->getOperand(0));
    SmallVector<unsigned> own;
    for (int64_t c = 0; c < output.getDimSize(1); ++c)
      own.push_back(fresh(/*isFixed=*/false));
    known[op->getResult(0)] = std::move(own);
  }
  for (auto [c, id] : llvm::enumerate(known[op->getResult(0)]))
    makers[id].push_back({op, int64_t(c)});
  return true;
}

bool ChannelGraph::visitBinary(Operation *op) {
  auto result = floatTensor(op->getResult(0));
  if (!result || result.getRank() < 2 || result.isDynamicDim(1))
    return false;
  SmallVector<Value> whole; // operands with all of the result's channels
  for (Value operand : op->getOperands()) {
    auto type = floatTensor(operand);
    if (!type || (!isConstant(operand) && type.getRank() != result.getRank()))
      return false;
    if (isConstant(operand))
      continue;
    if (type.getDimSize(1) == result.getDimSize(1))
      whole.push_back(operand);
    else
      fix(operand); // one channel for all
  }
  if (whole.empty())
    return false;
  same(whole.front(), op->getResult(0));
  if (whole.size() == 2) {
    SmallVector<unsigned> other = channels(whole[1]);
    join(known[op->getResult(0)], other);
  }
  return true;
}

void ChannelGraph::visit(Operation *op) {
  if (visitProduct(op))
    return;
  auto concat = dyn_cast<onnx::ConcatOp>(op);
  if ((isChannelwise(op) || keepsLeadingDims(op)) && floatTensor(op->getResult(0)))
    return same(op->getOperand(0), op->getResult(0));
  if (isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::PReluOp>(op) && visitBinary(op))
    return;
  if (concat && concat.getAxis() == 1 && llvm::none_of(op->getOperands(), [](Value v) { return isConstant(v); })) {
    SmallVector<unsigned> all;
    for (Value operand : op->getOperands())
      llvm::append_range(all, channels(operand));
    auto type = floatTensor(op->getResult(0));
    if (type && type.getRank() >= 2 && type.getDimSize(1) == int64_t(all.size())) {
      known[op->getResult(0)] = std::move(all);
      return;
    }
  }
  for (Value v : op->getOperands())
    if (!isConstant(v))
      fix(v);
  op->walk([&](Operation *inner) { // values that a subgraph reads from outside
    for (Value v : inner->getOperands())
      if (known.contains(v))
        fix(v);
  });
}

static Value sliced(Value old, int64_t dim, ArrayRef<int64_t> keep) {
  auto type = cast<RankedTensorType>(old.getType());
  if (int64_t(keep.size()) == type.getDimSize(dim))
    return old;
  SmallVector<float> from = onnx::getFloats(floatConstant(old)), to;
  int64_t outer = 1, inner = 1;
  for (int64_t d = 0; d < type.getRank(); ++d)
    (d < dim ? outer : d > dim ? inner : outer) *= d == dim ? 1 : type.getDimSize(d);
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t k : keep)
      to.append(from.begin() + (o * type.getDimSize(dim) + k) * inner,
                from.begin() + (o * type.getDimSize(dim) + k + 1) * inner);
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] = keep.size();
  OpBuilder b(old.getContext());
  b.setInsertionPointAfterValue(old);
  return constant(b, old.getLoc(), onnx::makeFloats(RankedTensorType::get(shape, type.getElementType()), to));
}

void ChannelGraph::remove(const llvm::BitVector &classes) {
  auto kept = [&](Value v) {
    SmallVector<int64_t> list;
    for (auto [i, c] : llvm::enumerate(classesOf(v)))
      if (!classes[c])
        list.push_back(i);
    return list;
  };
  auto changes = [&](Value v) { return llvm::any_of(classesOf(v), [&](unsigned c) { return classes[c]; }); };
  for (Operation &op : llvm::make_early_inc_range(function.front())) {
    if (op.getNumResults() == 0 || isConstant(op.getResult(0)))
      continue;
    Value result = op.getResult(0);
    auto conv = dyn_cast<onnx::ConvOp>(op);
    if (roleOf(&op) == Role::Product && (changes(op.getOperand(0)) || changes(result))) {
      SmallVector<int64_t> in = kept(op.getOperand(0)), out = kept(result);
      bool isTransposed = false;
      if (auto gemm = dyn_cast<onnx::GemmOp>(op))
        isTransposed = gemm.getTransB() != 0;
      int64_t outDim = conv || isTransposed ? 0 : 1;
      Value weight = sliced(op.getOperand(1), outDim, out);
      if (conv && conv.getGroup() != 1)
        op.setAttr("group", Builder(op.getContext()).getI64IntegerAttr(out.size()));
      else
        weight = sliced(weight, 1 - outDim, in);
      op.setOperand(1, weight);
      if (op.getNumOperands() > 2 && !onnx::isNone(op.getOperand(2)))
        op.setOperand(2,
                      sliced(op.getOperand(2), cast<RankedTensorType>(op.getOperand(2).getType()).getRank() - 1, out));
    } else if (changes(result) && isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::PReluOp>(op)) {
      for (OpOperand &operand : op.getOpOperands())
        if (isConstant(operand.get()))
          if (int64_t dim = channelDimOf(operand.get(), cast<RankedTensorType>(result.getType()).getRank()); dim >= 0)
            operand.set(sliced(operand.get(), dim, kept(result)));
    } else if (auto reshape = dyn_cast<onnx::ReshapeOp>(op); reshape && changes(result)) {
      SmallVector<int64_t> shape(cast<RankedTensorType>(result.getType()).getShape());
      shape[1] = kept(result).size();
      OpBuilder b(&op);
      op.setOperand(1, onnx::createI64s(b, op.getOperand(1).getLoc(), shape));
    }
  }
  for (auto &[value, list] : known) {
    if (!changes(value))
      continue;
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape[1] = kept(value).size();
    Value typed = value;
    typed.setType(RankedTensorType::get(shape, type.getElementType(), type.getEncoding()));
  }
  eraseUnused(function);
}

} // namespace burin::quant
