"""Cases of the Reduction family: Reduce*, ArgMax, ArgMin, CumSum, CumProd."""
import numpy as np

from ops_cases import Cases, i64

CASES = case = Cases(13)
f, u, ints = case.f, case.u, case.ints

KINDS = "Sum Mean Max Min Prod L1 L2 LogSum LogSumExp SumSquare".split()
for kind in KINDS:
    op, x = "Reduce" + kind, u(2, 3, 4, 5, low=0.3, high=1.5)
    case(op.lower() + "_all", op, x, keepdims=0)
    case(op.lower() + "_all_keep", op, x)
    case(op.lower() + "_last", op, x, i64(-1), const=[1])
    case(op.lower() + "_first", op, x, i64(0), const=[1], keepdims=0)
    case(op.lower() + "_middle", op, x, i64(1, 2), const=[1], keepdims=0)
    case(op.lower() + "_spatial", op, x, i64(2, 3), const=[1])
    case(op.lower() + "_split", op, x, i64(0, -1), const=[1])
    case(op.lower() + "_noop", op, x, noop_with_empty_axes=1)
    case(op.lower() + "_f16", op, u(3, 9, low=0.3, high=1.5, dtype=np.float16), i64(1), const=[1])
    case(op.lower() + "_long", op, u(3, 1000, low=0.9, high=1.1), i64(1), const=[1])
    if kind not in ("LogSum", "LogSumExp", "L2", "SumSquare"):  # the reference answers these in another type
        case(op.lower() + "_int32", op, ints(3, 5, low=-9, high=9), i64(1), const=[1])
        case(op.lower() + "_int64", op, ints(3, 5, low=-9, high=9, dtype=np.int64), i64(0), const=[1], keepdims=0)
for kind in ("Max", "Min"):
    for dtype in (np.int8, np.uint8):
        case(f"reduce{kind.lower()}_{np.dtype(dtype).name}", "Reduce" + kind, ints(4, 9, low=0, high=255, dtype=np.int64).astype(dtype), i64(1), const=[1])
    case(f"reduce{kind.lower()}_bool", "Reduce" + kind, f(4, 9) > 1, i64(1), const=[1])
    case(f"reduce{kind.lower()}_nan", "Reduce" + kind, np.array([[1, np.nan, 2], [1, 3, 2]], np.float32), i64(1), const=[1])
case("reducelogsumexp_large", "ReduceLogSumExp", np.array([[1000, 1001], [-1000, -1001]], np.float64), i64(1), const=[1])
case("reducesum_scalar", "ReduceSum", np.float32(3), keepdims=0)

for op in ("ArgMax", "ArgMin"):
    for axis in (0, 1, -1):
        case(f"{op.lower()}_{axis}", op, f(3, 4, 5), axis=axis)
    case(op.lower() + "_no_keep", op, f(3, 4, 5), axis=1, keepdims=0)
    ties = np.array([[1, 3, 3, 1, 3, 1]], np.float32)
    case(op.lower() + "_ties", op, ties, axis=1)
    case(op.lower() + "_last_tie", op, ties, axis=1, select_last_index=1)
    case(op.lower() + "_nan", op, np.array([[1, np.nan, 3, np.nan]], np.float32), axis=1)
    case(op.lower() + "_u8", op, ints(3, 9, low=0, high=255, dtype=np.uint8), axis=1)
    case(op.lower() + "_i32", op, ints(3, 9), axis=0)
    case(op.lower() + "_infinite", op, np.full((2, 3), -np.inf, np.float32), axis=1)

for op in ("CumSum", "CumProd"):
    for axis in (0, 1, -1):
        case(f"{op.lower()}_{axis}", op, u(3, 4, 7, low=0.5, high=1.5), np.array(axis, np.int64), const=[1])
    case(op.lower() + "_exclusive", op, u(9, low=0.5, high=1.5), np.array(0, np.int64), const=[1], exclusive=1)
    case(op.lower() + "_reverse", op, u(2, 9, low=0.5, high=1.5), np.array(1, np.int32), const=[1], reverse=1)
    case(op.lower() + "_both", op, u(2, 9, low=0.5, high=1.5), np.array(1, np.int32), const=[1], reverse=1, exclusive=1)
    case(op.lower() + "_int32", op, ints(3, 5, low=-3, high=4), np.array(1, np.int64), const=[1])
    case(op.lower() + "_f64", op, u(9, dtype=np.float64), np.array(0, np.int64), const=[1])
    case(op.lower() + "_one", op, u(3, 1), np.array(1, np.int64), const=[1], exclusive=1)
