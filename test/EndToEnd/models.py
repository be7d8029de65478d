"""Whole models through the whole road: compiled to each kind of artifact, run, compared with ONNX Runtime.

usage: models.py [--full] [--bin DIR] [name...]     prints "N passed, N failed, N skipped"

Models: small generated ones (generated.py) on every target and artifact; those that packages ship; and, where they lie beside the
project, the 26 float models with expected outputs (skipped elsewhere).
"""
import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from generated import MODELS  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AARCH64 = os.path.isdir("/usr/aarch64-linux-gnu") and shutil.which("qemu-aarch64")
FLOAT_MODELS = """mnist_cntk sr_espcn_x3 edsr_x2_manualshuffle sr_unshuffle_dn unet_convtranspose ultraface_rfb_320 yunet_s_320 yolox_nano_416
yolo_pico_focus mtcnn_pnet mobilenetv2_dog mobilenetv3_small_050 mobilenetv4_conv_small_035 ghostnet_050 fasternet_w32 mobilevit_xxs vit_192d3l
resnet50_p12 light_resnet50 light_shufflenet light_squeezenet ppocr_v4_det ppocr_v2_cls whisperlike_enc_192d2l minilm_l6_v2 basic_pitch_nmp""".split()
QUICK = {"mnist_cntk", "ultraface_rfb_320", "ppocr_v2_cls", "vit_192d3l", "ghostnet_050", "unet_convtranspose"}


class Failure(Exception):
    pass


def call(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **more)
    if done.returncode:
        raise Failure(f"{os.path.basename(command[0])}: {(done.stderr.strip().splitlines() or ['exit %d' % done.returncode])[0]}")
    return done


def reference(model, feed):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feed)))


def compare(got, want, limit=1e-4):
    for name, w in want.items():
        if name not in got:
            raise Failure(f"output '{name}' is missing")
        g = got[name]
        if g.shape != w.shape or g.dtype != w.dtype:
            raise Failure(f"'{name}' is {g.dtype}{list(g.shape)}, expected {w.dtype}{list(w.shape)}")
        if w.size == 0:
            continue
        if np.issubdtype(w.dtype, np.floating):
            error = np.abs(g.astype(np.float64) - w).max() / max(0.01, np.abs(w).max())
            if not error <= limit:
                raise Failure(f"'{name}': error {error:.2g}")
        elif (g != w).any():
            raise Failure(f"'{name}': {(g != w).mean():.1%} differ")


def shapes(model, feed):
    free = [i for i in model.graph.input if i.name in feed and any(not d.HasField("dim_value") or d.dim_value <= 0 for d in i.type.tensor_type.shape.dim)]
    return [f for i in free for f in ("--shape", f"{i.name}=" + "x".join(map(str, feed[i.name].shape)))]


class Case:
    def __init__(self, bindir, folder, path, feed):
        self.compiler, self.runner = os.path.join(bindir, "burin-compile"), os.path.join(bindir, "burin-run")
        self.folder, self.path, self.feed = folder, path, feed
        self.inputs = os.path.join(folder, "inputs.npz")
        np.savez_compressed(self.inputs, **feed)
        self.flags = shapes(onnx.load(path, load_external_data=False), feed)
        self.want = reference(path, feed)

    def compile(self, name, *flags):
        out = os.path.join(self.folder, name)
        call([self.compiler, self.path, "-o", out, *self.flags, *flags])
        return out

    def outputs(self, *command):
        y = os.path.join(self.folder, "y.npz")
        if os.path.exists(y):
            os.remove(y)
        call([*command, "--inputs", self.inputs, "--outputs", y])
        z = np.load(y)
        return {k: z[k] for k in z.files}

    def check(self, *command):
        compare(self.outputs(*command), self.want)

    # One test each.
    def exe(self):
        self.check(self.compile("program", "--emit=exe"))

    def avx2(self):
        self.check(self.compile("program-v3", "--emit=exe", "--target=x86-64-v3"))

    def aarch64(self):
        self.check("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", self.compile("program-arm", "--emit=exe", "--target=aarch64"))

    def shared(self):
        self.check(self.runner, self.compile("model.so", "--emit=shared"))

    def run_model(self):
        self.check(self.runner, self.path, "--cache-dir", os.path.join(self.folder, "cache"))
        self.check(self.runner, self.path, "--cache-dir", os.path.join(self.folder, "cache"))  # from the cache

    def arena(self):
        """The plan is at most 1.3 times what must live at once, a tested number."""
        program = os.path.join(self.folder, "program")
        text = call([program, "--describe"]).stdout
        arena, peak = (int(re.search(k, text).group(1)) for k in (r"arena: (\d+) bytes", r"times the (\d+) bytes that live"))
        if arena > 1.3 * peak + 4096:
            raise Failure(f"arena of {arena} bytes for {peak} live at once")

    def library(self):
        """A C program over the static library and its header, nothing else linked."""
        lib = self.compile("net.a", "--emit=lib", "--name=net")
        header = os.path.splitext(lib)[0] + ".h"
        if not os.path.exists(header):
            raise Failure(f"no header {os.path.basename(header)} beside the library")
        main = os.path.join(self.folder, "main.c")
        with open(main, "w") as f:
            f.write('#include "net.h"\n#include <burin/runtime.h>\nextern const burin_model net_model;\n'
                    "int main(void) { return burin_check_model(&net_model); }\n")
        call(["clang-22", "-Wall", "-Werror", "-I", self.folder, "-I", os.path.join(ROOT, "include"), main, lib, "-o", main + ".out"])
        call([main + ".out"])

    def static(self):
        self.check(self.compile("program-static", "--emit=exe", "--static"))

    def deterministic(self):
        a, b = self.compile("a.o", "--emit=obj", "--name=net"), self.compile("b.o", "--emit=obj", "--name=net")
        if open(a, "rb").read() != open(b, "rb").read():
            raise Failure("two compilations gave different bytes")


