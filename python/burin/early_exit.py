"""What early exits would save: share and multiplications of each exit on samples, and the curve of cost over the threshold.

    python -m burin.early_exit net.onnx --head aux0 --head aux1 --samples a.npz b.npz --threshold 0.8 --html exits.html

`report(model, heads, samples)` gives the same as a dict. The network runs once a sample with all its heads; which exit a threshold takes
follows from their confidences, as burin-compile's --early-exit decides: the largest probability, the least of a batch, at least T.
"""
import argparse
import html
import json
import os
import re
import sys
import tempfile

import numpy as np

from ._session import InferenceSession, compile


def _exits(model, heads):
    """Exits in order with the multiplications up to each, as the compiler counts them."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "exits.mlir")
        compile(model, path, emit="mlir", stop_after="graph", early_exit=list(heads))
        with open(path, encoding="utf-8") as f:
            found = re.search(r'burin\.early_exit = "((?:[^"\\]|\\.)*)"', f.read())
    return json.loads(re.sub(r"\\([0-9A-Fa-f]{2})", lambda m: chr(int(m.group(1), 16)), found.group(1)))


def _confidence(scores, is_probability):
    scores = np.asarray(scores, np.float32)
    if not is_probability:
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores = scores / scores.sum(-1, keepdims=True)
    return float(scores.max(-1).min()) if scores.size else 0.0


def report(model, heads, samples, threshold=0.9, steps=100, **options):
    """heads: names of outputs; samples: feeds, each a dict of arrays. Returns
    {"exits": [{"exit", "macs", "share"}], "macs", "threshold", "curve": [{"threshold", "macs", "shares", "agreement"}], "taken": [...]};
    agreement: how often the exit's class is the network's own. Options as burin.compile has them."""
    exits = _exits(model, heads)
    session = InferenceSession(model, **options)
    names = [e["exit"] for e in exits]
    confidences, classes = [], []
    for feed in samples:
        outputs = session.run(names, feed)
        confidences.append([_confidence(o, e["probabilities"]) for o, e in zip(outputs[:-1], exits)])
        classes.append([np.asarray(o).argmax(-1) for o in outputs])
    if not confidences:
        raise ValueError("expected at least one sample, got none")

    def at(t):
        taken = [next((i for i, c in enumerate(row) if c >= np.float32(t)), len(exits) - 1) for row in confidences]
        shares = [taken.count(i) / len(taken) for i in range(len(exits))]
        agreement = float(np.mean([np.mean(c[i] == c[-1]) for i, c in zip(taken, classes)]))
        return taken, {"threshold": t, "macs": sum(s * e["macs"] for s, e in zip(shares, exits)), "shares": shares, "agreement": agreement}

    taken, now = at(threshold)
    rows = [{"exit": e["exit"], "macs": e["macs"], "share": s} for e, s in zip(exits, now["shares"])]
    curve = [at(i / steps)[1] for i in range(steps + 1)]
    return {"exits": rows, "macs": now["macs"], "agreement": now["agreement"], "threshold": threshold, "samples": len(confidences), "curve": curve, "taken": taken}


def text(result):
    full = result["exits"][-1]["macs"] or 1
    lines = [f"{result['samples']} samples, threshold {result['threshold']:g}", f"{'exit':24s} {'share':>7s} {'MACs to here':>16s} {'of all':>7s}"]
    lines += [f"{e['exit']:24s} {e['share']:7.1%} {e['macs']:16,d} {e['macs'] / full:7.1%}" for e in result["exits"]]
    lines += [f"{'on average':24s} {'':7s} {result['macs']:16,.0f} {result['macs'] / full:7.1%}", f"class as without exits: {result['agreement']:.1%}", "", f"{'T':>6s} {'MACs':>14s} {'of all':>7s} {'agree':>7s}"]
    lines += [f"{c['threshold']:6.2f} {c['macs']:14,.0f} {c['macs'] / full:7.1%} {c['agreement']:7.1%}" for c in result["curve"][:: max(1, len(result["curve"]) // 20)]]
    return "\n".join(lines)


def svg(result, width=640, height=320):
    """The curve of cost (blue) and agreement (orange) over the threshold; the share of each exit as shades behind."""
    full, left, top = result["exits"][-1]["macs"] or 1, 50, 14
    w, h = width - left - 14, height - top - 34
    x, y = lambda t: left + t * w, lambda v: top + (1 - v) * h
    line = lambda key, scale: " ".join(f"{x(c['threshold']):.1f},{y(key(c) / scale):.1f}" for c in result["curve"])
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" font-family="sans-serif" font-size="11">']
    below = [0.0] * len(result["curve"])
    for i in range(len(result["exits"])):
        above = [b + c["shares"][i] for b, c in zip(below, result["curve"])]
        points = [f"{x(c['threshold']):.1f},{y(v):.1f}" for c, v in zip(result["curve"], above)] + [f"{x(c['threshold']):.1f},{y(v):.1f}" for c, v in reversed(list(zip(result["curve"], below)))]
        parts.append(f'<polygon points="{" ".join(points)}" fill="hsl(210,30%,{96 - 8 * i}%)"><title>{html.escape(result["exits"][i]["exit"])}</title></polygon>')
        below = above
    for v in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line x1="{left}" x2="{left + w}" y1="{y(v)}" y2="{y(v)}" stroke="#0002"/><text x="{left - 6}" y="{y(v) + 4}" text-anchor="end">{v:.0%}</text>')
        parts.append(f'<text x="{x(v)}" y="{top + h + 16}" text-anchor="middle">{v:g}</text>')
    parts.append(f'<polyline points="{line(lambda c: c["macs"], full)}" fill="none" stroke="#1f5fbf" stroke-width="2"/>')
    parts.append(f'<polyline points="{line(lambda c: c["agreement"], 1)}" fill="none" stroke="#d97b1f" stroke-width="2"/>')
    parts.append(f'<line x1="{x(result["threshold"])}" x2="{x(result["threshold"])}" y1="{top}" y2="{top + h}" stroke="#0008" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{left + w / 2}" y="{height - 4}" text-anchor="middle">threshold; multiplications (blue), class as without exits (orange), shares of exits behind</text></svg>')
    return "".join(parts)


def page(result, title):
    rows = "".join(f"<tr><td>{html.escape(e['exit'])}</td><td>{e['share']:.1%}</td><td>{e['macs']:,d}</td></tr>" for e in result["exits"])
    return (f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title><style>body{{font:14px sans-serif;margin:2em}}td,th{{padding:2px 14px;text-align:right}}"
            f"td:first-child{{text-align:left}}</style><h1>{html.escape(title)}</h1><p>{result['samples']} samples, threshold {result['threshold']:g}: "
            f"{result['macs']:,.0f} multiplications on average, class as without exits in {result['agreement']:.1%}</p>"
            f"<table><tr><th>exit</th><th>share</th><th>MACs to here</th></tr>{rows}</table>{svg(result)}")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m burin.early_exit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--head", action="append", required=True, help="an output that is a head; may be repeated")
    parser.add_argument("--samples", nargs="+", required=True, help="npz files, each the inputs of one run")
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--html", help="write the table and the curve as a page")
    parser.add_argument("--json", help="write all of it as JSON")
    given = parser.parse_args(arguments)
    result = report(given.model, given.head, [dict(np.load(s)) for s in given.samples], given.threshold)
    print(text(result))
    for path, content in ((given.html, page(result, os.path.basename(given.model))), (given.json, json.dumps(result))):
        if path:
            with open(path, "w", encoding="utf-8") as f:
                f.write(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
