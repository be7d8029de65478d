// ModelDescription -> an LLVM module of constants, field by field as include/burin/runtime.h declares them. LLVM lays a
// struct out as C does on every target we have; the assertions below hold the field lists against the header on this
// host.
#include "burin/runtime.h"
#include "lib/Target/Description.h"
#include "lib/Target/SelfTest.h"
#include "runtime/freestanding/lock.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/GlobalAlias.h"
#include "llvm/IR/GlobalVariable.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

using llvm::Constant;

static_assert(offsetof(burin_tensor_info, dims) == 16 && offsetof(burin_tensor_info, dim_names) == 80 &&
              sizeof(burin_tensor_info) == 88);
static_assert(offsetof(burin_layer_info, flops) == 16 && offsetof(burin_layer_info, bytes) == 24 &&
              offsetof(burin_layer_info, weight_bytes) == 32 && offsetof(burin_layer_info, dtype) == 40 &&
              sizeof(burin_layer_info) == 48);
static_assert(offsetof(burin_weight_info, offset) == 8 && offsetof(burin_weight_info, bytes) == 16 &&
              offsetof(burin_weight_info, source_bytes) == 24 && offsetof(burin_weight_info, dtype) == 32 &&
              offsetof(burin_weight_info, encoding) == 36 && sizeof(burin_weight_info) == 40);
static_assert(offsetof(burin_variant, features) == 8 && offsetof(burin_variant, entry) == 16 &&
              sizeof(burin_variant) == 24);
static_assert(offsetof(burin_model, name) == 8 && offsetof(burin_model, manifest) == 16 &&
              offsetof(burin_model, flags) == 24 && offsetof(burin_model, num_inputs) == 28 &&
              offsetof(burin_model, num_variants) == 44 && offsetof(burin_model, inputs) == 48 &&
              offsetof(burin_model, outputs) == 56 && offsetof(burin_model, layers) == 64 &&
              offsetof(burin_model, weight_table) == 72 && offsetof(burin_model, variants) == 80 &&
              offsetof(burin_model, weights) == 88 && offsetof(burin_model, weights_bytes) == 96 &&
              offsetof(burin_model, arena_bytes) == 104 && offsetof(burin_model, peak_live_bytes) == 112 &&
              offsetof(burin_model, plan) == 120 && sizeof(burin_model) == 128);
static_assert(offsetof(burin_context, arena_bytes) == 16 && offsetof(burin_context, strings) == 48 &&
              sizeof(burin_context) == 64);
static_assert(offsetof(burin_tensor, dims) == 16 && offsetof(burin_tensor, strides) == 80 &&
              offsetof(burin_tensor, capacity) == 144 && sizeof(burin_tensor) == 152);
static_assert(BURIN_ABI_VERSION == 3, "the field lists below are those of version 3");

namespace {
constexpr unsigned weightsField = 15; // of burin_model, counted below

class Builder {
public:
  Builder(llvm::Module &module, llvm::StringRef prefix)
      : module(module), context(module.getContext()), prefix(prefix), i32(llvm::Type::getInt32Ty(context)),
        i64(llvm::Type::getInt64Ty(context)), pointer(llvm::PointerType::get(context, 0)) {}

  Constant *u32(uint64_t v) { return llvm::ConstantInt::get(i32, v); }
  Constant *u64(uint64_t v) { return llvm::ConstantInt::get(i64, v); }
  Constant *null() { return llvm::ConstantPointerNull::get(pointer); }
  Constant *record(llvm::ArrayRef<Constant *> fields) { return llvm::ConstantStruct::getAnon(context, fields); }

  llvm::GlobalVariable *global(Constant *value, const llvm::Twine &name) {
    auto *g = new llvm::GlobalVariable(module, value->getType(), true, llvm::GlobalValue::PrivateLinkage, value,
                                       prefix + "." + name);
    g->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    return g;
  }
  // Each text once: layer and weight names repeat.
  Constant *text(llvm::StringRef value) {
    Constant *&known = texts[value];
    if (!known)
      known = global(llvm::ConstantDataArray::getString(context, value), "text");
    return known;
  }
  Constant *array(llvm::ArrayRef<Constant *> values, const llvm::Twine &name) {
    if (values.empty())
      return null();
    return global(llvm::ConstantArray::get(llvm::ArrayType::get(values.front()->getType(), values.size()), values),
                  name);
  }
  // A function of `pointers` pointers, or data where there are none.
  Constant *symbol(llvm::StringRef name, unsigned pointers) {
    if (llvm::GlobalValue *known = module.getNamedValue(name))
      return known;
    llvm::GlobalValue *declared;
    if (pointers)
      declared = llvm::Function::Create(
          llvm::FunctionType::get(i32, llvm::SmallVector<llvm::Type *>(pointers, pointer), false),
          llvm::GlobalValue::ExternalLinkage, name, module);
    else
      declared = new llvm::GlobalVariable(module, llvm::Type::getInt8Ty(context), true,
                                          llvm::GlobalValue::ExternalLinkage, nullptr, name);
    declared->setVisibility(llvm::GlobalValue::HiddenVisibility);
    return declared;
  }

