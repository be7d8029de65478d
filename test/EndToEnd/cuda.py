"""Programs for a GPU, without one: every kernel assembled by ptxas without spills or stack, and whole programs run through their own runtime against the
emulator of the driver (test/CudaEmulator), copies as late and as early as hardware allows.

usage: cuda.py [--build DIR] [--full] [TEXT...]     prints "N passed, N failed, N skipped"; with texts, of the checks whose names hold one
"""
import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cuda_nets import FAMILIES  # noqa: E402
from generated import MODELS  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GENERATED = ["residual_net", "inverted_residual", "unet", "shuffles", "transformer_block", "audio", "integers"]
COMPILED = ["ultraface_rfb_320", "mobilenetv2_dog", "resnet50_p12", "minilm_l6_v2", "llama_gqa_256d4l_fp16"]
ARCHS = "sm_80,sm_87,sm_90,x86-64-v3"


class Failure(Exception):
    pass


class Skipped(Exception):
    pass


class Suite:
    def __init__(self, build, folder, texts):
        self.build, self.folder, self.texts, self.passed, self.failed, self.skipped = build, folder, texts, 0, 0, 0
        self.compiler = os.path.join(build, "bin", "burin-compile")
        self.emulator = os.path.join(build, "lib", "burin", "emulator")

    def check(self, name, function, *arguments):
        if self.texts and not any(text in name for text in self.texts):
            return
        try:
            function(*arguments)
            self.passed += 1
        except Skipped as why:
            self.skipped += 1
            print(f"SKIP {name}: {why}")
        except Failure as problem:
            self.failed += 1
            print(f"FAIL {name}: {problem}")

    def call(self, *command, ok=True, **environment):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
        if (done.returncode == 0) != ok or done.returncode not in (0, 1):
            raise Failure(f"{os.path.basename(command[0])}: exit {done.returncode}: {(done.stderr.strip().splitlines() or ['no message'])[0]}")
        return done.stdout + done.stderr

    def compile(self, path, out, *options, **environment):
        return self.call(self.compiler, path, "-o", out, "-v", *options, **environment)

    def save(self, name):
        net, feed = MODELS[name]()
        path = os.path.join(self.folder, name)
        onnx.save(net, path + ".onnx")
        np.savez(path + ".npz", **feed)
        return net, feed, path

    def emulated(self, name, precision, tolerance, arch=""):
        """The program's own runtime, tables, copies and kernels, on the CPU."""
        net, feed, path = self.save(name)
        wanted = ReferenceEvaluator(net).run(None, feed)
        self.compile(path + ".onnx", path, "--target=cuda:emulated" + arch, *(["--precision=" + precision] if precision else []))
        ways = [("late", {}), ("early", {"BURIN_EMULATOR_SEED": "7", "BURIN_EMULATOR_INTEGRATED": "1"})]
        if arch:  # the same program where its device has no kernels of its own in it
            ways.append(("late", {"BURIN_EMULATOR_ARCH": "100"}))
        for copies, more in ways:
            self.call(path, "--inputs", path + ".npz", "--outputs", path + ".out.npz", LD_LIBRARY_PATH=self.emulator, BURIN_EMULATOR_COPIES=copies, **more)
            with np.load(path + ".out.npz") as found:
                for output, value in zip(net.graph.output, wanted):
                    got, want = found[output.name].astype(np.float64), np.asarray(value).astype(np.float64)
                    scale = max(1.0, float(np.max(np.abs(want), initial=0)))
                    if got.shape != want.shape or not np.max(np.abs(got - want), initial=0) <= tolerance * scale:
                        raise Failure(f"{output.name}, copies {copies}: difference {np.max(np.abs(got - want)) if got.shape == want.shape else got.shape}")

    def assembled(self, name, *options, has_warpgroups=False):
        """No spill and no stack in any kernel, cubins for three generations."""
        _, _, path = self.save(name)
        text = self.compile(path + ".onnx", path, "--target=cuda:" + ARCHS, *options)
        if "no ptxas" in text:
            raise Skipped("no ptxas")
        kernels = re.findall(r"cuda: (sm_\d+a?): (\S+): (\d+) registers, (\d+) bytes shared", text)
        if "spills" in text or "serialized" in text:
            raise Failure(re.search(r"note: (.*(spills|serialized).*)", text)[1])
        if {k[0] for k in kernels} - {"sm_90a"} != {"sm_80", "sm_87", "sm_90"}:
            raise Failure("expected kernels for sm_80, sm_87 and sm_90, got none for some")
        if has_warpgroups and not any(k[0] == "sm_90a" for k in kernels):
            raise Failure("expected kernels for sm_90a")
        if any(int(k[2]) > 255 or int(k[3]) > 48 * 1024 for k in kernels):
            raise Failure("a kernel takes more registers or shared memory than there are")

    def tensor_cores(self):
        """PTX holds what the kernels are for."""
        _, _, path = self.save("cuda_products")
        for net, options, wanted in (("cuda_products", ["--precision=tf32"], "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"), ("cuda_products", ["--precision=f32"], "fma.rn.f32"),
                                     ("cuda_halves", [], "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32")):
            path = self.save(net)[2]
            self.compile(path + ".onnx", path + ".ptx", "--target=cuda", *options)
            text = open(path + ".ptx").read()
            for part in (wanted, "cp.async.cg.shared.global", "cp.async.wait_group"):
                if part not in text:
                    raise Failure(f"{net} {options}: no {part}")
            if ".extern .func" in text:
                raise Failure("it calls a library")

    def without_driver(self):
        _, _, path = self.save("cuda_halves")
        self.compile(path + ".onnx", path, "--target=cuda:sm_80")
        text = self.call(path, "--inputs", path + ".npz", ok=False)
        if "no NVIDIA driver" not in text and "CUDA" not in text:
            raise Failure("expected a message about the driver, got " + text)

    def without_ptxas(self):
        _, _, path = self.save("cuda_halves")
        text = self.compile(path + ".onnx", path, "--target=cuda", BURIN_PTXAS="/nowhere/ptxas")
        if "no ptxas was found" not in text:
            raise Failure("expected a note that there is no ptxas")
        text = self.call(self.compiler, path + ".onnx", "-o", path + ".cubin", "--target=cuda:sm_80", ok=False, BURIN_PTXAS="/nowhere/ptxas")
        if "--emit=cubin needs ptxas" not in text:
            raise Failure("expected an error for --emit=cubin, got " + text)

    def boards(self):
        """Jetson: an aarch64 program; for older ones PTX for their driver."""
        _, _, path = self.save("cuda_halves")
        if "aarch64" not in subprocess.run(["file", "-v"], capture_output=True, text=True).stdout and not os.path.exists("/usr/bin/aarch64-linux-gnu-gcc"):
            raise Skipped("no linker for aarch64 programs")
        self.compile(path + ".onnx", path, "--target=cuda:sm_87")
        with open(path, "rb") as f:
            if f.read(20)[18] != 183:  # EM_AARCH64
                raise Failure("expected an aarch64 program")
        for arch in ("sm_72", "sm_53"):
            if f"note: {arch} gets PTX" not in self.compile(path + ".onnx", path + ".so", "--target=cuda:" + arch):
                raise Failure(f"expected a note for {arch}")

    def artifacts(self):
        _, _, path = self.save("cuda_halves")
        for suffix in (".so", ".a", ".ptx", ".cubin"):
            self.compile(path + ".onnx", path + suffix, "--target=cuda:sm_80", *(["--header=none"] if suffix in (".so", ".a") else []))

    def stored(self, every):
        """Products with weights that stay integers, against their definition."""
        text = self.call(sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "stored.py"), "--machine=cuda:emulated", "--every", str(every),
                         BURIN_COMPILE=self.compiler, LD_LIBRARY_PATH=self.emulator)
        if "cases as defined" not in text:
            raise Failure(text.strip().splitlines()[0])

    def devices(self):
        """Arrays on the device in Python."""
        text = self.call(sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "cuda_device.py"), LD_LIBRARY_PATH=self.emulator,
                         PYTHONPATH=os.path.join(self.build, "python"))
        if "device: ok" not in text:
            raise Failure(text.strip().splitlines()[-1])

    def operators(self, every):
        """ONNX's own tests of operators, by the emulator."""
        done = subprocess.run([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "cuda_ops.py"), "--build", self.build, "--every", str(every)],
                              capture_output=True, text=True)
        counts = re.search(r"(\d+) passed, (\d+) failed", done.stdout)
        if not counts:
            raise Failure((done.stderr.strip().splitlines() or ["no message"])[-1])
        print("\n".join(line for line in done.stdout.splitlines() if line.startswith("FAIL")))
        self.passed, self.failed = self.passed + int(counts[1]) - 1, self.failed + int(counts[2])

    def model(self, models, name):
        """Time and size of whole programs, for the shapes of their inputs."""
        path = os.path.join(models, name + ".onnx")
        if not os.path.exists(path):
            raise Skipped("no such model here")
        with np.load(path[:-5] + ".inputs.npz") as inputs:
            options = [f"--shape={k}={'x'.join(map(str, v.shape))}" for k, v in inputs.items()]
        out = os.path.join(self.folder, name)
        used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])  # of processors: a busy machine must not fail it
        start = used()
        text = self.compile(path, out, "--target=cuda:sm_80,sm_87,sm_90", *options)
        seconds = used() - start
        weights = float(re.search(r"weights +([\d.]+) ([KMG])iB", text)[1]) * {"K": 2**10, "M": 2**20, "G": 2**30}[re.search(r"weights +([\d.]+) ([KMG])iB", text)[2]]
        on_gpu = int(re.search(r"cuda: (\d+) kernels on the GPU", text)[1])
        print(f"     {name}: {seconds:.1f} s, {on_gpu} kernels on the GPU, program {os.path.getsize(out) / 2**20:.2f} MB, weights {weights / 2**20:.2f} MB")
        if seconds > 20 or os.path.getsize(out) > weights + 2 * 2**20 or "spills" in text or not on_gpu:
            raise Failure("more than 20 s, 2 MB beside the weights, or spills")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")))
    parser.add_argument("texts", nargs="*", metavar="TEXT")
    parser.add_argument("--full", action="store_true", help="also all generated networks and all tests that ONNX has of operators")
    arguments = parser.parse_args()
    models = os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models"))
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(arguments.build, folder, arguments.texts)
        for name in FAMILIES[:-1]:
            suite.check(name + " emulated, exact", suite.emulated, name, "f32", 2e-3 if name in ("cuda_halves", "cuda_attention") else 2e-5)
            suite.check(name + " assembled", suite.assembled, name)
        for name, precision, tolerance in (("cuda_products", "", 2e-5), ("cuda_convolutions", "", 2e-5), ("cuda_attention", "", 2e-3), ("cuda_attention", "tf32", 4e-3), ("cuda_attention", "bf16", 4e-2), ("cuda_products", "tf32", 4e-3), ("cuda_convolutions", "tf32", 4e-3), ("cuda_products", "bf16", 4e-2),
                                           ("cuda_convolutions", "f16", 1e-2)):
            suite.check(f"{name} emulated, {precision or 'as it is'}", suite.emulated, name, precision, tolerance)
        for precision, tolerance in (("f16", 1e-2), ("bf16", 4e-2)):
            suite.check(f"cuda_warpgroups emulated, sm_90, {precision}", suite.emulated, "cuda_warpgroups", precision, tolerance, ",sm_90")
            suite.check(f"cuda_warpgroups assembled, {precision}", lambda: suite.assembled("cuda_warpgroups", "--precision=" + precision, has_warpgroups=True))
        for name in GENERATED if arguments.full else ["transformer_block", "unet"]:
            suite.check(name + " emulated", suite.emulated, name, "f32", 1e-4)
        for check in (suite.tensor_cores, suite.without_driver, suite.without_ptxas, suite.boards, suite.artifacts):
            suite.check(check.__name__.replace("_", " "), check)
        suite.check("arrays on the device", suite.devices)
        suite.check("stored weights", suite.stored, 1 if arguments.full else 7)
        suite.check("operators", suite.operators, 1 if arguments.full else 40)
        for name in COMPILED:
            suite.check(name, suite.model, models, name)
        if not os.path.exists("/dev/nvidia0"):
            suite.check("on a GPU", lambda: (_ for _ in ()).throw(Skipped("unsupported: this machine has no NVIDIA GPU")))
        print(f"{suite.passed} passed, {suite.failed} failed, {suite.skipped} skipped")
        sys.exit(suite.failed != 0)


main()
