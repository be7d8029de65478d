#!/usr/bin/env python3
"""Image stages beside OpenCV on one thread: the same steps on the same frames, interleaved, frames rotated so that none is in a near cache.

usage: image.py [--bin DIR] [--target T]... [--rounds N] [--network MODEL.onnx]
A line a case and target: the least and the median time of both, their ratio (of the least), the largest difference of the results; then the bytes
that the case cannot do without, over the median time, as a share of what this machine reads and writes in a plain pass over as many frames.
--network: instead, a network of one 3-channel image ((x - 127) / 128) behind an NV12 frame of 1920x1080, in one program, beside OpenCV and then the
faster of ONNX Runtime and OpenVINO; the time of each part, the program's size and what it calls from outside.
Needs opencv-python-headless, which nothing else in the tree does, and for --network onnxruntime and openvino.
"""
import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np
from onnx import TensorProto, helper, save

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "EndToEnd"))
from image import Case, PIXEL, TYPES, matrix  # noqa: E402

FRAMES = 16


def nv12_to_planes(frame):
    """Colours, size, float, mean and scale, planes: what a detector's example code does."""
    small = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_NV12), (320, 240))
    return cv2.dnn.blobFromImage(small, 1 / 128.0, (320, 240), (127, 127, 127), swapRB=False)


def bgr_letterbox(frame):
    small = cv2.resize(frame, (416, 234))
    padded = cv2.copyMakeBorder(small, 91, 91, 0, 0, cv2.BORDER_CONSTANT, value=(114, 114, 114))
    return cv2.subtract(cv2.cvtColor(padded, cv2.COLOR_BGR2RGB), (128, 128, 128, 0), dtype=cv2.CV_8S)


def phases_to_picture(x):
    """Nine phases of every pixel as one picture of bytes."""
    big = np.empty((3 * x.shape[1], 3 * x.shape[2]), np.float32)
    rows = big.reshape(x.shape[1], 3, x.shape[2], 3)
    for r in range(3):
        cv2.merge([x[3 * r], x[3 * r + 1], x[3 * r + 2]], rows[:, r])
    return cv2.multiply(big, 255.0, dtype=cv2.CV_8U)


