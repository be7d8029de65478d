"""A network for the vision unit and this CPU, as one program: burin-compile MODEL.onnx --target=myriad --fallback=cpu runs this.

    burin-compile MODEL.onnx --target=myriad[:...] --fallback=cpu [--cut=TENSOR,...] -o OUT [compile options]

The network is cut at named tensors: what leads to them is a blob inside the program, run by the unit's emulator; the rest is code for this CPU.
--cut names them. Without it as many nodes as the unit can take, from the inputs on, are its part, found by compiling; the cut is printed.
The unit's part takes and gives f32 where the network does. Frames (--image-input and what belongs to it) and --append are the CPU's work. Exit status 0, 1 when no part is left for the unit, 2 when something could not be run.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

from ._tools import ToolError, call


def fail(text, status=2):
    print("burin-compile: error: " + text, file=sys.stderr)
    sys.exit(status)


try:
    import onnx
    from onnx import helper
except ImportError as e:
    fail("--fallback=cpu needs the Python package onnx (%s); BURIN_PYTHON may name a Python that has it" % e)

# What the processor does before and behind the unit.
_HOST = ("image-input", "plain-images", "fit", "resize-mode", "pad-value", "mean", "scale", "reverse-channels", "layout", "append")

_DOMAIN, _OP = "burin.unit", "Run"


def _reads(node):
    """Tensors that a node reads, also inside its subgraphs."""
    names = [i for i in node.input if i]
    for attribute in node.attribute:
        for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            inner = {o for n in graph.node for o in n.output} | {i.name for i in graph.input} | {t.name for t in graph.initializer}
            names += [i for n in graph.node for i in _reads(n) if i not in inner] + [o.name for o in graph.output if o.name not in inner]
    return names


def bound(model, options):
    """The model with the sizes that --shape=INPUT=1x3x8x8 and --dim=NAME=N give its inputs."""
    shapes, dims = {}, {}
    for option in options:
        kind, _, rest = option.partition("=")
        name, _, value = rest.rpartition("=")
        if kind == "--shape":
            shapes[name] = [int(v) for v in value.split("x")]
        else:
            dims[name] = int(value)
    del model.graph.value_info[:]
    for entry in model.graph.input:
        for i, d in enumerate(entry.type.tensor_type.shape.dim):
            if entry.name in shapes:
                d.dim_value = shapes[entry.name][i]
            elif d.dim_param in dims:
                d.dim_value = dims[d.dim_param]
    return model


class Network:
    """A graph with shapes inferred, in order, that can be taken apart."""

    def __init__(self, model):
        self.model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        self.graph = self.model.graph
        self.constants = {t.name for t in self.graph.initializer} | {o for n in self.graph.node if n.op_type == "Constant" for o in n.output}
        self.types = {v.name: v for v in list(self.graph.value_info) + list(self.graph.input) + list(self.graph.output)}
        self.nodes = [n for n in self.graph.node if n.op_type != "Constant"]
        self.inputs = [i.name for i in self.graph.input if i.name not in self.constants]
        self.outputs = [o.name for o in self.graph.output]

    def leading_to(self, tensors):
        """The nodes that these tensors depend on."""
        makers = {o: i for i, n in enumerate(self.nodes) for o in n.output if o}
        wanted, todo = set(), [t for t in tensors]
        while todo:
            at = makers.get(todo.pop())
            if at is not None and at not in wanted:
                wanted.add(at)
                todo += _reads(self.nodes[at])
        return wanted

    def borders(self, part):
        """(what the nodes of `part` read from outside, what others or the caller read of theirs)"""
        made = {o for i in part for o in self.nodes[i].output if o}
        read = {t for i in part for t in _reads(self.nodes[i])} - made - self.constants
        outside = {t for i, n in enumerate(self.nodes) if i not in part for t in _reads(n)} | set(self.outputs)
        in_order = lambda names: [t for t in self.inputs + [o for n in self.nodes for o in n.output] if t in names]
        return in_order(read), in_order(made & outside)

    def _piece(self, nodes, inputs, outputs):
        reads = {t for n in nodes for t in _reads(n)}
        piece = onnx.ModelProto.FromString(self.model.SerializeToString())
        made = [n for n in self.graph.node if n.op_type == "Constant" and n.output[0] in reads]
        del piece.graph.node[:], piece.graph.input[:], piece.graph.output[:]
        keep = [t for t in self.graph.initializer if t.name in reads or t.name in outputs]
        del piece.graph.initializer[:]
        piece.graph.initializer.extend(keep)
        piece.graph.node.extend(made + nodes)
        piece.graph.input.extend(self.types[i] for i in inputs)
        piece.graph.output.extend(self.types[o] for o in outputs)
        return piece

    def unit_part(self, part):
        inputs, outputs = self.borders(part)
        untyped = [t for t in outputs + inputs if t not in self.types or not self.types[t].type.tensor_type.HasField("shape")]
        if untyped:
            raise ToolError("the shape of '%s' is not known: bind free dims with --shape or --dim" % untyped[0])
        return self._piece([self.nodes[i] for i in sorted(part)], inputs, outputs)

    def host_part(self, part):
        """The network with one node in place of `part`, before the first that reads what it makes."""
        inputs, outputs = self.borders(part)
        rest = [n for i, n in enumerate(self.nodes) if i not in part]
        after = set(outputs)
        before, behind = [], []
        for n in rest:
            late = any(t in after for t in _reads(n))
            (behind if late else before).append(n)
            if late:
                after.update(n.output)
        node = helper.make_node(_OP, inputs, outputs, "unit", domain=_DOMAIN)
        piece = self._piece(before + [node] + behind, self.inputs, self.outputs)
        piece.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
        return piece


class Unit:
    def __init__(self, target, folder):
        self.target, self.folder = target, folder

    def compile(self, model):
        """The blob's path; ToolError where the unit cannot run it."""
        net, blob = os.path.join(self.folder, "unit.onnx"), os.path.join(self.folder, "unit.blob")
        onnx.save(model, net)
        call("burin-compile", net, "--target=" + self.target, "--emit=blob", "--input-type=f32", "-o", blob)
        return blob


