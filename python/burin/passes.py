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

__all__ = ["Graph", "Node", "Rewrite", "Value", "apply", "at", "const", "either", "op", "rewrite", "transform"]

COMMUTATIVE = {"Add", "Mul", "And", "Or", "Xor", "Max", "Min", "Sum", "Mean", "Equal", "BitwiseAnd", "BitwiseOr", "BitwiseXor"}
MAX_ROUNDS = 16  # a rewrite that undoes another would never end
const = "const"  # annotation of a parameter that stands for a constant


# ---------------------------------------------------------------- expressions: what patterns and replacements are written in

class _Operand:
    """Arithmetic on what may stand in an expression."""

    def __add__(self, other): return op.Add(self, other)
    def __radd__(self, other): return op.Add(other, self)
    def __sub__(self, other): return op.Sub(self, other)
    def __rsub__(self, other): return op.Sub(other, self)
    def __mul__(self, other): return op.Mul(self, other)
    def __rmul__(self, other): return op.Mul(other, self)
    def __truediv__(self, other): return op.Div(self, other)
    def __rtruediv__(self, other): return op.Div(other, self)
    def __pow__(self, other): return op.Pow(self, other)
    def __matmul__(self, other): return op.MatMul(self, other)
    def __neg__(self): return op.Neg(self)


class _Var(_Operand):
    def __init__(self, name, constant, optional):
        self.name, self.constant, self.optional = name, constant, optional


class _Expr(_Operand):
    """An operator over operands; `index` says which of its results is meant."""

    def __init__(self, kind, domain, operands, attributes, name, outputs, index=0, head=None):
        self.kind, self.domain, self.operands, self.attributes = kind, domain, operands, attributes
        self.name, self.outputs, self.index = name, outputs, index
        self.head = head or self  # the same for all results of one operator


class _Either(_Operand):
    def __init__(self, options):
        self.options = options


def either(*options):
    """In a pattern: the first of these that matches."""
    return _Either(options)


class _Domain:
    def __init__(self, domain):
        self._domain = domain

    def __getattr__(self, kind):
        if not kind[0].isupper():  # as every operator is
            raise AttributeError(kind)

        def make(*operands, _name=None, _outputs=1, **attributes):
            head = _Expr(kind, self._domain, operands, attributes, _name, _outputs)
            if _outputs == 1:
                return head
            return tuple(_Expr(kind, self._domain, operands, attributes, _name, _outputs, i, head) for i in range(_outputs))
        return make

    def __getitem__(self, domain):
        return _Domain("" if domain == "ai.onnx" else domain)


op = _Domain("")


# ---------------------------------------------------------------- the graph

class Value(_Operand):
    """A tensor of the graph: what an operator makes, an input, or a constant."""

    def __init__(self, graph, name):
        self._graph, self.name = graph, name

    @property
    def producer(self):
        """The Node that makes it, or None."""
        return self._graph._producers.get(self.name)

    @property
    def users(self):
        """Nodes that read it, once each."""
        return self._graph._users(self.name)

    @property
    def is_output(self):
        return any(o.name == self.name for o in self._graph.model.graph.output)

    @property
    def is_constant(self):
        return self.name in self._graph._tensors

    def numpy(self):
        """The elements of a constant; None for any other value."""
        return self._graph._array(self.name)

    @property
    def shape(self):
        """A tuple of ints, names and None for what is not known; None where even the rank is not."""
        return self._graph._type(self.name)[1]

    @property
    def rank(self):
        return None if self.shape is None else len(self.shape)

    @property
    def dtype(self):
        """NumPy's name of the element type, "" where unknown."""
        return self._graph._type(self.name)[0]

    def __repr__(self):
        return "Value(%r, %s, %s)" % (self.name, self.dtype or "?", self.shape)


