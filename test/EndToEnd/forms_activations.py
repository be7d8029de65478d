"""Activations as exporters spell them out. See forms.py."""
import numpy as np
from forms import form


def value(e):
    return e.input("x", [2, 5, 16], free=[(0, "batch"), (1, "sequence")])


def erf_gate(e, x, how="div"):
    inner = e.div(x, e.c(np.sqrt(2))) if how == "div" else e.mul(x, e.c(np.sqrt(0.5)))
    return e.op("Erf", inner)


@form("torch", "half_first", "gate", "half_x", "keras", Gelu=1, Erf=0, Mul=0)
def gelu(e, how):
    x = value(e)
    if how == "torch":
        return e.mul(e.mul(x, e.add(erf_gate(e, x), e.c(1))), e.c(0.5))
    if how == "half_first":
        return e.mul(e.mul(e.c(0.5), e.add(e.c(1), erf_gate(e, x, "mul"))), x)
    if how == "gate":
        return e.mul(x, e.mul(e.c(0.5), e.add(e.c(1), erf_gate(e, x))))
    if how == "half_x":
        return e.mul(e.mul(e.c(0.5), x), e.add(erf_gate(e, x, "mul"), e.c(1)))
    return e.mul(e.mul(e.c(0.5), x), e.add(e.c(1), erf_gate(e, x)))


@form("sub", "neg_mul", Gelu=1, Erf=0, Mul=0)
def gelu_jax(e, how):
    """0.5 * x * erfc(-x * sqrt(1/2)), the complement written as 1 - erf"""
    x = value(e)
    inner = e.mul(e.op("Neg", x), e.c(np.sqrt(0.5))) if how == "sub" else e.mul(x, e.c(-np.sqrt(0.5)))
    return e.mul(e.mul(e.c(0.5), x), e.sub(e.c(1), e.op("Erf", inner)))


@form(Gelu=1, Erf=0)
def gelu_split(e):
    """h = x / 2; h + h * erf"""
    x = value(e)
    h = e.mul(x, e.c(0.5))
    return e.add(h, e.mul(h, erf_gate(e, x)))


def tanh_argument(e, x, how):
    root = np.sqrt(2 / np.pi)
    if how in ("pow", "cube"):
        cube = e.op("Pow", x, e.c(3)) if how == "pow" else e.mul(e.mul(x, x), x)
        return e.mul(e.c(root), e.add(x, e.mul(e.c(0.044715), cube)))
    if how == "cube_left":
        return e.mul(e.add(x, e.mul(e.mul(x, e.mul(x, x)), e.c(0.044715))), e.c(root))
    if how == "inner":  # x * c * (1 + 0.044715 x x)
        return e.mul(e.mul(x, e.c(root)), e.add(e.c(1), e.mul(e.mul(e.c(0.044715), x), x)))
    return e.mul(x, e.add(e.c(root), e.mul(e.c(root * 0.044715), e.mul(x, x))))


@form("pow", "cube", "cube_left", "inner", "spread", Gelu=1, Tanh=0, Mul=0)
def gelu_tanh(e, how):
    x = value(e)
    t = e.op("Tanh", tanh_argument(e, x, how))
    return e.mul(e.mul(e.c(0.5), x), e.add(e.c(1), t))


@form(Gelu=1, Tanh=0, Mul=0)
def gelu_tanh_jax(e):
    """cdf = 0.5 * (1 + tanh(...)); x * cdf"""
    x = value(e)
    return e.mul(x, e.mul(e.c(0.5), e.add(e.c(1), e.op("Tanh", tanh_argument(e, x, "cube")))))


@form(Gelu=1, Sigmoid=0, Mul=0)
def gelu_tanh_as_sigmoid(e):
    """(1 + tanh(y)) / 2 is a sigmoid of 2 y"""
    x = value(e)
    return e.mul(x, e.op("Sigmoid", e.mul(e.c(2), tanh_argument(e, x, "cube"))))


@form(Gelu=1, Erf=0, Mul=0)
def gelu_half(e):
    e.dtype = np.float16
    x = value(e)
    return e.mul(e.mul(x, e.add(erf_gate(e, x), e.c(1))), e.c(0.5))


@form(Gelu=1, Tanh=0, Mul=0)
def gelu_tanh_half(e):
    e.dtype = np.float16
    x = value(e)
    t = e.op("Tanh", tanh_argument(e, x, "pow"))
    return e.mul(e.mul(e.c(0.5), x), e.add(e.c(1), t))


