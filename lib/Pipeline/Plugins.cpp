// Plugins, patterns and passes of the user as steps of the road, and the watch that runs them between passes.
#include "lib/Pipeline/Plugins.h"

#include "burin/InitAll.h"
#include "burin/Plugin.h"
#include "lib/Export/Export.h"
#include "lib/Import/Import.h"
#include "lib/Pipeline/Pdll.h"
#include "lib/Target/Files.h"
#include "passes/Graph/Passes.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/DynamicLibrary.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <unistd.h>

using namespace mlir;
using namespace burin;
using llvm::createStringError;
using llvm::Error;

std::string burin::installFolder() {
  // build/lib/libBurinCompiler.so and PREFIX/lib/libBurinCompiler.so
  Dl_info info;
  SmallString<256> path;
  if (!dladdr(reinterpret_cast<void *>(&installFolder), &info) || !info.dli_fname)
    return "";
  if (llvm::sys::fs::real_path(info.dli_fname, path))
    path = info.dli_fname;
  return llvm::sys::path::parent_path(llvm::sys::path::parent_path(path)).str();
}

// Python beside this library first: in an installation lib/python, in the build folder python, in a wheel the package's
// own folder.
std::string burin::pythonPath() {
  std::string folder = installFolder(), path;
  for (const char *candidate : {"/lib/python", "/python", "/.."})
    if (llvm::sys::fs::exists(folder + candidate + "/burin/passes.py")) {
      path = folder + candidate;
      break;
    }
  if (const char *given = std::getenv("PYTHONPATH"))
    path += (path.empty() ? "" : ":") + std::string(given);
  return path;
}

std::string burin::runPythonModule(StringRef module, ArrayRef<const char *> words) {
  const char *given = std::getenv("BURIN_PYTHON");
  std::string python = given ? given : "python3", path = "PYTHONPATH=" + pythonPath(), name = module.str();
  SmallVector<char *> line;
  for (const char *word : {"env", path.c_str(), python.c_str(), "-m", name.c_str()})
    line.push_back(const_cast<char *>(word));
  for (const char *word : words)
    line.push_back(const_cast<char *>(word));
  line.push_back(nullptr);
  execv("/usr/bin/env", line.data());
  return "cannot run '" + python + "': " + std::strerror(errno);
}

//===--------------------------------------------- points ---------------------------------------------===//

namespace {
const StringRef fixedPoints[] = {"after-import", "after-graph", "before-target"};

bool isWithin(StringRef point) { return !llvm::is_contained(fixedPoints, point); }

// `after-import:rest`. A pipeline may hold colons itself, so only what reads as a point is one.
std::pair<StringRef, StringRef> splitPoint(StringRef value) {
  auto [point, rest] = value.split(':');
  bool isPoint = (point.starts_with("after-") || point.starts_with("before-")) && !point.contains('(') &&
                 point.size() < value.size();
  return isPoint ? std::make_pair(point, rest) : std::make_pair(StringRef("after-graph"), value);
}

// Whatever changes the file changes what is compiled, so the cache key has to see it.
std::string stampOf(StringRef path) {
  llvm::sys::fs::file_status status;
  if (llvm::sys::fs::status(path, status))
    return "";
  return std::to_string(status.getSize()) + "@" +
         std::to_string(status.getLastModificationTime().time_since_epoch().count());
}

void registerOnce() {
  static std::once_flag once;
  std::call_once(once, [] { registerAllPasses(); });
}

LogicalResult addText(StringRef pipeline, OpPassManager &pm, std::string &why) {
  // parsePassPipeline into an existing manager would nest silently: it has to be given `builtin.module(...)` as a
  // whole.
  registerOnce();
  std::string text = pipeline.str();
  if (!pipeline.starts_with("builtin.module("))
    text = "builtin.module(" + text + ")";
  llvm::raw_string_ostream errors(why);
  FailureOr<OpPassManager> parsed = parsePassPipeline(text, errors);
  if (failed(parsed)) {
    why = StringRef(why).split('\n').first.str();
    return failure();
  }
  pm.nest(ModuleOp::getOperationName()) = std::move(*parsed);
  return success();
}
} // namespace

