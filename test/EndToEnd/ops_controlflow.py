"""Cases of the ControlFlow and Recurrent families: If, Loop, Scan with captured values and nested; RNN, GRU, LSTM."""
import numpy as np
from onnx import TensorProto, helper

from ops_cases import Cases

CASES = case = Cases(15)
f = case.f
F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def graph(name, nodes, inputs, outputs):
    info = [[helper.make_tensor_value_info(n, t, s) for n, t, s in values] for values in (inputs, outputs)]
    return helper.make_graph([helper.make_node(op, ins, outs, **attributes) for op, ins, outs, attributes in nodes], name, *info)


def constant(name, array):
    array = np.asarray(array)
    return ("Constant", [], [name], {"value": helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.ravel())})


# If: both branches capture; `inner` is an If inside a branch.
def branch(name, op, names):
    return graph(name, [(op, names, [name + "_y"], {})], [], [(name + "_y", F, [2, 3])])


for value in (True, False):
    tag = f"_{value}".lower()
    # Condition, then what the branches capture as operands of a node before it.
    inner = graph("outer_then", [("ReduceSum", ["x0"], ["s"], {"keepdims": 0}), ("Less", ["s", "s"], ["c"], {}),
                                 ("If", ["c"], ["outer_then_y"], {"then_branch": branch("t", "Neg", ["x0"]), "else_branch": branch("e", "Abs", ["x0"])})],
                  [], [("outer_then_y", F, [2, 3])])
    body = graph("loop", [("Identity", ["go"], ["more"], {}),
                          ("If", ["flag"], ["new"], {"then_branch": graph("up", [("Add", ["x", "x"], ["up_y"], {})], [], [("up_y", F, [2, 3])]),
                                                     "else_branch": graph("down", [("Sub", ["x", "k"], ["down_y"], {})], [], [("down_y", F, [2, 3])])}),
                          ("Identity", ["flag"], ["flag_out"], {}), ("Mul", ["x", "k"], ["k_out"], {})],
                 [("i", I, []), ("go", B, []), ("x", F, [2, 3]), ("flag", B, []), ("k", F, [2, 3])],
                 [("more", B, []), ("new", F, [2, 3]), ("flag_out", B, []), ("k_out", F, [2, 3])])
    case("loop_if" + tag, "Loop", np.array(3, np.int64), np.array(True), f(2, 3), np.array(value), f(2, 3), const=[0, 1], outputs=3, body=body)

# Loop: counted with stacked values, counted at run time, left early, states that change places.
counted = graph("counted", [("Identity", ["go"], ["more"], {}), ("Cast", ["i"], ["fi"], {"to": F}), ("Add", ["x", "fi"], ["y"], {}), ("Mul", ["y", "y"], ["scan"], {})],
                [("i", I, []), ("go", B, []), ("x", F, [2, 3])], [("more", B, []), ("y", F, [2, 3]), ("scan", F, [2, 3])])
for count in (0,):  # the reference joins what ONNX stacks, so a longer one has nobody to compare with
    case(f"loop_counted_{count}", "Loop", np.array(count, np.int64), np.array(True), f(2, 3), const=[0, 1], outputs=2, body=counted)
plain = graph("plain", [("Identity", ["go"], ["more"], {}), ("Sub", ["a", "b"], ["d"], {}), ("Identity", ["a"], ["b_out"], {})],
              [("i", I, []), ("go", B, []), ("a", F, [2, 3]), ("b", F, [2, 3])], [("more", B, []), ("d", F, [2, 3]), ("b_out", F, [2, 3])])
case("loop_swap", "Loop", np.array(5, np.int64), np.array(True), f(2, 3), f(2, 3), const=[0, 1], outputs=2, body=plain)
case("loop_runtime", "Loop", np.array(5, np.int64), np.array(True), f(2, 3), f(2, 3), outputs=2, body=plain)
case("loop_runtime_none", "Loop", np.array(5, np.int64), np.array(False), f(2, 3), f(2, 3), outputs=2, body=plain)
early = graph("early", [constant("limit", np.float32(20)), ("Add", ["x", "x"], ["y"], {}), ("ReduceMax", ["y"], ["m"], {"keepdims": 0}), ("Less", ["m", "limit"], ["more"], {})],
              [("i", I, []), ("go", B, []), ("x", F, [2, 3])], [("more", B, []), ("y", F, [2, 3])])
