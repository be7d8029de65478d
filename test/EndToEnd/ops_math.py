"""Cases of the Math family: elementwise operators, broadcasting, types, special numbers."""
import numpy as np

from ops_cases import Cases

CASES = case = Cases(11)
f, u, ints = case.f, case.u, case.ints
special = np.array([0.0, -0.0, 1.5, -1.5, 0.5, 2.5, np.inf, -np.inf, np.nan, 1e30, -1e30, 3.0], np.float32)

# Unary float operators over several shapes and types.
domain = {
    "Acos": (-1, 1), "Acosh": (1, 9), "Asin": (-1, 1), "Atanh": (-0.95, 0.95), "Log": (0.01, 9), "Sqrt": (0, 9), "Reciprocal": (0.1, 5),
}
for op in ("Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Elu Erf Exp Floor HardSigmoid HardSwish LeakyRelu Log Mish Neg Reciprocal Relu Round Selu "
           "Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Tan Tanh ThresholdedRelu Celu Shrink Gelu Swish").split():
    low, high = domain.get(op, (-4, 4))
    case(op.lower(), op, u(2, 3, 5, 4, low=low, high=high))
    case(op.lower() + "_f16", op, u(37, low=low, high=high, dtype=np.float16))
for op in "Abs Neg Relu Sign Ceil Floor Round Sqrt Exp Sigmoid Tanh Erf Softplus".split():
    case(op.lower() + "_special", op, special)
case("exp_far", "Exp", np.linspace(-110, 95, 333).astype(np.float32))
case("log_far", "Log", np.geomspace(2e-38, 1e38, 333).astype(np.float32))
case("tanh_far", "Tanh", np.linspace(-30, 30, 333).astype(np.float32))
case("sigmoid_far", "Sigmoid", np.linspace(-110, 110, 333).astype(np.float32))
case("erf_far", "Erf", np.linspace(-8, 8, 333).astype(np.float32))
case("sin_far", "Sin", np.linspace(-1000, 1000, 333).astype(np.float32))
case("cos_far", "Cos", np.linspace(-1000, 1000, 333).astype(np.float32))
case("exp_f64", "Exp", u(7, low=-3, high=3, dtype=np.float64))
case("tanh_f64", "Tanh", u(7, low=-3, high=3, dtype=np.float64))
case("round_halves", "Round", np.arange(-4, 4, 0.25, dtype=np.float32))
case("elu_alpha", "Elu", f(3, 4), alpha=0.7)
case("celu_alpha", "Celu", f(3, 4), alpha=2.0)
case("selu_both", "Selu", f(3, 4), alpha=1.2, gamma=0.8)
case("leakyrelu_alpha", "LeakyRelu", f(3, 4), alpha=0.3)
case("thresholdedrelu_alpha", "ThresholdedRelu", f(3, 4), alpha=0.2)
case("hardsigmoid_both", "HardSigmoid", f(3, 4), alpha=0.4, beta=0.3)
case("shrink_both", "Shrink", f(3, 4), bias=0.3, lambd=0.4)
case("gelu_tanh", "Gelu", f(3, 4), approximate="tanh")
case("swish_alpha", "Swish", f(3, 4), alpha=0.5)
case("abs_int8", "Abs", np.array([-128, -3, 0, 127], np.int8))
case("abs_uint8", "Abs", np.array([0, 200, 255], np.uint8))
case("neg_int64", "Neg", ints(5, dtype=np.int64))
case("sign_int32", "Sign", ints(7, low=-2, high=3))
case("sign_uint8", "Sign", np.array([0, 1, 200], np.uint8))
case("relu_int32", "Relu", ints(7))

# Binary operators: broadcasting and types.
shapes = {"same": ((2, 3, 4), (2, 3, 4)), "last": ((2, 3, 4), (4,)), "middle": ((2, 3, 4), (3, 1)), "both": ((2, 1, 4), (3, 1)), "scalar": ((2, 3), ()),
          "left": ((3, 1, 1), (1, 2, 3, 4, 5)), "channel": ((1, 3, 4, 5), (3, 1, 1))}
