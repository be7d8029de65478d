"""The npz reader and writer against numpy: every type, order and compression, and files that lie.

usage: npz_test.py NPZ_TOOL
"""
import io, os, struct, subprocess, sys, tempfile, unittest, zipfile
import numpy as np

TOOL = sys.argv.pop(1)


def tool(*args):
    return subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True)


def npy(array, **kw):
    f = io.BytesIO()
    np.lib.format.write_array(f, array, **kw)
    return f.getvalue()


def contents(path):
    with open(path, "rb") as f:
        return f.read()


def header(text, data=b"", version=1):
    text = text.encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"


class Npz(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path, self.out = (os.path.join(self.folder.name, n) for n in ("in.npz", "out.npz"))

    def copy(self, expected):
        r = tool("copy", self.path, self.out)
        self.assertEqual(r.returncode, 0, r.stderr)
        with np.load(self.out) as z:
            self.assertEqual(z.files, list(expected))
            for k, v in expected.items():
                self.assertEqual((z[k].dtype, z[k].shape), (v.dtype, v.shape))
                self.assertEqual(z[k].tobytes(), np.ascontiguousarray(v).tobytes())

    def refused(self, *parts, command="copy"):
        r = tool(command, self.path, self.out)
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertEqual(r.stderr.count("\n"), 1, r.stderr)
        for p in parts:
            self.assertIn(p, r.stderr)
        self.assertEqual(os.listdir(self.folder.name), ["in.npz"])

    def entry(self, data, name="x.npy", method=zipfile.ZIP_STORED):
        with zipfile.ZipFile(self.path, "w", method) as z:
            z.writestr(name, data)

    def patch(self, offset, bytes_):
        with open(self.path, "r+b") as f:
            f.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
            f.write(bytes_)

    def test_types(self):
        rng = np.random.default_rng(0)
        arrays = {}
        for t in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 c8 c16 V2".split():
            arrays[t] = np.frombuffer(rng.bytes(6 * np.dtype(t).itemsize), dtype=t).reshape(2, 3)
        arrays["bool"] = rng.random((3, 4)) > 0.5
        for save in (np.savez, np.savez_compressed):
            save(self.path, **arrays)
            self.copy(arrays)

    def test_narrow_types(self):
        """ml_dtypes' types of one byte do not say which they are: they are bytes."""
        codes = np.arange(12, dtype=np.uint8).reshape(3, 4)
        np.savez(self.path, v=codes.view("V1"))
        self.copy({"v": codes})

    def test_shapes(self):
        arrays = {"scalar": np.float32(3).reshape(()), "empty": np.zeros((0, 5), np.int64), "none": np.zeros((3, 0, 2), np.float16),
                  "one": np.arange(7, dtype=np.int32), "eight": np.arange(256.0).reshape((2,) * 8),
                  "a/b: ünï.c": np.ones((1, 1), np.uint8), "large": np.arange(3_000_000, dtype=np.float32)}
        for save in (np.savez, np.savez_compressed):
            save(self.path, **arrays)
            self.copy(arrays)

    def test_nothing(self):
        np.savez(self.path)
        self.copy({})

    def test_orders(self):
        a = np.arange(120, dtype=np.int16).reshape(2, 3, 4, 5)
        np.savez_compressed(self.path, f=np.asfortranarray(a), t=a.transpose(2, 0, 3, 1), e=np.asfortranarray(np.zeros((3, 0), np.int8)))
        with np.load(self.path) as z:
            self.assertTrue(z["f"].flags.f_contiguous)
        self.copy({"f": a, "t": np.ascontiguousarray(a.transpose(2, 0, 3, 1)), "e": np.zeros((3, 0), np.int8)})

    def test_versions(self):
        a = np.arange(6, dtype=np.float64)
        for v in ((1, 0), (2, 0), (3, 0)):
            self.entry(npy(a, version=v))
            self.copy({"x": a})

    def test_load(self):
        a = np.arange(6, dtype=np.uint16).reshape(3, 2)
        with open(self.path, "wb") as f:
            f.write(npy(a))
        self.assertEqual(tool("load", self.path, self.out).returncode, 0)
        np.testing.assert_array_equal(np.load(self.out)["x"], a)
        os.remove(self.out)
        self.refused("an npy file, not an npz")
        with open(self.path, "ab") as f:
            f.write(b"more")
        self.refused("uint16[3,2] does not fit the 16 bytes of data", command="load")
        np.savez(self.path, a=a)
        self.refused("not an npy file", command="load")

    def test_bool_is_normalized(self):
        self.entry(header("{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", b"\x00\x02\xff"))
        self.copy({"x": np.array([False, True, True])})

    def test_streamed_zip(self):
        """Sizes behind the data, as a writer that cannot seek leaves them."""
        class Pipe(io.RawIOBase):
            def __init__(self, f): self.f = f
            def writable(self): return True
            def write(self, b): return self.f.write(b)
        a = np.arange(1000.0)
        with open(self.path, "wb") as f, zipfile.ZipFile(Pipe(f), "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr("x.npy", npy(a))
        self.copy({"x": a})
        with zipfile.ZipFile(self.path, "a") as z:
            z.comment = b"PK\5\6 a comment" * 100
        self.copy({"x": a})

    def test_zip64(self):
        a = np.arange(9, dtype=np.int8)
        np.savez(self.path, x=a)
        first = contents(self.path)
        tool("copy", self.path, self.out)  # our own files are zip64 throughout
        self.assertEqual(zipfile.ZipFile(self.out).testzip(), None)
        os.replace(self.out, self.path)
        self.assertNotEqual(contents(self.path), first)
        self.copy({"x": a})

    def test_same_bytes(self):
        np.savez_compressed(self.path, x=np.arange(9), y=np.ones(3))
        tool("copy", self.path, self.out)
        once = contents(self.out)
        tool("copy", self.out, self.path)
        self.assertEqual(once, contents(self.path))

    def test_refused_types(self):
        for a, text in ((np.arange(3, dtype=">f4"), "big-endian"), (np.array(["a"]), "type '<U1'"), (np.array([b"a"]), "type '|S1'"),
                        (np.zeros(2, [("a", "f4")]), "structured"), (np.zeros(2, "M8[s]"), "M8[s]"),
                        (np.zeros((1,) * 9), "more than 8 dims")):
            np.savez(self.path, bad=a)
            self.refused("array 'bad'", text)
        np.savez(self.path, bad=np.array([None]))
        self.refused("type '|O'")

    def test_headers(self):
        for text in ("", "{}", GOOD[:-1], GOOD[1:], GOOD + "x", GOOD.replace("descr", "desc"), GOOD.replace("False", "false"),
                     GOOD.replace("(2,)", "(2"), GOOD.replace("(2,)", "2"), GOOD.replace("(2,)", "(-2,)"), GOOD.replace("(2,)", "(,)"),
                     GOOD.replace("(2,)", "(2,,)"), GOOD.replace("(2,)", "(99999999999999999999,)"), GOOD.replace(", 'shape': (2,)", ""),
                     GOOD.replace("'<f4'", "'<f4"), GOOD.replace("'<f4'", "'" + "f" * 99 + "'"), GOOD.replace("'<f4'", "f4"),
                     GOOD.replace("'shape'", "'descr'"), GOOD.replace("<f4", "")):
            for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                self.entry(header(text, bytes(8)), method=method)
                self.refused("array 'x'")
        for text in (GOOD, GOOD.replace("'", '"'), GOOD.replace("(2,)", "(2L, )"), GOOD.replace(", }", "}"), GOOD.replace("(2,)", "(2)")):
            self.entry(header(text, bytes(8)))
            self.copy({"x": np.zeros(2, np.float32)})

    def test_lying_shapes(self):
        for shape in ("(3,)", "(1,)", "()", "(0,)", "(2, 2305843009213693952)", "(4294967296, 4294967296)", "(4611686018427387904, 4)"):
            for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                self.entry(header(GOOD.replace("(2,)", shape), bytes(8)), method=method)
                self.refused("does not fit the 8 bytes of data")
        for data in (header(GOOD), b"\x93NUMPY", b"", b"\x93NUMPY\1\0\xff\xff", b"\x93NUMPY\2\0\xff\xff\xff\xff", b"\x93NUMPY\2\0\1\0",
                     b"\x93NUMPY\4\0\1\0\0\0\0", b"\x94NUMPY\1\0\1\0 "):
            self.entry(data)
            self.refused("array 'x'")

    def test_lying_archive(self):
        np.savez_compressed(self.path, x=np.zeros(1000))
        data = contents(self.path)
        at = data.index(b"PK\1\2")
        for offset, value, text in ((8, b"\1\0", "encrypted"), (10, b"\x0c\0", "method 12"), (16, b"\0\0\0\0", "wrong checksum"),
                                    (20, b"\xff\xff\xff\x7f", "do not fit the file"), (24, b"\xff\xff\xff\x7f", "cannot unpack"),
                                    (24, b"\xff\x20\0\0", "float64[1000] does not fit"), (28, b"\xff\xff", "malformed directory"),
                                    (42, b"\xff\xff\xff\x7f", "no entry where"), (0, b"QK", "malformed directory")):
            with open(self.path, "wb") as f:
                f.write(data)
            self.patch(at + offset, value)
            self.refused(text)
        end = data.index(b"PK\5\6")
        for offset, value, text in ((10, b"\xff\xff", "outside the file"), (12, b"\xff\xff\xff\x7f", "outside the file"),
                                    (16, b"\xff\xff\xff\x7f", "outside the file"), (20, b"\1\0", "end is missing"), (10, b"\2\0", "outside")):
            with open(self.path, "wb") as f:
                f.write(data)
            self.patch(end + offset, value)
            self.refused(text)

    def test_bomb(self):
        """Entries that share their data: each fits the file, together they do not."""
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr("x.npy", npy(np.zeros(1_000_000)))
        data = contents(self.path)
        start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
        record, n = data[start:end], 5
        with open(self.path, "wb") as f:
            f.write(data[:start] + b"".join(record.replace(b"x.npy", b"%d.npy" % i) for i in range(n)))
            f.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, n, n, n * len(record), start, 0))
        self.refused("do not fit the file")

    def test_names(self):
        self.entry(b"x", name="readme.txt")
        self.refused("'readme.txt' is not an .npy file")
        with self.assertWarns(UserWarning), zipfile.ZipFile(self.path, "w") as z:
            z.writestr("x.npy", npy(np.zeros(1)))
            z.writestr("x.npy", npy(np.zeros(1)))
        self.refused("'x' is given twice")

    def test_not_archives(self):
        for data, text in ((b"", "not an npz"), (b"PK", "not an npz"), (b"PK\5\6", "end is missing"), (b"hello" * 100, "not an npz")):
            with open(self.path, "wb") as f:
                f.write(data)
            self.refused(text)
        os.remove(self.path)
        os.mkdir(self.path)
        self.refused("Is a directory")

    def test_broken_anywhere(self):
        arrays = {"a": np.arange(40, dtype=np.float32), "b": np.asfortranarray(np.ones((2, 3), np.int64))}
        for save in (np.savez, np.savez_compressed):
            save(self.path, **arrays)
            for command in (("prefixes", self.path), ("corrupt", self.path, 1, 3000)):
                r = tool(*command)
                self.assertEqual(r.returncode, 0, r.stderr)

    def test_unwritable(self):
        np.savez(self.path, x=np.zeros(3))
        self.out = os.path.join(self.folder.name, "no", "out.npz")
        self.refused("cannot write", "No such file")
        if os.path.exists("/dev/full"):
            self.out = "/dev/full"
            self.refused("cannot write '/dev/full': No space left")
        self.out = self.folder.name
        self.refused("cannot write", "Is a directory")

    def test_link_stays(self):
        np.savez(self.path, x=np.zeros(3))
        target, link = (os.path.join(self.folder.name, n) for n in ("target.npz", "link.npz"))
        open(target, "w").close()
        os.chmod(target, 0o640)
        os.symlink(target, link)
        self.assertEqual(tool("copy", self.path, link).returncode, 0)
        self.assertTrue(os.path.islink(link))
        self.assertEqual(np.load(target)["x"].shape, (3,))
        self.assertEqual(os.stat(target).st_mode & 0o777, 0o640)


if __name__ == "__main__":
    unittest.main()
