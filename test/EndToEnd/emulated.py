"""Models compiled for other machines, run under an emulator, compared with their expected outputs.

usage: emulated.py [--full] [--bin DIR] [--target T]... [name...]     prints "N passed, N failed, N skipped"

Small generated models (generated.py) on one target of each kind; with --full those that lie beside the project, on all. A target
without an emulator or C library here is skipped. Linux programs run under qemu-user, microcontrollers as examples/cortex-m under
qemu-system-arm, WebAssembly under node. Of microcontrollers the bytes that the compiler promises are tested too.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from generated import MODELS  # noqa: E402
from models import ROOT, Failure, call, compare, reference, shapes  # noqa: E402

# Target: the emulator of its programs, and the folder of its C library.
LINUX = {
    "armv7": (["qemu-arm"], "/usr/arm-linux-gnueabihf"),
    "riscv64": (["qemu-riscv64"], "/usr/riscv64-linux-gnu"),
    "riscv64+v": (["qemu-riscv64", "-cpu", "rv64,v=true,vlen=128,vext_spec=v1.0"], "/usr/riscv64-linux-gnu"),
    "aarch64": (["qemu-aarch64"], "/usr/aarch64-linux-gnu"),
    "aarch64+dotprod+fp16+i8mm": (["qemu-aarch64", "-cpu", "max"], "/usr/aarch64-linux-gnu"),
    "rpi5": (["qemu-aarch64", "-cpu", "max"], "/usr/aarch64-linux-gnu"),
}
# Target: qemu's board, in the room of which a model must fit.
BARE = {"cortex-m4": "mps2-an386", "cortex-m7": "mps2-an500", "cortex-m55": "mps3-an547", "cortex-m55+mve": "mps3-an547"}
WASM = ["wasm32", "wasm32-scalar", "wasm32+threads"]
BARE_MODELS = ["mnist_cntk", "dtln_1", "early_exit_2", "keyword_int8", "keyword"]
CODE_BYTES = {("cortex-m7", "mnist_cntk"): 12288, ("cortex-m7", "keyword_int8"): 24576}  # beyond weights, at most
QUICK_TARGETS = ["armv7", "riscv64", "riscv64+v", "aarch64+dotprod+fp16+i8mm", "cortex-m7", "cortex-m55+mve", *WASM]
QUICK = ["mnist_cntk", "ultraface_rfb_320", "dtln_1"]
NOT_STATIC = {"ultraface_rfb_320_nms", "loop_fixed_point"}  # data decides sizes, which a browser's module has no memory for
LOOSE = {"basic_pitch_nmp": 5e-3}  # ill-conditioned


def emulator(target):
    """The command before a program's name, or why there is none."""
    command, library = LINUX[target]
    if not shutil.which(command[0]):
        return None, f"no {command[0]}"
    if not os.path.isdir(library):
        return None, f"no C library in {library}"
    return [*command, "-L", library], None


# What a failure means that is none of the program: no libgcc here, and an assertion of QEMU 7.2 itself on vector code.
NOT_OURS = ("undefined symbol: __aeabi", "decode_save_opc: Assertion")


def missing(target, binaries):
    """Why this machine cannot run programs for the target, or this build not make them; None where both can."""
    if target in LINUX:
        triple = os.path.basename(LINUX[target][1])
        if not os.path.exists(os.path.join(binaries, "..", "lib", "burin", "runtime", triple, "libburin_hosted.a")):
            return f"no hosted runtime for {triple}"
        return emulator(target)[1]
    tools = ["qemu-system-arm"] if target in BARE else ["node"]
    return next((f"no {tool}" for tool in tools if not shutil.which(tool)), None)


