// lower-onnx: the walk over @main that the families fill in. One pass in order over one block: an operand is always
// placed before it is asked for, so nothing is ever patched up. It builds a new block beside the old one and drops the
// old one at the end; on an error the function stays as it was.
#include "dialects/Onnx/Bridge.h"
#include "passes/Lower/Calls.h"
#include "passes/Lower/Lowering.h"
#include "passes/Lower/Narrow.h"
#include "passes/Lower/Passes.h"
#include "passes/Lower/Sizes.h"
#include "passes/Lower/StoredWeights.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_LOWERONNX
#include "passes/Lower/Passes.h.inc"

namespace lower {

std::vector<std::string> Registry::operators() const {
  std::vector<std::string> names;
  for (const auto &entry : table)
    names.push_back(entry.getKey().substr(entry.getKey().find('.') + 1).str());
  llvm::sort(names);
  return names;
}

const Registry &getRegistry() {
  static const Registry registry = [] {
    Registry r;
    populateControlFlowLowerings(r);
    populateMathLowerings(r);
    populateNNLowerings(r);
    populateReductionLowerings(r);
    populateTensorLowerings(r);
    populateImageLowerings(r);
    populateQuantLowerings(r);
    populateRecurrentLowerings(r);
    populateSignalLowerings(r);
    populateDetectionLowerings(r);
    populateMiscLowerings(r);
    populateCallLowerings(r);
    populateTextLowerings(r); // takes strings out of what those before have
    return r;
  }();
  return registry;
}

bool needsNoLowering(Operation *op) {
  return isa<onnx::ConstantOp, onnx::NoValueOp, onnx::YieldOp, func::ReturnOp>(op);
}

func::FuncOp getMain(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  return main && !main.isExternal() ? main : func::FuncOp();
}

void eraseDead(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        eraseDead(inner);
    if (isOpTriviallyDead(&op))
      op.erase();
  }
}

} // namespace lower

std::vector<std::string> getLoweredOperators() { return lower::getRegistry().operators(); }

using namespace lower;

/// ONNX's number of an element type (TensorProto.DataType), 0 where it has none.
static int64_t dtypeNumber(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type)) {
    bool isUnsigned = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1:
      return 9;
    case 2:
      return isUnsigned ? 25 : 26;
    case 4:
      return isUnsigned ? 21 : 22;
    case 8:
      return isUnsigned ? 2 : 3;
    case 16:
      return isUnsigned ? 4 : 5;
    case 32:
      return isUnsigned ? 12 : 6;
    case 64:
      return isUnsigned ? 13 : 7;
    default:
      return 0;
    }
  }
  if (auto complex = dyn_cast<ComplexType>(type))
    return complex.getElementType().isF32() ? 14 : 15;
  return llvm::TypeSwitch<Type, int64_t>(type)
      .Case<onnx::StringType>([](auto) { return 8; })
      .Case<Float32Type>([](auto) { return 1; })
      .Case<Float16Type>([](auto) { return 10; })
      .Case<Float64Type>([](auto) { return 11; })
      .Case<BFloat16Type>([](auto) { return 16; })
      .Case<Float8E4M3FNType>([](auto) { return 17; })
      .Case<Float8E4M3FNUZType>([](auto) { return 18; })
      .Case<Float8E5M2Type>([](auto) { return 19; })
      .Case<Float8E5M2FNUZType>([](auto) { return 20; })
      .Case<Float4E2M1FNType>([](auto) { return 23; })
      .Case<Float8E8M0FNUType>([](auto) { return 24; })
      .Default([](Type) { return 0; });
}

static bool isNumeric(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && (tensor.getElementType().isIntOrFloat() || isString(tensor));
}

namespace {

struct LowerOnnx : impl::LowerOnnxBase<LowerOnnx> {
  using LowerOnnxBase::LowerOnnxBase;

