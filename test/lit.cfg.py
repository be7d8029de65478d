# How lit runs the tests: `lit test` with build/bin first on the PATH. BURIN_BUILD names another build folder.
import os
import shutil

import lit.formats

config.name = "burin"
config.test_format = lit.formats.ShTest(True)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)
root = os.path.dirname(config.test_source_root)
build = os.path.abspath(os.environ.get("BURIN_BUILD", os.path.join(root, "build")))
config.test_exec_root = os.path.join(build, "test")

config.environment["PATH"] = os.pathsep.join([os.path.join(build, "bin"), "/usr/lib/llvm-22/bin", os.environ["PATH"]])
for name in ("HOME", "BURIN_DEPS", "XDG_CACHE_HOME"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
deps = os.environ.get("BURIN_DEPS", os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "burin"))
config.substitutions += [
    ("%python", os.environ.get("BURIN_PYTHON", os.path.join(deps, "venv/bin/python"))),
    ("%root", root),
    ("%build", build),
]

# Models with expected outputs that lie beside the project on some machines: tests over them are `unsupported` elsewhere.
models = os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(root), "shared", "models"))
if os.path.isdir(models):
    config.available_features.add("models")
    config.substitutions.append(("%models", models))
if os.path.exists("/usr/bin/qemu-aarch64") and os.path.isdir("/usr/aarch64-linux-gnu"):
    config.available_features.add("aarch64")
if os.path.exists(os.path.join(build, "lib", "libBurinImage.so")):
    config.available_features.add("halide")
for tool in ("node", "bindgen", "qemu-system-arm", "chromium", "javac"):
    if shutil.which(tool):
        config.available_features.add(tool)
if "avx512f" in open("/proc/cpuinfo").read():
    config.available_features.add("avx512")
