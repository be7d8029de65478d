"""Errors of the math functions the cpu stage builds, in units of the last place, against numpy in higher precision.

Arguments: [--loose | --times] machine [type [function...]]. --loose: of the forms of --fast-math; --times: what those gain, on arrays in the L1 cache. Prints one line a function and fails where an error exceeds its limit or a special value is wrong.
"""
import math
import sys

import numpy as np

import compiled

L = np.longdouble
TWO_OVER_SQRT_PI = L("1.1283791670955125738961589031215451717")


def erf(x):
    """Series inside, continued fraction outside (Abramowitz and Stegun 7.1.6, 7.1.14), in extended precision."""
    x = x.astype(L)
    return np.where(np.abs(x) < 2.5, series(np.clip(x, -2.5, 2.5)), np.sign(x) * (1 - fraction(np.maximum(np.abs(x), 2.4))))


def series(x):
    total, term = x.copy(), x.copy()
    for n in range(1, 90):
        term = term * 2 * x * x / (2 * n + 1)
        total += term
    return TWO_OVER_SQRT_PI * np.exp(-x * x) * total


def fraction(x):
    value = x.copy()
    for n in range(160, 0, -1):
        value = x + (L(n) / 2) / value
    return np.exp(-x * x) / value * TWO_OVER_SQRT_PI / 2


def erfc(x):
    x = x.astype(L)
    inside = np.clip(x, -2.5, 2.5)
    return np.where(np.abs(x) < 2.4, 1 - series(inside), np.where(x > 0, fraction(np.maximum(np.abs(x), 2.4)), 2 - fraction(np.maximum(np.abs(x), 2.4))))


def roundaway(x):
    return np.copysign(np.floor(np.abs(x).astype(L) + L(0.5)), x)


# name: (op, reference, low, high, limit of f32, of f64): sampled densely between low and high, and over all magnitudes
FUNCTIONS = {
    "exp": ("math.exp", np.exp, -104, 89, 1.5, 1.5), "exp2": ("math.exp2", np.exp2, -150, 128, 1.5, 1.5), "expm1": ("math.expm1", np.expm1, -20, 89, 2, 2),
    "log": ("math.log", np.log, 0, 100, 1.5, 1.5), "log2": ("math.log2", np.log2, 0, 100, 2.5, 2.5), "log10": ("math.log10", np.log10, 0, 100, 1, 2.5),
    "log1p": ("math.log1p", np.log1p, -1, 100, 3, 3), "cbrt": ("math.cbrt", np.cbrt, -100, 100, 1, 1.5), "rsqrt": ("math.rsqrt", lambda x: 1 / np.sqrt(x), 0, 100, 1.5, 1.5),
    "sin": ("math.sin", np.sin, -100, 100, 1, 1.6), "cos": ("math.cos", np.cos, -100, 100, 1, 1.6), "tan": ("math.tan", np.tan, -100, 100, 1, 3),
    "asin": ("math.asin", np.arcsin, -1, 1, 1, 2.5), "acos": ("math.acos", np.arccos, -1, 1, 1, 2), "atan": ("math.atan", np.arctan, -10, 10, 1, 2),
    "sinh": ("math.sinh", np.sinh, -89, 89, 1, 4), "cosh": ("math.cosh", np.cosh, -89, 89, 1, 4), "tanh": ("math.tanh", np.tanh, -10, 10, 3, 3),
    "asinh": ("math.asinh", np.arcsinh, -100, 100, 1, 4), "acosh": ("math.acosh", np.arccosh, 1, 100, 1, 4), "atanh": ("math.atanh", np.arctanh, -1, 1, 1, 4),
    "erf": ("math.erf", erf, -6, 6, 1.5, 2), "erfc": ("math.erfc", erfc, -6, 10, 1, 5),
    "erfsum": ("math.erf", lambda x: 1 + erf(x), -6, 6, 2.5, 2),
    "sigmoid": ("math.exp", lambda x: 1 / (1 + np.exp(x)), -88, 88, 3.5, 2.5),
    "floor": ("math.floor", np.floor, -10, 10, 0, 0), "ceil": ("math.ceil", np.ceil, -10, 10, 0, 0), "trunc": ("math.trunc", np.trunc, -10, 10, 0, 0),
    "round": ("math.round", roundaway, -10, 10, 0, 0), "roundeven": ("math.roundeven", np.rint, -10, 10, 0, 0), "sqrt": ("math.sqrt", np.sqrt, 0, 100, 0.51, 0.51),
    "pow": ("math.powf", np.power, 0, 20, 1, 2000), "atan2": ("math.atan2", np.arctan2, -5, 5, 1, 2.5), "fmod": ("arith.remf", np.fmod, -50, 50, 0.51, 0.51),
    "max": ("arith.maximumf", np.maximum, -50, 50, 0, 0), "min": ("arith.minimumf", np.minimum, -50, 50, 0, 0),
}
BINARY = {"pow": (-20, 20), "atan2": (-5, 5), "fmod": (-7, 7), "max": (-50, 50), "min": (-50, 50)}
# Angles keep their digits up to here; with the exponent's range f64 powers lose up to 700 units (exp of a rounded product).
LARGEST_ANGLE = {"sin": 2.0**20, "cos": 2.0**20, "tan": 2.0**20}


