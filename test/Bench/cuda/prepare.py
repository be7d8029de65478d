"""Prepares everything that a machine with a GPU needs: programs, inputs, expected outputs and run.py, in one folder. The compiler need not run there.

usage: prepare.py OUT_DIR [--target cuda:sm_80,sm_90] [--precision P] [--batches 1,32] [--matmul 4096,8192] [--parts MB] [--dry-run] [MODEL.onnx...]
    MODEL.onnx stands beside MODEL.inputs.npz and MODEL.expected.npz; without any, all such models of the models' folder and the kernel families of
    test/EndToEnd/cuda.py, whose outputs the ONNX reference gives.
    --parts also packs the folder as OUT_DIR-1.tar.gz, -2, ... of at most so many MB each, for a machine that takes little at a time: each unpacks to a folder
    that runs alone, and run.py --report joins what they wrote.
    --dry-run prints what would be made.
then, there: python3 OUT_DIR/run.py; see README.md
"""
import argparse
import glob
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
LATENCY = ["resnet50_p12", "mobilenetv2_dog", "ultraface_rfb_320", "ghostnet_050", "light_squeezenet", "vit_192d3l"]  # float networks, beside PyTorch
BLOCK = 256  # factors of products repeat a block of this size
CHAIN = 4, 12  # products in a row: the difference is what 8 of them take


