"""Images regrouped: SpaceToDepth, DepthToSpace, channel shuffles as exporters spell them out. See forms.py."""
import itertools

from forms import form


def image(e, c=3, h=8, w=12):
    return e.input("x", [2, c, h, w], free=[(0, "batch")])


ORDERS = {"yolox": [(0, 0), (1, 0), (0, 1), (1, 1)], "rows": [(0, 0), (0, 1), (1, 0), (1, 1)], "reversed": [(1, 1), (0, 1), (1, 0), (0, 0)]}


@form(*itertools.product(ORDERS, ("rows_first", "columns_first", "both")), Slice=0, Conv=1)
def focus(e, order, how):
    """strided Slices of both axes in either order, joined, before a convolution"""
    x = image(e)
    parts = []
    for i, j in ORDERS[order]:
        if how == "both":
            parts.append(e.op("Slice", x, e.ints(i, j), e.ints(2 ** 63 - 1, 2 ** 63 - 1), e.ints(2, 3), e.ints(2, 2)))
            continue
        steps = [(2, i), (3, j)] if how == "rows_first" else [(3, j), (2, i)]
        y = x
        for axis, begin in steps:
            y = e.slice(y, axis, begin, 2 ** 63 - 1, 2)
        parts.append(y)
    return e.op("Conv", e.op("Concat", *parts, axis=1), e.random_constant(8, 12, 3, 3), e.random_constant(8), kernel_shape=[3, 3], pads=[1] * 4)


@form(("CRD", 2), ("DCR", 2), ("CRD", 3), ("DCR", 4), DepthToSpace=1, Transpose=0)
def pixel_shuffle(e, mode, r):
    c = 2
    x = e.input("x", [2, c * r * r, 4, 5], free=[(0, "batch"), (2, "height"), (3, "width")])
    dims = (c, r, r) if mode == "CRD" else (r, r, c)
    y = e.reshape(x, (x, 0, 2), *dims, (x, 2, 4), (x, 3, 5))
    y = e.transpose(y, *((0, 1, 4, 2, 5, 3) if mode == "CRD" else (0, 3, 4, 1, 5, 2)))
    if not e.is_free:
        return e.reshape(y, 2, c, 4 * r, 5 * r)
    times = lambda axis: e.mul(e.size(x, axis), e.ints(r))
    return e.op("Reshape", y, e.op("Concat", e.size(x, 0), e.ints(c), times(2), times(3), axis=0))


@form("minus", "zero", DepthToSpace=1, Transpose=0, free=False)
def pixel_shuffle_inferred(e, how):
    """-1 for the batch, 0 for a size kept"""
    x = e.input("x", [2, 8, 4, 5], free=[(0, "batch")])
    y = e.op("Reshape", x, e.ints(-1 if how == "minus" else 0, 2, 2, 2, 4, 5))
    return e.op("Reshape", e.transpose(y, 0, 1, 4, 2, 5, 3), e.ints(-1 if how == "minus" else 0, 2, 8, 10))


@form("minus", "zero", DepthToSpace=1, Transpose=0)
def pixel_shuffle_free_batch(e, how):
    x = e.input("x", [2, 8, 4, 5], free=[(0, "batch")])
    y = e.op("Reshape", x, e.ints(-1 if how == "minus" else 0, 2, 2, 2, 4, 5))
    return e.op("Reshape", e.transpose(y, 0, 1, 4, 2, 5, 3), e.ints(-1 if how == "minus" else 0, 2, 8, 10))


@form("CRD", "DCR", Conv=1, Transpose=0, Reshape=0)
def pixel_unshuffle(e, mode):
    x = e.input("x", [2, 3, 8, 12], free=[(0, "batch")])
    y = e.op("Reshape", x, e.ints(-1, 3, 4, 2, 6, 2))
    y = e.transpose(y, *((0, 1, 3, 5, 2, 4) if mode == "CRD" else (0, 3, 5, 1, 2, 4)))
    y = e.op("Reshape", y, e.ints(-1, 12, 4, 6))
    return e.op("Conv", y, e.random_constant(8, 12, 1, 1))


@form("nhwc", DepthToSpace=1)
def depth_to_space_keras(e, how):
    """channels last: split, turned, merged"""
    x = image(e, 8, 4, 6)
    y = e.transpose(x, 0, 2, 3, 1)
    y = e.transpose(e.op("Reshape", y, e.ints(-1, 4, 6, 2, 2, 2)), 0, 1, 3, 2, 4, 5)
    y = e.op("Reshape", y, e.ints(-1, 8, 12, 2))
    return e.transpose(y, 0, 3, 1, 2)


@form(2, 4, Transpose=0, Reshape=0, Conv=2)
def channel_shuffle(e, groups):
    x = image(e, 8, 4, 6)
    y = e.op("Relu", e.op("Conv", x, e.random_constant(16, 8, 1, 1)))
    y = e.op("Reshape", y, e.shape((x, 0, 2), groups, 16 // groups, 4, 6))
    y = e.op("Reshape", e.transpose(y, 0, 2, 1, 3, 4), e.shape((x, 0, 2), 16, 4, 6))
    return e.op("Conv", y, e.random_constant(8, 16, 1, 1))


@form("conv", Conv=2, Concat=0, Split=0, free=False)
def identity_shuffle(e, how):
    """a shuffle and its inverse around nothing"""
    x = image(e, 8, 4, 6)
    y = e.op("Relu", e.op("Conv", x, e.random_constant(8, 8, 1, 1)))
    for groups in (2, 4):
        y = e.op("Reshape", e.transpose(e.op("Reshape", y, e.ints(2, groups, 8 // groups, 4, 6)), 0, 2, 1, 3, 4), e.ints(2, 8, 4, 6))
    return e.op("Conv", y, e.random_constant(4, 8, 3, 3))
