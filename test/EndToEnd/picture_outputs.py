#!/usr/bin/env python3
"""What --append makes of outputs that are pictures or lie on one, compiled and run, against float64 definitions of their own: bytes of floats (also
behind DepthToSpace), colours of classes, masks resized to the frame, boxes mapped back through every fit, turn and region of a frame.

usage: picture_outputs.py [--bin DIR] [--target T]
A line a case; last, `N passed, N failed`.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, save

from image import matrix

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SIZE = (40, 24)  # of the network's image: width, height


def voc(count):
    bits = lambda n, k: sum((n >> (3 * i + k) & 1) << (7 - i) for i in range(8))
    return np.array([[bits(n, k) for k in range(3)] for n in range(count)], np.uint8)


def placed(taken, fit):
    """(resized, offset) of a region of this width and height."""
    if fit == "stretch":
        return list(SIZE), [0, 0]
    factor = (min if fit == "letterbox" else max)(SIZE[0] / taken[0], SIZE[1] / taken[1])
    resized = [max(1, int(np.floor(t * factor + 0.5))) for t in taken]
    missing = [s - r for s, r in zip(SIZE, resized)]
    return resized, [m // 2 if m >= 0 else -(-m // 2) for m in missing]


def box_to_frame(box, frame, region, turns, fit):
    """One box of corners on the network's image, corner by corner back through fit and turns."""
    x, y, w, h = region
    turned = sum(isinstance(t, int) and t % 180 for t in turns) // 90 % 2
    resized, offset = placed((h, w) if turned else (w, h), fit)
    corners = []
    for px, py in (box[:2], box[2:]):
        width, height = (h, w) if turned else (w, h)
        u, v = (px - offset[0]) * width / resized[0], (py - offset[1]) * height / resized[1]
        for turn in reversed(turns):
            if turn == "horizontal":
                u = width - u
            elif turn == "vertical":
                v = height - v
            else:
                for _ in range(turn // 90):  # back a quarter: counterclockwise
                    u, v, width, height = v, width - u, height, width
        corners.append((u + x, v + y))
    low, high = np.minimum(*corners), np.maximum(*corners)
    limit = lambda p: np.clip(p, (x, y), (x + w, y + h))
    return [*limit(low), *limit(high)]


class Suite:
    def __init__(self, binaries, target, folder):
        self.binaries, self.target, self.folder = binaries, target, folder
        self.passed = self.failed = 0

    def check(self, name, inputs, nodes, outputs, flags, feed, want, allowed, constants=()):
        """inputs, outputs: name -> (type, shape)."""
        model, program, given, made = (os.path.join(self.folder, f) for f in ("net.onnx", "net", "in.npz", "out.npz"))
        info = lambda table: [helper.make_tensor_value_info(n, *spec) for n, spec in table.items()]
        save(helper.make_model(helper.make_graph(nodes, "g", info(inputs), info(outputs), constants), opset_imports=[helper.make_opsetid("", 19)], ir_version=10), model)
        problem = None
        try:
            subprocess.run([os.path.join(self.binaries, "burin-compile"), model, *flags, f"--target={self.target}", "-o", program], check=True, capture_output=True, text=True)
            np.savez(given, **feed)
            subprocess.run([program, "--inputs", given, "--outputs", made], check=True, capture_output=True, text=True)
            described = subprocess.run([program, "--describe"], check=True, capture_output=True, text=True).stdout
            results = np.load(made)
            for output, value in want.items():
                got = results[output]
                if got.shape != np.shape(value):
                    problem = f"expected {output} of shape {np.shape(value)}, got {got.shape}"
                elif np.size(value) and not np.abs(got.astype(np.float64) - value).max() <= allowed:
                    problem = f"expected errors of {output} of at most {allowed:g}, got {np.abs(got.astype(np.float64) - value).max():g}"
            missing = [f for f in flags if f.startswith("--append") and f not in described]
            problem = problem or (f"--describe does not tell of {missing[0]}" if missing else None)
        except subprocess.CalledProcessError as e:
            problem = (e.stderr or str(e)).strip().splitlines()[-1]
        self.passed, self.failed = self.passed + (problem is None), self.failed + (problem is not None)
        print(f"{'ok  ' if problem is None else 'FAIL'} {name}{': ' + problem if problem else ''}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("--target", default="host")
    a = parser.parse_args()
    random, F, U = np.random.RandomState(0), TensorProto.FLOAT, TensorProto.UINT8
    node = helper.make_node
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(a.bin, a.target, folder)
        # Super-resolution: phases of every pixel become one picture.
        x = random.uniform(-0.2, 1.2, (1, 9, 14, 11)).astype(np.float32)
        shuffled = x.reshape(1, 3, 3, 14, 11).transpose(0, 3, 1, 4, 2).reshape(1, 1, 42, 33).astype(np.float64)
        suite.check("picture behind DepthToSpace", {"x": (F, x.shape)}, [node("DepthToSpace", ["x"], ["y"], blocksize=3, mode="DCR")], {"y": (F, shuffled.shape)}, ["--append=picture,scale=255"], {"x": x},
                    {"y": np.clip(np.round(shuffled.transpose(0, 2, 3, 1) * 255), 0, 255)}, 1)
        x = random.uniform(-20, 280, (1, 3, 9, 7)).astype(np.float32)
        suite.check("picture, channels first", {"x": (F, x.shape)}, [node("Identity", ["x"], ["y"])], {"y": (F, x.shape)}, ["--append=picture,scale=1,offset=0.25,layout=NCHW"], {"x": x}, {"y": np.clip(np.round(x + 0.25), 0, 255)}, 1)
        # Classes.
        x = random.randn(1, 21, 10, 8).astype(np.float32)
        suite.check("colours of scores", {"x": (F, x.shape)}, [node("Identity", ["x"], ["y"])], {"y": (F, x.shape)}, ["--append=colors"], {"x": x}, {"y": voc(21)[x.argmax(1)].astype(int)}, 0)
        labels = np.array([[0, 1, 2], [2, 7, -3]], np.int64)
        palette = np.array([[0, 0, 0], [255, 0, 0], [16, 32, 48]])
        suite.check("colours of labels", {"x": (TensorProto.INT64, labels.shape)}, [node("Identity", ["x"], ["y"])], {"y": (TensorProto.INT64, labels.shape)}, ["--append=colors,palette=000000/ff0000/102030"], {"x": labels},
                    {"y": palette[np.clip(labels, 0, 2)]}, 0)
        # A mask of half the image's size, back on the frame; the frame itself goes through a stage beside it.
        mask = random.randn(1, 2, SIZE[1] // 2, SIZE[0] // 2).astype(np.float32)
        image = [1, 3, SIZE[1], SIZE[0]]
        frame, region = (70, 60), (6, 4, 62, 50)
        pixels = random.randint(0, 256, (frame[1], frame[0], 3)).astype(np.uint8)
        common = {"i": (F, image), "x": (F, mask.shape)}, [node("ReduceMean", ["i"], ["mean"], keepdims=0), node("Identity", ["x"], ["y"])]
        for fit in ("stretch", "letterbox"):
            resized, offset = placed(region[2:], fit)
            rows, columns = ([int(np.floor(v / 2 + 0.5)) for v in (offset[d], offset[d] + resized[d])] for d in (1, 0))
            cut = mask[:, :, slice(*rows), slice(*columns)].astype(np.float64)
            want = np.einsum("ij,ncjk,lk->ncil", matrix("linear", cut.shape[2], region[3]), cut, matrix("linear", cut.shape[3], region[2]))
            suite.check(f"mask to the frame, {fit}", *common, {"mean": (F, []), "y": (F, mask.shape)}, [f"--image-input=i=RGB:{frame[0]}x{frame[1]}:region={region[2]}x{region[3]}+{region[0]}+{region[1]}", f"--fit={fit}", "--append=upsample:y,size=frame"],
                        {"i": pixels, "x": mask}, {"y": want}, 1e-4)
        # Boxes.
        boxes = random.uniform(-4, 44, (1, 7, 2, 2)).astype(np.float32)
        boxes = np.concatenate([boxes.min(2), boxes.max(2)], -1)
        share = np.array([*SIZE, *SIZE], np.float32)
        common = {"i": (F, image), "x": (F, boxes.shape)}, [node("ReduceMean", ["i"], ["mean"], keepdims=0), node("Identity", ["x"], ["y"])], {"mean": (F, []), "y": (F, boxes.shape)}
        for fit, turns, run in [("stretch", (), False), ("letterbox", (), False), ("crop", (90,), False), ("letterbox", (270, "horizontal"), False), ("letterbox", (), True), ("crop", ("vertical",), True), ("stretch", (90,), True)]:
            words = "".join(f":{'flip' if isinstance(t, str) else 'rotate'}={t}" for t in turns)
            where = "run" if run else f"{region[2]}x{region[3]}+{region[0]}+{region[1]}"
            for given in ([region, (0, 0, 0, 0)] if run else [region])[:2 if fit == "letterbox" else 1]:
                used = given if any(given) else (0, 0, *frame)
                want = [[box_to_frame(b, frame, used, turns, fit) for b in boxes[0].astype(np.float64)]]
                feed = {"i": pixels, "x": boxes / share if fit == "stretch" else boxes}
                if run:
                    feed["i_region"] = np.array(given, np.int32)
                suite.check(f"boxes, {fit} {turns} region {given if run else 'fixed'}", *common, [f"--image-input=i=RGB:{frame[0]}x{frame[1]}:region={where}{words}", f"--fit={fit}", f"--append=boxes:y,shares={int(fit == 'stretch')}"], feed, {"y": np.array(want)}, 1e-3)
        # Middle and size, from a picture of another size.
        center = np.concatenate([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)
        resized, offset = placed((70, 60), "letterbox")
        by = np.array([70 / resized[0], 60 / resized[1]])
        want = np.concatenate([(center[..., :2] - np.array(offset)) * by, center[..., 2:] * by], -1)
        suite.check("boxes as middle and size", *common, ["--source-size=60x70", "--fit=letterbox", "--preprocess-input=i", "--append=boxes:y,format=center"], {"i": random.rand(1, 3, 60, 70).astype(np.float32), "x": center}, {"y": want}, 1e-3)
        print(f"{suite.passed} passed, {suite.failed} failed")
        return suite.failed != 0


if __name__ == "__main__":
    sys.exit(main())
