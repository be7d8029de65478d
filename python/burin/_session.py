"""InferenceSession: ONNX Runtime's interface over models compiled in this process.

A model with free dims is compiled once for all sizes. Shapes that come back get a specialization of their own, which is
faster. Where the compiler cannot leave the dims free, a session owns specializations alone: one for each combination of shapes
that the feeds bring and, where compiling fails without it, of the values of small inputs (axes, pads, k, ...). The one used last
is asked first, without any Python in between; a feed it does not fit goes through _choose.
"""
import ctypes
import json
import mmap
import os
import threading
import warnings

import numpy as np

from . import _burin, _containers, _device, _model
from ._burin import Error

MAX_VALUE_ELEMENTS = 1024  # of an integer or boolean input whose value may be compiled in
MAX_FLOAT_ELEMENTS = 64  # the same for scalars and vectors of floats (scales, limits)
INTEGERS, FLOATS = {2, 3, 4, 5, 6, 7, 9, 12, 13}, {1, 10, 11, 16}  # ONNX's numbers of those types
INTERFACE = {"image-input", "input-type", "layout", "source-size", "append", "extract", "convert-io"}  # options after which inputs or outputs are not the model's
REPEATS, RECENT = 3, 8  # shapes that were this often among the last runs are worth code of their own


def _dtypes():
    names = {1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64",
             12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128"}
    table = {code: np.dtype(name) for code, name in names.items()}
    table[8] = np.dtype(object)  # strings: arrays of str or bytes
    try:
        import ml_dtypes
        names = {16: "bfloat16", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
                 23: "float4_e2m1fn", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2"}
        table.update((code, np.dtype(getattr(ml_dtypes, name))) for code, name in names.items() if hasattr(ml_dtypes, name))
    except ImportError:
        pass
    return table


DTYPES = _dtypes()
_burin.set_dtypes(DTYPES)


def _settings(options):
    """Keyword arguments as the command line has them: shape={"x": (1, 3)}, dim={"n": 4}, verify_each=True, O=3."""
    out = []
    for key, value in options.items():
        name = key.replace("_", "-")
        if name == "passes":
            items = [step for v in (value if isinstance(value, (list, tuple)) else [value]) for step in _steps(v)]
        elif isinstance(value, dict):
            items = ["%s=%s" % (k, v if np.isscalar(v) else ("," if key == "specialize" else "x").join(map(str, v))) for k, v in value.items()]
        elif isinstance(value, (list, tuple)):
            items = list(map(str, value))
        elif value is None or value is False:
            continue
        else:
            items = [None if value is True else os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
        out += [(name, i) for i in items]
    return out


def _steps(one):
    """A pass as the native module takes it: a text as on the command line, or (point, name, function over bytes). Python files run in this process."""
    from . import passes
    if callable(one):
        return [(getattr(one, "point", None) or "", getattr(one, "__name__", "pass"), passes.rewriter(one))]
    text = os.fspath(one)
    if not text.endswith(".py"):
        return [text]
    point, path = text.split(":", 1) if text.startswith(("after-", "before-")) and ":" in text else ("", text)
    return [step for p in passes.load(path) for step in _steps(passes.at(point or getattr(p, "point", None), p))]


def _source(model):
    """(name for messages, bytes or None for a file)."""
    if hasattr(model, "SerializeToString"):
        return "model.onnx", model.SerializeToString()
    if isinstance(model, (bytes, bytearray, memoryview)):
        return "model.onnx", bytes(model)
    return os.fspath(model), None


def compile(model, output="", **options):
    """Compiles a path, bytes or ModelProto to `output`. Options as burin-compile has them, with underscores. Returns the report as a dict."""
    name, data = _source(model)
    report, messages = _burin.compile(_settings(options), name, data, os.fspath(output))
    for line in messages.splitlines():
        warnings.warn(line, stacklevel=2)
    return json.loads(report)


def cost(model, target="host", *, accounting="macs", ghz=3.0, **options):
    """What a model takes, in milliseconds and without compiling it: a dict of totals ("params", "macs", "operations", "weight_bytes",
    "read_bytes", "written_bytes", "peak_activation_bytes", "intensity", energies in picojoules, "cycles" and "ms" estimated for the target at `ghz`) and
    "operators", a list of the same for each. accounting: "macs", or "edge" as papers on small networks count. Options bind shapes: shape={...}, dim={...}."""
    name, data = _source(model)
    report = json.loads(_burin.cost(_settings({**options, "target": target}), name, data, accounting)[0])
    for entry in [report] + report["operators"]:
        entry["ms"] = entry["cycles"] / ghz * 1e-6
    return report


class _Specialization:
    """What a specialization was made for, and the native session. lengths, results: of sequences and optionals."""

    def __init__(self, native, shapes, fixed, lengths=None, results=None):
        self.native, self.shapes, self.fixed, self.lengths, self.results = native, shapes, fixed, lengths, results

    def run(self, output_names, feed, out):
        """None where the feed is not what this was made for."""
        if self.results is None:
            return self.native.run(output_names, feed, out)
        values = self.native.run(None, feed, out) if feed.lengths == self.lengths else None
        return None if values is None else self.results.gather(output_names, values)


class InferenceSession:
    """A model ready to run. Several threads may call one session.

    model: path, bytes or onnx.ModelProto. threads: of the parallel loops of one call. max_specializations: how many combinations of
    shapes may have code of their own. dynamic: whether code for all sizes is tried. custom_ops: for "DOMAIN.OP" of a
    domain that Burin does not know, what computes it: a ctypes function (burin_function of burin/runtime.h) or
    "FUNCTION:LIBRARY.so". Other options as burin-compile has them, with
    underscores. With target="cuda", inputs and outputs may be arrays on the GPU (DLPack, __cuda_array_interface__), used where they lie;
    device is the GPU's number, stream the address of a CUstream that runs go to: results that stay on the GPU are there when it is. A model that can be compiled as it stands is compiled here, others at the first run that brings their shapes.
    """

    def __init__(self, model, threads=1, *, custom_ops=None, max_specializations=32, dynamic=True, device=0, stream=None, **options):
        self._name, self._data = _source(model)
        self._options = _settings(options)
        self._device, self._stream = int(device), int(stream or 0)
        self._is_on_device = any(k == "target" and v and v.startswith("cuda") for k, v in self._options)
        self._functions = []  # of operators that the caller computes
        for op, function in (custom_ops or {}).items():
            if isinstance(function, str):  # FUNCTION[:FILE]
                self._options.append(("custom-op", "%s=%s" % (op, function)))
                continue
            symbol = "custom_%s_%d" % ("".join(c if c.isalnum() else "_" for c in op), len(self._functions))
            self._options.append(("custom-op", "%s=%s" % (op, symbol)))
            self._functions.append((symbol, _address(function)))
        self._custom_ops = custom_ops  # keeps what the addresses belong to
        self._pool = _burin.Pool(int(threads))
        self._lock = threading.Lock()
        self._cache = []  # specializations, the last used first
        self._limit = max_specializations if dynamic else max(1, max_specializations)
        self._by_value, self._needed = frozenset(), frozenset()  # inputs compiled in; those proven to be necessary
        self._fast = None
        self._dynamic = None  # the specialization for all shapes
        self._recent = []  # shapes of the last runs of it
        self._has_containers = False
        self._read_signature()
        # Only a model whose shapes are all known can be compiled now; a failure may still be cured by values of the first feed.
        if self._args is None or all(_is_static(a) for a in self._args.values()):
            try:
                self._add(self._compile({}, {}), {}, {}, {})
            except Error:
                if self._args is None or not self._candidates():
                    raise
        if dynamic and not self._cache and not self._has_containers:
            try:
                self._dynamic = _Specialization(self._compile({}, {}), {}, {})
            except Error:
                pass  # with shapes at hand it may be possible
        if self._args is None or (self._cache and not self._has_containers and any(name in INTERFACE for name, _ in self._options)):
            native = self._cache[0].native
            arg = lambda a: _model.NodeArg(a[0], list(a[2]), "tensor(%s)" % _model.TYPES.get(a[1], "undefined"), a[1])
            self._inputs, self._outputs = [arg(a) for a in native.inputs()], [arg(a) for a in native.outputs()]
            self._args = {a.name: a for a in self._inputs}

    def get_inputs(self):
        return list(self._inputs)

    def get_outputs(self):
        return list(self._outputs)

    def run(self, output_names, feed, run_options=None, *, out=None):
        """Outputs by name (None: all, in the model's order) as a list of arrays. out: arrays that outputs are written to, by name."""
        if not self._is_on_device:
            return self._run(output_names, feed, out)
        feed, own, kept = self._borrow(feed, out)
        results = self._run(output_names, feed, own)
        if own is out:
            return results
        names = [a.name for a in self._outputs] if output_names is None else output_names
        return [out.get(name, value) for name, value in zip(names, results)]

    def _run(self, output_names, feed, out):
        if self._fast is not None and type(feed) is dict:
            result = self._fast(output_names, feed, out)
            if result is not None:
                return result
        return self._choose(output_names, feed, out)

    def _borrow(self, feed, out):
        """The same with arrays over the memory of those that lie on a GPU, and what keeps them."""
        kept, lists = [], []
        for arrays in (feed, out):
            found = {k: b for k, b in ((k, _device.borrow(v, self._stream)) for k, v in (arrays or {}).items()) if b is not None}
            kept += found.values()
            lists.append({**arrays, **{k: b[0] for k, b in found.items()}} if found else arrays)
        return (*lists, kept)

    def io_binding(self):
        return IOBinding(self)

    def run_with_iobinding(self, binding, run_options=None):
        made = {}
        for name, device in binding._devices.items():
            arg = next(a for a in self._outputs if a.name == name)
            if not _is_static(arg):
                raise Error("output '%s' has free dims: bind memory of its size" % name)
            made[name] = _device.DeviceArray(arg.shape, DTYPES[arg.dtype], device)
        results = self.run(binding._names, binding._feed, out={**binding._out, **made})
        binding._results = {**dict(zip(binding._names, results)), **made}

    # The slow road.

    def _read_signature(self):
        self._args = None
        self._constants = frozenset()
        if self._name.endswith(".mlir"):
            return
        try:
            if self._data is not None:
                found = _model.signature(self._data)
            else:
                with open(self._name, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
                    found = _model.signature(m)
        except (OSError, ValueError):
            return  # the compiler says what is wrong
        self._inputs, self._outputs, constants = found
        self._constants = frozenset(constants)
        self._args = {a.name: a for a in self._inputs}
        self._has_containers = any(map(_containers.is_container, (*self._inputs, *self._outputs)))

    def _candidates(self, feed=None):
        """Names whose values may be compiled in: small integers and booleans, then short floats too."""
        integers, floats = set(), set()
        for a in self._args.values():
            if a.dtype not in DTYPES:
                continue
            if a.dtype in INTEGERS and (feed is None or feed[a.name].size <= MAX_VALUE_ELEMENTS):
                integers.add(a.name)
            elif a.dtype in FLOATS and ((a.shape is None or len(a.shape) < 2) if feed is None else feed[a.name].ndim < 2 and feed[a.name].size <= MAX_FLOAT_ELEMENTS):
                floats.add(a.name)
        ways = [frozenset(integers)] if integers else []
        return ways + ([frozenset(integers | floats)] if floats else [])

    def _compile(self, shapes, fixed, declare=False, options=()):
        """declare: write the shapes into the model instead of binding them after its import."""
        name, data = self._name, self._data
        if data is None and (fixed or declare):
            with open(name, "rb") as f:
                data = f.read()
        if declare:
            data = _model.with_shapes(data, {k: (self._args[k].dtype, v) for k, v in shapes.items() if k in self._args and self._args[k].dtype})
        if fixed:
            data = _model.with_constants(data, {k: (self._args[k].dtype, v) for k, v in fixed.items()})
        return _burin.Session(self._options + list(options), [(k, list(v)) for k, v in shapes.items() if k not in fixed], name, data, fixed, self._pool, self._functions, self._device, self._stream)

    def _add(self, native, shapes, fixed, lengths):
        results = _containers.Results(native, self._outputs) if self._has_containers else None
        s = _Specialization(native, shapes, fixed, lengths, results)
        self._cache.insert(0, s)
        del self._cache[self._limit:]
        self._fast = None if results else native.run
        return s

    def _convert(self, feed):
        """The feed as arrays that a specialization can take, or an Error that names what is wrong."""
        out = _containers.Feed()
        for name in feed:
            if name not in self._args:
                raise Error("'%s' is %s" % (name, "a constant of the model, which a feed cannot replace" if name in self._constants else "not an input of the model; it has "
                                             + (", ".join("'%s'" % a for a in self._args) or "none")))
        for name, a in self._args.items():
            if name not in feed:
                raise Error("input '%s' is missing" % name)
            value = feed[name]
            is_container = _containers.is_container(a)
            dtype = DTYPES.get(_containers.element_dtype(a) if is_container else a.dtype)
            if dtype is None:
                raise Error("input '%s' is a %s, which compiled models cannot take" % (name, a.type))
            if is_container:
                try:
                    out.add(a, value, lambda n, v: _array(n, v, dtype))
                except TypeError as e:
                    raise Error("input '%s': %s" % (name, e)) from None
                continue
            value = _array(name, value, dtype)
            if a.shape is not None and (len(a.shape) != value.ndim or any(isinstance(d, int) and d != v for d, v in zip(a.shape, value.shape))):
                raise Error("input '%s': expected the shape %s, got %s" % (name, a.shape, list(value.shape)))
            out[name] = value
        return out

    def _choose(self, output_names, feed, out):
        feed = self._convert(feed)
        with self._lock:
            known = list(self._cache)
        for s in known:
            result = s.run(output_names, feed, out)
            if result is not None:
                with self._lock:
                    if s in self._cache:
                        self._cache.remove(s)
                        self._cache.insert(0, s)
                    self._fast = None if s.results else s.native.run
                return result
        with self._lock:
            s = self._dynamic
            if s is None or self._comes_back(feed):
                s = self._specialize(feed)
        try:
            result = s.run(output_names, feed, out)
        except Error as e:
            # Code for all sizes takes dims of which nothing is known as equal; shapes that broadcast need code of their own.
            if s is not self._dynamic or not str(e).startswith("the shapes of the inputs do not fit"):
                raise
            with self._lock:
                s = self._specialize(feed)
            if s is self._dynamic:
                raise
            result = s.run(output_names, feed, out)
        if result is None:
            raise Error("internal error: a specialization does not fit the feed that it was made for")
        return result

    def _comes_back(self, feed):
        """Whether these shapes have been seen often of late. A sequence that grows by one token a run never is."""
        shapes = tuple(v.shape for v in feed.values())
        self._recent = [shapes] + self._recent[:RECENT - 1]
        return self._recent.count(shapes) >= REPEATS and self._limit > 0

    def _specialize(self, feed):
        shapes = {k: v.shape for k, v in feed.items() if k not in self._args or not _is_static(self._args[k])}
        ways = []
        # Where only values changed that were compiled in along with others, perhaps they need not be.
        for s in self._cache:
            changed = frozenset(k for k, v in s.fixed.items() if not np.array_equal(v, feed[k]))
            if s.shapes == shapes and s.lengths == feed.lengths and changed and not changed & self._needed:
                ways.append((self._by_value - changed, changed))
                break
        ways.append((self._by_value, frozenset()))
        ways += [(w, frozenset()) for w in self._candidates(feed) if w > self._by_value]
        error = None
        for names, dropped in ways:
            fixed = {k: feed[k].copy() for k in sorted(names)}
            # Import knows more of a model that declares its shapes: converting old operators and inferring results of rank
            # unknown. It costs a copy of the model, so binding comes first.
            for declare in (False, True) if shapes else (False,):
                try:
                    native = self._compile(shapes, fixed, declare, feed.options())
                except Error as e:
                    error = e
                    continue
                self._by_value = names
                return self._add(native, shapes, fixed, feed.lengths)
            self._needed |= dropped
            if self._dynamic is not None:
                self._limit = 0
                return self._dynamic  # it has done so far
        raise error


class OrtValue:
    """A tensor bound to a session, as ONNX Runtime hands it out."""

    def __init__(self, array):
        self._array = array

    @staticmethod
    def ortvalue_from_numpy(array, device_type="cpu", device_id=0):
        return OrtValue(_device.DeviceArray.from_numpy(array, device_id) if device_type == "cuda" else np.ascontiguousarray(array))

    @staticmethod
    def ortvalue_from_shape_and_type(shape, element_type, device_type="cpu", device_id=0):
        return OrtValue(_device.DeviceArray(shape, element_type, device_id) if device_type == "cuda" else np.empty(shape, element_type))

    def numpy(self):
        return self._array if isinstance(self._array, np.ndarray) else self._array.numpy()

    def shape(self):
        return list(self._array.shape)

    def data_ptr(self):
        return self._array.ctypes.data if isinstance(self._array, np.ndarray) else self._array.data_ptr()

    def device_name(self):
        return "cpu" if isinstance(self._array, np.ndarray) else "cuda"

    def is_tensor(self):
        return True


class IOBinding:
    """Inputs and outputs bound once and used in place by run_with_iobinding. Names and arguments are ONNX Runtime's."""

    def __init__(self, session):
        self._session, self._feed, self._out, self._names, self._results, self._devices = session, {}, {}, [], {}, {}

    def bind_cpu_input(self, name, array):
        self._feed[name] = array

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        self._feed[name] = _device.over(buffer_ptr, shape, element_type)

    def bind_ortvalue_input(self, name, value):
        self._feed[name] = value._array

    def bind_output(self, name, device_type="cpu", device_id=0, element_type=None, shape=None, buffer_ptr=None):
        """Without a buffer one is made at each run. An array in place of the device is written to."""
        if name not in self._names:
            self._names.append(name)
        self._out.pop(name, None)
        self._devices.pop(name, None)
        if not isinstance(device_type, str):
            self._out[name] = device_type
        elif buffer_ptr:
            self._out[name] = _device.over(buffer_ptr, shape, element_type)
        elif device_type == "cuda":
            self._devices[name] = device_id

    def bind_ortvalue_output(self, name, value):
        self.bind_output(name, value._array)

    def get_outputs(self):
        return [OrtValue(self._results[n]) for n in self._names]

    def copy_outputs_to_cpu(self):
        return [OrtValue(self._results[n]).numpy() for n in self._names]

    def synchronize_inputs(self):
        pass  # everything lies in the host's memory and is ready

    synchronize_outputs = synchronize_inputs

    def clear_binding_inputs(self):
        self._feed = {}

    def clear_binding_outputs(self):
        self._out, self._names, self._results, self._devices = {}, [], {}, {}


def _address(function):
    """Of a ctypes function, or a number."""
    return function if isinstance(function, int) else ctypes.cast(function, ctypes.c_void_p).value


def _array(name, value, dtype):
    if not isinstance(value, np.ndarray):
        value = np.asarray(value, dtype)
    if dtype == object and value.dtype.kind in "US":
        value = value.astype(object)
    if value.dtype != dtype:
        raise Error("input '%s': expected %s, got %s" % (name, dtype, value.dtype))
    return np.require(value, dtype.newbyteorder("="), ["C", "A"]) if value.ndim else value


def _is_static(arg):
    return arg.shape is not None and all(isinstance(d, int) for d in arg.shape)
