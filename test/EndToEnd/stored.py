#!/usr/bin/env python3
"""Products with weights and gathers of rows that stay integers in the program (DequantizeLinear of constants, MatMulNBits) against their definition in f64, as programs for one
--target or several; machines of another architecture run under emulation. One model holds many nodes. The program must hold the integers and no floats.

  stored.py [--machine NAME]... [--filter TEXT] [--every N] [--keep DIR]
"""
import argparse, json, os, sys, tempfile
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from programs import Program

TYPES = {("u", 8): TensorProto.UINT8, ("s", 8): TensorProto.INT8, ("u", 4): TensorProto.UINT4, ("s", 4): TensorProto.INT4, ("u", 2): TensorProto.UINT2,
         ("s", 2): TensorProto.INT2}
FLOATS = {"f32": (np.float32, TensorProto.FLOAT), "f16": (np.float16, TensorProto.FLOAT16)}


def packed(values, bits):
    """Fields of `bits`, low bits first."""
    flat = values.astype(np.int64).ravel() & ((1 << bits) - 1)
    per = 8 // bits
    flat = np.append(flat, np.zeros(-len(flat) % per, np.int64)).reshape(-1, per)
    return (flat << (np.arange(per) * bits)).sum(1).astype(np.uint8).tobytes()


def integers(name, values, kind, bits):
    return helper.make_tensor(name, TYPES[kind, bits], values.shape, packed(values, bits), raw=True)


