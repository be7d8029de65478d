// cpu-outline-kernels: each operation of @main becomes a call of a private function, and equal functions become one.
//
// The idea: a kernel's arguments are rebased, so that where in the arena or the weights an operand lies is no part of
// the kernel. Two kernels are equal when they print the same; the printed text is the key. What is true of every call
// (no overlap, alignment) is told to LLVM in argument attributes. Must not look into what an operation computes.
#include "dialects/Foreign/Foreign.h"
#include "dialects/Nn/Nn.h"
#include "lib/Support/NodeNames.h"
#include "lib/Support/Tuning.h"
#include "passes/Cpu/KernelGroups.h"
#include "passes/Cpu/Passes.h"
#include "passes/Cpu/Views.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"
#include <numeric>

namespace burin {
#define GEN_PASS_DEF_OUTLINEKERNELS
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

constexpr unsigned maxLayerName = 160; // characters; long chains of fused nodes end in "+..."

std::string layerName(ArrayRef<Operation *> group) {
  SmallVector<StringRef> names;
  for (Operation *op : group)
    if (op == group.back() || !isa<linalg::FillOp>(op)) // what is filled for another is named after it
      collectNodeNames(op->getLoc(), names);
  std::string joined;
  for (StringRef name : names) {
    if (!joined.empty() && joined.size() + name.size() > maxLayerName)
      return joined + "+...";
    joined += (joined.empty() ? "" : "+") + name.str();
  }
  return joined;
}

std::string genericKind(linalg::LinalgOp op) {
  if (op.getNumReductionLoops() > 0)
    return "reduce";
  if (!op->getRegion(0).getOps<memref::LoadOp>().empty())
    return "gather";
  Block &body = op->getRegion(0).front();
  if (body.getOperations().size() > 1)
    return "elementwise";
  auto maps = op.getIndexingMapsArray();
  if (op.getNumDpsInputs() == 0 || !isa<BlockArgument>(body.getTerminator()->getOperand(0)) ||
      !isa<MemRefType>(op->getOperand(0).getType()))
    return "fill";
  if (maps.front() == maps.back())
    return "copy";
  return maps.front().isPermutation() && maps.back().isPermutation() ? "transpose" : "broadcast";
}

std::string kindOf(Operation *op) {
  if (isa<nn::NnDialect>(op->getDialect()))
    return op->getName().stripDialect().str();
  if (isa<linalg::FillOp>(op))
    return "fill";
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return genericKind(linalgOp);
  if (isa<memref::CopyOp>(op))
    return "copy";
  return isa<scf::IfOp>(op)                                                  ? "if"
         : isa<scf::ForOp, scf::WhileOp, scf::ForallOp, scf::ParallelOp>(op) ? "loop"
                                                                             : op->getName().stripDialect().str();
}

int64_t flopsOf(Operation *op) {
  if (auto compute = dyn_cast<nn::ComputeOp>(op))
    return compute.getFlops();
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  if (!linalgOp)
    return 0;
  int64_t points = 1, perPoint = 0;
  for (int64_t range : linalgOp.getStaticLoopRanges())
    points *= ShapedType::isDynamic(range) ? 1 : range;
  linalgOp->getRegion(0).walk([&](Operation *inner) {
    bool counts = isa_and_nonnull<arith::ArithDialect, math::MathDialect>(inner->getDialect());
    perPoint += counts && !isa<CastOpInterface>(inner) && !inner->hasTrait<OpTrait::ConstantLike>();
  });
  return points * perPoint;
}

// What of a memref's elements a group reads or writes.
struct Use {
  bool written = false;
  bool viewedInside = false; // a region takes views of it, whose types derive from its own: it cannot be rebased
};

struct Argument {
  Value value; // as @main has it
  View view;
  bool rebased;
  std::optional<Layout> layout; // of what has dynamic sizes or strides: passed as a pointer, these beside it
};

class Outliner {
public:
  Outliner(ModuleOp module, func::FuncOp main) : module(module), main(main), builder(main.getContext()) {}

