// Strings between NumPy's arrays of Python objects and a model's tensors (burin_string). One object serves one run.
// Must not: be used while the interpreter's lock is released.
#ifndef BURIN_PYTHON_TEXT_H
#define BURIN_PYTHON_TEXT_H

#include "runtime/hosted/text.h"
#include <nanobind/nanobind.h>
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#ifndef BURIN_PYTHON_MODULE
#define NO_IMPORT_ARRAY
#endif
#include <deque>
#include <numpy/arrayobject.h>
#include <vector>

namespace burin::python {

class Text {
public:
  Text() = default;
  Text(const Text &) = delete;
  ~Text() { burin_strings_release(&pool); }

  burin_strings *strings() { return &pool; }

  // `tensor` of an array of str or bytes gets pointers to their text. False where an element is neither.
  bool read(burin_tensor &tensor) {
    std::vector<void *> &pointers = buffer(count(tensor));
    auto **objects = static_cast<PyObject **>(tensor.data);
    for (size_t i = 0; i + 1 < pointers.size(); ++i) {
      Py_ssize_t length = 0;
      const char *bytes = nullptr;
      if (PyUnicode_Check(objects[i]))
        bytes = PyUnicode_AsUTF8AndSize(objects[i], &length);
      else if (PyBytes_Check(objects[i]))
        bytes = PyBytes_AS_STRING(objects[i]), length = PyBytes_GET_SIZE(objects[i]);
      pointers[i] = bytes ? burin_string_create(&pool, bytes, uint64_t(length)) : nullptr;
      if (!pointers[i]) {
        PyErr_Clear();
        return false;
      }
    }
    tensor.data = pointers.data();
    return true;
  }

  // Room for pointers in place of the array's own objects, which the run does not know.
  void prepare(burin_tensor &tensor) { tensor.data = buffer(count(tensor)).data(); }

  // What a run put there, as str in `array`, an array of objects of that shape.
  static void write(const burin_tensor &tensor, PyObject *array) {
    auto **objects = static_cast<PyObject **>(PyArray_DATA(reinterpret_cast<PyArrayObject *>(array)));
    auto **strings = static_cast<burin_string **>(tensor.data);
    for (size_t i = 0, n = count(tensor); i < n; ++i) {
      PyObject *made = strings[i] ? PyUnicode_DecodeUTF8(strings[i]->bytes, Py_ssize_t(strings[i]->length), "replace")
                                  : PyUnicode_FromString("");
      if (!made)
        throw nanobind::python_error();
      PyObject *old = objects[i];
      objects[i] = made;
      Py_XDECREF(old);
    }
  }

private:
  static size_t count(const burin_tensor &tensor) {
    size_t n = 1;
    for (int32_t d = 0; d < tensor.rank; ++d)
      n *= size_t(tensor.dims[d]);
    return n;
  }
  // One more than asked for: data is never NULL.
  std::vector<void *> &buffer(size_t n) {
    buffers.emplace_back(n + 1, nullptr);
    return buffers.back();
  }

  burin_strings pool{};
  std::deque<std::vector<void *>> buffers;
};

} // namespace burin::python

#endif
