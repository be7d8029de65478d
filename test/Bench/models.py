#!/usr/bin/env python3
"""Every model beside its peers and beside the machine, as a table in Markdown: where the time goes that is neither.

usage: models.py [--bin DIR] [--threads N] [--rounds N] [--seconds S] [--above R] MODEL.onnx...     NAME.inputs.npz beside a model holds its inputs

ratio = Burin / the faster of ONNX Runtime and OpenVINO, both at f32 and both optional (pip install onnxruntime openvino); all are called through Python, take
turns, and the median of all rounds counts. roof = what the layers would take at the machine's measured peak and bandwidth (burin-run --profile), as a share
of what the program takes. Where the ratio is above R (0.8), or there are no peers, the last column says which kinds of layers lose most against the roof: their
share of the time, what part of it is above the roof and the layer among them that loses most; `between` is what no layer has. Where a model is slower than wanted
and its roof is near 100 %, the machine forbids more: only fewer operations would help.
"""
import argparse
import json
import os
import statistics
import subprocess
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def burin(path, feed, threads):
    import burin as package
    session = package.InferenceSession(path, threads=threads)
    names = [i.name for i in session.get_inputs()]
    given = {n: feed[n] for n in names if n in feed}
    return lambda: session.run(None, given)


def onnxruntime(path, feed, threads):
    import onnxruntime as runtime
    runtime.set_default_logger_severity(4)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = {i.name: feed[i.name] for i in session.get_inputs() if i.name in feed}
    return lambda: session.run(None, given)


def openvino(path, feed, threads):
    import openvino as runtime
    model = runtime.Core().read_model(path)
    free = {name: list(feed[name].shape) for port in model.inputs for name in port.names if name in feed and port.partial_shape.is_dynamic}
    if free:
        model.reshape(free)
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = runtime.Core().compile_model(model, "CPU", settings).create_infer_request()
    given = {name: feed[name] for port in model.inputs for name in port.names if name in feed}
    return lambda: request.infer(given, share_inputs=True, share_outputs=True)


def milliseconds(call, seconds):
    call()
    times, start = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(times)


def compare(path, feed, threads, rounds, seconds):
    """Median milliseconds of each contestant that works."""
    calls, times = {}, {}
    for make in (burin, onnxruntime, openvino):
        try:
            calls[make.__name__] = make(path, feed, threads)
            calls[make.__name__]()
        except Exception as error:  # a peer that is missing or cannot
            calls.pop(make.__name__, None)
            if make is burin:
                raise RuntimeError(str(error).splitlines()[0] if str(error) else "failed") from error
    for _ in range(rounds):
        for name, call in calls.items():
            times.setdefault(name, []).append(milliseconds(call, seconds))
    return {name: statistics.median(all_times) for name, all_times in times.items()}


def profile(tool, path, inputs, threads, seconds):
    """The trace of burin-run --profile, and the median of runs without it."""
    words = [tool, path, "--threads", str(threads), "--profile=-", f"--bench={seconds}"] + (["--inputs", inputs] if inputs else [])
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"status {done.returncode}")
    trace, _, bench = done.stdout.rpartition('\n{"median_ms"')
    return json.loads(trace), json.loads('{"median_ms"' + bench)["median_ms"]


def account(trace):
    """Milliseconds the layers would take at the roof, and which kinds of layers lose most against it. One that does fewer operations than it is counted for,
    as Winograd convolution does, is at the roof."""
    kinds, run, inside, least = {}, trace["profile"]["run_ms"], 0, 0
    for event in trace["traceEvents"]:
        layer = event.get("args", {})
        if "median_ms" in layer:
            took, lost = layer["median_ms"], max(0, layer["median_ms"] - layer["roofline_ms"])
            kind = kinds.setdefault((layer["kind"], layer["bound"]), {"took": 0, "lost": 0, "worst": (-1, "")})
            kind["took"] += took
            kind["lost"] += lost
            kind["worst"] = max(kind["worst"], (lost, event["name"]))
            inside += took
            least += took - lost
    share = lambda ms: f"{100 * ms / run:.0f}%"
    losses = [(k["lost"], f"{name} ({bound}) {share(k['took'])} of the time, {share(k['lost'])} lost, most in {k['worst'][1][:40]}") for (name, bound), k in kinds.items()]
    losses.append((run - inside, f"between {share(run - inside)}"))
    return least, "; ".join(text for _, text in sorted(losses, reverse=True)[:2])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=float, default=0.2, help="of each contestant in each round")
    ap.add_argument("--above", type=float, default=0.8)
    ap.add_argument("models", nargs="+")
    a = ap.parse_args()
    print("| model | Burin, ms | best peer, ms | ratio | roof | where the rest goes |\n|---|---|---|---|---|---|")
    ratios = []
    for path in a.models:
        name, inputs = os.path.basename(path)[:-5], path[:-5] + ".inputs.npz"
        inputs = inputs if os.path.exists(inputs) else None
        try:
            feed = dict(np.load(inputs)) if inputs else {}
            times = compare(path, feed, a.threads, a.rounds, a.seconds)
            trace, alone = profile(os.path.join(a.bin, "burin-run"), path, inputs, a.threads, a.seconds)
        except (RuntimeError, OSError) as error:
            print(f"| {name} | {error} |", flush=True)
            continue
        own = times.pop("burin")
        best = min(times.values(), default=None)
        ratio = own / best if best else None
        ratios += [ratio] if ratio else []
        least, why = account(trace)
        why = why if ratio is None or ratio > a.above else ""
        print(f"| {name} | {own:.3g} | {f'{best:.3g}' if best else ''} | {f'{ratio:.2f}' if ratio else ''} | {100 * least / alone:.0f}% | {why} |", flush=True)
    if ratios:
        print(f"\n{len(ratios)} models, geometric mean {np.exp(np.mean(np.log(ratios))):.3f}, {sum(r > 1.03 for r in ratios)} above 1.03")


if __name__ == "__main__":
    main()
