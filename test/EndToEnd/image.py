#!/usr/bin/env python3
"""Image stages (--image-input) against a float64 definition of their own: formats, strides, regions (of the frame, and of each run), fits, resize
modes, layouts, types; what each calls from outside, and the size of its code.
Each frame and result lies against pages that cannot be touched, once at its end and once at its begin. Whole outputs may differ by 1, floats by 1e-5 of their range.

usage: image.py [--bin DIR] [--target T] [--aarch64] [--full] [NAMES...]
--aarch64: also a static program for aarch64 under qemu, whose whole outputs must be the same bytes.
A line a case; last, `N passed, N failed`.
"""
import argparse
import ctypes
import functools
import mmap
import os
import subprocess
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, save

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TYPES = {"f32": (TensorProto.FLOAT, np.float32), "f16": (TensorProto.FLOAT16, np.float16), "u8": (TensorProto.UINT8, np.uint8), "i8": (TensorProto.INT8, np.int8)}
PIXEL = {"RGB": 3, "BGR": 3, "RGBA": 4, "YUYV": 2}
BAYER = ("RGGB", "GRBG", "GBRG", "BGGR")
KERNELS = ([[0, 1, 0], [1, 0, 1], [0, 1, 0]], [[1, 0, 1], [0, 0, 0], [1, 0, 1]])  # neighbours beside, and across corners
STAGE_BYTES = 40 << 10  # of code and tables, at most
ERROR_REGION = 14


class Case:
    def __init__(self, name, fmt, frame, size, channels=3, type="f32", planar=True, stride=0, matrix="601", range="limited", region=None, fit="stretch", resize="linear", bgr=False,
                 mean=(0.0,), scale=(1.0,), pad=0.0, turns=(), quantize=None, runs=()):
        self.__dict__.update({k: v for k, v in locals().items() if k != "self"})
        self.stride = stride or frame[0] * PIXEL.get(fmt, 1)
        self.rows = frame[1] * 3 // 2 if fmt in ("NV12", "I420") else frame[1]
        self.region = region or (0, 0, *frame)
        # Regions that runs give, one after the other; what else is given then stands for all of them.
        self.runs = runs

    def flags(self):
        turns = "".join(f":{'flip' if t in ('horizontal', 'vertical') else 'rotate'}={t}" for t in self.turns)
        text = f"x={self.fmt}:{self.frame[0]}x{self.frame[1]}:stride={self.stride}:matrix={self.matrix}:range={self.range}:region={'run' if self.runs else f'{self.region[2]}x{self.region[3]}+{self.region[0]}+{self.region[1]}'}{turns}"
        flags = ["--image-input", text, "--fit", self.fit, "--resize-mode", self.resize, "--pad-value", str(self.pad), "--layout", "NCHW" if self.planar else "NHWC"]
        join = lambda values: ",".join(str(v) for v in values)
        return flags + [f"--mean={join(self.mean)}", f"--scale={join(self.scale)}"] + (["--reverse-channels"] if self.bgr else [])

    def network(self, path):
        w, h = self.size
        shape = [1, self.channels, h, w] if self.planar else [1, h, w, self.channels]
        info = lambda name, type=self.type: helper.make_tensor_value_info(name, TYPES[type][0], shape)
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [info("x")], [info("y")])
        if self.quantize:
            step, zero = self.quantize
            constants = [helper.make_tensor("step", TensorProto.FLOAT, [], [step]), helper.make_tensor("zero", TYPES[self.type][0], [], [zero])]
            graph = helper.make_graph([helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["y"])], "g", [info("x", "f32")], [info("y")], constants)
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), path)
        return shape


def demosaic(fmt, raw):
    """Bilinear: the mean of the nearest samples of a colour, the frame mirrored about its outermost pixels."""
    h, w = raw.shape
    padded = np.pad(raw, 1, mode="reflect")
    colors = []
    for color in "RGB":
        mask = np.array([[fmt[(y % 2) * 2 + x % 2] == color for x in range(-1, w + 1)] for y in range(-1, h + 1)], np.float64)
        near = lambda a, weights: sum(weights[i][k] * a[i:i + h, k:k + w] for i in range(3) for k in range(3))
        sums = [near(padded * mask, weights) for weights in KERNELS]
        counts = [near(mask, weights) for weights in KERNELS]
        own = mask[1:-1, 1:-1] > 0
        colors.append(np.where(own, raw, np.where(counts[0] > 0, sums[0] / np.maximum(counts[0], 1), sums[1] / np.maximum(counts[1], 1))))
    return np.stack(colors)