class Folder:
    def __init__(self, arguments):
        self.a, self.compiler = arguments, os.path.join(arguments.build, "bin", "burin-compile")

    def at(self, name):
        return os.path.join(self.a.out, name)

    def compile(self, path, name, feed, expected, kind, **more):
        """`feed`, `expected`: arrays by name. Entries say what run.py does with a program."""
        shapes = [f"--shape={key}={'x'.join(map(str, value.shape))}" for key, value in feed.items() if value.ndim]
        precision = more.get("precision", self.a.precision)
        command = [self.compiler, path, "-o", self.at(name), "--target=" + self.a.target, *(["--precision=" + precision] if precision else []), "-v", *shapes]
        entry = {"name": name, "kind": kind, "precision": precision, **more}
        if self.a.dry_run:
            print(" ".join(command))
            return entry
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"  {name}: {(done.stderr.strip().splitlines() or ['no message'])[0]}")
            return None
        np.savez(self.at(name) + ".inputs.npz", **feed)
        np.savez(self.at(name) + ".expected.npz", **expected)
        entry["notes"] = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("note:", "cuda:")) and "registers" not in line]
        return entry

    def model(self, path):
        with np.load(path[:-5] + ".inputs.npz") as inputs, np.load(path[:-5] + ".expected.npz") as expected:
            return self.compile(path, os.path.basename(path)[:-5], dict(inputs), dict(expected), "model")

    def latency(self, path, batch):
        """The network for a batch, and beside it as ONNX for PyTorch."""
        import onnx
        import onnxruntime
        from rebatch import check, rebatch, tile

        name = f"{os.path.basename(path)[:-5]}_b{batch}"
        original = onnx.load(path)
        batched = rebatch(original, batch)
        with np.load(path[:-5] + ".inputs.npz") as inputs:
            feed = tile({k: v[:1] if v.ndim else v for k, v in inputs.items()}, batch)
        run = lambda model, feed: onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feed)
        if self.a.dry_run:
            return self.compile(self.at(name) + ".onnx", name, feed, {}, "latency", batch=batch)
        try:
            results = check(rebatch(original, 1), batched, feed, batch, run)
        except Exception as e:  # noqa: BLE001
            print(f"  {name}: {str(e).splitlines()[0]}")
            return None
        if results is None:
            print(f"  {name}: the network mixes samples of a batch")
            return None
        onnx.save(batched, self.at(name) + ".onnx")
        return self.compile(self.at(name) + ".onnx", name, feed, {o.name: v for o, v in zip(batched.graph.output, results)}, "latency", batch=batch)

    def matmul(self, size, count):
        """`count` products of f16 matrices in a row, small at both ends: only they take time. Their factors repeat one random block, which is the input, so that
        the program is small as well."""
        import onnx
        from onnx import helper, numpy_helper

        name = f"matmul{size}_x{count}"
        block = np.random.default_rng(size).standard_normal((BLOCK, BLOCK), np.float32).astype(np.float16)
        entry = lambda: self.compile(self.at(name) + ".onnx", name, {"block": block}, {}, "matmul", precision="", size=size, count=count)
        if self.a.dry_run:
            return entry()
        # Equal blocks add up: with this scale every product is as large as its left factor.
        scale = np.array(BLOCK**0.5 / size, np.float16)
        nodes, last = [helper.make_node("Tile", ["block", "times"], ["y0"]), helper.make_node("Mul", ["block", "scale"], ["less"]),
                       helper.make_node("Tile", ["less", "times"], ["b"])], "y0"
        for i in range(count):
            nodes.append(helper.make_node("MatMul", [last, "b"], [f"y{i + 1}"]))
            last = f"y{i + 1}"
        nodes.append(helper.make_node("ReduceMax", [last], ["y"], keepdims=0))
        graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info("block", onnx.TensorProto.FLOAT16, block.shape)], [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT16, [])],
                                  [numpy_helper.from_array(np.array([size // BLOCK] * 2), "times"), numpy_helper.from_array(scale, "scale")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), self.at(name) + ".onnx")
        made = entry()
        os.unlink(self.at(name) + ".onnx")
        return made

    def families(self):
        """Small nets that meet every kernel family, for memory checkers."""
        import onnx
        from onnx.reference import ReferenceEvaluator

        sys.path.insert(0, os.path.join(ROOT, "test", "EndToEnd"))
        import cuda_nets
        from generated import MODELS

        # Kernels for warpgroups take 16-bit floats alone, whose results are as far from those of the reference in f32.
        for family, more in [(name, {}) for name in cuda_nets.FAMILIES] + [("cuda_warpgroups", {"precision": "f16", "rtol": 1e-2}), ("cuda_warpgroups", {"precision": "bf16", "rtol": 4e-2})]:
            net, feed = MODELS[family]()
            name = "_".join([family, *([more["precision"]] if more else [])])
            path = self.at(name + ".onnx")
            expected = {}
            if not self.a.dry_run:
                onnx.save(net, path)
                expected = {o.name: v for o, v in zip(net.graph.output, ReferenceEvaluator(net).run(None, feed))}
            yield self.compile(path, name, feed, expected, "family", **more)

    def size(self, entry):
        return sum(os.path.getsize(self.at(f)) for f in self.files(entry))

    def files(self, entry):
        return [f for f in (entry["name"] + end for end in ("", ".inputs.npz", ".expected.npz", ".onnx")) if os.path.exists(self.at(f))]

    def pack(self, entries, most):
        """Archives of whole programs, the largest first so that few are needed; what no archive holds is named."""
        parts = []
        for entry in sorted(entries, key=self.size, reverse=True):
            if self.size(entry) > most:
                print(f"  {entry['name']}: {self.size(entry) / 1e6:.0f} MB, more than a part holds")
                continue
            # Products of one size are compared with one another.
            alike = lambda p: any(e["kind"] == "matmul" and e["size"] == entry["size"] for e in p)
            part = next((p for p in parts if entry["kind"] == "matmul" and alike(p)), None) or next((p for p in parts if sum(map(self.size, p)) + self.size(entry) <= most), None)
            parts.append([entry]) if part is None else part.append(entry)
        for number, part in enumerate(parts, 1):
            name = f"{self.a.out.rstrip('/')}-{number}"
            with tarfile.open(name + ".tar.gz", "w:gz", compresslevel=1) as archive:
                listing = json.dumps({"target": self.a.target, "precision": self.a.precision, "models": part}, indent=1).encode()
                info = tarfile.TarInfo(os.path.basename(name) + "/models.json")
                info.size = len(listing)
                archive.addfile(info, io.BytesIO(listing))
                for file in ["run.py", "torch_net.py", *(["empty"] if os.path.exists(self.at("empty")) else []), *(f for entry in part for f in self.files(entry))]:
                    archive.add(self.at(file), f"{os.path.basename(name)}/{file}")
            print(f"  {name}.tar.gz: {len(part)} programs, {os.path.getsize(name + '.tar.gz') / 1e6:.0f} MB")

    def empty(self):
        compiler = shutil.which("cc") or shutil.which("clang-22")
        command = [compiler or "cc", "-O1", os.path.join(HERE, "empty.c"), "-o", self.at("empty"), "-ldl"]
        if self.a.dry_run:
            print(" ".join(command))
        elif not compiler or subprocess.run(command).returncode:
            print("  empty: no C compiler, so start times have nothing beside them")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--target", default="cuda:sm_80,sm_90")
    parser.add_argument("--precision", default="", help="of models and families; '' as they are")
    parser.add_argument("--batches", default="1,32")
    parser.add_argument("--matmul", default="4096,8192")
    parser.add_argument("--parts", type=float, default=0)
    parser.add_argument("--build", default=os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")))
    parser.add_argument("--dry-run", action="store_true")
    a = parser.parse_intermixed_args()
    sys.path.insert(0, HERE)
    if not a.dry_run:
        os.makedirs(a.out, exist_ok=True)
    folder, numbers = Folder(a), lambda text: [int(n) for n in text.split(",") if n]
    home = os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models"))
    models = a.models or [p for p in sorted(glob.glob(os.path.join(home, "*.onnx"))) if os.path.exists(p[:-5] + ".expected.npz")]
    entries = [folder.model(path) for path in models]
    if not a.models:
        entries += folder.families()
    entries += [folder.latency(p, batch) for p in models if os.path.basename(p)[:-5] in LATENCY for batch in numbers(a.batches)]
    entries += [folder.matmul(size, count) for size in numbers(a.matmul) for count in CHAIN]
    folder.empty()
    made = [e for e in entries if e]
    if not a.dry_run:
        with open(folder.at("models.json"), "w") as f:
            json.dump({"target": a.target, "precision": a.precision, "models": made}, f, indent=1)
        for name in ("run.py", "torch_net.py"):
            shutil.copy(os.path.join(HERE, name), folder.at(name))
        if a.parts:
            folder.pack(made, a.parts * 1e6)
    print(f"{len(made)} of {len(entries)} programs in {a.out}; copy the folder to the machine with the GPU and call python3 run.py --all there")
    sys.exit(len(made) != len(entries))


main()