class Node:
    """An operator of the graph."""

    def __init__(self, graph, proto):
        self._graph, self.proto = graph, proto

    op_type = property(lambda self: self.proto.op_type)
    domain = property(lambda self: "" if self.proto.domain == "ai.onnx" else self.proto.domain)
    name = property(lambda self: self.proto.name)

    @property
    def inputs(self):
        """Values, None for absent ones."""
        return [self._graph.value(n) if n else None for n in self.proto.input]

    @property
    def outputs(self):
        return [self._graph.value(n) if n else None for n in self.proto.output]

    @property
    def attributes(self):
        """As Python values; ready for op.X(..., **node.attributes)."""
        import onnx
        return {a.name: _text(onnx.helper.get_attribute_value(a)) for a in self.proto.attribute}

    def _reads(self):
        return set(self.proto.input) | _captured(self.proto)

    def __repr__(self):
        return "%s(%s)" % (self.op_type, self.name or self.proto.output[0])


def _text(value):
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return [_text(v) for v in value] if isinstance(value, (list, tuple)) or type(value).__name__.startswith("Repeated") else value


def _captured(proto):
    """Names that the subgraphs of a node read."""
    names = set()
    for a in proto.attribute:
        for g in ([a.g] if a.HasField("g") else []) + list(a.graphs):
            for n in g.node:
                names |= set(n.input) | _captured(n)
            names |= {o.name for o in g.output}
    return names


