#!/usr/bin/env python3
"""What the kernels' inner loops make of a processor's FMA pipes, by LLVM's model of it (llvm-mca): for machines that are not at hand. One line a shape with
the multiply-adds of the innermost loop that has most of them, the cycles an iteration takes once it runs, and the share of the pipes' throughput.

  pipes.py [--machine NAME] [--cpu LLVM-NAME] [--pipes N] [--filter TEXT] [--keep DIR]        BURIN_OPT names burin-opt, BURIN_LLVM the folder of LLVM's tools
"""
import argparse, os, re, sys, tempfile
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench import LLVM, MACHINES, build, run, shapes

# The core whose schedule LLVM models, and vector FMAs it starts a cycle.
MODELS = {"aarch64": ("neoverse-n1", 2), "x86-64-v4": ("znver4", 1), "x86-64-v3": ("skylake", 2)}
FMA = re.compile(r"^(fmla|fmls|vfn?m(add|sub)\d+p[sd])\b")
BRANCH = re.compile(r"^(b\.\w+|cbn?z|tbn?z|j[a-z]+)\s+(?:.*,\s*)?0x([0-9a-f]+)")


def functions(obj):
    """Of each function its instructions: (address, text)."""
    found, current = {}, None
    for line in run([LLVM + "/llvm-objdump", "-d", "--no-show-raw-insn", obj]).splitlines():
        if line.endswith(">:"):
            current = found.setdefault(line.split("<")[1][:-2], [])
        elif current is not None and re.match(r"\s*[0-9a-f]+:\s", line):
            address, text = line.split(":", 1)
            current.append((int(address, 16), re.sub(r"\s+", " ", text.split("<")[0]).strip()))
    return found


def carried(body):
    """Registers that hold sums from one iteration to the next: the first that happens to them is a multiply-add."""
    seen, sums = set(), 0
    for text in body:
        registers = re.findall(r"\b[vqdsxyz]m*m?(\d+)\b", text)
        if registers and FMA.match(text) and registers[0] not in seen:
            sums += 1
        seen.update(registers[:1])
    return sums


def hottest(code):
    """The instructions of the innermost loop that keeps most sums in registers, and of those the one with most multiply-adds, its branch left out; none where nothing is a loop."""
    at = {address: i for i, (address, _) in enumerate(code)}
    best, most = [], 0
    for i, (address, text) in enumerate(code):
        branch = BRANCH.match(text)
        first = at.get(int(branch.group(2), 16)) if branch else None
        if first is None or first > i:
            continue
        body = [t for _, t in code[first:i]]
        count = sum(bool(FMA.match(t)) for t in body)
        if count > most and not any(BRANCH.match(t) for t in body):
            best, most = body, count
    return best, most


def cycles(body, machine, cpu, rounds=200):
    triple = MACHINES[machine][0]
    text = run([LLVM + "/llvm-mca", "-mtriple=" + triple, "-mcpu=" + cpu, "-iterations=%d" % rounds, "-instruction-info=0", "-resource-pressure=0"], input="\n".join(body) + "\n")
    return int(re.search(r"Total Cycles:\s+(\d+)", text).group(1)) / rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", default="aarch64", choices=sorted(MODELS))
    parser.add_argument("--cpu", help="LLVM's name of a core of this architecture")
    parser.add_argument("--pipes", type=int, help="vector FMAs this core starts a cycle")
    parser.add_argument("--filter", default="")
    parser.add_argument("--keep")
    args = parser.parse_args()
    model, pipes = MODELS[args.machine]
    cpu, pipes = args.cpu or model, args.pipes or pipes
    chosen = [(n, c) for n, c in shapes(args.machine) if args.filter in n]
    with tempfile.TemporaryDirectory() as temporary:
        directory = args.keep or temporary
        os.makedirs(directory, exist_ok=True)
        source = os.path.join(directory, "in.mlir")
        open(source, "w").write("module {\n" + "".join(c.mlir(i) for i, (_, c) in enumerate(chosen)) + "}\n")
        code = functions(build(source, "--pass-pipeline=builtin.module(func.func(cpu-lower-nn{machine=%s}))" % args.machine, args.machine, directory, "kernels"))
    print("%s, %d vector FMAs a cycle" % (cpu, pipes))
    for i, (name, _) in enumerate(chosen):
        body, count = hottest(code.get("f%d" % i, []))
        if not count:
            print("%-32s no loop of multiply-adds" % name)
            continue
        taken = cycles(body, args.machine, cpu)
        print("%-32s %4d FMAs of %4d instructions, %7.2f cycles, %5.1f %%" % (name, count, len(body), taken, 100 * count / pipes / taken), flush=True)


if __name__ == "__main__":
    main()
