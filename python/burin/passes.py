"""Graph passes in Python: patterns of ONNX operators, and functions over the whole graph.

    from burin import passes
    from burin.passes import op

    @passes.rewrite
    def gelu(x):                                   # what to find: parameters stand for any value
        return 0.5 * x * (1 + op.Erf(x / 1.41421356))

    @gelu.when                                     # a condition; a text or False says why not
    def _(x):
        return x.dtype == "float32" or "x is " + x.dtype

    @gelu.to                                       # what to put there
    def _(x):
        return op.Gelu(x)

    burin.compile("net.onnx", "net", passes=[gelu])
    burin.InferenceSession("net.onnx", passes=[passes.at("after-import", gelu)])
    changed = passes.apply(model, [gelu])          # alone, on an onnx.ModelProto

and from the tools: burin-opt net.onnx --passes=gelu.py --pipeline=graph -o net.opt.onnx.

Patterns. `op.X(a, b, attribute=value)` matches an operator by its ONNX name; `op["com.microsoft"].X` one of another domain. Numbers match
constants that hold nothing else, to rounding; lists match integer constants. Add, Mul and the like match in either order. A parameter
annotated `const` stands for a constant only; one with the default None for an operand that may be absent. `_name="conv"` gives the matched node
a name, by which `when` and `to` may ask for it (`conv.attributes`); `_outputs=2` makes a pattern of several results; a function as an attribute's value is
a condition on it. `either(a, b)` takes the first that matches. Values inside a pattern must have no other users, or the rewrite is a near miss.

`@passes.transform` marks a function over a Graph: nodes, values with shapes, types and constants, `graph.replace(value, op.Relu(x))`.
"""
import functools
import inspect
import sys

import numpy as np

from burin._expressions import _Either, _Expr, _Var, either, op
from burin._graph import Graph, Node, Value, _text

__all__ = ["Graph", "Node", "Rewrite", "Value", "apply", "at", "const", "either", "op", "rewrite", "transform"]

COMMUTATIVE = {"Add", "Mul", "And", "Or", "Xor", "Max", "Min", "Sum", "Mean", "Equal", "BitwiseAnd", "BitwiseOr", "BitwiseXor"}
MAX_ROUNDS = 16  # a rewrite that undoes another would never end
const = "const"  # annotation of a parameter that stands for a constant


# ---------------------------------------------------------------- matching

class _Miss(Exception):
    """A near miss: the operators are there, a condition is not."""


class _Match:
    def __init__(self, graph):
        self.graph, self.values, self.nodes, self.heads = graph, {}, [], {}

    def copy(self):
        other = _Match(self.graph)
        other.values, other.nodes, other.heads = dict(self.values), list(self.nodes), dict(self.heads)
        return other


def _is_about(array, number):
    if array is None or not array.size or array.dtype.kind not in "fiub":
        return False
    tolerance = 1e-3 if array.dtype == np.float16 else 1e-5
    return bool(np.all(np.abs(array.astype(np.float64) - number) <= tolerance * max(1.0, abs(number))))


def _attribute_fits(have, want):
    if callable(want):
        return bool(want(have))
    if isinstance(want, float) and isinstance(have, (int, float)):
        return abs(have - want) <= 1e-5 * max(1.0, abs(want))
    return have == (list(want) if isinstance(want, tuple) else want)


def _defaults(node):
    """Attributes that the node leaves to ONNX's defaults, on demand."""
    import onnx
    try:
        schema = onnx.defs.get_schema(node.op_type, node._graph._opset, node.domain)
    except Exception:
        return {}
    return {k: _text(onnx.helper.get_attribute_value(a.default_value)) for k, a in schema.attributes.items() if a.default_value.name}


