"""Cases of the Signal family: transforms of several lengths and layouts, windows, mel weights."""
import numpy as np
from ops_cases import Cases

CASES = case = Cases(31)
f = case.f


def n(value):
    return np.int64(value)


case("dft_real", "DFT", f(2, 10, 1), None, n(1), const=[2])
case("dft_axis_default", "DFT", f(2, 5, 12, 2))
case("dft_axis0", "DFT", f(7, 3, 2), None, n(0), const=[2])
case("dft_inverse", "DFT", f(2, 9, 2), None, n(-2), const=[2], inverse=1)
case("dft_onesided", "DFT", f(2, 16, 1), None, n(1), const=[2], onesided=1)
case("dft_onesided_odd", "DFT", f(2, 15, 1), None, n(1), const=[2], onesided=1)
case("dft_longer", "DFT", f(2, 10, 1), n(16), n(1), const=[1, 2])
case("dft_shorter", "DFT", f(2, 10, 2), n(6), n(1), const=[1, 2])
case("dft_real_inverse", "DFT", f(2, 9, 2), None, n(1), const=[2], inverse=1, onesided=1)
case("dft_real_inverse_odd", "DFT", f(2, 8, 2), n(15), n(1), const=[1, 2], inverse=1, onesided=1)
case("dft_f64", "DFT", f(2, 10, 2, dtype=np.float64))
case("dft_split", "DFT", f(1, 400, 2), None, n(1), const=[2])
case("dft_split_inverse", "DFT", f(2, 384, 2), None, n(1), const=[2], inverse=1)
case("dft_split_onesided", "DFT", f(2, 1024, 1), None, n(1), const=[2], onesided=1)
case("dft_prime", "DFT", f(1, 257, 1), None, n(1), const=[2])
case("stft", "STFT", f(2, 128, 1), n(8), None, n(16), const=[1, 3], onesided=1)
case("stft_window", "STFT", f(1, 64, 1), n(4), np.abs(f(16)), const=[1], onesided=1)
case("stft_full", "STFT", f(1, 60, 1), n(7), np.abs(f(12)), n(12), const=[1, 2, 3], onesided=0)
case("stft_split", "STFT", f(1, 2048, 1), n(160), np.abs(f(512)), const=[1, 2], onesided=1)
case("melweightmatrix", "MelWeightMatrix", n(8), n(64), n(8192), np.float32(0), np.float32(4096), const=[0, 1, 2, 3, 4])
for op in ("HannWindow", "HammingWindow", "BlackmanWindow"):
    case(op.lower(), op, n(10), const=[0])
    case(op.lower() + "_symmetric", op, n(9), const=[0], periodic=0)
