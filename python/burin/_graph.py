"""The graph that functions of burin.passes see and change: an onnx.ModelProto with users, shapes and types at hand."""
import numpy as np

from burin._expressions import _Either, _Expr, _Operand, _Var


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