  LogicalResult run() {
    unsigned firstWritten = main.getNumArguments();
    shareSizes();
    if (failed(outlineBlock(main.front(), firstWritten)))
      return failure();
    if (failed(resolveLoads()))
      return failure();
    eraseDead(main.front());
    for (auto &[kernel, facts] : kernels)
      annotate(kernel, facts);
    // Arguments are inputs, outputs, arena, weights; outputs are those that something writes, where the tensor stage
    // has not said it: an output that the run allocates has an argument that nothing uses.
    unsigned fixed = main.getNumArguments() - 2;
    if (!main->hasAttr("burin.num_inputs"))
      main->setAttr("burin.num_inputs", builder.getI64IntegerAttr(std::min(firstWritten, fixed)));
    module->setAttr("burin.layers", builder.getArrayAttr(layers));
    return success();
  }

private:
  // What holds for every call of a kernel, argument by argument.
  struct Facts {
    SmallVector<bool> noalias;
    SmallVector<int64_t> alignment;
  };

  // Control flow of the model stays in @main, and what it runs becomes kernels; a loop of scalars is one kernel.
  static bool isControlFlow(Operation *op) {
    return isa<scf::IfOp, scf::ForOp, scf::WhileOp>(op) &&
           op->walk([](Operation *inner) {
               bool computes =
                   isa<linalg::LinalgOp, DestinationStyleOpInterface, foreign::CallOp, memref::CopyOp, cf::AssertOp>(
                       inner);
               return computes ? WalkResult::interrupt() : WalkResult::advance();
             }).wasInterrupted();
  }

  LogicalResult outlineBlock(Block &block, unsigned &firstWritten) {
    // Layers are numbered here and by cpu-make-entry in the order they stand in.
    for (ArrayRef<Operation *> group : formKernelGroups(block)) {
      if (!isControlFlow(group.front())) {
        if (failed(outline(group, firstWritten)))
          return failure();
        continue;
      }
      for (Region &region : group.front()->getRegions())
        for (Block &inner : region)
          if (failed(outlineBlock(inner, firstWritten)))
            return failure();
    }
    return success();
  }

  // Each size of an argument is asked for once, at the start, so that equal sizes are equal values; those of views are
  // what made the views.
  void shareSizes() {
    SmallVector<memref::DimOp> asked;
    main.walk([&](memref::DimOp op) { asked.push_back(op); });
    OpBuilder start = OpBuilder::atBlockBegin(&main.front());
    for (BlockArgument argument : main.getArguments())
      if (auto type = dyn_cast<MemRefType>(argument.getType()))
        for (int64_t dim = 0; dim < type.getRank(); ++dim)
          if (type.isDynamicDim(dim))
            memref::DimOp::create(start, argument.getLoc(), argument, dim);
    for (memref::DimOp op : asked) {
      std::optional<int64_t> dim = op.getConstantIndex();
      builder.setInsertionPoint(op);
      FailureOr<View> view = dim ? resolveView(op.getSource(), &builder) : FailureOr<View>(failure());
      if (failed(view) || op.getSource().getDefiningOp<memref::AllocOp>())
        continue;
      Value size = view->layout ? view->layout->sizes[*dim].emit(builder, op.getLoc())
                                : arith::ConstantIndexOp::create(builder, op.getLoc(), view->shape[*dim]).getResult();
      op.replaceAllUsesWith(size);
      op.erase();
    }
  }

  // A scalar read from a buffer of dynamic sizes: cpu-make-entry gets its place.
  LogicalResult resolveLoads() {
    SmallVector<memref::LoadOp> loads;
    main.walk([&](memref::LoadOp op) { loads.push_back(op); });
    for (memref::LoadOp op : loads) {
      builder.setInsertionPoint(op);
      FailureOr<View> view = resolveView(op.getMemref(), &builder);
      if (failed(view))
        return op.emitError() << "expected views of the function's arguments, got " << op.getMemRefType();
      if (!view->layout && view->products.empty())
        continue;
      Size bytes(storageBytes(view->element));
      Layout layout = view->layout ? *view->layout : staticLayout(*view);
      for (auto [index, stride] : llvm::zip(op.getIndices(), layout.strides))
        view->shift(Size(index) * stride * bytes);
      Value place = memref::ViewOp::create(builder, op.getLoc(), MemRefType::get({}, view->element), bytesOf(*view),
                                           distance(*view), ValueRange());
      op.replaceAllUsesWith(memref::LoadOp::create(builder, op.getLoc(), place).getResult());
      op.erase();
    }
    return success();
  }

