"""The command line of a program, end to end: what it prints, writes and refuses.

usage: cli_test.py [RUNNER...] PROGRAM   PROGRAM is fake_model.c linked with the runtime: y = x * n, sum = sum(x)
"""
import json, os, subprocess, sys, tempfile, unittest
import numpy as np

COMMAND = sys.argv[1:]
del sys.argv[1:]
NAME = os.path.basename(COMMAND[-1])


class Cli(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.x = np.arange(6, dtype=np.float32).reshape(2, 3)
        self.n = np.array(3, np.int64)
        self.inputs = self.save("in.npz", **{"x": self.x, "n=1": self.n})

    def path(self, name):
        return os.path.join(self.folder, name)

    def save(self, name, **arrays):
        np.savez_compressed(self.path(name), **arrays)
        return self.path(name)

    def program(self, *args):
        return subprocess.run(COMMAND + list(args), capture_output=True, text=True, cwd=self.folder)

    def good(self, *args):
        r = self.program(*args)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        return r.stdout

    def refused(self, text, *args):
        before = sorted(os.listdir(self.folder))
        r = self.program(*args)
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertTrue(r.stderr.startswith(NAME + ": error: ") and r.stderr.count("\n") == 1, r.stderr)
        self.assertIn(text, r.stderr)
        self.assertEqual(before, sorted(os.listdir(self.folder)))

    def test_outputs(self):
        self.assertEqual(self.good("--inputs", self.inputs, "--outputs=out.npz"), "")
        with np.load(self.path("out.npz")) as z:
            self.assertEqual(z.files, ["y", "sum"])
            np.testing.assert_array_equal(z["y"], self.x * 3)
            self.assertEqual((z["sum"].shape, z["sum"].dtype, float(z["sum"])), ((), np.float64, 15.0))

    def test_single_inputs_and_threads(self):
        np.save(self.path("x.npy"), np.asfortranarray(self.x))
        np.save(self.path("n.npy"), self.n)
        self.good("--input", "x=x.npy", "--input=n=1=n.npy", "--threads", "3", "--outputs", "out.npz")
        np.testing.assert_array_equal(np.load(self.path("out.npz"))["y"], self.x * 3)

    def test_summary(self):
        out = self.good("--inputs", self.inputs)
        self.assertIn("output 'y' float32[2,3]: min 0, max 15, mean 7.5", out)
        self.assertIn("output 'sum' float64[]: min 15", out)

    def test_expect(self):
        y = self.x * 3
        self.save("good.npz", y=y, sum=np.float64(15))
        out = self.good("--inputs", self.inputs, "--expect", "good.npz")
        self.assertIn("output 'y': as expected, largest difference 0, 0 of 6 beyond rtol 0.001 atol 1e-05", out)
        y[1, 2] += 1
        self.save("off.npz", y=y)
        r = self.program("--inputs", self.inputs, "--expect", "off.npz")
        self.assertEqual(r.returncode, 1)
        self.assertIn("output 'y': differs, largest difference 1, 1 of 6 beyond", r.stdout)
        self.assertEqual(r.stderr, f"{NAME}: error: output 'y' differs from 'off.npz'\n")
        self.good("--inputs", self.inputs, "--expect", "off.npz", "--rtol", "0.1")
        self.good("--inputs", self.inputs, "--expect", "off.npz", "--rtol", "0", "--atol=1")
        for bad in (np.nan, np.inf):
            y[0, 0] = bad
            self.save("bad.npz", y=y)
            self.refused("differs", "--inputs", self.inputs, "--expect", "bad.npz", "--rtol", "1", "--atol", "1")
        self.save("other.npz", z=y)
        self.refused("has no output 'z'; it has 'y' float32[2,3], 'sum' float64[]", "--inputs", self.inputs, "--expect", "other.npz")
        self.save("type.npz", y=y.astype(np.float64))
        self.refused("output 'y': expected float64[2,3], got float32[2,3]", "--inputs", self.inputs, "--expect", "type.npz")
        self.save("none.npz")
        self.refused("holds no arrays", "--inputs", self.inputs, "--expect", "none.npz")
        self.refused("cannot read 'missing.npz'", "--inputs", self.inputs, "--expect", "missing.npz")

    def test_bench(self):
        for args in (["--bench=0.05"], ["--bench=0.05", "--inputs", self.inputs, "--threads", "2"], ["--bench=0"]):
            line = json.loads(self.good(*args).splitlines()[-1])
            self.assertEqual(list(line), ["median_ms", "min_ms", "p90_ms", "runs", "arena_bytes", "weights_bytes", "code_bytes"])
            self.assertTrue(0 <= line["min_ms"] <= line["median_ms"] <= line["p90_ms"])
            self.assertGreaterEqual(line["runs"], 3)
            self.assertEqual((line["arena_bytes"], line["weights_bytes"]), (1000, 64))
            self.assertGreater(line["code_bytes"], 1000)

    def test_profile(self):
        out = self.good("--inputs", self.inputs, "--bench=0.02", "--profile=trace.json").splitlines()
        self.assertEqual(out[0].split()[:2], ["layer", "kind"])
        self.assertEqual(out[1].split()[:2] + out[1].split()[-1:], ["0", "elementwise", 'mul"1"'])
        self.assertEqual(out[2].split()[:2], ["1", "reduce"])
        self.assertIn("measured", out[-2])
        self.assertGreater(json.loads(out[-1])["runs"], 2)
        with open(self.path("trace.json")) as f:
            trace = json.load(f)
        names = [e["name"] for e in trace["traceEvents"]]
        self.assertEqual(names, ["process_name", "run", 'mul"1"', "reduce"])
        profile, layers = trace["profile"], [e["args"] for e in trace["traceEvents"][2:]]
        self.assertTrue(profile["roofline_ms"] > 0 and profile["gflops_peak"] > 0 and profile["gops_peak"] > 0)
        self.assertEqual([b["bytes"] for b in profile["bandwidth"]], [16384])  # all that so small a model needs
        self.assertEqual([layer["flops"] for layer in layers], [6, 6])
        self.assertLessEqual({layer["bound"] for layer in layers}, {"memory", "fma"})  # an emulator has other proportions
        trace = json.loads(self.good("--bench=0", "--profile=-").rpartition('\n{"median_ms"')[0])
        self.assertEqual(len(trace["traceEvents"]), 4)
        one = self.good("--bench=0", "--profile-layer=1").splitlines()
        self.assertEqual([line.split()[:2] for line in one[:-2]], [["layer", "kind"], ["1", "reduce"]])
        self.refused("--profile-layer: there are layers 0 to 1, got 2", "--profile-layer", "2")
        self.assertIn("median of", self.good("--profile", "--bench=0", "--threads=2"))
        self.refused("cannot write", "--bench=0", "--profile=no/trace.json")

    def test_describe(self):
        out = self.good("--describe")
        for text in ("model: fake", "'x' float32[2,3]  24 bytes", "'n=1' int64[]", "'sum' float64[]  8 bytes",
                     "arena: 1000 bytes (1000 bytes); 1.042 times the 960 bytes that live at once",
                     "weights: 64 bytes (64 bytes) in 1 tensors, 1 of them packed; 1.067 times", "layers: 2,",
                     "base, needs nothing special; runs on this CPU", 'manifest: {"source":"by hand"}'):
            self.assertIn(text, out)
        self.assertIn("model 'fake'", self.good("--version"))
        out = self.good("--help")
        for flag in "--inputs --input --outputs --expect --rtol --atol --bench --profile --profile-layer --threads --describe --version examples:".split():
            self.assertIn(flag, out)
        self.assertEqual(out, self.good("-h"))

    def test_flags(self):
        for text, *args in (("unknown flag '--nope'; see --help", "--nope"), ("unknown flag '-x'", "-x"), ("unknown flag '--inputsy", "--inputsy=3"),
                            ("unexpected argument 'file'", "file"), ("--inputs needs a value", "--inputs"),
                            ("--describe takes no value", "--describe=1"), ("--threads: expected a number from 1 to 1024, got '0'", "--threads", "0"),
                            ("--threads: expected a whole number, got '1.5'", "--threads=1.5"), ("--bench: expected a number", "--bench=x"),
                            ("--bench: expected", "--bench=nan"), ("--rtol: expected a number", "--rtol", "-1"), ("--atol: expected", "--atol="),
                            ("expected NAME=FILE.npy, got 'x'", "--input", "x")):
            self.refused(text, *args)

    def test_inputs(self):
        self.refused("missing input 'x', expected float32[2,3]; give --inputs")
        self.refused("missing input 'n=1', expected int64[]", "--inputs", self.save("a.npz", x=self.x), "--outputs", "o.npz")
        self.refused("missing input", "--bench", "--inputs", self.save("a.npz", x=self.x))
        self.refused("missing input", "--bench", "--outputs", "o.npz")
        self.refused("the model has no input 'z'; expected 'x' float32[2,3], 'n=1' int64[]",
                     "--inputs", self.save("b.npz", **{"x": self.x, "n=1": self.n, "z": self.n}), "--outputs", "o.npz")
        self.refused("the model has no input 'a?b'", "--inputs", self.save("b.npz", **{"a\nb": self.n}), "--outputs", "o.npz")
        self.refused("input 'x': expected float32[2,3], got float32[3,2]",
                     "--inputs", self.save("c.npz", **{"x": self.x.reshape(3, 2), "n=1": self.n}), "--outputs", "o.npz")
        self.refused("input 'x': expected float32[2,3], got float64[2,3]",
                     "--inputs", self.save("d.npz", **{"x": self.x.astype(np.float64), "n=1": self.n}), "--outputs", "o.npz")
        self.refused("input 'n=1': expected int64[], got int64[1]",
                     "--inputs", self.save("e.npz", **{"x": self.x, "n=1": self.n.reshape(1)}), "--outputs", "o.npz")
        np.save(self.path("x.npy"), self.x)
        self.refused("'x' is given twice", "--inputs", self.inputs, "--input", "x=x.npy")

    def test_files(self):
        self.refused("cannot read 'missing.npz': No such file", "--inputs", "missing.npz", "--outputs", "o.npz")
        self.refused("cannot read 'missing.npy': No such file", "--input", "x=missing.npy")
        with open(self.inputs, "rb") as f:
            data = f.read()
        for name, content, text in (("text.npz", b"hello", "'text.npz': not an npz file"), ("short.npz", data[:-30], "'short.npz': truncated")):
            with open(self.path(name), "wb") as f:
                f.write(content)
            self.refused(text, "--inputs", name, "--outputs", "o.npz")
        self.refused("cannot write 'no/o.npz': No such file", "--inputs", self.inputs, "--outputs", "no/o.npz")

    def test_failing_model(self):
        self.refused("internal error", "--inputs", self.save("big.npz", **{"x": self.x + 1e7, "n=1": self.n}), "--outputs", "o.npz")


if __name__ == "__main__":
    unittest.main()