  void runOnOperation() override {
    func::FuncOp main = getMain(getOperation());
    if (!main) {
      getOperation().emitError("expected a function @main with a body, got none");
      return signalPassFailure();
    }
    if (!llvm::hasSingleElement(main.getBody())) {
      main.emitError("expected @main to be one block, got ") << main.getBody().getBlocks().size();
      return signalPassFailure();
    }
    Block &old = main.getBody().front();
    eraseDead(old);
    if (failed(checkInputs(main)))
      return signalPassFailure();
    Block *block = new Block();
    main.getBody().push_back(block);
    if (failed(lowerBlock(main, old, *block))) {
      block->dropAllDefinedValueUses();
      block->erase();
      return signalPassFailure();
    }
    old.dropAllDefinedValueUses();
    old.erase();
    eraseDead(*block);
    Operation *terminator = block->getTerminator();
    main.setFunctionType(FunctionType::get(&getContext(), block->getArgumentTypes(), terminator->getOperandTypes()));
  }

  static std::string inputName(func::FuncOp main, unsigned index) {
    auto name = main.getArgAttrOfType<StringAttr>(index, "onnx.name");
    return name ? name.str() : std::to_string(index);
  }

  /// Every input is a tensor of numbers of known rank.
  LogicalResult checkInputs(func::FuncOp main) {
    for (BlockArgument arg : main.getArguments()) {
      std::string name = inputName(main, arg.getArgNumber());
      if (!isNumeric(arg.getType()))
        return emitError(arg.getLoc()) << "input '" << name << "': expected a tensor of numbers of known rank, got "
                                       << arg.getType();
    }
    bool hasFree = llvm::any_of(main.getArgumentTypes(), [](Type t) { return !cast<ShapedType>(t).hasStaticShape(); });
    if (!fixedShapes || !hasFree)
      return success();
    InFlightDiagnostic error = emitError(main.getLoc()) << "the target runs fixed shapes";
    addHint(error, main);
    return error;
  }

  /// Says which flags bind the free dims of the inputs.
  static void addHint(InFlightDiagnostic &error, func::FuncOp main) {
    for (BlockArgument arg : main.getArguments()) {
      auto type = cast<RankedTensorType>(arg.getType());
      for (int64_t dim = 0; dim < type.getRank(); ++dim) {
        if (!type.isDynamicDim(dim))
          continue;
        std::string name = inputName(main, arg.getArgNumber());
        StringRef symbol = onnx::getDimName(type, dim);
        error << "; dim " << dim;
        if (!symbol.empty())
          error << " ('" << symbol << "')";
        error << " of input '" << name << "' is free; bind it with ";
        if (!symbol.empty())
          error << "--dim " << symbol << "=N or ";
        error << "--shape " << name << "=";
        for (int64_t i = 0; i < type.getRank(); ++i) {
          error << (i ? "x" : "");
          if (type.isDynamicDim(i))
            error << "N";
          else
            error << type.getDimSize(i);
        }
        return;
      }
    }
  }

  /// Operators whose lowering looks at extents only through Lowering's arithmetic.
  static bool takesFreeDims(Operation *op) {
    static const llvm::StringSet<> names = {"ArgMax",
                                            "ArgMin",
                                            "AveragePool",
                                            "BatchNormalization",
                                            "BitCast",
                                            "Cast",
                                            "CastLike",
                                            "Clip",
                                            "Concat",
                                            "ConstantOfShape",
                                            "Conv",
                                            "ConvTranspose",
                                            "DepthToSpace",
                                            "DequantizeLinear",
                                            "Dropout",
                                            "Expand",
                                            "EyeLike",
                                            "Flatten",
                                            "Gather",
                                            "GatherElements",
                                            "GatherND",
                                            "Gemm",
                                            "GlobalAveragePool",
                                            "GlobalMaxPool",
                                            "Hardmax",
                                            "Identity",
                                            "If",
                                            "InstanceNormalization",
                                            "LayerNormalization",
                                            "LogSoftmax",
                                            "Loop",
                                            "LpNormalization",
                                            "MatMul",
                                            "MaxPool",
                                            "OneHot",
                                            "Pad",
                                            "QuantizeLinear",
                                            "RMSNormalization",
                                            "Range",
                                            "ReduceL1",
                                            "ReduceL2",
                                            "ReduceLogSum",
                                            "ReduceLogSumExp",
                                            "ReduceMax",
                                            "ReduceMean",
                                            "ReduceMin",
                                            "ReduceProd",
                                            "ReduceSum",
                                            "ReduceSumSquare",
                                            "Reshape",
                                            "Scan",
                                            "Shape",
                                            "Size",
                                            "Slice",
                                            "Softmax",
                                            "SpaceToDepth",
                                            "Split",
                                            "Squeeze",
                                            "Tile",
                                            "Transpose",
                                            "Trilu",
                                            "Unsqueeze",
                                            "GroupNormalization",
                                            "TopK",
                                            "ScatterND",
                                            "ScatterElements",
                                            "CumSum",
                                            "LSTM",
                                            "Resize",
                                            "TensorScatter",
                                            "GRU",
                                            "RNN",
                                            "RoiAlign",
                                            "MaxRoiPool"};
    StringRef name = onnx::getOpType(op);
    return onnx::getDomain(op).empty() && (names.contains(name) || isElementwise(name));
  }

