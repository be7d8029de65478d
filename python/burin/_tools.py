"""The tools of the same installation or build, for what the package does on top of them."""
import os
import subprocess


def tool(name):
    """burin-opt, burin-compile, ... of the same installation or build, else of the PATH."""
    from . import _burin
    here = os.path.dirname(os.path.realpath(__file__))
    for base in (here, os.path.dirname(os.path.abspath(_burin.__file__))):
        for up in ("../../../bin", "../../bin"):
            path = os.path.normpath(os.path.join(base, up, name))
            if os.path.exists(path):
                return path
    return name


class ToolError(Exception):
    """What a tool said before it gave up; its first line."""


def call(name, *words):
    """Runs a tool and returns what it wrote to both streams; ToolError with its first line of error."""
    done = subprocess.run([tool(name), *words], capture_output=True, text=True)
    if done.returncode:
        lines = [l for l in done.stderr.splitlines() if "error: " in l] or done.stderr.splitlines() or ["%s: exit %d" % (name, done.returncode)]
        raise ToolError(lines[0].partition("error: ")[2] or lines[0])
    return done.stdout + done.stderr
