// Adapters as inputs: y = op(x, W) + lora_scale * B (A x), the two narrow products beside the wide one, so that one
// program serves every adapter of these ranks. A and B come in the order of dims that the operators want.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Lora.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace burin::graph::lora {

namespace {

struct Slot {
  SmallVector<const Share *> shares;
  int64_t rank = 0;
};

// Dims of A and B for `user`, and whether they are transposed against [rank, inputs] and [outputs, rank].
struct Layout {
  SmallVector<int64_t> a, b;
  bool aTurned, bTurned;
};

std::optional<Layout> layoutOf(const Target &target, int64_t rank) {
  if (auto conv = dyn_cast<onnx::ConvOp>(target.user)) {
    if (conv.getGroup() != 1)
      return std::nullopt;
    Layout layout{SmallVector<int64_t>(rankedType(conv.getW()).getShape()), {target.outputs, rank}, false, false};
    layout.a[0] = rank;
    layout.b.append(layout.a.size() - 2, 1);
    return layout;
  }
  bool isLeft = isa<onnx::MatMulOp>(target.user) && target.operand == 0;
  if (auto gemm = dyn_cast<onnx::GemmOp>(target.user); gemm && target.operand == 0)
    return std::nullopt;
  if (isLeft)
    return Layout{{rank, target.inputs}, {target.outputs, rank}, false, false};
  return Layout{{target.inputs, rank}, {rank, target.outputs}, true, true};
}

Value delta(OpBuilder &b, const Target &target, Value a, Value up, Value scale) {
  Location loc = target.user->getLoc();
  auto times = [&](Value x) { return x ? build<onnx::MulOp>(b, loc, {x, scale}) : Value(); };
  auto product = [&](Value x, Value y) { return x && y ? build<onnx::MatMulOp>(b, loc, {x, y}) : Value(); };
  if (auto conv = dyn_cast<onnx::ConvOp>(target.user)) {
    Value none = noValue(b, loc);
    auto keeps = [](NamedAttribute attr) { return attr.getName() != "kernel_shape"; };
    SmallVector<NamedAttribute> attributes = llvm::to_vector(llvm::make_filter_range(conv->getAttrs(), keeps));
    Value narrow = times(build<onnx::ConvOp>(b, loc, {conv.getX(), a, none}, attributes));
    return narrow ? build<onnx::ConvOp>(b, loc, {narrow, up, none}) : Value();
  }
  if (auto gather = dyn_cast<onnx::GatherOp>(target.user))
    return product(times(build<onnx::GatherOp>(b, loc, {a, gather.getIndices()})), up);
  if (auto gemm = dyn_cast<onnx::GemmOp>(target.user)) {
    Value x = gemm.getA();
    if (gemm.getTransA() != 0)
      x = build<onnx::TransposeOp>(b, loc, {x}, b.getNamedAttr("perm", b.getDenseI64ArrayAttr({1, 0})));
    return product(times(product(x, a)), up);
  }
  return target.operand == 0 ? product(up, times(product(a, target.user->getOperand(1))))
                             : product(times(product(target.user->getOperand(0), a)), up);
}

// A share's factors in the input's layout, padded to the slot's rank; scale * alpha / rank is in B.
void fill(const Share &share, const Target &target, const Layout &layout, int64_t rank, MutableArrayRef<float> a,
          MutableArrayRef<float> b) {
  const Factors &f = share.factors;
  for (int64_t p = 0; p < f.rank; ++p)
    for (int64_t i = 0; i < f.inputs; ++i)
      a[layout.aTurned ? i * rank + p : p * f.inputs + i] = f.down[p * f.inputs + i];
  for (int64_t o = 0; o < share.assignment.rows; ++o)
    for (int64_t p = 0; p < f.rank; ++p) {
      int64_t output = share.assignment.to + o;
      float value = float(share.scale) * f.up[(share.assignment.from + o) * f.rank + p];
      b[layout.bTurned ? p * target.outputs + output : output * rank + p] = value;
    }
}

} // namespace

