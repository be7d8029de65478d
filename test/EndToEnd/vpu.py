"""Whole models on the emulated vision unit, compared with what ONNX Runtime gives in f32.

usage: vpu.py [--bin DIR] [--models DIR] [name...]     prints a line a model and "N passed, N failed, N skipped"

A model passes where its largest error, on each of its sets of inputs, is at most 5e-3 of the output's maximum, or 1.5 times what ONNX
Runtime itself shows on the model in f16 (the better of as Burin writes it, `--precision=f16 --emit=onnx`, and as ONNX Runtime's own
converter does: it computes in f32 between some operators of either), or where expectations/vpu.json says why not. Networks that overflow go through `--fix-fp16` first, on their
own inputs. Classifiers must name the same class, detectors the same boxes (detections.py). Blobs are made twice: the same bytes.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

from detections import disagreement
from models import FLOAT_MODELS, QUICK, ROOT, Failure, call, reference

# Binding of free dims.
SHAPES = {"mobilenetv3_small_050": ["--dim=batch=1"], "sr_espcn_x3": ["--dim=batch_size=1"], "mtcnn_pnet": ["--shape=input_1=1x96x120x3"],
          "basic_pitch_nmp": ["--shape=serving_default_input_2:0=1x43844x1"], "ppocr_v4_det": ["--shape=x=1x3x192x384"], "ppocr_v2_cls": ["--shape=x=1x3x48x192"],
          "minilm_l6_v2": ["--shape=input_ids=3x11", "--shape=attention_mask=3x11", "--shape=token_type_ids=3x11"]}

# What is float and convolutional beside the models of models.py: branches, and models that are f16 already.
MORE = ["early_exit_2", "mobilenetv2_dog_fp16", "ultraface_rfb_320_fp16"]
# Activations beyond the largest half: --fix-fp16 holds them divided by powers of two.
OVERFLOW = {"light_squeezenet", "light_resnet50"}
# Inputs that are no images keep their types.
NO_IMAGES = {"minilm_l6_v2"}


def error(got, want):
    worst = 0.0
    for name, w in want.items():
        top = np.abs(w[np.isfinite(w)]).max(initial=0) or 1.0
        difference = np.abs(got[name].astype(np.float64) - w)
        worst = max(worst, float(np.nan_to_num(difference, nan=np.inf).max(initial=0) / top))
    return worst


def half_error(folder, bin, model, flags, feed, want):
    """ONNX Runtime's own error in f16, on the better of two ways to it; 0 where neither runs."""
    import onnx
    import onnxruntime
    from onnxruntime.transformers.float16 import convert_float_to_float16

    def ours():
        path = os.path.join(folder, "half.onnx")
        call([f"{bin}/burin-compile", model, *flags, "--precision=f16", "--emit=onnx", "-o", path])
        return error(reference(path, feed), want)

    def theirs():
        half = convert_float_to_float16(onnx.load(model), keep_io_types=True)
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        session = onnxruntime.InferenceSession(half.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        return error(dict(zip([o.name for o in session.get_outputs()], session.run(None, feed))), want)

    errors = []
    for way in (ours, theirs):
        try:
            errors.append(way())
        except Exception as e:
            print("  ONNX Runtime in f16: %s" % str(e).splitlines()[0][:150])
    return min((e for e in errors if np.isfinite(e)), default=0.0)


def sets(models, name):
    """(path of inputs, inputs, expected outputs) of each set that has the first one's shapes."""
    found = []
    for number in ("", "2", "3"):
        path = os.path.join(models, f"{name}.inputs{number}.npz")
        if os.path.exists(path):
            feed = dict(np.load(path))
            if not found or all(feed[n].shape == a.shape for n, a in found[0][1].items()):
                found.append((path, feed, dict(np.load(os.path.join(models, f"{name}.expected{number}.npz")))))
    return found


def check(bin, models, name):
    model = os.path.join(models, name + ".onnx")
    flags = SHAPES.get(name, [])
    samples = sets(models, name)
    with tempfile.TemporaryDirectory() as folder:
        blob, out = os.path.join(folder, "a.blob"), os.path.join(folder, "out.npz")
        source = model
        if name in OVERFLOW:
            source = os.path.join(folder, "fixed.onnx")
            call([f"{bin}/burin-compile", model, *flags, "--check-fp16=" + os.path.join(models, name + ".inputs.npz"), "--fix-fp16", "-o", source],
                 env={**os.environ, "BURIN_PYTHON": sys.executable})
        if name not in NO_IMAGES:
            flags = flags + ["--input-type=" + ("f16" if next(iter(samples[0][1].values())).dtype == np.float16 else "f32")]
        before = time.time()
        call([f"{bin}/burin-compile", source, *flags, "--target=myriad", "-o", blob])
        compiled = time.time() - before
        call([f"{bin}/burin-compile", source, *flags, "--target=myriad", "-o", blob + "2"])
        with open(blob, "rb") as a, open(blob + "2", "rb") as b:
            if a.read() != b.read():
                raise Failure("two compilations make different bytes")
        for path, feed, want in samples:
            before = time.time()
            call([f"{bin}/burin-run", blob, "--inputs", path, "--outputs", out])
            ran = time.time() - before
            got = dict(np.load(out))
            mine = error(got, want)
            limit, text = 5e-3, ""
            if mine > limit:
                theirs = half_error(folder, bin, model, [f for f in flags if not f.startswith("--input-type")], feed, want)
                limit, text = max(limit, 1.5 * theirs), f", ONNX Runtime in f16 {theirs:.1e}"
            print(f"{name}: error {mine:.1e}{text}, {os.path.getsize(blob) / 1e6:.2f} MB, compiled in {compiled:.1f} s, emulated in {ran:.1f} s", flush=True)
            if differs := disagreement(name, got, want):
                raise Failure(differs)
            if not mine <= limit:
                raise Failure(f"error {mine:.1e}, expected at most {limit:.1e}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("--models", default=os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models")))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = options.names or [n for n in FLOAT_MODELS + MORE if options.full or n in QUICK]
    with open(os.path.join(ROOT, "test", "EndToEnd", "expectations", "vpu.json")) as f:
        known = json.load(f)
    passed = failed = skipped = 0
    for name in names:
        if not os.path.exists(os.path.join(options.models, name + ".onnx")):
            skipped += 1
            continue
        try:
            check(options.bin, options.models, name)
            if name in known:
                raise Failure("passes, and is listed in expectations/vpu.json")
            passed += 1
        except (Failure, subprocess.TimeoutExpired) as e:
            expected = name in known and "is listed" not in str(e)
            passed += expected
            failed += not expected
            print(f"{name}: {e}" + (f" (known: {known[name]})" if expected else ""))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
