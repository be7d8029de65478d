"""Random tasks of the vision unit, emulated, against an independent evaluation in numpy's float16 and float32: equal bits.

    python vpu_tasks.py [COUNT] [SEED]

Each case is a module at the door of the vision unit's stage (nn and linalg on memrefs of f16), so that tiling, transfers
and barriers are in it; the shape of CMX varies. Values include subnormals, infinities and numbers that overflow.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np

F = np.float32
H = np.float16


def half(x):
    return x.astype(H).astype(F)


def exp(x):
    """runtime/vpu/functions.h, stated again."""
    n = (x * F(1.44269502162933349609375) + F(12582912)) - F(12582912)
    n = np.where(np.isfinite(n) & (np.abs(x) < 200), n, F(0)).astype(F)
    r = x - n * F(0.693359375)
    r = r - n * F(-2.12194440e-4)
    p = F(1.38888889e-3)
    for c in (8.33333377e-3, 4.16666679e-2, 1.66666672e-1, 0.5, 1.0, 1.0):
        p = p * r + F(c)
    e = n.astype(np.int32)
    h = np.fix(e / 2).astype(np.int32)
    p = p * np.exp2(h.astype(F)) * np.exp2((e - h).astype(F))
    p = np.where(x > F(88.75), F(np.inf), np.where(x < F(-104), F(0), p))
    return np.where(np.isnan(x), x, p).astype(F)


def sigmoid(x):
    return F(1) / (F(1) + exp(-x))


def tanh(x):
    a = np.abs(x)
    s = x * x
    p = F(-5.39682540e-2)
    for c in (1.33333340e-1, -3.33333343e-1, 1.0):
        p = p * s + F(c)
    e = exp(a + a)
    t = F(1) - F(2) / (e + F(1))
    return np.where(a < F(0.25), p * x, np.where(x < 0, -t, t)).astype(F)


def values(rng, shape, special=False):
    x = rng.standard_normal(shape).astype(F)
    if special:
        at = rng.random(shape)
        x = np.where(at < 0.1, x * F(1e-6), np.where(at > 0.97, x * F(3e4), x))
    return x.astype(H)


def text(array):
    return f'dense<"0x{array.tobytes().hex().upper()}">'


class Case:
    def __init__(self, rng):
        self.rng, self.globals, self.body, self.inputs = rng, [], [], {}
        self.strict = rng.random() < 0.3  # sums of halves

    def constant(self, array):
        name = f"@c{len(self.globals)}"
        type = f'memref<{"x".join(map(str, array.shape))}x{"f16" if array.dtype == H else "f32"}>'
        self.globals.append(f'memref.global "private" constant {name} : {type} = {text(array)} {{alignment = 64 : i64}}')
        value = f"%c{len(self.globals)}"
        self.body.append(f"{value} = memref.get_global {name} : {type}")
        return value, type

    def module(self, name, output, out_dims):
        def entry(n, dims):
            return f'{{dims = array<i64: {", ".join(map(str, dims))}>, dtype = 10 : i32, name = "{n}"}}'
        arguments = [f'%{n}: memref<{"x".join(map(str, a.shape))}xf16>' for n, a in self.inputs.items()]
        arguments.append(f"%y: {output}")
        return "\n".join([
            f'module attributes {{burin.stage = "tensor", burin.signature = {{inputs = [{", ".join(entry(n, a.shape) for n, a in self.inputs.items())}], outputs = [{entry("y", out_dims)}]}}}} {{',
            *self.globals, f'func.func @main({", ".join(arguments)}) {{', *self.body, "return", "}", "}"])


def memref(shape):
    return f'memref<{"x".join(map(str, shape))}xf16>'


def add(case, acc, product):
    """acc + product, as the case's accumulator does it."""
    return half(acc + half(product)) if case.strict else acc + product


def post(case, channels, acc):
    """A random epilogue: its text, its extras, its value."""
    rng, lines, extras, maps, value = case.rng, [], [], [], "%acc"
    args = []
    if rng.random() < 0.7:
        b = values(rng, channels)
        if rng.random() < 0.5: # biases may be f32, the engine's sum being so
            b = rng.standard_normal(channels).astype(F)
        name, type = case.constant(b)
        extras.append((name, type))
        args.append("%b: " + type[-4:-1])
        lines += [f"%s = arith.addf {value}, %b : f32"] if b.dtype == F else ["%wb = arith.extf %b : f16 to f32", f"%s = arith.addf {value}, %wb : f32"]
        value, acc = "%s", acc + b.astype(F)
    kind = rng.integers(4)
    if kind == 1:
        lines += ["%zero = arith.constant 0.0 : f32", f"%r = arith.maximumf {value}, %zero : f32"]
        value, acc = "%r", np.where(acc < 0, F(0), acc)
    elif kind == 2:
        lines += ["%zero = arith.constant 0.0 : f32", "%k = arith.constant 0.125 : f32", f"%g = arith.cmpf ogt, {value}, %zero : f32",
                  f"%m = arith.mulf {value}, %k : f32", f"%r = arith.select %g, {value}, %m : f32"]
        value, acc = "%r", np.where(acc < 0, acc * F(0.125), acc)
    silu = kind == 3
    if silu:
        lines += ["%one = arith.constant 1.0 : f32", f"%n = arith.negf {value} : f32", "%e = math.exp %n : f32", "%d = arith.addf %e, %one : f32",
                  "%q = arith.divf %one, %d : f32", f"%r = arith.mulf {value}, %q : f32"]
        value = "%r"
    acc = half(acc)
    if silu:
        acc = half(acc * sigmoid(acc)) # a program of f32 rounds what it stores
    lines += [f"%t = arith.truncf {value} : f32 to f16", "nn.yield %t : f16"]
    head = f'extras({", ".join(n for n, _ in extras)} : {", ".join(t for _, t in extras)})' if extras else ""
    region = f'epilogue {{\n^bb0(%acc: f32{"".join(", " + a for a in args)}):\n' + "\n".join(lines) + "\n}"
    return head, len(extras), region, acc


