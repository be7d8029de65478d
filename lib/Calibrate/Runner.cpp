// Compiling a graph with more outputs, and running it.
#include "lib/Calibrate/Runner.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace burin;

struct Runner::Session {
  burin_session *handle;
  std::vector<burin_tensor> outputs;

  explicit Session(burin_session *handle) : handle(handle) {}
  Session(const Session &) = delete;
  ~Session() {
    release();
    burin_session_destroy(handle);
  }
  void release() {
    for (burin_tensor &tensor : outputs)
      std::free(tensor.data);
    outputs.clear();
  }
};

int64_t burin::countOf(const burin_tensor &tensor) {
  int64_t count = 1;
  for (int32_t i = 0; i < tensor.rank; ++i)
    count *= tensor.dims[i];
  return count;
}

ArrayRef<float> burin::floatsOf(const burin_tensor &tensor) {
  return ArrayRef<float>(static_cast<const float *>(tensor.data), tensor.dtype == BURIN_FLOAT ? countOf(tensor) : 0);
}

Runner::Runner(ModuleOp module, ArrayRef<Value> values) {
  IRMapping mapping;
  OwningOpRef<ModuleOp> copy(cast<ModuleOp>(module->clone(mapping)));
  auto main = *copy->getOps<func::FuncOp>().begin();
  Builder b(module.getContext());
  auto nameOf = [&](DictionaryAttr attrs) {
    auto name = attrs ? attrs.getAs<StringAttr>("onnx.name") : StringAttr();
    return name ? name.getValue().str() : std::string();
  };
  for (unsigned i = 0; i < main.getNumArguments(); ++i)
    inputNames.push_back(nameOf(main.getArgAttrDict(i)));
  Operation *terminator = main.front().getTerminator();
  SmallVector<Value> results(terminator->getOperands());
  SmallVector<DictionaryAttr> attributes;
  for (unsigned i = 0; i < results.size(); ++i)
    attributes.push_back(main.getResultAttrDict(i));
  for (auto [i, value] : llvm::enumerate(values)) {
    results.push_back(mapping.lookup(value));
    attributes.push_back(
        b.getDictionaryAttr(b.getNamedAttr("onnx.name", b.getStringAttr("burin.observed." + Twine(i)))));
  }
  terminator->setOperands(results);
  main.setType(FunctionType::get(module.getContext(), main.getArgumentTypes(), terminator->getOperandTypes()));
  main.setAllResultAttrs(attributes);
  llvm::raw_string_ostream out(bytecode);
  (void)writeBytecodeToFile(*copy, out);
}

Runner::~Runner() = default;

llvm::Expected<Runner::Session *> Runner::find(Sample inputs) {
  std::string key;
  for (const burin_tensor &tensor : inputs) {
    for (int32_t i = 0; i < tensor.rank; ++i)
      key += std::to_string(tensor.dims[i]) + "x";
    key += ";";
  }
  std::unique_ptr<Session> &session = sessions[key];
  if (session)
    return session.get();
  std::unique_ptr<burin_options, void (*)(burin_options *)> options(burin_options_create(), burin_options_destroy);
  for (auto [name, tensor] : llvm::zip(inputNames, inputs))
    burin_options_hint_shape(options.get(), name.c_str(), tensor.dims, tensor.rank);
  session = std::make_unique<Session>(
      burin_session_compile_buffer(options.get(), bytecode.data(), bytecode.size(), "calibration"));
  if (!burin_session_model(session->handle)) {
    StringRef why(burin_session_error(session->handle));
    why.consume_front("error: ");
    return llvm::createStringError("the model cannot be run to measure it: " + why);
  }
  return session.get();
}

llvm::Expected<ArrayRef<burin_tensor>> Runner::run(Sample inputs) {
  auto found = find(inputs);
  if (!found)
    return found.takeError();
  Session &session = **found;
  const burin_model *model = burin_session_model(session.handle);
  session.release();
  std::vector<int64_t> dims(size_t(model->num_outputs) * BURIN_MAX_RANK + 1, -1);
  burin_context context{};
  context.abi_version = BURIN_ABI_VERSION;
  uint64_t arena;
  if (model->plan)
    (void)burin_plan(model, &context, inputs.data(), dims.data(), &arena);
  for (uint32_t i = 0; i < model->num_outputs; ++i) {
    const burin_tensor_info &info = model->outputs[i];
    burin_tensor tensor{};
    tensor.dtype = info.dtype;
    tensor.rank = info.rank;
    bool isKnown = true;
    uint64_t bytes = burin_dtype_size(info.dtype);
    for (int32_t d = 0; d < info.rank; ++d) {
      tensor.dims[d] = info.dims[d] >= 0 ? info.dims[d] : dims[i * BURIN_MAX_RANK + d];
      isKnown &= tensor.dims[d] >= 0;
      bytes *= tensor.dims[d];
    }
    if (isKnown) {
      tensor.capacity = llvm::alignTo(std::max<uint64_t>(bytes, 1), BURIN_ALIGNMENT);
      tensor.data = std::aligned_alloc(BURIN_ALIGNMENT, tensor.capacity);
    }
    session.outputs.push_back(tensor);
  }
  if (burin_session_run(session.handle, inputs.data(), session.outputs.data()) != BURIN_OK)
    return llvm::createStringError(StringRef(burin_session_error(session.handle)));
  return ArrayRef<burin_tensor>(session.outputs);
}
