"""One model as a program for a machine, run here or under emulation: what tests of many nodes in one model have in common."""
import os
import subprocess

import numpy as np
import onnx

COMPILE = os.environ.get("BURIN_COMPILE", "burin-compile")


class Program:
    """`run` may be called again with other flags of the program; what it prints comes back."""

    def __init__(self, directory, model, feed, machine):
        self.path, self.data, source = (os.path.join(directory, name) for name in ("program", "in.npz", "model.onnx"))
        onnx.save(model, source)
        np.savez(self.data, **feed)
        subprocess.run([COMPILE, source, "--target=" + machine, "-o", self.path], check=True)
        self.emulator = ["qemu-aarch64", "-cpu", "max", "-L", "/usr/aarch64-linux-gnu"] if machine.startswith(("aarch64", "cortex-a")) else []

    def run(self, *flags):
        return subprocess.run([*self.emulator, self.path, "--inputs", self.data, *flags], check=True, stdout=subprocess.PIPE, text=True).stdout

    def outputs(self):
        result = self.path + ".out.npz"
        self.run("--outputs", result)
        return np.load(result)
