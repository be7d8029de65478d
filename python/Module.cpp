// The native half of the burin package: sessions and compilations of the C API as Python objects. A call has to cost
// microseconds, so arrays are read and made through NumPy's own C interface, and every check that can go wrong only
// says "not for this specialization" (None); the Python half then converts, compiles or explains.
// Must not: touch Python objects while the interpreter's lock is released.
#include "burin/Compiler.h"
#include "runtime/hosted/explain.h"
#include "runtime/hosted/host.h"
#include "runtime/hosted/pool.h"
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#define BURIN_PYTHON_MODULE
#include "python/Text.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>

namespace nb = nanobind;

namespace {
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A value is text, None for a switch, or for "passes" a tuple: point, name and a function over the bytes of a model.
using Settings = std::vector<std::pair<std::string, nb::object>>;
using Functions = std::vector<std::pair<std::string, uintptr_t>>; // C functions by name
using Shapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;

// A function of the user over a model, called from wherever the compiler runs.
struct Rewriter {
  nb::object function;
  std::string why;
  static const char *call(void *user, const void *onnx, size_t bytes, void (*answer)(void *, const void *, size_t),
                          void *to) {
    auto &self = *static_cast<Rewriter *>(user);
    nb::gil_scoped_acquire lock;
    try {
      nb::object result = self.function(nb::bytes(onnx, bytes));
      if (!result.is_none()) {
        nb::bytes changed = nb::cast<nb::bytes>(result);
        answer(to, changed.data(), changed.size());
      }
    } catch (std::exception &error) {
      self.why = error.what();
      // Of a Python exception the last line says what; the traceback comes first.
      while (!self.why.empty() && self.why.back() == '\n')
        self.why.pop_back();
      self.why = self.why.substr(self.why.rfind('\n') + 1);
      return self.why.c_str();
    }
    return nullptr;
  }
  static void release(void *user) {
    nb::gil_scoped_acquire lock;
    delete static_cast<Rewriter *>(user);
  }
};

struct Options {
  burin_options *handle = burin_options_create();
  Options(const Settings &settings, const Shapes &hints, const Functions &functions = {}) {
    for (const auto &[name, address] : functions)
      burin_options_define(handle, name.c_str(), reinterpret_cast<burin_function>(address));
    for (const auto &[name, value] : settings)
      if (set(name, value)) {
        std::string why = burin_options_error(handle);
        burin_options_destroy(handle);
        throw Error(why);
      }
    for (const auto &[name, dims] : hints)
      burin_options_hint_shape(handle, name.c_str(), dims.data(), int32_t(dims.size()));
  }
  ~Options() { burin_options_destroy(handle); }

private:
  int set(const std::string &name, nb::handle value) {
    if (nb::isinstance<nb::tuple>(value)) {
      auto step = nb::cast<nb::tuple>(value);
      std::string point = nb::cast<std::string>(step[0]), title = nb::cast<std::string>(step[1]);
      return burin_options_add_rewriter(handle, point.empty() ? nullptr : point.c_str(), title.c_str(), &Rewriter::call,
                                        new Rewriter{nb::borrow(step[2]), ""}, &Rewriter::release);
    }
    if (value.is_none())
      return burin_options_set(handle, name.c_str(), nullptr);
    return burin_options_set(handle, name.c_str(), nb::cast<std::string>(value).c_str());
  }
};

// A model as the package hands it over: bytes, or else the file `name`.
struct Source {
  std::string name;
  const char *data = nullptr;
  size_t bytes = 0;
  Source(std::string name, const std::optional<nb::bytes> &given) : name(std::move(name)) {
    if (given)
      data = given->c_str(), bytes = given->size();
  }
};

// burin_dtype -> NumPy's descriptor, set once by the package, which knows ml_dtypes. Never released: arrays may outlive
// the module.
constexpr int maxDtype = 64;
PyArray_Descr *descriptors[maxDtype];

void setDtypes(nb::dict table) {
  for (auto [code, dtype] : table) {
    int index = nb::cast<int>(code);
    if (index < 0 || index >= maxDtype || !PyArray_DescrCheck(dtype.ptr()))
      throw Error("expected a number below 64 and a numpy.dtype");
    Py_INCREF(dtype.ptr());
    descriptors[index] = reinterpret_cast<PyArray_Descr *>(dtype.ptr());
  }
}

PyArray_Descr *descriptorOf(int32_t dtype) { return dtype >= 0 && dtype < maxDtype ? descriptors[dtype] : nullptr; }

// The threads behind the parallel loops of one session and all its specializations.
class Pool {
public:
  explicit Pool(int threads) : pool(threads > 1 ? burin_pool_create(threads) : nullptr) {
    if (threads > 1 && !pool)
      throw Error("cannot start " + std::to_string(threads - 1) + " threads");
  }
  Pool(const Pool &) = delete;
  ~Pool() {
    if (pool)
      burin_pool_destroy(pool);
  }
  const burin_parallel *parallel() const { return pool ? burin_pool_parallel(pool) : nullptr; }

private:
  burin_pool *pool;
};

// An arena and what belongs to one running call.
struct Context {
  burin_context context{};
  int device;
  void *stream;
  Context(const burin_parallel *parallel, int device, void *stream) : device(device), stream(stream) {
    context.abi_version = BURIN_ABI_VERSION;
    context.allocator = &burin_host_allocator;
    context.parallel = parallel;
  }
  // Makes the arena as large as a run needs; it never shrinks. False when there is no memory.
  bool hold(uint64_t wanted) {
    if (context.arena && context.arena_bytes >= wanted)
      return true;
    release();
    context.arena = burin_arena_allocate(wanted);
    context.arena_bytes = context.arena ? wanted : 0;
    if (context.arena && (device || stream))
      burin_device_choose(context.arena, device, stream);
    return context.arena;
  }
  // What a device holds for the arena goes with it.
  void release() {
    if (context.arena)
      burin_device_release(context.arena);
    burin_arena_release(context.arena);
  }
  ~Context() { release(); }
};

// Does this array lie in memory as the model takes it?
bool fits(PyObject *object, const burin_tensor_info &info, burin_tensor &tensor) {
  PyArray_Descr *descriptor = descriptorOf(info.dtype);
  if (!descriptor || !PyArray_Check(object))
    return false;
  auto *array = reinterpret_cast<PyArrayObject *>(object);
  if (PyArray_NDIM(array) != info.rank || PyArray_DESCR(array)->type_num != descriptor->type_num ||
      !PyArray_IS_C_CONTIGUOUS(array) || !PyArray_ISALIGNED(array) || !PyArray_ISNOTSWAPPED(array))
    return false;
  tensor.data = PyArray_DATA(array);
  tensor.dtype = info.dtype;
  tensor.rank = info.rank;
  for (int32_t d = 0; d < info.rank; ++d) {
    tensor.dims[d] = PyArray_DIM(array, d);
    tensor.strides[d] = 0;
    if (info.dims[d] >= 0 && info.dims[d] != tensor.dims[d])
      return false;
  }
  tensor.capacity = 0;
  return true;
}

// An input whose value was compiled in.
struct Fixed {
  nb::object name, value;
  bool equals(PyObject *object) const {
    if (object == value.ptr())
      return true;
    if (!PyArray_Check(object))
      return false;
    auto *a = reinterpret_cast<PyArrayObject *>(object), *b = reinterpret_cast<PyArrayObject *>(value.ptr());
    return PyArray_NDIM(a) == PyArray_NDIM(b) && PyArray_DESCR(a)->type_num == PyArray_DESCR(b)->type_num &&
           PyArray_IS_C_CONTIGUOUS(a) && PyArray_ISNOTSWAPPED(a) &&
           std::equal(PyArray_DIMS(a), PyArray_DIMS(a) + PyArray_NDIM(a), PyArray_DIMS(b)) &&
           std::memcmp(PyArray_DATA(a), PyArray_DATA(b), size_t(PyArray_NBYTES(b))) == 0;
  }
};

class Session {
public:
  // `fixed` arrays must be contiguous and never written again; the caller made them.
  Session(const Settings &settings, const Shapes &hints, std::string name, std::optional<nb::bytes> data,
          nb::dict fixedValues, std::shared_ptr<Pool> pool, const Functions &functions, int device, uintptr_t stream)
      : pool(std::move(pool)), device(device), stream(reinterpret_cast<void *>(stream)) {
    Options options(settings, hints, functions);
    Source source(std::move(name), data);
    {
      nb::gil_scoped_release release;
      session = source.data
                    ? burin_session_compile_buffer(options.handle, source.data, source.bytes, source.name.c_str())
                    : burin_session_compile(options.handle, source.name.c_str());
    }
    model = burin_session_model(session);
    if (!model) {
      std::string why = burin_session_error(session);
      burin_session_destroy(session);
      throw Error(why);
    }
    for (auto [key, value] : fixedValues)
      fixed.push_back({nb::borrow(key), nb::borrow(value)});
    for (uint32_t i = 0; i < model->num_inputs; ++i)
      inputNames.push_back(intern(model->inputs[i].name));
    for (uint32_t i = 0; i < model->num_outputs; ++i)
      outputNames.push_back(intern(model->outputs[i].name));
  }
  Session(const Session &) = delete;
  ~Session() {
    idle.clear();
    burin_session_destroy(session);
  }

