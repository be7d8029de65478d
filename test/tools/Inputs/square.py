from burin import passes
from burin.passes import op


@passes.rewrite
def square(x):
    return x ** 2.0


@square.to
def _(x):
    return x * x