  // Backwards, so that whole chains of views go.
  static void eraseDead(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
      for (Region &region : op.getRegions())
        for (Block &inner : region)
          eraseDead(inner);
      if (isOpTriviallyDead(&op))
        op.erase();
    }
  }

  static void noteEffects(Operation *op, llvm::MapVector<Value, Use> &uses) {
    SmallVector<MemoryEffects::EffectInstance> effects;
    if (auto effectful = dyn_cast<MemoryEffectOpInterface>(op))
      effectful.getEffects(effects);
    for (auto &effect : effects)
      if (auto found = uses.find(effect.getValue()); effect.getValue() && found != uses.end())
        found->second.written |= isa<MemoryEffects::Write>(effect.getEffect());
    for (Value operand : op->getOperands())
      if (auto found = uses.find(operand); isa<ViewLikeOpInterface>(op) && found != uses.end())
        found->second.viewedInside = found->second.written = true; // who reads or writes the view is not followed
  }

  // All values from outside that `op` and its regions use; scalars are followed to what makes them: constants and their
  // arithmetic go into the kernel, what @main loads or counts comes to it as an argument.
  LogicalResult collect(Operation *op, llvm::MapVector<Value, Use> &uses, SetVector<Operation *> &scalars,
                        SetVector<Value> &passed) {
    SetVector<Value> values(op->operand_begin(), op->operand_end());
    getUsedValuesDefinedAbove(op->getRegions(), values);
    for (Value value : values) {
      if (isa<BaseMemRefType>(value.getType())) {
        uses.insert({value, {}});
        continue;
      }
      Operation *producer = value.getDefiningOp();
      if (!producer || isa<memref::LoadOp, memref::DimOp, foreign::ContextOp>(producer) || producer->getNumRegions()) {
        if (!value.getType().isIntOrIndexOrFloat())
          return op->emitError() << "expected operands that are buffers or scalars, got " << value.getType();
        passed.insert(value);
        continue;
      }
      if (!isMemoryEffectFree(producer))
        return op->emitError() << "operand of type " << value.getType() << " is neither a buffer nor a scalar";
      if (scalars.contains(producer))
        continue;
      if (failed(collect(producer, uses, scalars, passed)))
        return failure();
      scalars.insert(producer);
    }
    return success();
  }