class Frames:
    """A frame that an image stage takes (test/EndToEnd/image.py)."""

    def __init__(self, case, dims, peer):
        self.name, self.flags, self.network, self.type, self.peer = case.name, case.flags, case.network, TYPES[case.type][1], peer
        random = np.random.RandomState(0)
        self.frames = [cv2.GaussianBlur(random.randint(0, 256, dims).astype(np.uint8), (0, 0), 3) for _ in range(FRAMES)]
        self.needed = self.bytes_of(case)

    @staticmethod
    def bytes_of(case):
        """Lines of the rows that count, and the result."""
        w, h = case.frame
        rows = case.size[1]
        if case.fit == "letterbox":
            rows = max(1, round(h * min(case.size[0] / w, case.size[1] / h)))
        used = np.flatnonzero(matrix(case.resize, h, rows).any(0))
        read = len(used) * w * PIXEL.get(case.fmt, 1)
        if case.fmt == "NV12":
            read += len(set(used // 2)) * w
        return read + case.size[0] * case.size[1] * case.channels * np.dtype(TYPES[case.type][1]).itemsize


class Phases:
    """A super-resolution network's last step."""

    name, type = "9x224x224 f32 -> 672x672 u8", np.uint8
    needed = 9 * 224 * 224 * 4 + 672 * 672
    peer = staticmethod(phases_to_picture)

    def __init__(self):
        random = np.random.RandomState(0)
        self.frames = [random.uniform(-0.1, 1.1, (9, 224, 224)).astype(np.float32) for _ in range(FRAMES)]

    def flags(self):
        return ["--append=picture,scale=255"]

    def network(self, path):
        info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph([helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=3)], "g", [info("x", [1, 9, 224, 224])], [info("y", [1, 1, 672, 672])])
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
        return [1, 672, 672, 1]


def cases():
    yield Frames(Case("nv12 1920x1080 -> 320x240 f32 planes", "NV12", (1920, 1080), (320, 240), mean=(127.0,), scale=(128.0,)), (1620, 1920), nv12_to_planes)
    yield Frames(Case("bgr 1280x720 -> 416x416 letterbox i8", "BGR", (1280, 720), (416, 416), type="i8", planar=False, fit="letterbox", mean=(128.0,), pad=114), (720, 1280, 3), bgr_letterbox)
    yield Phases()


def bandwidth(frames):
    """Bytes a second of a plain pass over this many bytes: the C library's comparison of what is equal, which only reads."""
    libc = ctypes.CDLL(None)
    half = np.ones(sum(f.nbytes for f in frames) // 2, np.uint8)
    copy = half.copy()
    pair = [ctypes.c_void_p(half.ctypes.data), ctypes.c_void_p(copy.ctypes.data), ctypes.c_size_t(half.nbytes)]
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        libc.memcmp(*pair)
        times.append(time.perf_counter() - begin)
    return 2 * half.nbytes / np.median(times)


def library_of(a, folder, model, flags, target):
    path = os.path.join(folder, f"lib{len(os.listdir(folder))}.so")
    subprocess.run([os.path.join(a.bin, "burin-compile"), model, *flags, "--emit=shared", "--name=net", "-o", path, f"--target={target}"], check=True)
    return path


def network(a):
    import onnx
    import onnxruntime
    import openvino
    graph = onnx.load(a.network).graph
    weights = {w.name for w in graph.initializer}
    info = next(i for i in graph.input if i.name not in weights)
    dims = [d.dim_value or 1 for d in info.type.tensor_type.shape.dim]
    height, width = dims[2:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(a.network, options, providers=["CPUExecutionProvider"])
    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"})
    compiled = core.compile_model(a.network, "CPU").create_infer_request()
    random = np.random.RandomState(0)
    frames = [cv2.GaussianBlur(random.randint(0, 256, (1620, 1920)).astype(np.uint8), (0, 0), 3) for _ in range(FRAMES)]
    shape = "x".join(map(str, dims))
    with tempfile.TemporaryDirectory() as folder:
        target = (a.target or ["host"])[0]
        whole = library_of(a, folder, a.network, [f"--shape={info.name}={shape}", "--image-input", f"{info.name}=NV12:1920x1080", "--mean=127", "--scale=128"], target)
        alone = library_of(a, folder, a.network, [f"--shape={info.name}={shape}"], target)
        outputs = [np.zeros(o.shape, np.float32) for o in session.run(None, {info.name: np.zeros(dims, np.float32)})]
        arena = np.zeros((1 << 26) + 64, np.uint8)
        pointers = [ctypes.c_void_p(o.ctypes.data) for o in outputs] + [ctypes.c_void_p((arena.ctypes.data + 63) // 64 * 64)]
        calls = [ctypes.CDLL(path).net_run for path in (whole, alone)]

        def peer_image(frame):
            small = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_NV12), (width, height))
            return cv2.dnn.blobFromImage(small, 1 / 128.0, (width, height), (127, 127, 127), swapRB=False)

        blob = peer_image(frames[0])
        steps = {"frame to results, Burin": lambda f: calls[0](ctypes.c_void_p(f.ctypes.data), *pointers), "network alone, Burin": lambda f: calls[1](ctypes.c_void_p(blob.ctypes.data), *pointers),
                 "OpenCV": peer_image, "ONNX Runtime": lambda f: session.run(None, {info.name: blob}), "OpenVINO": lambda f: compiled.infer({info.name: blob})}
        times = {name: [] for name in steps}
        for i in range(a.rounds):
            for j, (name, step) in enumerate(steps.items()):
                begin = time.perf_counter()
                step(frames[(i + 3 * j) % FRAMES])
                times[name].append((time.perf_counter() - begin) * 1e3)
        calls[0](ctypes.c_void_p(frames[1].ctypes.data), *pointers)
        worst = max(np.abs(o - w).max() for o, w in zip(outputs, session.run(None, {info.name: peer_image(frames[1])})))
        called = subprocess.run(["nm", "-D", "-u", whole], capture_output=True, text=True).stdout.split()
        median = {name: np.median(t) for name, t in times.items()}
        for name, t in median.items():
            print(f"  {name:26s} {t:.3f} ms")
        theirs = median["OpenCV"] + min(median["ONNX Runtime"], median["OpenVINO"])
        print(f"  image stage alone          {median['frame to results, Burin'] - median['network alone, Burin']:.3f} ms\n  OpenCV and the faster peer {theirs:.3f} ms, ratio {median['frame to results, Burin'] / theirs:.2f}")
        print(f"  library {os.path.getsize(whole)} bytes, without the stage {os.path.getsize(alone)}; calls {', '.join(c for c in called if c not in 'Uw')}; largest difference {worst:.3g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--target", action="append")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--network")
    a = parser.parse_args()
    cv2.setNumThreads(1)
    if a.network:
        return network(a)
    for case in cases():
        frames, speed = case.frames, bandwidth(case.frames)
        for target in a.target or ["host", "x86-64-v3"]:
            with tempfile.TemporaryDirectory() as folder:
                model = os.path.join(folder, "net.onnx")
                shape = case.network(model)
                run = ctypes.CDLL(library_of(a, folder, model, case.flags(), target)).net_run
                arena = np.zeros((1 << 24) + 64, np.uint8)
                place = ctypes.c_void_p((arena.ctypes.data + 63) // 64 * 64)
                got = np.zeros(shape, case.type)
                times = [[], []]
                for i in range(a.rounds):
                    frame, other = frames[i % FRAMES], frames[(i + FRAMES // 2) % FRAMES]
                    where, out = ctypes.c_void_p(frame.ctypes.data), ctypes.c_void_p(got.ctypes.data)
                    begin = time.perf_counter()
                    run(where, out, place)
                    middle = time.perf_counter()
                    case.peer(other)
                    end = time.perf_counter()
                    times[0].append((middle - begin) * 1e3)
                    times[1].append((end - middle) * 1e3)
                worst = np.abs(got.astype(np.float64) - case.peer(frame).reshape(shape)).max()
                (ours, theirs) = (np.array(t) for t in times)
                used = case.needed / np.median(ours) * 1e3
                print(f"{case.name:40s} {target:10s} {ours.min():.3f} ({np.median(ours):.3f}) ms, OpenCV {theirs.min():.3f} ({np.median(theirs):.3f}) ms, "
                      f"ratio {ours.min() / theirs.min():.2f} ({np.median(ours) / np.median(theirs):.2f}), largest difference {worst:.3g}; "
                      f"{case.needed / 1e6:.2f} MB at {used / 1e9:.1f} of {speed / 1e9:.1f} GB/s: {used / speed:.0%}", flush=True)


if __name__ == "__main__":
    main()
