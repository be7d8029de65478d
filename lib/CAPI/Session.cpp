// burin_session_*: a model in this process, either compiled here and loaded by the JIT or a shared library that was
// made before.
#include "lib/CAPI/Options.h"
#include "lib/Pipeline/Tune.h"
#include "lib/Support/Diagnostics.h"
#include "lib/Target/Jit.h"
#include "lib/Target/SharedFile.h"
#include "lib/Target/WeightSection.h"
#include "runtime/cuda/cuda.h"
#include "runtime/hosted/explain.h"
#include "runtime/hosted/functions.h"
#include "runtime/hosted/host.h"
#include <dlfcn.h>

using namespace burin;

struct burin_session {
  std::string error;
  const burin_model *model = nullptr;
  void *library = nullptr;
  std::vector<void *> others; // shared libraries that hold C functions it calls
  std::unique_ptr<Jit> jit;
  void *weights = nullptr;
  burin_context context{};

  ~burin_session() {
    jit.reset();
    if (library)
      dlclose(library);
    for (void *other : others)
      dlclose(other);
    std::free(weights);
    burin_arena_release(context.arena);
  }
};

static void *allocate(uint64_t bytes) {
  return std::aligned_alloc(BURIN_ALIGNMENT, llvm::alignTo(std::max<uint64_t>(bytes, 1), BURIN_ALIGNMENT));
}

static bool growArena(burin_session *session, uint64_t bytes) {
  if (session->context.arena && session->context.arena_bytes >= bytes)
    return true;
  burin_arena_release(session->context.arena);
  session->context.arena = allocate(bytes);
  session->context.arena_bytes = session->context.arena ? bytes : 0;
  if (!session->context.arena)
    session->error = "no memory for the arena of " + std::to_string(bytes) + " bytes";
  return session->context.arena;
}

// The last step of both roads.
static burin_session *accept(burin_session *session, const burin_model *model) {
  if (burin_status status = burin_check_model(model)) {
    session->error = burin_status_text(status);
    return session;
  }
  session->context.abi_version = BURIN_ABI_VERSION;
  session->context.allocator = &burin_host_allocator;
  if (!growArena(session, model->arena_bytes))
    return session;
  session->model = model;
  return session;
}

// Where a C function of the model is: given by the caller, in a library that --custom-op names, in the runtime, or
// anywhere in this process.
static const void *findFunction(burin_session &session, const burin_options &given, const std::string &name) {
  if (auto found = given.functions.find(name); found != given.functions.end())
    return found->second;
  for (const CompileOptions::CustomOp &op : given.options.customOps) {
    if (op.function != name || op.file.empty())
      continue;
    void *library = dlopen(op.file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library)
      return session.error = dlerror(), nullptr;
    session.others.push_back(library);
    if (const void *symbol = dlsym(library, name.c_str()))
      return symbol;
    session.error = "'" + op.file + "' has no function '" + name + "'";
    return nullptr;
  }
  if (burin_function own = burin_find_function(name.c_str()))
    return reinterpret_cast<const void *>(own);
  if (const void *symbol = dlsym(RTLD_DEFAULT, name.c_str()))
    return symbol;
  session.error = "no function '" + name + "' is given: --custom-op takes the shared library that holds it";
  return nullptr;
}

