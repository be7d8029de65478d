#!/usr/bin/env python3
"""Accuracy of own INT8 models beside ONNX Runtime's static quantizer: same calibration samples, other samples to judge.

usage: quantize.py [--models DIR] [--method M] [--samples N] [--flags="..."] [name...]
Samples are the model's inputs and seeded variants of them (shifted, mirrored, brighter and darker pictures; other words). Both
quantized files are judged in ONNX Runtime without optimizations, all float outputs together: signal to noise against the float model in dB
(larger is better), and how often the largest of the last dim is the same. A line a model, last the mean of the differences.
"""
import argparse
import logging
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODELS = "mobilenetv2_dog ultraface_rfb_320 yunet_s_320 resnet50_p12 minilm_l6_v2 sr_espcn_x3".split()
METHODS = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy, "percentile": CalibrationMethod.Percentile}


def variant(feed, rng):
    """Another sample like this one."""
    out = {}
    for name, x in feed.items():
        if x.dtype == np.float32 and x.ndim == 4:
            shift = rng.integers(-x.shape[-1] // 4, x.shape[-1] // 4 + 1, 2)
            y = np.roll(x, shift, (2, 3))
            y = y[..., ::-1] if rng.random() < 0.5 else y
            middle = float(x.mean())
            y = (y - middle) * rng.uniform(0.7, 1.1) + middle
            out[name] = np.ascontiguousarray(np.clip(y + rng.normal(0, 0.02 * x.std(), x.shape), x.min(), x.max()), dtype=np.float32)
        elif np.issubdtype(x.dtype, np.integer) and x.ndim == 2 and x.max() > 1:  # ids of words: first and last stay
            y = x.copy()
            inner = y[:, 1:-1]
            change = (rng.random(inner.shape) < 0.4) & (inner > 0)
            inner[change] = rng.integers(1000, 20000, inner.shape)[change]
            out[name] = y
        else:
            out[name] = x
    return out


class Reader(CalibrationDataReader):
    def __init__(self, feeds):
        self.feeds = iter(feeds)

    def get_next(self):
        return next(self.feeds, None)


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def judge(float_outputs, path, feeds):
    s, signal, noise, same, all = session(path), 0.0, 0.0, 0, 0
    for want, feed in zip(float_outputs, feeds):
        for w, g in zip(want, s.run(None, feed)):
            signal += float((w.astype(np.float64) ** 2).sum())
            noise += float(((w.astype(np.float64) - g) ** 2).sum())
            if w.ndim:
                same += int((w.argmax(-1) == g.argmax(-1)).sum())
                all += int(np.prod(w.shape[:-1]))
    return 10 * np.log10(signal / max(noise, 1e-30)), same / max(all, 1)


def reference(model, folder, feeds, method):
    """ONNX Runtime's static quantizer as its documentation recommends: preprocessed, by channel, QDQ."""
    prepared, out = os.path.join(folder, "prepared.onnx"), os.path.join(folder, "reference.onnx")
    graph = onnx.load(model)
    constants = {t.name for t in graph.graph.initializer}
    for value in [v for v in graph.graph.input if v.name in constants]:
        graph.graph.input.remove(value)
    if graph.opset_import[0].version < 13:  # scales a channel need it
        graph = onnx.version_converter.convert_version(graph, 17)
    model = os.path.join(folder, "upgraded.onnx")
    onnx.save(graph, model)
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, out, Reader(feeds), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                    calibrate_method=METHODS[method])
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("--models", default=os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models")))
    parser.add_argument("--method", default="minmax", choices=METHODS, help="of ONNX Runtime; own flags are separate")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--flags", default="", help="more flags of burin-quantize")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    logging.disable(logging.CRITICAL)
    print(f"{'model':22} {'own SQNR':>9} {'top-1':>6} {'ORT SQNR':>9} {'top-1':>6}")
    gains = []
    for name in args.names or MODELS:
        model = os.path.join(args.models, name + ".onnx")
        if not os.path.exists(model):
            print(f"{name:22} skipped: no such model")
            continue
        base, rng = dict(np.load(os.path.join(args.models, name + ".inputs.npz"))), np.random.default_rng(1)
        calibration = [base] + [variant(base, rng) for _ in range(args.samples - 1)]
        judged = [variant(base, rng) for _ in range(4)]
        exact = session(model)
        want = [exact.run(None, feed) for feed in judged]
        with tempfile.TemporaryDirectory() as folder:
            words = [os.path.join(args.bin, "burin-quantize"), model, "-o", os.path.join(folder, "own.onnx"), *args.flags.split()]
            for i, feed in enumerate(calibration):
                np.savez(os.path.join(folder, f"{i}.npz"), **feed)
                words.append(f"--calibrate={folder}/{i}.npz")
            done = subprocess.run(words, capture_output=True, text=True)
            own = judge(want, os.path.join(folder, "own.onnx"), judged) if done.returncode == 0 else None
            if own is None:
                print(f"{name:22} {done.stderr.strip()}")
            try:
                other = judge(want, reference(model, folder, calibration, args.method), judged)
            except Exception as e:
                other = None
                print(f"{name:22} ONNX Runtime: {str(e).splitlines()[0][:120]}")
        text = lambda r: f"{r[0]:6.1f} dB {100 * r[1]:5.1f}%" if r else f"{'-':>16}"
        print(f"{name:22} {text(own)} {text(other)}", flush=True)
        if own and other:
            gains.append(own[0] - other[0])
    if gains:
        print(f"own - ORT, mean over {len(gains)}: {np.mean(gains):+.1f} dB")


if __name__ == "__main__":
    sys.exit(main())
