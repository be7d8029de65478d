"""Cases of the narrow element types: every code read, every rounding boundary written, quantization, movement.

Operands of these types are ml_dtypes' arrays, one element a byte; results compare as bits.
"""
import ml_dtypes
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from ops_cases import Cases, i64

CASES = case = Cases(11)

FLOATS = {"e4m3fn": ml_dtypes.float8_e4m3fn, "e4m3fnuz": ml_dtypes.float8_e4m3fnuz, "e5m2": ml_dtypes.float8_e5m2,
          "e5m2fnuz": ml_dtypes.float8_e5m2fnuz, "f4": ml_dtypes.float4_e2m1fn}
INTS = {"i4": ml_dtypes.int4, "u4": ml_dtypes.uint4, "i2": ml_dtypes.int2, "u2": ml_dtypes.uint2}
NUMBER = {name: helper.np_dtype_to_tensor_dtype(np.dtype(t)) for name, t in {**FLOATS, **INTS, "e8m0": ml_dtypes.float8_e8m0fnu}.items()}


def codes(dtype, bits=8):
    return np.arange(1 << bits, dtype=np.uint8).view(dtype)


def boundaries(dtype, bits, source):
    """Every number of a type, what lies halfway between neighbours, their neighbours in the source type, and what is beyond."""
    with np.errstate(all="ignore"):
        exact = codes(dtype, bits).astype(np.float64)
    exact = np.unique(np.abs(exact[np.isfinite(exact)]))
    top = exact[-1] + (exact[-1] - exact[-2]) / 2  # from here on it rounds beyond the largest
    # ml_dtypes takes f64 through f32 and rounds twice, which neighbours of f32 do not show.
    near = np.float32 if source == np.float64 else source
    values = np.concatenate([exact, (exact[1:] + exact[:-1]) / 2, [top, 1.5 * top, 6e4, exact[1] / 8]]).astype(near)
    values = np.concatenate([values, np.nextafter(values, near(np.inf)), np.nextafter(values, near(0)), np.array([np.nan, np.inf], near)])
    return np.concatenate([values, -values]).astype(source)


def vector(*values, dtype=np.float32):
    return np.array(values, dtype)


for name, dtype in FLOATS.items():
    bits = 4 if name == "f4" else 8
    case(f"types_{name}_to_f32", "Cast", codes(dtype, bits), to=TensorProto.FLOAT)
    case(f"types_{name}_to_f16", "Cast", codes(dtype, bits).reshape(4, -1), to=TensorProto.FLOAT16)
    case(f"types_{name}_folded", "Cast", codes(dtype, bits), const=[0], to=TensorProto.FLOAT)
    for source in (np.float32, np.float16, np.float64):
        values = boundaries(dtype, bits, source)
        case(f"types_{np.dtype(source).name}_to_{name}", "Cast", values, to=NUMBER[name])
        if bits == 8:
            case(f"types_{np.dtype(source).name}_to_{name}_beyond", "Cast", values, to=NUMBER[name], saturate=0)
    case(f"types_i32_to_{name}", "Cast", np.arange(-300, 300, 7, dtype=np.int32).reshape(2, -1), to=NUMBER[name])
    case(f"types_{name}_from_constant", "Cast", case.f(5, 7) * 4, const=[0], to=NUMBER[name])
    case(f"types_{name}_transpose", "Transpose", codes(dtype, 4).reshape(2, 8), perm=[1, 0])
    case(f"types_{name}_quantize", "QuantizeLinear", case.f(4, 6) * 30, np.float32(0.25), dtype(0))
    case(f"types_{name}_quantize_axis", "QuantizeLinear", case.f(3, 4, 2) * 30, vector(0.5, 2, 0.25, 1), axis=1, output_dtype=NUMBER[name])
    case(f"types_{name}_dequantize", "DequantizeLinear", codes(dtype, 4).reshape(4, 4), vector(0.5, 2, 0.25, 3), axis=0)