class Graph:
    """The main graph of a model, to read and to change. `model` is changed by save()."""

    def __init__(self, model):
        import onnx
        self.model, self._onnx = model, onnx
        self._nodes = [Node(self, n) for n in model.graph.node]
        self._tensors = {t.name: t for t in model.graph.initializer}
        self._arrays, self._types, self._readers, self._next = {}, None, None, 0
        self._producers, self._opset = {}, max((i.version for i in model.opset_import if i.domain in ("", "ai.onnx")), default=0)
        self._names = {v.name for v in model.graph.input} | set(self._tensors)
        for node in self._nodes:
            self._own(node)

    def _own(self, node):
        for name in node.proto.output:
            self._producers[name] = node
            self._names.add(name)
        if node.op_type == "Constant" and not node.domain:
            for a in node.proto.attribute:
                if a.name == "value":
                    self._tensors[node.proto.output[0]] = a.t
                elif a.name in ("value_float", "value_int", "value_floats", "value_ints"):
                    array = np.array(self._onnx.helper.get_attribute_value(a), np.float32 if "float" in a.name else np.int64)
                    self._tensors[node.proto.output[0]] = self._onnx.numpy_helper.from_array(array)

    def _users(self, name):
        if self._readers is None:
            self._readers = {}
            for node in self._nodes:
                for read in node._reads():
                    self._readers.setdefault(read, []).append(node)
        return list(self._readers.get(name, ()))

    @property
    def nodes(self):
        return list(self._nodes)

    def find(self, op_type, domain=""):
        return [n for n in self._nodes if n.op_type == op_type and n.domain == domain]

    @property
    def inputs(self):
        return [Value(self, v.name) for v in self.model.graph.input if v.name not in self._tensors]

    @property
    def outputs(self):
        return [Value(self, v.name) for v in self.model.graph.output]

    def value(self, name):
        return Value(self, name)

    def _array(self, name):
        if name not in self._tensors:
            return None
        if name not in self._arrays:
            self._arrays[name] = self._onnx.numpy_helper.to_array(self._tensors[name])
        return self._arrays[name]

    def _type(self, name):
        if name in self._tensors:
            t = self._tensors[name]
            return self._dtype(t.data_type), tuple(t.dims)
        if self._types is None or (name not in self._types and name in self._producers):
            self._infer()
        return self._types.get(name, ("", None))

    def _dtype(self, code):
        try:
            return str(self._onnx.helper.tensor_dtype_to_np_dtype(code)) if code else ""
        except (KeyError, TypeError, ValueError):
            return ""

    def _infer(self):
        """ONNX's own inference, over the graph without its large weights."""
        onnx, small = self._onnx, self._onnx.ModelProto()
        small.ir_version = self.model.ir_version
        small.opset_import.extend(self.model.opset_import)
        small.functions.extend(self.model.functions)
        g = small.graph
        g.name = "g"
        g.input.extend(self.model.graph.input)
        g.output.extend(self.model.graph.output)
        g.value_info.extend(self.model.graph.value_info)
        for name, t in self._tensors.items():
            if name in self._producers:
                continue
            if np.prod(t.dims, dtype=np.int64) <= 1024:
                g.initializer.append(t)
                g.initializer[-1].name = name
            else:
                g.input.append(onnx.helper.make_tensor_value_info(name, t.data_type, list(t.dims)))
        g.node.extend(n.proto for n in self._nodes)
        try:
            small = onnx.shape_inference.infer_shapes(small, data_prop=True)
        except Exception:  # what it knows so far is what there is
            pass
        self._types = {}
        for v in list(small.graph.value_info) + list(small.graph.input) + list(small.graph.output):
            t = v.type.tensor_type
            shape = tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in t.shape.dim) if t.HasField("shape") else None
            self._types[v.name] = self._dtype(t.elem_type), shape
        for name in self._producers:
            self._types.setdefault(name, ("", None))

    # Changing.

    def _fresh(self, stem):
        while True:
            name = "%s_%d" % (stem, self._next)
            self._next += 1
            if name not in self._names:
                self._names.add(name)
                return name

    def constant(self, array, name="constant"):
        """A constant of the graph."""
        array = np.asarray(array)
        name = self._fresh(name)
        self._tensors[name] = self._onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        self._arrays[name] = array
        return Value(self, name)

    def _build(self, expr, made, heads, like=""):
        """The value of an expression; its operators go to `made`, in order."""
        if isinstance(expr, Value) or expr is None:
            return expr
        if isinstance(expr, Node):
            return expr.outputs[0]
        if isinstance(expr, _Expr):
            if expr.head not in heads:
                types = [o.dtype for o in expr.operands if isinstance(o, Value)] or [like]
                operands = [self._build(o, made, heads, types[0]) for o in expr.operands]
                names = [o.name if o is not None else "" for o in operands]
                outputs = [self._fresh(expr.kind) for _ in range(expr.outputs)]
                attributes = {k: v for k, v in expr.attributes.items() if v is not None}
                proto = self._onnx.helper.make_node(expr.kind, names, outputs, name=outputs[0], domain=expr.domain, **attributes)
                node = Node(self, proto)
                self._own(node)
                made.append(node)
                heads[expr.head] = node
            return heads[expr.head].outputs[expr.index]
        if isinstance(expr, (_Var, _Either)):
            raise TypeError("a pattern's variable in a replacement: expected a value")
        if isinstance(expr, (bool, int, float)) and not isinstance(expr, np.generic):
            return self.constant(np.array(expr, like or ("float32" if isinstance(expr, float) else "int64")))
        if isinstance(expr, (list, tuple)):
            return self.constant(np.array(expr, "float32" if any(isinstance(e, float) for e in expr) else "int64"))
        return self.constant(expr)

    def insert(self, expr, before=None):
        """Adds the operators of an expression in front of a node (else at the end). Its value."""
        made, heads = [], {}
        value = self._build(expr, made, heads)
        place = len(self._nodes) if before is None else self._nodes.index(before)
        self._nodes[place:place] = made
        self._readers = None
        return value

    def replace(self, value, by):
        """Lets every user of `value`, and the graph's outputs, read the value of an expression instead."""
        return self._replace([value], [by])[0]

    def _replace(self, old, new):
        made, heads = [], {}
        values = [self._build(n, made, heads) for n in new]
        # Behind everything the new operators read: at the last operator that is replaced.
        place = max((self._nodes.index(v.producer) for v in old if v.producer is not None), default=-1) + 1
        taken = {v.name for v in values}
        for v, w in zip(old, values):
            if v.name == w.name:
                continue
            fresh = w.producer in made and v.producer is not None
            if v.is_output and not (fresh and w.name in taken):
                made.append(Node(self, self._onnx.helper.make_node("Identity", [w.name], [self._fresh("Identity")])))
                self._own(made[-1])
                w, fresh = made[-1].outputs[0], True
            if fresh:
                # The new operator takes the old name, so that outputs, subgraphs and what the user knows keep theirs.
                taken.discard(w.name)
                self._rename(v, w, made)
            else:
                self._read_instead(v.name, w.name)
        self._nodes[place:place] = made
        self._types = self._readers = None
        self.clean()
        return [Value(self, v.name if v.name in self._producers else w.name) for v, w in zip(old, values)]

    def _rename(self, old, new, made):
        aside, outputs = self._fresh(old.name), old.producer.proto.output
        outputs[list(outputs).index(old.name)] = aside
        self._producers[aside] = old.producer
        if old.name in self._tensors:
            self._tensors[aside] = self._tensors.pop(old.name)
        node = new.producer
        node.proto.output[list(node.proto.output).index(new.name)] = old.name
        # An expression may be over the very value it replaces: it goes on reading the old one.
        for other in made:
            for i, name in enumerate(other.proto.input):
                if name in (new.name, old.name):
                    other.proto.input[i] = old.name if name == new.name else aside
        del self._producers[new.name]
        self._producers[old.name] = node
        new.name = old.name

    def _read_instead(self, old, new):
        def walk(protos):
            for n in protos:
                for i, name in enumerate(n.input):
                    if name == old:
                        n.input[i] = new
                for a in n.attribute:
                    for g in ([a.g] if a.HasField("g") else []) + list(a.graphs):
                        walk(g.node)
        walk(n.proto for n in self._nodes)

    def clean(self):
        """Drops operators whose results nobody reads."""
        used = {o.name for o in self.model.graph.output}
        kept = []
        for node in reversed(self._nodes):
            if any(o in used for o in node.proto.output):
                kept.append(node)
                used |= node._reads()
            else:
                for o in node.proto.output:
                    if self._producers.get(o) is node:
                        del self._producers[o]
                        self._tensors.pop(o, None)
        self._nodes, self._readers = kept[::-1], None

    def _sort(self):
        """Puts every operator behind those it reads, and leaves the order alone otherwise."""
        order, done, open_ = [], set(), set()
        for root in self._nodes:
            stack = [(root, None)]
            while stack:
                node, needs = stack.pop()
                if needs is None:
                    if node in done:
                        continue
                    open_.add(node)
                    needs = iter(sorted(node._reads()))
                for name in needs:
                    producer = self._producers.get(name)
                    if producer is not None and producer not in done:
                        if producer in open_:
                            raise RuntimeError("the passes made a cycle through '%s'" % name)
                        stack += [(node, needs), (producer, None)]
                        break
                else:
                    open_.discard(node)
                    done.add(node)
                    order.append(node)
        self._nodes = order

    def save(self):
        """Writes the changes to the model, which it returns."""
        g = self.model.graph
        self.clean()
        self._sort()
        nodes = [n.proto for n in self._nodes]
        read = set().union({o.name for o in g.output}, *(n._reads() for n in self._nodes))
        kept = {t.name for t in g.initializer}
        for i in reversed([i for i, t in enumerate(g.initializer) if t.name not in read]):
            del g.initializer[i]
        for name, tensor in self._tensors.items():
            if name in read and name not in kept and name not in self._producers:
                g.initializer.append(tensor)
                g.initializer[-1].name = name
        copies = [self._onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
        del g.node[:]
        g.node.extend(copies)
        alive = read | {o for n in copies for o in n.output}
        for i in reversed([i for i, v in enumerate(g.value_info) if v.name not in alive]):
            del g.value_info[i]
        domains = {i.domain for i in self.model.opset_import}
        for n in copies:
            if n.domain not in domains and n.domain != "ai.onnx":
                self.model.opset_import.append(self._onnx.helper.make_opsetid(n.domain, 1))
                domains.add(n.domain)
        return self.model


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
