"""Cases of com.microsoft's operators, which ONNX Runtime computes: fused layers, attention, quantized operators."""
import numpy as np
from ops_cases import Cases, i64

CASES = Cases(51)
f, u, ints = CASES.f, CASES.u, CASES.ints


def case(name, op, *operands, **options):
    CASES("ms_" + name, op, *operands, domain="com.microsoft", **options)


def i32(*values):
    return np.array(values, np.int32)


def s(value):
    return np.array(value, np.float32)


def u8(*shape, low=0, high=256):
    return ints(*shape, low=low, high=high, dtype=np.uint8)


def i8(*shape, low=-128, high=128):
    return ints(*shape, low=low, high=high, dtype=np.int8)


def zero(value, kind=np.uint8):
    return np.array(value, kind)


# Products
case("fusedmatmul", "FusedMatMul", f(3, 4), f(4, 5), alpha=0.5)
case("fusedmatmul_trans", "FusedMatMul", f(2, 4, 3), f(2, 5, 4), transA=1, transB=1)
case("fusedmatmul_batch", "FusedMatMul", f(4, 2, 3, 5), f(2, 3, 5, 6), transBatchA=1)
case("fusedmatmul_batch_trans", "FusedMatMul", f(5, 2, 3, 4), f(6, 2, 3, 5), transBatchA=1, transA=1, transBatchB=1, transB=1)
case("fusedgemm", "FusedGemm", f(3, 4), f(4, 5), f(5), const=[1, 2], activation="Relu", alpha=0.5, beta=2.0)
case("fusedgemm_leaky", "FusedGemm", f(4, 3), f(5, 4), f(5), transA=1, transB=1, activation="LeakyRelu", activation_alpha=0.2)
case("fusedconv", "FusedConv", f(1, 3, 8, 8), f(4, 3, 3, 3), f(4), const=[1, 2], activation="Relu", pads=[1, 1, 1, 1])
case("fusedconv_sum", "FusedConv", f(1, 3, 8, 8), f(4, 3, 3, 3), f(4), f(1, 4, 8, 8), const=[1, 2], activation="Relu", pads=[1, 1, 1, 1])
case("fusedconv_clip", "FusedConv", f(1, 3, 8, 8), f(4, 3, 3, 3), const=[1], activation="Clip", activation_params=[-0.5, 0.75], strides=[2, 2])
case("fusedconv_hardsigmoid", "FusedConv", f(1, 4, 6, 6), f(4, 1, 3, 3), const=[1], activation="HardSigmoid", activation_params=[0.3, 0.4], group=4)
case("convtranspose_pads", "ConvTransposeWithDynamicPads", f(1, 3, 4, 5), f(3, 2, 3, 3), i64(1, 0, 1, 1), const=[1, 2], strides=[2, 2])
case("cdist", "CDist", f(4, 3), f(5, 3), metric="euclidean")

# Activations
case("gelu", "Gelu", f(3, 4))
case("biasgelu", "BiasGelu", f(2, 3, 4), f(4))
case("fastgelu", "FastGelu", f(2, 3, 4))
case("fastgelu_bias", "FastGelu", f(2, 3, 4), f(4))
case("quickgelu", "QuickGelu", f(2, 3, 4), alpha=1.5)

# Normalizations
case("skiplayernorm", "SkipLayerNormalization", f(2, 3, 8), f(2, 3, 8), f(8), f(8), f(8), const=[2, 3, 4], epsilon=1e-5)
case("skiplayernorm_sum", "SkipLayerNormalization", f(2, 3, 8), f(3, 8), f(8), None, f(8), outputs=(0, 3))
case("skiprmsnorm", "SkipSimplifiedLayerNormalization", f(2, 3, 8), f(2, 3, 8), f(8), const=[2], epsilon=1e-6)
case("skiprmsnorm_sum", "SkipSimplifiedLayerNormalization", f(2, 3, 8), f(2, 3, 8), f(8), f(8), outputs=(0, 3))
case("embedlayernorm", "EmbedLayerNormalization", ints(2, 4, low=0, high=9), ints(2, 4, low=0, high=2), f(9, 8), f(6, 8), f(2, 8), f(8), f(8),
     i32(1, 1, 1, 0, 1, 1, 0, 0).reshape(2, 4), const=[2, 3, 4, 5, 6], outputs=3)
case("embedlayernorm_places", "EmbedLayerNormalization", ints(2, 4, low=0, high=9), None, f(9, 8), f(6, 8), None, f(8), f(8), None,
     ints(2, 4, low=0, high=6), outputs=2)