for name, dtype in INTS.items():
    bits = int(name[1])
    every = codes(dtype, bits)
    case(f"types_{name}_to_f32", "Cast", every, to=TensorProto.FLOAT)
    case(f"types_{name}_to_f16", "Cast", every, to=TensorProto.FLOAT16)
    case(f"types_{name}_to_i64", "Cast", every, to=TensorProto.INT64)
    case(f"types_{name}_to_u8", "Cast", every, to=TensorProto.UINT8)
    case(f"types_{name}_to_bool", "Cast", every, to=TensorProto.BOOL)
    case(f"types_{name}_folded", "Cast", np.resize(every, (3, 7)), const=[0], to=TensorProto.INT8)
    case(f"types_f32_to_{name}", "Cast", np.arange(-9, 16, 0.5, dtype=np.float32), to=NUMBER[name])
    case(f"types_i32_to_{name}", "Cast", np.arange(-20, 40, dtype=np.int32), to=NUMBER[name])
    case(f"types_{name}_from_constant", "Cast", np.arange(-20, 41, dtype=np.int16), const=[0], to=NUMBER[name])
    case(f"types_{name}_large_constant", "Transpose", np.resize(every, (45, 101)), const=[0], perm=[1, 0])
    case(f"types_{name}_transpose", "Transpose", np.resize(every, (3, 5)), perm=[1, 0])
    case(f"types_{name}_quantize", "QuantizeLinear", case.f(4, 6) * 5, np.float32(0.5), dtype(1))
    case(f"types_{name}_quantize_axis", "QuantizeLinear", case.f(4, 3) * 5, vector(0.5, 2, 1), np.array([0, 1, 1], dtype), axis=1)
    case(f"types_{name}_dequantize", "DequantizeLinear", np.resize(every, (3, 5)), np.float32(0.5), dtype(1))
    case(f"types_{name}_dequantize_constant", "DequantizeLinear", np.resize(every, (3, 8)), vector(1, 2, 3), np.array([1, 0, 1], dtype),
         const=[0, 1, 2], axis=0)
    case(f"types_{name}_dequantize_block", "DequantizeLinear", np.resize(every, (4, 6)), case.u(4, 2), np.resize(every, (4, 2)), axis=1, block_size=3)

exponents = np.ldexp(np.array([1, 1.125, 1.5, 1.75], np.float32), np.array([[-126], [-3], [0], [2], [127]])).astype(np.float32)
for mode in ("up", "down", "nearest"):
    case(f"types_f32_to_e8m0_{mode}", "Cast", exponents, to=NUMBER["e8m0"], round_mode=mode)
case("types_f32_to_e8m0_beyond", "Cast", exponents, to=NUMBER["e8m0"], round_mode="nearest", saturate=0)
case("types_f16_to_e8m0", "Cast", vector(0.1, 1, 3, 1000, dtype=np.float16), to=NUMBER["e8m0"])
case("types_e8m0_to_f32", "Cast", codes(ml_dtypes.float8_e8m0fnu), to=TensorProto.FLOAT)
case("types_e8m0_to_f16", "Cast", codes(ml_dtypes.float8_e8m0fnu), to=TensorProto.FLOAT16)
case("types_e8m0_scale", "DequantizeLinear", codes(ml_dtypes.int4, 4).reshape(2, 8), codes(ml_dtypes.float8_e8m0fnu)[124:128].reshape(2, 2),
     axis=1, block_size=4, output_dtype=TensorProto.FLOAT)

# From one narrow type to another, and what only moves them.
case("types_e5m2_to_e4m3fn", "Cast", codes(ml_dtypes.float8_e5m2)[:124], to=NUMBER["e4m3fn"])
case("types_e4m3fn_to_i4", "Cast", vector(-3, 1.5, 7).astype(ml_dtypes.float8_e4m3fn), to=NUMBER["i4"])
case("types_i4_to_e4m3fn", "Cast", codes(ml_dtypes.int4, 4), to=NUMBER["e4m3fn"])
case("types_castlike", "CastLike", case.f(3, 4), ml_dtypes.float8_e5m2(0))
case("types_identity", "Identity", codes(ml_dtypes.int4, 4))
case("types_reshape", "Reshape", codes(ml_dtypes.int4, 4), i64(2, -1), const=[1])
case("types_reshape_constant", "Reshape", codes(ml_dtypes.uint2, 2), i64(2, -1), const=[0, 1])
case("types_pad", "Pad", codes(ml_dtypes.float8_e4m3fn)[:12].reshape(3, 4), i64(1, 0, 0, 2), ml_dtypes.float8_e4m3fn(2), const=[1, 2])
case("types_constantofshape", "ConstantOfShape", i64(2, 3), const=[0],
     value=numpy_helper.from_array(np.array([-3], ml_dtypes.int4), "value"))
case("types_f64_to_f16", "Cast", vector(1, 1 + 2**-11, 1 + 2**-11 + 2**-40, 65520, 65519.99, 1e-8, np.nan, np.inf, dtype=np.float64),
     to=TensorProto.FLOAT16)
case("types_f64_to_bf16", "Cast", vector(1, 1 + 2**-8, 1 + 2**-8 + 2**-20, 3.4e38, 1e300, 1e-30, np.inf, dtype=np.float64), to=TensorProto.BFLOAT16)
case("types_f32_to_bf16", "Cast", vector(1, 1 + 2**-8, 1 + 2**-8 + 2**-20, 3.4e38, 1e-39, np.inf), to=TensorProto.BFLOAT16)