  // A list of arrays; None when the feed is not what this specialization was made for.
  nb::object run(nb::handle wanted, nb::dict feed, nb::handle into) {
    const size_t inputCount = inputNames.size(), outputCount = outputNames.size();
    if (size_t(PyDict_GET_SIZE(feed.ptr())) != inputCount + fixed.size())
      return nb::none();
    // Few models have more; the others pay for an allocation.
    burin_tensor small[12];
    std::vector<burin_tensor> large(inputCount + outputCount > 12 ? inputCount + outputCount : 0);
    burin_tensor *inputs = large.empty() ? small : large.data(), *outputs = inputs + inputCount;
    // Held, because another thread may change the feed while this one runs without the lock.
    std::vector<nb::object> arrays(outputCount), held(inputCount);
    burin::python::Text text;
    for (size_t i = 0; i < inputCount; ++i) {
      PyObject *value = PyDict_GetItem(feed.ptr(), inputNames[i].ptr());
      if (!value || !fits(value, model->inputs[i], inputs[i]))
        return nb::none();
      held[i] = nb::borrow(value);
      if (inputs[i].dtype == BURIN_STRING && !text.read(inputs[i]))
        throw Error(std::string("input '") + model->inputs[i].name + "': expected elements that are str or bytes");
    }
    for (const Fixed &f : fixed) {
      PyObject *value = PyDict_GetItem(feed.ptr(), f.name.ptr());
      if (!value || !f.equals(value))
        return nb::none();
    }
    // What this run needs: the same for every run of a static model.
    std::vector<int64_t> dims(model->plan ? outputCount * BURIN_MAX_RANK + 1 : 0);
    uint64_t arenaBytes = model->arena_bytes;
    if (model->plan) {
      burin_context where{};
      if (burin_status status = burin_plan(model, &where, inputs, dims.data(), &arenaBytes))
        throw Error(explain(status, where, inputs, nullptr));
    }
    for (size_t i = 0; i < outputCount; ++i)
      arrays[i] = output(model->outputs[i], dims.empty() ? model->outputs[i].dims : &dims[i * BURIN_MAX_RANK],
                         outputNames[i], into, outputs[i]);
    for (size_t i = 0; i < outputCount; ++i)
      if (outputs[i].dtype == BURIN_STRING && arrays[i].is_valid())
        text.prepare(outputs[i]);
    burin_status status;
    std::string why;
    {
      nb::gil_scoped_release release;
      std::unique_ptr<Context> context = acquire();
      context->context.strings = text.strings();
      status = context->hold(arenaBytes) ? burin_run(model, &context->context, inputs, outputs) : BURIN_ERROR_ARENA;
      if (status != BURIN_OK)
        why = explain(status, context->context, inputs, outputs);
      giveBack(std::move(context));
    }
    for (size_t i = 0; i < outputCount; ++i)
      if (!arrays[i].is_valid() && outputs[i].dtype != BURIN_STRING)
        arrays[i] = adopt(outputs[i]);
    if (status != BURIN_OK)
      throw Error(why);
    burin_tensor objects;
    for (size_t i = 0; i < outputCount; ++i)
      if (outputs[i].dtype == BURIN_STRING) {
        bool isMade = arrays[i].is_valid();
        if (!isMade)
          arrays[i] = output(model->outputs[i], outputs[i].dims, outputNames[i], nb::none(), objects);
        burin::python::Text::write(outputs[i], arrays[i].ptr());
        if (!isMade)
          burin_host_allocator.release(burin_host_allocator.user, outputs[i].data);
      }
    nb::list result;
    if (wanted.is_none()) {
      for (nb::object &array : arrays)
        result.append(std::move(array));
      return std::move(result);
    }
    for (nb::handle name : wanted) {
      size_t i = 0;
      while (i < outputCount && !outputNames[i].equal(name))
        ++i;
      if (i == outputCount)
        throw Error("the model has no output '" + nb::cast<std::string>(nb::str(name)) + "'");
      result.append(arrays[i]);
    }
    return std::move(result);
  }