def decode(case, frame):
    """Frame bytes -> [channels, height, width], from 0 to 255."""
    w, h = case.frame
    rows = frame.reshape(case.rows, case.stride).astype(np.float64)
    if case.fmt in ("NV12", "I420", "YUYV"):
        if case.fmt == "YUYV":
            y, u, v = rows[:, 0:2 * w:2], rows[:, 1:2 * w:4].repeat(2, 1), rows[:, 3:2 * w:4].repeat(2, 1)
        elif case.fmt == "NV12":
            y, u, v = rows[:h, :w], rows[h:, 0:w:2], rows[h:, 1:w:2]
        else:
            chroma = frame[h * case.stride:].reshape(2, h // 2, case.stride // 2)[:, :, :w // 2].astype(np.float64)
            y, u, v = rows[:h, :w], chroma[0], chroma[1]
        if case.fmt != "YUYV":
            u, v = (c.repeat(2, 0).repeat(2, 1) for c in (u, v))
        kr, kb = (0.2126, 0.0722) if case.matrix == "709" else (0.299, 0.114)
        luma, wide, low = (1, 1, 0) if case.range == "full" else (255 / 219, 255 / 224, 16)
        y, u, v = (y - low) * luma, (u - 128) * wide, (v - 128) * wide
        r, b = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
        colors = [r, (y - kr * r - kb * b) / (1 - kr - kb), b] if case.channels == 3 else [y]
        return np.clip(np.stack(colors), 0, 255)
    if case.fmt in BAYER:
        colors = demosaic(case.fmt, rows[:, :w])
        return colors if case.channels == 3 else np.tensordot((0.299, 0.587, 0.114), colors, 1)[None]
    if case.fmt == "GRAY":
        return np.stack([rows[:, :w]] * case.channels)
    step = PIXEL[case.fmt]
    colors = [rows[:, k:step * w:step] for k in ((2, 1, 0) if case.fmt == "BGR" else (0, 1, 2))]
    return np.stack(colors) if case.channels == 3 else (0.299 * colors[0] + 0.587 * colors[1] + 0.114 * colors[2])[None]


def matrix(mode, n, m):
    """[m, n]: how n samples make m, half-pixel centres, edges repeated."""
    out = np.zeros((m, n))
    ratio = n / m
    for i in range(m):
        center = (i + 0.5) * ratio - 0.5
        if mode == "area" and n > m:
            weights = {k: min(k + 1, (i + 1) * ratio) - max(k, i * ratio) for k in range(int(i * ratio), int(np.ceil((i + 1) * ratio)))}
        elif mode == "nearest":
            weights = {int(np.ceil(center - 0.5)): 1.0}
        elif mode == "cubic":
            def keys(t, a=-0.5):
                t = abs(t)
                return (a + 2) * t**3 - (a + 3) * t**2 + 1 if t < 1 else a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0
            weights = {k: keys(k - center) for k in range(int(np.floor(center)) - 1, int(np.floor(center)) + 3)}
        else:
            weights = {k: max(0.0, 1 - abs(k - center)) for k in (int(np.floor(center)), int(np.floor(center)) + 1)}
        total = sum(weights.values())
        for k, weight in weights.items():
            out[i, min(max(k, 0), n - 1)] += weight / total
    return out


def reference(case, frame, region=None):
    x, y, w, h = region or case.region
    image = decode(case, frame)[:, y:y + h, x:x + w]
    for turn in case.turns:
        image = np.rot90(image, -turn // 90, (1, 2)) if isinstance(turn, int) else image[:, :, ::-1] if turn == "horizontal" else image[:, ::-1]
    h, w = image.shape[1:]
    size, resized, offset = case.size, list(case.size), [0, 0]
    if case.fit != "stretch":
        factor = (min if case.fit == "letterbox" else max)(size[0] / w, size[1] / h)
        for d, length in enumerate((w, h)):
            resized[d] = max(1, int(np.floor(length * factor + 0.5)))
            missing = size[d] - resized[d]
            offset[d] = missing // 2 if missing >= 0 else -(-missing // 2)
    image = np.einsum("ij,cjk,lk->cil", matrix(case.resize, h, resized[1]), image, matrix(case.resize, w, resized[0]), optimize=True)
    out = np.full((case.channels, size[1], size[0]), float(case.pad))
    x0, y0, x1, y1 = max(0, offset[0]), max(0, offset[1]), min(size[0], offset[0] + resized[0]), min(size[1], offset[1] + resized[1])
    out[:, y0:y1, x0:x1] = image[:, y0 - offset[1]:y1 - offset[1], x0 - offset[0]:x1 - offset[0]]
    out = out[::-1] if case.bgr else out
    column = lambda values: np.array(values, np.float64).reshape(-1, 1, 1)
    out = (out - column(case.mean)) / column(case.scale)
    if case.quantize:
        out = out / case.quantize[0] + case.quantize[1]
    if case.type in ("u8", "i8"):
        limits = np.iinfo(TYPES[case.type][1])
        out = np.clip(np.round(out), limits.min, limits.max)
    return out if case.planar else out.transpose(1, 2, 0)


def guarded(data, at_end):
    """The bytes in memory of their own, which ends or begins at a page that cannot be read."""
    page = mmap.PAGESIZE
    length = (len(data) + page - 1) // page * page
    area = mmap.mmap(-1, length + 2 * page)
    base = ctypes.addressof(ctypes.c_char.from_buffer(area))
    start = page + (length - len(data) if at_end else 0)
    area[start:start + len(data)] = data.tobytes()
    libc = ctypes.CDLL(None, use_errno=True)
    for guard in (base, base + page + length):
        if libc.mprotect(ctypes.c_void_p(guard), page, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    return area, base + start


def cases(full):
    found = [Case("nv12_network", "NV12", (1920, 1080), (320, 240), mean=(127.0,), scale=(128.0,)),
             Case("bgr_letterbox_i8", "BGR", (1280, 720), (416, 416), type="i8", planar=False, fit="letterbox", mean=(128.0,), pad=114)]
    for fmt in ("NV12", "I420", "YUYV", "RGB", "BGR", "RGBA", "GRAY"):
        found.append(Case(f"{fmt.lower()}_even", fmt, (64, 36), (16, 9), matrix="709" if fmt == "I420" else "601", range="full" if fmt == "YUYV" else "limited"))
        found.append(Case(f"{fmt.lower()}_up_stride", fmt, (38, 22), (51, 37), stride=48 * PIXEL.get(fmt, 1), resize="cubic", fit="letterbox", type="u8", planar=False, bgr=True, pad=30))
    for fmt in ("NV12", "I420", "YUYV"):
        found += [Case(f"{fmt.lower()}_{space}_{extent}", fmt, (16, 8), (16, 8), matrix=space, range=extent) for space in ("601", "709") for extent in ("limited", "full")]
    for mode in ("nearest", "linear", "cubic", "area"):
        found.append(Case(f"rgb_{mode}", "RGB", (70, 50), (21, 17), resize=mode, scale=(50.0, 60.0, 70.0)))
        found.append(Case(f"nv12_region_{mode}", "NV12", (72, 48), (18, 12), resize=mode, region=(5, 3, 60, 40), fit="crop", type="i8", mean=(128.0,)))
    for i, turns in enumerate([(90,), (180,), (270,), ("horizontal",), ("vertical",), (90, "horizontal"), ("horizontal", 90), (270, "vertical")]):
        found.append(Case("nv12_" + "_".join(map(str, turns)), "NV12", (64, 36), (19, 23), turns=turns, fit="letterbox" if i % 2 else "crop", pad=9, type="u8" if i % 3 == 0 else "f32", planar=i % 2 == 0,
                          resize=("linear", "area", "cubic", "nearest")[i % 4], region=(4, 2, 50, 30)))
    found += [Case("rgb_90", "RGB", (50, 40), (40, 50), turns=(90,)), Case("rgb_even_180", "RGB", (64, 36), (16, 9), turns=(180,), mean=(3.0, 2.0, 1.0)),
              Case("network_i8", "NV12", (64, 36), (32, 18), type="i8", mean=(127.0,), scale=(128.0,), quantize=(1 / 128, -3)),
              Case("network_u8", "RGB", (30, 20), (30, 20), type="u8", planar=False, scale=(255.0, 250.0, 240.0), quantize=(1 / 255, 0))]
    for i, fmt in enumerate(BAYER):
        found.append(Case(f"{fmt.lower()}_same", fmt, (22, 14), (22, 14), channels=1 if i == 3 else 3))
        found.append(Case(f"{fmt.lower()}_odd_region", fmt, (70, 50), (21, 17), stride=72, region=(3, 1, 63, 47), type="u8", planar=False, bgr=i % 2 == 1, resize=("linear", "area", "cubic", "nearest")[i]))
    found += [Case("rggb_even", "RGGB", (64, 36), (16, 9)), Case("gbrg_smallest", "GBRG", (2, 2), (3, 3))]
    for i, fmt in enumerate(("NV12", "I420", "YUYV", "RGB", "RGBA", "GRAY", "BGGR")):
        for k, fit in enumerate(("stretch", "letterbox", "crop")):
            if not full and fmt != "NV12" and (i + k) % 3:
                continue
            mode = ("linear", "cubic", "area", "nearest")[(i + len(fit)) % 4]
            runs = [(0, 0, 0, 0), (5, 3, 31, 20), (101, 61, 1, 1), (0, 7, 102, 2), (33, 0, 2, 62), (1, 1, 100, 60)]
            found.append(Case(f"{fmt.lower()}_run_{fit}_{mode}", fmt, (102, 62), (37, 29), stride=112 * PIXEL.get(fmt, 1), fit=fit, resize=mode, runs=runs, pad=9, mean=(3.0,), type="u8" if i % 3 == 1 else "f32",
                              planar=i % 2 == 0, turns=((), (90,), ("horizontal",), (270, "vertical"))[(i + len(fit)) % 4]))
    found += [Case("nv12_run_small", "NV12", (6, 4), (9, 5), runs=[(1, 1, 3, 2), (5, 3, 1, 1)]), Case("nv12_area_long", "NV12", (640, 480), (16, 12), resize="area"), Case("rgb_area_long_u8", "RGB", (500, 401), (13, 11), resize="area", type="u8", planar=False)]
    return found + [Case("gray_f16", "GRAY", (31, 17), (31, 17), channels=1, type="f16", scale=(255.0,)),
                    Case("nv12_gray", "NV12", (32, 18), (9, 7), channels=1, resize="area"),
                    Case("rgb_to_one", "RGB", (3, 2), (1, 1)), Case("rgb_from_one", "RGB", (1, 1), (5, 3)),
                    Case("rgb_gray_crop", "RGBA", (40, 30), (20, 20), channels=1, fit="crop", type="u8")]


def sections(path):
    """Bytes of a library's code and constants."""
    rows = subprocess.run(["size", "-A", path], check=True, capture_output=True, text=True).stdout.split("\n")
    return sum(int(r.split()[1]) for r in rows if r.split()[:1] in ([".text"], [".rodata"]))


@functools.lru_cache
def plain_sections(compiler, target):
    with tempfile.TemporaryDirectory() as folder:
        model, library = os.path.join(folder, "net.onnx"), os.path.join(folder, "libplain.so")
        Case("plain", "RGB", (64, 48), (64, 48)).network(model)
        subprocess.run([compiler, model, "--emit=shared", "--name=net", "-o", library] + ([f"--target={target}"] if target else []), check=True, capture_output=True, text=True)
        return sections(library)


def outside(library, compiler, target):
    """No allocation, and small code: what is more than a network without a stage."""
    called = set(subprocess.run(["nm", "-D", "-u", "--format=posix", library], check=True, capture_output=True, text=True).stdout.split()) - {"U", "w"}
    if called & {"malloc", "calloc", "free", "posix_memalign", "aligned_alloc"} or any("halide" in c for c in called):
        return f"it calls {', '.join(called)}"
    added = sections(library) - plain_sections(compiler, target)
    return f"expected a stage of at most {STAGE_BYTES} bytes, got {added}" if added > STAGE_BYTES else None


def check(case, folder, compiler, target, aarch64):
    model, library = os.path.join(folder, "net.onnx"), os.path.join(folder, f"lib{case.name}.so")
    shape = case.network(model)
    command = [compiler, model, *case.flags()]
    subprocess.run(command + ["--emit=shared", "--name=net", "-o", library] + ([f"--target={target}"] if target else []), check=True, capture_output=True, text=True)
    run = ctypes.CDLL(library).net_run
    frame = np.random.RandomState(len(case.name)).randint(0, 256, case.rows * case.stride).astype(np.uint8)
    arena = np.zeros((1 << 24) + 64, np.uint8)
    place = ctypes.c_void_p((arena.ctypes.data + 63) // 64 * 64)
    allowed = 1.0 if case.type in ("u8", "i8") else 2e-3 if case.type == "f16" else 1e-5 * 255 / min(case.scale)
    for at_end in (True, False):
        area, address = guarded(frame, at_end)
        room, result = guarded(np.full(shape, 99, TYPES[case.type][1]).view(np.uint8).reshape(-1), at_end)
        got = np.frombuffer((ctypes.c_char * (int(np.prod(shape)) * np.dtype(TYPES[case.type][1]).itemsize)).from_address(result), TYPES[case.type][1]).reshape(shape)

        def run_on(region):
            inputs = [ctypes.c_void_p(address)] + ([ctypes.c_void_p(region.ctypes.data)] if case.runs else [])
            return run(*inputs, ctypes.c_void_p(result), place)

        for region in case.runs or [None]:
            if status := run_on(np.array(region or (), np.int32)):
                return f"the run gives status {status}"
            want = reference(case, frame, region if region and region[2] else None).reshape(shape)
            worst = np.abs(got.astype(np.float64) - want).max()
            if not worst <= allowed:
                return f"expected errors of at most {allowed:g}, got {worst:g}" + (f" of region {region}" if region else "")
        w, h = case.frame
        for region in [(0, 0, w + 1, h), (0, 0, w, h + 1), (1, 0, w, h), (0, 1, w, h), (-1, 0, 2, 2), (0, -1, 2, 2), (0, 0, 0, 1), (0, 0, 1, 0), (2, 2, 0, 0), (0, 0, -1, -1), (w, 0, 1, 1), (2**31 - 1, 0, 2, 2), (0, -2**31, 2, 2), (0, 0, -2**31, 2)]:
            if case.runs and (status := run_on(np.array(region, np.int32))) != ERROR_REGION:
                return f"expected status {ERROR_REGION} of region {region}, got {status}"
    if problem := outside(library, compiler, target):
        return problem
    if aarch64:
        program, given, made = (os.path.join(folder, f) for f in ("arm", "in.npz", "out.npz"))
        subprocess.run(command + ["--target=aarch64", "--static", "-o", program], check=True, capture_output=True, text=True)
        dims = (case.rows, case.frame[0], PIXEL[case.fmt]) if case.fmt in PIXEL and case.stride == case.frame[0] * PIXEL[case.fmt] else (case.rows, case.stride)
        np.savez(given, x=frame.reshape(dims), **({"x_region": np.array(case.runs[-1], np.int32)} if case.runs else {}))
        subprocess.run(["qemu-aarch64", program, "--inputs", given, "--outputs", made], check=True, capture_output=True, text=True)
        if case.runs:
            run_on(np.array(case.runs[-1], np.int32))
        if not np.array_equal(np.load(made)["y"], got):
            return "aarch64 gives other values"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("--target")
    parser.add_argument("--aarch64", action="store_true")
    parser.add_argument("--full", action="store_true", help="each format with each fit of a region that runs give")
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    passed = failed = 0
    for case in cases(a.full or a.aarch64 or a.names):
        if a.names and not any(case.name.startswith(n) for n in a.names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                problem = check(case, folder, os.path.join(a.bin, "burin-compile"), a.target, a.aarch64)
            except subprocess.CalledProcessError as e:
                problem = (e.stderr or str(e)).strip().splitlines()[-1]
        passed, failed = passed + (problem is None), failed + (problem is not None)
        print(f"{'ok  ' if problem is None else 'FAIL'} {case.name}{': ' + problem if problem else ''}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
