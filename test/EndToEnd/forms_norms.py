"""Normalizations and softmax as exporters spell them out. See forms.py."""
import numpy as np
from forms import form


def hidden(e, d=16, name="x"):
    return e.input(name, [2, 5, d], free=[(0, "batch"), (1, "sequence")])


def square(e, x, how):
    return e.op("Pow", x, e.c(2, np.float32)) if how == "pow" else e.mul(x, x)


def mean(e, x, n, how, *axes):
    """ReduceMean, or as JAX does: a sum, divided."""
    if how == "mean":
        return e.reduce("ReduceMean", x, *axes)
    if how == "dropped":
        m = e.reduce("ReduceMean", x, *axes, keepdims=0)
        return e.unsqueeze(m, *axes)
    s = e.reduce("ReduceSum", x, *axes)
    return e.div(s, e.c(n, np.float32)) if how == "sum_div" else e.mul(s, e.c(1 / n, np.float32))


def inverse_root(e, x, how):
    if how == "pow":
        return e.op("Pow", x, e.c(-0.5, np.float32))
    root = e.op("Sqrt", x) if how != "pow_reciprocal" else e.op("Pow", x, e.c(0.5, np.float32))
    return e.div(e.c(1, np.float32), root) if how == "one_div" else e.op("Reciprocal", root)


def rms(e, x, d, squared="pow", averaged="mean", inverted="reciprocal", epsilon_first=False, swapped=False):
    m = mean(e, square(e, x, squared), d, averaged, -1)
    epsilon = e.c(1e-5, np.float32)
    m = e.add(epsilon, m) if epsilon_first else e.add(m, epsilon)
    if inverted == "div":
        return e.div(x, e.op("Sqrt", m))
    r = inverse_root(e, m, inverted)
    return e.mul(r, x) if swapped else e.mul(x, r)


@form(("pow", "mean", "reciprocal"), ("mul", "mean", "reciprocal"), ("pow", "mean", "one_div"), ("mul", "mean", "div"), ("pow", "mean", "pow"),
      ("mul", "mean", "pow_reciprocal"), ("mul", "sum_div", "reciprocal"), ("mul", "sum_mul", "reciprocal"), ("mul", "dropped", "div"), RMSNormalization=1, Mul=0, Div=0, Cast=0)
def rms_norm(e, squared, averaged, inverted):
    x = hidden(e)
    return e.mul(e.random_constant(16), rms(e, x, 16, squared, averaged, inverted))


@form(RMSNormalization=1, Mul=0)
def rms_norm_late_opset(e):
    e.opset = 18
    return e.mul(rms(e, hidden(e), 16, epsilon_first=True, swapped=True), e.random_constant(16))


@form(RMSNormalization=1, Mul=0)
def rms_norm_flax(e):
    """x * (rsqrt(mean(x^2) + epsilon) * scale)"""
    x = hidden(e)
    m = e.add(mean(e, e.mul(x, x), 16, "sum_div", -1), e.c(1e-6))
    return e.mul(x, e.mul(inverse_root(e, m, "reciprocal"), e.random_constant(16)))


@form(RMSNormalization=1, Mul=0, Add=0)
def rms_norm_gemma(e):
    """scale stored less one"""
    x = hidden(e)
    return e.mul(rms(e, x, 16), e.add(e.c(1.0), e.random_constant(16)))


@form(RMSNormalization=1, Cast=0, Mul=0)
def rms_norm_half(e):
    e.dtype = np.float16
    x = hidden(e)
    wide = e.cast(x, np.float32)
    return e.mul(e.random_constant(16), e.cast(rms(e, wide, 16), np.float16))


@form(RMSNormalization=1, Mul=0)
def rms_norm_half_wide_scale(e):
    """Gemma in f16: the scale multiplies in f32"""
    e.dtype = np.float16
    x = e.cast(hidden(e), np.float32)
    scale = e.add(e.c(1, np.float32), e.cast(e.random_constant(16), np.float32))
    return e.cast(e.mul(rms(e, x, 16), scale), np.float16)


@form(RMSNormalization=1, Cast=0, Mul=0)
def rms_norm_half_twice_cast(e):
    """T5: the square and the product cast x each for itself"""
    e.dtype = np.float16
    x = hidden(e)
    m = e.add(mean(e, square(e, e.cast(x, np.float32), "pow"), 16, "mean", -1), e.c(1e-6, np.float32))
    y = e.mul(e.cast(x, np.float32), inverse_root(e, m, "reciprocal"))
    return e.mul(e.random_constant(16), e.cast(y, np.float16))


@form(RMSNormalization=2, Add=2, Mul=0)
def rms_norm_skip(e):
    x, y = hidden(e), hidden(e, name="y")
    s = e.add(x, y)
    n = e.mul(e.random_constant(16), rms(e, s, 16))
    s = e.add(s, n)
    return s, e.mul(e.random_constant(16), rms(e, s, 16))


@form(RMSNormalization=1, Mul=0)
def rms_norm_bare(e):
    return rms(e, hidden(e), 16)