  nb::list describe(bool isInput) const {
    nb::list result;
    for (uint32_t i = 0, n = isInput ? model->num_inputs : model->num_outputs; i < n; ++i) {
      const burin_tensor_info &info = isInput ? model->inputs[i] : model->outputs[i];
      nb::list dims;
      for (int32_t d = 0; d < info.rank; ++d)
        dims.append(info.dims[d] >= 0                     ? nb::object(nb::int_(info.dims[d]))
                    : info.dim_names && info.dim_names[d] ? nb::object(nb::str(info.dim_names[d]))
                                                          : nb::object(nb::none()));
      result.append(nb::make_tuple(info.name, info.dtype, nb::tuple(dims)));
    }
    return result;
  }
  const char *manifest() const { return model->manifest; }
  uint64_t arenaBytes() const { return model->arena_bytes; }
  bool isDynamic() const { return model->plan; }
  uint64_t weightsBytes() const { return model->weights_bytes; }

private:
  static nb::object intern(const char *text) { return nb::steal(PyUnicode_InternFromString(text)); }

  // `dims`: what the run will give; not all known: no array yet, the run allocates.
  nb::object output(const burin_tensor_info &info, const int64_t *dims, nb::handle name, nb::handle into,
                    burin_tensor &tensor) {
    PyArray_Descr *descriptor = descriptorOf(info.dtype);
    if (!descriptor)
      throw Error(std::string("output '") + info.name + "' has element type " + std::to_string(info.dtype) +
                  ", for which NumPy has no dtype; installing ml_dtypes gives some");
    if (PyObject *given = into.is_none() ? nullptr : PyDict_GetItem(into.ptr(), name.ptr())) {
      bool isGood = fits(given, info, tensor) && PyArray_ISWRITEABLE(reinterpret_cast<PyArrayObject *>(given));
      for (int32_t d = 0; d < info.rank && isGood; ++d)
        isGood = dims[d] == tensor.dims[d];
      if (!isGood)
        throw Error(std::string("output '") + info.name +
                    "': expected a writable, contiguous array of its type and shape, got another");
      return nb::borrow(given);
    }
    npy_intp sizes[BURIN_MAX_RANK];
    bool isKnown = true;
    for (int32_t d = 0; d < info.rank; ++d) {
      isKnown &= dims[d] >= 0;
      sizes[d] = dims[d];
    }
    if (!isKnown) {
      tensor = {};
      tensor.dtype = info.dtype;
      tensor.rank = info.rank;
      return nb::object();
    }
    Py_INCREF(descriptor);
    PyObject *array = PyArray_NewFromDescr(&PyArray_Type, descriptor, info.rank, sizes, nullptr, nullptr, 0, nullptr);
    if (!array)
      throw nb::python_error();
    nb::object owned = nb::steal(array);
    fits(array, info, tensor);
    return owned;
  }