class Case:
    """x [m, k] times a matrix [k, n] of `bits`-bit integers, a scale for `block` rows (0: for all, -1: one in all)."""

    def __init__(self, m, k, n, bits, block, kind="s", zeros=False, form="MatMul", float_type="f32", halves=True, seed=0):
        self.__dict__.update(locals())
        self.name = "%s m=%d k=%d n=%d bits=%d block=%d %s%s %s%s" % (form, m, k, n, bits, block, kind, " zeros" if zeros else "", float_type,
                                                                     "" if halves else " f32 scales")

    def make(self, at):
        rng = np.random.default_rng(at)
        k, n, bits, block = self.k, self.n, self.bits, self.block
        low, high = (0, 2**bits) if self.kind == "u" else (-2**(bits - 1), 2**(bits - 1))
        rows = block if block > 0 else k
        groups = -(-k // rows)
        q = rng.integers(low, high, (k, n))
        count = (1, 1) if block < 0 else (groups, n)
        scale = rng.uniform(0.5, 2, count).astype(np.float16 if self.halves else np.float32).astype(FLOATS[self.float_type][0])
        zero = rng.integers(low, high, count) if self.zeros else np.zeros(count, np.int64) if self.kind == "s" or self.form == "MatMul" else np.full(count, 2**(bits - 1))
        if self.form == "MatMulNBits" and not self.zeros:
            zero = np.full(count, 2**(bits - 1))
        spread = lambda p: np.broadcast_to(np.repeat(p, rows, 0)[:k], (k, n)).astype(np.float64)
        w = (q - spread(zero)) * spread(scale)
        x = rng.standard_normal((self.m, k)).astype(FLOATS[self.float_type][0])
        bias = rng.standard_normal(n).astype(x.dtype)
        name = lambda s: "c%d_%s" % (at, s)
        y = x.astype(np.float64) @ w + (bias if self.form in ("Gemm", "MatMulNBits") else 0)
        size = np.abs(x.astype(np.float64)) @ np.abs(w) + 1
        constants = [numpy_helper.from_array(bias, name("b"))]
        if self.form == "MatMulNBits":
            padded = np.zeros((n, groups * rows), np.int64)
            padded[:, :k] = q.T
            each = rows * bits // 8
            constants += [numpy_helper.from_array(np.frombuffer(packed(padded, bits), np.uint8).reshape(n, groups, each), name("w")),
                          numpy_helper.from_array(np.ascontiguousarray(scale.T).ravel(), name("s"))]
            zeros = np.zeros((n, -(-groups * bits // 8) * 8 // bits), np.int64)
            zeros[:, :groups] = zero.T
            if self.zeros:
                constants.append(numpy_helper.from_array(np.frombuffer(packed(zeros, bits), np.uint8), name("z")))
            nodes = [helper.make_node("MatMulNBits", [name("x"), name("w"), name("s"), name("z") if self.zeros else "", "", name("b")], [name("y")], domain="com.microsoft",
                                      K=k, N=n, bits=bits, block_size=rows, accuracy_level=4)]
            return nodes, constants, x, y, size
        turned = self.form in ("Gemm", "Transpose", "Gather")
        shape = lambda p: np.ascontiguousarray(p.T if turned else p)
        parameter = lambda p: p.reshape(()) if block < 0 else p.reshape(n) if block == 0 else shape(p)
        constants += [integers(name("w"), shape(q), self.kind, bits), numpy_helper.from_array(parameter(scale), name("s"))]
        if self.zeros:
            constants.append(integers(name("z"), parameter(zero), self.kind, bits))
        attributes = {} if block < 0 else {"axis": 0 if turned else 1} if block == 0 else {"axis": 1 if turned else 0, "block_size": block}
        nodes = [helper.make_node("DequantizeLinear", [name("w"), name("s")] + ([name("z")] if self.zeros else []), [name("d")], **attributes)]
        if self.form == "Gather":
            rows = rng.integers(-n, n, self.m)
            nodes.append(helper.make_node("Gather", [name("d"), name("x")], [name("y")]))
            return nodes, constants, rows, w.T[rows], np.abs(w.T[rows]) + 1
        right = name("d")
        if self.form == "Transpose":
            nodes.append(helper.make_node("Transpose", [name("d")], [name("t")], perm=[1, 0]))
            right = name("t")
        nodes.append(helper.make_node("Gemm", [name("x"), right, name("b")], [name("y")], transB=1) if self.form == "Gemm" else
                     helper.make_node("MatMul", [name("x"), right], [name("y")]))
        return nodes, constants, x, y, size


def cases():
    for bits in (4, 8, 2):
        for m in (1, 2, 3, 5, 12, 13, 30):
            yield Case(m, 96, 80, bits, 32)
            yield Case(m, 96, 80, bits, 32, "u", zeros=True)
        for n in (1, 7, 16, 44, 64, 100, 172):
            yield Case(1, 64, n, bits, 32, zeros=True)
            yield Case(4, 64, n, bits, 32)
        for k in (1, 5, 31, 33, 40, 172):
            yield Case(1, k, 24, bits, 0)
            yield Case(6, k, 24, bits, 32 if k > 32 else 0, zeros=True)
        for form in ("Gemm", "Transpose"):
            for block in (-1, 0, 16, 64):
                yield Case(3, 128, 48, bits, block, form=form)
                yield Case(1, 128, 48, bits, block, "u", zeros=True, form=form)
        for block in (-1, 0, 16, 64):
            yield Case(5, 128, 40, bits, block, form="Gather")
            yield Case(5, 45, 40, bits, min(block, 32), "u", zeros=True, form="Gather", float_type="f16")
        for zeros in (False, True):
            yield Case(1, 172, 70, bits, 32, "u", zeros=zeros, form="MatMulNBits")
            yield Case(9, 64, 33, bits, 16, "u", zeros=zeros, form="MatMulNBits")
        yield Case(1, 64, 32, bits, 32, halves=False)
        yield Case(7, 64, 32, bits, 32, "u")
        yield Case(5, 64, 40, bits, 32, float_type="f16", zeros=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", action="append")
    parser.add_argument("--filter", default="")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--keep")
    parser.add_argument("--free", action="store_true", help="rows known at run time only")
    args = parser.parse_args()
    chosen = [c for c in cases() if args.filter in c.name][::args.every]
    nodes, constants, inputs, outputs, feed, want = [], [], [], [], {}, {}
    for at, case in enumerate(chosen):
        made, weights, x, y, size = case.make(at)
        nodes, constants = nodes + made, constants + weights
        rows = "rows%d" % at if args.free else case.m
        feed["c%d_x" % at], want["c%d_y" % at] = x, (y, size)
        inputs.append(helper.make_tensor_value_info("c%d_x" % at, helper.np_dtype_to_tensor_dtype(x.dtype), [rows, *x.shape[1:]]))
        outputs.append(helper.make_tensor_value_info("c%d_y" % at, FLOATS[case.float_type][1], [rows, y.shape[1]]))
    graph = helper.make_graph(nodes, "stored", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25), helper.make_opsetid("com.microsoft", 1)], ir_version=13)
    most = sum(c.k * c.n * c.bits / 8 * 1.6 + c.n * 40 + 64 for c in chosen)
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        directory = args.keep or directory
        os.makedirs(directory, exist_ok=True)
        for machine in args.machine or ["host"]:
            program = Program(directory, model, feed, machine)
            weights = json.loads(program.run("--bench=0.01").splitlines()[-1])["weights_bytes"]
            got, wrong = program.outputs(), 0
            if weights > most:
                print("%s: %d bytes of weights, expected at most %d" % (machine, weights, most))
                wrong += 1
            for at, case in enumerate(chosen):
                y, (expected, size) = got["c%d_y" % at], want["c%d_y" % at]
                error = np.abs(y - expected) / size if y.shape == expected.shape else np.array(np.inf)
                if not error.max() <= (2e-3 if case.float_type == "f16" else 1e-6):
                    print("%s: %s: error %.3g of the sum of magnitudes" % (machine, case.name, error.max()))
                    wrong += 1
            print("%s: %d of %d cases as defined, %d bytes of weights" % (machine, len(chosen) - wrong, len(chosen), weights))
            failed += wrong
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
