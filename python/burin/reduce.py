"""burin-reduce: shrinks a model that shows a failure to the smallest that still does.

    burin-reduce bad.onnx -o small.onnx --compare=onnxruntime          its outputs differ from ONNX Runtime's
    burin-reduce bad.onnx -o small.onnx --error "expected 3 channels"  burin-compile refuses it with that text
    burin-reduce bad.onnx -o small.onnx --crash                        burin-compile dies
    burin-reduce bad.onnx -o small.onnx --test "./check.sh {}"         the command's exit code is that of the whole model, and not 0

Delta debugging: operators go in halves, quarters, ... one by one, and what they made becomes an input; then outputs, whole sizes (every dim of a
value at once), constants (to zeros and ones), names. A candidate that ONNX's checker refuses is not tried. The smallest so far is always in the output file.
"""
import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time

import numpy as np


def fail(text):
    print("burin-reduce: error: " + text, file=sys.stderr)
    sys.exit(1)


try:
    import onnx
    from onnx import numpy_helper
except ImportError as e:
    fail("needs the Python package onnx (%s); BURIN_PYTHON may name a Python that has it" % e)


def copy(model):
    return onnx.ModelProto.FromString(model.SerializeToString())


def reads(node):
    """Names a node reads, its subgraphs' free names too."""
    names = {n for n in node.input if n}
    for a in node.attribute:
        for g in ([a.g] if a.HasField("g") else []) + list(a.graphs):
            inner = {v.name for v in g.input} | {t.name for t in g.initializer} | {o for n in g.node for o in n.output}
            names |= ({r for n in g.node for r in reads(n)} | {o.name for o in g.output}) - inner
    return names


def types_of(model):
    """name -> ValueInfoProto, as far as inference gets."""
    try:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:
        pass
    return {v.name: v for v in [*model.graph.value_info, *model.graph.input, *model.graph.output]}


def clean(model):
    """Drops what nothing reads: dead operators, initializers, inputs; and all that only describes."""
    g = model.graph
    alive = {o.name for o in g.output}
    kept = []
    for node in reversed(g.node):
        if any(o in alive for o in node.output):
            kept.append(node)
            alive |= reads(node)
    for field, keep in ((g.node, kept[::-1]), (g.initializer, [t for t in g.initializer if t.name in alive]), (g.input, [v for v in g.input if v.name in alive])):
        keep = [type(k).FromString(k.SerializeToString()) for k in keep]
        del field[:]
        field.extend(keep)
    del g.value_info[:]
    del g.metadata_props[:]
    del model.metadata_props[:]
    return model


def subset(model, keep, types):
    """The model with the operators of these indices only; what the others made are inputs. None where a type is not known."""
    small = copy(model)
    g, nodes = small.graph, [model.graph.node[i] for i in keep]
    made = {o for n in nodes for o in n.output if o}
    read = set().union(*(reads(n) for n in nodes)) if nodes else set()
    have = {v.name for v in g.input} | {t.name for t in g.initializer}
    for name in sorted(read - made - have):
        if name not in types or not types[name].type.tensor_type.HasField("shape"):
            return None
        g.input.append(types[name])
    del g.node[:]
    g.node.extend(nodes)
    outputs = [o for o in g.output if o.name in made]
    if not outputs:
        outputs = [types.get(n) or onnx.ValueInfoProto(name=n) for n in sorted(made - read)]
        outputs = [o for o in outputs if o.type.WhichOneof("value")]
    outputs = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in outputs]
    del g.output[:]
    g.output.extend(outputs)
    return clean(small) if outputs else None