  // An array over what a run allocated, which it releases.
  static nb::object adopt(const burin_tensor &tensor) {
    npy_intp sizes[BURIN_MAX_RANK];
    for (int32_t d = 0; d < tensor.rank; ++d)
      sizes[d] = tensor.data ? tensor.dims[d] : std::max<int64_t>(tensor.dims[d], 0);
    PyArray_Descr *descriptor = descriptorOf(tensor.dtype);
    Py_INCREF(descriptor);
    PyObject *array = PyArray_NewFromDescr(&PyArray_Type, descriptor, tensor.rank, sizes, nullptr, tensor.data,
                                           tensor.data ? NPY_ARRAY_CARRAY : 0, nullptr);
    if (!array) {
      std::free(tensor.data);
      throw nb::python_error();
    }
    if (tensor.data) {
      nb::capsule owner(tensor.data, [](void *data) noexcept { std::free(data); });
      PyArray_SetBaseObject(reinterpret_cast<PyArrayObject *>(array), owner.release().ptr());
    }
    return nb::steal(array);
  }

  std::string explain(burin_status status, const burin_context &context, const burin_tensor *inputs,
                      const burin_tensor *outputs) const {
    if (status == BURIN_ERROR_CALL && *burin_device_error())
      return burin_device_error();
    char text[512];
    return burin_explain(text, sizeof text, model, &context, inputs, outputs, status);
  }