LogicalResult addSwitches(ModuleOp module, func::FuncOp main, ArrayRef<Target> targets, ArrayRef<Share> shares,
                          ArrayRef<std::string> files) {
  Builder types(module.getContext());
  llvm::MapVector<std::pair<unsigned, int64_t>, Slot> slots;
  for (const Share &share : shares) {
    Slot &slot = slots[{share.assignment.targets.front(), share.assignment.to}];
    slot.shares.push_back(&share);
    slot.rank = std::max(slot.rank, share.factors.rank);
  }
  SmallVector<DictionaryAttr> argAttrs;
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    argAttrs.push_back(main.getArgAttrDict(i));
  Block &block = main.front();
  std::vector<NamedAttrList> values(files.size() + 1); // the last: no adapter
  auto addInput = [&](const Twine &name, RankedTensorType type) -> Value {
    argAttrs.push_back(types.getDictionaryAttr(types.getNamedAttr("onnx.name", types.getStringAttr(name))));
    return block.addArgument(type, main.getLoc());
  };
  auto addValue = [&](unsigned file, StringRef name, RankedTensorType type, ArrayRef<float> data) {
    char *bytes;
    Literal literal = makeLiteral(type, false, bytes);
    if (type.getElementType().isF32())
      std::memcpy(bytes, data.data(), data.size() * sizeof(float));
    else
      literal = fromDoubles(type, SmallVector<double>(data.begin(), data.end()));
    values[file].append(name, toAttr(literal, "lora"));
  };

  DenseMap<Type, Value> scales;
  Type scaleElement;
  for (auto &[key, slot] : slots) {
    const Target &target = targets[key.first];
    auto layout = layoutOf(target, slot.rank);
    if (!layout)
      return onnx::emitNodeError(target.user)
             << "expected a product or a convolution of one group to switch adapters at; --lora-mode=merge takes it";
    Type element = cast<RankedTensorType>(target.user->getResult(0).getType()).getElementType();
    auto aType = RankedTensorType::get(layout->a, element), bType = RankedTensorType::get(layout->b, element);
    std::string base = slot.shares.front()->name;
    Value a = addInput(base + ".lora_A", aType), b = addInput(base + ".lora_B", bType);
    for (unsigned file = 0; file <= files.size(); ++file) {
      SmallVector<float> av(aType.getNumElements(), 0.0f), bv(bType.getNumElements(), 0.0f);
      for (const Share *share : slot.shares)
        if (share->adapter == file)
          fill(*share, target, *layout, slot.rank, av, bv);
      addValue(file, base + ".lora_A", aType, av);
      addValue(file, base + ".lora_B", bType, bv);
    }
    Value &scale = scales[element];
    if (!scale && scales.size() == 1) {
      scaleElement = element;
      scale = addInput("lora_scale", RankedTensorType::get({}, element));
      for (unsigned file = 0; file <= files.size(); ++file)
        addValue(file, "lora_scale", RankedTensorType::get({}, element), {1.0f});
    } else if (!scale) {
      // One input serves all; a model may compute in two types.
      OpBuilder top = OpBuilder::atBlockBegin(&block);
      scale = build<onnx::CastOp>(top, main.getLoc(), {scales.lookup(scaleElement)},
                                  top.getNamedAttr("to", top.getI64IntegerAttr(element.isF16()    ? 10
                                                                               : element.isBF16() ? 16
                                                                                                  : 1)));
    }
    for (unsigned i : slot.shares.front()->assignment.targets) {
      Operation *user = targets[i].user;
      OpBuilder builder(user);
      builder.setInsertionPointAfter(user);
      Value result = user->getResult(0), change = delta(builder, targets[i], a, b, scale);
      Value sum = change ? build<onnx::AddOp>(builder, user->getLoc(), {result, change}) : Value();
      if (!sum)
        return onnx::emitNodeError(user) << "expected an operator that a second path can be added to";
      sum.setType(result.getType());
      result.replaceUsesWithIf(sum, [&](OpOperand &use) { return use.getOwner() != sum.getDefiningOp(); });
    }
  }
  main.setType(
      FunctionType::get(module.getContext(), block.getArgumentTypes(), block.getTerminator()->getOperandTypes()));
  main.setAllArgAttrs(argAttrs);
  SmallVector<Attribute> all;
  for (auto [i, tensors] : llvm::enumerate(values)) {
    NamedAttrList entry;
    entry.append("file", types.getStringAttr(i < files.size() ? files[i] : "none"));
    entry.append("tensors", tensors.getDictionary(module.getContext()));
    all.push_back(entry.getDictionary(module.getContext()));
  }
  module->setAttr("burin.lora_values", types.getArrayAttr(all));
  return success();
}

} // namespace burin::graph::lora
