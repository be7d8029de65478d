"""Sequences and optionals of a model's signature. The compiler knows tensors only: where an input is a sequence of three, the
compiled model has x[0], x[1] and x[2]. Here lists and None become that and back."""
import json
import re

from . import _model

CODES = {name: code for code, name in _model.TYPES.items()}


def is_container(arg):
    return arg.type.startswith(("seq(", "optional("))


def is_sequence(arg):
    return arg.type.startswith(("seq(", "optional(seq("))


def element_dtype(arg):
    """ONNX's number of the type of the tensors inside; 0 where there are none."""
    found = re.search(r"tensor\((\w+)\)", arg.type)
    return CODES.get(found.group(1), 0) if found else 0


class Feed(dict):
    """A feed of tensors only, and for each container how many of them are its: None for an empty optional."""

    def __init__(self):
        super().__init__()
        self.lengths = {}

    def add(self, arg, value, convert):
        """convert: from a tensor's name and value to an array."""
        if value is None and arg.type.startswith("optional("):
            self.lengths[arg.name] = None
        elif is_sequence(arg):
            if not isinstance(value, (list, tuple)):
                raise TypeError("expected a list of arrays, got %s" % type(value).__name__)
            self.lengths[arg.name] = len(value)
            for i, v in enumerate(value):
                name = "%s[%d]" % (arg.name, i)
                self[name] = convert(name, v)
        else:
            self.lengths[arg.name] = 1
            self[arg.name] = convert(arg.name, value)

    def options(self):
        return [("length", "%s=%s" % (k, "none" if v is None else v)) for k, v in self.lengths.items()]


class Results:
    """Puts together what a compiled model with such a signature gives."""

    def __init__(self, native, declared):
        self.names = [o[0] for o in native.outputs()]
        self.lengths = json.loads(native.manifest).get("lengths", {})
        self.declared = {a.name: a for a in declared}

    def gather(self, names, values):
        tensors = dict(zip(self.names, values))
        out = []
        for name in self.declared if names is None else names:
            if name not in self.declared:
                raise KeyError(name)
            if name in tensors:
                out.append(tensors[name])
            else:
                length = self.lengths.get(name)
                out.append(None if length is None else [tensors["%s[%d]" % (name, i)] for i in range(length)])
        return out