  std::unique_ptr<Context> acquire() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (!idle.empty()) {
        std::unique_ptr<Context> context = std::move(idle.back());
        idle.pop_back();
        return context;
      }
    }
    return std::make_unique<Context>(pool->parallel(), device, stream);
  }
  void giveBack(std::unique_ptr<Context> context) {
    std::lock_guard<std::mutex> lock(mutex);
    idle.push_back(std::move(context));
  }

  burin_session *session = nullptr;
  const burin_model *model = nullptr;
  std::shared_ptr<Pool> pool;
  int device; // of --target=cuda
  void *stream;
  std::vector<Fixed> fixed;
  std::vector<nb::object> inputNames, outputNames;
  std::mutex mutex;
  std::vector<std::unique_ptr<Context>> idle;
};

// (report, messages); an Error with all messages when there is no output.
nb::tuple costOf(const Settings &settings, std::string name, std::optional<nb::bytes> data, std::string accounting) {
  Options options(settings, {});
  Source source(std::move(name), data);
  burin_compilation *result;
  {
    nb::gil_scoped_release release;
    result = burin_cost(options.handle, source.data, source.bytes, source.name.c_str(), accounting.c_str());
  }
  std::string messages = burin_compilation_messages(result), report = burin_compilation_report(result);
  bool ok = burin_compilation_ok(result);
  burin_compilation_destroy(result);
  if (!ok)
    throw Error(messages.substr(0, messages.find('\n')));
  return nb::make_tuple(report, messages);
}

nb::tuple compileTo(const Settings &settings, std::string name, std::optional<nb::bytes> data, std::string output) {
  Options options(settings, {});
  Source source(std::move(name), data);
  burin_compilation *compilation;
  {
    nb::gil_scoped_release release;
    const char *to = output.empty() ? nullptr : output.c_str();
    compilation = source.data ? burin_compile_buffer(options.handle, source.data, source.bytes, source.name.c_str(), to)
                              : burin_compile_file(options.handle, source.name.c_str(), to);
  }
  bool ok = burin_compilation_ok(compilation);
  std::string messages = burin_compilation_messages(compilation), report = burin_compilation_report(compilation);
  burin_compilation_destroy(compilation);
  if (!ok)
    throw Error(messages.empty() ? "error: internal error: a stage failed without a message" : messages);
  return nb::make_tuple(report, messages);
}

