"""Seeds of image_fuzz: small image files of each kind, made here byte by byte or kept in test/Fuzz/images, and regular expressions. usage: make_image_corpus.py FOLDER"""
import os
import struct
import sys
import zlib

folder = sys.argv[1]
files = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")
os.makedirs(folder, exist_ok=True)


def save(name, data):
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


pixels = bytes(range(48))  # 4 x 4
save("p6", b"P6 4 4 255\n" + pixels)
save("p2", b"P2 2 2 15 1 2 3 15")
save("bmp", b"BM" + struct.pack("<IHHIIiiHHIIiiII", 102, 0, 0, 54, 40, 4, 4, 1, 24, 0, 48, 0, 0, 0, 0) + pixels)
chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
for color, filtered in ((2, b"".join(bytes([y % 5]) + pixels[12 * y:12 * y + 12] for y in range(4))), (0, b"".join(bytes([y]) + pixels[4 * y:4 * y + 4] for y in range(4)))):
    save("png%d" % color, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, color, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(filtered)) + chunk(b"IEND", b""))
for packing, data in ((1, pixels), (8, zlib.compress(pixels))):
    entries = [(256, 4), (257, 4), (258, 8), (259, packing), (262, 2), (273, 8), (277, 3), (278, 4), (279, len(data))]
    at = 8 + len(data)
    save("tiff%d" % packing, b"II*\0" + struct.pack("<I", at) + data + struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", t, 4, 1, v) for t, v in entries) + b"\0" * 4)
# One grey block: every length of code once, the DC difference 0 and the end of the block.
segment = lambda marker, data: b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data
tree = lambda kind: bytes([kind]) + bytes([1] + [0] * 15) + b"\0"
save("jpeg", b"\xff\xd8" + segment(0xdb, b"\0" + bytes([1] * 64)) + segment(0xc0, struct.pack(">BHHBBBB", 8, 8, 8, 1, 1, 0x11, 0)) + segment(0xc4, tree(0) + tree(0x10)) +
     segment(0xda, bytes([1, 1, 0, 0, 63, 0])) + b"\x3f\xff\xd9")
three = b"".join(bytes([i, 0x22 if i == 1 else 0x11, 0]) for i in (1, 2, 3))
save("jpeg3", b"\xff\xd8" + segment(0xdb, b"\0" + bytes([1] * 64)) + segment(0xc0, struct.pack(">BHHB", 8, 17, 19, 3) + three) + segment(0xc4, tree(0) + tree(0x10)) +
     segment(0xdd, b"\0\1") + segment(0xda, bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])) + b"".join(b"\0\0" + b"\xff" + bytes([0xd0 + i]) for i in range(4)) + b"\xff\xd9")
for name in os.listdir(files) if os.path.isdir(files) else ():
    with open(os.path.join(files, name), "rb") as f:
        save(name, f.read())
for i, (pattern, text) in enumerate(((b"(a|b)*c{2,3}?", b"abcc"), (b"(?i)[^\\d[:alpha:]]+$", b"--"), (b"\\Qx.\\E(?P<n>\\x41|\\x{20ac})\\b", b"x.A"))):
    save("pattern%d" % i, pattern + b"\0" + text)
