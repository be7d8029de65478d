#!/usr/bin/env python3
"""Language models token by token: tokens a second for weights of f32, f16, bf16, 8 and 4 bits, and the share of memory bandwidth that reading them takes, beside
ONNX Runtime on the same file.

  decode.py [--bin DIR] [--formats f32,f16,bf16,int8,int4] [--block N] [--tokens 64] [--past 64] [--rounds 3] [--perplexity] [--keep DIR] [--no-peer] MODEL.onnx

The model has the cache as inputs past_key_values.* and outputs present.*. Contestants are interleaved, one thread, called from Python; the least time of the
rounds counts. Bandwidth is that of a sum over 256 MB in the same run; the share is (bytes of weights in the program) / time / bandwidth.
--perplexity: how likely each format finds a text that the float model has drawn with a fixed seed, and how many greedy tokens agree with it.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}


class Decoder:
    """A session that takes tokens and keeps its cache."""

    def __init__(self, session):
        self.session = session
        self.inputs = session.get_inputs()
        self.outputs = [o.name for o in session.get_outputs()]
        self.reset()

    def reset(self):
        self.length = 0
        self.cache = {i.name: np.zeros([d if isinstance(d, int) else 1 if at == 0 else 0 for at, d in enumerate(i.shape)], TYPES[i.type])
                      for i in self.inputs if i.name.startswith("past_key_values")}

    def step(self, tokens):
        """Logits [tokens, vocabulary]."""
        count = len(tokens)
        feed = dict(self.cache, input_ids=np.array([tokens], np.int64))
        names = {i.name for i in self.inputs}
        if "position_ids" in names:
            feed["position_ids"] = np.arange(self.length, self.length + count, dtype=np.int64)[None]
        if "attention_mask" in names:
            feed["attention_mask"] = np.ones([1, self.length + count], np.int64)
        results = dict(zip(self.outputs, self.session.run(None, feed)))
        for name in self.cache:
            self.cache[name] = results[name.replace("past_key_values", "present")]
        self.length += count
        return results["logits"][0]

    def greedy(self, prompt, count):
        self.reset()
        tokens, logits = list(prompt), self.step(prompt)
        while len(tokens) < len(prompt) + count:
            tokens.append(int(logits[-1].argmax()))
            logits = self.step(tokens[-1:])
        return tokens

    def seconds(self, prompt, count):
        """Of one token, the cache growing from the prompt on."""
        self.reset()
        token, times = int(self.step(prompt)[-1].argmax()), []
        for _ in range(count):
            start = time.perf_counter()
            logits = self.step([token])
            times.append(time.perf_counter() - start)
            token = int(logits[-1].argmax())
        return float(np.median(times))


def drawn(decoder, prompt, count, seed=1, temperature=1.0):
    rng = np.random.default_rng(seed)
    decoder.reset()
    tokens, logits = list(prompt), decoder.step(prompt)
    while len(tokens) < len(prompt) + count:
        p = np.exp((logits[-1].astype(np.float64) - logits[-1].max()) / temperature)
        tokens.append(int(rng.choice(len(p), p=p / p.sum())))
        logits = decoder.step(tokens[-1:])
    return tokens


def perplexity(decoder, tokens):
    decoder.reset()
    logits = decoder.step(tokens[:-1]).astype(np.float64)
    logits -= logits.max(1, keepdims=True)
    chances = logits[np.arange(len(tokens) - 1), tokens[1:]] - np.log(np.exp(logits).sum(1))
    return float(np.exp(-chances.mean()))


def bandwidth():
    """Bytes a second of one thread reading memory."""
    data = np.ones(64 << 20, np.float32)
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        np.add.reduce(data)
        best = min(best, time.perf_counter() - start)
    return data.nbytes / best


def weights_bytes(path, arguments, folder):
    """Of a program for the model, and the program's size."""
    program = os.path.join(folder, "program")
    subprocess.run([os.path.join(arguments.bin, "burin-compile"), path, "-o", program], check=True)
    described = json.loads(subprocess.run([os.path.join(arguments.bin, "burin-run"), program, "--describe"], check=True, capture_output=True, text=True).stdout)
    return described["weights_bytes"], os.path.getsize(program)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--formats", default="f32,f16,bf16,int8,int4")
    parser.add_argument("--block", help="of int8 and int4; the quantizer's own choice where not given")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--past", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--perplexity", action="store_true")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--no-size", action="store_true")
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    sys.path.insert(0, os.path.join(os.path.dirname(arguments.bin), "python"))
    import burin
    with tempfile.TemporaryDirectory() as folder:
        folder = arguments.keep or folder
        os.makedirs(folder, exist_ok=True)
        rows = {}
        for name in arguments.formats.split(","):
            path = arguments.model
            if name != "f32":
                path = os.path.join(folder, "%s.%s.onnx" % (os.path.basename(arguments.model).removesuffix(".onnx"), name))
                blocks = ["--block=" + arguments.block] if arguments.block and name.startswith("int") else []
                if not os.path.exists(path):
                    subprocess.run([os.path.join(arguments.bin, "burin-quantize"), arguments.model, "--weights-only=" + name, *blocks, "-o", path], check=True, stdout=sys.stderr)
            row = rows[name] = {"burin": Decoder(burin.InferenceSession(path)), "file": os.path.getsize(path)}
            row["weights"], row["program"] = (0, 0) if arguments.no_size else weights_bytes(path, arguments, folder)
            if not arguments.no_peer:
                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = 1
                row["peer"] = Decoder(onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]))
        prompt = [1] + [int(t) for t in np.random.default_rng(2).integers(3, 400, arguments.past - 1)]
        speed = bandwidth()
        print("memory %.1f GB/s" % (speed / 1e9))
        best = {}
        for _ in range(arguments.rounds):
            for name, row in rows.items():
                for who in ("burin", "peer"):
                    if who in row:
                        best[name, who] = min(best.get((name, who), np.inf), row[who].seconds(prompt, arguments.tokens))
        print("%-6s %10s %10s %10s %12s %10s %8s" % ("format", "file MB", "weights MB", "program MB", "tokens/s", "ORT", "share"))
        for name, row in rows.items():
            own, peer = best[name, "burin"], best.get((name, "peer"), np.nan)
            print("%-6s %10.2f %10.2f %10.2f %12.1f %10.1f %7.0f%%" % (name, row["file"] / 1e6, row["weights"] / 1e6, row["program"] / 1e6, 1 / own, 1 / peer,
                                                                  100 * row["weights"] / own / speed))
        if arguments.perplexity:
            whole = rows["f32"]["burin"]
            text, greedy = drawn(whole, [1], 400), whole.greedy([1], 200)
            print("%-6s %12s %s" % ("format", "perplexity", "greedy tokens as of f32"))
            for name, row in rows.items():
                own = row["burin"].greedy([1], 200)
                same = next((i for i, (a, b) in enumerate(zip(own, greedy)) if a != b), len(own)) - 1
                print("%-6s %12.4f %d" % (name, perplexity(row["burin"], text), same))
            print("artifacts a session: %s" % sorted({1 + len(row["burin"].session._cache) for row in rows.values()}))


if __name__ == "__main__":
    main()
