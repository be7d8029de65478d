// The driver of -O3's measurements: candidates in rounds, programs run here or through the user's command.
#include "lib/Pipeline/Tune.h"
#include "lib/Pipeline/TuneCache.h"
#include "lib/Support/Diagnostics.h"
#include "lib/Target/Files.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/TargetParser/Host.h"
#include <chrono>

using namespace mlir;
using namespace burin;

namespace {
// A choice must win by more than runs differ.
constexpr double leastGain = 0.97;
constexpr unsigned longestRun = 60; // seconds

using Times = llvm::StringMap<double>; // microseconds of all layers of one kernel shape

struct Kernel {
  std::string key;
  SmallVector<KernelChoice> candidates;
  double base = 0, best = 0; // microseconds
  KernelChoice choice;
};

class Tuner {
public:
  Tuner(CompileOptions options, ScratchFolder &scratch, TuneCache &cache)
      : options(std::move(options)), scratch(scratch), cache(cache) {}

  llvm::Error lower(const ModelSource &source);
  /// Kernels that the cache does not know, with their candidates.
  llvm::Expected<std::vector<Kernel>> unknown();
  llvm::Error measure(std::vector<Kernel> &kernels, std::string &notes);

private:
  bool isOver() const { return std::chrono::steady_clock::now() >= deadline; }
  /// Compiles with these choices over those of the cache, runs, and adds up the layers of each kernel.
  llvm::Expected<Times> time(ArrayRef<Kernel> kernels, llvm::function_ref<KernelChoice(const Kernel &)> choose);
  llvm::Expected<std::string> run(StringRef program);

  CompileOptions options;
  ScratchFolder &scratch;
  TuneCache &cache;
  std::vector<std::string> layerKeys; // of the last program
  std::chrono::steady_clock::time_point deadline;
};
} // namespace

// Graph and lower stage are the same for every candidate.
llvm::Error Tuner::lower(const ModelSource &source) {
  deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(int64_t(options.tuneSeconds * 1000));
  std::string messages;
  {
    llvm::raw_string_ostream stream(messages);
    CompileOptions once = options;
    once.reportFolder.clear();
    once.explain.clear();
    once.explainLayer = -1;
    Compilation compilation(once);
    burin::ScopedDiagnosticHandler handler(&compilation.getContext(), stream);
    if (succeeded(compilation.import(source)) && succeeded(compilation.runTo(Stage::Lower)))
      return writeFile(scratch.file("lowered.mlirbc"), [&](llvm::raw_ostream &out) {
        return succeeded(writeBytecodeToFile(compilation.getModule(), out))
                   ? llvm::Error::success()
                   : llvm::createStringError("--tune: cannot write the lowered model");
      });
  }
  // The compilation proper will say what is wrong.
  return llvm::createStringError(messages);
}

static CompileOptions ofCandidate(const CompileOptions &options, std::string output) {
  CompileOptions own;
  own.output = std::move(output);
  own.emit = EmitKind::Exe;
  own.targets = options.targets;
  own.customOps = options.customOps;
  own.optLevel = options.optLevel;
  own.isTuned = true;
  own.winograd = options.winograd;
  own.winogradError = options.winogradError;
  own.arenaLimit = options.arenaLimit;
  own.runtimeFolder = options.runtimeFolder;
  own.fastMath = options.fastMath;
  own.name = "candidate";
  // What runs elsewhere brings its C library along.
  own.isStatic = !options.tuneOn.empty();
  return own;
}

llvm::Expected<std::vector<Kernel>> Tuner::unknown() {
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  CompileOptions own = ofCandidate(options, scratch.file("candidate"));
  own.choices = cache.choices();
  Compilation compilation(own);
  burin::ScopedDiagnosticHandler handler(&compilation.getContext(), stream);
  if (failed(compilation.import({scratch.file("lowered.mlirbc"), {}, {}})) || failed(compilation.runTo(Stage::Target)))
    return llvm::createStringError(messages);
  const Machine *machine = findMachine(options.targets.empty() ? "host" : options.targets.front());
  std::vector<Kernel> kernels;
  llvm::StringSet<> seen;
  layerKeys.clear();
  if (auto layers = compilation.getModule()->getAttrOfType<ArrayAttr>(layersAttr))
    for (auto layer : layers.getAsRange<DictionaryAttr>()) {
      auto key = layer.getAs<StringAttr>("key");
      layerKeys.push_back(key ? key.str() : "");
      // A layer of several cannot tell whose time it is.
      auto shape = KernelShape::parse(layerKeys.back());
      if (!shape || !seen.insert(layerKeys.back()).second || cache.find(layerKeys.back()))
        continue;
      Kernel kernel{layerKeys.back(), kernelCandidates(*machine, *shape, options.winogradError)};
      if (!kernel.candidates.empty())
        kernels.push_back(std::move(kernel));
    }
  return kernels;
}

