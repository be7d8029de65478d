"""Scaled dot-product attention as exporters spell it out. See forms.py."""
import numpy as np
from forms import LOWEST, form

B, H, L, S, D = 2, 4, 5, 7, 8
ROOT = float(np.sqrt(D))


def heads(e, name, h=H, length=L, symbol="queries", d=D):
    return e.input(name, [B, h, length, d], free=[(0, "batch"), (2, symbol)])


def qkv(e, h=H):
    return heads(e, "q"), heads(e, "k", h, S, "keys"), heads(e, "v", h, S, "keys")


def scores(e, q, k, how="div"):
    """q k^T, scaled in the given way"""
    t = e.transpose(k, 0, 1, 3, 2)
    if how == "q":
        return e.op("MatMul", e.mul(q, e.c(1 / ROOT)), t)
    if how == "q_div":
        return e.op("MatMul", e.div(q, e.c(ROOT)), t)
    if how == "both":
        return e.op("MatMul", e.mul(q, e.c(ROOT ** -0.5)), e.mul(t, e.c(ROOT ** -0.5)))
    if how == "both_before":
        return e.op("MatMul", e.mul(q, e.c(ROOT ** -0.5)), e.transpose(e.mul(k, e.c(ROOT ** -0.5)), 0, 1, 3, 2))
    if how == "k":
        return e.op("MatMul", q, e.mul(t, e.c(1 / ROOT)))
    y = e.op("MatMul", q, t)
    return y if how == "none" else e.mul(y, e.c(1 / ROOT)) if how == "mul" else e.div(y, e.c(ROOT))


def finish(e, s, v, opset_axis=-1):
    return e.op("MatMul", e.op("Softmax", s, axis=opset_axis), v)


def mask(e, value=LOWEST, shape=(B, 1, L, S)):
    free = [(i, n) for i, n in zip(range(4), ("batch", None, "queries", "keys")) if n and shape[i] > 1] if len(shape) == 4 else []
    m = e.input("mask", list(shape), free=free, dtype=np.float32)
    e.feed["mask"] = np.where(np.arange(S) < 4, 0, value).astype(np.float32) + np.zeros(shape, np.float32)
    return m


def boolean(e, shape=(B, 1, L, S)):
    m = e.input("keep", list(shape), free=[(i, n) for i, n in zip(range(len(shape)), ("batch", None, "queries", "keys")[-len(shape):]) if n and shape[i] > 1], dtype=bool)
    e.feed["keep"] = np.broadcast_to(np.arange(S) < 4, shape).copy()
    return m


ONE = {"Attention": 1, "Softmax": 0, "MatMul": 0}


@form("div", "mul", "q", "q_div", "both", "both_before", "k", "none", **ONE)
def attention(e, how):
    q, k, v = qkv(e)
    return finish(e, scores(e, q, k, how), v)


@form("batch", "row", "matrix", "keys", **ONE)
def attention_masked(e, which):
    q, k, v = qkv(e)
    shape = {"batch": (B, 1, L, S), "row": (B, 1, 1, S), "matrix": (1, 1, L, S), "keys": (1, 1, 1, S)}[which]
    return finish(e, e.add(scores(e, q, k), mask(e, shape=shape)), v)


@form("bert", "sub", **ONE)
def attention_mask_arithmetic(e, how):
    """(1 - mask) * -10000, from the ids' mask"""
    q, k, v = qkv(e)
    ids = e.input("ids", [B, S], free=[(0, "batch"), (1, "keys")], dtype=np.int64)
    e.feed["ids"] = (np.arange(B * S).reshape(B, S) % 3 > 0).astype(np.int64)
    m = e.sub(e.c(1), e.cast(e.unsqueeze(ids, 1, 2), np.float32))
    if how == "sub":
        return finish(e, e.sub(scores(e, q, k), e.mul(m, e.c(10000))), v)
    return finish(e, e.add(scores(e, q, k), e.mul(m, e.c(-10000))), v)