//===--------------------------------------------- plugins ---------------------------------------------===//

Error burin::addPlugin(UserSteps &steps, StringRef path) {
  auto refuse = [&](const Twine &why) {
    return createStringError("cannot load pass plugin '" + path.str() + "': " + why.str());
  };
  if (!llvm::sys::fs::exists(path))
    return refuse("no such file");
  std::string error;
  SmallString<256> absolute(path);
  llvm::sys::fs::make_absolute(absolute);
  auto library = llvm::sys::DynamicLibrary::getPermanentLibrary(absolute.c_str(), &error);
  if (!library.isValid())
    return refuse(error);
  auto passes = reinterpret_cast<PassPluginLibraryInfo (*)()>(library.getAddressOfSymbol("mlirGetPassPluginInfo"));
  auto own = reinterpret_cast<void (*)(PluginInfo *)>(library.getAddressOfSymbol("burinGetPluginInfo"));
  if (!passes)
    return refuse("it has no mlirGetPassPluginInfo; expected a library made with BURIN_PLUGIN of burin/Plugin.h");
  PassPluginLibraryInfo info = passes();
  if (info.apiVersion != MLIR_PLUGIN_API_VERSION)
    return refuse("expected MLIR plugin API " + Twine(MLIR_PLUGIN_API_VERSION) + ", got " + Twine(info.apiVersion));
  PluginInfo hooks{pluginApiVersion, LLVM_VERSION_STRING, nullptr};
  if (own)
    own(&hooks);
  if (hooks.apiVersion != pluginApiVersion)
    return refuse("expected Burin plugin API " + Twine(pluginApiVersion) + ", got " + Twine(hooks.apiVersion) +
                  "; build it again with this Burin's headers");
  if (StringRef(hooks.llvmVersion) != LLVM_VERSION_STRING)
    return refuse("expected one built with LLVM " LLVM_VERSION_STRING ", got " + Twine(hooks.llvmVersion));
  registerOnce();
  if (info.registerPassRegistryCallbacks)
    info.registerPassRegistryCallbacks();
  // One step even without hooks: the cache key has to know of the plugin, whose passes a pipeline may name.
  std::string stamp = stampOf(path);
  steps.push_back({"after-import", path.str(), stamp, nullptr});
  if (!hooks.addHooks)
    return Error::success();
  PluginHooks added;
  hooks.addHooks(added);
  for (auto &[point, build] : added.entries)
    steps.push_back({fixedPoints[static_cast<int>(point)].str(), path.str(), stamp,
                     [build = build](OpPassManager &pm, std::string &) {
                       build(pm);
                       return success();
                     }});
  return Error::success();
}

//===--------------------------------------------- patterns and pipelines
//---------------------------------------------===//

Error burin::addPatterns(UserSteps &steps, StringRef value) {
  auto [point, path] = splitPoint(value);
  if (point == "before-target")
    return createStringError("--patterns: patterns match the graph, which 'before-target' has left behind");
  llvm::Expected<std::string> pdl = readPatterns(path);
  if (!pdl)
    return pdl.takeError();
  steps.push_back(
      {point.str(), path.str(), stampOf(path), [pdl = *pdl, path = path.str()](OpPassManager &pm, std::string &) {
         pm.addPass(createApplyPatterns(ApplyPatternsOptions{pdl, path}));
         pm.addPass(createInferShapes());
         return success();
       }});
  return Error::success();
}