  // int NAME_run(int64_t size..., const void *in..., void *out..., void *arena): what a C program calls that has one
  // model and wants no structs. It picks the variant and offers a context without hooks; shapes are the header's
  // business, so there is nothing to check.
  void run(const burin::ModelDescription &model, llvm::GlobalVariable *description) {
    unsigned inputs = model.inputs.size(), outputs = model.outputs.size();
    auto sizes = burin::sizeParameters(model);
    llvm::SmallVector<llvm::Type *> types(sizes.size(), i64);
    types.append(inputs + outputs + 1, pointer);
    auto *function = llvm::Function::Create(llvm::FunctionType::get(i32, types, false),
                                            llvm::GlobalValue::ExternalLinkage, model.runSymbol(), module);
    function->setDoesNotThrow();
    llvm::IRBuilder<> b(llvm::BasicBlock::Create(context, "", function));
    llvm::Value *data = describedTensors(b, model, sizes, function, inputs + outputs + 1);
    for (unsigned i = 0; i < inputs + outputs; ++i)
      b.CreateStore(function->getArg(sizes.size() + i), member(b, data, i, 0));
    llvm::Value *arena = function->getArg(sizes.size() + inputs + outputs);
    llvm::Value *opened = nullptr;
    if (model.unlockedBytes()) {
      openedOrReturn(b, model, arena, storedWeights(b, model, description));
      opened = b.CreateConstGEP1_64(b.getInt8Ty(), arena, BURIN_ALIGNMENT);
      arena = b.CreateConstGEP1_64(b.getInt8Ty(), arena, model.unlockedBytes());
    }
    if (model.isDirect) {
      llvm::Value *weights = opened ? opened : model.weightsBytes ? symbol(model.weightsSymbol(), 0) : null();
      b.CreateRet(b.CreateCall(llvm::cast<llvm::Function>(symbol(model.variants.front().entry, 5)),
                               {data, member(b, data, inputs, 0), arena, weights,
                                model.sharesMemory ? callContext(symbol("burin_wasm_parallel", 0)) : null()}));
      return;
    }
    auto select =
        module.getOrInsertFunction("burin_select_variant", llvm::FunctionType::get(pointer, {pointer}, false));
    llvm::Value *variant = b.CreateCall(select, {description});
    auto *found = llvm::BasicBlock::Create(context, "", function),
         *none = llvm::BasicBlock::Create(context, "", function);
    b.CreateCondBr(b.CreateIsNull(variant), none, found);
    b.SetInsertPoint(none);
    b.CreateRet(u32(BURIN_ERROR_CPU));
    b.SetInsertPoint(found);
    auto *variantType = llvm::StructType::get(context, {pointer, i64, pointer});
    llvm::Value *entry = b.CreateLoad(pointer, b.CreateStructGEP(variantType, variant, 2));
    Constant *call = callContext(null());
    llvm::Value *weights = opened ? opened : storedWeights(b, model, description);
    b.CreateRet(b.CreateCall(llvm::FunctionType::get(i32, {pointer, pointer, pointer, pointer, pointer}, false), entry,
                             {data, member(b, data, inputs, 0), arena, weights, call}));
  }

  // A burin_context of NAME_run.
  Constant *callContext(Constant *parallel) {
    return global(
        record({u32(BURIN_ABI_VERSION), u32(0), null(), u64(0), null(), parallel, null(), null(), u32(0), u32(0)}),
        "context");
  }

  // The section as the artifact holds it. Through the description and not by symbol where code for a process may be
  // loaded further away from the weights than it can reach.
  llvm::Value *storedWeights(llvm::IRBuilder<> &b, const burin::ModelDescription &model,
                             llvm::GlobalVariable *description) {
    if (model.isDirect)
      return symbol(model.weightsSymbol(), 0);
    auto *type = llvm::cast<llvm::StructType>(description->getValueType());
    return b.CreateLoad(pointer, b.CreateStructGEP(type, description, weightsField));
  }

