"""Cases of the Tensor, Image and Quant families: one operator each, small shapes, compared with onnx.reference.

`CASES` lists (name, operator, operands, constant operands, number of outputs, attributes): operands are arrays (None: absent), and those
whose positions are named constant become initializers, the others inputs of the model.
"""
import numpy as np

CASES = []
rng = np.random.default_rng(7)


def f(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def ints(*shape, low=-100, high=100, dtype=np.int32):
    return rng.integers(low, high, shape).astype(dtype)


def i64(*values):
    return np.array(values, np.int64)


def case(name, op, *operands, const=(), outputs=1, **attributes):
    CASES.append((name, op, operands, tuple(const), outputs, attributes))


# Shape family
case("reshape_merge", "Reshape", f(2, 3, 4), i64(6, 4), const=[1])
case("reshape_infer", "Reshape", f(2, 3, 4), i64(0, -1), const=[1])
case("reshape_split", "Reshape", f(6, 4), i64(3, 1, 8), const=[1])
case("reshape_zero", "Reshape", f(0, 3), i64(3, 0), const=[1], allowzero=1)
case("reshape_scalar", "Reshape", f(1, 1), np.zeros(0, np.int64), const=[1])
case("flatten", "Flatten", f(2, 3, 4), axis=2)
case("flatten_negative", "Flatten", f(2, 3, 4), axis=-3)
case("squeeze", "Squeeze", f(1, 3, 1, 2), i64(0, -2), const=[1])
case("squeeze_all", "Squeeze", f(1, 3, 1, 2))
case("unsqueeze", "Unsqueeze", f(3, 2), i64(0, -1, 2), const=[1])
case("transpose", "Transpose", f(2, 3, 4), perm=[2, 0, 1])
case("transpose_default", "Transpose", f(2, 3, 4))
case("transpose_bool", "Transpose", f(5, 3) > 0, perm=[1, 0])
case("identity", "Identity", ints(4, dtype=np.uint8, low=0))
case("shape", "Shape", f(2, 3, 4), start=-2)
case("shape_range", "Shape", f(2, 3, 4), start=1, end=9)
case("size", "Size", f(2, 3, 4))
case("expand", "Expand", f(3, 1), i64(2, 1, 6), const=[1])
case("expand_inner", "Expand", ints(2, 1, 4, dtype=np.int64), i64(2, 3, 1), const=[1])
case("tile", "Tile", f(2, 3), i64(2, 3), const=[1])
case("tile_middle", "Tile", ints(2, 3, 2, dtype=np.int8), i64(1, 2, 1), const=[1])
case("range_float", "Range", np.float32(1), np.float32(9), np.float32(1.5), const=[0, 1, 2])
case("range_down", "Range", np.int64(10), np.int64(-3), np.int64(-4), const=[0, 1, 2])
case("eyelike", "EyeLike", f(4, 5), k=1, dtype=11)
case("constantofshape", "ConstantOfShape", i64(2, 3), const=[0])

# Movement
case("concat", "Concat", f(2, 3), f(2, 1), f(2, 0), f(2, 5), axis=1)
case("concat_negative", "Concat", ints(2, 3), ints(4, 3), axis=-2)
case("split", "Split", f(2, 7), i64(3, 4), const=[1], outputs=2, axis=1)
case("split_uneven", "Split", f(7, 2), outputs=3, num_outputs=3)
case("slice", "Slice", f(6, 8), i64(1, -5), i64(1000, -1), i64(0, 1), i64(2, 1), const=[1, 2, 3, 4])
case("slice_negative_step", "Slice", f(6, 8), i64(-1, 7), i64(-1000, 1), i64(0, -1), i64(-2, -3), const=[1, 2, 3, 4])
case("slice_mixed", "Slice", ints(5, 4, 3, dtype=np.uint8, low=0), i64(4, 1), i64(-9, 4), i64(0, 1), i64(-1, 2), const=[1, 2, 3, 4])
case("slice_empty", "Slice", f(6, 8), i64(4), i64(2), i64(0), const=[1, 2, 3])
case("pad_constant", "Pad", f(2, 3), i64(1, 0, 0, 2), np.float32(1.5), const=[1, 2])
case("pad_all_sides", "Pad", f(2, 3, 4), i64(1, 2, 0, 3, 1, 2), const=[1])
case("pad_runtime_value", "Pad", ints(2, 3), i64(1, 1, 1, 1), np.int32(9), const=[1])
case("pad_axes", "Pad", f(2, 3, 4), i64(1, 2), None, i64(-2), const=[1, 3])
for mode in ("edge", "reflect", "wrap"):
    case("pad_" + mode, "Pad", f(2, 4, 3), i64(0, 2, 1, 1, 3, 2), const=[1], mode=mode)
case("compress", "Compress", f(3, 4), np.array([True, False, True]), const=[1], axis=0)
case("compress_flat", "Compress", f(3, 4), np.array([False, True, True, False, True]), const=[1])
case("reversesequence", "ReverseSequence", f(4, 3, 2), i64(4, 1, 3), batch_axis=1, time_axis=0)
case("reversesequence_time1", "ReverseSequence", f(3, 4, 2), i64(2, 4, 0), batch_axis=0, time_axis=1)
case("trilu_upper", "Trilu", f(2, 4, 5))
case("trilu_lower", "Trilu", ints(5, 4), np.int64(-1), const=[1], upper=0)
case("trilu_runtime", "Trilu", f(4, 4), np.int64(2), upper=1)

# Indexing
case("gather_rows", "Gather", f(5, 6), ints(2, 3, low=-5, high=5, dtype=np.int64))
case("gather_inner", "Gather", f(3, 6), ints(4, low=-6, high=6), axis=-1)
case("gather_scalar", "Gather", f(3, 6), np.int64(-2), axis=1)
case("gather_constant", "Gather", f(5, 2, 3), i64(4, 0, -1), const=[1], axis=0)
case("gather_constant_slice", "Gather", f(5, 6), i64(1, 3, 5), const=[1], axis=1)
case("gather_constant_scalar", "Gather", f(5, 6), np.int64(2), const=[1], axis=0)
case("gatherelements", "GatherElements", f(4, 5), ints(2, 5, low=-4, high=4, dtype=np.int64), axis=0)
case("gatherelements_inner", "GatherElements", f(4, 5), ints(4, 2, low=-5, high=5), axis=1)
case("gathernd", "GatherND", f(3, 4, 2), np.array([[0, 1], [-1, 3], [2, 0]], np.int64))
case("gathernd_full", "GatherND", f(3, 4), np.array([[[0, 1]], [[2, -1]]], np.int64))
case("gathernd_batch", "GatherND", f(2, 3, 4), np.array([[1], [0]], np.int64), batch_dims=1)
case("scatterelements", "ScatterElements", f(3, 4), np.array([[0, 2], [1, -1]], np.int64), f(2, 2), axis=1)
for reduction in ("add", "mul", "max", "min"):
    case("scatterelements_" + reduction, "ScatterElements", f(4, 3), np.array([[1, 1, 0], [1, 3, -4]], np.int64), f(2, 3), reduction=reduction)
    case("scatternd_" + reduction, "ScatterND", ints(4, 2), np.array([[1], [1], [-1]], np.int64), ints(3, 2), reduction=reduction)
case("scatternd", "ScatterND", f(4, 5), np.array([[0, 1], [3, -1]], np.int64), f(2))
case("scatternd_rows", "ScatterND", f(4, 5), np.array([[2], [0]], np.int64), f(2, 5))
case("scatternd_box", "ScatterND", f(4, 6), np.stack(np.meshgrid([1, 2], [0, 2, 4], indexing="ij"), -1).astype(np.int64), f(2, 3), const=[1])
case("scatternd_box_turned", "ScatterND", f(4, 6), np.stack(np.meshgrid([1, 2], [0, 2, 4], indexing="xy"), -1).astype(np.int64), f(3, 2), const=[1])
case("onehot", "OneHot", ints(2, 3, low=-4, high=4, dtype=np.int64), np.int64(5), np.array([-1, 2], np.float32), const=[1])
case("onehot_axis", "OneHot", ints(3, low=-4, high=6).astype(np.float32), np.int64(4), ints(2), const=[1], axis=0)
case("topk", "TopK", f(3, 7), i64(3), const=[1], outputs=2)
case("topk_ties", "TopK", ints(2, 9, low=0, high=4), i64(5), const=[1], outputs=2, largest=0)
case("topk_axis", "TopK", f(5, 2, 3), i64(5), const=[1], outputs=2, axis=0)

case("tensorscatter", "TensorScatter", f(2, 3, 5, 4), f(2, 3, 2, 4), i64(3, 0))
case("tensorscatter_start", "TensorScatter", f(2, 5, 4), f(2, 2, 4))
case("tensorscatter_circular", "TensorScatter", f(2, 3, 5, 4), f(2, 3, 3, 4), i64(3, 4), mode="circular")
case("bitcast", "BitCast", f(3, 4), to=6)

# What only moves elements does so for every type.
for dtype in (np.bool_, np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64, np.float16, np.float64):
    def values(*shape):
        return np.clip(rng.standard_normal(shape) * 30 + 60, 0, 120).astype(dtype) if dtype != np.bool_ else rng.standard_normal(shape) > 0

    tag = "_" + np.dtype(dtype).name
    case("types_concat" + tag, "Concat", values(2, 3), values(2, 2), axis=1)
    case("types_slice" + tag, "Slice", values(4, 5), i64(3), i64(-9), i64(1), i64(-1), const=[1, 2, 3, 4])
    case("types_transpose" + tag, "Transpose", values(3, 4, 2), perm=[1, 2, 0])
    case("types_pad" + tag, "Pad", values(2, 3), i64(1, 0, 0, 2), values(), const=[1, 2])
    case("types_gather" + tag, "Gather", values(5, 3), i64(4, 0, -2))
    case("types_scatter" + tag, "ScatterElements", values(5, 3), np.array([[1, 2, 0], [4, -1, 3]], np.int64), values(2, 3))
    case("types_resize" + tag, "Resize", values(1, 2, 3, 3), None, np.array([1, 1, 2, 2], np.float32), const=[1, 2], mode="nearest",
         coordinate_transformation_mode="asymmetric", nearest_mode="floor") if dtype != np.bool_ else None
    case("types_topk" + tag, "TopK", values(2, 6), i64(3), const=[1], outputs=2) if dtype not in (np.bool_,) else None
    case("types_expand" + tag, "Expand", values(3, 1), i64(2, 3, 4), const=[1])

# Image
case("col2im", "Col2Im", f(1, 5, 5), i64(5, 5), i64(1, 5), const=[1, 2])
case("col2im_strides", "Col2Im", f(2, 12, 4), i64(5, 5), i64(2, 3), const=[1, 2], strides=[3, 2], dilations=[1, 1])
case("col2im_pads", "Col2Im", f(1, 8, 25), i64(4, 4), i64(2, 2), const=[1, 2], pads=[1, 1, 1, 1])
case("depthtospace", "DepthToSpace", f(2, 12, 3, 4), blocksize=2)
case("depthtospace_crd", "DepthToSpace", f(1, 18, 2, 3), blocksize=3, mode="CRD")
case("spacetodepth", "SpaceToDepth", f(2, 3, 4, 6), blocksize=2)


def resize(name, x, scales=None, sizes=None, roi=None, **attributes):
    s = None if scales is None else np.array(scales, np.float32)
    z = None if sizes is None else np.array(sizes, np.int64)
    r = None if roi is None else np.array(roi, np.float32)
    case("resize_" + name, "Resize", x, r, s, z, const=[1, 2, 3], **attributes)


resize("nearest", f(1, 2, 3, 4), [1, 1, 2, 3], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
    resize("nearest_" + nearest, f(1, 2, 5, 4), sizes=[1, 2, 8, 3], mode="nearest", nearest_mode=nearest)
resize("nearest_int", ints(1, 2, 5, 4), [1, 1, 0.6, 1.7], mode="nearest", coordinate_transformation_mode="half_pixel")
for mode in ("linear", "cubic"):
    for coordinates in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"):
        resize(f"{mode}_{coordinates}", f(1, 2, 5, 4), [1, 1, 1.6, 0.7], mode=mode, coordinate_transformation_mode=coordinates)
    resize(mode + "_sizes", f(1, 2, 4, 5), sizes=[1, 2, 7, 9], mode=mode)
    resize(mode + "_antialias", f(1, 2, 9, 11), sizes=[1, 2, 3, 4], mode=mode, antialias=1)
    resize(mode + "_antialias_exclude", f(1, 1, 20, 7), sizes=[1, 1, 3, 9], mode=mode, antialias=1, exclude_outside=1)
    resize(mode + "_exclude", f(1, 2, 4, 5), [1, 1, 1.5, 2], mode=mode, exclude_outside=1)
    resize(mode + "_axes", f(4, 2, 5), sizes=[7, 3], mode=mode, axes=[2, 0])
    resize(mode + "_crop", f(1, 1, 6, 6), sizes=[1, 1, 5, 4], roi=[0, 0, 0.2, -0.1, 1, 1, 0.8, 1.2], mode=mode, coordinate_transformation_mode="tf_crop_and_resize",
           extrapolation_value=3.5)
    resize(mode + "_uint8", ints(1, 2, 5, 4, low=0, high=255, dtype=np.uint8), [1, 1, 2, 2], mode=mode)
    resize(mode + "_not_larger", f(1, 1, 4, 6), sizes=[9, 9], axes=[2, 3], mode=mode, keep_aspect_ratio_policy="not_larger")
    resize(mode + "_not_smaller", f(1, 1, 4, 6), sizes=[9, 9], axes=[2, 3], mode=mode, keep_aspect_ratio_policy="not_smaller")
resize("linear_1d", f(2, 3, 7), [1, 1, 2.5], mode="linear")
resize("linear_3d", f(1, 2, 3, 4, 3), [1, 1, 2, 1.5, 2], mode="linear")
resize("linear_double", f(1, 2, 3, 4, dtype=np.float64), [1, 1, 2, 2], mode="linear")
resize("linear_half", f(1, 2, 3, 4, dtype=np.float16), [1, 1, 2, 2], mode="linear")

for mode in ("nearest", "linear", "cubic"):
    for padding in ("zeros", "border", "reflection"):
        for align in (0, 1):
            case(f"gridsample_{mode}_{padding}_{align}", "GridSample", f(2, 3, 4, 5), (f(2, 3, 2, 2) * 0.9), mode=mode, padding_mode=padding, align_corners=align)
case("gridsample_3d", "GridSample", f(1, 2, 3, 4, 5), f(1, 2, 3, 2, 3), mode="linear")

# Quant
u8, s8 = dict(dtype=np.uint8, low=0, high=255), dict(dtype=np.int8, low=-128, high=127)
case("quantize", "QuantizeLinear", f(3, 4) * 50, np.float32(0.37), np.uint8(120), const=[1, 2])
case("quantize_runtime", "QuantizeLinear", f(3, 4) * 50, np.float32(0.37), np.int8(-3))
case("quantize_axis", "QuantizeLinear", f(3, 4, 2) * 50, np.array([0.2, 0.5, 1, 2], np.float32), ints(4, **s8), axis=1)
case("quantize_int16", "QuantizeLinear", f(3, 4) * 5000, np.float32(0.37), np.int16(7), const=[1, 2])
case("quantize_block", "QuantizeLinear", f(4, 6) * 50, np.abs(f(4, 2)) + 0.1, ints(4, 2, **u8), axis=1, block_size=3)
case("dequantize", "DequantizeLinear", ints(3, 4, **u8), np.float32(0.37), np.uint8(120), const=[1, 2])
case("dequantize_axis", "DequantizeLinear", ints(3, 4, **s8), np.abs(f(4)), ints(4, **s8), axis=-1)
case("dequantize_int32", "DequantizeLinear", ints(3, 4), np.abs(f(3)), axis=0)
case("dequantize_block", "DequantizeLinear", ints(6, 4, **s8), np.abs(f(2, 4)), ints(2, 4, **s8), axis=0, block_size=3)
case("dynamicquantize", "DynamicQuantizeLinear", f(5, 7), outputs=3)
case("matmulinteger", "MatMulInteger", ints(3, 5, **u8), ints(5, 4, **s8), np.uint8(12), np.int8(-3), const=[1, 2, 3])
case("matmulinteger_runtime", "MatMulInteger", ints(2, 3, 5, **u8), ints(5, 4, **u8), np.uint8(12), ints(4, **u8))
case("matmulinteger_batch", "MatMulInteger", ints(2, 3, 5, **s8), ints(2, 5, 4, **s8))
case("qlinearmatmul", "QLinearMatMul", ints(3, 5, **u8), np.float32(0.02), np.uint8(120), ints(5, 4, **s8), np.float32(0.01), np.int8(3), np.float32(0.05), np.uint8(100),
     const=[1, 2, 3, 4, 5, 6, 7])
case("convinteger", "ConvInteger", ints(1, 3, 6, 5, **u8), ints(4, 3, 3, 3, **s8), np.uint8(9), const=[1, 2], pads=[1, 1, 1, 1])
case("convinteger_runtime", "ConvInteger", ints(1, 3, 6, 5, **u8), ints(4, 3, 3, 3, **u8), np.uint8(9), np.uint8(5), pads=[1, 0, 1, 0])
# Activations quantized as they come, weights whose difference from their zero point needs nine bits, and both.
wide = np.concatenate([ints(60, **u8), np.array([0, 255], np.uint8), ints(46, **u8)]).reshape(4, 3, 3, 3)
for name, zeros, known in (("zero", (np.uint8(9), np.uint8(0)), [1, 3]), ("weights", (np.uint8(9), np.uint8(119)), [1, 2, 3]), ("both", (np.uint8(9), np.uint8(140)), [1, 3])):
    case(f"convinteger_dynamic_{name}", "ConvInteger", ints(1, 3, 7, 6, **u8), wide, *zeros, const=known, pads=[1, 1, 1, 1])
    case(f"convinteger_dynamic_{name}_strides", "ConvInteger", ints(2, 3, 9, 8, **u8), wide, *zeros, const=known, pads=[0, 1, 2, 1], strides=[2, 2], dilations=[1, 2])
    case(f"convinteger_dynamic_{name}_pixel", "ConvInteger", ints(1, 3, 4, 5, **u8), np.ascontiguousarray(wide[:, :, :1, 1:2]), *zeros, const=known)
    case(f"convinteger_dynamic_{name}_pixel_strides", "ConvInteger", ints(1, 3, 4, 5, **u8), np.ascontiguousarray(wide[:, :, :1, 1:2]), *zeros, const=known, strides=[2, 1])
    case(f"matmulinteger_dynamic_{name}", "MatMulInteger", ints(2, 5, 27, **u8), np.ascontiguousarray(wide.reshape(4, 27).T), *zeros, const=known)
case("convinteger_dynamic_groups", "ConvInteger", ints(1, 6, 7, 6, **u8), wide, np.uint8(9), np.uint8(119), const=[1, 3], pads=[1, 1, 1, 1], group=2)
case("convinteger_dynamic_depthwise", "ConvInteger", ints(1, 4, 7, 6, **u8), np.ascontiguousarray(wide[:, :1]), np.uint8(9), np.uint8(119), const=[1, 3], pads=[1, 1, 1, 1], group=4)
case("matmulinteger_dynamic_columns", "MatMulInteger", ints(2, 5, 27, **u8), np.ascontiguousarray(wide.reshape(4, 27).T), np.uint8(9), ints(4, **u8), const=[1, 3])
case("qlinearconv", "QLinearConv", ints(1, 3, 6, 5, **u8), np.float32(0.02), np.uint8(120), ints(4, 3, 3, 3, **s8), np.abs(f(4)) * 0.01 + 0.01, ints(4, **s8) * 0, np.float32(0.1),
     np.uint8(100), ints(4), const=[1, 2, 3, 4, 5, 6, 7, 8], pads=[1, 1, 1, 1], strides=[2, 1])
case("qlinearconv_depthwise", "QLinearConv", ints(1, 4, 6, 5, **s8), np.float32(0.02), np.int8(-4), ints(4, 1, 3, 3, **s8), np.float32(0.02), np.int8(0), np.float32(0.1),
     np.int8(10), const=[1, 2, 3, 4, 5, 6, 7], group=4)