@form("keep", "drop", "keep_inf", **ONE)
def attention_where(e, how):
    q, k, v = qkv(e)
    s, c = scores(e, q, k), boolean(e)
    if how == "drop":
        return finish(e, e.op("Where", e.op("Not", c), e.c(LOWEST), s), v)
    return finish(e, e.op("Where", c, s, e.c(-np.inf if how == "keep_inf" else LOWEST)), v)


@form("sdpa", "sdpa_guarded", **ONE)
def attention_boolean(e, how):
    """torch's symbolic of scaled_dot_product_attention with a mask of booleans; later ones guard against rows without keys"""
    q, k, v = qkv(e)
    c = boolean(e)
    if how == "sdpa_guarded":
        e.feed["keep"][:, :, 0] = False
    m = e.op("Where", c, e.c(0), e.c(-np.inf))
    w = e.op("Softmax", e.add(scores(e, q, k, "both"), m), axis=-1)
    if how == "sdpa_guarded":
        w = e.op("Where", e.op("IsNaN", w), e.c(0), w)
    return e.op("MatMul", w, v)


def causal(e, x, y, how):
    """the mask that exporters build from sizes: [queries, keys]"""
    rows, columns = (x, 2, L), (y, 2, S)
    if how == "trilu":  # TorchScript: ones, lower triangle, -inf where zero
        t = e.op("Trilu", e.expand(e.c(1), rows, columns), upper=0)
        return e.op("Where", e.op("Equal", t, e.c(0)), e.c(-np.inf), e.c(0))
    if how == "trilu_full":
        return e.op("Trilu", e.expand(e.c(LOWEST), rows, columns), e.constant(np.int64(1)), upper=1)
    size = (lambda v, axis: e.op("Gather", e.op("Shape", v), e.constant(np.int64(axis)), axis=0)) if e.is_free else lambda v, axis: e.constant(np.int64(L if v == x else S))
    r = e.op("Range", e.constant(np.int64(0)), size(x, 2), e.constant(np.int64(1)))
    c = e.op("Range", e.constant(np.int64(0)), size(y, 2), e.constant(np.int64(1)))
    r, c = e.unsqueeze(r, 1), e.unsqueeze(c, 0)
    keep = e.op("LessOrEqual", c, r)
    if how == "window":
        keep = e.op("And", keep, e.op("Greater", c, e.sub(r, e.constant(np.int64(3)))))
    return e.op("Where", keep, e.c(0), e.c(LOWEST))


@form("trilu", "trilu_full", "range", "window", **ONE)
def attention_causal(e, how):
    q, k, v = qkv(e)
    return finish(e, e.add(scores(e, q, k), causal(e, q, k, how)), v)


@form("gpt2", "gpt2_mask", "mpt", **ONE)
def attention_causal_where(e, how):
    """GPT-2: a Where for the order, then a mask added; MPT: a bias, then a Where"""
    q, k, v = qkv(e)
    s = scores(e, q, k)
    table = e.constant(np.tril(np.ones((1, 1, 16, 16), bool)))
    if e.is_free:
        keep = e.op("Slice", e.op("Slice", table, e.ints(0), e.size(q, 2), e.ints(2)), e.ints(0), e.size(k, 2), e.ints(3))
    else:
        keep = e.op("Slice", table, e.ints(0, 0), e.ints(L, S), e.ints(2, 3))
    if how == "mpt":
        s = e.add(s, e.op("Slice", e.random_constant(1, H, 1, 16), e.ints(0), e.size(k, 2) if e.is_free else e.ints(S), e.ints(3)))
    s = e.op("Where", keep, s, e.c(LOWEST))
    return finish(e, e.add(s, mask(e, shape=(B, 1, 1, S))) if how == "gpt2_mask" else s, v)


@form(**ONE)
def attention_max(e):
    """older LLaMA: the sum limited to the lowest number"""
    q, k, v = qkv(e)
    return finish(e, e.op("Max", e.add(scores(e, q, k), mask(e)), e.c(LOWEST)), v)


@form(**ONE)
def attention_two_masks(e):
    q, k, v = qkv(e)
    s = e.add(scores(e, q, k), e.input("position", [1, H, L, S], free=[(2, "queries"), (3, "keys")]))
    return finish(e, e.add(s, mask(e)), v)