def longest_start(network, unit):
    """The longest run of nodes from the first on that the unit can take, and why no longer one."""
    reason = ""

    def works(count):
        nonlocal reason
        try:
            unit.compile(network.unit_part(set(range(count))))
            return True
        except ToolError as e:
            reason = str(e)
            return False

    if works(len(network.nodes)):
        return set(range(len(network.nodes))), ""
    low, high = 0, len(network.nodes)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if works(middle) else (low, middle)
    works(high)
    return set(range(low)), reason


def object_with(blob, folder):
    """An object that holds the blob and the function that runs it."""
    source, made = os.path.join(folder, "unit.c"), os.path.join(folder, "unit.o")
    with open(source, "w") as f:
        f.write("""#include <stdint.h>
__asm__(".section .rodata\\n.balign 64\\nburin_unit_bytes:\\n.incbin \\"%s\\"\\n.previous\\n");
extern const unsigned char burin_unit_bytes[] __attribute__((visibility("hidden")));
int32_t burin_vpu_call(void **, const void *, uint64_t, const void *, const void *, uint32_t, void *, uint32_t);
int32_t burin_unit_run(const void *call, const void *in, uint32_t num_in, void *out, uint32_t num_out) {
  static void *slot;
  return burin_vpu_call(&slot, burin_unit_bytes, %d, call, in, num_in, out, num_out);
}
""" % (blob, os.path.getsize(blob)))
    compiler = os.environ.get("CC") or next((c for c in ("cc", "clang", "gcc", "clang-22") if shutil.which(c)), None)
    if not compiler:
        raise ToolError("a program for unit and CPU needs a C compiler: none of cc, clang, gcc is on the PATH")
    done = subprocess.run([compiler, "-c", "-O1", "-fPIC", source, "-o", made], capture_output=True, text=True)
    if done.returncode:
        raise ToolError("%s: %s" % (compiler, (done.stderr.splitlines() or ["failed"])[0]))
    return made


def main(words):
    parser = argparse.ArgumentParser(prog="burin-compile", description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("model")
    parser.add_argument("--fallback", choices=["cpu"], required=True)
    parser.add_argument("--cut", default="")
    parser.add_argument("--target", default="")
    parser.add_argument("--emit", default="exe", choices=["exe"])
    parser.add_argument("--output", "-o", default="")
    given, options = parser.parse_known_args(words)
    if not given.target or not given.output:
        fail("--fallback=cpu makes a program for a vision unit and this CPU: give --target=myriad[:shaves=N,...] and -o FILE")
    try:
        with tempfile.TemporaryDirectory() as folder:
            frames = [o for o in options if o.startswith("--image-input")]
            own = [o for o in options if frames and o[2:].split("=")[0] in _HOST or o.startswith("--append=")]
            options = [o for o in options if o not in own]
            graph, host = os.path.join(folder, "graph.onnx"), os.path.join(folder, "host.onnx")
            cuts = [t for t in given.cut.split(",") if t]
            # Tensors have the user's names in the user's graph alone; without names, the optimized one has more shapes.
            if cuts:
                others = [o for o in options if not o.startswith(("--shape=", "--dim="))]
                if others:
                    fail("--cut names tensors of the model as it is: '%s' would change it; write the changed model with --emit=onnx first" % others[0])
                network = Network(bound(onnx.load(given.model), options))
            else:
                call("burin-compile", given.model, "--emit=onnx", "-o", graph, *options)
                network = Network(onnx.load(graph))
            unit = Unit(given.target, folder)
            made = {o for n in network.nodes for o in n.output}
            for cut in cuts:
                if cut not in made:
                    fail("--cut: no node of the model makes a tensor '%s'" % cut)
            part, reason = (network.leading_to(cuts), "") if cuts else longest_start(network, unit)
            if not part:
                fail("no part of the network is left for the unit: " + reason, 1)
            blob = unit.compile(network.unit_part(part))
            inputs, outputs = network.borders(part)
            print("unit: %d of %d nodes; cut at %s%s" % (len(part), len(network.nodes), ", ".join("'%s'" % o for o in outputs), "; not further: " + reason if reason else ""))
            onnx.save(network.host_part(part), host)
            name = os.path.splitext(os.path.basename(given.model))[0]
            call("burin-compile", host, "--name=" + "".join(c if c.isalnum() else "_" for c in name), "--custom-op=%s.%s=burin_unit_run:%s" % (_DOMAIN, _OP, object_with(blob, folder)),
                 "--emit=" + given.emit, "-o", given.output, *own)
            return 0
    except (OSError, ToolError, ValueError) as e:
        fail(str(e).splitlines()[0] if str(e) else type(e).__name__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
