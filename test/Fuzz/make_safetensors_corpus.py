"""Small safetensors files, good and broken, for safetensors_fuzz. usage: make_safetensors_corpus.py FOLDER"""
import json, os, struct, sys

os.makedirs(sys.argv[1], exist_ok=True)


def write(name, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    with open(os.path.join(sys.argv[1], name), "wb") as f:
        f.write(struct.pack("<Q", len(text) if length is None else length) + text + data)


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


write("two", {"a.lora_A.weight": entry("F32", [2, 3], 0, 24), "a.lora_B.weight": entry("F16", [4, 2], 24, 40), "__metadata__": {"format": "pt"}}, bytes(40))
write("scalar", {"a.alpha": entry("BF16", [], 0, 2)}, b"\x00\x41")
write("zero", {"z": entry("F32", [0, 4], 0, 0)})
write("empty", {})
write("narrow", {"a": entry("I8", [3], 0, 3), "b": entry("BOOL", [1], 3, 4), "c": entry("F8_E4M3", [2], 4, 6)}, bytes(6))
write("overlap", {"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 2, 6)}, bytes(6))
write("hole", {"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 4, 6)}, bytes(6))
write("beyond", {"a": entry("F32", [2], 0, 8)}, bytes(4))
write("backwards", {"a": entry("F32", [2], 8, 0)}, bytes(8))
write("huge", {"a": entry("F64", [2**40, 2**40], 0, 8)}, bytes(8))
write("negative", {"a": entry("F32", [-2], 0, 8)}, bytes(8))
write("fraction", {"a": entry("F32", [1.5], 0, 6)}, bytes(6))
write("dtype", {"a": entry("C64", [1], 0, 8)}, bytes(8))
write("deep", b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}")
write("text", b'{"a": "\\ud800", "b": {"dtype": "F32"}}')
write("array", b"[1, 2, 3]")
write("longer", {}, length=2**60)
write("trailing", {"a": entry("U8", [1], 0, 1)}, bytes(9))