@form(RMSNormalization=1)
def rms_norm_of_heads(e):
    """queries normalized a head, as Qwen 3 does, before the transposition"""
    x = e.input("x", [2, 5, 4, 8], free=[(0, "batch"), (1, "sequence")])
    return e.transpose(e.mul(e.random_constant(8), rms(e, x, 8)), 0, 2, 1, 3)


@form(RMSNormalization=0)
def rms_norm_epsilon_outside(e):
    """near miss: the epsilon is not under the root"""
    x = hidden(e)
    root = e.add(e.op("Sqrt", mean(e, e.mul(x, x), 16, "mean", -1)), e.c(1e-3))
    return e.mul(e.random_constant(16), e.div(x, root))


@form(RMSNormalization=1, Mul=1)
def rms_norm_gated(e):
    """the factor behind is a value, not a scale"""
    x, gate = hidden(e), hidden(e, name="gate")
    return e.mul(rms(e, x, 16), gate)


def layer(e, x, d, squared="pow", averaged="mean", inverted="div", twice=False, axes=(-1,), n=None):
    n = n or d
    m = mean(e, x, n, averaged, *axes)
    c = e.sub(x, m)
    variance = mean(e, square(e, e.sub(x, m) if twice else c, squared), n, averaged, *axes)
    v = e.add(variance, e.c(1e-5, np.float32))
    return e.div(c, e.op("Sqrt", v)) if inverted == "div" else e.mul(c, inverse_root(e, v, inverted))


@form(("pow", "mean", "div", False), ("mul", "mean", "div", True), ("pow", "mean", "reciprocal", False), ("mul", "mean", "one_div", True), ("mul", "sum_div", "reciprocal", False),
      ("pow", "dropped", "div", True), ("mul", "mean", "pow", False), ("mul", "sum_mul", "reciprocal", True), LayerNormalization=1, Mul=0, Add=0)
def layer_norm(e, squared, averaged, inverted, twice):
    x = hidden(e)
    return e.add(e.mul(layer(e, x, 16, squared, averaged, inverted, twice), e.random_constant(16)), e.random_constant(16))


@form(LayerNormalization=1, Mul=0, Add=0)
def layer_norm_swapped(e):
    x = hidden(e)
    return e.add(e.random_constant(16), e.mul(e.random_constant(16), layer(e, x, 16)))


@form("scale", "bias", "bare", LayerNormalization=1)
def layer_norm_part(e, which):
    y = layer(e, hidden(e), 16)
    return e.mul(y, e.random_constant(16)) if which == "scale" else e.add(y, e.random_constant(16)) if which == "bias" else y


@form(LayerNormalization=1, Mul=0, Add=0)
def layer_norm_two_dims(e):
    x = e.input("x", [2, 5, 4, 6], free=[(0, "batch"), (1, "sequence")])
    return e.add(e.mul(layer(e, x, 24, axes=(-2, -1)), e.random_constant(4, 6)), e.random_constant(4, 6))


@form(LayerNormalization=1, Mul=0, Add=0, Sub=0)
def layer_norm_keras(e):
    """moments, then batch_normalization: x * g + (bias - mean * g)"""
    x = hidden(e)
    m = e.reduce("ReduceMean", x, -1)
    d = e.sub(x, m)
    v = e.reduce("ReduceMean", e.mul(d, d), -1)
    g = e.mul(e.op("Reciprocal", e.op("Sqrt", e.add(v, e.c(1e-3)))), e.random_constant(16))
    return e.add(e.mul(x, g), e.sub(e.random_constant(16), e.mul(m, g)))


@form("plain", "clipped", LayerNormalization=1, Mul=0, Add=0, Sub=0)
def layer_norm_flax(e, how):
    """variance as the mean of squares less the mean's square; (x - mean) * (rsqrt * scale) + bias"""
    x = hidden(e)
    m = mean(e, x, 16, "sum_div", -1)
    v = e.sub(mean(e, e.mul(x, x), 16, "sum_div", -1), e.mul(m, m))
    if how == "clipped":
        v = e.op("Max", e.c(0.0), v)
    g = e.mul(inverse_root(e, e.add(v, e.c(1e-6)), "reciprocal"), e.random_constant(16))
    return e.add(e.mul(e.sub(x, m), g), e.random_constant(16))


@form(LayerNormalization=1, Mul=0, Add=0, Sub=0)
def layer_norm_scale_first(e):
    """Keras 3: (x - mean) * (rsqrt(variance + epsilon) * scale) + bias"""
    x = hidden(e)
    m = e.reduce("ReduceMean", x, -1)
    d = e.sub(x, m)
    g = e.mul(e.op("Reciprocal", e.op("Sqrt", e.add(e.reduce("ReduceMean", e.mul(d, d), -1), e.c(1e-6)))), e.random_constant(16))
    return e.add(e.mul(d, g), e.random_constant(16))


