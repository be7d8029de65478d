"""Whether a network survives half precision, before a blob is made: burin-compile MODEL.onnx --check-fp16=SAMPLES.npz runs this.

    burin-compile MODEL.onnx --check-fp16=SAMPLES.npz... [--fix-fp16] [--max-error=E] [--target=myriad[:...]] [-o OUT.blob] [compile options]

SAMPLES.npz holds an array for each input of the model; the option may be repeated, a sample each.
1. Every tensor in f32 and as the emulated unit computes it: range, what overflows (beyond 65504), what vanishes (below 2^-25), the error.
2. The unit's strict mode, which rounds each product and each sum to f16 (--target=myriad:acc=f16): which layers need the f32 accumulator.
3. The verdict: safe where nothing overflows and the outputs are within --max-error (default 5e-3) of their largest value.
4. --fix-fp16: what helps is done to the network, as ONNX, and checked again: factors of two folded through linear layers where numbers are too large or
   too small, weights in two halves whose products the accumulator adds up, for the layers that gain most, and, where the accumulator is f16
   (--target=myriad:acc=f16), sums in parts that are added in pairs.
With -o, the blob of the network (or of what --fix-fp16 made of it) is written when the verdict is safe; OUT.onnx writes the network itself.
Exit status 0 when safe, 1 when not, 2 when something could not be run.
"""
import argparse
import os
import sys
import tempfile

import numpy as np

from ._tools import ToolError, call

LARGEST, SMALLEST = 65504.0, 2.0 ** -25  # of halves; below the second a number rounds to zero


def fail(text):
    print("burin-compile: error: " + text, file=sys.stderr)
    sys.exit(2)


try:
    import onnx

    from . import _fp16_remedies as remedies
except ImportError as e:
    fail("--check-fp16 needs the Python package onnx (%s); BURIN_PYTHON may name a Python that has it" % e)


class Tensor:
    """What is known of one tensor over all samples."""

    def __init__(self, name, node):
        self.name, self.node = name, node
        self.low, self.high, self.error, self.overflows, self.vanishes, self.count = np.inf, -np.inf, 0.0, 0, 0, 0
        self.strict = None  # error in strict mode

    def add(self, exact, half):
        exact, half = exact.astype(np.float64), half.astype(np.float64)
        if not exact.size:
            return
        self.low, self.high = min(self.low, exact.min()), max(self.high, exact.max())
        self.count += exact.size
        self.overflows += int(((np.abs(exact) > LARGEST) | ~np.isfinite(half)).sum())
        self.vanishes += int(((half == 0) & (exact != 0)).sum())
        self.error = max(self.error, error_of(half, exact))

    @property
    def largest(self):
        return max(abs(self.low), abs(self.high)) if self.count else 0.0


def error_of(got, want):
    """The largest difference, as a share of the largest value."""
    want = want.astype(np.float64)
    top = np.abs(want[np.isfinite(want)]).max(initial=0) or 1.0
    with np.errstate(invalid="ignore"):
        difference = np.abs(got.astype(np.float64) - want)
    return float(np.where(np.isnan(difference), np.inf, difference).max(initial=0) / top)


class Checker:
    """Runs networks on the samples: in f32 by this CPU, in f16 by the unit's emulator."""

    def __init__(self, samples, target, folder):
        self.samples, self.target, self.folder = samples, target, folder

    def _path(self, name):
        return os.path.join(self.folder, name)

    def exact(self, model):
        """A dict of outputs for each sample."""
        import burin
        session = burin.InferenceSession(model)
        names = [o.name for o in session.get_outputs()]
        return [dict(zip(names, session.run(None, s))) for s in self.samples]

    def half(self, model, strict=False):
        path, blob, out = self._path("net.onnx"), self._path("net.blob"), self._path("out.npz")
        onnx.save(model, path)
        target = self.target + (("," if ":" in self.target else ":") + "acc=f16" if strict else "")
        call("burin-compile", path, "--target=" + target, "--input-type=f32", "--emit=blob", "-o", blob)
        results = []
        for sample in self.samples:
            np.savez(self._path("in.npz"), **sample)
            call("burin-run", blob, "--inputs", self._path("in.npz"), "--outputs", out)
            results.append(dict(np.load(out)))
        return results

    def check(self, model):
        """(tensors in order, error of the outputs of the network as it will be compiled)."""
        from .compare import FLOATS, with_outputs
        outputs = [o.name for o in model.graph.output if o.type.tensor_type.elem_type in FLOATS]
        exposed, names = with_outputs(model)
        nodes = {n: node for node in exposed.graph.node for n in node.output}
        tensors = [Tensor(n, nodes[n]) for n in names if n in nodes]
        want = self.exact(exposed)
        for exact, half in zip(want, self.half(exposed)):
            for t in tensors:
                t.add(exact[t.name], half[t.name])
        for exact, half in zip(want, self.half(exposed, strict=True)):
            for t in tensors:
                t.strict = max(t.strict or 0.0, error_of(half[t.name], exact[t.name]))
        error = max((error_of(h[n], w[n]) for w, h in zip(want, self.half(model)) for n in outputs), default=0.0)
        return tensors, error


def own_errors(tensors):
    """Of each tensor, how much its error exceeds the largest of what its node reads: what the node itself added."""
    by_name = {t.name: t for t in tensors}
    return {t.name: t.error - max((by_name[i].error for i in t.node.input if i in by_name), default=0.0) for t in tensors}


