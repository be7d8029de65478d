#!/usr/bin/env python3
"""Accuracy of own INT8 models beside ONNX Runtime's static quantizer and NNCF: same calibration samples, other samples to judge.

usage: quantize.py [--models DIR] [--method M] [--samples N] [--flags="..."] [--seeds S,...] [--no-peers] [name...]
Samples are the model's inputs and seeded variants of them (shifted, mirrored, brighter and darker pictures; other words). All
quantized files are judged in ONNX Runtime without optimizations: signal to noise of all float outputs together against the float model in dB
(larger is better), and how well the task agrees with it: the same largest class (top-1), the overlap of the 20 best boxes (IoU), the cosine
of sentence vectors. A line a model: means over the seeds, each of which stands for JUDGED samples of its own; own SQNR less that of the best peer, from the
worst seed to the best; last, the same over all models. NNCF takes part where Python has it (`pip install nncf`).
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

try:
    import nncf
except ImportError:
    nncf = None

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODELS = "mobilenetv2_dog ultraface_rfb_320 yunet_s_320 resnet50_p12 minilm_l6_v2 sr_espcn_x3 mobilenetv3_small_050".split()
JUDGED = 12
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


def best_boxes(names, outputs):
    """Corners of the boxes of a detector's outputs, with scores; nothing where they are no boxes."""
    named = dict(zip(names, outputs))
    if {"scores", "boxes"} <= set(named):
        return named["boxes"][0], named["scores"][0, :, -1]
    if not {"cls_8", "obj_8", "bbox_8"} <= set(named):
        return None
    boxes, scores = [], []
    for stride in (8, 16, 32):
        delta = named[f"bbox_{stride}"][0]
        width = int(round(len(delta) ** 0.5))
        cell = np.arange(len(delta))
        x, y = (cell % width + delta[:, 0]) * stride, (cell // width + delta[:, 1]) * stride
        w, h = np.exp(delta[:, 2]) * stride, np.exp(delta[:, 3]) * stride
        boxes.append(np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1))
        scores.append((named[f"cls_{stride}"][0, :, 0].clip(0, 1) * named[f"obj_{stride}"][0, :, 0].clip(0, 1)) ** 0.5)
    return np.concatenate(boxes), np.concatenate(scores)


def overlap(a, b):
    size = lambda r: (r[:, 2] - r[:, 0]).clip(0) * (r[:, 3] - r[:, 1]).clip(0)
    both = np.concatenate([np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])], 1)
    return size(both) / np.maximum(size(a) + size(b) - size(both), 1e-12)


def agreement(names, want, got, feed):
    """How well the task agrees, 1 is the same; and what that is."""
    boxes = best_boxes(names, want)
    if boxes:
        best = np.argsort(-boxes[1])[:20]
        return float(overlap(boxes[0][best], best_boxes(names, got)[0][best]).mean()), "IoU"
    if "attention_mask" in feed and want[0].ndim == 3:
        mask = feed["attention_mask"][..., None]
        a, b = ((x * mask).sum(1) / mask.sum(1) for x in (want[0], got[0]))
        return float(((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)).mean()), "cosine"
    if want[0].ndim == 2:
        return float((want[0].argmax(-1) == got[0].argmax(-1)).mean()), "top-1"
    return float("nan"), ""


def judge(float_outputs, path, feeds):
    s, signal, noise, same = session(path), 0.0, 0.0, []
    names = [o.name for o in s.get_outputs()]
    for want, feed in zip(float_outputs, feeds):
        got = s.run(None, feed)
        for w, g in zip(want, got):
            signal += float((w.astype(np.float64) ** 2).sum())
            noise += float(((w.astype(np.float64) - g) ** 2).sum())
        same.append(agreement(names, want, got, feed))
    return 10 * np.log10(signal / max(noise, 1e-30)), float(np.mean([v for v, _ in same])), same[0][1]


def upgraded(model, folder):
    """The model as the other quantizers want it: no constants among the inputs, an opset with scales a channel."""
    graph = onnx.load(model)
    constants = {t.name for t in graph.graph.initializer}
    for value in [v for v in graph.graph.input if v.name in constants]:
        graph.graph.input.remove(value)
    if graph.opset_import[0].version < 13:
        graph = onnx.version_converter.convert_version(graph, 17)
    onnx.save(graph, os.path.join(folder, "upgraded.onnx"))
    return os.path.join(folder, "upgraded.onnx")