def keyword_model(folder, quantized):
    """A separable convolution net for spoken words (H. Zhang and others, "Hello Edge", 2017), seeded weights; as QDQ int8."""
    r = np.random.default_rng(7)
    nodes, weights, x, channels = [], [], "features", 1
    def conv(x, name, out, kernel, **attributes):
        group = attributes.get("group", 1)
        fan = kernel[0] * kernel[1] * channels // group
        weights.append(numpy_helper.from_array((r.standard_normal((out, channels // group, *kernel)) * np.sqrt(2 / fan)).astype(np.float32), name + "_w"))
        weights.append(numpy_helper.from_array((r.standard_normal(out) * 0.1).astype(np.float32), name + "_b"))
        nodes.append(helper.make_node("Conv", [x, name + "_w", name + "_b"], [name], name=name, **attributes))
        nodes.append(helper.make_node("Relu", [name], [name + "_relu"]))
        return name + "_relu"
    x, channels = conv(x, "stem", 64, (10, 4), strides=[2, 2], pads=[4, 1, 5, 1]), 64
    for i in range(4):
        x = conv(x, f"depthwise{i}", 64, (3, 3), group=64, pads=[1, 1, 1, 1])
        x = conv(x, f"pointwise{i}", 64, (1, 1))
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"]))
    weights.append(numpy_helper.from_array((r.standard_normal((64, 12)) / 8).astype(np.float32), "fc_w"))
    weights.append(numpy_helper.from_array(np.zeros(12, np.float32), "fc_b"))
    nodes.append(helper.make_node("Gemm", ["flat", "fc_w", "fc_b"], ["scores"]))
    graph = helper.make_graph(nodes, "keyword", [helper.make_tensor_value_info("features", 1, [1, 1, 49, 10])],
                              [helper.make_tensor_value_info("scores", 1, [1, 12])], weights)
    path = os.path.join(folder, "keyword.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    feed = {"features": r.standard_normal((1, 1, 49, 10)).astype(np.float32)}
    if quantized:
        class Samples(CalibrationDataReader):
            left = [{"features": r.standard_normal((1, 1, 49, 10)).astype(np.float32)} for _ in range(8)]
            def get_next(self):
                return self.left.pop() if self.left else None
        source, path = path, os.path.join(folder, "keyword_int8.onnx")
        quantize_static(source, path, Samples(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QInt8,
                        weight_type=QuantType.QInt8)
    return path, [(feed, reference(path, feed))]


def agree(name, got, want):
    if re.search("int8|int4|qlstm", name):  # one step of rounding may move single outputs far
        for key, w in want.items():
            if not np.issubdtype(w.dtype, np.floating) or not w.size:
                continue
            a, b = got[key].astype(np.float64).ravel(), w.astype(np.float64).ravel()
            cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-30) if b.any() else 1
            if cosine < 0.99:
                raise Failure(f"'{key}': cosine {cosine:.4f}")
    else:
        compare(got, want, 5e-3 if "fp16" in name else LOOSE.get(name, 2e-4))


def linux(compiler, target, name, flags, folder, first):
    program, x, y = (os.path.join(folder, f) for f in ("program", "x.npz", "y.npz"))
    np.savez_compressed(x, **first)  # numbers made up may take a branch that such inputs do not fit
    call([*compiler, "-o", program, "--emit=exe", f"--self-test-data={x}", *flags])
    call([*emulator(target)[0], program, "--self-test"])

    def once(feed, want):
        np.savez_compressed(x, **feed)
        call([*emulator(target)[0], program, "--inputs", x, "--outputs", y])
        with np.load(y) as z:
            return dict(z)
    return once


def bare(compiler, target, name, flags, folder, first):
    said = call([*compiler, "-o", os.path.join(folder, "libnet.a"), "--emit=lib", "--name=net", *flags]).stderr
    code, arena, stack = map(int, re.search(r"code (\d+)\); RAM: arena (\d+) bytes, stack (\d+)", said).groups())
    if code > CODE_BYTES.get((target, name), code):
        raise Failure(f"{code} bytes of code, more than {CODE_BYTES[target, name]}")
    # What stands for instructions that a core lacks; most models need none of it.
    gcc, helpers = shutil.which("arm-none-eabi-gcc"), []
    if gcc:
        helpers = [call([gcc, f"-mcpu={target.split('+')[0]}", "-mthumb", "-mfloat-abi=hard", "-print-libgcc-file-name"]).stdout.strip()]
    example, board, program = os.path.join(ROOT, "examples", "cortex-m"), BARE[target], os.path.join(folder, "net.elf")
    call(["clang-22", "--target=" + ("thumbv8.1m.main" if "m55" in target else "thumbv7em") + "-none-eabihf", f"-mcpu={target.split('+')[0]}", "-Os",
          "-ffreestanding", "-Wall", "-Wextra", "-Werror", "-fuse-ld=lld", "-nostdlib", "-Wl,--gc-sections", "-I" + os.path.join(ROOT, "include"), "-T", os.path.join(example, board + ".ld"),
          os.path.join(example, "startup.c"), os.path.join(example, "main.c"), os.path.join(folder, "libnet.a"), *helpers, "-o", program])

    def once(feed, want):
        for i, data in enumerate(feed.values()):  # in the model's order
            data.tofile(os.path.join(folder, f"input{chr(97 + i)}.bin"))
        done = call(["qemu-system-arm", "-M", board, "-display", "none", "-monitor", "none", "-serial", "none", "-semihosting-config",
                     "enable=on,target=native", "-kernel", program], cwd=folder)
        used = int(re.search(r"stack (\d+)", done.stdout + done.stderr).group(1))
        if used > stack + 512:  # burin_run's own checks come on top
            raise Failure(f"{used} bytes of stack used, {stack} promised")
        return {k: np.fromfile(os.path.join(folder, f"output{chr(97 + i)}.bin"), w.dtype).reshape(w.shape) for i, (k, w) in enumerate(want.items())}
    return once


def wasm(compiler, target, name, flags, folder, first):
    call([*compiler, "-o", os.path.join(folder, "net.js"), *flags])
    os.rename(os.path.join(folder, "net.js"), os.path.join(folder, "net.mjs"))
    with open(os.path.join(folder, "run.mjs"), "w") as f:
        f.write("""import { readFileSync, writeFileSync } from "node:fs";
import { load, inputs, outputs } from "./net.mjs";
const model = await load(undefined, { threads: THREADS });
const feeds = Object.fromEntries(inputs.map((t, i) => [t.name, new t.array(new Uint8Array(readFileSync(`input${i}.bin`)).buffer)]));
const results = model.run(feeds);
outputs.forEach((t, i) => writeFileSync(`output${i}.bin`, new Uint8Array(results[t.name].buffer)));
""".replace("THREADS", "3" if "threads" in target else "1"))

    def once(feed, want):
        for i, data in enumerate(feed.values()):
            data.tofile(os.path.join(folder, f"input{i}.bin"))
        call(["node", "run.mjs"], cwd=folder)
        return {k: np.fromfile(os.path.join(folder, f"output{i}.bin"), w.dtype).reshape(w.shape) for i, (k, w) in enumerate(want.items())}
    return once


def run(bindir, target, name, path, sets, folder):
    model = onnx.load(path, load_external_data=False)
    order = [i.name for i in model.graph.input if i.name in sets[0][0]]
    compiler = [os.path.join(bindir, "burin-compile"), path, f"--target={target}"]
    way = linux if target in LINUX else bare if target in BARE else wasm
    once = way(compiler, target, name, shapes(model, sets[0][0]), folder, {k: sets[0][0][k] for k in order})
    for feed, want in sets:
        if any(feed[k].shape != sets[0][0][k].shape for k in feed):
            continue
        agree(name, once({k: feed[k] for k in order}, want), want)


def model_sets(folder, name):
    for tag in ("", "2", "3"):
        x, y = (os.path.join(folder, f"{name}.{kind}{tag}.npz") for kind in ("inputs", "expected"))
        if os.path.exists(x):
            yield dict(np.load(x)), dict(np.load(y))


def from_script(name):
    """What saves a model of generated.py to a folder and gives its path and sets of inputs and outputs."""
    def make(folder):
        model, feed = MODELS[name]()
        path = os.path.join(folder, name + ".onnx")
        onnx.save(model, path)
        return path, [(feed, reference(path, feed))]
    return make


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--full", action="store_true")
    ap.add_argument("--bin", default=os.path.join(os.path.abspath(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build"))), "bin"))
    ap.add_argument("--models", default=os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models")))
    ap.add_argument("--target", action="append")
    ap.add_argument("names", nargs="*")
    a = ap.parse_args()
    targets = a.target or ([*LINUX, *BARE, *WASM] if a.full else QUICK_TARGETS)
    counts = {"ok": 0, "FAIL": 0, "skip": 0}

    def test(target, name, make):
        if a.names and name not in a.names:
            return
        with tempfile.TemporaryDirectory() as folder:
            try:
                why = missing(target, a.bin)
                if not why:
                    run(a.bin, target, name, *make(folder), folder)
                verdict, why = ("skip", why) if why else ("ok", "")
            except (Failure, subprocess.TimeoutExpired, OSError) as e:
                verdict, why = ("skip" if any(text in str(e) for text in NOT_OURS) else "FAIL"), str(e)
        counts[verdict] += 1
        print(f"{verdict:4s} {target:28s} {name:32s} {why[:160]}", flush=True)

    here = sorted(f[:-5] for f in os.listdir(a.models) if f.endswith(".onnx")) if os.path.isdir(a.models) else []
    for target in targets:
        is_small = target in BARE
        for name in [] if is_small else [n for n in MODELS if target in LINUX or n not in NOT_STATIC]:
            test(target, name, from_script(name))
        for name, quantized in (("keyword", False), ("keyword_int8", True)):
            test(target, name, lambda folder, quantized=quantized: keyword_model(folder, quantized))
        wanted = BARE_MODELS if is_small else here if a.full or a.names else QUICK
        for name in [n for n in wanted if n in here and (target in LINUX or n not in NOT_STATIC)]:
            test(target, name, lambda folder, name=name: (os.path.join(a.models, name + ".onnx"), list(model_sets(a.models, name))))
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    sys.exit(counts["FAIL"] != 0)


if __name__ == "__main__":
    main()
