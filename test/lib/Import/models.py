"""Small seeded ONNX models and broken files for the importer's tests.

usage: models.py FOLDER     writes all of them
"""
import os, sys
import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

rng = np.random.default_rng(3)
out = sys.argv[1]
os.makedirs(out, exist_ok=True)


def save(name, data):
    with open(os.path.join(out, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.SerializeToString())


def info(name, shape, dtype=T.FLOAT):
    return h.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs, outputs, initializers=(), opset=17, domains=(), **kw):
    graph = h.make_graph(nodes, "g", inputs, outputs, list(initializers), **kw)
    return h.make_model(graph, ir_version=8, opset_imports=[h.make_opsetid("", opset)] + [h.make_opsetid(*d) for d in domains])


def weight(name, shape, dtype=np.float32):
    return nh.from_array(rng.standard_normal(shape).astype(dtype), name)


def conv(**kw):
    return model([h.make_node("Conv", ["x", "w"], ["c"], name="conv1", pads=[1, 1, 1, 1]), h.make_node("Relu", ["c"], ["y"], name="relu1")],
                 [info("x", ["batch", 3, 8, 8])], [info("y", ["batch", 16, 8, 8])], [weight("w", (16, 3, 3, 3))], **kw)


# ---- good ones
save("conv.onnx", conv())
m = conv()
m.graph.input.append(info("w", [16, 3, 3, 3]))
save("initializer-input.onnx", m)
m = conv()
if os.path.exists(os.path.join(out, "external.bin")):
    os.remove(os.path.join(out, "external.bin"))  # onnx.save would append to it
onnx.save(m, os.path.join(out, "external.onnx"), save_as_external_data=True, location="external.bin", size_threshold=0)

body = h.make_graph([h.make_node("Mul", ["x", "two"], ["t"], name="twice")], "then", [], [info("t", None)], [nh.from_array(np.float32(2), "two")])
other = h.make_graph([h.make_node("Neg", ["x"], ["e"], name="minus")], "else", [], [info("e", None)])
save("if.onnx", model([h.make_node("If", ["c"], ["y"], name="choose", then_branch=body, else_branch=other)], [info("c", [], T.BOOL), info("x", [2, 3])], [info("y", [2, 3])]))

step = h.make_graph([h.make_node("Add", ["s", "x"], ["s2"]), h.make_node("Identity", ["c"], ["c2"]), h.make_node("Identity", ["s2"], ["o"])], "body",
                    [info("i", [], T.INT64), info("c", [], T.BOOL), info("s", [4])], [info("c2", [], T.BOOL), info("s2", [4]), info("o", [4])])
save("loop.onnx", model([h.make_node("Loop", ["n", "", "x"], ["last", "all"], name="loop", body=step)], [info("n", [], T.INT64), info("x", [4])], [info("last", [4]), info("all", None)]))

add = h.make_graph([h.make_node("Add", ["s", "e"], ["t"]), h.make_node("Identity", ["t"], ["o"])], "add", [info("s", [2]), info("e", [2])], [info("t", [2]), info("o", [2])])
def scan(lengths):
    return model([h.make_node("Scan", [lengths, "s0", "x"], ["last", "all"], name="scan", num_scan_inputs=1, body=add, directions=[1])],
                 [info("s0", [3, 2]), info("x", [3, 4, 2])] + [info("n", [3], T.INT64)] * bool(lengths), [info("last", [3, 2]), info("all", [3, 4, 2])], opset=8)
save("batched-scan.onnx", scan(""))
save("custom.onnx", model([h.make_node("Gelu", ["x"], ["g"], name="gelu", domain="com.microsoft", approximate="tanh", level=2), h.make_node("Foo", ["g", "", "x"], ["y"], name="foo", domain="my.domain")],
                          [info("x", [2, 3])], [info("y", [2, 3])], domains=[("com.microsoft", 1), ("my.domain", 7)]))