namespace {
// Hands the model as ONNX to a function and takes its answer in the model's place.
struct RewriteAsOnnx : PassWrapper<RewriteAsOnnx, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RewriteAsOnnx)
  RewriteAsOnnx(std::string name, ModelRewriter rewriter) : name(std::move(name)), rewriter(std::move(rewriter)) {}
  RewriteAsOnnx(const RewriteAsOnnx &other) : PassWrapper(other), name(other.name), rewriter(other.rewriter) {}
  StringRef getArgument() const final { return "burin-rewrite-as-onnx"; }
  StringRef getDescription() const final { return "change the model by a function over ONNX files"; }
  void runOnOperation() final {
    ModuleOp module = getOperation();
    std::string bytes;
    {
      llvm::raw_string_ostream out(bytes);
      if (failed(exportModel(module, out, ExportOptions{/*opset=*/0})))
        return signalPassFailure();
    }
    llvm::Expected<std::string> changed = rewriter(bytes);
    if (!changed) {
      module.emitError() << name << ": " << llvm::toString(changed.takeError());
      return signalPassFailure();
    }
    if (*changed == bytes)
      return;
    auto owner = std::make_shared<std::string>(std::move(*changed));
    OwningOpRef<ModuleOp> imported = importModel(*owner, name, owner, getContext());
    if (!imported)
      return signalPassFailure();
    SmallVector<NamedAttribute> kept;
    for (NamedAttribute attribute : module->getAttrs())
      if (!(*imported)->hasAttr(attribute.getName()))
        kept.push_back(attribute);
    module->setAttrs((*imported)->getAttrDictionary());
    for (NamedAttribute attribute : kept)
      module->setAttr(attribute.getName(), attribute.getValue());
    module.getBody()->clear();
    module.getBody()->getOperations().splice(module.getBody()->end(), imported->getBody()->getOperations());
  }
  std::string name;
  ModelRewriter rewriter;
};

llvm::Expected<std::string> runPythonFile(StringRef file, StringRef point, StringRef onnx) {
  auto python = llvm::sys::findProgramByName("python3");
  std::string program = std::getenv("BURIN_PYTHON") ? std::getenv("BURIN_PYTHON") : python ? *python : "";
  if (program.empty())
    return createStringError("no python3 on the PATH; BURIN_PYTHON may name one");
  auto folder = ScratchFolder::create();
  if (!folder)
    return folder.takeError();
  std::string in = folder->file("in.onnx"), out = folder->file("out.onnx"), log = folder->file("log");
  if (Error error = writeFile(in, [&](llvm::raw_ostream &stream) {
        stream << onnx;
        return Error::success();
      }))
    return std::move(error);
  // /usr/bin/env carries the path to the package without changing this process's environment.
  std::string path = "PYTHONPATH=" + pythonPath(), at = ("--point=" + point).str(), given = file.str();
  std::vector<StringRef> arguments = {"env", path, program, "-m", "burin.passes", given, in, out, at};
  std::string why;
  int status = llvm::sys::ExecuteAndWait("/usr/bin/env", arguments, std::nullopt,
                                         {std::nullopt, StringRef(log), StringRef(log)}, 0, 0, &why);
  auto text = llvm::MemoryBuffer::getFile(log);
  StringRef said = text ? (*text)->getBuffer().trim() : StringRef();
  if (status) {
    // The last line of a traceback is what went wrong.
    StringRef last = said.rsplit('\n').second.empty() ? said : said.rsplit('\n').second;
    return createStringError(last.empty() ? program + " failed: " + why : last.str());
  }
  if (!said.empty())
    llvm::errs() << said << "\n";
  auto result = llvm::MemoryBuffer::getFile(out, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!result)
    return createStringError("it wrote no model");
  return (*result)->getBuffer().str();
}
} // namespace

Error burin::addRewriter(UserSteps &steps, StringRef point, StringRef name, ModelRewriter rewriter) {
  if (point.empty())
    point = "after-graph";
  if (point == "before-target" || (isWithin(point) && !point.starts_with("after-") && !point.starts_with("before-")))
    return createStringError("unknown point '" + point.str() +
                             "', expected after-import, after-graph, before-FLAG or after-FLAG of a graph pass");
  steps.push_back({point.str(), name.str(), "", [name = name.str(), rewriter](OpPassManager &pm, std::string &) {
                     pm.addPass(std::make_unique<RewriteAsOnnx>(name, rewriter));
                     return success();
                   }});
  return Error::success();
}