  /// Operators whose result is as long as their data says: their lowering tells the shape (`Lowering::setShape`).
  static bool tellsOwnShape(Operation *op) {
    static const llvm::StringSet<> names = {
        "Compress", "ImageDecoder", "NonMaxSuppression", "NonZero", "StringNormalizer", "StringSplit", "Unique"};
    return isa<onnx::CustomOp>(op) || (onnx::getDomain(op).empty() && names.contains(onnx::getOpType(op)));
  }

  /// Shapes that the graph does not know, in extents. `done`: nothing is left to compute.
  LogicalResult inferFreeShapes(Lowering &l, Operation *op, func::FuncOp main, bool &done) {
    auto isKnown = [](Value v) {
      auto type = dyn_cast<RankedTensorType>(v.getType());
      return onnx::isNone(v) || (type && type.hasStaticShape());
    };
    auto isFreeOperand = [&](Value v) { return !l.isAbsent(v) && (!isKnown(v) || l.hasSymbols(v)); };
    bool fixed = llvm::all_of(op->getResults(), isKnown) && llvm::none_of(op->getOperands(), isFreeOperand);
    if (fixed)
      return success();
    if (llvm::all_of(op->getResults(), isKnown) && (done = inferScalars(l, op)))
      return success();
    if (tellsOwnShape(op))
      return success();
    if (failed(inferShapes(l, op))) {
      InFlightDiagnostic error =
          onnx::emitNodeError(op)
          << "the shape of its result depends on data, which the CPU target does not support yet";
      addHint(error, main);
      return error;
    }
    if ((done = inferScalars(l, op)))
      return success();
    checkOperandSizes(l, op);
    auto isFreeValue = [&](Value v) { return !l.isAbsent(v) && anyFree(l.shape(v)); };
    if (takesFreeDims(op) ||
        (llvm::none_of(op->getOperands(), isFreeValue) && llvm::none_of(op->getResults(), isFreeValue)))
      return success();
    InFlightDiagnostic error = onnx::emitNodeError(op) << "operator takes no free dims on the CPU target yet";
    addHint(error, main);
    return error;
  }

  /// Operators that move elements, or know how to read those that memory holds as bits; others would compute on bits.
  static bool takesNarrow(Operation *op) {
    static const llvm::StringSet<> names = {"BitCast",
                                            "Cast",
                                            "CastLike",
                                            "Concat",
                                            "ConstantOfShape",
                                            "DepthToSpace",
                                            "DequantizeLinear",
                                            "Dropout",
                                            "Expand",
                                            "Flatten",
                                            "Gather",
                                            "GatherElements",
                                            "GatherND",
                                            "Identity",
                                            "If",
                                            "IsInf",
                                            "IsNaN",
                                            "Loop",
                                            "Pad",
                                            "QuantizeLinear",
                                            "Reshape",
                                            "Scan",
                                            "Shape",
                                            "Size",
                                            "Slice",
                                            "SpaceToDepth",
                                            "Split",
                                            "Squeeze",
                                            "Tile",
                                            "TensorScatter",
                                            "Transpose",
                                            "Unsqueeze",
                                            "Where"};
    return onnx::getDomain(op).empty() && names.contains(onnx::getOpType(op));
  }