forms = [("value_float", 1.5), ("value_floats", [1.0, 2.0]), ("value_int", 3), ("value_ints", [4, 5]), ("value_string", "s"), ("value_strings", ["a", "b"])]
nodes = [h.make_node("Constant", [], [k], **{k: v}) for k, v in forms]
sparse = h.make_sparse_tensor(nh.from_array(np.float32([7, 8]), "sv"), nh.from_array(np.int64([1, 4]), "si"), [2, 3])
nodes.append(h.make_node("Constant", [], ["sparse"], sparse_value=sparse))
save("constants.onnx", model(nodes, [], [info("value_float", []), info("value_floats", [2]), info("value_int", [], T.INT64), info("value_ints", [2], T.INT64), info("value_string", [], T.STRING), info("value_strings", [2], T.STRING), info("sparse", [2, 3])]))

# every element type, as raw and as typed data, two elements each
types = ["FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "BOOL", "FLOAT16", "DOUBLE", "UINT32", "UINT64", "COMPLEX64", "BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "UINT4", "INT4", "FLOAT4E2M1", "UINT2", "INT2"]
inits, nodes, outs = [], [], []
for t in types:
    n = t.lower()
    inits.append(h.make_tensor(n, getattr(T, t), [3], [0, 1, 1]))
    nodes.append(h.make_node("Identity", [n], ["y_" + n]))
    outs.append(info("y_" + n, [3], getattr(T, t)))
save("types.onnx", model(nodes, [], outs, inits, opset=25))

fn = h.make_function("local", "Twice", ["a"], ["b"], [h.make_node("Add", ["a", "a"], ["b"], name="inner")], [h.make_opsetid("", 17)])
m = model([h.make_node("Twice", ["x"], ["y"], name="call", domain="local")], [info("x", [2])], [info("y", [2])], domains=[("local", 1)])
m.functions.append(fn)
save("function.onnx", m)

save("old-softmax.onnx", model([h.make_node("Softmax", ["x"], ["y"], name="soft", axis=1)], [info("x", [2, 3, 4])], [info("y", [2, 3, 4])], opset=9))
save("shapes.onnx", model([h.make_node("Shape", ["x"], ["s"]), h.make_node("Gather", ["s", "zero"], ["n"]), h.make_node("Unsqueeze", ["n", "axis"], ["n1"]), h.make_node("Concat", ["n1", "rest"], ["t"], axis=0), h.make_node("Reshape", ["x", "t"], ["y"])],
                          [info("x", ["batch", 3, 8, 8])], [info("y", None)], [nh.from_array(np.int64(0), "zero"), nh.from_array(np.int64([0]), "axis"), nh.from_array(np.int64([192]), "rest")]))
save("unsorted.onnx", model([h.make_node("Relu", ["a"], ["y"], name="second"), h.make_node("Neg", ["x"], ["a"], name="first")], [info("x", [2])], [info("y", [2])]))

# ---- broken ones
good = conv().SerializeToString()
save("scan-lengths.onnx", scan("n"))
save("text.onnx", b"this is not a model\n")
save("empty.onnx", b"")
save("truncated.onnx", good[:-200])
save("garbage.onnx", good[:40] + bytes(rng.integers(0, 256, 400, dtype=np.uint8)))
save("no-external.onnx", open(os.path.join(out, "external.onnx"), "rb").read().replace(b"external.bin", b"notthere.bin"))
for name, path in [("outside", "../secret.bin"), ("absolute", "/etc/passwd"), ("link", "link.bin")]:
    m = conv()
    t = m.graph.initializer[0]
    t.ClearField("raw_data")
    t.data_location = T.EXTERNAL
    e = t.external_data.add()
    e.key, e.value = "location", path
    save(f"external-{name}.onnx", m)
if not os.path.lexists(os.path.join(out, "link.bin")):
    os.symlink("/etc/passwd", os.path.join(out, "link.bin"))
