// LLVM dialect -> LLVM IR -> machine code. Kernels come unrolled and vectorized, so LLVM's own O2 pipeline (ten times
// the cost, nothing gained) is left out below -O3. Partitions are cut by the amount of code alone, never by the number
// of threads: same input, same bytes.
#include "lib/Target/Codegen.h"

#include "dialects/Foreign/Foreign.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/IntrinsicsWebAssembly.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include <mutex>

using namespace mlir;

namespace {
constexpr char entryName[] = "entry";

// Operations a partition holds at most, roughly 50 ms of code generation; and how many partitions at most, as each
// costs a target machine.
constexpr size_t operationsPerPartition = 4000, maxPartitions = 12;

// Functions that any C environment, even a freestanding one, must offer: all that generated code may call.
bool isAllowedCall(StringRef symbol) {
  return symbol == "memcpy" || symbol == "memmove" || symbol == "memset" || symbol == "_GLOBAL_OFFSET_TABLE_";
}

// What stands for instructions that a processor lacks: the Arm run-time ABI's, which every compiler for Arm brings. And
// what a WebAssembly linker defines.
bool isHelper(StringRef symbol, const llvm::Triple &triple) {
  if (triple.isARM() || triple.isThumb())
    return symbol.starts_with("__aeabi_") || symbol.starts_with("__gnu_");
  return triple.isWasm() &&
         llvm::is_contained({"__linear_memory", "__stack_pointer", "__indirect_function_table"}, symbol);
}

// C functions that compute some of the model's nodes.
bool isCallee(ModuleOp module, StringRef symbol) {
  auto callees = module->getAttrOfType<ArrayAttr>(burin::foreign::calleesAttr);
  return callees && llvm::any_of(callees.getAsRange<StringAttr>(), [&](StringAttr name) { return name == symbol; });
}

void initializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmParsers();
    llvm::InitializeAllAsmPrinters();
  });
}

std::unique_ptr<llvm::TargetMachine> makeTargetMachine(const burin::Machine &machine, unsigned optLevel,
                                                       std::string &error) {
  initializeTargets();
  llvm::Triple triple(machine.triple);
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Fast; // a*b+c in one rounding: the only liberty taken with floats
  options.FunctionSections = true; // the linker drops what is not called, in particular other variants' helpers
  options.DataSections = true;
  options.EABIVersion = llvm::EABI::GNU;                // memcpy by its own name, not the Arm ABI's
  options.EmitStackSizeSection = machine.isBareMetal(); // see Measure
  if (triple.isRISCV())
    options.MCOptions.ABIName = "lp64d";
  auto relocation = machine.isBareMetal() || machine.isWebAssembly() ? llvm::Reloc::Static : llvm::Reloc::PIC_;
  auto level = optLevel == 0 ? llvm::CodeGenOptLevel::Less : llvm::CodeGenOptLevel::Default;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, machine.cpu, machine.features, options, relocation, llvm::CodeModel::Small, level));
}

// Every symbol gets the model's prefix and becomes hidden, so that partitions find each other and two models live in
// one binary.
void prefixSymbols(ModuleOp module, StringRef prefix) {
  llvm::StringMap<StringAttr> renamed;
  for (Operation &op : *module.getBody()) {
    auto symbol = dyn_cast<SymbolOpInterface>(op);
    bool isDefinition =
        isa<LLVM::GlobalOp>(op) || (isa<LLVM::LLVMFuncOp>(op) && !cast<LLVM::LLVMFuncOp>(op).isExternal());
    if (!symbol || !isDefinition)
      continue;
    auto name = StringAttr::get(module.getContext(), prefix + "_" + symbol.getName());
    renamed[symbol.getName()] = name;
    symbol.setName(name);
    if (auto function = dyn_cast<LLVM::LLVMFuncOp>(op)) {
      function.setLinkage(LLVM::Linkage::External);
      function.setVisibility_(LLVM::Visibility::Hidden);
      function.setNoUnwind(true);
    }
  }
  auto rename = [&](FlatSymbolRefAttr ref) {
    auto found = renamed.find(ref.getValue());
    return found == renamed.end() ? ref : FlatSymbolRefAttr::get(found->second);
  };
  module.walk([&](Operation *op) {
    if (auto call = dyn_cast<LLVM::CallOp>(op)) {
      if (call.getCalleeAttr())
        call.setCalleeAttr(rename(call.getCalleeAttr()));
    } else if (auto address = dyn_cast<LLVM::AddressOfOp>(op)) {
      address.setGlobalNameAttr(rename(address.getGlobalNameAttr()));
    }
  });
}