# Older forms
case("trilu", "Trilu", f(2, 4, 5), np.array(1, np.int64), upper=0)
case("expanddims", "ExpandDims", f(3, 4), np.array(-1, np.int32), const=[1])
case("pad", "Pad", f(2, 3), i64(1, 0, 0, 2), s(0.5), const=[1, 2], mode="constant")
case("gathernd", "GatherND", f(3, 4, 5), ints(2, 2, low=0, high=3, dtype=np.int64))
case("gridsample", "GridSample", f(1, 2, 4, 5), u(1, 3, 3, 2, low=-1.0), mode="bilinear", padding_mode="zeros", align_corners=1)

# Rotary embeddings
case("rotary", "RotaryEmbedding", f(2, 3, 16), ints(2, 3, low=0, high=8, dtype=np.int64), f(8, 4), f(8, 4), const=[2, 3])
case("rotary_heads", "RotaryEmbedding", f(2, 2, 3, 8), ints(2, 3, low=0, high=8, dtype=np.int64), f(8, 4), f(8, 4), const=[2, 3])
case("rotary_offset", "RotaryEmbedding", f(2, 3, 16), i64(2), f(8, 4), f(8, 4), const=[2, 3], interleaved=1)
case("rotary_offset_heads", "RotaryEmbedding", f(2, 4, 3, 8), i64(2), f(8, 4), f(8, 4), const=[2, 3])
case("rotary_partial", "RotaryEmbedding", f(2, 3, 16), ints(2, 3, low=0, high=8, dtype=np.int64), f(8, 2), f(8, 2), const=[2, 3], num_heads=2,
     rotary_embedding_dim=4)

# Attention
case("attention", "Attention", f(2, 4, 6), f(6, 24), f(24), const=[1, 2], num_heads=2)
case("attention_sizes", "Attention", f(2, 4, 6), f(6, 20), f(20), const=[1, 2], num_heads=2, qkv_hidden_sizes=[8, 8, 4], scale=0.3)
case("attention_causal", "Attention", f(2, 4, 6), f(6, 24), f(24), const=[1, 2], num_heads=2, unidirectional=1)
case("attention_mask", "Attention", f(2, 4, 6), f(6, 24), f(24), i32(1, 1, 1, 0, 1, 1, 0, 0).reshape(2, 4), const=[1, 2], num_heads=2)
case("attention_mask_rows", "Attention", f(1, 3, 6), f(6, 24), f(24), i32(1, 0, 0, 1, 1, 0, 1, 1, 1).reshape(1, 3, 3), const=[1, 2], num_heads=4)
case("attention_lengths", "Attention", f(2, 4, 6), f(6, 24), f(24), i32(3, 2), const=[1, 2], num_heads=2)
case("attention_past", "Attention", f(2, 3, 6), f(6, 24), f(24), None, f(2, 2, 2, 5, 4), const=[1, 2], outputs=2, num_heads=2, unidirectional=1)
case("attention_present", "Attention", f(2, 3, 6), f(6, 24), f(24), const=[1, 2], outputs=2, num_heads=2)
case("attention_bias", "Attention", f(2, 3, 6), f(6, 24), f(24), None, None, f(1, 2, 3, 3), const=[1, 2], num_heads=2)
case("qattention", "QAttention", u8(2, 4, 6), u8(6, 24), f(24), s(0.02), s(0.03), None, zero(120), zero(130), const=[1, 2, 3, 4, 6, 7], num_heads=2)

case("mha", "MultiHeadAttention", f(2, 4, 8), f(2, 5, 8), f(2, 5, 8), num_heads=2)
case("mha_bias", "MultiHeadAttention", f(2, 4, 8), f(2, 5, 8), f(2, 5, 6), f(22), const=[3], num_heads=2)
case("mha_mask", "MultiHeadAttention", f(2, 4, 8), f(2, 5, 8), f(2, 5, 8), None, i32(1, 1, 1, 0, 0, 1, 1, 1, 1, 0).reshape(2, 5), num_heads=2)
case("mha_attention_bias", "MultiHeadAttention", f(2, 4, 8), f(2, 5, 8), f(2, 5, 8), None, None, f(1, 2, 4, 5), num_heads=2, scale=0.4)
case("mha_past", "MultiHeadAttention", f(2, 3, 8), f(2, 3, 8), f(2, 3, 8), None, None, None, f(2, 2, 4, 4), f(2, 2, 4, 4), outputs=3, num_heads=2)
case("mha_causal", "MultiHeadAttention", f(2, 3, 8), f(2, 3, 8), f(2, 3, 8), num_heads=2, unidirectional=1)
case("mha_cross", "MultiHeadAttention", f(2, 3, 8), f(2, 2, 5, 4), f(2, 2, 5, 4), num_heads=2)


