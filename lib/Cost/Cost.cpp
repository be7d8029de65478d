// Counting, operator by operator. Sizes come from types alone, so a model of any size takes milliseconds.
#include "lib/Cost/Cost.h"

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace burin;

namespace {
bool isStatic(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape();
}

// A free dim, a batch mostly, counts as 1; null where the rank is unknown.
RankedTensorType sizedType(Value value) {
  auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
  if (!type)
    return {};
  SmallVector<int64_t> shape(type.getShape());
  llvm::replace(shape, ShapedType::kDynamic, int64_t(1));
  return RankedTensorType::get(shape, type.getElementType());
}

uint64_t elements(Value value) {
  RankedTensorType type = sizedType(value);
  return type ? type.getNumElements() : 0;
}

uint64_t bytesOf(Value value) {
  RankedTensorType type = sizedType(value);
  return type ? onnx::getRawSize(type.getElementType(), type.getNumElements()).value_or(0) : 0;
}

// The equation's labels with their sizes: every combination of them is one multiplication.
uint64_t einsumProducts(onnx::EinsumOp op) {
  if (op->getNumOperands() < 2 || op.getEquation().contains('.'))
    return 0;
  llvm::StringMap<int64_t> sizes;
  SmallVector<StringRef> terms;
  std::string equation = op.getEquation().str();
  llvm::erase(equation, ' ');
  StringRef(equation).split("->").first.split(terms, ',');
  for (auto [term, operand] : llvm::zip(terms, op->getOperands())) {
    RankedTensorType type = sizedType(operand);
    if (!type || int64_t(term.size()) != type.getRank())
      return 0;
    for (auto [label, size] : llvm::zip(term, type.getShape()))
      sizes[StringRef(&label, 1)] = size;
  }
  uint64_t products = 1;
  for (auto &entry : sizes)
    products *= entry.second;
  return products;
}

uint64_t attentionProducts(onnx::AttentionOp op) {
  RankedTensorType q = sizedType(op.getQ()), k = sizedType(op.getK()), v = sizedType(op.getV());
  if (!q || !k || !v || q.getRank() != k.getRank() || q.getRank() != v.getRank() || q.getRank() < 3)
    return 0;
  bool isFlat = q.getRank() == 3; // batch, sequence, heads x width
  int64_t batch = q.getDimSize(0), length = q.getDimSize(isFlat ? 1 : 2), keys = k.getDimSize(isFlat ? 1 : 2);
  if (RankedTensorType past = sizedType(op.getPastKey()))
    keys += past.getDimSize(2);
  int64_t heads = isFlat ? op.getQNumHeads().value_or(1) : q.getDimSize(1);
  int64_t keyHeads = isFlat ? op.getKvNumHeads().value_or(heads) : v.getDimSize(1);
  int64_t width = isFlat ? q.getDimSize(2) / std::max<int64_t>(heads, 1) : q.getDimSize(3);
  int64_t valueWidth = isFlat ? v.getDimSize(2) / std::max<int64_t>(keyHeads, 1) : v.getDimSize(3);
  return uint64_t(batch) * heads * length * keys * (width + valueWidth);
}

// Products that are summed: the multiply-accumulates of the layers that have them.
uint64_t productsOf(Operation *op) {
  Value result = op->getNumResults() ? op->getResult(0) : Value();
  // Outputs of a convolution each sum over one output channel's weights.
  auto window = [&](Value weights) -> uint64_t {
    RankedTensorType type = sizedType(weights);
    return type && type.getRank() > 1 && type.getDimSize(0)
               ? elements(result) * (type.getNumElements() / type.getDimSize(0))
               : 0;
  };
  auto product = [&](Value a, bool isTransposed = false) -> uint64_t {
    RankedTensorType type = sizedType(a);
    return type && type.getRank() ? elements(result) * type.getDimSize(isTransposed ? 0 : type.getRank() - 1) : 0;
  };
  auto recurrent = [&](Value x, Value w, Value r) -> uint64_t {
    RankedTensorType type = sizedType(x);
    return type && type.getRank() == 3 ? uint64_t(type.getDimSize(0)) * type.getDimSize(1) * (elements(w) + elements(r))
                                       : 0;
  };
  if (auto conv = dyn_cast<onnx::ConvOp>(op))
    return window(conv.getW());
  if (auto conv = dyn_cast<onnx::ConvIntegerOp>(op))
    return window(conv.getW());
  if (auto conv = dyn_cast<onnx::QLinearConvOp>(op))
    return window(conv.getW());
  if (auto conv = dyn_cast<onnx::ConvTransposeOp>(op)) {
    RankedTensorType type = sizedType(conv.getW());
    return type && type.getDimSize(0) ? elements(conv.getX()) * (type.getNumElements() / type.getDimSize(0)) : 0;
  }
  if (isa<onnx::MatMulOp, onnx::MatMulIntegerOp, onnx::QLinearMatMulOp>(op))
    return product(op->getOperand(0));
  if (auto gemm = dyn_cast<onnx::GemmOp>(op))
    return product(gemm.getA(), gemm.getTransA());
  if (auto einsum = dyn_cast<onnx::EinsumOp>(op))
    return einsumProducts(einsum);
  if (auto attention = dyn_cast<onnx::AttentionOp>(op))
    return attentionProducts(attention);
  if (isa<onnx::LSTMOp, onnx::GRUOp, onnx::RNNOp>(op))
    return recurrent(op->getOperand(0), op->getOperand(1), op->getOperand(2));
  return 0;
}

// Nothing moves: another shape over the same bytes, or a shape itself.
bool isFree(StringRef kind) {
  static const llvm::StringSet<> names = {"Reshape", "Squeeze",  "Unsqueeze", "Flatten", "Identity", "Shape",
                                          "Size",    "Constant", "NoValue",   "Yield",   "Dropout",  "ConstantOfShape"};
  return names.contains(kind);
}

// Moves bytes and computes nothing.
bool isMove(StringRef kind) {
  static const llvm::StringSet<> names = {"Transpose",      "Concat",         "Split", "Slice",     "Gather",
                                          "GatherElements", "GatherND",       "Pad",   "Expand",    "Tile",
                                          "DepthToSpace",   "SpaceToDepth",   "Cast",  "ScatterND", "ScatterElements",
                                          "Where",          "ReverseSequence"};
  return names.contains(kind);
}

// How many plain vector operations one element of a function takes.
double weightOf(StringRef kind) {
  return llvm::StringSwitch<double>(kind)
      .Cases({"Exp", "Sigmoid", "Tanh", "Swish", "Mish", "Gelu", "Erf", "Softplus", "Elu", "Selu", "Celu", "Log"}, 10)
      .Cases({"Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization", "InstanceNormalization",
              "GroupNormalization", "MaxPool", "AveragePool", "Resize", "Attention"},
             12)
      .Cases({"Div", "Sqrt", "Reciprocal", "Pow"}, 4)
      .Default(1);
}

bool isDepthwise(Operation *op) {
  auto conv = dyn_cast<onnx::ConvOp>(op);
  RankedTensorType w = conv ? sizedType(conv.getW()) : RankedTensorType();
  return w && conv.getGroup() > 1 && w.getDimSize(1) == 1;
}

double estimate(Operation *op, const OperatorCost &cost, const Machine &machine) {
  unsigned bits = 32;
  if (RankedTensorType type = op->getNumResults() ? sizedType(op->getResult(0)) : RankedTensorType())
    if (type.getElementType().isF64())
      bits = 64;
  double lanes = machine.lanes(bits);
  // Shares of the peak that such layers reach here: tiles of registers do better than windows of one channel.
  double share = isDepthwise(op) ? 0.3 : 0.7;
  double arithmetic =
      cost.macs / (lanes * machine.fmaPerCycle * share) + cost.operations * weightOf(cost.kind) / lanes / 2;
  // Elementwise work beside a layer is done on values at hand; a layer reads and writes.
  uint64_t moved = cost.macs || isMove(cost.kind) ? cost.bytes() : cost.writtenBytes;
  double perCycle = cost.bytes() <= machine.l2Bytes ? 24 : 8;
  return std::max(arithmetic, moved / perCycle);
}

// Picojoules of one multiplication and one addition: 45 nm, the table of README.md.
std::pair<double, double> energyOf(Type type) {
  if (!type || !type.isIntOrFloat())
    return {3.7, 0.9};
  if (isa<FloatType>(type))
    return type.getIntOrFloatBitWidth() <= 16 ? std::make_pair(1.1, 0.4) : std::make_pair(3.7, 0.9);
  return type.getIntOrFloatBitWidth() <= 8 ? std::make_pair(0.2, 0.1) : std::make_pair(3.1, 0.1);
}

bool isParameter(Value operand) {
  RankedTensorType type = sizedType(operand);
  if (!type || type.getRank() == 0 || !onnx::getConstantAttr(operand))
    return false;
  Type element = type.getElementType();
  return isa<FloatType>(element) ||
         (element.isInteger() && element.getIntOrFloatBitWidth() <= 8 && !element.isInteger(1));
}

std::string shapeText(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return "?";
  std::string text;
  for (int64_t d : type.getShape())
    text += (text.empty() ? "" : "x") + (ShapedType::isDynamic(d) ? "?" : std::to_string(d));
  return text.empty() ? "scalar" : text;
}

uint64_t peakOf(Block &block) {
  DenseMap<Operation *, int64_t> order;
  int64_t count = 0;
  for (Operation &op : block)
    order[&op] = count++;
  std::vector<int64_t> change(count + 1);
  auto live = [&](Value value, int64_t from) {
    int64_t last = from;
    for (Operation *user : value.getUsers())
      if (Operation *at = block.findAncestorOpInBlock(*user))
        last = std::max(last, order[at]);
    change[from] += bytesOf(value);
    change[last + 1 <= count ? last + 1 : count] -= bytesOf(value);
  };
  for (Operation &op : block)
    if (!isa<onnx::ConstantOp>(op))
      for (Value result : op.getResults())
        live(result, order[&op]);
  int64_t now = 0, peak = 0;
  for (int64_t c : change)
    peak = std::max(peak, now += c);
  return peak;
}
} // namespace