def _matches(m, pattern, value):
    """Yields every way in which `value` is what the pattern says."""
    if isinstance(pattern, _Either):
        for option in pattern.options:
            yield from _matches(m, option, value)
        return
    if isinstance(pattern, _Var):
        if pattern.name in m.values:
            bound = m.values[pattern.name]
            if (bound and bound.name) == (value and value.name):
                yield m
        elif (value is not None or pattern.optional) and not (pattern.constant and value is not None and not value.is_constant):
            m = m.copy()
            m.values[pattern.name] = value
            yield m
        return
    if value is None:
        return
    if isinstance(pattern, _Expr):
        node = value.producer
        if node is not None and node.op_type == pattern.kind and node.domain == pattern.domain and \
                list(node.proto.output).index(value.name) == pattern.index:
            yield from _node_matches(m, pattern, node)
        return
    array = value.numpy()
    if isinstance(pattern, (int, float)):
        if _is_about(array, float(pattern)):
            yield m
    elif array is not None and array.shape == np.shape(pattern) and np.allclose(array, pattern):
        yield m


def _node_matches(m, pattern, node):
    if pattern.head in m.heads:
        if m.heads[pattern.head] is node:
            yield m
        return
    have = node.attributes
    for key, want in pattern.attributes.items():
        if not _attribute_fits(have[key] if key in have else _defaults(node).get(key), want):
            return
    inputs = node.inputs
    if len(inputs) > len(pattern.operands) and any(i is not None for i in inputs[len(pattern.operands):]):
        return
    inputs += [None] * (len(pattern.operands) - len(inputs))
    orders = [inputs, inputs[::-1]] if node.op_type in COMMUTATIVE and len(inputs) == 2 else [inputs]
    for order in orders:
        found = m.copy()
        found.nodes.append(node)
        found.heads[pattern.head] = node
        if pattern.name:
            found.values[pattern.name] = node
        found = [found]
        for operand, value in zip(pattern.operands, order):
            found = [n for f in found for n in _matches(f, operand, value)]
        yield from found


class Event:
    """What a rewrite did or did not do: `reason` is "" where it fired."""

    def __init__(self, rewrite, node, reason=""):
        self.rewrite, self.node, self.reason = rewrite, node, reason

    def __repr__(self):
        return "%s: node '%s'%s" % (self.rewrite, self.node, ": " + self.reason if self.reason else "")


class Rewrite:
    """What @rewrite makes; see the module's text."""

    def __init__(self, pattern, at=None):
        functools.update_wrapper(self, pattern)
        self.point, self._condition, self._replacement = at, None, None
        parameters = inspect.signature(pattern).parameters.values()
        made = pattern(*(_Var(p.name, p.annotation in (const, "const"), p.default is None) for p in parameters))
        self._results = made if isinstance(made, tuple) else (made,)
        self._single = not isinstance(made, tuple)
        for r in self._results:
            if not isinstance(r, (_Expr, _Either)):
                raise TypeError("%s: a pattern returns operators, got %r" % (self.__name__, r))

    def when(self, condition):
        self._condition = condition
        return self

    def to(self, replacement):
        self._replacement = replacement
        return self

    def __call__(self, graph):
        """Applies it until it fires nowhere. The events, near misses of the last round."""
        events = []
        if self._replacement is None:
            raise TypeError("%s has no replacement; write one with @%s.to" % (self.__name__, self.__name__))
        for _ in range(MAX_ROUNDS):
            misses, fired = [], 0
            for node in graph.nodes:
                if graph._producers.get(node.proto.output[0]) is not node:
                    continue  # replaced in this round
                try:
                    if self._apply(graph, node):
                        fired += 1
                        events.append(Event(self.__name__, node.name or node.proto.output[0]))
                except _Miss as miss:
                    misses.append(Event(self.__name__, node.name or node.proto.output[0], str(miss)))
            if not fired:
                return events + misses
        raise RuntimeError("%s does not settle within %d rounds" % (self.__name__, MAX_ROUNDS))

    def _find(self, graph, node):
        first = self._results[0]
        heads = [o for o in first.options if isinstance(o, _Expr)] if isinstance(first, _Either) else [first]
        for head in heads:
            if node.op_type == head.kind and node.domain == head.domain and len(node.proto.output) > head.index:
                found = list(_matches(_Match(graph), head, graph.value(node.proto.output[head.index])))
                for other in self._results[1:]:
                    found = [n for f in found for v in graph.nodes if v.op_type == other.kind and v not in f.heads.values()
                             for n in _matches(f, other, graph.value(v.proto.output[other.index]))]
                yield from found

    def _apply(self, graph, node):
        miss = None
        for m in self._find(graph, node):
            old = [graph.value(m.heads[r.head].proto.output[r.index]) for r in self._results if isinstance(r, _Expr)] or [graph.value(node.proto.output[0])]
            inside = {id(n) for n in m.nodes}
            results = {v.name for v in old}
            for n in m.nodes:
                for v in n.outputs:
                    if v is None or v.name in results:
                        continue
                    users = [u for u in v.users if id(u) not in inside]
                    if users or v.is_output:
                        miss = "'%s' has %s" % (v.name, "another user, '%s'" % (users[0].name or users[0].op_type) if users else "to be an output")
            if miss:
                continue
            if self._condition is not None:
                answer = _call(self._condition, m.values)
                if answer is not True and (isinstance(answer, str) or not answer):
                    miss = answer if isinstance(answer, str) else "the condition does not hold"
                    continue
            new = _call(self._replacement, m.values)
            if new is None:
                miss = "the replacement declined"
                continue
            graph._replace(old, list(new) if isinstance(new, tuple) else [new])
            return True
        if miss:
            raise _Miss(miss)
        return False