@form("after", "before", **ONE)
def attention_alibi(e, how):
    """a bias a head and key, scaled after or before"""
    q, k, v = qkv(e)
    slopes = e.c((2.0 ** -np.arange(1, H + 1)).reshape(1, H, 1, 1))
    places = e.input("places", [1, 1, 1, S], free=[(3, "keys")])
    bias = e.mul(slopes, places)
    if how == "after":
        return finish(e, e.div(e.add(scores(e, q, k, "none"), bias), e.c(ROOT)), v)
    return finish(e, e.add(e.add(bias, scores(e, q, k)), mask(e)), v)


@form(**ONE)
def attention_t5(e):
    """no scale; a bias looked up by distance"""
    e.is_free = False
    q, k, v = qkv(e)
    table = e.random_constant(32, H)
    places = e.constant((np.arange(S)[None] - np.arange(L)[:, None] + 10).astype(np.int64))
    bias = e.unsqueeze(e.transpose(e.op("Gather", table, places, axis=0), 2, 0, 1), 0)
    return finish(e, e.add(scores(e, q, k, "none"), e.add(bias, mask(e))), v)


@form(**ONE, Tanh=0)
def attention_softcap(e):
    q, k, v = qkv(e)
    s = e.mul(e.op("Tanh", e.div(scores(e, q, k), e.c(30))), e.c(30))
    return finish(e, e.add(s, mask(e)), v)


@form(**ONE)
def attention_head_scale(e):
    """Swin 2: the scale is learned, one a head"""
    q, k, v = qkv(e)
    s = e.mul(scores(e, q, k, "none"), e.c(e.random.uniform(0.1, 1, (H, 1, 1))))
    return finish(e, e.add(s, e.random_constant(1, H, 1, 1)), v)


@form("expand", "reshape_expand", "tile", "gather", **ONE, Expand=0, Tile=0)
def attention_grouped(e, how):
    q = heads(e, "q")
    k, v = heads(e, "k", 2, S, "keys"), heads(e, "v", 2, S, "keys")
    def repeat(x):
        if how == "gather":
            return e.op("Gather", x, e.ints(0, 0, 1, 1), axis=1)
        if how == "reshape_expand":
            y = e.reshape(x, (x, 0, B), 2, 1, (x, 2, S), D)
        else:
            y = e.unsqueeze(x, 2)
        y = e.op("Tile", y, e.ints(1, 1, 2, 1, 1)) if how == "tile" else e.expand(y, (x, 0, B), 2, 2, (x, 2, S), D)
        return e.reshape(y, (x, 0, B), H, (x, 2, S), D)
    return finish(e, e.add(scores(e, q, repeat(k)), mask(e)), repeat(v))


@form("broadcast", "expand", **ONE, Expand=0)
def attention_one_key_head(e, how):
    """multi-query: one head of keys for all"""
    q = heads(e, "q")
    k, v = heads(e, "k", 1, S, "keys"), heads(e, "v", 1, S, "keys")
    if how == "expand":
        k, v = (e.expand(x, (x, 0, B), H, (x, 2, S), D) for x in (k, v))
    return finish(e, scores(e, q, k), v)


@form("plain", "grouped", **ONE, Concat=0, Expand=0)
def attention_past(e, how):
    e.is_free = False
    h = 2 if how == "grouped" else H
    q = heads(e, "q")
    new = [heads(e, n, h) for n in ("k", "v")]
    past = [heads(e, "past_" + n, h, 3, "past") for n in ("k", "v")]
    present = [e.op("Concat", p, n, axis=2) for p, n in zip(past, new)]
    k, v = present
    if how == "grouped":
        k, v = (e.reshape(e.expand(e.unsqueeze(x, 2), B, h, 2, 8, D), B, H, 8, D) for x in present)
    return [finish(e, scores(e, q, k), v), *present]