# ONNX Runtime has no Swish: it is exported as Sigmoid and Mul.
@form("outside", "inside", "one", Sigmoid=1, Div=0, Exp=0)
def quick_gelu(e, how):
    x = value(e)
    scaled = x if how == "one" else e.mul(e.c(1.702), x) if how == "outside" else e.mul(x, e.c(1.702))
    return e.mul(e.op("Sigmoid", scaled), x) if how == "inside" else e.mul(x, e.op("Sigmoid", scaled))


@form("quotient", "reciprocal", "one_div", "logistic", Sigmoid=1, Mul=1, Exp=0)
def silu_by_exp(e, how):
    x = value(e)
    if how == "logistic":  # -x as a product
        return e.div(x, e.add(e.op("Exp", e.mul(x, e.c(-1))), e.c(1)))
    below = e.add(e.c(1), e.op("Exp", e.op("Neg", x)))
    if how == "quotient":
        return e.div(x, below)
    return e.mul(x, e.op("Reciprocal", below) if how == "reciprocal" else e.div(e.c(1), below))


@form("tanh", Sigmoid=1, Tanh=0, Mul=0)
def sigmoid_by_tanh(e, how):
    """0.5 * tanh(0.5 x) + 0.5"""
    x = value(e)
    return e.add(e.mul(e.op("Tanh", e.mul(x, e.c(0.5))), e.c(0.5)), e.c(0.5))


@form("div", "mul", "relu6", "min_max", "gate", "hard_sigmoid", "gate_mul", HardSwish=1, Mul=0, Clip=0)
def hard_swish(e, how):
    x = value(e)
    if how == "hard_sigmoid":
        return e.mul(x, e.op("HardSigmoid", x, alpha=1 / 6, beta=0.5))
    s = e.add(x, e.c(3))
    if how == "min_max":
        limited = e.op("Min", e.op("Max", s, e.c(0)), e.c(6))
    elif how == "relu6":
        limited = e.op("Min", e.op("Relu", s), e.c(6))
    else:
        limited = e.op("Clip", s, e.c(0), e.c(6))
    if how == "gate":
        return e.mul(x, e.div(limited, e.c(6)))
    if how == "gate_mul":
        return e.mul(e.mul(limited, e.c(1 / 6)), x)
    return e.mul(e.mul(x, limited), e.c(1 / 6)) if how == "mul" else e.div(e.mul(x, limited), e.c(6))


@form("softplus", "log", "guarded", Mish=1, Tanh=0)
def mish(e, how):
    x = value(e)
    if how == "softplus":
        inner = e.op("Softplus", x)
    else:
        inner = e.op("Log", e.add(e.c(1), e.op("Exp", x)))
        if how == "guarded":
            inner = e.op("Where", e.op("Greater", x, e.c(20)), x, inner)
    return e.mul(x, e.op("Tanh", inner))


@form("guarded", "stable", "stable_relu", Softplus=1, Exp=0)
def softplus(e, how):
    x = value(e)
    if how == "guarded":
        return e.op("Where", e.op("Greater", x, e.c(20)), x, e.op("Log", e.add(e.op("Exp", x), e.c(1))))
    low = e.op("Log", e.add(e.c(1), e.op("Exp", e.op("Neg", e.op("Abs", x)))))
    return e.add(e.op("Relu", x) if how == "stable_relu" else e.op("Max", x, e.c(0)), low)


@form("max", "where", "relus", LeakyRelu=1, Mul=0)
def leaky_relu(e, how):
    x = value(e)
    if how == "max":
        return e.op("Max", x, e.mul(x, e.c(0.1)))
    if how == "where":
        return e.op("Where", e.op("Greater", x, e.c(0)), x, e.mul(e.c(0.1), x))
    return e.sub(e.op("Relu", x), e.mul(e.c(0.1), e.op("Relu", e.op("Neg", x))))


@form("keras", PRelu=1, Relu=0)
def parametric_relu(e, how):
    x = e.input("x", [2, 6, 4, 5], free=[(0, "batch")])
    alpha = e.c(e.random.uniform(0.1, 0.5, (6, 1, 1)))
    return e.add(e.op("Relu", x), e.mul(e.op("Neg", alpha), e.op("Relu", e.op("Neg", x))))
