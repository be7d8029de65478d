// tensor-collect-weights: constants leave the program text; what remains are views into one section that any target can
// place or upload.
#include "dialects/Nn/Nn.h"
#include "passes/Tensor/Passes.h"

#include "burin/runtime.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace burin {
#define GEN_PASS_DEF_COLLECTWEIGHTS
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

// A readable name for a tensor: the innermost NameLoc of its constant.
std::string nameOf(Location loc) {
  std::string name;
  loc->walk([&](Location part) {
    if (auto named = dyn_cast<NameLoc>(part)) {
      name = named.getName().str();
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return name;
}

// Bytes of a packed constant before packing, found through the nn op that reads it; nothing when none does.
std::optional<int64_t> packedSourceBytes(memref::GetGlobalOp get) {
  for (OpOperand &use : get->getUses()) {
    auto op = dyn_cast<burin::nn::ComputeOp>(use.getOwner());
    auto block = op ? op->getAttrOfType<IntegerAttr>("packed") : IntegerAttr();
    if (!block || use.getOperandNumber() != 1)
      continue;
    int64_t blocks = get.getType().getDimSize(0),
            n = cast<ShapedType>(op.getInitOperand().get().getType()).getShape().back();
    return get.getType().getNumElements() / (blocks * block.getInt()) * n * get.getType().getElementTypeBitWidth() / 8;
  }
  return std::nullopt;
}

struct CollectWeightsPass : burin::impl::CollectWeightsBase<CollectWeightsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main) {
      module.emitError("expected a function @main");
      return signalPassFailure();
    }
    OpBuilder builder(&getContext());
    SmallVector<memref::GetGlobalOp> uses;
    main.walk([&](memref::GetGlobalOp get) { uses.push_back(get); });

    int64_t end = 0;
    SmallVector<Attribute> table;
    DenseMap<Attribute, int64_t> slots; // value -> offset
    SmallVector<std::pair<memref::GetGlobalOp, int64_t>> views;
    SymbolTable symbols(module);
    for (memref::GetGlobalOp get : uses) {
      auto global = symbols.lookup<memref::GlobalOp>(get.getName());
      auto value = global && global.getConstant() ? dyn_cast_or_null<ElementsAttr>(global.getInitialValueAttr())
                                                  : ElementsAttr();
      if (!value)
        continue;
      auto [slot, fresh] = slots.try_emplace(value, end);
      if (fresh) {
        Type element = value.getShapedType().getElementType();
        int64_t bytes = value.getNumElements() *
                        std::max<int64_t>(1, (element.isIndex() ? 64 : element.getIntOrFloatBitWidth()) / 8);
        std::optional<int64_t> source = packedSourceBytes(get);
        table.push_back(builder.getDictionaryAttr({
            builder.getNamedAttr("data", value),
            builder.getNamedAttr("encoding", builder.getStringAttr(source ? "packed" : "raw")),
            builder.getNamedAttr("name", builder.getStringAttr(nameOf(get.getLoc()))),
            builder.getNamedAttr("offset", builder.getI64IntegerAttr(end)),
            builder.getNamedAttr("source_bytes", builder.getI64IntegerAttr(source.value_or(bytes))),
        }));
        end = llvm::alignTo(end + bytes, BURIN_ALIGNMENT);
      }
      views.push_back({get, slot->second});
    }

    unsigned at = main.getNumArguments();
    if (failed(main.insertArgument(at, MemRefType::get({end}, builder.getI8Type()), {}, main.getLoc())))
      return signalPassFailure();
    for (auto [get, offset] : views) {
      builder.setInsertionPoint(get);
      Value start = arith::ConstantIndexOp::create(builder, get.getLoc(), offset);
      auto type = MemRefType::get(get.getType().getShape(), get.getType().getElementType());
      Value view = memref::ViewOp::create(builder, get.getLoc(), type, main.getArgument(at), start, ValueRange());
      get.replaceAllUsesWith(view);
      get.erase();
    }
    for (auto global : llvm::make_early_inc_range(module.getOps<memref::GlobalOp>()))
      if (SymbolTable::symbolKnownUseEmpty(global, module))
        global.erase();
    module->setAttr("burin.weights", builder.getArrayAttr(table));
  }
};
} // namespace