static burin_session *compileSession(const burin_options *given, const ModelSource &source) {
  auto *session = new burin_session;
  CompileOptions options = given->options;
  options.emit = EmitKind::Shared;
  options.output.clear();
  options = completeOptions(options, source.path);
  std::string notes; // of what was measured; a session has nowhere to show them
  if (options.optLevel >= 3)
    if (llvm::Error error = tune(source, options, notes)) {
      session->error = "error: " + llvm::toString(std::move(error));
      return session;
    }
  Compilation compilation(options, given->makeProgress());
  ModelDescription description;
  mlir::FailureOr<std::vector<ObjectCode>> objects = mlir::failure();
  {
    llvm::raw_string_ostream messages(session->error);
    burin::ScopedDiagnosticHandler handler(&compilation.getContext(), messages);
    if (succeeded(compilation.import(source)) && succeeded(compilation.runTo(Stage::Target)))
      objects = compilation.emitObjects(description);
  }
  if (failed(objects)) {
    if (session->error.empty())
      session->error = "error: internal error: a stage failed without a message";
    session->error = llvm::StringRef(session->error).split('\n').first.str();
    return session;
  }
  session->error.clear();
  std::vector<std::pair<std::string, const void *>> symbols = {
      {"burin_select_variant", reinterpret_cast<const void *>(&burin_select_variant)}};
  for (const std::string &name : compilation.callees()) {
    symbols.push_back({name, findFunction(*session, *given, name)});
    if (!symbols.back().second)
      return session;
  }
  session->weights = allocate(description.weightsBytes);
  if (!session->weights) {
    session->error = "no memory for the weights of " + std::to_string(description.weightsBytes) + " bytes";
    return session;
  }
  MemoryStream stream(static_cast<char *>(session->weights));
  writeWeights(description, stream);
  symbols.push_back({description.weightsSymbol(), session->weights});
  auto jit = Jit::create(std::move(*objects), symbols);
  auto model = jit ? (*jit)->lookup(description.modelSymbol()) : jit.takeError();
  if (!model) {
    session->error = llvm::toString(model.takeError());
    return session;
  }
  session->jit = std::move(*jit);
  return accept(session, static_cast<const burin_model *>(*model));
}

burin_session *burin_session_compile(const burin_options *options, const char *model) {
  return compileSession(options, ModelSource{model, {}, nullptr});
}

burin_session *burin_session_compile_buffer(const burin_options *options, const void *model, size_t bytes,
                                            const char *name) {
  // MLIR's bytecode is read in place and wants its weights aligned.
  std::shared_ptr<void> owner(allocate(bytes), &std::free);
  std::memcpy(owner.get(), model, bytes);
  return compileSession(options, ModelSource{name, {static_cast<const char *>(owner.get()), bytes}, owner});
}

burin_session *burin_session_load(const char *path) {
  auto *session = new burin_session;
  if (llvm::Error damage = checkSharedFile(path)) {
    session->error = std::string(path) + ": " + llvm::toString(std::move(damage));
    return session;
  }
  session->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!session->library) {
    session->error = dlerror();
    return session;
  }
  auto *model = static_cast<const burin_model *>(dlsym(session->library, "burin_program_model"));
  if (!model) {
    session->error = std::string(path) + " holds no Burin model";
    return session;
  }
  return accept(session, model);
}

const char *burin_session_error(const burin_session *session) { return session->error.c_str(); }
const burin_model *burin_session_model(const burin_session *session) { return session->model; }

burin_status burin_session_run(burin_session *session, const burin_tensor *inputs, burin_tensor *outputs) {
  if (!session->model)
    return BURIN_ERROR_ABI;
  const burin_model *model = session->model;
  session->error.clear();
  burin_status status = BURIN_OK;
  if (model->plan) {
    std::vector<int64_t> dims(size_t(model->num_outputs) * BURIN_MAX_RANK + 1);
    uint64_t bytes = 0;
    status = burin_plan(model, &session->context, inputs, dims.data(), &bytes);
    if (status == BURIN_OK && !growArena(session, bytes))
      return BURIN_ERROR_ARENA;
  }
  if (status == BURIN_OK)
    status = burin_run(model, &session->context, inputs, outputs);
  if (status == BURIN_OK)
    return status;
  char text[512];
  session->error = burin_explain(text, sizeof text, model, &session->context, inputs, outputs, status);
  return status;
}

void burin_session_destroy(burin_session *session) { delete session; }

void burin_device_choose(const void *arena, int device, void *stream) { burin_cuda_choose(arena, device, stream); }
void burin_device_release(const void *arena) { burin_cuda_release(arena); }
const char *burin_device_error() { return burin_cuda_error(); }