llvm::Expected<std::string> Tuner::run(StringRef program) {
  std::string out = scratch.file("out"), log = scratch.file("log"), words = "exec " + options.tuneOn + " \"$0\" \"$@\"";
  SmallVector<StringRef> arguments;
  if (options.tuneOn.empty())
    arguments = {program, "--profile=-", "--bench=0.1"};
  else
    arguments = {"/bin/sh", "-c", words, program, "--profile=-", "--bench=0.1"};
  std::optional<StringRef> redirects[] = {StringRef("/dev/null"), StringRef(out), StringRef(log)};
  std::string why;
  int status = llvm::sys::ExecuteAndWait(arguments.front(), arguments, std::nullopt, redirects, longestRun, 0, &why);
  auto text = llvm::MemoryBuffer::getFile(out), errors = llvm::MemoryBuffer::getFile(log);
  if (status == 0 && text)
    return (*text)->getBuffer().str();
  StringRef said = errors ? (*errors)->getBuffer().trim().split('\n').first : StringRef();
  return llvm::createStringError("the program to be measured ended with status " + std::to_string(status) +
                                 (why.empty() ? "" : ", " + why) + (said.empty() ? "" : ": " + said.str()));
}

llvm::Expected<Times> Tuner::time(ArrayRef<Kernel> kernels, llvm::function_ref<KernelChoice(const Kernel &)> choose) {
  std::string program = scratch.file("candidate");
  CompileOptions own = ofCandidate(options, program);
  own.choices = cache.choices();
  for (const Kernel &kernel : kernels)
    own.choices.push_back(kernel.key + ":" + choose(kernel).text());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  CompileReport report;
  if (!compile({scratch.file("lowered.mlirbc"), {}, {}}, own, {}, stream, report))
    return llvm::createStringError(StringRef(messages).trim().str());
  auto text = run(program);
  if (!text)
    return text.takeError();
  // The trace, then the line of --bench.
  size_t end = text->rfind("\n{\"median_ms\"");
  auto json = llvm::json::parse(StringRef(*text).substr(0, end));
  if (!json) {
    llvm::consumeError(json.takeError());
    return llvm::createStringError("expected the output of the program that is measured, got '" +
                                   StringRef(*text).split('\n').first.take_front(80).str() + "'");
  }
  Times times;
  const llvm::json::Object *root = json->getAsObject();
  const llvm::json::Array *events = root ? root->getArray("traceEvents") : nullptr;
  for (size_t i = 0; events && i < events->size(); ++i)
    if (const llvm::json::Object *event = (*events)[i].getAsObject())
      if (const llvm::json::Object *layer = event->getObject("args")) {
        auto number = layer->getInteger("layer");
        auto ms = layer->getNumber("median_ms");
        if (number && ms && *number >= 0 && *number < int64_t(layerKeys.size()))
          times[layerKeys[*number]] += *ms * 1000;
      }
  return times;
}