ModelCost burin::analyze(func::FuncOp function, const CostOptions &options) {
  ModelCost model;
  DenseSet<Value> seen; // a shared weight counts once
  function.walk([&](Operation *op) {
    if (!isa<onnx::OnnxDialect>(op->getDialect()) || op->hasTrait<OpTrait::IsTerminator>())
      return;
    OperatorCost cost;
    cost.op = op;
    cost.kind = onnx::getOpType(op).str();
    if (isFree(cost.kind))
      return;
    cost.name = onnx::getNodeName(op).str();
    cost.shape = op->getNumResults() ? shapeText(op->getResult(0)) : "";
    bool isNorm = isa<onnx::BatchNormalizationOp>(op);
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      if (onnx::isNone(operand))
        continue;
      if (!isParameter(operand)) {
        cost.isKnown &= isStatic(operand) || bool(onnx::getConstantAttr(operand));
        if (!onnx::getConstantAttr(operand))
          cost.readBytes += bytesOf(operand);
        continue;
      }
      // Mean and variance are measured, not learned.
      if (seen.insert(operand).second) {
        cost.params += isNorm && i > 2 ? 0 : elements(operand);
        cost.weightBytes += bytesOf(operand);
      }
    }
    uint64_t results = 0;
    for (Value result : op->getResults())
      if (!onnx::isNone(result)) {
        cost.isKnown &= isStatic(result);
        cost.writtenBytes += bytesOf(result);
        results += elements(result);
      }
    cost.macs = productsOf(op);
    if (isNorm && options.accounting == Accounting::Edge)
      cost.macs = 4 * results;
    else if (!cost.macs && !isMove(cost.kind))
      cost.operations = results;
    model.unknown += !cost.isKnown;
    RankedTensorType first = op->getNumResults() ? sizedType(op->getResult(0)) : RankedTensorType();
    auto [multiply, add] = energyOf(first ? first.getElementType() : Type());
    cost.arithmeticPicojoules = cost.macs * (multiply + add) + cost.operations * add;
    if (options.machine)
      cost.cycles = estimate(op, cost, *options.machine);
    OperatorCost &total = model.total;
    total.params += cost.params;
    total.macs += cost.macs;
    total.operations += cost.operations;
    total.weightBytes += cost.weightBytes;
    total.readBytes += cost.readBytes;
    total.writtenBytes += cost.writtenBytes;
    total.cycles += cost.cycles;
    total.arithmeticPicojoules += cost.arithmeticPicojoules;
    model.operators.push_back(std::move(cost));
  });
  if (!function.empty())
    model.peakActivationBytes = peakOf(function.front());
  return model;
}