# Functions of which the error of a sum counts: 1 is added, and units are those of 1.
SUMS = {"erfsum"}
# Quotients 1 / (1 + f): below the normal numbers they are as good as 0.
QUOTIENTS = {"sigmoid"}

# Of the loose forms: limits of f32, and between which arguments they hold. Angles: also of 1e-6 in all, near the zeros.
LOOSE = {"exp": (3, -87, 88), "tanh": (10, -20, 20), "erf": (14, -6, 6), "sin": (3, -1000, 1000), "cos": (3, -1000, 1000), "pow": (220, 0, 20)}


def samples(name, dtype, count=60001):
    info, rng = np.finfo(dtype), np.random.default_rng(7)
    _, _, low, high, _, _ = FUNCTIONS[name]
    special = np.array([0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 2.5, -2.5, 0.49999997, np.inf, -np.inf, np.nan, info.max, -info.max, info.tiny, -info.tiny,
                        info.smallest_subnormal, -info.smallest_subnormal, info.tiny / 4, 1 + info.eps, 1 - info.eps, 1e-3, 3e5, -3e5], dtype)
    magnitudes = np.exp(rng.uniform(np.log(float(info.tiny)), np.log(float(info.max)), count // 4)) * rng.choice([-1, 1], count // 4)
    near = rng.uniform(-2, 2, count // 4)
    x = np.concatenate([special, np.linspace(low, high, count // 2), magnitudes, near]).astype(dtype)
    if name in LARGEST_ANGLE:
        x = x[~(np.abs(x) > LARGEST_ANGLE[name]) | ~np.isfinite(x)]
    if name not in BINARY:
        return [x]
    low, high = BINARY[name]
    y = rng.uniform(low, high, x.size).astype(dtype)
    y[: len(special)] = rng.permutation(special)
    whole = rng.random(x.size) < 0.3
    y[whole] = np.rint(y[whole])
    if name in ("pow", "max", "min"):  # all pairs of special values
        pairs = np.array(np.meshgrid(special, special)).reshape(2, -1)
        return [np.concatenate([pairs[0], x]), np.concatenate([pairs[1], y])]
    if name == "fmod":
        keep = (np.abs(x) < 1e6) & (np.abs(y) > 1e-3) | ~np.isfinite(x)
        return [x[keep], y[keep]]
    return [x, y]


def errors(got, want, dtype, limit):
    """Units of the last place; zero where both are the same infinity or NaN, infinite where only one is."""
    info = np.finfo(dtype)
    with np.errstate(over="ignore"):
        rounded = want.astype(dtype)
    with np.errstate(all="ignore"):
        spacing = np.maximum(np.spacing(np.abs(np.where(np.isfinite(rounded), rounded, 1)).astype(dtype)).astype(L), L(info.smallest_subnormal))
        error = np.abs(got.astype(L) - want) / spacing
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    finite = np.isfinite(got) & np.isfinite(rounded)
    # At the edge to infinity a neighbour is as good.
    last = info.max * (1 - (limit + 1) * float(info.eps))
    edge = ((np.abs(got) >= last) & np.isinf(rounded) | np.isinf(got) & (np.abs(rounded) >= last)) & (np.sign(got) == np.sign(rounded))
    return np.where(same & ~finite, 0, np.where(finite, error, np.where(edge, 1, np.inf)))


def program(names, dtype, operands, machine, **options):
    """Runs each function over its operands; options and results as of compiled.run."""
    t = compiled.element(dtype)
    arguments, body, inputs, outputs = [], [], [], []
    for name, values in zip(names, operands):
        for i, x in enumerate(values):
            arguments.append(f"%{name}{i}: {compiled.memref(x)}")
            inputs.append(x)
        maps = ", ".join(["affine_map<(d0) -> (d0)>"] * (len(values) + 1))
        ins = ", ".join(f"%{name}{i}" for i in range(len(values))) + " : " + ", ".join(compiled.memref(x) for x in values)
        args = ", ".join(f"%a{i}: {t}" for i in range(len(values)))
        call = ", ".join(f"%a{i}" for i in range(len(values)))
        add = ""
        if name in SUMS | QUOTIENTS:
            add = f"      %one = arith.constant 1.0 : {t}\n      %{'r' if name in SUMS else 's'} = arith.addf %f, %one : {t}\n"
        if name in QUOTIENTS:
            add += f"      %r = arith.divf %one, %s : {t}\n"
        body.append(f"    linalg.generic {{indexing_maps = [{maps}], iterator_types = [\"parallel\"]}} ins({ins}) outs(%{name}_out : {compiled.memref(values[0])}) {{\n"
                    f"    ^bb0({args}, %o: {t}):\n      %{'f' if add else 'r'} = {FUNCTIONS[name][0]} {call} : {t}\n{add}      linalg.yield %r : {t}\n    }}\n")
        outputs.append(np.zeros_like(values[0]))
    arguments += [f"%{name}_out: {compiled.memref(o)}" for name, o in zip(names, outputs)] + ["%arena: memref<64xi8>", "%weights: memref<64xi8>"]
    text = "module {\n  func.func @main(" + ", ".join(arguments) + ") {\n" + "".join(body) + "    return\n  }\n}\n"
    return compiled.run(text, inputs, outputs, machine, **options)


def check(name, dtype, operands, got, loose):
    """Prints the largest error; is it within the limit?"""
    with np.errstate(all="ignore"):
        want = FUNCTIONS[name][1](*[x.astype(L) for x in operands])
    limit = LOOSE[name][0] if loose else FUNCTIONS[name][4 if dtype == np.float32 else 5]
    error = errors(got, want, dtype, limit)
    if name in SUMS:
        error = np.where(np.isfinite(got) & np.isfinite(want), np.abs(got - want) / np.finfo(dtype).eps, error)
    if name in QUOTIENTS:
        tiny = np.finfo(dtype).tiny
        error = np.where(np.abs(want) < tiny, np.abs(got - want) / tiny, error)
    if loose and name in ("sin", "cos"):  # near their zeros units of the last place say nothing
        error = np.fmin(error, np.abs(got - want) * 1e6 * limit)
    worst = np.argmax(error)
    bad = not error[worst] <= limit
    print(f"{name:10} {compiled.element(dtype)} {float(error[worst]):9.2f} at {[float(x[worst]) for x in operands]}"
          + (f"  got {got[worst]!r}, want {want[worst]!r}, limit {limit}" if bad else ""))
    return not bad


def loose_samples(name):
    """Those of the range for which the error is stated, and what is no number."""
    operands = samples(name, np.dtype("float32"))
    x, (_, low, high) = operands[0], LOOSE[name]
    tiny = np.finfo(np.float32).tiny
    keep = (x >= low) & (x <= high) & (np.abs(x) >= tiny) | np.isnan(x)
    if name in ("exp", "tanh", "erf"):
        keep |= np.isinf(x)
    if name == "pow":  # results that are normal numbers
        with np.errstate(all="ignore"):
            result = np.power(x.astype(L), operands[1].astype(L))
        keep = (x > 0) & np.isfinite(x) & np.isfinite(operands[1]) & (result > 1e-37) & (result < 1e37)
    return [o[keep] for o in operands]


def times(machine):
    """Nanoseconds an element, of both forms."""
    for name in LOOSE:
        operands = [[x[:4096] if x.size >= 4096 else np.resize(x, 4096) for x in loose_samples(name)]]
        operands = [[np.where(np.isfinite(x), x, np.float32(1)) for x in operands[0]]]
        both = [program([name], np.dtype("float32"), operands, machine, repeats=3000, loose=loose)[1] * 1000 / 4096 for loose in (False, True)]
        print(f"{name:10} {both[0]:6.3f} -> {both[1]:6.3f} ns an element, {both[0] / both[1]:.2f} times as fast")


def main():
    loose, arguments = "--loose" in sys.argv, [a for a in sys.argv[1:] if not a.startswith("--")]
    machine = arguments[0]
    if "--times" in sys.argv:
        return times(machine)
    types = [np.dtype(arguments[1])] if len(arguments) > 1 else [np.dtype("float32")] if loose else [np.dtype("float32"), np.dtype("float64")]
    names = arguments[2:] or list(LOOSE if loose else FUNCTIONS)
    good = True
    for dtype in types:
        operands = [loose_samples(name) if loose else samples(name, dtype) for name in names]
        for name, values, got in zip(names, operands, program(names, dtype, operands, machine, loose=loose)):
            good &= check(name, dtype, values, got, loose)
    sys.exit(not good)


main()