// (report, messages) of burin-quantize's command line; `evaluate` gets the path of a candidate and answers its score.
nb::tuple quantizeTo(const std::vector<std::string> &words, nb::object progress, nb::object evaluate) {
  struct Callbacks {
    nb::object progress, evaluate;
    std::string why;
  } callbacks{progress, evaluate, ""};
  burin_quantize_hooks hooks{};
  hooks.user = &callbacks;
  if (!progress.is_none())
    hooks.progress = [](void *user, const char *what, size_t done, size_t total) {
      nb::gil_scoped_acquire lock;
      try {
        static_cast<Callbacks *>(user)->progress(what, done, total);
      } catch (std::exception &error) {
        static_cast<Callbacks *>(user)->why = error.what();
      }
    };
  if (!evaluate.is_none())
    hooks.evaluate = [](void *user, const char *onnx) {
      nb::gil_scoped_acquire lock;
      try {
        return nb::cast<double>(static_cast<Callbacks *>(user)->evaluate(onnx));
      } catch (std::exception &error) {
        static_cast<Callbacks *>(user)->why = error.what();
        return std::numeric_limits<double>::quiet_NaN();
      }
    };
  std::vector<const char *> texts;
  for (const std::string &word : words)
    texts.push_back(word.c_str());
  burin_compilation *result;
  {
    nb::gil_scoped_release release;
    result = burin_quantize(texts.data(), texts.size(), &hooks);
  }
  bool ok = burin_compilation_ok(result);
  std::string messages = burin_compilation_messages(result), report = burin_compilation_report(result);
  burin_compilation_destroy(result);
  if (!callbacks.why.empty())
    throw Error(callbacks.why);
  if (!ok)
    throw Error(messages.empty() ? "error: internal error: quantizing failed without a message" : messages);
  return nb::make_tuple(report, messages);
}

bool importNumpy() {
  import_array1(false);
  return true;
}
} // namespace

NB_MODULE(_burin, m) {
  if (!importNumpy())
    throw nb::python_error();
  nb::exception<Error>(m, "Error", PyExc_RuntimeError);
  nb::class_<Pool>(m, "Pool").def(nb::init<int>());
  nb::class_<Session>(m, "Session")
      .def(nb::init<const Settings &, const Shapes &, std::string, std::optional<nb::bytes>, nb::dict,
                    std::shared_ptr<Pool>, const Functions &, int, uintptr_t>(),
           nb::arg("options"), nb::arg("shapes"), nb::arg("name"), nb::arg("data").none(), nb::arg("fixed"),
           nb::arg("pool"), nb::arg("functions") = Functions(), nb::arg("device") = 0, nb::arg("stream") = 0)
      .def("run", &Session::run, nb::arg("wanted").none(), nb::arg("feed"), nb::arg("out").none())
      .def("inputs", [](const Session &s) { return s.describe(true); })
      .def("outputs", [](const Session &s) { return s.describe(false); })
      .def_prop_ro("manifest", &Session::manifest)
      .def_prop_ro("arena_bytes", &Session::arenaBytes)
      .def_prop_ro("is_dynamic", &Session::isDynamic)
      .def_prop_ro("weights_bytes", &Session::weightsBytes);
  m.def("set_dtypes", &setDtypes);
  m.def("compile", &compileTo, nb::arg("options"), nb::arg("name"), nb::arg("data").none(), nb::arg("output"));
  m.def("cost", &costOf, nb::arg("options"), nb::arg("name"), nb::arg("data").none(), nb::arg("accounting"));
  m.def("quantize", &quantizeTo, nb::arg("words"), nb::arg("progress").none(), nb::arg("evaluate").none());
  m.def("version", &burin_compiler_version);
}
