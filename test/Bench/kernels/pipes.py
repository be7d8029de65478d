#!/usr/bin/env python3
"""What the kernels' inner loops make of a processor's FMA pipes, by LLVM's model of it (llvm-mca): for machines that are not at hand. One line a shape (or a
kernel of the models) and machine, with the products of the innermost loop that keeps most sums in registers, the cycles an iteration takes once it runs, and the
share of the pipes' throughput; behind a slash the share if only throughput counted, which is what is left to an order of instructions: the simulation of cores
in order retires loads behind products and sees stalls that such a core has not.

  pipes.py [--machine ROW]... [--cpu LLVM-NAME] [--pipes N] [--filter TEXT] [--keep DIR] [MODEL.onnx...]      BURIN_OPT names burin-opt, BURIN_LLVM the folder of LLVM's tools
"""
import argparse, os, re, sys, tempfile
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench import LLVM, MACHINES, OPT, build, run, shapes

# The core that code for a row is looked at on: one whose own schedule LLVM models, and the vectors of products it starts a cycle. The Neoverse N1 is the Cortex-A76
# of servers; of the Cortex-A72 LLVM's model takes both pipes for a vector of 128 bits.
MODELS = {"aarch64": ("neoverse-n1", 2), "aarch64+dotprod+fp16": ("neoverse-n1", 2), "cortex-a76": ("neoverse-n1", 2), "cortex-a72": ("cortex-a72", 1), "cortex-a53": ("cortex-a53", 1),
          "x86-64-v4": ("znver4", 1), "x86-64-v3": ("skylake", 2)}
FMA = re.compile(r"^(fmla|fmls|[us]mlal2?|[us]mull2?|mla|[us]dot|usdot|sudot|smmla|usmmla|vpdpbusd|vpmaddwd|vfn?m(add|sub)\d+p[sd])\b")
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
        registers = re.findall(r"\b(?:[vqdsx]|[xyz]mm)(\d+)\b", text)
        if registers and FMA.match(text) and registers[0] not in seen:
            sums += 1
        seen.update(registers[:1])
    return sums


def hottest(code):
    """The instructions of the innermost loop that keeps most sums in registers, of those the one with most products, its branch left out; none where nothing is a
    loop."""
    at = {address: i for i, (address, _) in enumerate(code)}
    best, most, products = [], (0, 0), 0
    for i, (address, text) in enumerate(code):
        branch = BRANCH.match(text)
        first = at.get(int(branch.group(2), 16)) if branch else None
        if first is None or first > i:
            continue
        body = [t for _, t in code[first:i]]
        if any(BRANCH.match(t) for t in body):
            continue
        count = sum(bool(FMA.match(t)) for t in body)
        if count and (carried(body), count) > most:
            best, most, products = body, (carried(body), count), count
    return best, products


def cycles(body, triple, cpu, rounds=200):
    """Simulated, and by throughput alone."""
    text = run([LLVM + "/llvm-mca", "-mtriple=" + triple, "-mcpu=" + cpu, "-mattr=+fullfp16,+dotprod,+i8mm" if triple.startswith("aarch64") else "-mattr=", "-iterations=%d" % rounds,
                "-instruction-info=0", "-resource-pressure=0"], input="\n".join(body) + "\n")
    return int(re.search(r"Total Cycles:\s+(\d+)", text).group(1)) / rounds, float(re.search(r"Block RThroughput:\s+([\d.]+)", text).group(1))


def report(name, machine, code, cpu, pipes):
    body, count = hottest(code)
    if not count:
        print("%-34s %-10s no loop of products" % (name, machine))
        return
    taken, bound = cycles(body, MACHINES[machine][0], cpu)
    print("%-34s %-10s %4d products of %4d instructions, %7.2f cycles, %5.1f / %5.1f %%" % (name, machine, count, len(body), taken, 100 * count / pipes / taken, 100 * count / pipes / bound), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", action="append", choices=sorted(MODELS), help="by default the three of the boards")
    parser.add_argument("--cpu", help="LLVM's name of a core of this architecture")
    parser.add_argument("--pipes", type=int, help="vectors of products this core starts a cycle")
    parser.add_argument("--filter", default="")
    parser.add_argument("--keep")
    parser.add_argument("models", nargs="*", help="look at the kernels of these instead of the shapes of bench.py")
    args = parser.parse_args()
    for machine in args.machine or ["cortex-a53", "cortex-a72", "cortex-a76"]:
        model, pipes = MODELS[machine]
        cpu, pipes = args.cpu or model, args.pipes or pipes
        print("%s: %s, %d vectors of products a cycle" % (machine, cpu, pipes))
        with tempfile.TemporaryDirectory() as temporary:
            directory = args.keep or temporary
            os.makedirs(directory, exist_ok=True)
            for path in args.models:
                obj = os.path.join(directory, "model.o")
                run([os.path.join(os.path.dirname(OPT), "burin-compile"), path, "--target=" + machine, "--emit=obj", "-o", obj])
                for name, code in functions(obj).items():
                    if args.filter in name and hottest(code)[1]:
                        report(name, machine, code, cpu, pipes)
            if args.models:
                continue
            chosen = [(n, c) for n, c in shapes(machine) if args.filter in n]
            source = os.path.join(directory, "in.mlir")
            open(source, "w").write("module {\n" + "".join(c.mlir(i) for i, (_, c) in enumerate(chosen)) + "}\n")
            code = functions(build(source, "--pass-pipeline=builtin.module(func.func(cpu-lower-nn{machine=%s}))" % machine, machine, directory, "kernels"))
            for i, (name, _) in enumerate(chosen):
                report(name, machine, code.get("f%d" % i, []), cpu, pipes)


if __name__ == "__main__":
    main()
