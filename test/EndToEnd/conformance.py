"""ONNX's own test suite (onnx.backend.test: node, simple, pytorch-converted, pytorch-operator, light models) against burin.backend.

usage: conformance.py [--full] [--mode static|dynamic|constant] [--update] [--table] [test names or prefixes...]
       prints "N passed, N failed, N skipped"; skipped are the expected failures

Modes: static - as the suite has it; dynamic - every dim of every input and output open, the session takes shapes from the feed;
constant - inputs become initializers, so that folding is tested by the same numbers. All three without --mode. Of the last two a seeded
sample of 300 node tests runs, unless --full or names are given.

Each test runs in a worker process with a time limit: a crash or a hang is one failure. Tolerances are the suite's own.
expectations/cpu.json holds what does not pass, by mode: {reason: [tests]}. A test listed there that passes, and one that fails
and is not, fails the run. Reasons that begin with "observed: " are written by --update from the message, others by hand and kept.
Reasons that begin with "by machine: " allow both. In dynamic and constant, a test without an entry is expected to do what it does in static; "passes here" lists those that do better.
Give --update with --full. --table writes docs/operators.md from the expectations, as --update does too; it runs nothing.
"""
import argparse
import copy
import json
import multiprocessing
import multiprocessing.connection
import os
import random
import re
import sys
import time
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner, _normalize_tensor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
EXPECTATIONS = os.path.join(HERE, "expectations", "cpu.json")
TABLE = os.path.join(ROOT, "docs", "operators.md")
PASSES = "passes here"
OBSERVED = "observed: "
EITHER = "by machine: "  # the last bit decides, and with it the processor's vector length: passing and failing are both expected
KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "real")
WORKERS = 2
LIMIT = {"real": 240, None: 90}  # seconds a test


# The tests.

def load_suite():
    """name -> (kind, TestCase), in a fixed order."""
    warnings.simplefilter("ignore")
    with np.errstate(all="ignore"):
        return {c.name if kind == "node" else "%s/%s" % ("light" if kind == "real" else kind, c.name): (kind, c)
                for kind in KINDS for c in sorted(load_model_tests(kind=kind), key=lambda c: c.name)}


def proto(path, kind):
    """The value in a .pb file, as the suite's runner reads it."""
    with open(path, "rb") as f:
        data = f.read()
    if kind.HasField("sequence_type"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if kind.HasField("optional_type"):
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def data_of(kind, case):
    """(model, [(inputs, outputs)])."""
    if kind == "node":
        return case.model, [([_normalize_tensor(x) for x in i], [_normalize_tensor(x) for x in o]) for i, o in case.data_sets]
    if kind == "real":
        base = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data", "light", os.path.basename(case.url))
        model = onnx.load(base)
        initialized = {t.name for t in model.graph.initializer}
        inputs = [Runner.generate_dummy_data(i, seed=0, name=case.model_name) for i in model.graph.input if i.name not in initialized]
        outputs = [proto("%s_output_%d.pb" % (base[:-5], i), o.type) for i, o in enumerate(model.graph.output)]
        return model, [(inputs, outputs)]
    model = onnx.load(os.path.join(case.model_dir, "model.onnx"))
    sets = []
    for folder in sorted(os.listdir(case.model_dir)):
        folder = os.path.join(case.model_dir, folder)
        if os.path.isdir(folder):
            read = lambda what, args: [proto(os.path.join(folder, "%s_%d.pb" % (what, i)), a.type) for i, a in enumerate(args)
                                       if os.path.exists(os.path.join(folder, "%s_%d.pb" % (what, i)))]
            sets.append((read("input", model.graph.input), read("output", model.graph.output)))
    return model, sets


def opened(model):
    """The model with every dim of every input and output open; inputs with an initializer are weights."""
    model = copy.deepcopy(model)
    del model.graph.value_info[:]
    weights = {t.name for t in model.graph.initializer}
    for a in (*model.graph.input, *model.graph.output):
        if a.type.HasField("tensor_type") and a.name not in weights:
            for d, dim in enumerate(a.type.tensor_type.shape.dim):
                dim.dim_param = re.sub(r"\W", "_", "%s_%d" % (a.name, d))
    return model


def folded(model, inputs):
    """The model with its tensor inputs as initializers, and what stays to be fed."""
    model, rest, kept = copy.deepcopy(model), [], []
    initialized = {t.name for t in model.graph.initializer}
    args = [a for a in model.graph.input if a.name not in initialized]
    for a, value in zip(args, inputs):
        if a.type.HasField("tensor_type"):
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), a.name))
        else:
            rest.append(value)
            kept.append(a)
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.ir_version = max(model.ir_version, 4)
    return model, rest


