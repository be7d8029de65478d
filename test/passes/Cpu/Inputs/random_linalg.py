"""Random linalg operations through the cpu stage against numpy. Arguments: machine, seed, number of operations [, "dynamic"] [, "parallel"] [, "streamed"] [, number of one to run alone].
With "dynamic", most sizes are known at run time only."""
import random
import sys

import numpy as np

import compiled

FLOATS, INTS = ["float32", "float64", "float16"], ["int8", "int16", "int32", "int64"]
FLOAT_BODY = {"add": "arith.addf", "sub": "arith.subf", "mul": "arith.mulf", "max": "arith.maximumf", "min": "arith.minimumf"}
INT_BODY = {"add": "arith.addi", "sub": "arith.subi", "mul": "arith.muli", "max": "arith.maxsi", "min": "arith.minsi", "and": "arith.andi"}
NUMPY = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum, "and": np.bitwise_and}


class Case:
    """One linalg.generic: text, arrays, expected outputs."""

    def __init__(self, r, number):
        self.r, self.number = r, number
        self.rng = np.random.default_rng(r.randrange(1 << 30))
        rank = r.choice([1, 2, 2, 3, 3, 4])
        sizes = [1, 2, 3, 4, 5, 7, 8, 11, 16, 17, 19, 32, 33, 48, 50, 64, 65, 100]
        self.extents = [r.choice(sizes) for _ in range(rank)]
        while np.prod(self.extents) > 60000:
            self.extents[self.extents.index(max(self.extents))] = r.choice(sizes[:8])
        self.kind = r.choice(["elementwise", "elementwise", "reduce", "reduce", "move", "index", "gather", "cast", "select", "argmax", "permute"])
        if self.kind == "permute":
            self.extents = [r.choice([2, 2, 3, 4, 5, 16, 17, 40]) for _ in range(r.choice([2, 3, 4, 5]))]
            while np.prod(self.extents) > 60000:
                self.extents.pop()
        self.reduction = [self.kind in ("reduce", "argmax") and r.random() < 0.5 for _ in self.extents]
        self.grid = np.indices(self.extents)
        self.inputs, self.maps, self.lines = [], [], []
        self.inplace = False
        getattr(self, "make_" + self.kind)()

    def data(self, shape, dtype):
        if dtype == "bool":
            return self.rng.random(shape) < 0.5
        if dtype in FLOATS:
            return self.rng.uniform(-2, 2, shape).astype(dtype)
        return self.rng.integers(-100, 100, shape).astype(dtype)

    def map_text(self, exprs):
        dims = ", ".join(f"d{i}" for i in range(len(self.extents)))
        return f"affine_map<({dims}) -> ({', '.join(exprs)})>"

    def add_input(self, dtype, full=False):
        """A random access: some dims, permuted, possibly strided, shifted or reversed; sometimes two dims summed."""
        r = self.r
        dims = [d for d in range(len(self.extents)) if full or r.random() < 0.8]
        r.shuffle(dims)
        if r.random() < 0.5:
            dims.sort()
        exprs, shape, index = [], [], []
        for d in dims:
            kind = r.random()
            if kind < 0.75 or full:
                exprs.append(f"d{d}"), shape.append(self.extents[d]), index.append(self.grid[d])
            elif kind < 0.8 and any(self.extents[d] % c == 0 for c in (2, 3, 4)):
                c = r.choice([c for c in (2, 3, 4) if self.extents[d] % c == 0])
                if r.random() < 0.7:
                    exprs.append(f"d{d} floordiv {c}"), shape.append(self.extents[d] // c), index.append(self.grid[d] // c)
                else:
                    exprs.append(f"d{d} mod {c}"), shape.append(c), index.append(self.grid[d] % c)
            elif kind < 0.86:
                exprs.append(f"d{d} * 2 + 1"), shape.append(2 * self.extents[d]), index.append(self.grid[d] * 2 + 1)
            elif kind < 0.92:
                exprs.append(f"-d{d} + {self.extents[d] - 1}"), shape.append(self.extents[d]), index.append(self.extents[d] - 1 - self.grid[d])
            else:
                e = r.randrange(len(self.extents))
                exprs.append(f"d{d} + d{e}"), shape.append(self.extents[d] + self.extents[e] - 1), index.append(self.grid[d] + self.grid[e])
        if r.random() < 0.1 and not full:
            exprs.append("2"), shape.append(3), index.append(np.full(self.extents, 2))
        array = self.data(shape, dtype)
        self.inputs.append(array)
        self.maps.append(self.map_text(exprs))
        return array[tuple(index)] if index else np.broadcast_to(array, self.extents)

    def set_output(self, values, combine=None, dtype=None):
        """values over the whole grid; combine: numpy ufunc over the reduction dims, onto the output's old contents."""
        dtype = dtype or values.dtype
        dims = [d for d in range(len(self.extents)) if not self.reduction[d]]
        order = list(dims)
        if self.r.random() < 0.3:
            self.r.shuffle(order)
        self.maps.append(self.map_text([f"d{d}" for d in order]))
        reduced = [d for d in range(len(self.extents)) if self.reduction[d]]
        shape = [self.extents[d] for d in order]
        self.output = self.data(shape, str(dtype))
        if combine is not None:
            wide = np.float64 if np.issubdtype(dtype, np.floating) else dtype
            with np.errstate(over="ignore"):
                total = combine.reduce(values.astype(wide), axis=tuple(reduced), dtype=wide) if reduced else values.astype(wide)
            total = np.transpose(total, [dims.index(d) for d in order])
            self.expected = combine(self.output.astype(wide), total).astype(dtype)
        else:
            self.expected = np.transpose(values, order).astype(dtype)

    def line(self, text):
        self.lines.append("      " + text)

    def make_elementwise(self):
        dtype = self.r.choice(["float32"] * 3 + FLOATS + INTS)
        names = FLOAT_BODY if dtype in FLOATS else INT_BODY
        t = compiled.element(dtype)
        wide = "float32" if dtype == "float16" else dtype # the compiler computes halves in f32 and rounds once
        value = self.add_input(dtype, full=True).astype(wide)
        current = "%a0"
        for i in range(self.r.randint(1, 3)):
            op = self.r.choice(list(names))
            other = self.add_input(dtype)
            self.line(f"%s{i} = {names[op]} {current}, %a{len(self.inputs) - 1} : {t}")
            with np.errstate(over="ignore"):
                value, current = NUMPY[op](value, other.astype(wide)), f"%s{i}"
        self.line(f"linalg.yield {current} : {t}")
        self.set_output(value, dtype=np.dtype(dtype))

    def make_permute(self):
        """Transposes among short and long dims: interleaving, register tiles."""
        dtype = self.r.choice(["float32", "float32", "float16", "int8", "int64", "bool"])
        value = self.add_input(dtype, full=True)
        if dtype == "float32" and self.r.random() < 0.5:
            value = value + self.add_input(dtype)
            self.line("%s = arith.addf %a0, %a1 : f32")
            self.line("linalg.yield %s : f32")
        else:
            self.line(f"linalg.yield %a0 : {compiled.element(dtype)}")
        self.set_output(value)

    def make_move(self):
        dtype = self.r.choice(FLOATS + INTS + ["bool", "float32"])
        value = self.add_input(dtype, full=True)
        self.line(f"linalg.yield %a0 : {compiled.element(dtype)}")
        self.set_output(value)

    def make_reduce(self):
        dtype = self.r.choice(["float32"] * 3 + FLOATS + INTS)
        names = FLOAT_BODY if dtype in FLOATS else INT_BODY
        op = self.r.choice(["add", "max", "min"] + (["and"] if dtype in INTS else []))
        t = compiled.element(dtype)
        value = self.add_input(dtype, full=True)
        if self.r.random() < 0.4 and op == "add" and dtype in ("float32", "float64"):
            other = self.add_input(dtype)
            self.line(f"%p = {names['mul']} %a0, %a1 : {t}")
            value, term = value * other, "%p"
        else:
            term = "%a0"
        pair = ["%o", term]
        self.r.shuffle(pair)
        self.line(f"%s = {names[op]} {pair[0]}, {pair[1]} : {t}")
        self.line(f"linalg.yield %s : {t}")
        self.set_output(value, NUMPY[op])

    def make_argmax(self):
        """Two accumulators that depend on one another: the larger of two packed keys, without the operations that are known to combine."""
        value = self.add_input("int32", full=True)
        self.line("%c = arith.cmpi sgt, %a0, %o : i32")
        self.line("%s = arith.select %c, %a0, %o : i32")
        self.line("linalg.yield %s : i32")
        self.set_output(value, np.maximum)

    def make_index(self):
        dims = [self.r.randrange(len(self.extents)) for _ in range(2)]
        scale = self.r.choice([1, 2, -3])
        value = self.grid[dims[0]] * scale + self.grid[dims[1]]
        self.line(f"%i0 = linalg.index {dims[0]} : index")
        self.line(f"%i1 = linalg.index {dims[1]} : index")
        self.line(f"%k = arith.constant {scale} : index")
        self.line("%m = arith.muli %i0, %k : index")
        self.line("%n = arith.addi %m, %i1 : index")
        if self.r.random() < 0.5:
            self.line("%d = arith.constant 5 : index")
            self.line("%e = arith.floordivsi %n, %d : index")
            self.line("%z = arith.index_cast %e : index to i64")
            value = value // 5
        else:
            self.line("%z = arith.index_cast %n : index to i64")
        other = self.add_input("int64")
        self.line("%s = arith.addi %z, %a0 : i64")
        self.line("linalg.yield %s : i64")
        self.set_output(value + other)

    def make_gather(self):
        """out[i...] = table[index[i], some dim]"""
        rows, dim = self.r.choice([1, 3, 9]), self.r.randrange(len(self.extents))
        dtype = self.r.choice(["float32", "float16", "int8", "bool"])
        table = self.data([rows, self.extents[dim] + 2], dtype)
        chosen = np.abs(self.add_input("int32")) % rows
        self.inputs[0] = np.abs(self.inputs[0]) % rows
        t = compiled.element(dtype)
        self.line("%j = arith.index_cast %a0 : i32 to index")
        self.line(f"%i = linalg.index {dim} : index")
        self.line("%two = arith.constant 2 : index")
        self.line("%k = arith.addi %i, %two : index")
        self.line(f"%v = memref.load %table{self.number}[%j, %k] : {compiled.memref(table)}")
        self.line(f"linalg.yield %v : {t}")
        self.table = table
        self.set_output(table[chosen, self.grid[dim] + 2])

    def make_cast(self):
        source, target = self.r.choice([("float32", "int32"), ("int8", "float32"), ("float32", "float16"), ("float16", "float64"), ("int32", "int8"),
                                        ("int8", "int64"), ("bool", "float32"), ("float32", "bool"), ("int64", "float32")])
        value = self.add_input(source, full=True)
        s, t = compiled.element(source), compiled.element(target)
        if target == "bool":
            self.line("%z = arith.constant 0.5 : f32")
            self.line("%s = arith.cmpf ogt, %a0, %z : f32")
            value = value > 0.5
        else:
            wider = np.dtype(target).itemsize > np.dtype(source).itemsize
            op = ({True: "arith.extf", False: "arith.truncf"}[wider] if source in FLOATS and target in FLOATS else
                  "arith.fptosi" if source in FLOATS else ("arith.uitofp" if source == "bool" else "arith.sitofp") if target in FLOATS else
                  {True: "arith.extsi", False: "arith.trunci"}[wider])
            self.line(f"%s = {op} %a0 : {s} to {t}")
            value = value.astype(target)
        self.line(f"linalg.yield %s : {t}")
        self.set_output(value)

    def make_select(self):
        condition = self.add_input("bool")
        a, b = self.add_input("float32", full=True), self.add_input("float32")
        self.line("%s = arith.select %a0, %a1, %a2 : f32")
        self.line("linalg.yield %s : f32")
        self.set_output(np.where(condition, a, b))

    def memref(self, array):
        return compiled.memref(array, sizes=[d if not self.dynamic or self.r.random() < 0.2 else "?" for d in array.shape])

    def text(self, inputs, output, types):
        n = len(self.extents)
        maps = ", ".join(self.maps)
        iterators = ", ".join('"reduction"' if x else '"parallel"' for x in self.reduction)
        ins = ", ".join(inputs) + " : " + ", ".join(types[:-1])
        args = ", ".join([f"%a{i}: {compiled.element(a.dtype)}" for i, a in enumerate(self.inputs)] + [f"%o: {compiled.element(self.output.dtype)}"])
        body = "\n".join(self.lines)
        return (f"    linalg.generic {{indexing_maps = [{maps}], iterator_types = [{iterators}]}} ins({ins}) outs({output} : {types[-1]}) {{\n"
                f"    ^bb0({args}):\n{body}\n    }} loc(\"case{self.number}_{self.kind}\")\n")


def main():
    machine, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    Case.dynamic = "dynamic" in sys.argv
    parallel = "parallel" in sys.argv
    streamed = "streamed" in sys.argv
    alone = [int(a) for a in sys.argv[4:] if a not in ("dynamic", "parallel", "streamed")]
    opt = "burin-opt"
    r = random.Random(seed)
    cases = [Case(r, i) for i in range(count)]
    if alone:
        cases = [cases[alone[0]]]
    inputs, outputs, arguments, body = [], [], [], []
    for case in cases:
        names = []
        case.types = [case.memref(array) for array in case.inputs + [case.output]]
        for array, type_ in zip(case.inputs, case.types):
            names.append(f"%in{len(inputs)}")
            arguments.append(f"{names[-1]}: {type_}")
            inputs.append(array)
        if hasattr(case, "table"):
            arguments.append(f"%table{case.number}: {compiled.memref(case.table)}")
            inputs.append(case.table)
        body.append(case.text(names, f"%out{case.number}", case.types))
    for case in cases:
        arguments.append(f"%out{case.number}: {case.types[-1]}")
        outputs.append(case.output)
    text = "module {\n  func.func @main(" + ", ".join(arguments + ["%arena: memref<64xi8>", "%weights: memref<64xi8>"]) + ") {\n" + "".join(body) + "    return\n  }\n}\n"
    if alone:
        print(text)
    results = compiled.run(text, inputs, outputs, machine, opt, parallel=parallel, streamed=streamed)
    bad = 0
    for case, result in zip(cases, results):
        if np.issubdtype(case.expected.dtype, np.floating):
            tolerance = 5e-3 if case.expected.dtype == np.float16 else 1e-4 if case.expected.dtype == np.float32 else 1e-10
            good = np.allclose(result.astype(np.float64), case.expected.astype(np.float64), rtol=tolerance, atol=tolerance)
        else:
            good = np.array_equal(result, case.expected)
        if not good:
            bad += 1
            print(f"case {case.number} ({case.kind}, {case.extents}, reduction {case.reduction}, {case.output.dtype}): wrong\n{case.text(['%in'] * len(case.inputs), '%out', case.types)}")
            print("got", result.ravel()[:8], "expected", case.expected.ravel()[:8])
    print(f"{len(cases) - bad} of {len(cases)} operations right on {machine}")
    sys.exit(bad != 0)


main()