for op in "Add Sub Mul Div".split():
    for kind, (a, b) in shapes.items():
        case(f"{op.lower()}_{kind}", op, f(*a), u(*b, low=0.5, high=2))
    case(op.lower() + "_const", op, f(2, 3, 4), u(3, 1, low=0.5, high=2), const=[1])
    case(op.lower() + "_splat", op, f(2, 3, 4), np.full((1,), 0.5, np.float32), const=[1])
    case(op.lower() + "_f16", op, f(2, 3, dtype=np.float16), u(2, 3, low=0.5, high=2, dtype=np.float16))
    for dtype in (np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64, np.int16, np.uint16):
        low = 0 if np.issubdtype(dtype, np.unsignedinteger) else -60
        case(f"{op.lower()}_{np.dtype(dtype).name}", op, ints(3, 4, low=low, high=60, dtype=dtype), ints(4, low=1, high=7, dtype=dtype))
case("div_negative", "Div", ints(20, low=-50, high=50), ints(20, low=-9, high=-1))
for dtype in (np.int8, np.uint8, np.int32, np.int64, np.uint64):
    low = 0 if np.issubdtype(dtype, np.unsignedinteger) else -60
    case(f"mod_{np.dtype(dtype).name}", "Mod", ints(20, low=low, high=60, dtype=dtype), np.where(np.arange(20) % 2, 7, -7 if low else 5).astype(dtype))
case("mod_fmod_int", "Mod", ints(20), np.where(np.arange(20) % 2, 7, -7).astype(np.int32), fmod=1)
case("mod_fmod", "Mod", u(40, low=-20, high=20), np.where(np.arange(40) % 2, 3.5, -1.25).astype(np.float32), fmod=1)
case("mod_fmod_f16", "Mod", u(40, low=-20, high=20, dtype=np.float16), np.where(np.arange(40) % 2, 3.5, -1.25).astype(np.float16), fmod=1)
case("pow", "Pow", u(2, 3, 4, low=0.1, high=3), u(4, low=-2, high=2))
case("pow_negative_base", "Pow", np.array([-2, -3, -1.5, -1], np.float32), np.array([2, 3, 2, -3], np.float32))
for e in (2.0, 3.0, 0.5, -1.0, 4.0, 1.0, 0.0, 2.5, -0.5):
    case(f"pow_{e}", "Pow", u(9, low=0.1, high=3), np.float32(e), const=[1])
case("pow_int", "Pow", ints(9, low=-4, high=5), ints(9, low=0, high=5))
case("pow_int_float", "Pow", ints(9, low=1, high=5), u(9, low=0, high=3))
case("pow_float_int", "Pow", f(9), ints(9, low=0, high=4, dtype=np.int64))
for op in "Max Min Sum Mean".split():
    case(op.lower() + "_one", op, f(2, 3))
    case(op.lower() + "_three", op, f(2, 3), f(3), f(2, 1))
    case(op.lower() + "_f16", op, f(2, 3, dtype=np.float16), f(3, dtype=np.float16), f(2, 1, dtype=np.float16))
for op in "Max Min".split():
    case(op.lower() + "_nan", op, special, special[::-1].copy())
    for dtype in (np.int8, np.uint8, np.int32, np.uint64, np.int64):
        case(f"{op.lower()}_{np.dtype(dtype).name}", op, ints(9, low=0, high=127, dtype=dtype) * np.asarray(2, dtype), ints(9, low=0, high=127, dtype=dtype))

# Comparison and logic.
for op in "Equal Less LessOrEqual Greater GreaterOrEqual".split():
    case(op.lower(), op, ints(3, 4, low=0, high=3).astype(np.float32), ints(4, low=0, high=3).astype(np.float32))
    case(op.lower() + "_special", op, special, special[::-1].copy())
    for dtype in (np.int8, np.uint8, np.int32, np.int64, np.uint32):
        case(f"{op.lower()}_{np.dtype(dtype).name}", op, np.array([200, 100, 3, 0], np.int64).astype(dtype), np.array([100, 200, 3, 1], np.int64).astype(dtype))
