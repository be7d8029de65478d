"""Reads the signature of an ONNX file and writes constants into it, straight on the protobuf wire: a session must tell
its inputs before anything is compiled, without the `onnx` package and without parsing gigabytes of weights.

Field numbers are those of onnx.proto. Malformed files end as ValueError; the compiler then says what is wrong with them.
"""
from collections import namedtuple

TYPES = {1: "float", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool", 10: "float16", 11: "double",
         12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2",
         20: "float8e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4e2m1", 24: "float8e8m0", 25: "uint2", 26: "int2"}

# As ONNX Runtime's NodeArg: type is "tensor(float)", shape a list of ints, symbol names and None; dtype is 0 for what is not a tensor.
NodeArg = namedtuple("NodeArg", "name shape type dtype")
Signature = namedtuple("Signature", "inputs outputs constants")


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("overlong number")


def _fields(data, start, end):
    """(field number, value or (start, end)) of a message; the range for length-delimited fields."""
    at = start
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 2:
            size, at = _varint(data, at)
            if at + size > end:
                raise ValueError("truncated")
            yield tag >> 3, (at, at + size)
            at += size
        elif kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError("not protobuf")


def _text(data, span):
    return bytes(data[span[0]:span[1]]).decode("utf-8", "replace")


def _signed(value):
    return value - (1 << 64) if value >> 63 else value


def _shape(data, span):
    dims = []
    for number, dim in _fields(data, *span):
        if number == 1:
            value = None
            for n, v in _fields(data, *dim):
                if n == 1:
                    value = _signed(v) if _signed(v) >= 0 else None
                elif n == 2:
                    value = _text(data, v) or None
            dims.append(value)
    return dims


def _type(data, span):
    """TypeProto -> (text, dtype of a tensor or 0, shape or None)."""
    for number, value in _fields(data, *span):
        if number in (1, 8):  # tensor, sparse tensor
            dtype, shape = 0, None
            for n, v in _fields(data, *value):
                if n == 1:
                    dtype = v
                elif n == 2:
                    shape = _shape(data, v)
            text = "%s(%s)" % ("tensor" if number == 1 else "sparse_tensor", TYPES.get(dtype, "undefined"))
            return text, dtype if number == 1 else 0, shape
        if number in (4, 9):  # sequence, optional
            inner = "undefined"
            for n, v in _fields(data, *value):
                if n == 1:
                    inner = _type(data, v)[0]
            return "%s(%s)" % ("seq" if number == 4 else "optional", inner), 0, None
        if number == 5:
            return "map", 0, None
    return "undefined", 0, None


def _argument(data, span):
    name, kind = "", ("undefined", 0, None)
    for number, value in _fields(data, *span):
        if number == 1:
            name = _text(data, value)
        elif number == 2:
            kind = _type(data, value)
    return NodeArg(name, kind[2], kind[0], kind[1])


def signature(data):
    """Inputs and outputs as the file declares them; constants: names of inputs that have an initializer."""
    inputs, outputs, named = [], [], set()
    try:
        for number, graph in _fields(data, 0, len(data)):
            if number != 7:
                continue
            for n, v in _fields(data, *graph):
                if n == 11:
                    inputs.append(_argument(data, v))
                elif n == 12:
                    outputs.append(_argument(data, v))
                elif n == 5:  # TensorProto; its name may stand behind its data
                    named.update(_text(data, s) for k, s in _fields(data, *v) if k == 8)
                elif n == 15:  # SparseTensorProto.values
                    for k, s in _fields(data, *v):
                        if k == 1:
                            named.update(_text(data, t) for j, t in _fields(data, *s) if j == 8)
    except (IndexError, TypeError, RecursionError) as e:
        raise ValueError("not an ONNX model") from e
    constants = [i.name for i in inputs if i.name in named]
    return Signature([i for i in inputs if i.name not in named], outputs, constants)


def _number(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _message(number, payload):
    return _number(number << 3 | 2) + _number(len(payload)) + payload


def _value_info(name, dtype, shape):
    dims = b"".join(_message(1, _number(1 << 3) + _number(d)) for d in shape)
    return _message(1, name.encode()) + _message(2, _message(1, _number(1 << 3) + _number(dtype) + _message(2, dims)))


def with_shapes(data, shapes):
    """The model with the shapes of some inputs declared. shapes: name -> (dtype, dims)."""
    parts, last = [], 0
    for number, graph in _fields(data, 0, len(data)):
        if number != 7:
            continue
        body, at = [], graph[0]
        for n, v in _fields(data, *graph):
            if n == 11 and _argument(data, v).name in shapes:
                start = v[0] - len(_number(v[1] - v[0])) - 1
                body += [data[at:start], _message(11, _value_info(*((a := _argument(data, v)).name, *shapes[a.name])))]
                at = v[1]
        body = b"".join(body) + data[at:graph[1]]
        parts += [data[last:graph[0] - len(_number(graph[1] - graph[0])) - 1], _message(7, body)]
        last = graph[1]
    return b"".join(parts) + data[last:]


def with_constants(data, values):
    """The model with initializers for some inputs. Messages that occur twice merge, so they are appended. values: name -> (dtype, array)."""
    graph = b""
    for name, (dtype, array) in values.items():
        tensor = b"".join(_number(1 << 3) + _number(d) for d in array.shape) + _number(2 << 3) + _number(dtype)
        graph += _message(5, tensor + _message(8, name.encode()) + _message(9, array.tobytes()))
    return data + _message(7, graph)
