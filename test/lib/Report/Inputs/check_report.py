"""The report's data is whole and consistent, and the page needs nothing else."""
import json
import os
import re
import sys

page = open(os.path.join(sys.argv[1], "index.html")).read()
data = json.load(open(os.path.join(sys.argv[1], "report.json")))
held = re.search(r"const data = (\{.*\});\n</script>", page)
assert json.loads(held.group(1)) == data
assert not re.search(r'(src|href)="(?!#)', page) and "@import" not in page
for graph in (data["before"], data["after"]):
    kinds = [n["op"] for n in graph["nodes"]]
    assert kinds.count("Input") == kinds.count("Output") == 1 and kinds.count("Conv") == 2, kinds
    assert all(0 <= k < i for i, n in enumerate(graph["nodes"]) for k in n["in"])
    assert graph["macs"] == 2801664
memory = data["memory"]
assert memory["slots"] and all(s["offset"] + s["bytes"] <= memory["arena"] and 0 <= s["first"] <= s["last"] <= memory["steps"] for s in memory["slots"])
# Buffers in use at once do not overlap, but where one is a part of another.
for i, a in enumerate(memory["slots"]):
    for b in memory["slots"][:i]:
        if a["first"] < b["last"] and b["first"] < a["last"]:
            x, y = (a["offset"], a["offset"] + a["bytes"]), (b["offset"], b["offset"] + b["bytes"])
            inside = (x[0] >= y[0] and x[1] <= y[1]) or (y[0] >= x[0] and y[1] <= x[1])
            assert x[1] <= y[0] or y[1] <= x[0] or inside, (a, b)
assert len(data["layers"]) >= 2 and {s["stage"] for s in data["stages"]} >= {"import", "graph", "lower", "tensor", "target", "emit"}
if len(sys.argv) > 2:
    profile = data["profile"]
    assert profile["run_ms"] > 0 and profile["roofline_ms"] > 0 and profile["gflops_peak"] > 1 and profile["bandwidth"]
    assert [layer["layer"] for layer in profile["layers"]] == list(range(len(data["layers"])))
    assert all(layer["median_ms"] >= 0 and layer["bound"] in ("fma", "memory") for layer in profile["layers"])
print("report: ok")
