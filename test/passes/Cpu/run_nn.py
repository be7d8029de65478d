#!/usr/bin/env python3
"""Numbers of the nn kernels: builds many small functions, lowers them with cpu-lower-nn and with cpu-lower-nn-to-loops, runs both and compares
with NumPy's float64 (or integers, exactly). Every case is a line in `cases()`; a failure prints the case and the first wrong element.

  run_nn.py [--machine NAME]... [--filter TEXT] [--keep DIR]      machines of another architecture run under qemu
  run_nn.py --dynamic ...      sizes and strides (but of weights, channels and kernels) known at run time only, as kernels get them; more cases
"""
import argparse, ctypes, itertools, os, random, re, subprocess, sys, tempfile
import numpy as np

LLVM = os.environ.get("BURIN_LLVM", "/usr/lib/llvm-22/bin")
OPT = os.environ.get("BURIN_OPT", "burin-opt")
TYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "i8": np.int8, "i32": np.int32}
TO_LLVM = ("builtin.module(func.func(convert-vector-to-scf{full-unroll=true}),expand-strided-metadata,lower-affine,convert-scf-to-cf,"
           "convert-math-to-libm,convert-vector-to-llvm,finalize-memref-to-llvm,convert-func-to-llvm{use-bare-ptr-memref-call-conv=1},"
           "convert-to-llvm,reconcile-unrealized-casts)")
MACHINES = {  # name -> triple, cpu, attributes
    "x86-64-v4": ("x86_64-unknown-linux-gnu", "x86-64-v4", "-prefer-256-bit"),
    "x86-64-v3": ("x86_64-unknown-linux-gnu", "x86-64-v3", ""),
    "x86-64": ("x86_64-unknown-linux-gnu", "x86-64", ""),
    "aarch64": ("aarch64-unknown-linux-gnu", "generic", "+neon"),
    "aarch64+dotprod+fp16": ("aarch64-unknown-linux-gnu", "generic", "+neon,+dotprod,+fullfp16"),
    "aarch64+dotprod+i8mm": ("aarch64-unknown-linux-gnu", "generic", "+neon,+dotprod,+i8mm"),
    "cortex-a53": ("aarch64-unknown-linux-gnu", "cortex-a53", ""),
    "cortex-a72": ("aarch64-unknown-linux-gnu", "cortex-a72", ""),
    "cortex-a76": ("aarch64-unknown-linux-gnu", "cortex-a76", ""),
}


# Whose schedule orders the instructions, where it is another than that of the machine's name (Machine::tuneCpu).
TUNE = {"generic": "neoverse-n1", "cortex-a76": "neoverse-n1"}


class Buffer:
    """An operand: a shape inside a possibly larger allocation, so that strides and offsets get tested."""

    def __init__(self, shape, dtype="f32", pad=None, values=None):
        self.shape, self.dtype = tuple(shape), dtype
        self.values = values  # a function of a random generator, where not every value is a sensible one
        self.outer = tuple(s + (pad or [0] * len(shape))[i] for i, s in enumerate(shape))
        strides = [1]
        for s in reversed(self.outer[1:]):
            strides.insert(0, strides[0] * s)
        self.strides = strides
        self.type = "memref<%sx%s%s>" % ("x".join(map(str, shape)), dtype, ", strided<[%s]>" % ", ".join(map(str, strides)) if pad else "")

    def view(self, array):
        return array[tuple(slice(0, s) for s in self.shape)]


class Case:
    def __init__(self, name, text, operands, out, reference, tolerance=None):
        self.name, self.text, self.operands, self.out, self.reference, self.tolerance = name, text, operands, out, reference, tolerance

    def dynamic(self, index):
        """The same with sizes that come beside the pointers, from a table that is one more operand; `fixed` says which stay known."""
        r, table, head, text = random.Random(index), [], [], self.text
        known = {}

        def value(size):  # equal sizes are one value, or not
            if size not in known or r.random() < 0.3:
                known[size] = "%%z%d" % len(table)
                table.append(size)
            return known[size]
        args, buffers = [], self.operands + [self.out]
        for i, b in enumerate(buffers):
            fixed = self.fixed(i, b, len(buffers))
            sizes = [s if f else value(s) for s, f in zip(b.shape, fixed)]
            outer = [s if f and s == o else value(o) for s, o, f in zip(b.shape, b.outer, fixed)]
            dense = tuple(b.outer) == tuple(b.shape)
            steps, lines, product = [1] * len(b.shape), [], 1
            for k, s in enumerate(reversed((sizes if dense else outer)[1:])):
                if isinstance(product, int) and isinstance(s, int):
                    product *= s
                    steps[-2 - k] = product
                    continue
                name = "%%t%d_%d" % (i, k)
                parts = ["%%c%d_%d_%d" % (i, k, q) if isinstance(x, int) else x for q, x in enumerate((product, s))]
                lines += ["%s = arith.constant %d : index" % (n, x) for n, x in zip(parts, (product, s)) if isinstance(x, int)]
                lines.append("%s = arith.muli %s, %s : index" % (name, parts[0], parts[1]))
                product = steps[-2 - k] = name
            shape = "x".join("?" if isinstance(s, str) else str(s) for s in sizes)
            layout = "" if dense else ", strided<[%s]>" % ", ".join("?" if isinstance(s, str) else str(s) for s in steps)
            total = int(np.prod(b.outer))
            args.append("%%p%d: memref<%dx%s>" % (i, total, b.dtype))
            kind = "memref<%sx%s%s>" % (shape, b.dtype, layout)
            head += lines + ["%%a%d = memref.reinterpret_cast %%p%d to offset: [0], sizes: [%s], strides: [%s] : memref<%dx%s> to %s"
                             % (i, i, ", ".join(map(str, sizes)), ", ".join(map(str, steps)), total, b.dtype, kind)]
            b.known = kind
        # Types stand in the order of the operands: inputs, extras, destination.
        order = iter([b.known for b in buffers])
        head_text, _, tail = text.partition(" {")
        text = re.sub(r"memref<[^(){}]*?>(?=[,)]|, (?:memref|%))|memref<[^>]*>>(?=[,)])", lambda m: next(order), head_text) + " {" + tail
        asks = ["%%i%d = arith.constant %d : index\n  %%z%d = memref.load %%sizes[%%i%d] : memref<%dxindex>" % (k, k, k, k, max(1, len(table)))
                for k in range(len(table))]
        self.table = np.array(table or [0], np.int64)
        args.insert(len(args) - 1, "%%sizes: memref<%dxindex>" % len(self.table))
        return "func.func @f%d(%s) {\n  %s\n  return\n}\n" % (index, ", ".join(args), "\n  ".join(asks + head + [text]))

    def fixed(self, i, b, count):
        kind = self.name.split()[0]
        weights = i == 1 and (kind in ("conv", "depthwise", "conv_transpose") or "packed = " in self.text)
        last = kind in ("conv", "depthwise", "conv_transpose", "pool") or "packed = " in self.text and (i != 0 or "sparse" in self.name)
        return [weights or s == 1 and i not in (0, count - 1) or last and d + 1 == len(b.shape) or (kind == "conv_transpose" and d > 0)
                for d, s in enumerate(b.shape)]

    def mlir(self, index):
        args = ", ".join("%%a%d: %s" % (i, b.type) for i, b in enumerate(self.operands + [self.out]))
        return "func.func @f%d(%s) {\n  %s\n  return\n}\n" % (index, args, self.text)


