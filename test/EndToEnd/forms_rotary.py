"""Rotary embeddings as exporters spell them out. See forms.py."""
import numpy as np
from forms import form

B, H, L, D = 2, 3, 5, 8
ONE = {"RotaryEmbedding": 1, "Neg": 0}


def heads(e, d=D, last=False):
    if last:
        return e.input("x", [B, L, H, d], free=[(0, "batch"), (1, "sequence")])
    return e.input("x", [B, H, L, d], free=[(0, "batch"), (2, "sequence")])


def positions(e):
    p = e.input("positions", [B, L], free=[(0, "batch"), (1, "sequence")], dtype=np.int64)
    e.feed["positions"] = np.arange(B * L).reshape(B, L) % 9
    return p


def angles(e, d=D):
    return e.c((1 / 10 ** (np.arange(0, d, 2) / d)).reshape(1, 1, d // 2), np.float32)


def freqs(e, how="mul", d=D):
    """[batch, sequence, d / 2]"""
    p = e.cast(e.unsqueeze(positions(e), -1), np.float32)
    if how == "matmul":
        inverse = e.op("Reshape", angles(e, d), e.ints(1, d // 2, 1))
        return e.transpose(e.op("MatMul", inverse, e.transpose(p, 0, 2, 1)), 0, 2, 1)
    if how == "einsum":
        return e.op("Einsum", e.squeeze(p, 2), e.op("Reshape", angles(e, d), e.ints(d // 2)), equation="bi,j->bij")
    return e.mul(p, angles(e, d))


def table(e, doubled, size=16, d=D):
    t = np.arange(size)[:, None] * (1 / 10 ** (np.arange(0, d, 2) / d))[None]
    t = np.concatenate([t, t], -1) if doubled == "halves" else np.repeat(t, 2, -1) if doubled == "pairs" else t
    return e.c(np.cos(t)), e.c(np.sin(t))


def half_turned(e, x, how="slice", d=D):
    if how == "split":
        a, b = e.split(x, 3, d // 2, d // 2)
    else:
        a, b = e.slice(x, 3, 0, d // 2), e.slice(x, 3, d // 2, 2 ** 63 - 1)
    b = e.mul(b, e.c(-1)) if how == "mul" else e.op("Neg", b)
    if how == "stack":
        return e.op("Reshape", e.op("Concat", e.unsqueeze(b, 3), e.unsqueeze(a, 3), axis=3), e.op("Shape", x))
    return e.op("Concat", b, a, axis=-1)


def rotate(e, x, cos, sin, turned):
    return e.add(e.mul(x, cos), e.mul(turned, sin))


@form("slice", "split", "mul", "stack", **ONE)
def rotary_half(e, how):
    x, f = heads(e), freqs(e)
    emb = e.op("Concat", f, f, axis=-1)
    cos, sin = (e.unsqueeze(e.op(n, emb), 1) for n in ("Cos", "Sin"))
    return rotate(e, x, cos, sin, half_turned(e, x, how))


@form("matmul", "einsum", "tile", "scaled", "gather", **ONE)
def rotary_angles(e, how):
    """how the angles are made and doubled"""
    x, f = heads(e), freqs(e, how if how in ("matmul", "einsum") else "mul")
    if how == "tile":
        emb = e.op("Tile", f, e.ints(1, 1, 2))
    elif how == "gather":
        emb = e.op("Gather", f, e.ints(0, 1, 2, 3, 0, 1, 2, 3), axis=2)
    else:
        emb = e.op("Concat", f, f, axis=-1)
    cos, sin = e.op("Cos", emb), e.op("Sin", emb)
    if how == "scaled":
        cos, sin = e.mul(cos, e.c(1.25)), e.mul(sin, e.c(1.25))
    return rotate(e, x, e.unsqueeze(cos, 1), e.unsqueeze(sin, 1), half_turned(e, x))


@form("gather", "sliced", "constant", "squeezed", **ONE)
def rotary_cached(e, how):
    e.is_free &= how != "constant"
    x = heads(e)
    cos, sin = table(e, "halves")
    if how == "gather":
        p = positions(e)
        cos, sin = (e.unsqueeze(e.op("Gather", t, p, axis=0), 1) for t in (cos, sin))
    elif how == "sliced":  # [1, 1, size, d], as many rows as the sequence has
        end = e.size(x, 2) if e.is_free else e.ints(L)
        cos, sin = (e.op("Slice", e.unsqueeze(t, 0, 1), e.ints(0), end, e.ints(2)) for t in (cos, sin))
    elif how == "squeezed":  # LLaMA of old: sliced, squeezed twice, gathered
        p = positions(e)
        cos, sin = (e.squeeze(e.squeeze(e.unsqueeze(t, 0, 1), 1), 0) for t in (cos, sin))
        cos, sin = (e.unsqueeze(e.op("Gather", t, p, axis=0), 1) for t in (cos, sin))
    else:
        cos, sin = table(e, "halves", L)
    return rotate(e, x, cos, sin, half_turned(e, x))


@form("sub_add", "add_sub", "neg", "split", **ONE)
def rotary_parts(e, how):
    """x1 cos - x2 sin and x2 cos + x1 sin, joined"""
    x, f = heads(e), freqs(e)
    cos, sin = (e.unsqueeze(e.op(n, f), 1) for n in ("Cos", "Sin"))
    if how == "split":
        a, b = e.split(x, 3, D // 2, D // 2)
    else:
        a, b = e.slice(x, 3, 0, D // 2), e.slice(x, 3, D // 2, D)
    first = e.add(e.mul(a, cos), e.op("Neg", e.mul(b, sin))) if how == "neg" else e.sub(e.mul(a, cos), e.mul(b, sin))
    second = e.add(e.mul(a, sin), e.mul(b, cos)) if how == "add_sub" else e.add(e.mul(b, cos), e.mul(a, sin))
    return e.op("Concat", first, second, axis=-1)


@form(**ONE)
def rotary_parts_heads_last(e):
    """JAX and Keras: [batch, sequence, heads, dim]"""
    x, f = heads(e, last=True), freqs(e)
    cos, sin = (e.unsqueeze(e.op(n, f), 2) for n in ("Cos", "Sin"))
    a, b = e.split(x, 3, D // 2, D // 2)
    return e.op("Concat", e.sub(e.mul(a, cos), e.mul(b, sin)), e.add(e.mul(b, cos), e.mul(a, sin)), axis=3)


@form("concat", "stack", **ONE)
def rotary_keras(e, how):
    x, f = heads(e, last=True), freqs(e)
    emb = e.op("Concat", f, f, axis=-1) if how == "concat" else e.op("Reshape", e.op("Concat", e.unsqueeze(f, 2), e.unsqueeze(f, 2), axis=2), e.shape((f, 0, B), (f, 1, L), D))
    cos, sin = (e.unsqueeze(e.op(n, emb), 2) for n in ("Cos", "Sin"))
    return rotate(e, x, cos, sin, half_turned(e, x, "stack"))


def pairs_turned(e, x, shape):
    a, b = e.slice(x, 3, 0, 2 ** 63 - 1, 2), e.slice(x, 3, 1, 2 ** 63 - 1, 2)
    return e.op("Reshape", e.op("Concat", e.unsqueeze(e.op("Neg", b), 4), e.unsqueeze(a, 4), axis=-1), shape)


def repeated(e, f, how, last=False):
    """each angle twice in a row"""
    if how == "expand":
        y = e.expand(e.unsqueeze(f, 3), (f, 0, B), (f, 1, L), D // 2, 2)
    elif how == "tile":
        y = e.op("Tile", e.unsqueeze(f, 3), e.ints(1, 1, 1, 2))
    elif how == "flat_tile":  # view(-1, 1).repeat(1, 2)
        y = e.op("Tile", e.op("Reshape", f, e.ints(-1, 1)), e.ints(1, 2))
    elif how == "gather":
        return e.op("Gather", f, e.ints(*np.repeat(np.arange(D // 2), 2)), axis=2)
    else:
        y = e.op("Concat", e.unsqueeze(f, 3), e.unsqueeze(f, 3), axis=3)
    return e.reshape(y, (f, 0, B), (f, 1, L), D)


@form("expand", "tile", "flat_tile", "gather", "stack", **ONE)
def rotary_pairs(e, how):
    """interleaved: GPT-J, RoFormer, GLM"""
    x, f = heads(e), freqs(e)
    cos, sin = (e.unsqueeze(repeated(e, e.op(n, f), how), 1) for n in ("Cos", "Sin"))
    return rotate(e, x, cos, sin, pairs_turned(e, x, e.shape((x, 0, B), H, (x, 2, L), D)))


@form("gathered", "sliced", **ONE)
def rotary_pairs_complex(e, how):
    """pairs as complex numbers: their parts taken out, put back"""
    x, f = heads(e), freqs(e)
    cos, sin = (e.unsqueeze(e.op(n, f), 1) for n in ("Cos", "Sin"))
    p = e.reshape(x, (x, 0, B), H, (x, 2, L), D // 2, 2)
    if how == "gathered":
        a, b = (e.op("Gather", p, e.constant(np.int64(i)), axis=4) for i in (0, 1))
    else:
        a, b = (e.squeeze(e.slice(p, 4, i, i + 1), 4) for i in (0, 1))
    first, second = e.sub(e.mul(a, cos), e.mul(b, sin)), e.add(e.mul(a, sin), e.mul(b, cos))
    return e.reshape(e.op("Concat", e.unsqueeze(first, 4), e.unsqueeze(second, 4), axis=4), (x, 0, B), H, (x, 2, L), D)


@form("neox", "phi_split", **{**ONE, "Concat": 0})
def rotary_partial(e, how):
    """half of each head is turned"""
    d = 2 * D
    x, f = heads(e, d), freqs(e)
    emb = e.op("Concat", f, f, axis=-1)
    if how == "phi_split":
        turn, keep = e.split(x, 3, D, D)
    else:
        turn, keep = e.slice(x, 3, 0, D), e.slice(x, 3, D, 2 ** 63 - 1)
    cos, sin = (e.unsqueeze(e.op(n, emb), 1) for n in ("Cos", "Sin"))
    y = e.op("Concat", rotate(e, turn, cos, sin, half_turned(e, turn)), keep, axis=-1)
    e.op("Identity", emb)
    return y


@form(**ONE)
def rotary_gptj(e):
    """interleaved, partial, heads last, cos and sin in one table"""
    d = 2 * D
    x = heads(e, d, last=True)
    t = np.arange(16)[:, None] * (1 / 10 ** (np.arange(0, D, 2) / D))[None]
    both = e.op("Gather", e.c(np.concatenate([np.sin(t), np.cos(t)], -1)), positions(e), axis=0)
    sin, cos = e.split(both, 2, D // 2, D // 2)
    cos, sin = (e.unsqueeze(repeated(e, c, "expand"), 2) for c in (cos, sin))
    turn, keep = e.slice(x, 3, 0, D), e.slice(x, 3, D, 2 ** 63 - 1)
    y = rotate(e, turn, cos, sin, pairs_turned(e, turn, e.shape((x, 0, B), (x, 1, L), H, D)))
    return e.op("Concat", y, keep, axis=-1)


@form("sequence_first", "batch_first", **ONE)
def rotary_glm(e, how):
    """ChatGLM: pairs, half of each head, a cache of [.., d / 2, 2], the sequence first or the batch"""
    d, first = 2 * D, how == "sequence_first"
    dims = [L, B] if first else [B, L]
    names = [(0, "sequence"), (1, "batch")] if first else [(0, "batch"), (1, "sequence")]
    x = e.input("x", [*dims, H, d], free=names)
    t = np.arange(16)[:, None] * (1 / 10 ** (np.arange(0, D, 2) / D))[None]
    p = e.input("positions", [1, L], free=[(1, "sequence")], dtype=np.int64)
    e.feed["positions"] = np.arange(L)[None]
    cache = e.op("Gather", e.c(np.stack([np.cos(t), np.sin(t)], -1)), p, axis=0)  # [1, L, d/2, 2]
    if first:
        cache = e.transpose(cache, 1, 0, 2, 3)
    cache = e.unsqueeze(cache, 2)
    cos, sin = (e.op("Gather", cache, e.constant(np.int64(i)), axis=4) for i in (0, 1))
    turn, keep = e.slice(x, 3, 0, D), e.slice(x, 3, D, 2 ** 63 - 1)
    pairs = e.reshape(turn, (x, 0, dims[0]), (x, 1, dims[1]), H, D // 2, 2)
    a, b = (e.op("Gather", pairs, e.constant(np.int64(i)), axis=4) for i in (0, 1))
    y = e.op("Concat", e.unsqueeze(e.sub(e.mul(a, cos), e.mul(b, sin)), 4), e.unsqueeze(e.add(e.mul(b, cos), e.mul(a, sin)), 4), axis=4)
    y = e.reshape(y, (x, 0, dims[0]), (x, 1, dims[1]), H, D)
    return e.op("Concat", y, keep, axis=3)


@form("folded", "vision", **ONE)
def rotary_three_dims(e, how):
    """heads folded into the batch, or no batch at all"""
    cos, sin = table(e, "halves")
    symbol = [(0, "rows"), (1, "sequence")] if how == "folded" else [(0, "sequence")]
    x = e.input("x", [B * H, L, D] if how == "folded" else [L, H, D], free=symbol)
    end = e.size(x, 1 if how == "folded" else 0) if e.is_free else e.ints(L)
    cos, sin = (e.op("Slice", t, e.ints(0), end, e.ints(0)) for t in (cos, sin))
    cos, sin = (e.unsqueeze(t, 0 if how == "folded" else 1) for t in (cos, sin))
    a, b = e.slice(x, 2, 0, D // 2), e.slice(x, 2, D // 2, D)
    return rotate(e, x, cos, sin, e.op("Concat", e.op("Neg", b), a, axis=-1))


@form(**ONE)
def rotary_of_patches(e):
    """EVA: all tokens but the first are turned, in pairs, by a constant"""
    x = e.input("x", [B, H, L + 1, D], free=[(0, "batch")])
    first, rest = e.slice(x, 2, 0, 1), e.slice(x, 2, 1, 2 ** 63 - 1)
    cos, sin = table(e, "pairs", L)
    turned = pairs_turned(e, rest, e.shape((x, 0, B), H, L, D))
    return e.op("Concat", first, rotate(e, rest, cos, sin, turned), axis=2)


@form("narrow", "wide", **ONE)
def rotary_half_precision(e, how):
    """angles in f32, Cast; or all of it in f32 between Casts"""
    e.dtype = np.float16
    x, f = heads(e), freqs(e)
    emb = e.op("Concat", f, f, axis=-1)
    cos, sin = (e.unsqueeze(e.op(n, emb), 1) for n in ("Cos", "Sin"))
    if how == "narrow":
        return rotate(e, x, e.cast(cos, np.float16), e.cast(sin, np.float16), half_turned(e, x))
    x = e.cast(x, np.float32)
    return e.cast(rotate(e, x, cos, sin, half_turned(e, x)), np.float16)


@form(RotaryEmbedding=0)
def rotary_other_angles(e):
    """near miss: the halves have angles of their own"""
    x = heads(e)
    c = e.random_constant(16, D)
    p = positions(e)
    cos, sin = (e.unsqueeze(e.op("Gather", t, p, axis=0), 1) for t in (c, e.random_constant(16, D)))
    return rotate(e, x, cos, sin, half_turned(e, x))


@form(RotaryEmbedding=0)
def rotary_wrong_sign(e):
    """near miss: the first half is negated"""
    x, f = heads(e), freqs(e)
    emb = e.op("Concat", f, f, axis=-1)
    cos, sin = (e.unsqueeze(e.op(n, emb), 1) for n in ("Cos", "Sin"))
    turned = e.op("Concat", e.slice(x, 3, D // 2, D), e.op("Neg", e.slice(x, 3, 0, D // 2)), axis=-1)
    return rotate(e, x, cos, sin, turned)