bools = lambda *shape: f(*shape) > 0  # noqa: E731
case("equal_bool", "Equal", bools(3, 4), bools(4))
for op in "And Or Xor".split():
    case(op.lower(), op, bools(3, 4), bools(4))
case("not", "Not", bools(3, 4))
for op in "BitwiseAnd BitwiseOr BitwiseXor".split():
    case(op.lower(), op, ints(3, 4), ints(4))
    case(op.lower() + "_u8", op, ints(3, 4, low=0, high=255, dtype=np.uint8), ints(4, low=0, high=255, dtype=np.uint8))
case("bitwisenot", "BitwiseNot", ints(5))
for dtype in (np.uint8, np.uint32, np.uint64):
    case(f"bitshift_left_{np.dtype(dtype).name}", "BitShift", ints(6, low=0, high=255, dtype=dtype), ints(6, low=0, high=7, dtype=dtype), direction="LEFT")
    case(f"bitshift_right_{np.dtype(dtype).name}", "BitShift", ints(6, low=0, high=255, dtype=dtype), ints(6, low=0, high=7, dtype=dtype), direction="RIGHT")
case("isnan", "IsNaN", special)
case("isinf", "IsInf", special)
case("isinf_positive", "IsInf", special, detect_negative=0)
case("isinf_negative", "IsInf", special, detect_positive=0)
case("where", "Where", bools(3, 1), f(3, 4), f(4))
case("where_int", "Where", bools(4), ints(3, 4), ints(1))
case("where_u8", "Where", bools(2, 3, 4), ints(4, low=0, high=255, dtype=np.uint8), ints(3, 1, low=0, high=255, dtype=np.uint8))
case("where_f16", "Where", bools(3, 4), f(3, 4, dtype=np.float16), f(4, dtype=np.float16))
case("prelu", "PRelu", f(1, 3, 4, 5), f(3, 1, 1))
case("prelu_const", "PRelu", f(2, 3, 4, 5), u(3, 1, 1), const=[1])
case("clip", "Clip", f(3, 4), np.float32(-0.5), np.float32(0.5))
case("clip_const", "Clip", f(3, 4), np.float32(-0.5), np.float32(0.5), const=[1, 2])
case("clip_low", "Clip", f(3, 4), np.float32(0.1), const=[1])
case("clip_high", "Clip", f(3, 4), None, np.float32(0.1), const=[2])
case("clip_none", "Clip", f(3, 4))
case("clip_crossed", "Clip", f(3, 4), np.float32(0.5), np.float32(-0.5), const=[1, 2])
case("clip_u8", "Clip", ints(9, low=0, high=255, dtype=np.uint8), np.uint8(20), np.uint8(200))
case("clip_int64", "Clip", ints(9, dtype=np.int64), np.int64(-20), np.int64(20), const=[1, 2])
case("dropout", "Dropout", f(3, 4))
case("dropout_mask", "Dropout", f(3, 4), outputs=2)
case("identity_f", "Identity", f(3, 4))

# Casts: every pair of these types.
DTYPE = {np.float32: 1, np.uint8: 2, np.int8: 3, np.uint16: 4, np.int16: 5, np.int32: 6, np.int64: 7, np.bool_: 9, np.float16: 10, np.float64: 11, np.uint32: 12, np.uint64: 13}
for source in DTYPE:
    values = np.array([0, 1, 2, 3.7, 100.2, 55.5, 17, 127], np.float64)
    if source in (np.float32, np.float64, np.float16, np.int8, np.int32, np.int64, np.int16):
        values[3:5] *= -1
    for to, number in DTYPE.items():
        if np.issubdtype(to, np.unsignedinteger) and np.issubdtype(source, np.floating):
            values = np.abs(values)
        case(f"cast_{np.dtype(source).name}_{np.dtype(to).name}", "Cast", values.astype(source), to=number)
# A double just above the middle of two halves: rounding through float would land on the even one.
case("cast_float64_float16_once", "Cast", np.array([1 + 2**-11 + 2**-40, 1 + 2**-11, -1 - 2**-11 - 2**-40, 65519.999, 1e-9, 6e-8, np.inf, np.nan]), to=10)
case("castlike", "CastLike", f(3, 4) * 50, np.zeros(1, np.int8))
