// One more compilation, for this CPU, and one run of it.
#include "lib/Pipeline/SelfTest.h"
#include "burin/runtime.h"
#include "lib/Support/Diagnostics.h"
#include "lib/Target/Jit.h"
#include "lib/Target/WeightSection.h"
#include "runtime/hosted/explain.h"
#include "runtime/hosted/host.h"
#include "runtime/hosted/npz.h"
#include "runtime/hosted/random.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace burin;

using Memory = std::unique_ptr<void, decltype(&std::free)>;
static Memory allocate(uint64_t bytes) {
  return Memory(std::aligned_alloc(BURIN_ALIGNMENT, llvm::alignTo(std::max<uint64_t>(bytes, 1), BURIN_ALIGNMENT)),
                &std::free);
}

static burin_tensor tensorOf(const TensorDescription &info, std::vector<Memory> &storage) {
  burin_tensor tensor{};
  tensor.dtype = info.dtype;
  tensor.rank = info.dims.size();
  llvm::copy(info.dims, tensor.dims);
  storage.push_back(allocate(burin_bytes_of(tensor.dtype, tensor.rank, tensor.dims)));
  tensor.data = storage.back().get();
  return tensor;
}

static std::string bytesOf(const burin_tensor &tensor) {
  return std::string(static_cast<const char *>(tensor.data), burin_bytes_of(tensor.dtype, tensor.rank, tensor.dims));
}

// The array of that name, if the file has one and it is what the model takes or gives.
static FailureOr<const burin_array *> find(const burin_arrays &arrays, const TensorDescription &info, StringRef file,
                                           llvm::raw_ostream &messages) {
  const burin_array *array = burin_arrays_find(&arrays, info.name.c_str());
  if (!array)
    return array;
  const burin_tensor &t = array->tensor;
  if (t.dtype == info.dtype && ArrayRef<int64_t>(t.dims, t.rank) == ArrayRef<int64_t>(info.dims))
    return array;
  char wanted[300], given[300];
  burin_type_text(wanted, sizeof wanted, info.dtype, info.dims.size(), info.dims.data(), nullptr);
  burin_type_text(given, sizeof given, t.dtype, t.rank, t.dims, nullptr);
  messages << "error: " << file << ": '" << info.name << "': expected " << wanted << ", got " << given << "\n";
  return failure();
}

std::optional<ModelDescription::SelfTest> burin::makeSelfTest(const ModelSource &source, const CompileOptions &given,
                                                              llvm::raw_ostream &messages) {
  CompileOptions options = given;
  options.targets = {"host"};
  options.emit = EmitKind::Shared;
  options.arenaSection.clear();
  options.arenaLimit = options.maxFlash = 0;
  options.reportFolder.clear();
  options.explain.clear();

  burin_arrays arrays{};
  auto release = llvm::make_scope_exit([&] { burin_arrays_free(&arrays); });
  burin_error error;
  if (!options.selfTestData.empty() && burin_npz_read(options.selfTestData.c_str(), &arrays, &error)) {
    messages << "error: " << error.text << "\n";
    return std::nullopt;
  }

  Compilation compilation(options);
  ModelDescription model;
  FailureOr<std::vector<ObjectCode>> objects = failure();
  {
    std::string text;
    llvm::raw_string_ostream stream(text);
    burin::ScopedDiagnosticHandler handler(&compilation.getContext(), stream);
    if (succeeded(compilation.import(source)) && succeeded(compilation.runTo(Stage::Target)))
      objects = compilation.emitObjects(model);
    if (failed(objects)) {
      messages << text;
      return std::nullopt;
    }
  }
  auto refuse = [&](const Twine &why) -> std::optional<ModelDescription::SelfTest> {
    messages << "error: " << source.path << ": --self-test " << why << "\n";
    return std::nullopt;
  };
  if (!model.plan.empty() || (model.flags & BURIN_NEEDS_ALLOCATOR))
    return refuse("takes models of given sizes; bind the free dims with --shape or --dim");
  if (!compilation.callees().empty())
    return refuse("cannot call C functions of the model here: '" + compilation.callees().front() + "'");

  auto jit = Jit::create(std::move(*objects));
  auto entry = jit ? (*jit)->lookup(model.variants.front().entry) : jit.takeError();
  if (!entry)
    return refuse("cannot run the model here: " + llvm::toString(entry.takeError()));

  std::vector<Memory> storage;
  SmallVector<burin_tensor> inputs, outputs;
  ModelDescription::SelfTest test;
  for (auto [i, info] : llvm::enumerate(model.inputs)) {
    auto array = find(arrays, info, options.selfTestData, messages);
    if (failed(array))
      return std::nullopt;
    if (!*array && !options.selfTestData.empty())
      return refuse("finds no input '" + info.name + "' in " + options.selfTestData);
    inputs.push_back(*array ? (*array)->tensor : tensorOf(info, storage));
    if (!*array)
      burin_fill_random(&inputs.back(), i);
    test.inputs.push_back(bytesOf(inputs.back()));
  }
  for (const TensorDescription &info : model.outputs)
    outputs.push_back(tensorOf(info, storage));

  Memory arena = allocate(model.arenaBytes), weights = allocate(model.weightsBytes);
  MemoryStream out(static_cast<char *>(weights.get()));
  writeWeights(model, out);
  burin_context context{};
  context.abi_version = BURIN_ABI_VERSION;
  if (reinterpret_cast<burin_entry>(*entry)(inputs.data(), outputs.data(), arena.get(), weights.get(), &context))
    return refuse(
        options.selfTestData.empty()
            ? "could not run the model on numbers made up; give it inputs that fit with --self-test-data=FILE.npz"
            : "could not run the model on the inputs of " + options.selfTestData);
  for (auto [info, computed] : llvm::zip(model.outputs, outputs)) {
    auto array = find(arrays, info, options.selfTestData, messages);
    if (failed(array))
      return std::nullopt;
    test.outputs.push_back(bytesOf(*array ? (*array)->tensor : computed));
  }
  return test;
}