@form("dynamo", "dynamo_mask", **ONE)
def attention_dynamo(e, how):
    """torchlib turns the keys through a Reshape to three dims"""
    e.opset = 18
    q, k, v = qkv(e)
    flat = e.op("Reshape", k, e.op("Concat", e.ints(-1), e.size(k, 2), e.size(k, 3), axis=0) if e.is_free else e.ints(-1, S, D))
    turned = e.transpose(flat, 0, 2, 1)
    if e.is_free:
        leading = e.op("Slice", e.op("Shape", k), e.ints(0), e.ints(-2))
        turned = e.op("Reshape", turned, e.op("Concat", leading, e.size(k, 3), e.size(k, 2), axis=0))
    else:
        turned = e.op("Reshape", turned, e.ints(B, H, D, S))
    root = e.op("Sqrt", e.c(1 / ROOT))
    s = e.op("MatMul", e.mul(q, root), e.mul(turned, root))
    return finish(e, e.add(s, mask(e)) if how == "dynamo_mask" else s, v)


def flat(e, x, length):
    """[batch * heads, length, dim]"""
    return e.reshape(x, -1, (x, 2, length), D)


@form("bare", "mask", "bart", "bloom", **ONE)
def attention_three_dims(e, how):
    """bmm over [batch * heads, length, dim]; masks added to four dims in between"""
    q, k, v = qkv(e)
    q3, k3, v3 = flat(e, q, L), flat(e, k, S), flat(e, v, S)
    if how == "bloom":
        e.is_bloom = True
        alibi = e.reshape(e.op("Add", e.random_constant(1, H, 1, 1), e.c(np.zeros((B, 1, 1, S)))), -1, 1, S) if not e.is_free else e.c(np.float32(0.25))
        s = e.add(e.mul(e.op("MatMul", q3, e.transpose(k3, 0, 2, 1)), e.c(1 / ROOT)), alibi)
    else:
        s = e.op("MatMul", e.mul(q3, e.c(1 / ROOT)), e.transpose(k3, 0, 2, 1))
    if how == "mask":
        s = e.add(s, e.input("bias", [L, S], free=[(0, "queries"), (1, "keys")]))
    if how in ("bart", "bloom"):
        s = e.reshape(s, (q, 0, B), H, (q, 2, L), (k, 2, S))
        s = e.op("Where", boolean(e), s, e.c(LOWEST)) if how == "bloom" else e.add(s, mask(e))
        if how == "bart":
            s = e.reshape(s, -1, (q, 2, L), (k, 2, S))
    w = e.op("Softmax", s, axis=-1)
    if how == "bloom":
        w = e.reshape(w, -1, (q, 2, L), (k, 2, S))
    return e.reshape(e.op("MatMul", w, v3), (q, 0, B), H, (q, 2, L), D)


@form("detr", "offset", **ONE)
def attention_keys_left_out(e, how):
    """keys of padding put to -inf between Reshapes; or baddbmm onto zeros"""
    q, k, v = qkv(e)
    q3, k3, v3 = flat(e, q, L), flat(e, k, S), flat(e, v, S)
    s = e.op("MatMul", q3, e.transpose(k3, 0, 2, 1))
    if how == "offset":
        s = e.add(e.mul(e.op("ConstantOfShape", e.shape((q3, 0, B * H), (q3, 1, L), (k3, 1, S))), e.c(1)), e.mul(s, e.c(1 / ROOT)))
    else:
        s = e.reshape(e.mul(s, e.c(1 / ROOT)), (q, 0, B), H, (q, 2, L), (k, 2, S))
        out = e.op("Not", boolean(e, (B, 1, 1, S)))
        s = e.reshape(e.op("Where", out, e.c(-np.inf), s), -1, (q, 2, L), (k, 2, S))
    return e.reshape(e.op("MatMul", e.op("Softmax", s, axis=-1), v3), (q, 0, B), H, (q, 2, L), D)