def ulps(got, want, atol):
    """The largest error in units in the last place of the wanted value, where it is above the absolute tolerance."""
    bits = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}.get(getattr(want, "dtype", np.dtype(object)).name)
    if bits is None or not want.size:
        return 0
    got, want = got.astype(np.float64), want.astype(np.float64)
    error = np.abs(got - want)
    counts = np.isfinite(got) & np.isfinite(want) & (error > atol)
    return float(np.ceil((error[counts] / 2.0 ** (np.frexp(want[counts])[1] - 1 - bits)).max(initial=0)))


def run_test(mode, kind, case):
    """Raises when the test does not pass; else its largest error in ulps."""
    import burin.backend
    model, sets = data_of(kind, case)
    prepared, worst = None, 0
    for inputs, wanted in sets:
        if mode == "constant":
            changed, inputs = folded(model, inputs)
            prepared = burin.backend.prepare(changed)
        elif prepared is None:
            prepared = burin.backend.prepare(opened(model) if mode == "dynamic" else model)
        outputs = list(prepared.run(inputs))
        Runner.assert_similar_outputs(ref_outputs=wanted, outputs=outputs, rtol=case.rtol, atol=case.atol)
        worst = max([worst, *(ulps(g, w, case.atol) for g, w in zip(outputs, wanted))])
    return worst


def explain(error):
    """One line without the names of nodes and files, so that equal causes read alike."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if isinstance(error, AssertionError):
        found = [line for line in lines if re.match(r"Mismatched|Max absolute|Output \d|nan location|inf location|Items are", line)]
        return ("wrong result: " + "; ".join(found or lines))[:160]
    text = re.sub(r"^error: |(^|(?<= ))model\.onnx: |node '[^']*' ", "", lines[0])
    text = re.sub(r"\(([\w.]+), opset \d+\)", r"\1", text)
    text = re.sub(r"; (--emit=onnx and|give it a function body|bind input dims).*", "", text)
    refused = re.match(r"(?:input|output) '.*?' is an? '?(.+?)'?, which compiled models cannot take", text)
    if refused:
        return border(refused.group(1))
    if "the shape of its result is known only at run time" in text:
        return text.split(":")[0] + ": the shape of its result depends on data"
    return text[:200]


def border(kind):
    """Why a value of this type (as ONNX or as MLIR writes it) neither enters nor leaves a compiled model."""
    if re.search(r"seq|opt", kind):
        return "sequences and optionals do not enter or leave a compiled model"
    element = re.sub(r"^(tensor[<(])?([\d?]+x)*!?(onnx\.)?|[)>]+$", "", kind)
    element = re.sub(r"^(u?)i(\d+)$", r"\1int\2", re.sub(r"^f(\d)", r"float\1", element.lower()))
    if element.startswith(("float4", "float8e8m0")):
        element = re.sub("fnu?$", "", element)
    return "tensors of %s do not enter or leave a compiled model" % element


# Workers.

def serve(connection, mode, suite):
    """Runs tests by name until told to stop. What the compiler prints goes nowhere: its message is in the exception."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    sys.path.insert(0, os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "python"))
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    while True:
        name = connection.recv()
        if name is None:
            return
        why, worst = None, 0
        try:
            worst = run_test(mode, *suite[name])
        except Exception as e:
            why = explain(e)
        connection.send((why, worst))


class Worker:
    def __init__(self, mode, suite):
        self.mode, self.suite, self.name = mode, suite, None
        self.start()

    def start(self):
        self.connection, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=serve, args=(theirs, self.mode, self.suite), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, name):
        self.name, self.until = name, time.monotonic() + LIMIT.get(self.suite[name][0], LIMIT[None])
        self.connection.send(name)

    def stop(self, kill):
        if kill:
            self.process.kill()
        else:
            self.connection.send(None)
        self.process.join()
        self.connection.close()


