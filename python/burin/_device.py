"""Memory of a GPU: arrays that other packages keep there (DLPack, __cuda_array_interface__) as a session takes them, and arrays of its own.

A session takes such memory as an array over its address, which nobody here reads.
"""
import ctypes

import numpy as np

from ._burin import Error

CUDA, CUDA_MANAGED = 2, 13  # DLPack's numbers of devices
LEGACY_STREAM = 1
KINDS = {0: "i", 1: "u", 2: "f", 6: "b"}  # DLPack's numbers of types
NAME = b"dltensor"


class _DLTensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8),
                ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class _DLManagedTensor(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(_DLManagedTensor))
_DLManagedTensor._fields_ = [("tensor", _DLTensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]

_capsule_new = ctypes.pythonapi.PyCapsule_New
_capsule_new.restype, _capsule_new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]

_driver = None


def _call(name, *arguments):
    global _driver
    if _driver is None:
        try:
            library = ctypes.CDLL("libcuda.so.1")
        except OSError as e:
            raise Error("no NVIDIA driver: %s" % e) from None
        if library.cuInit(0):
            raise Error("CUDA: the driver does not start")
        _driver = library
    code = getattr(_driver, name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        _driver.cuGetErrorString(code, ctypes.byref(text))
        raise Error("CUDA: %s: %s (%d)" % (name, (text.value or b"error").decode(), code))


class _Context:
    """The device's primary context, current while it is entered."""

    def __init__(self, device):
        self._device, self._handle = ctypes.c_int(), ctypes.c_void_p()
        _call("cuDeviceGet", ctypes.byref(self._device), device)
        _call("cuDevicePrimaryCtxRetain", ctypes.byref(self._handle), self._device)

    def __enter__(self):
        _call("cuCtxPushCurrent_v2", self._handle)

    def __exit__(self, *_):
        _call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))


def over(pointer, shape, dtype):
    """An array over memory that somebody else owns; on a device nobody may read it."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    if count == 0:
        return np.empty(shape, dtype)
    return np.frombuffer((ctypes.c_char * (count * dtype.itemsize)).from_address(pointer), dtype).reshape(shape)


class DeviceArray:
    """An array in a GPU's memory, freed with it. Others take it by DLPack or __cuda_array_interface__."""

    def __init__(self, shape, dtype, device=0):
        self.shape, self.dtype, self.device = tuple(map(int, shape)), np.dtype(dtype), device
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        self._context, self._pointer = _Context(device), ctypes.c_uint64()
        with self._context:
            _call("cuMemAlloc_v2", ctypes.byref(self._pointer), ctypes.c_size_t(max(1, self.nbytes)))

    @staticmethod
    def from_numpy(array, device=0):
        array = np.ascontiguousarray(array)
        result = DeviceArray(array.shape, array.dtype, device)
        result._copy(result.data_ptr(), array.ctypes.data)
        return result

    def numpy(self):
        result = np.empty(self.shape, self.dtype)
        self._copy(result.ctypes.data, self.data_ptr())
        return result

    def _copy(self, to, source):
        with self._context:
            _call("cuMemcpy", ctypes.c_uint64(to), ctypes.c_uint64(source), ctypes.c_size_t(self.nbytes))

    def data_ptr(self):
        return self._pointer.value

    def __del__(self):
        try:
            if self._pointer.value:
                with self._context:
                    _call("cuMemFree_v2", self._pointer)
        except Exception:  # the interpreter or the driver goes down
            pass

    @property
    def __cuda_array_interface__(self):
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.data_ptr(), False), "strides": None, "version": 3}

    def __dlpack_device__(self):
        return CUDA, self.device

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        if copy or (dl_device is not None and tuple(dl_device) != self.__dlpack_device__()):
            raise BufferError("the array stays where it is")
        managed, shape = _DLManagedTensor(), (ctypes.c_int64 * len(self.shape))(*self.shape)
        codes = {kind: code for code, kind in KINDS.items()}
        if self.dtype.kind not in codes:
            raise BufferError("DLPack has no type for %s" % self.dtype)
        managed.tensor = _DLTensor(self.data_ptr(), CUDA, self.device, len(self.shape), codes[self.dtype.kind], self.dtype.itemsize * 8, 1, shape, None, 0)
        key = ctypes.addressof(managed)

        @_Deleter
        def deleter(_):
            _lent.pop(key, None)

        managed.deleter = deleter
        _lent[key] = (self, managed, shape, deleter)
        return _capsule_new(key, NAME, ctypes.cast(_destroy, ctypes.c_void_p))


_lent = {}  # address of what a capsule points to -> what must live as long


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _destroy(capsule):
    """Of a capsule that nobody took: a taker renames it."""
    is_valid = ctypes.pythonapi.PyCapsule_IsValid
    is_valid.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    pointer = ctypes.pythonapi["PyCapsule_GetPointer"]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]
    if is_valid(capsule, NAME):
        _lent.pop(pointer(capsule, NAME), None)


def borrow(value, stream=None):
    """(array over the memory, what keeps it alive) of an array on a GPU; None of any other value."""
    if isinstance(value, np.ndarray):
        return None
    interface = getattr(value, "__cuda_array_interface__", None)
    if interface is not None:
        strides, dtype = interface.get("strides"), np.dtype(interface["typestr"])
        _check(interface["shape"], strides, dtype.itemsize)
        if interface.get("stream") and interface["stream"] != stream:
            _call("cuStreamSynchronize", ctypes.c_void_p(interface["stream"]))
        return over(interface["data"][0], tuple(interface["shape"]), dtype), value
    if not hasattr(value, "__dlpack_device__") or value.__dlpack_device__()[0] not in (CUDA, CUDA_MANAGED):
        return None
    capsule = value.__dlpack__(stream=stream or LEGACY_STREAM)
    if not stream:  # the session's own stream waits for no other
        _call("cuStreamSynchronize", ctypes.c_void_p(LEGACY_STREAM))
    tensor = ctypes.cast(_capsule_pointer(capsule, NAME), ctypes.POINTER(_DLManagedTensor)).contents.tensor
    if tensor.code not in KINDS or tensor.lanes != 1:
        raise Error("an array on the device has a type that NumPy lacks")
    dtype, shape = np.dtype("%s%d" % (KINDS[tensor.code], tensor.bits // 8)), tensor.shape[:tensor.ndim]
    _check(shape, [s * dtype.itemsize for s in tensor.strides[:tensor.ndim]] if tensor.strides else None, dtype.itemsize)
    return over(tensor.data + tensor.byte_offset, tuple(shape), dtype), (value, capsule)


def _check(shape, strides, itemsize):
    step = itemsize
    for size, stride in reversed(list(zip(shape, strides))) if strides else ():
        if size != 1 and stride != step:
            raise Error("expected an array on the device whose elements lie side by side; make it contiguous")
        step *= size