  LogicalResult outline(ArrayRef<Operation *> group, unsigned &firstWritten) {
    llvm::MapVector<Value, Use> uses;
    SetVector<Operation *> scalars;
    SetVector<Value> passed;
    for (Operation *op : group)
      if (failed(collect(op, uses, scalars, passed)))
        return failure();
    for (Operation *op : group)
      op->walk([&](Operation *inner) { noteEffects(inner, uses); });

    SmallVector<Argument, 4> arguments;
    SmallVector<bool> written;
    SmallVector<std::pair<Value, unsigned>> places; // memref -> its argument; equal places share one
    int64_t bytes = 0, weightBytes = 0;
    builder.setInsertionPoint(group.back());
    for (auto &entry : uses) {
      Value value = entry.first;
      const Use &use = entry.second;
      FailureOr<View> view = resolveView(value, &builder);
      auto root = succeeded(view) ? dyn_cast<BlockArgument>(view->root) : BlockArgument();
      bool allocated = succeeded(view) && view->root.getDefiningOp<memref::AllocOp>();
      if (!allocated && (!root || root.getOwner() != &main.front()))
        return group.back()->emitError() << "expected views of the function's arguments, got " << value.getType();
      auto type = cast<MemRefType>(value.getType());
      if (view->isDynamic() && use.viewedInside && !(view->layout && type.getLayout().isIdentity()))
        return group.back()->emitError() << "expected no views of " << value.getType() << " inside the operation";
      auto rootType = cast<MemRefType>(view->root.getType());
      bool isBytes =
          rootType.getRank() == 1 && rootType.getElementType().isInteger(8) && rootType.getLayout().isIdentity();
      Argument argument{value, *view, (isBytes && !use.viewedInside) || view->isDynamic(), std::nullopt};
      if (view->layout) {
        argument.layout = *view->layout;
        for (const SmallVector<Size> &sizes : {argument.layout->sizes, argument.layout->strides})
          for (const Size &size : sizes)
            passed.insert(size.values().begin(), size.values().end());
      }
      if (root && use.written && view->span() > 0)
        firstWritten = std::min(firstWritten, root.getArgNumber());
      int64_t elements = 1;
      for (int64_t size : type.getShape())
        elements *= ShapedType::isDynamic(size) ? 1 : size;
      bytes += elements * storageBytes(view->element);
      if (root && root.getArgNumber() + 1 == main.getNumArguments())
        weightBytes += elements * storageBytes(view->element);
      auto same = llvm::find_if(arguments, [&](const Argument &other) {
        return other.rebased == argument.rebased && other.view.root == view->root &&
               other.view.beginBytes() == view->beginBytes() && other.view.shape == view->shape &&
               other.view.strides == view->strides && other.view.element == view->element &&
               other.view.dynamic == view->dynamic && other.view.products == view->products &&
               sameLayout(other.layout, argument.layout) && (other.rebased || other.value.getType() == value.getType());
      });
      places.push_back({value, same - arguments.begin()});
      if (same == arguments.end()) {
        arguments.push_back(argument);
        written.push_back(use.written);
      } else {
        written[same - arguments.begin()] = written[same - arguments.begin()] || use.written;
      }
    }

    SmallVector<Value> operands;
    for (Argument &argument : arguments)
      operands.push_back(argument.rebased ? rebase(argument.view) : argument.value);
    for (Value scalar : passed) // functions of the LLVM dialect know no index
      operands.push_back(scalar.getType().isIndex()
                             ? arith::IndexCastOp::create(builder, scalar.getLoc(), builder.getI64Type(), scalar)
                             : scalar);
    func::FuncOp kernel = makeKernel(group, scalars.getArrayRef(), operands, arguments, places, passed.getArrayRef());
    func::CallOp::create(
        builder,
        FusedLoc::get(builder.getContext(), llvm::map_to_vector(group, [](Operation *op) { return op->getLoc(); })),
        kernel, operands);
    mergeFacts(kernels[kernel], arguments, written);
    addLayer(group, kernel.getSymName(), bytes, weightBytes);
    for (Operation *op : llvm::reverse(group))
      op->erase();
    return success();
  }

  static Layout staticLayout(const View &view) {
    Layout layout;
    layout.sizes.assign(view.shape.begin(), view.shape.end());
    layout.strides.assign(view.strides.begin(), view.strides.end());
    return layout;
  }

  static bool sameLayout(const std::optional<Layout> &a, const std::optional<Layout> &b) {
    return a.has_value() == b.has_value() && (!a || (a->sizes == b->sizes && a->strides == b->strides));
  }

  // How far behind the root's pointer a view begins, in bytes.
  Value distance(const View &view) {
    Location loc = view.root.getLoc();
    Value shift = arith::ConstantIndexOp::create(builder, loc, view.beginBytes());
    for (auto [value, bytes] : view.dynamic) {
      Value scale = arith::ConstantIndexOp::create(builder, loc, bytes);
      shift = arith::AddIOp::create(builder, loc, shift, arith::MulIOp::create(builder, loc, value, scale));
    }
    for (const Size &product : view.products)
      shift = arith::AddIOp::create(builder, loc, shift, product.emit(builder, loc));
    return shift;
  }

  // The root as bytes.
  Value bytesOf(const View &view) {
    Value root = view.root;
    auto type = cast<MemRefType>(root.getType());
    if (type.getElementType().isInteger(8) && type.getRank() == 1)
      return root;
    int64_t bytes =
        type.hasStaticShape() ? type.getNumElements() * storageBytes(type.getElementType()) : ShapedType::kDynamic;
    return UnrealizedConversionCastOp::create(builder, root.getLoc(), MemRefType::get({bytes}, builder.getI8Type()),
                                              root)
        .getResult(0);
  }