@form("plain", "mask", Attention=1, Softmax=0, MatMul=1)
def attention_torch_module(e, how):
    """nn.MultiheadAttention: sequence first, heads folded into the batch, bmm"""
    x = e.input("x", [L, B, H * D], free=[(0, "sequence")])
    q, k, v = (e.transpose(e.op("Reshape", e.linear(x, H * D, H * D), e.ints(-1, B * H, D)), 1, 0, 2) for _ in range(3))
    s = e.op("MatMul", e.mul(q, e.c(1 / ROOT)), e.transpose(k, 0, 2, 1))
    if how == "mask":
        s = e.add(s, e.input("bias", [L, L], free=[(0, "sequence"), (1, "sequence")]))
    y = e.transpose(e.op("MatMul", e.op("Softmax", s, axis=-1), v), 1, 0, 2)
    return e.op("Reshape", y, e.ints(-1, B, H * D))


@form("diffusers", Attention=1, Softmax=0, MatMul=2)
def attention_diffusers(e, how):
    """head_to_batch_dim, baddbmm, batch_to_head_dim"""
    x = e.input("x", [B, L, H * D], free=[(1, "sequence")])
    def split(y):
        y = e.transpose(e.reshape(y, B, (x, 1, L), H, D), 0, 2, 1, 3)
        return e.reshape(y, B * H, (x, 1, L), D)
    q, k, v = (split(e.linear(x, H * D, H * D, bias=False)) for _ in range(3))
    s = e.mul(e.op("MatMul", q, e.transpose(k, 0, 2, 1)), e.c(1 / ROOT))
    y = e.reshape(e.op("MatMul", e.op("Softmax", s, axis=-1), v), B, H, (x, 1, L), D)
    return e.linear(e.reshape(e.transpose(y, 0, 2, 1, 3), B, (x, 1, L), H * D), H * D, H * D)


@form("bhid", "keras", "bqhd", **ONE, Einsum=0)
def attention_einsum(e, how):
    if how == "bhid":
        q, k, v = qkv(e)
        s = e.mul(e.op("Einsum", q, k, equation="bhid,bhjd->bhij"), e.c(1 / ROOT))
        return e.op("Einsum", e.op("Softmax", s, axis=-1), v, equation="bhij,bhjd->bhid")
    q = e.input("q", [B, L, H, D], free=[(0, "batch"), (1, "queries")])
    k, v = (e.input(n, [B, S, H, D], free=[(0, "batch"), (1, "keys")]) for n in "kv")
    if how == "keras":  # keys first
        s = e.op("Einsum", k, e.mul(q, e.c(1 / ROOT)), equation="aecd,abcd->acbe")
        return e.op("Einsum", e.op("Softmax", s, axis=3), v, equation="acbe,aecd->abcd")
    s = e.div(e.op("Einsum", q, k, equation="bqhd,bkhd->bhqk"), e.c(ROOT))
    return e.op("Einsum", e.op("Softmax", s, axis=-1), v, equation="bhqk,bkhd->bqhd")


@form(Einsum=0, MatMul=4, Attention=1)
def attention_keras_layer(e):
    """MultiHeadAttention of Keras: dense layers by Einsum too"""
    x = e.input("x", [B, L, 24], free=[(0, "batch"), (1, "sequence")])
    q, k, v = (e.add(e.op("Einsum", x, e.random_constant(24, H, D), equation="abc,cde->abde"), e.random_constant(H, D)) for _ in range(3))
    s = e.op("Einsum", k, e.mul(q, e.c(1 / ROOT)), equation="aecd,abcd->acbe")
    y = e.op("Einsum", e.op("Softmax", s, axis=3), v, equation="acbe,aecd->abcd")
    return e.add(e.op("Einsum", y, e.random_constant(H, D, 24), equation="abcd,cde->abe"), e.random_constant(24))