// A module of its own for each group of functions; what they use of others becomes declarations, constants are copied.
std::vector<OwningOpRef<ModuleOp>> partition(ModuleOp module) {
  SmallVector<std::pair<LLVM::LLVMFuncOp, size_t>> functions;
  size_t total = 0;
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    if (function.isExternal())
      continue;
    size_t size = 0;
    function.walk([&](Operation *) { ++size; });
    functions.push_back({function, size});
    total += size;
  }
  size_t count = std::clamp<size_t>(llvm::divideCeil(total, operationsPerPartition), 1, maxPartitions);
  // Largest first into the emptiest; ties keep the module's order.
  auto order = llvm::to_vector(llvm::seq<unsigned>(0, functions.size()));
  llvm::stable_sort(order, [&](unsigned a, unsigned b) { return functions[a].second > functions[b].second; });
  SmallVector<size_t> load(count, 0);
  SmallVector<unsigned> home(functions.size());
  for (unsigned f : order) {
    home[f] = std::min_element(load.begin(), load.end()) - load.begin();
    load[home[f]] += functions[f].second;
  }

  SymbolTable symbols(module);
  std::vector<OwningOpRef<ModuleOp>> parts;
  for (size_t i = 0; i < count; ++i)
    parts.push_back(ModuleOp::create(module.getLoc()));
  SmallVector<llvm::StringSet<>> present(count);
  for (unsigned f = 0; f < functions.size(); ++f) {
    Operation *function = functions[f].first;
    present[home[f]].insert(functions[f].first.getName());
    function->remove();
    parts[home[f]]->push_back(function);
  }
  llvm::StringMap<LLVM::LLVMFuncOp> definitions;
  for (auto &[function, size] : functions)
    definitions[function.getName()] = function;
  for (size_t i = 0; i < count; ++i) {
    std::function<void(Operation *)> bringWhatItUses = [&](Operation *user) {
      user->walk([&](Operation *op) {
        StringRef used;
        if (auto call = dyn_cast<LLVM::CallOp>(op))
          used = call.getCallee().value_or("");
        else if (auto address = dyn_cast<LLVM::AddressOfOp>(op))
          used = address.getGlobalName();
        if (used.empty() || !present[i].insert(used).second)
          return;
        Operation *copy;
        if (LLVM::LLVMFuncOp function = definitions.lookup(used)) {
          auto declared = cast<LLVM::LLVMFuncOp>(function->cloneWithoutRegions());
          copy = declared;
        } else if (Operation *global = symbols.lookup(used)) {
          copy = global->clone();
        } else {
          return;
        }
        parts[i]->push_back(copy);
        bringWhatItUses(copy);
      });
    };
    SmallVector<Operation *> users;
    for (Operation &op : *parts[i]->getBody())
      users.push_back(&op);
    for (Operation *op : users)
      bringWhatItUses(op);
  }
  return parts;
}

void optimize(llvm::Module &module, llvm::TargetMachine &target, unsigned optLevel) {
  if (optLevel == 0)
    return;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = tuning.LoopUnrolling = tuning.LoopInterleaving = false;
  llvm::PassBuilder builder(&target, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graph, modules);
  llvm::ModulePassManager passes;
  if (optLevel >= 3)
    passes = builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2);
  else if (llvm::Error error = builder.parsePassPipeline(passes, "function(early-cse)"))
    llvm::reportFatalInternalError(std::move(error));
  passes.run(module, modules);
}

