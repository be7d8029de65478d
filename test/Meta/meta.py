"""Checks on the tree itself: what CONVENTIONS ask of every pass, file and room. Prints a line a failure and "N passed, N failed".

A check is a function that yields (subject, problem or None); one result is counted for each subject.
"""
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")))
SOURCES = (".cpp", ".h", ".c", ".td", ".py", ".mlir", ".pdll")
# The road, left to right: a room includes rooms on its left only.
ROAD = ["include/burin", "runtime", "dialects", "lib/Support", "lib/Import", "lib/Export", "passes/Graph", "passes/Quant", "passes/Lower",
        "passes/Tensor", "passes/Cpu", "passes/Cuda", "passes/Vpu", "lib/Cost", "lib/Target", "lib/Image", "lib/Report", "lib/Pipeline", "lib/Calibrate", "lib/CAPI", "tools"]
SEES_PASSES = {"lib/Pipeline", "lib/Calibrate", "lib/CAPI", "tools"}


def tracked():
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [f for f in out.splitlines() if os.path.exists(os.path.join(ROOT, f))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def room_of(path):
    fits = [r for r in ROAD if path.startswith(r + "/")]
    return max(fits, key=len) if fits else None


def lengths(files):
    for f in files:
        if f.endswith(SOURCES) and not os.path.basename(f).startswith("LICENSE"):
            n = read(f).count("\n")
            yield f, f"{n} lines, more than 800: split it by family or phase" if n > 800 else None


def layering(files):
    for f in files:
        room = room_of(f)
        if not room or not f.endswith((".cpp", ".h", ".c")):
            continue
        problem = None
        for include in re.findall(r'^\s*#include "([^"]+)"', read(f), re.M):
            other = "include/burin" if include.startswith("burin/") else room_of(include)
            if other is None or other == room:
                continue
            if room.startswith("passes/") and other.startswith("passes/"):
                problem = f"a pass room includes another: {include}"
            elif other.startswith("passes/") and room not in SEES_PASSES:
                problem = f"only lib/Pipeline and what is above it see the pass rooms: {include}"
            elif ROAD.index(other) > ROAD.index(room) and not (room == "runtime" and other == "include/burin"):
                problem = f"includes a room on its right: {include}"
        yield f, problem


def passes(files):
    tds = [f for f in files if re.fullmatch(r"passes/\w+/Passes\.td", f)]
    for td in tds:
        room, text = td.split("/")[1], read(td)
        names = []
        for m in re.finditer(r'def (\w+)\s*:\s*(?:Pass|InterfacePass)<"([\w-]+)"[^{]*\{(.*?)\n\}', text, re.S):
            name, flag, body = m.groups()
            names.append(name)
            what = f"{td}: {name}"
            summary = re.search(r'let summary =\s*"([^"]+)"', body)
            description = re.search(r"let description = \[\{(.*?)\}\]", body, re.S)
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()
            problem = None
            if not summary or summary.group(1).endswith("."):
                problem = "wants a summary: one imperative sentence without a full stop"
            elif not description:
                problem = "wants a description"
            elif flag not in (f"{room.lower()}-{words}", words):
                problem = f"flag {flag} is not {room.lower()}-{words}"
            elif not os.path.exists(os.path.join(ROOT, "passes", room, name + ".cpp")):
                problem = f"passes/{room}/{name}.cpp is missing"
            else:
                example = re.search(r"Example:\s*(\S+)#(\w+)", description.group(1))
                if not example:
                    problem = "its description names no `Example: <test file>#<case>`"
                elif not os.path.exists(os.path.join(ROOT, example.group(1))):
                    problem = f"its example {example.group(1)} does not exist"
                elif example.group(2) not in read(example.group(1)):
                    problem = f"its example has no case {example.group(2)}"
            yield what, problem
        yield f"{td}: order", None if names == sorted(names) else "its passes are not in alphabetical order"


# What a test of a graph pass shows beside that it fires, and how one sees it: names of cases, remarks, types.
KINDS = {"near miss": r"\[Missed\]|error:|expected-error|near_miss|KEEP", "several uses": r"(several|two|other|many|another) uses?|uses\b|used\b|is read (itself|twice)", "free dims": r"tensor<[^>]*\?"}
# They change inputs and outputs as options say, or look at everything: uses make no difference.
ANY_USES = {"append-postprocessing", "bind-shapes", "build-early-exit", "extract-subgraph", "fold-constants", "fold-shapes", "infer-shapes", "insert-image-stage",
            "insert-preprocessing", "convert-precision", "verify-graph"}
# A frame's size is known when code is made.
NO_FREE_DIMS = {"insert-image-stage"}


def cases(files):
    for flag in re.findall(r'Pass<"(?:graph-)?([\w-]+)"', read("passes/Graph/Passes.td")):
        tests = "".join(read(f) for f in files if re.fullmatch(rf"test/passes/Graph/{flag}(-[\w-]+)?\.(mlir|test)", f))
        for kind, sign in KINDS.items():
            if (kind == "several uses" and flag in ANY_USES) or (kind == "free dims" and flag in NO_FREE_DIMS):
                continue
            yield f"test/passes/Graph/{flag}: {kind}", None if re.search(sign, tests) else f"no case of {kind}"


def rooms(files):
    for room in sorted({os.path.dirname(f) for f in files if re.fullmatch(r"(dialects|passes|lib)/\w+/CMakeLists\.txt", f)} | {"runtime"}):
        readme = os.path.join(room, "README.md")
        if readme not in files:
            yield room, "has no README.md"
        else:
            n = read(readme).count("\n")
            yield room, f"its README.md has {n} lines, more than 80" if n > 80 else None


def words(files):
    for f in files:
        if f.endswith(SOURCES + (".md", ".txt", ".sh", ".cmake")) or f.startswith("tools/"):
            text = read(f)
            found = re.search(r"/wo" + r"rk/|/ro" + r"ot/|\bTO" + r"DO\b|\bFIX" + r"ME\b", text)
            yield f"{f}: words", f"holds '{found.group(0)}'" if found else None


def formatting(files):
    tool = "/usr/bin/clang-format-22"
    if not os.path.exists(tool):
        return
    sources = [f for f in files if f.endswith((".cpp", ".h", ".c")) and not f.startswith("cmake/")]

    def one(f):
        r = subprocess.run([tool, "--dry-run", "--Werror", f], cwd=ROOT, capture_output=True, text=True)
        return f"{f}: format", "run clang-format-22 -i on it" if r.returncode else None

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(one, sources)


def roundtrip(files):
    opt = os.path.join(BUILD, "bin", "burin-opt")

    if not os.path.exists(opt):
        yield "round trips", "burin-opt is not built"
        return

    def one(f):
        r = subprocess.run([opt, f, "--split-input-file", "--verify-roundtrip", "-o", os.devnull], cwd=ROOT, capture_output=True, text=True)
        return f"{f}: round trip", (r.stderr.splitlines() or ["failed"])[0] if r.returncode else None

    chosen = [f for f in files if f.startswith("test/") and f.endswith(".mlir") and "expected-error" not in read(f) and "RUN: not" not in read(f)]
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(one, chosen)


def main():
    files, good, bad = tracked(), 0, 0
    for check in (lengths, layering, passes, cases, rooms, words, formatting, roundtrip):
        for subject, problem in check(files):
            good += problem is None
            if problem:
                bad += 1
                print(f"FAIL {subject}: {problem}")
    print(f"{good} passed, {bad} failed")
    sys.exit(bad != 0)


if __name__ == "__main__":
    main()