m = onnx.load(os.path.join(out, "external.onnx"), load_external_data=False)
next(e for e in m.graph.initializer[0].external_data if e.key == "offset").value = "4096"
save("external-short.onnx", m)
m = conv()
m.graph.initializer[0].raw_data = m.graph.initializer[0].raw_data[:100]
save("weight-bytes.onnx", m)
m = conv()
m.graph.initializer[0].dims[0] = 17
save("weight-shape.onnx", m)
save("cycle.onnx", model([h.make_node("Add", ["x", "c"], ["a"], name="n1"), h.make_node("Relu", ["a"], ["b"], name="n2"), h.make_node("Neg", ["b"], ["c"], name="n3")], [info("x", [2])], [info("c", [2])]))
save("missing-input.onnx", model([h.make_node("Add", ["x", "nowhere"], ["y"], name="add1")], [info("x", [2])], [info("y", [2])]))
save("missing-output.onnx", model([h.make_node("Relu", ["x"], ["y"], name="r")], [info("x", [2])], [info("z", [2])]))
save("conflict.onnx", model([h.make_node("MatMul", ["x", "w"], ["y"], name="mm")], [info("x", [2, 3])], [info("y", [2, 5])], [weight("w", (4, 5))]))
save("conflict-output.onnx", model([h.make_node("Relu", ["x"], ["y"], name="r")], [info("x", [2, 3])], [info("y", [2, 4])]))
save("conflict-type.onnx", model([h.make_node("Relu", ["x"], ["y"], name="r")], [info("x", [2, 3])], [info("y", [2, 3], T.DOUBLE)]))
m = conv()
m.opset_import[0].version = 99
save("opset.onnx", m)
m = conv()
m.ir_version = 99
save("ir-version.onnx", m)
save("unknown-op.onnx", model([h.make_node("Frobnicate", ["x"], ["y"], name="frob")], [info("x", [2])], [info("y", [2])]))
save("newer-op.onnx", model([h.make_node("Gelu", ["x"], ["y"], name="gelu")], [info("x", [2])], [info("y", [2])], opset=13))
save("no-import.onnx", model([h.make_node("Foo", ["x"], ["y"], name="foo", domain="other")], [info("x", [2])], [info("y", [2])]))
save("twice.onnx", model([h.make_node("Relu", ["x"], ["y"], name="a"), h.make_node("Neg", ["x"], ["y"], name="b")], [info("x", [2])], [info("y", [2])]))
save("attribute.onnx", model([h.make_node("Relu", ["x"], ["y"], name="r", slope=0.5)], [info("x", [2])], [info("y", [2])]))
save("attribute-type.onnx", model([h.make_node("Softmax", ["x"], ["y"], name="s", axis=0.5)], [info("x", [2])], [info("y", [2])]))
save("arity.onnx", model([h.make_node("Add", ["x"], ["y"], name="a")], [info("x", [2])], [info("y", [2])]))
fn = h.make_function("local", "Rec", ["a"], ["b"], [h.make_node("Rec", ["a"], ["b"], domain="local")], [h.make_opsetid("", 17), h.make_opsetid("local", 1)])
m = model([h.make_node("Rec", ["x"], ["y"], name="call", domain="local")], [info("x", [2])], [info("y", [2])], domains=[("local", 1)])
m.functions.append(fn)
save("recursive.onnx", m)


def field(number, payload):
    """One length-delimited protobuf field: Python's protobuf refuses to nest as deep as this file must."""
    def varint(v):
        b = b""
        while v > 127:
            b, v = b + bytes([v & 127 | 128]), v >> 7
        return b + bytes([v])
    return varint(number << 3 | 2) + varint(len(payload)) + payload


leaf = h.make_graph([h.make_node("Identity", ["x"], ["o"])], "leaf", [], [info("o", None)])
nested = leaf.SerializeToString()
for i in range(70):
    branches = b"".join(field(5, field(1, name) + field(6, g) + b"\xa0\x01\x05") for name, g in [(b"then_branch", nested), (b"else_branch", leaf.SerializeToString())])
    nested = field(1, field(1, b"c") + field(2, b"o") + field(4, b"If") + branches) + field(2, b"n") + field(12, info("o", None).SerializeToString())
top = nested + field(11, info("x", [2]).SerializeToString()) + field(11, info("c", [], T.BOOL).SerializeToString())
save("deep.onnx", b"\x08\x08" + field(7, top) + field(8, h.make_opsetid("", 17).SerializeToString()))