std::unique_ptr<llvm::Module> translate(ModuleOp module, llvm::LLVMContext &context, const burin::Machine &machine,
                                        llvm::TargetMachine &target, StringRef name) {
  std::unique_ptr<llvm::Module> result = translateModuleToLLVMIR(module, context, name, /*disableVerification=*/true);
  if (!result)
    return nullptr;
  result->setTargetTriple(target.getTargetTriple());
  result->setDataLayout(target.createDataLayout());
  if (target.isPositionIndependent())
    result->setPICLevel(llvm::PICLevel::BigPIC);
  // x * y + z in one rounding or two, as the engine's machine has it; the back end takes it by its own name alone.
  if (machine.features.contains("+relaxed-simd"))
    if (llvm::Function *either = result->getFunction("llvm.fmuladd.v4f32"))
      either->replaceAllUsesWith(llvm::Intrinsic::getOrInsertDeclaration(
          result.get(), llvm::Intrinsic::wasm_relaxed_madd, {either->getReturnType()}));
  for (llvm::Function &function : *result) {
    if (!function.isIntrinsic())
      function.setDSOLocal(!isAllowedCall(function.getName()) &&
                           (!function.isDeclaration() || function.hasHiddenVisibility()));
    if (!function.isDeclaration() && !machine.tuneCpu().empty())
      function.addFnAttr("tune-cpu", machine.tuneCpu());
  }
  return result;
}

bool emit(llvm::Module &module, llvm::TargetMachine &target, llvm::CodeGenFileType kind, SmallVectorImpl<char> &bytes) {
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  if (target.addPassesToEmitFile(passes, out, nullptr, kind, /*DisableVerify=*/true))
    return false;
  passes.run(module);
  return true;
}

// The promise "no libc call beyond memory copies" is checked on the finished object, whatever road a call came by.
// Functions that the model calls by name beside those are known (cpu-lower-calls).
LogicalResult checkCalls(ModuleOp module, const burin::ObjectCode &object, StringRef prefix,
                         const llvm::Triple &triple) {
  auto parsed = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(StringRef(object.bytes.data(), object.bytes.size()), object.name));
  if (!parsed)
    return module.emitError() << "the generated object cannot be read back: " << llvm::toString(parsed.takeError());
  for (const llvm::object::SymbolRef &symbol : (*parsed)->symbols()) {
    auto flags = symbol.getFlags();
    if (!flags || !(*flags & llvm::object::SymbolRef::SF_Undefined)) {
      llvm::consumeError(flags.takeError());
      continue;
    }
    auto name = symbol.getName();
    if (!name) {
      llvm::consumeError(name.takeError());
      continue;
    }
    if (!name->empty() && !isAllowedCall(*name) && !isHelper(*name, triple) && !isCallee(module, *name) &&
        !(name->starts_with(prefix) && name->drop_front(prefix.size()).starts_with("_")))
      return module.emitError() << "the generated code calls '" << *name
                                << "', and may call nothing but memcpy, memmove and memset";
  }
  return success();
}
} // namespace

std::string burin::entrySymbol(StringRef prefix) { return (prefix + "_" + entryName).str(); }

FailureOr<std::vector<burin::ObjectCode>> burin::compileToObjects(ModuleOp module, const Machine &machine,
                                                                  const CodegenOptions &options) {
  auto entry = module.lookupSymbol<LLVM::LLVMFuncOp>(entryName);
  if (!entry || entry.getNumArguments() != 5)
    return module.emitError() << "expected a function @entry of five pointers, as the target stage leaves it",
           failure();
  prefixSymbols(module, options.prefix);
  std::vector<OwningOpRef<ModuleOp>> parts = partition(module);

  struct Part {
    llvm::LLVMContext context;
    std::unique_ptr<llvm::TargetMachine> target;
    std::unique_ptr<llvm::Module> llvm;
    bool done = false;
  };
  std::vector<ObjectCode> objects(parts.size());
  std::vector<Part> work(parts.size());
  bool translated = true;
  {
    // Translation is a tenth of the work and shares the MLIR context, so it stays on this thread while the pool
    // compiles.
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency());
    for (size_t i = 0; i < parts.size(); ++i) {
      std::string error;
      Part &part = work[i];
      part.target = makeTargetMachine(machine, options.optLevel, error);
      if (!part.target) {
        module.emitError() << "LLVM has no back end for " << machine.triple << ": " << error;
        translated = false;
        break;
      }
      objects[i].name = (options.prefix + ".code" + Twine(i) + ".o").str();
      part.llvm = translate(*parts[i], part.context, machine, *part.target, objects[i].name);
      parts[i] = nullptr;
      if (!part.llvm) {
        translated = false;
        break;
      }
      if (machine.isBareMetal()) // flash is dearer than alignment
        for (llvm::Function &function : *part.llvm)
          function.addFnAttr(llvm::Attribute::OptimizeForSize);
      pool.async([&part, &object = objects[i], &options] {
        optimize(*part.llvm, *part.target, options.optLevel);
        part.done = emit(*part.llvm, *part.target, llvm::CodeGenFileType::ObjectFile, object.bytes);
        part.llvm = nullptr;
      });
    }
    pool.wait();
  }
  if (!translated)
    return failure();
  for (size_t i = 0; i < objects.size(); ++i) {
    if (!work[i].done)
      return module.emitError() << "the back end for " << machine.triple << " writes no object files", failure();
    if (failed(checkCalls(module, objects[i], options.prefix, llvm::Triple(machine.triple))))
      return failure();
  }
  return objects;
}

