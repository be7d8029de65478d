"""What encrypt.test asks of keys and programs: makes keys, changes bytes of a program's weights, looks for weights in programs."""
import os
import struct
import subprocess
import sys

import numpy as np


def keys(folder):
    key = bytes([0x5A]) * 32
    for name, data in (("key", key), ("digits", (key.hex() + "\n").encode()), ("other", bytes(32)), ("short", b"12")):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)


def change(program, key, inputs):
    data = open(program, "rb").read()
    at = data.index(b"BLW1" + bytes(4))  # code compares with the first four
    closed = 64 + struct.unpack_from("<Q", data, at + 8)[0]
    r, ran, copy = np.random.default_rng(1), 0, program + ".changed"
    for i in range(200):
        changed = bytearray(data)
        # The header first: a changed size must not be read by either.
        changed[at + (i if i < 64 else int(r.integers(closed)))] ^= 1 << int(r.integers(8))
        with open(copy, "wb") as f:
            f.write(changed)
        os.chmod(copy, 0o755)
        done = subprocess.run([copy, "--key", key, "--inputs", inputs], capture_output=True)
        ran += done.returncode != 1
    print(f"200 changed, {ran} ran")


def find(*programs):
    weights = np.array([[1, 2], [3, 4]], np.float32)
    for p in programs:
        data = open(p, "rb").read()
        is_there = any((weights * f).astype(np.float32).tobytes() in data for f in (1, 2))
        print(f"{os.path.basename(p)}: {'found' if is_there else 'not found'}")


{"keys": keys, "change": change, "find": find}[sys.argv[1]](*sys.argv[2:])