  // The same bytes as a memref with offset 0 on a view of the root. One of dynamic sizes is only a place: what lies
  // there is told by the arguments beside it.
  Value rebase(const View &view) {
    Location loc = view.root.getLoc();
    Value shift = distance(view), root = bytesOf(view);
    if (view.layout) {
      Size elements(1);
      for (const Size &size : view.layout->sizes)
        elements = elements * size;
      auto place = MemRefType::get({ShapedType::kDynamic}, view.element);
      return memref::ViewOp::create(builder, loc, place, root, shift, elements.emit(builder, loc));
    }
    auto plain = MemRefType::get(view.shape, view.element);
    SmallVector<int64_t> strides;
    int64_t offset;
    (void)plain.getStridesAndOffset(strides, offset);
    bool contiguous = true; // dims of 1 may claim any stride
    for (auto [size, want, have] : llvm::zip(view.shape, strides, view.strides))
      contiguous &= size == 1 || want == have;
    if (contiguous)
      return memref::ViewOp::create(builder, loc, plain, root, shift, ValueRange());
    auto flat =
        memref::ViewOp::create(builder, loc, MemRefType::get({view.span()}, view.element), root, shift, ValueRange());
    auto strided =
        MemRefType::get(view.shape, view.element, StridedLayoutAttr::get(builder.getContext(), 0, view.strides));
    return memref::ReinterpretCastOp::create(builder, loc, strided, flat, /*offset=*/0, view.shape, view.strides);
  }

  // A pointer that came alone, with the layout that the scalars beside it give.
  Value laidOut(Value pointer, const Layout &layout, Value original, IRMapping &mapping) {
    Location loc = pointer.getLoc();
    auto here = [&](const Size &size) -> OpFoldResult {
      if (size.isStatic())
        return builder.getIndexAttr(size.value());
      return size.map([&](Value value) { return Size(mapping.lookup(value)); }).emit(builder, loc);
    };
    auto type = cast<MemRefType>(original.getType());
    SmallVector<OpFoldResult> sizes = llvm::map_to_vector(layout.sizes, here),
                              strides = llvm::map_to_vector(layout.strides, here);
    SmallVector<int64_t> shape, steps;
    for (const Size &size : layout.sizes)
      shape.push_back(size.isStatic() ? size.value() : ShapedType::kDynamic);
    for (const Size &stride : layout.strides)
      steps.push_back(stride.isStatic() ? stride.value() : ShapedType::kDynamic);
    // What is dense keeps the type that says so.
    auto strided = MemRefType::get(shape, type.getElementType(), StridedLayoutAttr::get(builder.getContext(), 0, steps),
                                   type.getMemorySpace());
    if (type.getLayout().isIdentity())
      strided = MemRefType::get(shape, type.getElementType());
    Value view =
        memref::ReinterpretCastOp::create(builder, loc, strided, pointer, builder.getIndexAttr(0), sizes, strides);
    return view;
  }