  // Goes on where the arena begins with the mark that burin_open_weights leaves, the MAC of the stored section.
  void openedOrReturn(llvm::IRBuilder<> &b, const burin::ModelDescription &model, llvm::Value *arena,
                      llvm::Value *stored) {
    llvm::Value *differs = nullptr;
    for (unsigned byte : {0u, 8u}) {
      auto word = [&](llvm::Value *base, unsigned offset) {
        return b.CreateLoad(i64, b.CreateConstGEP1_64(b.getInt8Ty(), base, offset));
      };
      llvm::Value *other = b.CreateXor(word(arena, byte), word(stored, BURIN_LOCK_MAC + byte));
      differs = differs ? b.CreateOr(differs, other) : other;
    }
    llvm::Function *function = b.GetInsertBlock()->getParent();
    auto *closed = llvm::BasicBlock::Create(context, "", function),
         *open = llvm::BasicBlock::Create(context, "", function);
    b.CreateCondBr(b.CreateIsNull(differs), open, closed);
    b.SetInsertPoint(closed);
    b.CreateRet(u32(BURIN_ERROR_KEY));
    b.SetInsertPoint(open);
  }

  // int NAME_unlock(const uint8_t *key, void *arena)
  void unlock(const burin::ModelDescription &model, llvm::GlobalVariable *description) {
    auto *function = llvm::Function::Create(llvm::FunctionType::get(i32, {pointer, pointer}, false),
                                            llvm::GlobalValue::ExternalLinkage, model.unlockSymbol(), module);
    function->setDoesNotThrow();
    llvm::IRBuilder<> b(llvm::BasicBlock::Create(context, "", function));
    auto open = module.getOrInsertFunction("burin_open_weights",
                                           llvm::FunctionType::get(i32, {pointer, pointer, pointer}, false));
    b.CreateRet(b.CreateCall(open, {storedWeights(b, model, description), function->getArg(0), function->getArg(1)}));
  }

  // int NAME_sizes(int64_t size..., int64_t (*dims)[8], uint64_t *arena_bytes) of a model with free dims.
  void sizes(const burin::ModelDescription &model) {
    auto given = burin::sizeParameters(model);
    llvm::SmallVector<llvm::Type *> types(given.size(), i64);
    types.append(2, pointer);
    auto *function = llvm::Function::Create(llvm::FunctionType::get(i32, types, false),
                                            llvm::GlobalValue::ExternalLinkage, model.sizesSymbol(), module);
    function->setDoesNotThrow();
    llvm::IRBuilder<> b(llvm::BasicBlock::Create(context, "", function));
    llvm::Value *data = describedTensors(b, model, given, function, model.inputs.size() + 1);
    llvm::Value *bytes = function->getArg(given.size() + 1);
    llvm::Value *status = b.CreateCall(llvm::FunctionType::get(i32, {pointer, pointer, pointer}, false),
                                       symbol(model.plan, 3), {data, function->getArg(given.size()), bytes});
    if (model.unlockedBytes())
      b.CreateStore(b.CreateAdd(b.CreateLoad(i64, bytes), u64(model.unlockedBytes())), bytes);
    b.CreateRet(status);
  }

  // An array of burin_tensor on the stack, the inputs' dims filled in where the model has free ones: compiled code of a
  // static model reads the pointers alone.
  llvm::Value *describedTensors(llvm::IRBuilder<> &b, const burin::ModelDescription &model,
                                llvm::ArrayRef<burin::SizeParameter> sizes, llvm::Function *function, unsigned count) {
    llvm::Value *data = b.CreateAlloca(llvm::ArrayType::get(tensorType(), count));
    if (model.plan.empty())
      return data;
    for (auto [i, input] : llvm::enumerate(model.inputs))
      for (auto [d, size] : llvm::enumerate(input.dims))
        if (size >= 0)
          b.CreateStore(u64(size), member(b, data, i, 3, d));
    for (auto [s, parameter] : llvm::enumerate(sizes))
      for (auto [i, d] : parameter.places)
        b.CreateStore(function->getArg(s), member(b, data, i, 3, d));
    return data;
  }

  llvm::StructType *tensorType() {
    auto *dims = llvm::ArrayType::get(i64, BURIN_MAX_RANK);
    return llvm::StructType::get(context, {pointer, i32, i32, dims, dims, i64}); // burin_tensor
  }

  llvm::Value *member(llvm::IRBuilder<> &b, llvm::Value *tensors, unsigned index, unsigned field, int dim = -1) {
    llvm::SmallVector<llvm::Value *> path{u32(index), u32(field)};
    if (dim >= 0)
      path.push_back(u32(dim));
    return b.CreateInBoundsGEP(tensorType(), tensors, path);
  }