def run_suite(mode, suite, names):
    """name -> None or why it failed, and name -> ulps."""
    results, errors, left = {}, {}, list(reversed(names))
    workers = [Worker(mode, suite) for _ in range(min(WORKERS, len(names)))]
    for w in workers:
        w.give(left.pop())
    while workers:
        ready = multiprocessing.connection.wait([w.connection for w in workers], timeout=1)
        for w in list(workers):
            late = time.monotonic() > w.until
            if w.connection not in ready and not late:
                continue
            try:
                broken = w.connection not in ready
                slow = "takes longer than %d s" % LIMIT.get(suite[w.name][0], LIMIT[None])
                results[w.name], errors[w.name] = (slow, 0) if broken else w.connection.recv()
            except (EOFError, ConnectionError):
                w.process.join()
                results[w.name], broken = "the process ends by signal %d" % -w.process.exitcode, True
            if broken:
                w.stop(kill=True)
                if left:
                    w.start()
            if left:
                w.give(left.pop())
            else:
                if not broken:
                    w.stop(kill=False)
                workers.remove(w)
    return results, errors


# Expectations.

def read_expectations():
    """mode -> {test: reason}; a reason of None: passes. And "ulp" -> {operator: largest error of a passing node test in static}."""
    if not os.path.exists(EXPECTATIONS):
        return {}
    with open(EXPECTATIONS) as f:
        data = json.load(f)
    ulp = data.pop("ulp", {})
    return {"ulp": ulp, **{mode: {t: None if reason == PASSES else reason for reason, tests in reasons.items() for t in tests} for mode, reasons in data.items()}}


def expectation(known, mode, name):
    own = known.get(mode, {})
    return own[name] if name in own else known.get("static", {}).get(name)


def write_expectations(known, suite):
    out = {}
    for mode in ("static", "dynamic", "constant"):
        reasons = {}
        for name, reason in sorted(known.get(mode, {}).items()):
            if name in suite:
                reasons.setdefault(PASSES if reason is None else reason, []).append(name)
        out[mode] = dict(sorted(reasons.items(), key=lambda r: (r[0].startswith(OBSERVED), r[0])))
    out["ulp"] = dict(sorted(known.get("ulp", {}).items()))
    with open(EXPECTATIONS, "w") as f:
        json.dump(out, f, indent=1, ensure_ascii=False)
        f.write("\n")


def update(known, mode, results):
    own = known.setdefault(mode, {})
    for name, why in results.items():
        old = expectation(known, mode, name)
        if old is not None and old.startswith(EITHER):
            continue
        if why is None and old is not None:
            own.pop(name, None)
            if expectation(known, mode, name) is not None:
                own[name] = None
        elif why is not None and (old is None or old.startswith(OBSERVED) or (name not in own and mode == "static")):
            own.pop(name, None)
            if mode == "static" or expectation(known, mode, name) is None:
                own[name] = OBSERVED + why


def judge(known, mode, results):
    passed = failed = skipped = 0
    for name, why in sorted(results.items()):
        reason = expectation(known, mode, name)
        if why is None and (reason is None or reason.startswith(EITHER)):
            passed += 1
        elif why is not None and reason is not None:
            skipped += 1
        else:
            failed += 1
            print("FAIL %s %s: %s" % (mode, name, why if why is not None else "passes, but is expected to fail (%s); --update takes it out" % reason))
    return passed, failed, skipped


# The table.

def operator_of(name, suite):
    kind, case = suite[name]
    base = suite.get(name.split("_expanded")[0], (kind, case))[1]
    node = base.model.graph.node[0]
    version = {o.domain: o.version for o in base.model.opset_import}.get(node.domain, 1)
    try:
        since = onnx.defs.get_schema(node.op_type, version, node.domain).since_version
    except onnx.defs.SchemaError:
        since = version
    return (node.domain + "." if node.domain else "") + node.op_type, since


def worst_errors(suite, errors):
    worst = {}
    for name, error in errors.items():
        if suite[name][0] == "node" and error:
            op = operator_of(name, suite)[0]
            worst[op] = max(worst.get(op, 0), int(error))
    return worst