class Reducer:
    def __init__(self, model, test, path, seconds, say):
        self.model, self.test, self.path, self.end, self.say = model, test, path, time.monotonic() + seconds, say
        self.tried, self.seen = 0, {}

    def fails(self, candidate):
        if candidate is None or time.monotonic() > self.end:
            return False
        key = candidate.SerializeToString(deterministic=True)
        if key not in self.seen:
            try:
                onnx.checker.check_model(candidate)
            except Exception:
                self.seen[key] = False
                return False
            self.tried += 1
            self.seen[key] = self.test(candidate)
        return self.seen[key]

    def take(self, candidate):
        if not self.fails(candidate):
            return False
        self.model = candidate
        onnx.save(candidate, self.path)
        return True

    def nodes(self):
        """Zeller's ddmin over the operators."""
        changed, parts = False, 2
        while len(self.model.graph.node) > 1:
            n, types = len(self.model.graph.node), types_of(self.model)
            parts = min(parts, n)
            cuts = [i * n // parts for i in range(parts + 1)]
            chunks = [list(range(a, b)) for a, b in zip(cuts, cuts[1:])]
            tries = ([(c, 2) for c in chunks] if parts > 1 else []) + ([([i for i in range(n) if i not in set(c)], max(parts - 1, 2)) for c in chunks] if parts > 2 else [])
            for keep, after in tries:
                if self.take(subset(self.model, keep, types)):
                    changed, parts = True, after
                    self.say("%d operators" % len(self.model.graph.node))
                    break
            else:
                if parts >= n:
                    return changed
                parts *= 2
        return changed

    def bypass(self):
        """An operator's users read one of its operands instead."""
        changed, i = False, 0
        while i < len(self.model.graph.node):
            node = self.model.graph.node[i]
            for name in dict.fromkeys(n for n in node.input if n):
                small = copy(self.model)
                outputs = {o.name for o in small.graph.output}
                if len(node.output) != 1 or node.output[0] in outputs:
                    continue
                for other in small.graph.node:
                    for k, read in enumerate(other.input):
                        if read == node.output[0]:
                            other.input[k] = name
                if self.take(clean(small)):
                    changed = True
                    break
            else:
                i += 1
        return changed

    def outputs(self):
        changed = False
        for name in [o.name for o in self.model.graph.output]:
            small = copy(self.model)
            keep = [o for o in small.graph.output if o.name != name]
            if keep:
                keep = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in keep]
                del small.graph.output[:]
                small.graph.output.extend(keep)
                changed |= self.take(clean(small))
        return changed

    def sizes(self):
        """Every dim of one size at once, in inputs and constants; other shapes follow."""
        changed = False
        sizes = {d.dim_value for v in self.model.graph.input for d in v.type.tensor_type.shape.dim} | {d for t in self.model.graph.initializer for d in t.dims}
        names = {d.dim_param for v in self.model.graph.input for d in v.type.tensor_type.shape.dim if d.dim_param}
        for old in sorted(names) + sorted((s for s in sizes if s > 1), reverse=True):
            for new in [1] if isinstance(old, str) else sorted({1, 2, 3, 4, old // 2}):
                if not isinstance(old, str) and new >= old:
                    continue
                if self.take(self.resized(old, new)):
                    self.say("size %s is %d" % (old, new))
                    changed = True
                    break
        return changed

    def resized(self, old, new):
        small = copy(self.model)
        for v in [*small.graph.input, *small.graph.output]:
            for d in v.type.tensor_type.shape.dim:
                if old in (d.dim_value, d.dim_param or None):
                    d.dim_value = new
        for v in small.graph.output:  # what follows from the inputs is inferred
            v.type.tensor_type.ClearField("shape")
        for t in small.graph.initializer:
            if old in t.dims:
                array = numpy_helper.to_array(t)
                t.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array[tuple(slice(new) if d == old else slice(None) for d in array.shape)]), t.name))
        try:
            inferred = onnx.shape_inference.infer_shapes(small, strict_mode=True, data_prop=True)
        except Exception:
            return None
        del small.graph.output[:]
        small.graph.output.extend(inferred.graph.output)
        return small

    def constants(self):
        changed = False
        for i, t in enumerate(self.model.graph.initializer):
            array = numpy_helper.to_array(t)
            if array.dtype.kind != "f" or array.size < 2:
                continue
            for value in (0, 1):
                if np.all(array == value):
                    break
                small = copy(self.model)
                small.graph.initializer[i].CopyFrom(numpy_helper.from_array(np.full(array.shape, value, array.dtype), t.name))
                if self.take(small):
                    changed = True
                    break
        return changed

    def names(self):
        small, names = copy(self.model), {}
        if any(a.HasField("g") or a.graphs for n in small.graph.node for a in n.attribute):
            return
        short = lambda name: names.setdefault(name, "t%d" % len(names)) if name else ""
        for v in small.graph.input:
            v.name = short(v.name)
        for t in small.graph.initializer:
            t.name = short(t.name)
        for i, n in enumerate(small.graph.node):
            n.name, n.doc_string = "n%d" % i, ""
            for field in (n.input, n.output):
                for k, name in enumerate(field):
                    field[k] = short(name)
        for v in small.graph.output:
            v.name = short(v.name)
        self.take(small)

    def run(self):
        self.take(clean(copy(self.model)))
        while time.monotonic() < self.end:
            if not (self.nodes() | self.outputs() | self.bypass() | self.sizes()):
                break
        self.constants()
        self.names()
        return self.model