@form(LayerNormalization=1, Cast=0)
def layer_norm_half(e):
    e.dtype = np.float16
    x = hidden(e)
    y = e.cast(layer(e, e.cast(x, np.float32), 16), np.float16)
    return e.add(e.mul(y, e.random_constant(16)), e.random_constant(16))


@form(LayerNormalization=0)
def layer_norm_other_axes(e):
    """near miss: mean over one axis, variance over another"""
    x = e.input("x", [2, 5, 5], free=[(0, "batch")])
    d = e.sub(x, e.reduce("ReduceMean", x, -1))
    v = e.reduce("ReduceMean", e.mul(d, d), -2)
    return e.mul(e.div(d, e.op("Sqrt", e.add(v, e.c(1e-5)))), e.random_constant(5))


@form("ones", "affine", GroupNormalization=1, InstanceNormalization=0, Reshape=0, Mul=0)
def group_norm_torch(e, how):
    x = e.input("x", [2, 8, 4, 6], free=[(0, "batch"), (2, "height"), (3, "width")])
    y = e.op("InstanceNormalization", e.op("Reshape", x, e.ints(0, 2, -1)), e.c(np.ones(2)), e.c(np.zeros(2)), epsilon=1e-5)
    y = e.op("Reshape", y, e.op("Shape", x))
    return y if how == "ones" else e.add(e.mul(y, e.random_constant(8, 1, 1)), e.random_constant(8, 1, 1))


@form("div", "reciprocal", "pow", GroupNormalization=1, Reshape=0, Mul=0, Sub=0)
def group_norm_decomposed(e, inverted):
    x = e.input("x", [2, 8, 4, 6], free=[(0, "batch"), (2, "height"), (3, "width")])
    grouped = e.op("Reshape", x, e.ints(0, 2, -1))
    y = layer(e, grouped, 96, inverted=inverted, axes=(2,), twice=False)
    y = e.op("Reshape", y, e.op("Shape", x))
    return e.add(e.mul(y, e.random_constant(8, 1, 1)), e.random_constant(8, 1, 1))


@form("div", "reciprocal", GroupNormalization=1, Reshape=0, Mul=0, Sub=0)
def group_norm_of_four_dims(e, inverted):
    """dynamo's: [n, groups, channels a group, pixels]"""
    x = e.input("x", [2, 8, 4, 6], free=[(0, "batch")])
    grouped = e.op("Reshape", x, e.ints(0, 2, 4, 24))
    y = layer(e, grouped, 96, inverted=inverted, axes=(2, 3))
    y = e.reshape(y, (x, 0, 2), 8, 4, 6)
    return e.add(e.mul(y, e.random_constant(1, 8, 1, 1)), e.random_constant(1, 8, 1, 1))


@form("div", "reciprocal", "one_div", InstanceNormalization=1, Sub=0, Mul=0)
def instance_norm(e, inverted):
    x = e.input("x", [2, 6, 4, 6], free=[(0, "batch"), (2, "height"), (3, "width")])
    y = layer(e, x, 24, "mul", inverted=inverted, axes=(2, 3))
    return e.add(e.mul(y, e.random_constant(1, 6, 1, 1)), e.random_constant(1, 6, 1, 1))


@form("kept", "dropped", "reciprocal", Softmax=1, Exp=0)
def softmax(e, how):
    x = e.input("x", [2, 4, 5, 7], free=[(0, "batch"), (2, "rows")])
    reduce = (lambda kind, v: e.unsqueeze(e.reduce(kind, v, -1, keepdims=0), -1)) if how == "dropped" else lambda kind, v: e.reduce(kind, v, -1)
    p = e.op("Exp", e.sub(x, reduce("ReduceMax", x)))
    s = reduce("ReduceSum", p)
    return e.mul(p, e.op("Reciprocal", s)) if how == "reciprocal" else e.div(p, s)


@form(Softmax=1, Exp=0, Expand=0)
def softmax_jax(e):
    """reductions drop the axis; a Reshape and an Expand bring it back"""
    e.is_free = False
    x = e.input("x", [2, 4, 7])
    def broadcast(v):
        return e.op("Expand", e.op("Reshape", v, e.ints(2, 4, 1)), e.ints(2, 4, 7))
    p = e.op("Exp", e.sub(x, broadcast(e.reduce("ReduceMax", x, 2, keepdims=0))))
    return e.div(p, broadcast(e.reduce("ReduceSum", p, 2, keepdims=0)))


@form(1, LogSoftmax=1, Exp=0)
def log_softmax(e, axis):
    x = e.input("x", [2, 5, 4], free=[(0, "batch")])
    d = e.sub(x, e.reduce("ReduceMax", x, axis))
    return e.sub(d, e.op("Log", e.reduce("ReduceSum", e.op("Exp", d), axis)))


@form(Softmax=0)
def softmax_overflowing(e):
    """near miss: nothing is subtracted"""
    p = e.op("Exp", e.input("x", [2, 5], free=[(0, "batch")]))
    return e.div(p, e.reduce("ReduceSum", p, -1))