def types_of(model):
    """Element types of the tensors that go in and out, in short: f32, i64, string..."""
    def elements(value):
        if value.HasField("sequence_type"):
            return elements(value.sequence_type.elem_type)
        if value.HasField("optional_type"):
            return elements(value.optional_type.elem_type)
        return onnx.TensorProto.DataType.Name(value.tensor_type.elem_type).lower()
    short = {"float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16"}
    names = {elements(a.type) for a in (*model.graph.input, *model.graph.output)}
    return {short.get(n, re.sub(r"^(u?)int(\d+)$", r"\1i\2", re.sub(r"^float(\d)", r"f\1", n)).replace("ui", "u")) for n in names}


def write_table(suite, known):
    rows = {}
    for name, (kind, case) in suite.items():
        if kind != "node":
            continue
        op, since = operator_of(name, suite)
        row = rows.setdefault(op, {"since": set(), "types": set(), "all": 0, "reasons": {}})
        row["since"].add(since)
        row["all"] += 1
        reason = known.get("static", {}).get(name)
        if reason is None:
            row["types"] |= types_of(case.model)
        else:
            row["reasons"].setdefault(reason.removeprefix(OBSERVED).replace("|", "\\|"), []).append(name)
    lines = ["# Operators", "",
             "Generated by `test/EndToEnd/conformance.py --table` from the conformance expectations; do not edit. Passes: node tests of ONNX %s, shapes static, target cpu;" % onnx.__version__,
             "tests of an operator's function body count as its own. Opset: the versions of the operator that the tests use. Types: what goes in and out of those that pass. Ulp: the largest error of a passing",
             "test in units in the last place of the wanted value, errors below the suite's absolute tolerance (1e-7) left out; sums that cancel and values the suite gives with few digits show large ones.", "",
             "| operator | opset | types | cpu passes | ulp | limits |", "|---|---|---|---|---|---|"]
    good = every = 0
    for op, row in sorted(rows.items(), key=lambda r: ("." in r[0], r[0])):
        bad = sum(map(len, row["reasons"].values()))
        good, every = good + row["all"] - bad, every + row["all"]
        limits = "; ".join("%s (%d)" % (reason, len(tests)) for reason, tests in sorted(row["reasons"].items(), key=lambda r: -len(r[1]))[:3])
        lines.append("| %s | %s | %s | %d/%d | %d | %s |" % (op, ", ".join(map(str, sorted(row["since"]))), " ".join(sorted(row["types"])), row["all"] - bad, row["all"], known.get("ulp", {}).get(op, 0), limits))
    lines += ["", "%d of %d node tests pass." % (good, every), ""]
    os.makedirs(os.path.dirname(TABLE), exist_ok=True)
    with open(TABLE, "w") as f:
        f.write("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--mode", choices=("static", "dynamic", "constant"))
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--show", action="store_true", help="print every failure, expected or not")
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    suite, known = load_suite(), read_expectations()
    if a.table:
        write_table(suite, known)
        return 0
    total = [0, 0, 0]
    for mode in [a.mode] if a.mode else ["static", "dynamic", "constant"]:
        names = list(suite)
        if a.names:
            names = [n for n in names if any(n == w or n.startswith(w) for w in a.names)]
        elif mode != "static" and not a.full:
            names = sorted(random.Random(4).sample([n for n in names if suite[n][0] == "node"], 300))
        started = time.monotonic()
        results, errors = run_suite(mode, suite, names)
        if a.show:
            print("\n".join("%s %s: %s" % (mode, n, why) for n, why in sorted(results.items()) if why is not None))
        if a.update:
            update(known, mode, results)
            if mode == "static" and not a.names:
                known["ulp"] = worst_errors(suite, errors)
        counts = judge(known, mode, results)
        print("%s: %d of %d pass, %.0f s" % (mode, sum(why is None for why in results.values()), len(results), time.monotonic() - started))
        total = [x + y for x, y in zip(total, counts)]
    if a.update:
        write_expectations(known, suite)
        write_table(suite, known)
    print("%d passed, %d failed, %d skipped" % tuple(total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