def package(name, *parts):
    spec = importlib.util.find_spec(name)
    return os.path.join(os.path.dirname(spec.origin), *parts) if spec else None


def package_models():
    r = np.random.default_rng(0)
    ocr = lambda f: package("rapidocr_onnxruntime", "models", f)
    yield "rapidocr_det", ocr("ch_PP-OCRv4_det_infer.onnx"), {"x": r.standard_normal((1, 3, 64, 96), np.float32)}
    yield "rapidocr_cls", ocr("ch_ppocr_mobile_v2.0_cls_infer.onnx"), {"x": r.standard_normal((2, 3, 48, 192), np.float32)}
    yield "rapidocr_rec", ocr("ch_PP-OCRv4_rec_infer.onnx"), {"x": r.standard_normal((1, 3, 48, 160), np.float32)}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--full", action="store_true")
    ap.add_argument("--bin", default=os.path.join(os.path.abspath(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build"))), "bin"))
    ap.add_argument("--models", default=os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models")))
    ap.add_argument("names", nargs="*")
    a = ap.parse_args()
    counts = {"ok": 0, "FAIL": 0, "skip": 0}

    def test(name, run):
        if a.names and not any(n in name for n in a.names):
            return
        try:
            why = run()
            verdict, why = ("skip", why) if why else ("ok", "")
        except (Failure, subprocess.TimeoutExpired, OSError) as e:
            verdict, why = "FAIL", str(e)
        counts[verdict] += 1
        print(f"{verdict:4s} {name:40s} {why[:160]}", flush=True)

    for name, make in MODELS.items():
        if a.names and not any(n in name or name in n for n in a.names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            model, feed = make()
            path = os.path.join(folder, name + ".onnx")
            onnx.save(model, path)
            case = Case(a.bin, folder, path, feed)
            for kind in ("exe", "arena", "avx2", "aarch64", "shared", "run_model", "library", "static", "deterministic"):
                test(f"{name}.{kind}", (lambda: "no emulator") if kind == "aarch64" and not AARCH64 else getattr(case, kind))
    for name, path, feed in package_models():
        if a.names and not any(n in name or name in n for n in a.names):
            continue
        if not path or not os.path.exists(path):
            test(name, lambda: "the package is not installed")
            continue
        with tempfile.TemporaryDirectory() as folder:
            case = Case(a.bin, folder, path, feed)
            for kind in ("exe", "arena", "avx2"):
                test(f"{name}.{kind}", getattr(case, kind))
    correct = os.path.join(os.path.dirname(a.models), "bench", "correct.py")
    for name in FLOAT_MODELS if a.full else [n for n in FLOAT_MODELS if n in QUICK]:
        path = os.path.join(a.models, name + ".onnx")
        there = os.path.exists(path) and os.path.exists(correct)
        test(f"models.{name}", (lambda: call([sys.executable, correct, "--bin", a.bin, path]) and None) if there else (lambda: "the model is not here"))
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    sys.exit(counts["FAIL"] != 0)


if __name__ == "__main__":
    main()
