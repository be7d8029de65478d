"""Seeds for artifact_fuzz: small ELF files with and without segments that fit. usage: make_artifact_corpus.py FOLDER"""
import os
import struct
import sys


def elf(segments, size):
    head = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, len(segments), 64, 0, 0)
    table = b"".join(struct.pack("<IIQQQQQQ", 1, 5, offset, offset, offset, length, length, 4096) for offset, length in segments)
    return (head + table).ljust(size, b"\0")


SEEDS = {"empty": b"", "elf": elf([(0, 200)], 256), "long": elf([(0, 4096)], 256), "far": elf([(2**63, 2**63)], 256), "none": elf([], 64), "sealed": elf([(0, 200)], 256) + b"BURINSUM" + bytes(8)}
for name, data in SEEDS.items():
    with open(os.path.join(sys.argv[1], name), "wb") as f:
        f.write(data)