case("loop_early", "Loop", np.array(50, np.int64), np.array(True), np.abs(f(2, 3)) + 1, const=[0], body=early)
case("loop_while", "Loop", None, np.array(True), np.abs(f(2, 3)) + 1, body=early)
# A state that counts up to a limit that is carried along; one that is a scalar until the first iteration.
until = graph("until", [constant("one", np.int32(1)), ("Add", ["n", "one"], ["n_out"], {}), ("Neg", ["x"], ["y"], {}), ("Identity", ["limit"], ["limit_out"], {}),
                        ("Cast", ["n_out"], ["fn"], {"to": F}), ("Cast", ["limit"], ["fl"], {"to": F}), ("Less", ["fn", "fl"], ["more"], {})],
              [("i", I, []), ("go", B, []), ("n", TensorProto.INT32, []), ("limit", TensorProto.INT32, []), ("x", F, [2, 3])],
              [("more", B, []), ("n_out", TensorProto.INT32, []), ("limit_out", TensorProto.INT32, []), ("y", F, [2, 3])])
for start, limit in ((0, 5), (3, 5), (5, 3), (-2, 3)):
    case(f"loop_until_{start}_{limit}".replace("-", "m"), "Loop", None, np.array(True), np.array(start, np.int32), np.array(limit, np.int32), f(2, 3), const=[1, 2], outputs=3, body=until)
case("loop_until_none", "Loop", None, np.array(False), np.array(0, np.int32), np.array(3, np.int32), f(2, 3), outputs=3, body=until)
widen = graph("widen", [("Identity", ["go"], ["more"], {}), ("Cast", ["i"], ["fi"], {"to": F}), ("Add", ["row", "fi"], ["wide"], {}), ("Add", ["row", "s"], ["row_out"], {})],
              [("i", I, []), ("go", B, []), ("s", F, None), ("row", F, [4])], [("more", B, []), ("wide", F, None), ("row_out", F, [4])])
for count in (1, 2, 5):
    case(f"loop_widens_{count}", "Loop", np.array(count, np.int64), np.array(True), f(), f(4), const=[0, 1], outputs=2, body=widen)

# Scan: a state and a sequence; directions and axes.
step = graph("step", [("Add", ["s", "x"], ["t"], {}), ("Mul", ["t", "x"], ["y"], {})], [("s", F, [3]), ("x", F, [3])], [("t", F, [3]), ("y", F, [3])])
for length in (1, 2, 9):
    case(f"scan_{length}", "Scan", f(3), f(length, 3), outputs=2, body=step, num_scan_inputs=1)
case("scan_reverse", "Scan", f(3), f(4, 3), outputs=2, body=step, num_scan_inputs=1, scan_input_directions=[1], scan_output_directions=[1])
case("scan_axes", "Scan", f(3), f(3, 4), outputs=2, body=step, num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1])

# Recurrent: few steps are written out, many are a loop.
for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
    for steps in (3, 12):
        for constant_weights in (True, False):
            tag = f"{op.lower()}_{steps}" + ("" if constant_weights else "_runtime")
            const = [1, 2, 3] if constant_weights else []
            case(tag, op, f(steps, 2, 4), f(1, gates * 5, 4) * 0.5, f(1, gates * 5, 5) * 0.5, f(1, 2 * gates * 5), None, f(1, 2, 5), const=const, outputs=2, hidden_size=5)
        case(f"{op.lower()}_{steps}_plain", op, f(steps, 1, 4), f(1, gates * 5, 4) * 0.5, f(1, gates * 5, 5) * 0.5, const=[1, 2], outputs=2, hidden_size=5)