@form("gather", "split", "slices", "chunk", **{**ONE, "MatMul": 1})
def attention_fused(e, how):
    """one product for queries, keys and values, taken apart"""
    x = e.input("x", [B, L, 16], free=[(0, "batch"), (1, "sequence")])
    y = e.linear(x, 16, 3 * H * D)
    if how == "gather":  # timm
        t = e.transpose(e.reshape(y, (x, 0, B), (x, 1, L), 3, H, D), 2, 0, 3, 1, 4)
        q, k, v = (e.op("Gather", t, e.constant(np.int64(i)), axis=0) for i in range(3))
    elif how == "chunk":  # unbind after a Split
        t = e.transpose(e.reshape(y, (x, 0, B), (x, 1, L), 3, H, D), 2, 0, 3, 1, 4)
        q, k, v = (e.squeeze(p, 0) for p in e.split(t, 0, 1, 1, 1))
    else:
        parts = e.split(y, 2, *[H * D] * 3) if how == "split" else [e.slice(y, 2, i * H * D, (i + 1) * H * D) for i in range(3)]
        q, k, v = (e.transpose(e.reshape(p, (x, 0, B), (x, 1, L), H, D), 0, 2, 1, 3) for p in parts)
    y = finish(e, scores(e, q, k, "q"), v)
    return e.reshape(e.transpose(y, 0, 2, 1, 3), (x, 0, B), (x, 1, L), H * D)


@form(**ONE)
def attention_swin(e):
    """windows in the batch; a mask of five dims in between"""
    e.is_free = False
    windows = 2
    q, k, v = (e.input(n, [4, H, 6, D]) for n in "qkv")
    s = e.add(e.op("MatMul", e.mul(q, e.c(1 / ROOT)), e.transpose(k, 0, 1, 3, 2)), e.random_constant(1, H, 6, 6))
    m = e.c(np.where(np.arange(windows * 36).reshape(1, windows, 1, 6, 6) % 5 == 0, -100, 0))
    s = e.op("Reshape", e.add(e.op("Reshape", s, e.ints(2, windows, H, 6, 6)), m), e.ints(-1, H, 6, 6))
    return finish(e, s, v)


@form("plain", "from_conv", **ONE)
def attention_channels_first(e, how):
    """YOLO's: dims before pixels, values times the weights turned"""
    n = 12
    if how == "from_conv":
        x = e.input("x", [B, 8, 3, 4], free=[(0, "batch")])
        y = e.op("Conv", x, e.random_constant(H * (4 + 4 + D), 8, 1, 1))
        y = e.reshape(y, (x, 0, B), H, 4 + 4 + D, n)
        q, k, v = e.split(y, 2, 4, 4, D)
    else:
        q, k, v = (e.input(name, [B, H, D, n], free=[(0, "batch"), (3, "pixels")]) for name in "qkv")
    s = e.mul(e.op("MatMul", e.transpose(q, 0, 1, 3, 2), k), e.c(1 / ROOT))
    return e.op("MatMul", v, e.transpose(e.op("Softmax", s, axis=-1), 0, 1, 3, 2))


@form("f16", "f32", **ONE)
def attention_half(e, how):
    """softmax in f16, or in f32 between Casts"""
    e.dtype = np.float16
    q, k, v = qkv(e)
    s = scores(e, q, k)
    if how == "f16":
        return finish(e, s, v)
    return e.op("MatMul", e.cast(e.op("Softmax", e.cast(s, np.float32), axis=-1), np.float16), v)


@form(**ONE)
def attention_half_wide_mask(e):
    """scores to f32, masked there, weights back"""
    e.dtype = np.float16
    q, k, v = qkv(e)
    s = e.op("Where", boolean(e), e.cast(scores(e, q, k), np.float32), e.c(LOWEST, np.float32))
    return e.op("MatMul", e.cast(e.op("Softmax", s, axis=-1), np.float16), v)


@form(Attention=0)
def attention_weights_used(e):
    """near miss: the weights are an output too"""
    q, k, v = qkv(e)
    w = e.op("Softmax", scores(e, q, k), axis=-1)
    return e.op("MatMul", w, v), w


@form(Attention=0)
def attention_wrong_axis(e):
    q, k, v = heads(e, "q"), heads(e, "k"), heads(e, "v")
    return finish(e, scores(e, q, k), v, 2)


@form("broadcast", **{**ONE, "Softmax": 0})
def attention_decomposed_softmax(e, how):
    """JAX: the softmax is spelled out too"""
    q, k, v = qkv(e)
    s = e.add(scores(e, q, k, "q"), mask(e))
    p = e.op("Exp", e.sub(s, e.reduce("ReduceMax", s, 3)))
    return e.op("MatMul", e.div(p, e.reduce("ReduceSum", p, 3)), v)