# --- epilogues: text after the attributes, extra operands, and what they compute ---

def epilogue(kind, out_shape, acc="f32", res="f32"):
    rank, c = len(out_shape), out_shape[-1]
    ds = ["d%d" % i for i in range(rank)]
    dims = "(" + ", ".join(ds) + ")"
    if kind == "none":
        return [], [], "", lambda acc, extras: acc
    if kind == "bias_relu":
        body = "%s = arith.addf %a, %b : f32\n %z = arith.constant 0.0 : f32\n %m = arith.maximumf %s, %z : f32\n nn.yield %m : f32"
        return [Buffer((c,))], ["affine_map<%s -> (%s)>" % (dims, ds[-1])], "^bb0(%a: f32, %b: f32):\n " + body, lambda a, e: np.maximum(a + e[0], 0)
    if kind == "bias_add":
        body = "%s = arith.addf %a, %b : f32\n %m = arith.addf %s, %r : f32\n nn.yield %m : f32"
        return ([Buffer((c,)), Buffer(out_shape)], ["affine_map<%s -> (%s)>" % (dims, ds[-1]), "affine_map<%s -> %s>" % (dims, dims)],
                "^bb0(%a: f32, %b: f32, %r: f32):\n " + body, lambda a, e: a + e[0] + e[1])
    if kind == "silu_scale":  # long, with one operand a scalar for each image
        body = ("%s = arith.addf %a, %b : f32\n %n = arith.negf %s : f32\n %x = math.exp %n : f32\n %o = arith.constant 1.0 : f32\n"
                "%d = arith.addf %x, %o : f32\n %q = arith.divf %s, %d : f32\n %m = arith.mulf %q, %r : f32\n nn.yield %m : f32")
        zero = ", ".join(["d0"] + ["0"] * (rank - 1))
        return ([Buffer((c,)), Buffer((out_shape[0],) + (1,) * (rank - 1))],
                ["affine_map<%s -> (%s)>" % (dims, ds[-1]), "affine_map<%s -> (%s)>" % (dims, zero)],
                "^bb0(%a: f32, %b: f32, %r: f32):\n " + body, lambda a, e: (a + e[0]) / (1 + np.exp(-(a + e[0]))) * e[1])
    if kind == "requantize":
        body = ("%f = arith.sitofp %a : i32 to f32\n %k = arith.constant 0.01 : f32\n %p = arith.mulf %f, %k : f32\n %r = math.roundeven %p : f32\n"
                "%l = arith.constant -128.0 : f32\n %h = arith.constant 127.0 : f32\n %c0 = arith.maximumf %r, %l : f32\n %c1 = arith.minimumf %c0, %h : f32\n"
                "%i = arith.fptosi %c1 : f32 to i8\n nn.yield %i : i8")
        return [], [], "^bb0(%a: i32):\n " + body, lambda a, e: np.clip(np.round(a.astype(np.float32) * np.float32(0.01)), -128, 127)
    raise ValueError(kind)


def op_text(mnemonic, ins, out, attributes, ep):
    extras, maps, body, _ = ep
    n = len(ins)
    text = "nn.%s ins(%s : %s)" % (mnemonic, ", ".join("%%a%d" % i for i in range(n)), ", ".join(b.type for b in ins))
    if extras:
        text += " extras(%s : %s)" % (", ".join("%%a%d" % (n + i) for i in range(len(extras))), ", ".join(b.type for b in extras))
    text += " outs(%%a%d : %s)" % (n + len(extras), out.type)
    if maps:
        attributes = attributes + ["extra_maps = [%s]" % ", ".join(maps)]
    text += " {%s}" % ", ".join(attributes)
    if body:
        text += " epilogue {\n %s\n}" % body
    return text


def array_attr(name, values):
    return "%s = array<i64: %s>" % (name, ", ".join(map(str, values)))


def wide(x):
    return x.astype(np.int64 if np.issubdtype(x.dtype, np.integer) else np.float64)


def taps(x, o, k, stride, dilation, pad, axis, fill):
    """x with `axis` gathered at o*stride + k*dilation - pad for all o, `fill` outside."""
    index = np.arange(o) * stride + k * dilation - pad
    inside = (index >= 0) & (index < x.shape[axis])
    y = np.take(x, np.clip(index, 0, x.shape[axis] - 1), axis)
    shape = [1] * x.ndim
    shape[axis] = o
    return np.where(inside.reshape(shape), y, fill)


def windows(x, kernel, out, strides, dilations, pads, fill=0):
    for k in itertools.product(*[range(n) for n in kernel]):
        y = x
        for s in range(len(kernel)):
            y = taps(y, out[s], k[s], strides[s], dilations[s], pads[s], s + 1, fill)
        yield k, y


def out_size(size, k, stride, dilation, pad0, pad1):
    return (size + pad0 + pad1 - dilation * (k - 1) - 1) // stride + 1


