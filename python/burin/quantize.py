"""Quantization from Python, with the words of burin-quantize.

    report = burin.quantize("net.onnx", "net.int8.onnx", calibrate=["a.npz", "pictures/"], method="mse")
    report = burin.quantize("net.onnx", "net.int8.onnx", calibrate=samples)                samples: feeds, dicts of arrays
    report = burin.quantize("net.onnx", "net.int8.onnx", calibrate=samples, max_drop=0.01, evaluate=score)

`evaluate` is called with a session of a candidate and returns a number, larger is better. `main` is burin-quantize with
`--evaluate SCRIPT.py`, whose function `evaluate(session)` does the same.
"""
import importlib.util
import json
import os
import sys
import tempfile

import numpy as np

from . import _burin
from ._session import InferenceSession


def _words(options):
    """Keyword options as words of a command line."""
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        elif isinstance(value, (list, tuple)):
            words.append(flag + "=" + ",".join(str(v) for v in value))
        elif value is not None and value is not False:
            words.append(f"{flag}={value}")
    return words


def _scorer(evaluate):
    return evaluate and (lambda path: float(evaluate(InferenceSession(path))))


def quantize(model, output, calibrate=None, *, shape=None, dim=None, evaluate=None, progress=None, **options):
    """Quantizes the file `model` into the file `output` and returns the report, a dict.

    `calibrate`: paths of .npz files and folders, or feeds (dicts of arrays by input). `shape` and `dim` are dicts; every other option
    is one of burin-quantize with underscores. `progress(what, done, total)` is called while it runs.
    """
    with tempfile.TemporaryDirectory() as folder:
        places = []
        for i, sample in enumerate([calibrate] if isinstance(calibrate, (str, os.PathLike, dict)) else calibrate or []):
            if isinstance(sample, dict):
                path = os.path.join(folder, f"{i:06}.npz")
                np.savez(path, **sample)
                sample = path
            places.append("--calibrate=" + os.fspath(sample))
        words = [os.fspath(model), "--output=" + os.fspath(output), *places, *_words(options)]
        words += [f"--shape={name}={'x'.join(map(str, dims))}" for name, dims in (shape or {}).items()]
        words += [f"--dim={name}={size}" for name, size in (dim or {}).items()]
        report, messages = _burin.quantize(words, progress, _scorer(evaluate))
    result = json.loads(report)
    result["messages"] = messages
    return result


def _load(path):
    spec = importlib.util.spec_from_file_location("burin_evaluate", path)
    if spec is None or not os.path.exists(path):
        raise _burin.Error(f"error: {path}: expected a Python file with a function evaluate(session)")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, "evaluate", None)):
        raise _burin.Error(f"error: {path}: expected a function evaluate(session), found none")
    return module.evaluate


def main(words):
    script, rest = None, []
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "--evaluate" and words:
            script = words.pop(0)
        elif word.startswith("--evaluate="):
            script = word.split("=", 1)[1]
        else:
            rest.append(word)

    def show(what, done, total):
        print(f"\r\033[K{what} {done}/{total}", end="", file=sys.stderr, flush=True)

    terminal = sys.stderr.isatty()
    try:
        report, messages = _burin.quantize(rest, show if terminal else None, _scorer(_load(script) if script else None))
    except _burin.Error as e:
        print(("\r\033[K" if terminal else "") + str(e).rstrip("\n"), file=sys.stderr)
        return 1
    print(("\r\033[K" if terminal else "") + messages, end="", file=sys.stderr)
    print(json.loads(report).get("summary", ""), end="")
    return 0