def gqa(name, batch, rows, past, total, lengths, packed=False, heads=4, groups=2, size=16, bias=False, **attributes):
    q = [f(batch, rows, (heads + 2 * groups) * size), None, None] if packed else [f(batch, rows, heads * size), *(f(batch, rows, groups * size) for _ in "kv")]
    cache = [f(batch, groups, past, size) for _ in "kv"] if past is not None else [None, None]
    rotary = [f(32, size // 2), f(32, size // 2)] if attributes.get("do_rotary") else [None, None]
    case("gqa" + name, "GroupQueryAttention", *q, *cache, i32(*lengths), np.array(total, np.int32), *rotary, None,
         *([f(batch, heads, rows, total)] if bias else []), const=[6, 7, 8], outputs=3, num_heads=heads, kv_num_heads=groups, **attributes)


gqa("_prompt", 2, 5, None, 5, (4, 4))
gqa("_prompt_rotary", 2, 5, None, 5, (4, 4), do_rotary=1)
gqa("_packed", 2, 5, None, 5, (4, 4), packed=True, do_rotary=1, rotary_interleaved=1)
gqa("_decode", 1, 1, 6, 7, (6,), do_rotary=1)
gqa("_decode_batch", 2, 1, 6, 7, (6, 6), do_rotary=1, scale=0.2)
gqa("_several", 1, 3, 4, 7, (6,), do_rotary=1)
gqa("_window", 1, 6, None, 6, (5,), local_window_size=3)
gqa("_window_decode", 1, 1, 8, 9, (8,), local_window_size=4)
gqa("_softcap", 2, 5, None, 5, (4, 4), softcap=2.0)
gqa("_bias", 1, 5, None, 5, (4,), bias=True)

# Quantized
for tag, make, kind, at in (("", u8, np.uint8, 128), ("_i8", i8, np.int8, 3)):
    case("qlinearadd" + tag, "QLinearAdd", make(2, 3, 4), s(0.03), zero(at, kind), make(3, 4), s(0.05), zero(at - 5, kind), s(0.07), zero(at + 1, kind),
         const=[1, 2, 4, 5, 6, 7])
    case("qlinearmul" + tag, "QLinearMul", make(2, 3, 4), s(0.03), zero(at, kind), make(2, 3, 4), s(0.05), zero(at, kind), s(0.11), zero(at, kind),
         const=[1, 2, 4, 5, 6, 7])
    case("qlinearsigmoid" + tag, "QLinearSigmoid", make(2, 9), s(0.04), zero(at, kind), s(1 / 256), zero(0 if kind is np.uint8 else -128, kind), const=[1, 2, 3, 4])
    case("qlinearleakyrelu" + tag, "QLinearLeakyRelu", make(2, 9), s(0.04), zero(at, kind), s(0.05), zero(at, kind), const=[1, 2, 3, 4], alpha=0.2)
    case("qlinearpool" + tag, "QLinearGlobalAveragePool", make(2, 3, 5, 6), s(0.04), zero(at, kind), s(0.02), zero(at, kind), const=[1, 2, 3, 4])
    case("qlinearaveragepool" + tag, "QLinearAveragePool", make(1, 3, 6, 6), s(0.04), zero(at, kind), s(0.03), zero(at, kind), const=[1, 2, 3, 4],
         kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    case("qlinearconcat" + tag, "QLinearConcat", s(0.05), zero(at, kind), make(2, 3), s(0.05), zero(at, kind), make(2, 4), s(0.02), zero(at - 2, kind),
         const=[0, 1, 3, 4, 6, 7], axis=1)
    case("qlinearsoftmax" + tag, "QLinearSoftmax", make(2, 9), s(0.04), zero(at, kind), s(1 / 256), zero(0 if kind is np.uint8 else -128, kind), const=[1, 2, 3, 4],
         axis=-1, opset=13)
case("qlinearpool_last", "QLinearGlobalAveragePool", u8(2, 5, 6, 3), s(0.04), zero(120), s(0.02), zero(100), const=[1, 2, 3, 4], channels_last=1)
case("qlinearconv_last", "QLinearConv", u8(1, 6, 7, 3), s(0.02), zero(120), i8(4, 3, 3, 3), s(0.01), zero(0, np.int8), s(0.2), zero(100),
     ints(4, low=-500, high=500), const=[1, 2, 3, 4, 5, 6, 7, 8], channels_last=1, pads=[1, 1, 1, 1])
case("nhwcmaxpool", "NhwcMaxPool", u8(1, 7, 8, 3), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
# Inputs of whole numbers from 0 to 255 and no state before: what the other runtime rounds is exact.
bytes_in = ints(1, 2, 6, low=0, high=256).astype(np.float32)
bytes_in.ravel()[:2] = 0, 255
for directions, direction in ((1, "forward"), (2, "bidirectional")):
    for scales in ((), (12,)):
        case(f"dynamicquantizelstm_{direction}{len(scales)}", "DynamicQuantizeLSTM", bytes_in, i8(directions, 6, 12), i8(directions, 3, 12), 0.1 * f(directions, 24), None,
             None, None, None, u(directions, *scales, low=1e-5, high=4e-5), np.zeros((directions,) + scales, np.int8), u(directions, *scales, low=1e-3, high=2e-3),
             np.zeros((directions,) + scales, np.int8), const=[1, 2, 3, 8, 9, 10, 11], outputs=3, hidden_size=3, direction=direction)
case("dynamicquantizematmul", "DynamicQuantizeMatMul", f(3, 8), i8(8, 5), s(0.02), zero(3, np.int8), const=[1, 2, 3])
case("dynamicquantizematmul_bias", "DynamicQuantizeMatMul", f(2, 3, 8), u8(8, 5), u(5, low=0.01, high=0.02), u8(5, low=100, high=150), f(5),
     const=[1, 2, 3, 4])
case("matmulintegertofloat", "MatMulIntegerToFloat", u8(2, 3, 8), i8(8, 5), s(0.02), u(5, low=0.01, high=0.02), zero(120), i8(5, low=-3, high=3), f(5),
     const=[1, 2, 3, 4, 5, 6])
case("matmulintegertofloat_plain", "MatMulIntegerToFloat", u8(3, 8), u8(8, 5), s(0.02), s(0.03), const=[1, 2, 3])
case("qgemm", "QGemm", u8(3, 8), s(0.02), zero(120), i8(8, 5), s(0.03), zero(0, np.int8), ints(5, low=-500, high=500), s(0.5), zero(110),
     const=[1, 2, 3, 4, 5, 6, 7, 8])
case("qgemm_float", "QGemm", u8(8, 3), s(0.02), zero(120), i8(5, 8), u(5, low=0.01, high=0.02), i8(5, low=0, high=1), ints(5, low=-500, high=500), None, None,
     const=[1, 2, 3, 4, 5, 6], transA=1, transB=1, alpha=0.5)
case("quantizelinear", "QuantizeLinear", f(3, 4), u(4, low=0.01, high=0.05), u8(4), const=[1, 2])
case("quantizelinear_u16", "QuantizeLinear", f(3, 4), s(0.001), zero(30000, np.uint16), const=[1, 2])
case("dequantizelinear", "DequantizeLinear", i8(3, 4), u(3, low=0.01, high=0.05), i8(3), const=[1, 2], axis=0)
case("dequantizelinear_i16", "DequantizeLinear", ints(3, 4, dtype=np.int16), s(0.01), zero(5, np.int16), const=[1, 2])
case("matmulinteger16", "MatMulInteger16", ints(3, 4, dtype=np.int16), ints(4, 5, dtype=np.int16))


def nbits(name, rows, k, n, block, bits=4, zeros=None, bias=False):
    blocks = -(-k // block)
    operands = [f(*rows, k), u8(n, blocks, block * bits // 8), u(n * blocks, low=0.01, high=0.05)]
    if zeros == "packed":
        operands.append(u8(n * -(-blocks * bits // 8)))
    elif zeros == "float":
        operands.append(u(n * blocks, low=5, high=10))
    else:
        operands.append(None)
    case("matmulnbits" + name, "MatMulNBits", *operands, *([None, f(n)] if bias else []), const=[1, 2, 3, 5], K=k, N=n, bits=bits, block_size=block)


nbits("", (3,), 32, 8, 16)
nbits("_batch", (2, 3), 64, 8, 32, bias=True)
nbits("_zeros", (3,), 64, 8, 32, zeros="packed")
nbits("_zeros_odd", (3,), 48, 8, 16, zeros="packed")
nbits("_zeros_float", (3,), 32, 8, 16, zeros="float")
nbits("_short", (3,), 40, 8, 16)
nbits("_8", (3,), 32, 8, 16, bits=8, zeros="packed")
CASES("ms_simplifiedlayernorm", "SimplifiedLayerNormalization", f(2, 3, 8), f(8), outputs=1, epsilon=1e-6)  # in ONNX's domain, as ONNX Runtime writes it
