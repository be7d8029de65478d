"""Why INT8 did or did not help, layer by layer: burin-run INT8.onnx --why=FLOAT.onnx runs this.

    python -m burin.why INT8.onnx --why=FLOAT.onnx [--inputs X.npz] [--why-json=F.json] [--threads N] [compile options]
    burin.why("net.int8.onnx", "net.onnx", inputs="x.npz")      the same as a dict

Both models are profiled on the same inputs (medians of runs). Kernels of both that hold the same node of the float graph make a row: time in float and in integers, the
gain, and what stays in float with its reason: an operand that nobody quantizes, weights that are not constant, an operator that has no integer form. Kernels that only
quantize or dequantize have rows of their own at the end: what INT8 costs besides.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

from ._tools import tool

try:
    import onnx
except ImportError as e:
    sys.exit("burin-run: error: --why needs the Python package onnx (%s); BURIN_PYTHON may name a Python that has it" % e)

PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
CONVERSIONS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
INTEGER = {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "QGemm", "MatMulNBits", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"}


def fail(text):
    sys.exit("burin-run: error: " + text)


def profile(model, words):
    """(ms, kind, names of its nodes) of each kernel, and the run's ms."""
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace.json")
        command = [tool("burin-run"), model, *words]
        done = subprocess.run(command + ["--profile"], capture_output=True, text=True)
        named = subprocess.run(command + ["--profile=" + trace], capture_output=True, text=True)
        for run in (done, named):
            if run.returncode:
                fail(run.stderr.strip() or "profiling failed")
        names = {e["args"]["layer"]: e["name"] for e in json.load(open(trace))["traceEvents"] if "layer" in e.get("args", {})}
    layers, total = [], 0.0
    for line in done.stdout.splitlines():
        if match := re.match(r"\s*(\d+)\s+(\S+)\s+([\d.]+)\s", line):
            layers.append((float(match[3]), match[2], names.get(int(match[1]), "").replace("+...", "").split("+")))
        elif match := re.match(r"\s*run\s+([\d.]+)\s", line):
            total = float(match[1])
    return layers, total


class Owners:
    """Which node of the float graph a node of the quantized one stands for: the one of its name, or of the longest name that its own begins with."""

    def __init__(self, graph):
        self.names = sorted((n.name for n in graph.node if n.name), key=len, reverse=True)
        self.exact = set(self.names)

    def of(self, name):
        if name in self.exact:
            return name
        return next((n for n in self.names if name.startswith(n) and (len(name) == len(n) or not name[len(n)].isalnum())), None)


def reason(node, producers, constants):
    """Why this product of the quantized graph computes on floats; None where it does not."""
    if node.op_type in INTEGER:
        return None
    for what, name in zip(("its input", "its weights"), list(node.input)[:2]):
        producer = producers.get(name)
        if producer is None or producer.op_type != "DequantizeLinear":
            of = f"{producer.op_type} '{producer.name}'" if producer is not None else "a constant in float" if name in constants else f"the graph's input '{name}'"
            return f"{what} is not quantized: {of}"
        if what == "its weights" and producer.input[0] not in constants:
            return "its second operand is no constant: both sides are activations"
    return None


def reasons(model, owners):
    graph, found, integer = model.graph, {}, set()
    producers = {o: n for n in graph.node for o in n.output}
    constants = {t.name for t in graph.initializer} | {n.output[0] for n in graph.node if n.op_type == "Constant"}
    users = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for node in graph.node:
        owner = owners.of(node.name)
        if owner is None or node.op_type in CONVERSIONS:
            continue
        if node.op_type in PRODUCTS | INTEGER:
            why = reason(node, producers, constants)
            integer.update(node.output if why is None else [])
        elif any(i in integer for i in node.input):  # a step behind an integer product's sums
            why = None
            integer.update(node.output)
        else:
            reads = any(producers.get(i) is not None and producers[i].op_type == "DequantizeLinear" and producers[i].input[0] not in constants for i in node.input)
            writes = any(u.op_type == "QuantizeLinear" for o in node.output for u in users.get(o, []))
            floats = any(producers.get(i) is not None and producers[i].op_type not in CONVERSIONS for i in node.input)
            why = None if (reads and writes) or not floats and not reads else "float on both sides" if not reads and not writes else \
                "float behind it" if reads else "float before it"
            why = why and f"{node.op_type}: {why}"
        if why:
            found.setdefault(owner, why)
    return found