def conv(n, size, ic, oc, k, stride=None, dilation=None, pads=None, groups=1, packed=None, ep="none", dtype="f32", in_pad=None, out_pad=None, zp=None,
         unsigned=False):
    r = len(size)
    stride, dilation, pads = stride or [1] * r, dilation or [1] * r, pads or [0] * (2 * r)
    out = [out_size(size[i], k[i], stride[i], dilation[i], pads[i], pads[r + i]) for i in range(r)]
    x = Buffer([n] + size + [ic], dtype, in_pad)
    icg = ic // groups
    blocks = -(-oc // packed) if packed else 0
    w = Buffer([blocks] + k + [icg, packed] if packed else k + [icg, oc], dtype)
    acc = {"i8": "i32", "f64": "f64"}.get(dtype, "f32")
    res = "i8" if ep == "requantize" else acc if dtype == "i8" else dtype
    y = Buffer([n] + out + [oc], res, out_pad)
    e = epilogue(ep, y.shape)
    attrs = [array_attr("strides", stride), array_attr("dilations", dilation), array_attr("pads", pads)]
    if groups > 1:
        attrs.append("groups = %d : i64" % groups)
    if packed:
        attrs.append("packed = %d : i64" % packed)
    if zp:
        attrs += ["input_zero_point = %d : i64" % zp[0], "filter_zero_point = %d : i64" % zp[1]]
    if unsigned:
        attrs.append("input_unsigned")

    def reference(a):
        xs = wide(a[0].view(np.uint8) if unsigned else a[0])
        ws = wide(a[1])
        if packed:
            ws = np.concatenate([ws[b] for b in range(blocks)], -1)[..., :oc]
        if zp:
            xs, ws = xs - zp[0], ws - zp[1]
        total = 0
        for kk, t in windows(xs, k, out, stride, dilation, pads):
            ocg = oc // groups
            total = total + np.concatenate(
                [t[..., g * icg:(g + 1) * icg] @ ws[kk][:, g * ocg:(g + 1) * ocg] for g in range(groups)], -1)
        return e[3](total, [wide(b) for b in a[2:]])
    name = "conv %s" % dict(n=n, size=size, ic=ic, oc=oc, k=k, stride=stride, dilation=dilation, pads=pads, groups=groups, packed=packed, ep=ep,
                            dtype=dtype, in_pad=in_pad, out_pad=out_pad, zp=zp)
    return Case(name, op_text("conv", [x, w], y, attrs, e), [x, w] + e[0], y, reference)


def without_zeros(rng, taps, channels, columns, keep, block=16):
    """Weights [taps, channels, columns] of which blocks are zero, and the bytes that hold the others (dialects/Nn/Sparse.h)."""
    blocks = -(-columns // block)
    kept = rng.random((blocks, taps, channels)) < keep
    w = rng.standard_normal((blocks, taps, channels, block)).astype(np.float32) * kept[..., None]
    w.reshape(blocks, -1, block)[-1][:, columns - (blocks - 1) * block:] = 0
    starts = np.concatenate([[0], np.cumsum(kept.sum(-1).reshape(-1))]).astype(np.int32)
    data = np.concatenate([w[kept].reshape(-1).view(np.int32), np.nonzero(kept)[2].astype(np.int32), starts]).view(np.int8)
    return np.moveaxis(w, 0, 2).reshape(taps, channels, blocks * block)[..., :columns], data


def sparse(kind, n, size, ic, oc, k, keep, stride=None, pads=None, ep="none", in_pad=None):
    """A convolution, or with one `size` a matrix product, of weights without their blocks of zeros."""
    r = len(size)
    stride, pads = stride or [1] * r, pads or [0] * (2 * r)
    out = [out_size(size[i], k[i], stride[i], 1, pads[i], pads[r + i]) for i in range(r)]
    w, data = without_zeros(np.random.default_rng(ic * oc), int(np.prod(k)), ic, oc, keep)
    x, y = Buffer([n] + size + [ic], "f32", in_pad), Buffer([n] + out + [oc])
    entries = Buffer([len(data)], "i8", values=lambda rng: data)
    e = epilogue(ep, y.shape)
    attrs = ["packed = 16 : i64"]
    if kind == "conv":
        attrs += [array_attr("strides", stride), array_attr("dilations", [1] * r), array_attr("pads", pads), array_attr("kernel", k)]

    def reference(a):
        total = sum(t @ wide(w)[i] for i, (_, t) in enumerate(windows(wide(a[0]), k, out, stride, [1] * r, pads)))
        return e[3](total, [wide(b) for b in a[2:]])
    name = "%s sparse %s" % (kind, dict(n=n, size=size, ic=ic, oc=oc, k=k, keep=keep, stride=stride, pads=pads, ep=ep, in_pad=in_pad))
    return Case(name, op_text(kind, [x, entries], y, attrs, e), [x, entries] + e[0], y, reference)


def filter_transform(m):
    """G of dialects/Nn/Winograd.h: Cook-Toom at 0, 1, -1 and infinity, or 0, +-5/8, +-3/2 and infinity."""
    points = [0, 1, -1] if m == 2 else [0, 5 / 8, -5 / 8, 3 / 2, -3 / 2]
    # F(2x2) has its signs changed so that the input needs no multiplication.
    norm = [np.prod([p - q for q in points if q != p]) for p in points]
    rows = [[p ** e / (abs(d) if m == 2 else d) for e in range(3)] for p, d in zip(points, norm)]
    return np.array(rows + [[0, 0, 1]])


def winograd(m, n, size, ic, oc, packed=None, ep="none", in_pad=None, out_pad=None):
    """3x3 convolutions of step 1 whose filter operand is transformed; the reference transforms nothing."""
    out, g = [s - 2 for s in size], filter_transform(m)
    blocks = -(-oc // packed) if packed else 0
    plain = {}

    def values(rng):
        plain["w"] = rng.standard_normal((3, 3, ic, oc)).astype(np.float32)
        u = np.einsum("ik,jl,klco->ijco", g, g, plain["w"].astype(np.float64)).reshape((m + 2) ** 2, ic, oc)
        if not packed:
            return u
        u = np.pad(u, [(0, 0), (0, 0), (0, blocks * packed - oc)])
        return np.moveaxis(u.reshape((m + 2) ** 2, ic, blocks, packed), 2, 0).copy()
    shape = [(m + 2) ** 2, ic, oc]
    x = Buffer([n] + size + [ic], "f32", in_pad)
    w = Buffer([blocks] + shape[:2] + [packed] if packed else shape, values=values)
    y = Buffer([n] + out + [oc], "f32", out_pad)
    e = epilogue(ep, y.shape)
    attrs = [array_attr("strides", [1, 1]), array_attr("dilations", [1, 1]), array_attr("pads", [0] * 4), "winograd = %d : i64" % m]
    if packed:
        attrs.append("packed = %d : i64" % packed)

    def reference(a):
        total = sum(t @ wide(plain["w"])[kk] for kk, t in windows(wide(a[0]), [3, 3], out, [1, 1], [1, 1], [0] * 4))
        return e[3](total, [wide(b) for b in a[2:]])
    name = "winograd %s" % dict(m=m, n=n, size=size, ic=ic, oc=oc, packed=packed, ep=ep, in_pad=in_pad, out_pad=out_pad)
    # The share of the largest result that lib/Support/Winograd.cpp promises; that is near 4 sqrt(9 ic).
    tolerance = {2: 1e-6, 4: 1e-5}[m] * 12 * ic ** 0.5
    return Case(name, op_text("conv", [x, w], y, attrs, e), [x, w] + e[0], y, reference, tolerance)


def depthwise(n, size, c, k, stride=None, dilation=None, pads=None, ep="none", dtype="f32", in_pad=None, out_pad=None):
    r = len(size)
    stride, dilation, pads = stride or [1] * r, dilation or [1] * r, pads or [0] * (2 * r)
    out = [out_size(size[i], k[i], stride[i], dilation[i], pads[i], pads[r + i]) for i in range(r)]
    x, w, y = Buffer([n] + size + [c], dtype, in_pad), Buffer(k + [c], dtype), Buffer([n] + out + [c], "i32" if dtype == "i8" else dtype, out_pad)
    e = epilogue(ep, y.shape)
    attrs = [array_attr("strides", stride), array_attr("dilations", dilation), array_attr("pads", pads)]

    def reference(a):
        return e[3](sum(t * wide(a[1])[kk] for kk, t in windows(wide(a[0]), k, out, stride, dilation, pads)), [wide(b) for b in a[2:]])
    name = "depthwise %s" % dict(n=n, size=size, c=c, k=k, stride=stride, dilation=dilation, pads=pads, ep=ep, dtype=dtype, in_pad=in_pad)
    return Case(name, op_text("depthwise_conv", [x, w], y, attrs, e), [x, w] + e[0], y, reference)


def conv_transpose(n, size, ic, oc, k, stride, dilation=None, pads=None, groups=1, ep="none", extra=None):
    r = len(size)
    dilation, pads, extra = dilation or [1] * r, pads or [0] * (2 * r), extra or [0] * r
    full = [(size[i] - 1) * stride[i] + dilation[i] * (k[i] - 1) + 1 for i in range(r)]
    out = [full[i] - pads[i] - pads[r + i] + extra[i] for i in range(r)]
    ocg, icg = oc // groups, ic // groups
    x, w, y = Buffer([n] + size + [ic]), Buffer(k + [ic, ocg]), Buffer([n] + out + [oc])
    e = epilogue(ep, y.shape)
    attrs = [array_attr("strides", stride), array_attr("dilations", dilation), array_attr("pads", pads)]
    if groups > 1:
        attrs.append("groups = %d : i64" % groups)

    def reference(a):
        xs, ws = wide(a[0]), wide(a[1])
        total = np.zeros([n] + [full[i] + extra[i] + 64 for i in range(r)] + [oc])
        for kk in itertools.product(*[range(q) for q in k]):
            part = np.concatenate([xs[..., g * icg:(g + 1) * icg] @ ws[kk][g * icg:(g + 1) * icg] for g in range(groups)], -1)
            where = tuple(slice(kk[i] * dilation[i], kk[i] * dilation[i] + (size[i] - 1) * stride[i] + 1, stride[i]) for i in range(r))
            total[(slice(None),) + where] += part
        return e[3](total[(slice(None),) + tuple(slice(pads[i], pads[i] + out[i]) for i in range(r))], [wide(b) for b in a[2:]])
    name = "conv_transpose %s" % dict(n=n, size=size, ic=ic, oc=oc, k=k, stride=stride, dilation=dilation, pads=pads, groups=groups, ep=ep, extra=extra)
    return Case(name, op_text("conv_transpose", [x, w], y, attrs, e), [x, w] + e[0], y, reference)


def matmul(batch, m, k, n, packed=None, transpose=False, rhs_batch=None, lhs_batch=None, ep="none", dtype="f32", lhs_pad=None, rhs_pad=None):
    lb, rb = batch if lhs_batch is None else lhs_batch, batch if rhs_batch is None else rhs_batch
    x = Buffer(lb + [m, k], dtype, lhs_pad)
    blocks = -(-n // packed) if packed else 0
    w = Buffer([blocks, k, packed] if packed else rb + ([n, k] if transpose else [k, n]), dtype, rhs_pad)
    y = Buffer(batch + [m, n], "i32" if dtype == "i8" else dtype)
    e = epilogue(ep, y.shape)
    attrs = (["transpose_rhs"] if transpose else []) + (["packed = %d : i64" % packed] if packed else [])

    def reference(a):
        ws = wide(a[1])
        if packed:
            ws = np.concatenate([ws[b] for b in range(blocks)], -1)[..., :n]
        if transpose:
            ws = np.swapaxes(ws, -1, -2)
        return e[3](wide(a[0]) @ ws, [wide(b) for b in a[2:]])
    name = "matmul %s" % dict(batch=batch, m=m, k=k, n=n, packed=packed, transpose=transpose, rhs_batch=rhs_batch, lhs_batch=lhs_batch, ep=ep, dtype=dtype)
    return Case(name, op_text("matmul", [x, w], y, attrs, e), [x, w] + e[0], y, reference)


def pool(kind, n, size, c, k, stride=None, dilation=None, pads=None, count_padding=False, ceil=0, ep="none", in_pad=None):
    r = len(size)
    stride, dilation, pads = stride or [1] * r, dilation or [1] * r, pads or [0] * (2 * r)
    out = [out_size(size[i], k[i], stride[i], dilation[i], pads[i], pads[r + i]) + ceil for i in range(r)]
    x, y = Buffer([n] + size + [c], "f32", in_pad), Buffer([n] + out + [c])
    e = epilogue(ep, y.shape)
    attrs = ["kind = #nn.pool_kind<%s>" % kind, array_attr("kernel", k), array_attr("strides", stride),
             array_attr("dilations", dilation), array_attr("pads", pads)] + (["count_padding"] if count_padding else [])

    def reference(a):
        xs = wide(a[0])
        if kind == "max":
            total = np.maximum.reduce([t for _, t in windows(xs, k, out, stride, dilation, pads, -np.inf)])
        else:
            total = sum(t for _, t in windows(xs, k, out, stride, dilation, pads))
            if kind == "average":
                ones = np.ones_like(xs)
                if count_padding:
                    ones = np.pad(ones, [(0, 0)] + [(pads[i], pads[r + i]) for i in range(r)] + [(0, 0)], constant_values=1)
                total = total / sum(t for _, t in windows(ones, k, out, stride, dilation, [0] * 2 * r if count_padding else pads))
        return e[3](total, [wide(b) for b in a[1:]])
    name = "pool %s" % dict(kind=kind, n=n, size=size, c=c, k=k, stride=stride, dilation=dilation, pads=pads, count=count_padding, ceil=ceil, ep=ep)
    return Case(name, op_text("pool", [x], y, attrs, e), [x] + e[0], y, reference)


def softmax(shape, dim, in_pad=None, dtype="f32"):
    x, y = Buffer(shape, dtype, in_pad), Buffer(shape, dtype)

    def reference(a):
        z = np.exp(wide(a[0]) - wide(a[0]).max(dim, keepdims=True, initial=-np.inf))
        return z / z.sum(dim, keepdims=True)
    return Case("softmax %s dim %d" % (shape, dim), op_text("softmax", [x], y, ["dim = %d : i64" % dim], epilogue("none", shape)), [x], y, reference)


def cases(dynamic=False, large=False):
    # Dense convolutions, all channel counts, packed by what the machines choose and by odd blocks.
    for oc in list(range(1, 41)) + [48, 56, 64, 72, 96]:
        yield conv(1, [5, 6], 3, oc, [1, 1], packed=min(oc, 32 if oc > 24 else oc), ep="bias_relu")
        yield conv(1, [4, 5], 5, oc, [3, 3])
    for ic in list(range(1, 20)) + [32, 33, 64]:
        yield conv(1, [7, 9], ic, 16, [3, 3], packed=16, ep="bias_add")
    for b, oc in [(4, 10), (8, 20), (12, 30), (16, 40), (24, 72), (24, 60), (32, 80), (48, 96), (16, 16), (7, 20), (64, 64), (64, 100)]:
        yield conv(2, [6, 7], 8, oc, [3, 3], packed=b, ep="bias_relu")
    for size in [[1, 1], [1, 7], [7, 1], [14, 14], [28, 28], [13, 17], [3, 40], [40, 40]]:
        yield conv(1, size, 16, 32, [1, 1], packed=32, ep="bias_relu")
        yield conv(2, [size[0] + 2, size[1] + 2], 8, 48, [3, 3], packed=24, ep="bias_add")
    for stride, dilation, pads, k in itertools.product([[1, 1], [2, 2], [1, 2], [3, 2]], [[1, 1], [2, 2], [1, 3]], [[0, 0, 0, 0], [1, 1, 1, 1], [0, 2, 1, 3]],
                                                       [[3, 3], [1, 5], [2, 2]]):
        yield conv(1, [11, 13], 4, 16, k, stride, dilation, pads, packed=16, ep="bias_relu")
    yield conv(1, [3, 3], 4, 16, [3, 3], pads=[2, 2, 2, 2], packed=16)
    yield conv(1, [2, 2], 4, 16, [5, 5], pads=[2, 2, 2, 2], packed=16)
    yield conv(1, [8, 8], 8, 16, [3, 3], pads=[1, 1, 1, 1], packed=16, ep="silu_scale")
    yield conv(2, [8, 8], 8, 20, [1, 1], packed=20, ep="silu_scale")
    yield conv(2, [8, 8], 8, 12, [1, 1], packed=12, ep="silu_scale")
    yield conv(1, [8, 8], 8, 40, [3, 3], packed=16, ep="silu_scale", in_pad=[0, 1, 2, 3], out_pad=[0, 0, 0, 5])
    yield conv(2, [8, 9], 8, 40, [1, 1], packed=40, in_pad=[0, 0, 2, 3], out_pad=[1, 2, 0, 8], ep="bias_add")
    yield conv(1, [20], 6, 10, [5], [2], [2], [3, 1], packed=10, ep="bias_relu")
    yield conv(2, [5, 6, 7], 3, 8, [3, 3, 3], [1, 2, 1], None, [1, 1, 1, 1, 0, 1], packed=8, ep="bias_relu")
    for groups, ic, oc in [(2, 8, 8), (4, 8, 16), (8, 8, 16), (3, 9, 6), (2, 34, 66), (32, 128, 128), (6, 6, 6)]:
        yield conv(2, [6, 7], ic, oc, [3, 3], groups=groups, pads=[1, 1, 1, 1], ep="bias_relu")
        yield conv(1, [6, 7], ic, oc, [1, 1], groups=groups, ep="bias_add")
    for ic, oc, keep in [(1, 16, 1), (7, 1, 0.5), (16, 5, 0.3), (33, 40, 0.4), (64, 64, 0.1), (20, 48, 0), (40, 33, 0.7)]:
        yield sparse("conv", 1, [5, 6], ic, oc, [1, 1], keep, ep="bias_relu")
        yield sparse("conv", 2, [7, 9], ic, oc, [3, 3], keep, pads=[1, 1, 1, 1], ep="bias_add", in_pad=[0, 1, 2, 3])
        yield sparse("conv", 1, [11, 12], ic, oc, [3, 2], keep, stride=[2, 1], ep="silu_scale")
        yield sparse("conv", 1, [33], ic, oc, [4], keep, ep="bias_relu")
        for m in (1, 2, 3, 15, 64):
            yield sparse("matmul", 3, [m], ic, oc, [1], keep, ep="bias_add")
    yield conv(1, [35, 35], 3, 32, [3, 3], [2, 2], packed=32, ep="bias_relu")
    yield conv(1, [37, 37], 3, 64, [7, 7], [2, 2], packed=32, ep="bias_relu")
    yield conv(1, [32, 32], 1, 8, [5, 5], packed=8, ep="bias_relu")
    # Few channels: vectors along the reduction.
    for oc in range(1, 8):
        yield conv(1, [11, 12], 64, oc, [3, 3], packed=oc, pads=[1, 1, 1, 1], ep="bias_add")
        yield conv(1, [11, 12], 21, oc, [3, 3], ep="silu_scale")
        yield conv(1, [11, 13], 7, oc, [5, 5], [2, 1], packed=oc, pads=[0, 2, 1, 1], ep="bias_relu")
        yield conv(1, [11, 13], 70, oc, [1, 1], packed=oc, ep="bias_relu", in_pad=[0, 0, 0, 3])
        yield conv_transpose(1, [9, 9], 66, oc, [4, 4], [2, 2], None, [1, 1, 1, 1], ep="bias_relu")
        yield matmul([], 70, 100, oc, packed=oc, ep="bias_relu")
        yield conv(1, [9, 9], 64, oc, [3, 3], packed=oc, dtype="i8", zp=(3, -2), pads=[1, 1, 1, 1])
    yield conv(1, [9, 9], 16, 32, [3, 3], packed=16, dtype="i8", zp=(3, -2), pads=[1, 1, 1, 1])
    yield conv(1, [9, 9], 16, 20, [3, 3], packed=20, dtype="i8", zp=(128, 0), unsigned=True, pads=[1, 1, 1, 1], ep="requantize")
    yield conv(1, [9, 9], 5, 20, [3, 3], dtype="i8", ep="requantize")
    yield conv(1, [9, 9], 5, 20, [3, 3], packed=20, dtype="f16", pads=[1, 0, 0, 1])
    yield conv(1, [9, 9], 5, 20, [3, 3], packed=16, dtype="f64", pads=[1, 0, 0, 1])
    if not dynamic:
        for m in (2, 4):
            for rows, columns in itertools.product((m, m + 1, 2 * m, 3 * m - 1), (m, 2 * m + 1)):
                yield winograd(m, 1, [rows + 2, columns + 2], 4, 8, packed=8, ep="bias_relu")
            yield winograd(m, 2, [m + 3, m + 4], 3, 5, packed=4, ep="silu_scale", in_pad=[1, 2, 3, 5], out_pad=[0, 3, 1, 4])
    if not dynamic and large: # many elements for the definition, which knows no tiles
        for m in (2, 4):
            for ic, oc, packed in [(1, 1, 1), (3, 5, None), (5, 33, 16), (16, 16, None), (17, 20, 20), (33, 40, 32), (64, 64, 32), (31, 7, 7), (40, 100, 24)]:
                yield winograd(m, 2, [9, 12], ic, oc, packed=packed, ep="bias_add")
            for ep in ["none", "bias_relu", "bias_add", "silu_scale"]:
                yield winograd(m, 2, [11, 13], 24, 20, packed=20, ep=ep, in_pad=[1, 2, 3, 5], out_pad=[0, 3, 1, 4])
            # Several bands, of parts of a row of tiles and of several rows; the last of each starts earlier.
            for size in [[13, 211], [107, 18], [61, 67]]:
                yield winograd(m, 1, size, 48, 64, packed=32, ep="silu_scale")
    for c in list(range(1, 41)) + [64, 96, 144]:
        yield depthwise(1, [6, 7], c, [3, 3], ep="bias_relu")
    for stride, dilation, pads, k in itertools.product([[1, 1], [2, 2], [2, 1]], [[1, 1], [2, 3]], [[0, 0, 0, 0], [1, 1, 1, 1], [2, 0, 1, 3]],
                                                       [[3, 3], [5, 5], [1, 4], [7, 7]]):
        yield depthwise(2, [19, 21], 24, k, stride, dilation, pads, ep="bias_relu")
    yield depthwise(1, [2, 2], 16, [3, 3], pads=[1, 1, 1, 1], ep="bias_add")
    yield depthwise(1, [1, 1], 16, [3, 3], pads=[1, 1, 1, 1], ep="silu_scale")
    yield depthwise(1, [40, 40], 144, [3, 3], in_pad=[0, 2, 2, 0], ep="silu_scale")
    yield depthwise(1, [30], 20, [5], [2], pads=[2, 2], ep="bias_relu")
    yield depthwise(2, [6, 7, 8], 20, [3, 3, 3], [1, 2, 1], pads=[1, 1, 1, 1, 1, 1], ep="bias_relu")
    yield depthwise(2, [6, 7, 8], 20, [3, 3, 3], ep="bias_relu", in_pad=[0, 0, 0, 0, 4])
    yield depthwise(1, [6, 7], 20, [3, 3], dtype="i8", pads=[1, 1, 1, 1])
    for k, stride, dilation, pads, extra in [([2, 2], [2, 2], None, None, None), ([4, 4], [2, 2], None, [1, 1, 1, 1], None), ([3, 3], [2, 2], None, [1, 1, 1, 1], [1, 1]),
                                             ([3, 3], [1, 1], None, [1, 1, 1, 1], None), ([4, 4], [4, 4], None, None, None), ([1, 1], [2, 2], None, None, None),
                                             ([3, 2], [2, 3], [2, 1], [1, 0, 0, 1], None), ([5, 4], [3, 2], [1, 3], [0, 2, 1, 0], [2, 1]), ([2, 2], [2, 2], None, None, [1, 3]),
                                             ([4, 4], [2, 2], None, None, None), ([8, 8], [4, 4], None, [2, 2, 2, 2], None)]:
        for ic, oc, groups in [(8, 16, 1), (5, 3, 1), (8, 12, 2), (33, 40, 1)]:
            yield conv_transpose(2, [4, 5], ic, oc, k, stride, dilation, pads, groups, ep="bias_relu", extra=extra)
    yield conv_transpose(2, [7], 8, 16, [4], [2], None, [1, 1], ep="silu_scale")
    yield conv_transpose(1, [3, 4, 3], 8, 16, [2, 3, 2], [2, 2, 2], ep="bias_add")
    for m, k, n in [(1, 64, 10), (1, 7, 1), (1, 100, 1), (33, 384, 48), (5, 3, 1), (7, 13, 17), (1, 128, 128), (64, 64, 64), (2, 30, 3), (128, 32, 100), (4, 1, 4),
                    (3, 1100, 70), (40, 1100, 70), (13, 257, 1000)]:
        yield matmul([], m, k, n, ep="bias_relu")
        yield matmul([], m, k, n, packed=min(n, 32), ep="bias_relu")
        yield matmul([], m, k, n, transpose=True, ep="bias_relu")
        yield matmul([2, 3], m, k, n, transpose=True, ep="bias_add")
        yield matmul([2, 3], m, k, n, ep="silu_scale")
    yield matmul([2, 3], 5, 16, 20, rhs_batch=[1, 3], ep="bias_add")
    yield matmul([2, 3], 5, 16, 20, rhs_batch=[1, 3], transpose=True, ep="bias_add")
    yield matmul([2, 3], 5, 16, 20, lhs_batch=[2, 1], rhs_batch=[], ep="bias_add")
    yield matmul([3], 5, 16, 20, packed=20, ep="bias_add", lhs_pad=[1, 2, 3])
    yield matmul([3], 5, 16, 20, ep="bias_add", lhs_pad=[1, 2, 3], rhs_pad=[0, 1, 7])
    yield matmul([3], 9, 16, 20, transpose=True, ep="silu_scale", lhs_pad=[1, 2, 3], rhs_pad=[0, 1, 7])
    yield matmul([3], 9, 16, 20, transpose=True, dtype="i8")
    yield matmul([3], 2, 16, 20, transpose=True, dtype="i8")
    for case in [matmul([], 29, 1024, 72, packed=32, ep="bias_add"), matmul([2], 17, 1024, 96, packed=32), conv(1, [5, 6], 2048, 40, [1, 1], packed=16, ep="bias_relu")]:
        case.tolerance = 1e-3  # rows that collide in the cache; sums of about 50
        yield case
    yield matmul([], 9, 16, 20, dtype="f16")
    for case in [matmul([2], 9, 33, 20, transpose=True, dtype="f16"), matmul([], 7, 200, 40, packed=32, dtype="f16"), matmul([], 1, 130, 33, packed=16, dtype="f16"),
                 conv(1, [9, 9], 24, 20, [3, 3], packed=20, dtype="f16", pads=[1, 1, 1, 1]), conv(1, [19, 8], 67, 40, [1, 1], packed=32, dtype="f16"),
                 depthwise(1, [9, 9], 20, [3, 3], pads=[1, 1, 1, 1], dtype="f16")]:
        case.tolerance = 0.1  # products summed in f16 up to about 60, some at a time
        yield case
    yield matmul([], 9, 16, 20, packed=16, dtype="i8")
    yield matmul([], 3, 40, 20, transpose=True, dtype="f64")
    if dynamic:
        edges = [0, 1, 2, 3, 4, 5, 13, 14, 15, 16, 17, 31, 33, 63, 64, 65]
        for m in edges:
            yield matmul([], m, 96, 80, packed=32, ep="bias_relu")
            yield matmul([], m, 33, 40, ep="bias_add")
            yield matmul([2], m, 64, 37, transpose=True, ep="silu_scale")
            yield matmul([2], 7, 64, m, transpose=True)
            yield matmul([1, 2], 1, 64, m, transpose=True, ep="bias_add")
            yield matmul([2], 17, m, 64)
            yield matmul([2], 1, m, 64, ep="bias_add")
            yield matmul([], 15, m, 33, transpose=True)
            yield matmul([], 18, 20, m, ep="bias_relu")
            yield softmax([3, m], 1)
            yield softmax([m, 5], 1)
            yield softmax([2, 5, m], 1)
            yield softmax([m, 3, 4], 0)
            yield conv(m, [4, 5], 8, 20, [3, 3], pads=[1, 1, 1, 1], packed=20, ep="bias_relu")
            yield conv(1, [3, m + 2], 8, 20, [3, 3], packed=20, ep="bias_add")
            yield conv(1, [m + 2, 4], 8, 20, [3, 3], pads=[0, 1, 0, 1], packed=20, ep="bias_add")
            yield depthwise(1, [5, m + 1], 24, [3, 3], pads=[1, 1, 1, 1], ep="bias_relu")
            yield depthwise(1, [m + 1, 6], 24, [3, 3], pads=[1, 1, 1, 1], ep="silu_scale")
            yield pool("average", 1, [5, m + 2], 20, [3, 3], pads=[1, 1, 1, 1])
            yield pool("max", m, [m + 2, 7], 20, [3, 3], [2, 2])
    for kind in ["max", "average", "sum"]:
        for c in [1, 3, 8, 12, 16, 24, 40, 64, 100]:
            yield pool(kind, 2, [9, 10], c, [3, 3], [2, 2], pads=[1, 1, 1, 1])
            yield pool(kind, 1, [7, 7], c, [7, 7])
        for stride, dilation, pads, count, ceil in itertools.product([[1, 1], [2, 3]], [[1, 1], [2, 2]], [[0, 0, 0, 0], [1, 0, 1, 1]], [False, True], [0, 1]):
            yield pool(kind, 1, [10, 11], 20, [3, 2], stride, dilation, pads, count, ceil if max(stride) > 1 else 0, ep="bias_relu")
        yield pool(kind, 1, [20], 20, [3], [2], pads=[1, 1])
        yield pool(kind, 1, [6, 5, 7], 20, [3, 2, 2], [2, 1, 2], pads=[1, 0, 1, 1, 1, 0], in_pad=[0, 0, 1, 0, 2])
        yield pool(kind, 1, [6, 5, 7], 20, [3, 2, 2])
        yield pool(kind, 1, [14, 14], 24, [14, 14], ep="silu_scale")
    for shape, dim in [([4, 10], 1), ([3, 1], 1), ([3, 1000], 1), ([2, 3, 33], 2), ([2, 5, 7], 1), ([5, 20], 0), ([2, 3, 4, 5], 0), ([2, 9, 16], 1), ([2, 9, 1], 1)]:
        yield softmax(shape, dim)
    yield softmax([3, 21], 1, [0, 3])
    yield softmax([3, 21], 0, [0, 3])
    yield softmax([3, 21], 1, None, "f16")


# --- building and running ---

def run(command, **kw):
    r = subprocess.run(command, capture_output=True, text=True, **kw)
    if r.returncode:
        sys.exit("%s\n%s" % (" ".join(command), r.stderr[:4000]))
    return r.stdout


def build(source, passes, machine, directory, name):
    path = os.path.join(directory, name)
    triple, cpu, features = MACHINES[machine]
    run([OPT, source, passes, "-o", path + ".mlir"])
    run([LLVM + "/mlir-opt", path + ".mlir", "--pass-pipeline=" + TO_LLVM, "-o", path + ".llvm.mlir"])
    run([LLVM + "/mlir-translate", "--mlir-to-llvmir", path + ".llvm.mlir", "-o", path + ".ll"])
    if triple.startswith("aarch64") and cpu in TUNE:
        text = re.sub(r"(?m)^(define .*) \{$", r'\1 "tune-cpu"="%s" {' % TUNE[cpu], open(path + ".ll").read())
        open(path + ".ll", "w").write(text)
    run([LLVM + "/opt", "-passes=function(early-cse)", path + ".ll", "-o", path + ".bc"])
    run([LLVM + "/llc", "-O2", "-mtriple=" + triple, "-mcpu=" + cpu] + (["-mattr=" + features] if features else []) +
        ["-filetype=obj", "-relocation-model=pic", path + ".bc", "-o", path + ".o"])
    return path + ".o"


DRIVER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
extern void *table[]; extern int counts[]; extern long sizes[][8];
static void call(void (*f)(), void **p, int n) {
  switch (n) { case 6: f(p[0], p[1], p[2], p[3], p[4], p[5]); break; case 2: f(p[0], p[1]); break; case 3: f(p[0], p[1], p[2]); break; case 4: f(p[0], p[1], p[2], p[3]); break; case 5: f(p[0], p[1], p[2], p[3], p[4]); break; }
}
int main(int argc, char **argv) {
  FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
  for (int i = 0; table[i]; ++i) {
    void *p[8];
    for (int j = 0; j < counts[i]; ++j) {
      p[j] = aligned_alloc(64, (sizes[i][j] + 63) / 64 * 64);
      if (fread(p[j], 1, sizes[i][j], in) != (size_t)sizes[i][j]) return 1;
    }
    call((void (*)())table[i], p, counts[i]);
    fwrite(p[counts[i] - 1], 1, sizes[i][counts[i] - 1], out);
    for (int j = 0; j < counts[i]; ++j) free(p[j]);
  }
  return 0;
}
"""


def execute(objects, machine, directory, arrays):
    """Runs every function in a program of its own architecture; returns the contents of the last buffer of each."""
    arm = MACHINES[machine][0].startswith("aarch64")
    data, result = os.path.join(directory, "in.bin"), os.path.join(directory, "out.bin")
    with open(data, "wb") as f:
        for group in arrays:
            for a in group:
                f.write(a.tobytes())
    source = DRIVER + "".join("void f%d();" % i for i in range(len(arrays)))
    source += "void *table[] = {%s, 0};" % ", ".join("f%d" % i for i in range(len(arrays)))
    source += "int counts[] = {%s};" % ", ".join(str(len(g)) for g in arrays)
    source += "long sizes[][8] = {%s};" % ", ".join("{%s}" % ", ".join(str(a.nbytes) for a in g) for g in arrays)
    c = os.path.join(directory, "driver.c")
    open(c, "w").write(source)
    exe = os.path.join(directory, "driver")
    compiler = ["aarch64-linux-gnu-gcc"] if arm else ["cc"]
    run(compiler + ["-std=gnu11", "-w", "-O1", c] + objects + ["-o", exe, "-lm"])
    run((["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"] if arm else []) + [exe, data, result])
    raw, at, results = open(result, "rb").read(), 0, []
    for group in arrays:
        results.append(np.frombuffer(raw, group[-1].dtype, group[-1].size, at).reshape(group[-1].shape))
        at += group[-1].nbytes
    return results


def main():
    np.seterr(all="ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", action="append")
    parser.add_argument("--filter", default="")
    parser.add_argument("--every", type=int, default=1, help="only each n-th case")
    parser.add_argument("--keep")
    parser.add_argument("--no-loops", action="store_true")
    parser.add_argument("--dynamic", action="store_true")
    args = parser.parse_args()
    rng = np.random.default_rng(7)
    chosen = [c for c in cases(args.dynamic, args.no_loops) if args.filter in c.name][::args.every]
    arrays = []
    source_text = "module {\n" + "".join(c.dynamic(i) if args.dynamic else c.mlir(i) for i, c in enumerate(chosen)) + "}\n"
    for c in chosen:
        group = []
        for b in c.operands:
            if b.values:
                group.append(b.values(rng).astype(TYPES[b.dtype]))
            elif b.dtype.startswith("i"):
                group.append(rng.integers(-128, 128, b.outer).astype(TYPES[b.dtype]))
            else:
                group.append(rng.standard_normal(b.outer).astype(TYPES[b.dtype]))
        if args.dynamic:
            group.append(c.table)
        # What must not be touched around the result is checked, too.
        group.append(np.full(c.out.outer, 77, TYPES[c.out.dtype]))
        arrays.append(group)
    failed = 0
    for machine in args.machine or ["x86-64-v3"]:
        for kind in ["loops", "kernels"]:
            if kind == "loops" and (args.no_loops or machine != (args.machine or ["x86-64-v3"])[0]):
                continue
            with tempfile.TemporaryDirectory() as temporary:
                directory = args.keep or temporary
                os.makedirs(directory, exist_ok=True)
                source = os.path.join(directory, "in.mlir")
                open(source, "w").write(source_text)
                passes = "--pass-pipeline=builtin.module(func.func(%s))" % (
                    "cpu-lower-nn-to-loops" if kind == "loops" else "cpu-lower-nn{machine=%s}" % machine)
                results = execute([build(source, passes, machine, directory, kind)], machine, directory, arrays)
            for c, group, got in zip(chosen, arrays, results):
                operands = [b.view(a) for b, a in zip(c.operands, group)] # the table, if there is one, is not theirs
                want = group[-1].copy()
                inside = c.out.view(want)
                expected = c.reference(operands)
                inside[...] = expected
                if np.issubdtype(want.dtype, np.integer):
                    bad = np.abs(want.astype(np.int64) - got) > (1 if c.out.dtype == "i8" else 0)
                else:
                    limit = c.tolerance or {2: 5e-3, 4: 3e-5, 8: 1e-11}[want.itemsize] * (1 + np.abs(want)) * 3
                    bad = ~(np.abs(want - got) <= limit)
                    bad &= ~(np.isnan(want) & np.isnan(got))
                if bad.any():
                    failed += 1
                    where = tuple(int(i[0]) for i in np.nonzero(bad))
                    print("%s %s: %s\n  at %s: expected %s, got %s (%d of %d wrong)" % (machine, kind, c.name, where, want[where], got[where], bad.sum(), bad.size))
        print("%s: %d cases" % (machine, len(chosen)))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