def describe(tensors, error, limit, say, everything):
    own = own_errors(tensors)
    say("%-34s %-16s %10s %10s %9s %9s  %s" % ("node", "operator", "least", "largest", "error", "strict", "remarks"))
    shown = 0
    for t in tensors:
        remarks = []
        if t.overflows:
            remarks.append("overflow: %d of %d" % (t.overflows, t.count))
        if t.vanishes > t.count // 1000:
            remarks.append("underflow: %d of %d become 0" % (t.vanishes, t.count))
        if own[t.name] > limit / 4:
            remarks.append("adds %.1e" % own[t.name])
        if not everything and not remarks:
            continue
        shown += 1
        say("%-34s %-16s %10.3g %10.3g %9.1e %9.1e  %s" % ((t.node.name or t.name)[-34:], t.node.op_type, t.low, t.high, t.error, t.strict, ", ".join(remarks)))
    if shown < len(tensors):
        say("(%d of %d tensors have nothing to remark; -v shows them)" % (len(tensors) - shown, len(tensors)))
    need = [t for t in tensors if t.node.op_type in remedies.LAYERS and t.strict > limit >= t.error]
    if need:
        say("hint: these layers need the engine's f32 accumulator, which blobs use unless their target says acc=f16: " + ", ".join(t.node.name or t.name for t in need[:12]) + (", ..." if len(need) > 12 else ""))
    over = [t for t in tensors if t.overflows]
    if over:
        say("verdict: not safe: '%s' (%s) is the first to overflow; outputs are off by %.1e" % (over[0].node.name or over[0].name, over[0].node.op_type, error))
    elif not error <= limit:
        say("verdict: not safe: outputs are off by %.1e of their largest value, expected at most %.1e" % (error, limit))
    else:
        say("verdict: safe: outputs are within %.1e of their largest value" % error)
    return not over and error <= limit


def fix(checker, model, tensors, error, limit, say):
    """The network with what helps done to it, its tensors and error."""
    largest = {t.name: t.largest for t in tensors}
    folded = remedies.fold_scales(model, largest)
    if folded:
        model, said = folded
        for line in said:
            say("remedy: " + line)
        tensors, error = checker.check(model)
    # Before weights, whose second halves are small beside what an accumulator of f16 holds.
    if not error <= limit and np.isfinite(error) and "acc=f16" in checker.target:
        model, tensors, error = split_sums(checker, model, tensors, error, limit, say)
    # Weights in two halves where the weights' rounding is what hurts, in doubling steps, most sensitive layers first.
    layers = [t.name for t in sorted(tensors, key=lambda t: -own_errors(tensors)[t.name]) if remedies.can_split(model, t.node)]
    count = 1
    best = (error, model, tensors, 0)
    while not best[0] <= limit and layers and np.isfinite(error):
        count = min(count, len(layers))
        tried = remedies.split_weights(model, set(layers[:count]))
        found, off = checker.check(tried)
        if off < best[0]:
            best = (off, tried, found, count)
        if count == len(layers):
            break
        count *= 2
    if best[3]:
        say("remedy: weights of %d layers in two halves: %s" % (best[3], ", ".join(layers[:min(best[3], 8)]) + (", ..." if best[3] > 8 else "")))
    return best[1], best[2], best[0]


def split_sums(checker, model, tensors, error, limit, say):
    """The network with the sums of its layers in as many parts as help most."""
    layers = {t.name for t in tensors if remedies.can_split(model, t.node)}
    best = (error, model, tensors, 1)
    for parts in (2, 4, 8, 16):
        tried = remedies.split_sums(model, layers, parts)
        found, off = checker.check(tried)
        if off < best[0]:
            best = (off, tried, found, parts)
        if off <= limit:
            break
    if best[3] > 1:
        say("remedy: sums in %d parts, added in pairs, in %d layers" % (best[3], len(layers)))
    return best[1], best[2], best[0]


def main(words):
    parser = argparse.ArgumentParser(prog="burin-compile", description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("model")
    parser.add_argument("--check-fp16", action="append", required=True)
    parser.add_argument("--fix-fp16", action="store_true")
    parser.add_argument("--max-error", type=float, default=5e-3)
    parser.add_argument("--target", default="myriad")
    parser.add_argument("--output", "-o", default="")
    parser.add_argument("--verbose", "-v", action="store_true")
    given, options = parser.parse_known_args(words)
    try:
        with tempfile.TemporaryDirectory() as folder:
            graph = os.path.join(folder, "graph.onnx")
            call("burin-compile", given.model, "--emit=onnx", "-o", graph, *options)
            model = onnx.load(graph)
            samples = [dict(np.load(p)) for p in given.check_fp16]
            for path, sample in zip(given.check_fp16, samples):
                missing = [i.name for i in model.graph.input if i.name not in sample]
                if missing:
                    fail("%s: expected an array for each input of the model, '%s' is missing" % (path, missing[0]))
            checker = Checker(samples, given.target, folder)
            tensors, error = checker.check(model)
            safe = describe(tensors, error, given.max_error, print, given.verbose)
            if not safe and given.fix_fp16:
                model, tensors, error = fix(checker, model, tensors, error, given.max_error, print)
                safe = describe(tensors, error, given.max_error, print, given.verbose)
            if safe and given.output.endswith(".onnx"):
                onnx.save(model, given.output)
            elif safe and given.output:
                onnx.save(model, graph)
                call("burin-compile", graph, "--target=" + given.target, "--emit=blob", "--input-type=f32", "-o", given.output)
            return not safe
    except (OSError, ToolError, ValueError) as e:
        fail(str(e).splitlines()[0] if str(e) else type(e).__name__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
