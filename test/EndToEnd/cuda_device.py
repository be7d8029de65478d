"""Arrays on a device, in and out of Python sessions; by the emulator of the driver, which must be on LD_LIBRARY_PATH. Prints "device: ok"."""
import ctypes
import gc

import numpy as np
from onnx.reference import ReferenceEvaluator

import burin
import cuda_nets  # noqa: F401
from generated import MODELS


class Interface:
    """An array of another package: only __cuda_array_interface__."""

    def __init__(self, array, **more):
        self.array, self.__cuda_array_interface__ = array, {**array.__cuda_array_interface__, **more}


class Pack:
    """An array of another package: only DLPack."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__(stream=stream)


def close(found, wanted):
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-4), np.max(np.abs(found - wanted))


def refused(call, text):
    try:
        call()
    except burin.Error as e:
        assert text in str(e), e
    else:
        raise AssertionError("expected an error: " + text)


def main():
    net, feed = MODELS["cuda_products"]()
    names = [o.name for o in net.graph.output]
    wanted = ReferenceEvaluator(net).run(None, feed)
    session = burin.InferenceSession(net, target="cuda:emulated")
    for way in (lambda a: a, Interface, Pack):
        on_device = {k: way(burin.DeviceArray.from_numpy(v)) for k, v in feed.items()}
        results = {k: burin.DeviceArray(w.shape, w.dtype) for k, w in zip(names, wanted)}
        for _ in range(2):
            session.run(None, on_device, out={k: way(v) for k, v in results.items()})
            for k, w in zip(names, wanted):
                close(results[k].numpy(), w)
    # Some here and some there; back to the host alone.
    mixed = {k: burin.DeviceArray.from_numpy(v) if i % 2 else v for i, (k, v) in enumerate(feed.items())}
    for given in (mixed, feed):
        for found, w in zip(session.run(None, given), wanted):
            close(found, w)
    # Memory that no kernel takes as it lies is copied.
    key = next(iter(feed))
    flat = burin.DeviceArray.from_numpy(np.concatenate([np.zeros(1, np.float32), feed[key].ravel()]))
    moved = Interface(flat, shape=feed[key].shape, data=(flat.data_ptr() + 4, False))
    close(session.run([names[0]], {**feed, key: moved})[0], wanted[0])
    # Bindings, and what leaves by DLPack.
    binding = session.io_binding()
    for k, v in feed.items():
        binding.bind_ortvalue_input(k, burin.OrtValue.ortvalue_from_numpy(v, "cuda", 0))
    for k in names:
        binding.bind_output(k, "cuda")
    session.run_with_iobinding(binding)
    for value, found, w in zip(binding.get_outputs(), binding.copy_outputs_to_cpu(), wanted):
        assert value.device_name() == "cuda"
        close(found, w)
    capsule = results[names[0]].__dlpack__()
    del capsule
    gc.collect()
    assert not burin._device._lent, "a capsule keeps its array"
    # Two sessions on one device, one on a stream of the caller's.
    driver, stream = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p()
    assert driver.cuStreamCreate(ctypes.byref(stream), 1) == 0
    other = burin.InferenceSession(net, target="cuda:emulated", stream=stream.value)
    for s in (other, session, other):
        close(s.run([names[0]], feed)[0], wanted[0])
    del other
    gc.collect()
    close(session.run([names[0]], feed)[0], wanted[0])
    # What the host's part uses stays with the host.
    net, feed = MODELS["cuda_products"]()
    refused(lambda: burin.InferenceSession(net, target="cuda:emulated", device=7).run(None, feed), "there is no device 7")
    refused(lambda: session.run(None, {**feed, key: Interface(flat, shape=feed[key].shape, strides=(4, 4), data=(flat.data_ptr(), False))}), "side by side")
    print("device: ok")


main()
