#!/usr/bin/env python3
"""Speed of own INT8 models beside peers that run the same file, and beside own float models: one thread, called through Python, interleaved.

usage: int8.py [--models DIR] [--keep DIR] [--threads N] [--rounds N] [--seconds S] [--flags="..."] [name...]
burin-quantize makes NAME.int8.onnx in --keep (made once where it is kept) from quantize.py's calibration samples. A line a model: medians in ms, own INT8 / best
peer (want <= 1), own float / own INT8 (want > 1). Last the geometric means of both.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from quantize import MODELS, ROOT, variant


def make(binary, model, feed, out, flags, folder):
    rng = np.random.default_rng(1)
    words = [binary, model, "-o", out, *flags]
    for i in range(4):
        path = os.path.join(folder, f"{i}.npz")
        np.savez(path, **(variant(feed, rng) if i else feed))
        words.append("--calibrate=" + path)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ours(path, feed, threads):
    import burin
    s = burin.InferenceSession(path, threads=threads)
    feed = {i.name: feed[i.name] for i in s.get_inputs()}
    return lambda: s.run(None, feed)


def onnxruntime(path, feed, threads):
    import onnxruntime as ort
    ort.set_default_logger_severity(4)
    o = ort.SessionOptions()
    o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    feed = {i.name: feed[i.name] for i in s.get_inputs()}
    return lambda: s.run(None, feed)


def openvino(path, feed, threads):
    import openvino as ov
    core = ov.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
    model = core.read_model(path)
    shapes = {n: list(feed[n].shape) for p in model.inputs for n in p.names if p.partial_shape.is_dynamic}
    if shapes:
        model.reshape(shapes)
    request = core.compile_model(model, "CPU").create_infer_request()
    feed = {n: feed[n] for p in model.inputs for n in p.names}
    return lambda: request.infer(feed, share_inputs=True, share_outputs=True)


def timed(call, seconds):
    call()
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds or len(times) < 3:
        t = time.perf_counter()
        call()
        times.append(time.perf_counter() - t)
    return statistics.median(times) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("--models", default=os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models")))
    parser.add_argument("--keep")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--flags", default="", help="more flags of burin-quantize")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    print(f"{'model':22} {'onnxruntime':>11} {'openvino':>9} {'INT8':>9} {'float':>9} {'/ peer':>7} {'gain':>6}")
    ratios, gains = [], []
    with tempfile.TemporaryDirectory() as folder:
        keep = args.keep or folder
        os.makedirs(keep, exist_ok=True)
        for name in args.names or MODELS:
            model, quantized = os.path.join(args.models, name + ".onnx"), os.path.join(keep, name + ".int8.onnx")
            if not os.path.exists(model):
                print(f"{name:22} skipped: no such model")
                continue
            feed = dict(np.load(os.path.join(args.models, name + ".inputs.npz")))
            if not os.path.exists(quantized):
                make(os.path.join(args.bin, "burin-quantize"), model, feed, quantized, args.flags.split(), folder)
            calls, times = {}, {}
            for who, load, path in (("onnxruntime", onnxruntime, quantized), ("openvino", openvino, quantized), ("INT8", ours, quantized), ("float", ours, model)):
                try:
                    calls[who] = load(path, feed, args.threads)
                except Exception as e:
                    print(f"{name:22} {who}: {str(e).splitlines()[0][:140]}")
            for _ in range(args.rounds):
                for who, call in calls.items():
                    times.setdefault(who, []).append(timed(call, args.seconds))
            ms = {who: statistics.median(times[who]) if who in times else float("nan") for who in ("onnxruntime", "openvino", "INT8", "float")}
            ratios.append(ms["INT8"] / min(ms[w] for w in ("onnxruntime", "openvino") if w in times))
            gains.append(ms["float"] / ms["INT8"])
            print(f"{name:22} {ms['onnxruntime']:11.3f} {ms['openvino']:9.3f} {ms['INT8']:9.3f} {ms['float']:9.3f} {ratios[-1]:7.2f} {gains[-1]:6.2f}", flush=True)
    print(f"geometric means: / peer {np.exp(np.mean(np.log(ratios))):.3f}, gain {np.exp(np.mean(np.log(gains))):.2f}")


if __name__ == "__main__":
    sys.exit(main())