def by_onnxruntime(model, folder, feeds, method):
    """As its documentation recommends: preprocessed, by channel, QDQ."""
    prepared, out = os.path.join(folder, "prepared.onnx"), os.path.join(folder, "onnxruntime.onnx")
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    quantize_static(prepared, out, Reader(feeds), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                    calibrate_method=METHODS[method])
    return out


def by_nncf(model, folder, feeds):
    out = os.path.join(folder, "nncf.onnx")
    kind = nncf.ModelType.TRANSFORMER if "attention_mask" in feeds[0] else None
    make = lambda path: nncf.quantize(onnx.load(path), nncf.Dataset(feeds), subset_size=len(feeds), model_type=kind)
    try:
        made = make(model)
    except AttributeError:  # NNCF stumbles over a Cast of a constant: folded, it reads the model
        prepared = os.path.join(folder, "prepared_nncf.onnx")
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
        made = make(prepared)
    onnx.save(made, out)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("--models", default=os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models")))
    parser.add_argument("--method", default="minmax", choices=METHODS, help="of ONNX Runtime; own flags are separate")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--flags", default="", help="more flags of burin-quantize")
    parser.add_argument("--seeds", default="0,1,2,3", help="of the samples to judge by")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    logging.disable(logging.CRITICAL)
    peers = {} if args.no_peers else {"ORT": lambda *a: by_onnxruntime(*a, args.method), **({"NNCF": by_nncf} if nncf else {})}
    print(f"{'model':22} " + "".join(f"{who + ' SQNR':>12} {'task':>14}" for who in ["own", *peers]))
    gains = []
    for name in args.names or MODELS:
        model = os.path.join(args.models, name + ".onnx")
        if not os.path.exists(model):
            print(f"{name:22} skipped: no such model")
            continue
        base, rng = dict(np.load(os.path.join(args.models, name + ".inputs.npz"))), np.random.default_rng(1)
        calibration = [base] + [variant(base, rng) for _ in range(args.samples - 1)]
        judged = [[variant(base, r) for _ in range(JUDGED)] for r in (np.random.default_rng(1000 + int(seed)) for seed in args.seeds.split(","))]
        exact = session(model)
        want = [[exact.run(None, feed) for feed in feeds] for feeds in judged]
        on_all = lambda path: [judge(w, path, feeds) for w, feeds in zip(want, judged)]
        with tempfile.TemporaryDirectory() as folder:
            words = [os.path.join(args.bin, "burin-quantize"), model, "-o", os.path.join(folder, "own.onnx"), *args.flags.split()]
            for i, feed in enumerate(calibration):
                np.savez(os.path.join(folder, f"{i}.npz"), **feed)
                words.append(f"--calibrate={folder}/{i}.npz")
            done = subprocess.run(words, capture_output=True, text=True)
            results = {"own": on_all(os.path.join(folder, "own.onnx")) if done.returncode == 0 else None}
            if done.returncode:
                print(f"{name:22} {done.stderr.strip()}")
            for who, make in peers.items():
                try:
                    results[who] = on_all(make(upgraded(model, folder), folder, calibration))
                except Exception as e:
                    results[who] = None
                    print(f"{name:22} {who}: {str(e).strip().splitlines()[0][:120]}")
        mean = lambda r, i: np.mean([x[i] for x in r])
        text = lambda r: f"{mean(r, 0):9.1f} dB {r[0][2]:>7} {mean(r, 1):6.4f}" if r else f"{'-':>27}"
        others = [r for who, r in results.items() if r and who != "own"]
        gain = [own[0] - max(r[i][0] for r in others) for i, own in enumerate(results["own"])] if results["own"] and others else []
        gains += gain
        print(f"{name:22} " + "".join(text(r) for r in results.values()) + (f"   {min(gain):+.1f} to {max(gain):+.1f} dB" if gain else ""), flush=True)
    if gains:
        print(f"own - best peer: {min(gains):+.1f} dB at worst, {np.mean(gains):+.1f} dB on average over {len(gains)}")


if __name__ == "__main__":
    sys.exit(main())