llvm::Error Tuner::measure(std::vector<Kernel> &kernels, std::string &notes) {
  auto chosen = [](const Kernel &kernel) { return kernel.choice; };
  auto base = time(kernels, chosen);
  if (!base)
    return base.takeError();
  size_t rounds = 0, done = 0;
  for (Kernel &kernel : kernels) {
    kernel.base = kernel.best = base->lookup(kernel.key);
    rounds = std::max(rounds, kernel.candidates.size());
  }
  for (; done < rounds && !isOver(); ++done) {
    auto times = time(kernels, [&](const Kernel &kernel) {
      return done < kernel.candidates.size() ? kernel.candidates[done] : KernelChoice();
    });
    if (!times)
      return times.takeError();
    for (Kernel &kernel : kernels) {
      double took = times->lookup(kernel.key);
      if (done >= kernel.candidates.size()) { // the model's own again
        kernel.base = std::min(kernel.base, took);
        continue;
      }
      if (took > 0 && took < kernel.best * leastGain) {
        kernel.best = took;
        kernel.choice = kernel.candidates[done];
      }
    }
  }
  // All winners together, against the cost model's choices measured once more: what does not hold is dropped.
  auto together = time(kernels, chosen), again = time(kernels, [](const Kernel &) { return KernelChoice(); });
  if (!together || !again)
    return llvm::joinErrors(together.takeError(), again.takeError());
  double before = 0, after = 0;
  unsigned changed = 0;
  for (Kernel &kernel : kernels) {
    kernel.base = std::min(kernel.base, again->lookup(kernel.key));
    double took = together->lookup(kernel.key);
    if (!kernel.choice.isDefault() && took >= kernel.base * leastGain)
      kernel.choice = KernelChoice();
    kernel.best = kernel.choice.isDefault() ? kernel.base : took;
    changed += !kernel.choice.isDefault();
    before += kernel.base;
    after += kernel.best;
    // What time did not suffice for is measured the next time, unless something better is known already.
    if (done >= kernel.candidates.size() || !kernel.choice.isDefault())
      cache.put(kernel.key, {kernel.choice, kernel.best, kernel.base});
  }
  notes += llvm::formatv("note: measured {0} kernels, {1} of {2} rounds: {3} changed, {4:f1} -> {5:f1} us\n",
                         kernels.size(), done, rounds, changed, before, after);
  return llvm::Error::success();
}

// Where measurements are kept unless the user says otherwise.
static std::string defaultCache() {
  SmallString<128> path;
  if (!llvm::sys::path::cache_directory(path))
    return "";
  llvm::sys::path::append(path, "burin", "tune.json");
  return std::string(path);
}

llvm::Error burin::tune(const ModelSource &source, CompileOptions &options, std::string &notes) {
  const Machine *machine = findMachine(options.targets.empty() ? "host" : options.targets.front());
  bool isGiven = !options.tuneCache.empty() || !options.tuneOn.empty();
  std::string why;
  if (options.targets.size() > 1)
    why = "several targets: measure one, and give its cache to the others";
  else if (options.unit.unit || bool(options.cuda) || !machine || machine->isBareMetal() || machine->isWebAssembly())
    why = "this target makes no programs";
  if (!why.empty()) {
    if (isGiven)
      return llvm::createStringError("--tune-cache and --tune-on: " + why);
    return llvm::Error::success();
  }
  const Machine *host = findMachine("host");
  bool isHere = options.tuneOn.empty() && host &&
                StringRef(machine->triple).split('-').first == StringRef(host->triple).split('-').first;
  std::string cpu = isHere ? llvm::sys::getHostCPUName().str() : "";
  std::string path = options.tuneCache.empty() ? defaultCache() : options.tuneCache;
  TuneCache cache(version().str(), machine->name.str(), cpu);
  if (!path.empty())
    if (llvm::Error error = cache.read(path))
      return error;
  options.isTuned = true;
  options.choices = cache.choices();
  if (options.tuneSeconds <= 0 || (!isHere && options.tuneOn.empty()))
    return llvm::Error::success();

  auto scratch = ScratchFolder::create();
  if (!scratch)
    return scratch.takeError();
  Tuner tuner(options, *scratch, cache);
  if (llvm::Error error = tuner.lower(source)) {
    llvm::consumeError(std::move(error));
    return llvm::Error::success();
  }
  auto kernels = tuner.unknown();
  if (!kernels) {
    llvm::consumeError(kernels.takeError());
    return llvm::Error::success();
  }
  if (kernels->empty())
    return llvm::Error::success();
  if (llvm::Error error = tuner.measure(*kernels, notes)) {
    if (!options.tuneOn.empty())
      return llvm::createStringError("--tune-on: " + llvm::toString(std::move(error)));
    notes += "note: kernels are not measured: " + llvm::toString(std::move(error)) + "\n";
    return llvm::Error::success();
  }
  options.choices = cache.choices();
  if (path.empty())
    return llvm::Error::success();
  (void)llvm::sys::fs::create_directories(llvm::sys::path::parent_path(path));
  return cache.write(path);
}
