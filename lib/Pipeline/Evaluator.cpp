// Folding = compiling for this CPU and calling. Whatever cannot be compiled is simply not folded, so nothing here
// speaks to the user.
#include "lib/Pipeline/Evaluator.h"
#include "burin/runtime.h"
#include "dialects/Foreign/Foreign.h"
#include "dialects/Onnx/Bridge.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Pipeline/Pipeline.h"
#include "lib/Target/Jit.h"
#include "lib/Target/WeightSection.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Graph/Passes.h"
#include "passes/Lower/Passes.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace burin;

namespace {
// Results from this size on become blobs outside the context's own storage.
constexpr uint64_t blobBytes = 1024;

// Folded tensors beyond this are left to the program: they would only make the artifact larger.
constexpr uint64_t maxResultBytes = uint64_t(1) << 30;

using Memory = std::unique_ptr<void, decltype(&std::free)>;
Memory allocate(uint64_t bytes) {
  return Memory(std::aligned_alloc(BURIN_ALIGNMENT, llvm::alignTo(std::max<uint64_t>(bytes, 1), BURIN_ALIGNMENT)),
                &std::free);
}

bool isSplat(const char *bytes, uint64_t count, uint64_t element) {
  return count > 0 && std::memcmp(bytes, bytes + element, (count - 1) * element) == 0;
}

ElementsAttr toAttribute(RankedTensorType type, Memory memory) {
  const char *bytes = static_cast<const char *>(memory.get());
  uint64_t count = type.getNumElements(), element = bytesOfElement(type.getElementType());
  if (type.getElementType().isInteger(1))
    return DenseElementsAttr::get(type, ArrayRef<bool>(reinterpret_cast<const bool *>(bytes), count));
  unsigned bits = type.getElementType().isIntOrFloat() ? type.getElementTypeBitWidth() : 8;
  if (bits < 8 && count * element >= blobBytes) {
    // A blob holds narrow elements packed, as ONNX's files do.
    std::vector<char> packed(llvm::divideCeil(count * bits, 8));
    for (uint64_t i = 0; i < count; ++i)
      packed[i * bits / 8] |= bytes[i] << (i * bits % 8);
    return onnx::makeConstantAttr(type, packed, "folded");
  }
  if (isSplat(bytes, count, element))
    return DenseElementsAttr::getFromRawBuffer(type, ArrayRef<char>(bytes, element));
  if (count * element < blobBytes)
    return DenseElementsAttr::getFromRawBuffer(type, ArrayRef<char>(bytes, count * element));
  void *owned = memory.release();
  AsmResourceBlob blob(
      ArrayRef<char>(bytes, count * element), BURIN_ALIGNMENT, [owned](void *, size_t, size_t) { std::free(owned); },
      /*dataIsMutable=*/false);
  return DenseResourceElementsAttr::get(type, "folded", std::move(blob));
}

// Operators without a lowering become their ONNX function bodies, whose sizes the small folders then find.
LogicalResult expandUnlowered(ModuleOp module) {
  GraphOptions graph;
  for (std::string &name : getLoweredOperators())
    graph.lowered.push_back(std::move(name));
  llvm::StringSet<> lowered(llvm::from_range, graph.lowered);
  bool any = false;
  module.walk([&](Operation *op) { any |= onnx::hasFunctionBody(op) && !lowered.contains(onnx::getOpType(op)); });
  if (!any)
    return success();
  PassManager passes(module.getContext(), ModuleOp::getOperationName());
  finishGraphPipeline(passes, graph, nullptr);
  return passes.run(module);
}

class CompilingEvaluator : public Evaluator {
public:
  FailureOr<SmallVector<ElementsAttr>> evaluate(func::FuncOp function) override {
    if (function.getNumArguments() != 0)
      return failure();
    uint64_t total = 0;
    for (Type type : function.getResultTypes()) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (!tensor || !tensor.hasStaticShape() || isa<onnx::StringType>(tensor.getElementType()) ||
          dtypeOf(tensor.getElementType()) == 0 || bytesOfElement(tensor.getElementType()) == 0)
        return failure();
      total += tensor.getNumElements() * bytesOfElement(tensor.getElementType());
    }
    const Machine *machine = findMachine("host");
    if (!machine || total > maxResultBytes)
      return failure();
    // Silence: a failure here is an answer, not an error.
    mlir::ScopedDiagnosticHandler silence(function.getContext(), [](Diagnostic &) { return success(); });

    OwningOpRef<ModuleOp> module = ModuleOp::create(function.getLoc());
    auto main = cast<func::FuncOp>(function->clone());
    main.setName("main");
    main.setPublic();
    module->push_back(main);
    CompileOptions options;
    options.optLevel = 0;
    StageOptions stage{options, *machine};
    if (failed(expandUnlowered(*module)) || failed(captureSignature(*module)) || failed(runLower(*module, stage)))
      return failure();
    // Types above are facts: a body that tells its sizes by data alone would lose them.
    auto lowered = module->lookupSymbol<func::FuncOp>("main");
    if (!llvm::all_of(lowered.getResultTypes(), [](Type type) { return cast<ShapedType>(type).hasStaticShape(); }) ||
        failed(runTensor(*module, stage)) || failed(runTarget(*module, stage)))
      return failure();
    if ((*module)->hasAttr(
            foreign::calleesAttr)) // what a user binds may be anything; strings have no life of their own
      return failure();
    FailureOr<ModelDescription> model = describeModel(*module);
    if (failed(model) || !model->plan.empty()) // sizes of results are fixed above; here only data would tell them
      return failure();
    auto objects = compileToObjects(*module, *machine, {"folded", options.optLevel});
    if (failed(objects))
      return failure();
    auto jit = Jit::create(std::move(*objects));
    auto entry = jit ? (*jit)->lookup(entrySymbol("folded")) : jit.takeError();
    if (!entry) {
      llvm::consumeError(entry.takeError());
      return failure();
    }

    Memory arena = allocate(model->arenaBytes), weights = allocate(model->weightsBytes);
    MemoryStream out(static_cast<char *>(weights.get()));
    writeWeights(*model, out);
    std::vector<Memory> results;
    SmallVector<burin_tensor> outputs; // the entry of a static model reads the pointers alone
    for (Type type : function.getResultTypes()) {
      auto tensor = cast<RankedTensorType>(type);
      results.push_back(allocate(tensor.getNumElements() * bytesOfElement(tensor.getElementType())));
      outputs.push_back({});
      outputs.back().data = results.back().get();
    }
    // For what data sizes inside.
    burin_allocator allocator{};
    allocator.allocate = [](void *, size_t bytes, size_t) { return allocate(bytes).release(); };
    allocator.release = [](void *, void *memory) { std::free(memory); };
    burin_context context{};
    context.abi_version = BURIN_ABI_VERSION;
    context.allocator = &allocator;
    if (reinterpret_cast<burin_entry>(*entry)(nullptr, outputs.data(), arena.get(), weights.get(), &context) !=
        BURIN_OK)
      return failure();
    SmallVector<ElementsAttr> values;
    for (auto [type, memory] : llvm::zip(function.getResultTypes(), results))
      values.push_back(toAttribute(cast<RankedTensorType>(type), std::move(memory)));
    return values;
  }
};
} // namespace

std::shared_ptr<Evaluator> burin::createEvaluator() { return std::make_shared<CompilingEvaluator>(); }