  Constant *tensors(const std::vector<burin::TensorDescription> &list, const llvm::Twine &name) {
    llvm::SmallVector<Constant *> values;
    for (const burin::TensorDescription &t : list) {
      llvm::SmallVector<uint64_t> dims(BURIN_MAX_RANK, 0);
      llvm::copy(t.dims, dims.begin());
      Constant *names = null();
      if (llvm::any_of(t.dimNames, [](const std::string &n) { return !n.empty(); })) {
        llvm::SmallVector<Constant *> entries;
        for (const std::string &n : t.dimNames)
          entries.push_back(n.empty() ? null() : text(n));
        names = array(entries, "dims");
      }
      values.push_back(
          record({text(t.name), u32(t.dtype), u32(t.dims.size()), llvm::ConstantDataArray::get(context, dims), names}));
    }
    return array(values, name);
  }

  llvm::Module &module;
  llvm::LLVMContext &context;
  std::string prefix;
  llvm::Type *i32, *i64;
  llvm::PointerType *pointer;
  llvm::StringMap<Constant *> texts;
};
} // namespace

std::unique_ptr<llvm::Module> burin::describeToLLVM(const ModelDescription &model, llvm::LLVMContext &context,
                                                    llvm::StringRef triple, llvm::StringRef dataLayout) {
  auto module = std::make_unique<llvm::Module>(model.name + ".model", context);
  module->setTargetTriple(llvm::Triple(triple));
  module->setDataLayout(dataLayout);
  Builder b(*module, model.name);

  llvm::SmallVector<Constant *> layers, weights, variants;
  for (const LayerDescription &l : model.layers)
    layers.push_back(b.record({b.text(l.name), b.text(l.kind), b.u64(l.flops), b.u64(l.bytes), b.u64(l.weightBytes),
                               b.u32(l.dtype), b.u32(0)}));
  for (const WeightDescription &w : model.weights)
    weights.push_back(b.record(
        {b.text(w.name), b.u64(w.offset), b.u64(w.bytes), b.u64(w.sourceBytes), b.u32(w.dtype), b.u32(w.encoding)}));
  for (const VariantDescription &v : model.variants)
    variants.push_back(b.record({b.text(v.target), b.u64(v.features), b.symbol(v.entry, 5)}));

  Constant *value = b.record({b.u32(BURIN_MODEL_MAGIC),
                              b.u32(BURIN_ABI_VERSION),
                              b.text(model.name),
                              b.text(model.manifest),
                              b.u32(model.flags),
                              b.u32(model.inputs.size()),
                              b.u32(model.outputs.size()),
                              b.u32(layers.size()),
                              b.u32(weights.size()),
                              b.u32(variants.size()),
                              b.tensors(model.inputs, "inputs"),
                              b.tensors(model.outputs, "outputs"),
                              b.array(layers, "layers"),
                              b.array(weights, "weight_table"),
                              b.array(variants, "variants"),
                              model.weightsBytes ? b.symbol(model.weightsSymbol(), 0) : b.null(),
                              b.u64(model.weightsBytes),
                              b.u64(model.arenaBytes),
                              b.u64(model.peakLiveBytes),
                              model.plan.empty() ? b.null() : b.symbol(model.plan, 3)});
  auto *symbol = new llvm::GlobalVariable(*module, value->getType(), true, llvm::GlobalValue::ExternalLinkage, value,
                                          model.modelSymbol());
  if (!(model.flags & BURIN_NEEDS_ALLOCATOR)) // needs a context, and with it burin_run
    b.run(model, symbol);
  if (!(model.flags & BURIN_NEEDS_ALLOCATOR) && model.unlockedBytes())
    b.unlock(model, symbol);
  if (model.selfTest)
    defineSelfTest(*module, model, module->getFunction(model.runSymbol()));
  if (!model.plan.empty())
    b.sizes(model);
  if (!model.arenaSection.empty()) {
    auto *type = llvm::ArrayType::get(llvm::Type::getInt8Ty(context), std::max<uint64_t>(model.lentBytes(), 64));
    auto *arena = new llvm::GlobalVariable(*module, type, false, llvm::GlobalValue::ExternalLinkage,
                                           llvm::ConstantAggregateZero::get(type), model.arenaSymbol());
    arena->setAlignment(llvm::Align(BURIN_ALIGNMENT));
    arena->setSection(model.arenaSection);
  }
  if (model.isProgram && model.selfTest)
    llvm::GlobalAlias::create(llvm::GlobalValue::ExternalLinkage, "burin_program_selftest",
                              module->getFunction(model.selfTestSymbol()));
  if (model.isProgram && model.threads > 1)
    new llvm::GlobalVariable(*module, llvm::Type::getInt32Ty(context), true, llvm::GlobalValue::ExternalLinkage,
                             b.u32(model.threads), "burin_program_threads");
  if (model.isProgram)
    llvm::GlobalAlias::create(value->getType(), 0, llvm::GlobalValue::ExternalLinkage, "burin_program_model", symbol,
                              module.get());
  return module;
}