  LogicalResult checkTypes(Operation *op) {
    if (!takesNarrow(op))
      for (auto values : {ValueRange(op->getOperands()), ValueRange(op->getResults())})
        for (Value v : values)
          if (Type element = getElementTypeOrSelf(v.getType()); isNarrow(element))
            return onnx::emitNodeError(op) << "operator is not supported by the CPU target yet: elements of type "
                                           << element << "; cast to a wider type before it";
    if (!takesStrings(op))
      for (auto values : {ValueRange(op->getOperands()), ValueRange(op->getResults())})
        if (llvm::any_of(values.getTypes(), isString))
          return onnx::emitNodeError(op)
                 << "operator is not supported by the CPU target yet: elements that are strings";
    for (OpResult result : op->getResults()) {
      if (onnx::isNone(result))
        continue;
      auto tensor = dyn_cast<TensorType>(result.getType()); // of a rank that inference has told, if not the type
      if (!tensor || !(tensor.getElementType().isIntOrFloat() || isString(tensor)))
        return onnx::emitNodeError(op) << "expected result " << result.getResultNumber()
                                       << " to be a tensor of numbers of known rank, got " << result.getType();
    }
    return success();
  }

  /// True if ONNX itself refuses the node with operands of these shapes.
  static bool contradicts(Operation *op) {
    ScopedDiagnosticHandler quiet(op->getContext(), [](Diagnostic &) { return success(); });
    SmallVector<Type> types;
    onnx::ShapeValues values;
    return failed(onnx::inferReturnTypes(op, types, values));
  }

  LogicalResult lowerOp(Lowering &l, Operation *op, func::FuncOp main) {
    if (storesWeights && isStoredWeight(op))
      return success();
    const Registry::Function *function = getRegistry().find(op->getName().getStringRef());
    if (!function) {
      InFlightDiagnostic error = onnx::emitNodeError(op) << "operator ";
      if (StringRef domain = onnx::getDomain(op); !domain.empty())
        error << "of domain '" << domain << "' ";
      error << "is not supported by the CPU target yet";
      if (isa<onnx::CustomOp>(op))
        error << "; give it a function body in the model, or a pass that replaces it with --load-pass-plugin";
      else
        error << "; --emit=onnx and --stop-after=graph still work";
      return error;
    }
    // Control flow knows its shapes when its bodies are lowered.
    bool hasBodies = isa<onnx::IfOp, onnx::LoopOp, onnx::ScanOp>(op), done = false;
    l.b.setLoc(op->getLoc());
    if (!hasBodies && (failed(inferFreeShapes(l, op, main, done)) || failed(checkTypes(op)))) {
      l.impossible = contradicts(op);
      return failure();
    }
    if (done)
      return success();
    // Nothing to compute; a size that data decides is the operator's to say.
    auto holdsNothing = [&](Value v) {
      return !l.isAbsent(v) && !llvm::is_contained(l.shape(v), ShapedType::kDynamic) && !product(l.shape(v));
    };
    if (!hasBodies && op->getNumResults() && llvm::all_of(op->getResults(), holdsNothing)) {
      for (Value v : op->getResults())
        l.set(v, l.empty(l.typeIn(v, identityOrder(l.rank(v)))));
      return success();
    }
    if (failed((*function)(l, op)))
      return failure();
    if (l.extents.metUnknown) {
      InFlightDiagnostic error = onnx::emitNodeError(op) << "operator takes no free dims in this form yet";
      addHint(error, main);
      return error;
    }
    for (OpResult result : op->getResults())
      if (!l.isAbsent(result) && !result.use_empty() && !l.isSet(result))
        return onnx::emitNodeError(op) << "result " << result.getResultNumber()
                                       << " is not supported by the CPU target yet";
    return success();
  }

  static RankedTensorType signlessType(Type type) {
    auto tensor = cast<RankedTensorType>(type);
    return RankedTensorType::get(tensor.getShape(), storageType(tensor.getElementType()));
  }