def _call(function, values):
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return function(**values)
    return function(**{k: values[k] for k in parameters})


def rewrite(pattern=None, *, at=None):
    """Decorator: the function's body is the pattern. `at`: where it runs, see at()."""
    return Rewrite(pattern, at) if pattern is not None else functools.partial(Rewrite, at=at)


def transform(function=None, *, at=None):
    """Decorator for a function over a Graph, which it changes."""
    if function is None:
        return functools.partial(transform, at=at)
    function.point, function.is_pass = at, True
    return function


def at(point, one):
    """The pass at a point of the pipeline: after-import, after-graph, or before-FLAG and after-FLAG of a graph pass (burin-opt --list-pipelines)."""
    @functools.wraps(one, updated=())
    def run(graph):
        return one(graph)
    run.point, run.is_pass = point, True
    return run


def apply(model, passes, events=None):
    """The model changed by the passes, in order. `events` (a list) gets what fired and what nearly did."""
    if isinstance(model, (bytes, bytearray, memoryview)):
        import onnx
        model = onnx.ModelProto.FromString(bytes(model))
    graph = Graph(model)
    for one in passes:
        said = one(graph)
        if events is not None and isinstance(said, list):
            events += said
    return graph.save()


def rewriter(one):
    """The pass as a function over the bytes of a model, which is what the compiler calls."""
    def run(data):
        return apply(data, [one]).SerializeToString()
    return run


def load(path):
    """The passes of a Python file: its PASSES, else every rewrite and transform it defines, in order."""
    space = {"__name__": "burin_passes_file", "__file__": path}
    with open(path) as f:
        exec(compile(f.read(), path, "exec"), space)
    if "PASSES" in space:
        return list(space["PASSES"])
    found = [v for k, v in space.items() if isinstance(v, Rewrite) or getattr(v, "is_pass", False)]
    if not found:
        raise TypeError("%s defines no pass; write @burin.passes.rewrite or @burin.passes.transform" % path)
    return list(dict.fromkeys(found))


def _main():
    """python -m burin.passes FILE.py IN.onnx OUT.onnx [--explain]: what the tools run for --passes=FILE.py."""
    import onnx
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    if len(arguments) != 3:
        sys.exit("usage: python -m burin.passes FILE.py IN.onnx OUT.onnx [--explain]")
    events = []
    model = apply(onnx.load(arguments[1]), load(arguments[0]), events)
    if "--explain" in sys.argv:
        print("\n".join(map(repr, events)))
    onnx.save(model, arguments[2])


if __name__ == "__main__":
    # Run as a module this file is __main__; the passes of the user's file are those of burin.passes.
    from burin import passes as _self
    _self._main()