  func::FuncOp makeKernel(ArrayRef<Operation *> group, ArrayRef<Operation *> scalars, ValueRange operands,
                          ArrayRef<Argument> arguments, ArrayRef<std::pair<Value, unsigned>> places,
                          ArrayRef<Value> passed) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(module.getBody());
    Location loc = group.back()->getLoc();
    auto kernel = func::FuncOp::create(builder, loc, "kernel", builder.getFunctionType(operands.getTypes(), {}));
    kernel.setPrivate();
    Block *entry = kernel.addEntryBlock();
    builder.setInsertionPointToStart(entry);
    IRMapping mapping;
    for (auto [i, scalar] : llvm::enumerate(passed)) {
      Value argument = entry->getArgument(entry->getNumArguments() - passed.size() + i);
      if (scalar.getType().isIndex())
        argument = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), argument);
      mapping.map(scalar, argument);
    }
    SmallVector<Value> buffers;
    for (auto [i, argument] : llvm::enumerate(arguments)) {
      Value pointer = entry->getArgument(i);
      buffers.push_back(argument.layout ? laidOut(pointer, *argument.layout, argument.value, mapping) : pointer);
    }
    for (auto [value, index] : places)
      mapping.map(value, buffers[index]);
    for (Operation *op : scalars)
      builder.clone(*op, mapping);
    for (Operation *op : group)
      builder.clone(*op, mapping)->removeAttr("onnx.name");
    func::ReturnOp::create(builder, loc);
    kernel.walk([](memref::DimOp op) {
      OpBuilder inside(op);
      Value size = inside.createOrFold<memref::DimOp>(op.getLoc(), op.getSource(), op.getIndex());
      op.replaceAllUsesWith(size);
      op.erase();
    });

    std::string key;
    llvm::raw_string_ostream stream(key);
    kernel.print(stream, OpPrintingFlags().useLocalScope());
    auto [found, isNew] = byText.try_emplace(key, kernel);
    if (!isNew) {
      kernel.erase();
      return found->second;
    }
    std::string kind = kindOf(group.back());
    kernel.setSymName(("kernel_" + kind + "_" + Twine(byText.size() - 1)).str());
    kernel->setAttr("burin.kind", builder.getStringAttr(kind));
    return kernel;
  }

  void mergeFacts(Facts &facts, ArrayRef<Argument> arguments, ArrayRef<bool> written) {
    bool first = facts.alignment.empty();
    if (first) {
      facts.noalias.assign(arguments.size(), true);
      facts.alignment.assign(arguments.size(), 0);
    }
    for (auto [i, a] : llvm::enumerate(arguments)) {
      // Only arena and weights, the last two arguments, have a known alignment; a caller's tensors have that of their
      // elements.
      auto root = dyn_cast<BlockArgument>(a.view.root);
      bool ours = root && root.getArgNumber() + 2 >= main.getNumArguments();
      int64_t offset = a.rebased ? a.view.beginBytes() : a.view.baseBytes;
      for (auto [value, bytes] : a.view.dynamic)
        offset = std::gcd(offset, value == a.view.slot ? int64_t(64) : bytes); // parts of the arena begin at lines
      for (const Size &product : a.view.products)
        offset = std::gcd(offset, product.constantFactor());
      facts.alignment[i] =
          std::gcd(facts.alignment[i], ours ? std::gcd(offset, int64_t(64)) : storageBytes(a.view.element));
      for (auto [j, b] : llvm::enumerate(arguments))
        if (i != j && (written[i] || written[j]) && a.view.mayOverlap(b.view))
          facts.noalias[i] = false;
    }
  }

  void annotate(func::FuncOp kernel, const Facts &facts) {
    for (unsigned i = 0; i < facts.noalias.size(); ++i) { // scalars follow
      if (facts.noalias[i])
        kernel.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), builder.getUnitAttr());
      kernel.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(), builder.getI64IntegerAttr(facts.alignment[i]));
    }
  }

  void addLayer(ArrayRef<Operation *> group, StringRef symbol, int64_t bytes, int64_t weightBytes) {
    int64_t flops = 0;
    bool multipliesBytes = false;
    for (Operation *op : group) {
      flops += flopsOf(op);
      multipliesBytes |= isa<nn::ConvOp, nn::DepthwiseConvOp, nn::MatmulOp>(op) &&
                         getElementTypeOrSelf(op->getOperand(0)).isInteger(8);
    }
    NamedAttrList layer;
    layer.set("name", builder.getStringAttr(layerName(group)));
    layer.set("kind", builder.getStringAttr(kindOf(group.back())));
    layer.set("flops", builder.getI64IntegerAttr(flops));
    layer.set("bytes", builder.getI64IntegerAttr(bytes));
    layer.set("symbol", builder.getStringAttr(symbol));
    if (weightBytes)
      layer.set("weight_bytes", builder.getI64IntegerAttr(weightBytes));
    if (multipliesBytes)
      layer.set("operand_type", TypeAttr::get(builder.getI8Type()));
    SmallVector<StringRef> keys; // of what -O3 measures
    for (Operation *op : group)
      op->walk([&](Operation *inner) {
        if (auto key = inner->getAttrOfType<StringAttr>(kernelKeyAttr))
          keys.push_back(key);
      });
    if (!keys.empty())
      layer.set("key", builder.getStringAttr(llvm::join(keys, "+")));
    layers.push_back(layer.getDictionary(builder.getContext()));
  }

  ModuleOp module;
  func::FuncOp main;
  OpBuilder builder;
  llvm::StringMap<func::FuncOp> byText;
  llvm::MapVector<func::FuncOp, Facts> kernels;
  SmallVector<Attribute> layers;
};

struct OutlineKernels : burin::impl::OutlineKernelsBase<OutlineKernels> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || !main.getBody().hasOneBlock() || main.getNumResults() != 0 || main.getNumArguments() < 2) {
      getOperation().emitError(
          "expected a function @main(inputs..., outputs..., arena, weights) of one block without results");
      return signalPassFailure();
    }
    if (failed(Outliner(getOperation(), main).run()))
      signalPassFailure();
  }
};

} // namespace
