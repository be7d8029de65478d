"""The quickstart's main job: text detection as a standalone program, beside ONNX Runtime on the same picture.

usage: quickstart_text.py --build DIR [STAGE=MILLISECONDS...]

Takes the PP-OCRv4 detector of the package rapidocr-onnxruntime and a page of text that scikit-image ships, compiles the
detector for the picture's shape, runs the program, outlines what it found and prints a table. Pre- and postprocessing are
those of differentiable binarization (Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", 2020):
the network gives each pixel's probability of lying in a shrunk text region; regions above a threshold are grown back.
"""
import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time

import numpy as np
from PIL import Image, ImageDraw
from skimage.measure import label, regionprops

THRESHOLD, MIN_SCORE, MIN_SIDE, GROW = 0.3, 0.6, 3, 1.6
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def package_file(package, *parts):
    return os.path.join(os.path.dirname(importlib.util.find_spec(package).origin), *parts)


def preprocess(picture):
    """RGB picture -> float32 [1, 3, h, w], sides rounded to multiples of 32 as the network needs."""
    size = [max(32, round(s / 32) * 32) for s in picture.size]
    x = np.asarray(picture.resize(size, Image.BILINEAR), np.float32) / 255
    return np.ascontiguousarray((((x - MEAN) / DEVIATION).transpose(2, 0, 1))[None])


def regions(probability, size):
    """Corners (four x, y pairs, in pixels of a picture of `size`) of a rectangle along each region of text, and its score."""
    scale = np.array([size[0] / probability.shape[1], size[1] / probability.shape[0]])
    for r in regionprops(label(probability > THRESHOLD), intensity_image=probability):
        points = r.coords[:, ::-1] + 0.5
        center = points.mean(axis=0)
        axes = np.linalg.eigh(np.cov((points - center).T) if len(points) > 1 else np.eye(2))[1]  # columns: across, along the text
        inside = (points - center) @ axes
        low, high = inside.min(axis=0) - 0.5, inside.max(axis=0) + 0.5
        if (high - low).min() < MIN_SIDE or r.intensity_mean < MIN_SCORE:
            continue
        grow = (high - low).prod() * GROW / (2 * (high - low).sum())  # the published offset: area * ratio / perimeter
        low, high = low - grow, high + grow
        corners = np.array([[low[0], low[1]], [low[0], high[1]], [high[0], high[1]], [high[0], low[1]]])
        yield (center + corners @ axes.T) * scale, float(r.intensity_mean)


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{os.path.basename(command[0])} failed:\n{done.stderr.strip()}")
    return done.stdout


def onnxruntime_session(model):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def interleaved(session, feed, program, inputs, rounds=5, seconds=0.3):
    """Median ms of ONNX Runtime and of the program, timed in turns so that a drifting machine hits both alike."""
    theirs, ours, last = [], [], None
    session.run(None, feed)
    for _ in range(rounds):
        start, times = time.perf_counter(), []
        while time.perf_counter() - start < seconds:
            t = time.perf_counter()
            session.run(None, feed)
            times.append(time.perf_counter() - t)
        theirs.append(1e3 * float(np.median(times)))
        last = json.loads(run([program, "--inputs", inputs, f"--bench={seconds}"]).strip().splitlines()[-1])
        ours.append(last["median_ms"])
    return float(np.median(theirs)), float(np.median(ours)), last


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", default="build")
    ap.add_argument("--picture", default=package_file("skimage", "data", "page.png"))
    ap.add_argument("stages", nargs="*")
    a = ap.parse_args()
    stages = [s.rsplit("=", 1) for s in a.stages]
    model = package_file("rapidocr_onnxruntime", "models", "ch_PP-OCRv4_det_infer.onnx")
    out = os.path.join(a.build, "quickstart")
    os.makedirs(out, exist_ok=True)
    inputs, outputs, program, png = (os.path.join(out, n) for n in ("input.npz", "output.npz", "text-detector", "text.png"))

    picture = Image.open(a.picture).convert("RGB")
    picture = picture.resize((picture.width * 2, picture.height * 2), Image.BICUBIC)  # a small scan: letters of ~10 pixels
    x = preprocess(picture)
    session = onnxruntime_session(model)
    name = session.get_inputs()[0].name
    np.savez(inputs, **{name: x})

    t = time.perf_counter()
    shape = "x".join(map(str, x.shape))
    run([os.path.join(a.build, "bin", "burin-compile"), model, "-o", program, "--emit=exe", "--shape", f"{name}={shape}"])
    stages.append(["compile the model", str(round(1e3 * (time.perf_counter() - t)))])

    run([program, "--inputs", inputs, "--outputs", outputs])
    got = np.load(outputs)
    probability = got[got.files[0]][0, 0]
    want = session.run(None, {name: x})[0][0, 0]
    theirs, ours, facts = interleaved(session, {name: x}, program, inputs)

    draw, found = ImageDraw.Draw(picture), 0
    for corners, _ in regions(probability, picture.size):
        draw.line([tuple(p) for p in [*corners, corners[0]]], fill=(220, 30, 60), width=2)
        found += 1
    picture.save(png)

    rows = [("text regions found", f"{found}"), ("largest difference to ONNX Runtime", f"{np.abs(probability - want).max():.1e}"),
            ("time per picture, Burin", f"{ours:.2f} ms"), ("time per picture, ONNX Runtime", f"{theirs:.2f} ms (1 thread, same run; Burin / ONNX Runtime = {ours / theirs:.2f})"),
            ("program", f"{os.path.getsize(program) / 1e6:.2f} MB, of which weights {facts['weights_bytes'] / 1e6:.2f} MB"),
            ("arena", f"{facts['arena_bytes'] / 1e6:.2f} MB")]
    rows += [(f"set-up: {n}", f"{int(ms) / 1e3:.1f} s") for n, ms in stages]
    width = max(len(r[0]) for r in rows)
    print(f"\nPP-OCRv4 text detector on {os.path.basename(a.picture)}, {x.shape[3]} x {x.shape[2]} pixels")
    for key, value in rows:
        print(f"  {key:{width}s}  {value}")
    print(f"  {'picture with the text outlined':{width}s}  {png}")


if __name__ == "__main__":
    main()