def window(rng, size, k):
    stride, dilation = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    low, high = int(rng.integers(0, k)), int(rng.integers(0, k))
    return stride, dilation, low, high, (size + low + high - (k - 1) * dilation - 1) // stride + 1


def patches(x, k, geometry):
    """By tap: the input at that tap for each result, and whether it lies inside."""
    (sy, dy, ty, _, oy), (sx, dx, tx, _, ox) = geometry
    for ky in range(k[0]):
        for kx in range(k[1]):
            iy, ix = np.arange(oy) * sy + ky * dy - ty, np.arange(ox) * sx + kx * dx - tx
            good = ((iy >= 0) & (iy < x.shape[1]))[:, None] & ((ix >= 0) & (ix < x.shape[2]))[None, :]
            yield ky, kx, x[:, np.clip(iy, 0, x.shape[1] - 1)][:, :, np.clip(ix, 0, x.shape[2] - 1)], good[None, :, :, None]


def attributes(geometry):
    (sy, dy, ty, by, _), (sx, dx, tx, bx, _) = geometry
    return f"dilations = array<i64: {dy}, {dx}>, pads = array<i64: {ty}, {tx}, {by}, {bx}>, strides = array<i64: {sy}, {sx}>"


def image_case(case, kind):
    rng = case.rng
    h, w, c = int(rng.integers(5, 20)), int(rng.integers(5, 20)), int(rng.integers(1, 40))
    k = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    geometry = [window(rng, h, k[0]), window(rng, w, k[1])]
    if min(g[4] for g in geometry) < 1:
        return None
    x = values(rng, (1, h, w, c), special=kind == "pool")
    case.inputs["x"] = x
    x = x.astype(F)
    out = [1, geometry[0][4], geometry[1][4], c]
    if kind == "pool":
        mode = ["max", "average"][rng.integers(2)]
        acc = np.full(out, -np.inf if mode == "max" else 0, F)
        count = np.zeros(out, F)
        for _, _, part, good in patches(x, k, geometry):
            count += good
            acc = np.where(good, np.maximum(acc, part) if mode == "max" else acc + part, acc).astype(F)
        if (count == 0).any():
            return None
        acc = half(acc if mode == "max" else acc / count)
        case.body.append(f"nn.pool ins(%x : {memref(x.shape)}) outs(%y : {memref(out)}) {{kind = #nn.pool_kind<{mode}>, kernel = array<i64: {k[0]}, {k[1]}>, {attributes(geometry)}}}")
        return out, acc
    depthwise = kind == "depthwise"
    groups = int(rng.choice([g for g in (1, 1, 2, 4) if c % g == 0]))
    oc = c if depthwise else groups * int(rng.integers(1, 24))
    out[3] = oc
    weights = values(rng, (*k, c) if depthwise else (*k, c // groups, oc))
    name, type = case.constant(weights)
    weights = weights.astype(F)
    acc = np.zeros(out, F)
    for ky, kx, part, good in patches(x, k, geometry):
        if depthwise:
            acc = np.where(good, add(case, acc, part * weights[ky, kx]), acc)
            continue
        per, made = c // groups, oc // groups
        for g in range(groups):
            to = slice(g * made, (g + 1) * made)
            for i in range(per):
                acc[..., to] = np.where(good, add(case, acc[..., to], part[..., g * per + i, None] * weights[ky, kx, i, to]), acc[..., to])
    head, count, region, acc = post(case, oc, acc)
    maps = ", ".join(["affine_map<(a, b, c, d) -> (d)>"] * count)
    op = "nn.depthwise_conv" if depthwise else "nn.conv"
    more = "" if depthwise else f", groups = {groups} : i64"
    case.body.append(f"{op} ins(%x, {name} : {memref(x.shape)}, {type}) {head} outs(%y : {memref(out)}) {{{attributes(geometry)}, extra_maps = [{maps}]{more}}} {region}")
    return out, acc


def matmul_case(case, _):
    rng = case.rng
    b, m, k, n = (int(v) for v in rng.integers(1, (4, 30, 40, 40)))
    x, z = values(rng, (b, m, k)), values(rng, (b, k, n))
    case.inputs.update(x=x, z=z)
    acc = np.zeros((b, m, n), F)
    for i in range(k):
        acc = add(case, acc, x[:, :, i, None].astype(F) * z[:, i, None, :].astype(F))
    head, count, region, acc = post(case, n, acc)
    maps = ", ".join(["affine_map<(a, b, c) -> (c)>"] * count)
    case.body.append(f"nn.matmul ins(%x, %z : {memref(x.shape)}, {memref(z.shape)}) {head} outs(%y : {memref((b, m, n))}) {{extra_maps = [{maps}]}} {region}")
    return [b, m, n], acc


def softmax_case(case, _):
    rng = case.rng
    shape = [int(v) for v in rng.integers(1, (6, 9, 40))]
    dim = int(rng.integers(3))
    x = values(rng, shape)
    case.inputs["x"] = x
    terms = exp(x.astype(F) - x.astype(F).max(dim, keepdims=True))
    total = np.zeros_like(terms.take([0], dim))
    for i in range(shape[dim]):
        total = total + terms.take([i], dim)
    case.body.append(f"nn.softmax ins(%x : {memref(shape)}) outs(%y : {memref(shape)}) {{dim = {dim} : i64}}")
    return shape, half(terms / total)


BINARY = {"arith.addf": np.add, "arith.subf": np.subtract, "arith.mulf": np.multiply, "arith.divf": np.divide,
          "arith.maximumf": np.maximum, "arith.minimumf": np.minimum}
UNARY = {"math.exp": exp, "math.tanh": tanh, "math.sqrt": np.sqrt, "arith.negf": np.negative, "math.absf": np.abs}


def shave_case(case, _):
    """A random program over two operands, one of them broadcast; every operation is rounded to half."""
    rng = case.rng
    shape = [int(v) for v in rng.integers(1, (7, 9, 400))]
    x, z = values(rng, shape, True), values(rng, shape[2:], True)
    case.inputs.update(x=x, z=z)
    known = [("%p", x.astype(F)), ("%q", np.broadcast_to(z.astype(F), shape))]
    lines = []
    for i in range(int(rng.integers(1, 12))):
        a, b = known[rng.integers(len(known))], known[rng.integers(len(known))]
        if rng.random() < 0.6:
            op = list(BINARY)[rng.integers(len(BINARY))]
            lines.append(f"%v{i} = {op} {a[0]}, {b[0]} : f16")
            value = BINARY[op](a[1], b[1])
        else:
            op = list(UNARY)[rng.integers(len(UNARY))]
            lines.append(f"%v{i} = {op} {a[0]} : f16")
            value = UNARY[op](a[1])
        known.append((f"%v{i}", half(value.astype(F))))
    case.body.append(
        "linalg.generic {indexing_maps = [affine_map<(a, b, c) -> (a, b, c)>, affine_map<(a, b, c) -> (c)>, affine_map<(a, b, c) -> (a, b, c)>], "
        f'iterator_types = ["parallel", "parallel", "parallel"]}} ins(%x, %z : {memref(shape)}, {memref(shape[2:])}) outs(%y : {memref(shape)}) {{\n'
        "^bb0(%p: f16, %q: f16, %o: f16):\n" + "\n".join(lines) + f"\nlinalg.yield {known[-1][0]} : f16\n}}")
    return shape, known[-1][1]


KINDS = [("conv", image_case), ("depthwise", image_case), ("pool", image_case), ("matmul", matmul_case), ("softmax", softmax_case), ("shave", shave_case)]


def run(folder, number, rng):
    kind, make = KINDS[number % len(KINDS)]
    with np.errstate(all="ignore"):
        while True:
            case = Case(rng)
            made = make(case, kind)
            if made:
                break
    shape, expected = made
    base = os.path.join(folder, f"case{number}")
    with open(base + ".mlir", "w") as f:
        f.write(case.module(kind, memref(shape), shape))
    np.savez(base + ".npz", **case.inputs)
    shaves = int(rng.choice([1, 2, 8]))
    for command in (["burin-compile", base + ".mlir", f"--target=myriad:shaves={shaves},acc={'f16' if case.strict else 'f32'}", "-o", base + ".blob"],
                    ["burin-run", base + ".blob", "--inputs", base + ".npz", "--outputs", base + ".out.npz"]):
        r = subprocess.run(command, capture_output=True, text=True)
        if r.returncode:
            return f"{kind} {number}: {r.stderr.strip()}"
    got, want = np.load(base + ".out.npz")["y"], expected.astype(H)
    same = (got.view(np.uint16) == want.view(np.uint16)) | (np.isnan(got) & np.isnan(want)) | ((got == 0) & (want == 0))
    if not same.all():
        at = tuple(int(i) for i in np.argwhere(~same)[0])
        return f"{kind} {number}: {(~same).sum()} of {same.size} differ, first at {at}: got {got[at]}, expected {want[at]}"
    return None


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    rng = np.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            problem = run(folder, number, rng)
            if problem:
                failures += 1
                print(problem)
    print(f"{count - failures} passed, {failures} failed")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