bool burin::compileLLVM(llvm::Module &module, const Machine &machine, SmallVectorImpl<char> &object, std::string &why) {
  auto target = makeTargetMachine(machine, 2, why);
  if (!target)
    return false;
  target->Options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  module.setTargetTriple(target->getTargetTriple());
  module.setDataLayout(target->createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  optimize(module, *target, 3);
  if (!emit(module, *target, llvm::CodeGenFileType::ObjectFile, object)) {
    why = "the back end writes no object files";
    return false;
  }
  auto parsed =
      llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(StringRef(object.data(), object.size()), ""));
  if (!parsed) {
    why = llvm::toString(parsed.takeError());
    return false;
  }
  for (const llvm::object::SymbolRef &symbol : (*parsed)->symbols()) {
    uint32_t flags = llvm::cantFail(symbol.getFlags());
    StringRef name = llvm::cantFail(symbol.getName());
    if ((flags & llvm::object::SymbolRef::SF_Undefined) && !name.empty() && !isAllowedCall(name)) {
      why = ("internal error: code calls '" + name + "'").str();
      return false;
    }
  }
  return true;
}

FailureOr<burin::ObjectCode> burin::describeToObject(ModuleOp module, const Machine &machine,
                                                     const ModelDescription &model) {
  std::string error;
  auto target = makeTargetMachine(machine, 0, error);
  if (!target)
    return module.emitError() << "LLVM has no back end for " << machine.triple << ": " << error, failure();
  llvm::LLVMContext context;
  auto description =
      describeToLLVM(model, context, machine.triple, target->createDataLayout().getStringRepresentation());
  ObjectCode object;
  object.name = model.name + ".model.o";
  if (!emit(*description, *target, llvm::CodeGenFileType::ObjectFile, object.bytes))
    return module.emitError() << "the back end for " << machine.triple << " writes no object files", failure();
  return object;
}

FailureOr<std::string> burin::compileToText(ModuleOp module, const Machine &machine, const CodegenOptions &options,
                                            const ModelDescription &model, TextKind kind) {
  std::string error;
  auto target = makeTargetMachine(machine, options.optLevel, error);
  if (!target)
    return module.emitError() << "LLVM has no back end for " << machine.triple << ": " << error, failure();
  prefixSymbols(module, options.prefix);
  llvm::LLVMContext context;
  auto code = translate(module, context, machine, *target, options.prefix);
  if (!code)
    return failure();
  code->setSourceFileName(options.prefix);
  auto description =
      describeToLLVM(model, context, machine.triple, target->createDataLayout().getStringRepresentation());
  if (llvm::Linker::linkModules(*code, std::move(description)))
    return module.emitError() << "code and description do not link", failure();
  optimize(*code, *target, options.optLevel);
  std::string text;
  llvm::raw_string_ostream out(text);
  if (kind == TextKind::LLVM) {
    code->print(out, nullptr);
    return text;
  }
  SmallVector<char, 0> bytes;
  if (!emit(*code, *target, llvm::CodeGenFileType::AssemblyFile, bytes))
    return module.emitError() << "the back end for " << machine.triple << " writes no assembly", failure();
  return std::string(bytes.begin(), bytes.end());
}