def make_test(given, folder):
    """A function over a model: does it still fail?"""
    path = os.path.join(folder, "candidate.onnx")
    from .compare import tool
    options = given.options
    if given.compare:
        if given.compare != "onnxruntime":
            fail("--compare: expected onnxruntime, got '%s'" % given.compare)
        command = [sys.executable, "-m", "burin.compare", path, "--quick"] + options
    elif given.test:
        command = [path if w == "{}" else w for w in shlex.split(given.test)]
        if path not in command:
            command.append(path)
    elif given.crash or given.error:
        command = [tool("burin-compile"), path, "-o", os.path.join(folder, "out")] + options
    else:
        fail("expected one of --compare=onnxruntime, --error TEXT, --crash, --test COMMAND")

    def run(model):
        onnx.save(model, path)
        try:
            r = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=given.timeout)
        except subprocess.TimeoutExpired:
            return 124, ""
        except OSError as e:
            fail("cannot run %s: %s" % (command[0], e.strerror))
        return r.returncode, r.stdout + r.stderr

    def test(model):
        code, text = run(model)
        if given.compare:
            return code == 1
        if given.crash:
            return code < 0 or code >= 128
        if given.error and given.error not in text:
            return False
        return code == test.code if given.test else code != 0
    test.run = run
    return test


def main():
    parser = argparse.ArgumentParser(prog="burin-reduce", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-o", "--output", default="reduced.onnx")
    parser.add_argument("--compare", metavar="onnxruntime")
    parser.add_argument("--error", metavar="TEXT")
    parser.add_argument("--crash", action="store_true")
    parser.add_argument("--test", metavar="COMMAND", help="{} stands for the model's file")
    parser.add_argument("--timeout", type=float, default=120, help="seconds for one try, default 120")
    parser.add_argument("--seconds", type=float, default=600, help="seconds for all, default 600")
    parser.add_argument("--quiet", action="store_true")
    given, given.options = parser.parse_known_args()
    try:
        model = onnx.load(given.model)
    except Exception as e:
        fail("%s: %s" % (given.model, str(e).splitlines()[0] if str(e) else "no ONNX model"))
    with tempfile.TemporaryDirectory() as folder:
        test = make_test(given, folder)
        test.code, said = test.run(model)
        if not (test.code != 0 if given.test and not given.error else test(model)):
            fail("%s does not show the failure%s" % (given.model, ": " + said.strip().splitlines()[-1] if said.strip() else ""))
        say = (lambda text: None) if given.quiet else lambda text: print("  " + text, file=sys.stderr)
        before = len(model.graph.node)
        reducer = Reducer(model, test, given.output, given.seconds, say)
        onnx.save(model, given.output)
        small = reducer.run()
    print("%s: %d operators instead of %d, after %d tries" % (given.output, len(small.graph.node), before, reducer.tried))


if __name__ == "__main__":
    main()