  /// Each free dim of an input is a symbol; those of one name are one, which the caller of the program checks.
  static void setFreeDims(Lowering &l, BlockArgument arg, Value made, llvm::StringMap<int64_t> &symbols) {
    auto type = cast<RankedTensorType>(arg.getType());
    if (type.hasStaticShape())
      return;
    Dims shape(type.getShape());
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      if (!type.isDynamicDim(dim))
        continue;
      StringRef name = onnx::getDimName(type, dim);
      auto it = symbols.find(name);
      if (!name.empty() && it != symbols.end()) {
        shape[dim] = it->second;
        continue;
      }
      shape[dim] = l.extents.symbol(tensor::DimOp::create(l.b, made, dim));
      if (!name.empty())
        symbols[name] = shape[dim];
    }
    l.setShape(arg, shape);
  }

  /// One name a dim, empty where it has none; null where no dim has one.
  static Attribute dimNames(Builder &attrs, Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    SmallVector<StringRef> names;
    for (int64_t dim = 0; tensor && dim < tensor.getRank(); ++dim)
      names.push_back(tensor.isDynamicDim(dim) ? onnx::getDimName(tensor, dim) : StringRef());
    return llvm::all_of(names, [](StringRef name) { return name.empty(); }) ? Attribute()
                                                                            : attrs.getStrArrayAttr(names);
  }

  LogicalResult lowerBlock(func::FuncOp main, Block &old, Block &block) {
    Builder attrs(&getContext());
    auto dtype = [&](Value v) { return attrs.getI32IntegerAttr(dtypeNumber(getElementTypeOrSelf(v.getType()))); };
    Lowering l(OpBuilder::atBlockEnd(&block), main.getLoc());
    l.lowerOp = [&](Operation *op) { return lowerOp(l, op, main); };
    l.storesWeights = storesWeights;
    llvm::StringMap<int64_t> symbols;
    for (BlockArgument arg : old.getArguments())
      block.addArgument(signlessType(arg.getType()), arg.getLoc());
    for (BlockArgument arg : old.getArguments()) {
      Value made = block.getArgument(arg.getArgNumber());
      setFreeDims(l, arg, made, symbols);
      if (Attribute names = dimNames(attrs, arg.getType()))
        main.setArgAttr(arg.getArgNumber(), "burin.dim_names", names);
      l.set(arg, l.built(made, l.shape(arg)), identityOrder(l.rank(arg)));
      main.setArgAttr(arg.getArgNumber(), "burin.dtype", dtype(arg));
      if (!main.getArgAttr(arg.getArgNumber(), "onnx.name"))
        main.setArgAttr(arg.getArgNumber(), "onnx.name", attrs.getStringAttr("input" + Twine(arg.getArgNumber())));
    }
    for (Operation &op : old.without_terminator())
      if (!needsNoLowering(&op) && failed(lowerOp(l, &op, main)))
        return failure();
    SmallVector<Value> results;
    l.b.setLoc(old.getTerminator()->getLoc());
    for (auto [i, v] : llvm::enumerate(old.getTerminator()->getOperands())) {
      auto tensor = dyn_cast<TensorType>(v.getType());
      if (!tensor || !(tensor.getElementType().isIntOrFloat() || isString(tensor)))
        return main.emitError("output ") << i << ": expected a tensor of numbers, got " << v.getType();
      results.push_back(l.getIdentity(v));
      // Without an element nothing writes it, and its dims are told by who does.
      if (results.back().getDefiningOp<tensor::EmptyOp>() && anyFree(l.shape(v)))
        results.back() = l.filled(l.typeOf(results.back()), l.zero(l.element(v)));
      if (Attribute names = dimNames(attrs, v.getType()))
        main.setResultAttr(i, "burin.dim_names", names);
      main.setResultAttr(i, "burin.dtype", dtype(v));
      if (!main.getResultAttr(i, "onnx.name"))
        main.setResultAttr(i, "onnx.name", attrs.getStringAttr("output" + Twine(i)));
    }
    func::ReturnOp::create(l.b, results);
    return success();
  }
};

} // namespace
} // namespace burin