def explain(quantized, original, words):
    """The table as a dict: totals, rows, and what conversions cost."""
    before, after = onnx.load(original, load_external_data=False), onnx.load(quantized, load_external_data=False)
    owners, kinds = Owners(before.graph), {n.name: n.op_type for n in after.graph.node}
    whys = reasons(after, owners)
    float_layers, float_ms = profile(original, words)
    int_layers, int_ms = profile(quantized, words)
    parent = {}

    def root(x):
        while parent.setdefault(x, x) != x:
            x = parent[x]
        return x

    conversions, rows = [], {}
    for layers, column in ((float_layers, "float_ms"), (int_layers, "int_ms")):
        for ms, kind, names in layers:
            nodes = [o for n in names if (o := owners.of(n)) and kinds.get(n) not in CONVERSIONS] or [o for n in names if (o := owners.of(n))]
            if column == "int_ms" and kind in ("elementwise", "copy") and all(kinds.get(n) in CONVERSIONS for n in names):
                conversions.append({"name": "+".join(names), "ms": ms})
                continue
            nodes = nodes or ["(other)"]
            for node in nodes[1:]:
                parent[root(node)] = root(nodes[0])
            rows.setdefault(nodes[0], []).append((column, ms, nodes, kind))
    table = {}
    for first, parts in rows.items():
        row = table.setdefault(root(first), {"nodes": [], "float_ms": 0.0, "int_ms": 0.0, "kind": ""})
        for column, ms, nodes, kind in parts:
            row[column] += ms
            row["nodes"] += [n for n in nodes if n not in row["nodes"]]
            if kind in ("conv", "depthwise_conv", "matmul", "conv_transpose") or not row["kind"]:
                row["kind"] = kind
    for row in table.values():
        row["gain"] = row["float_ms"] / row["int_ms"] if row["int_ms"] else None
        row["in_float"] = "; ".join(dict.fromkeys(whys[n] for n in row["nodes"] if n in whys)) or None
    return {"float_ms": float_ms, "int_ms": int_ms, "gain": float_ms / int_ms if int_ms else None, "conversion_ms": sum(c["ms"] for c in conversions),
            "layers": sorted(table.values(), key=lambda r: -r["int_ms"]), "conversions": conversions}


def show(found, least):
    print(f"{'float ms':>9} {'int8 ms':>9} {'gain':>6}  {'kind':14} layer")
    hidden = [0.0, 0.0, 0]
    for row in found["layers"]:
        if max(row["float_ms"], row["int_ms"]) < least * max(found["float_ms"], found["int_ms"]):
            hidden = [hidden[0] + row["float_ms"], hidden[1] + row["int_ms"], hidden[2] + 1]
            continue
        name = "+".join(row["nodes"])
        gain = f"{row['gain']:6.2f}" if row["gain"] else f"{'-':>6}"
        print(f"{row['float_ms']:9.4f} {row['int_ms']:9.4f} {gain}  {row['kind']:14} {name[:70]}{'...' if len(name) > 70 else ''}"
              + (f"\n{'':27} in float: {row['in_float']}" if row["in_float"] else ""))
    if hidden[2]:
        print(f"{hidden[0]:9.4f} {hidden[1]:9.4f} {'':6}  {hidden[2]} shorter layers")
    print(f"{'':9} {found['conversion_ms']:9.4f} {'':6}  quantizing and dequantizing alone, in {len(found['conversions'])} kernels")
    print(f"{found['float_ms']:9.4f} {found['int_ms']:9.4f} {found['gain'] or 0:6.2f}  run")


def why(quantized, original, inputs=None, **options):
    """What `main` prints, as a dict. `options`: those of burin-run with underscores."""
    words = (["--inputs", os.fspath(inputs)] if inputs else []) + [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
    return explain(os.fspath(quantized), os.fspath(original), words)


def main(words=None):
    parser = argparse.ArgumentParser(prog="burin-run --why", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--why", required=True, metavar="FLOAT.onnx")
    parser.add_argument("--why-json", metavar="F.json")
    parser.add_argument("--least", type=float, default=0.005, help="share of a run below which a layer has no line of its own")
    args, rest = parser.parse_known_args(words)
    for path in (args.model, args.why):
        if not os.path.exists(path):
            fail(f"{path}: no such file")
    found = explain(args.model, args.why, rest)
    if args.why_json:
        with open(args.why_json, "w") as f:
            json.dump(found, f, indent=1)
    show(found, args.least)


if __name__ == "__main__":
    main()