Error burin::addPasses(UserSteps &steps, StringRef value) {
  auto [point, text] = splitPoint(value);
  if (!text.ends_with(".py")) {
    steps.push_back({point.str(), ("--passes=" + text).str(), "",
                     [text = text.str()](OpPassManager &pm, std::string &why) { return addText(text, pm, why); }});
    return Error::success();
  }
  if (!llvm::sys::fs::exists(text))
    return createStringError("--passes: " + text.str() + ": no such file");
  auto run = [file = text.str(), point = point.str()](StringRef onnx) { return runPythonFile(file, point, onnx); };
  if (Error error = addRewriter(steps, point, text, run))
    return error;
  steps.back().stamp = stampOf(text);
  return Error::success();
}

//===--------------------------------------------- running ---------------------------------------------===//

bool burin::hasStepsAt(StringRef point, const UserSteps &steps) {
  return llvm::any_of(
      steps, [&](const UserStep &s) { return s.add && (point.empty() ? isWithin(s.point) : s.point == point); });
}

LogicalResult burin::addStepsAt(StringRef point, const UserSteps &steps, OpPassManager &pm, Location where) {
  for (const UserStep &step : steps) {
    std::string why;
    if (step.add && step.point == point && failed(step.add(pm, why)))
      return emitError(where) << step.origin << ": " << why;
  }
  return success();
}

struct PassWatch::State {
  UserSteps steps;
  int64_t limit, count = 0;
  Operation *root = nullptr;
  bool failed = false, busy = false;
  std::string last;
  llvm::StringSet<> done;

  void runAt(const Twine &point, Operation *op) {
    std::string at = point.str();
    if (failed || !hasStepsAt(at, steps) || !done.insert(at).second)
      return;
    busy = true;
    PassManager pm(op->getContext(), ModuleOp::getOperationName());
    failed = mlir::failed(addStepsAt(at, steps, pm, op->getLoc())) || mlir::failed(pm.run(op));
    busy = false;
  }
};

PassWatch::PassWatch(MLIRContext &context, UserSteps steps, int64_t limit)
    : state(std::make_shared<State>()), context(context) {
  state->steps = std::move(steps);
  state->limit = limit;
  if (limit < 0 && !hasStepsAt("", state->steps))
    return;
  context.registerActionHandler([state = state](llvm::function_ref<void()> run, const tracing::Action &action) {
    auto *execution = dyn_cast<PassExecutionAction>(&action);
    StringRef flag = execution ? execution->getPass().getArgument() : "";
    bool isOurs = execution && !state->busy && !flag.empty() && !flag.starts_with("burin-");
    if (isOurs && !state->root)
      state->root = execution->getOp();
    if (!isOurs || execution->getOp() != state->root)
      return run();
    if (state->limit >= 0 && state->count >= state->limit)
      return;
    ++state->count;
    state->last = flag.str();
    state->runAt("before-" + flag, state->root);
    run();
    state->runAt("after-" + flag, state->root);
  });
}

PassWatch::~PassWatch() { context.registerActionHandler(nullptr); }

LogicalResult PassWatch::finish(Location where) {
  if (state->failed)
    return failure();
  if (state->limit >= 0) {
    if (state->limit == state->count)
      llvm::errs() << "note: pass " << state->count << ", the last to run, was " << state->last << "\n";
    return success();
  }
  for (const UserStep &step : state->steps)
    if (step.add && isWithin(step.point) && !state->done.contains(step.point))
      return emitError(where) << step.origin << ": no graph pass runs at '" << step.point
                              << "'; burin-opt --list-pipelines shows which do";
  return success();
}
