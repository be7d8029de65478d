"""`pip install .`: builds the compiler with CMake as tools/build does (what build/ holds already is used), the native module for
the Python that asks, and packs both. Needs what tools/setup installs; the wheel needs the LLVM and MLIR libraries it was built with.

A PEP 517 backend of its own, because the build wants no more than two commands and a zip file.
"""
import base64
import glob
import hashlib
import os
import subprocess
import sys
import sysconfig
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HERE = os.path.join(ROOT, "python")
BUILD = os.path.abspath(os.path.join(ROOT, os.environ.get("BURIN_BUILD", "build")))
NAME, VERSION = "burin", "0.1.0"
METADATA = """Metadata-Version: 2.1
Name: burin
Version: %s
Summary: A compiler from ONNX to standalone programs
Requires-Python: >=3.9
Requires-Dist: numpy>=1.26
Provides-Extra: backend
Requires-Dist: onnx>=1.16; extra == "backend"
""" % VERSION


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """Asked first: without it pip would build the whole wheel for these lines."""
    folder = "%s-%s.dist-info" % (NAME, VERSION)
    os.makedirs(os.path.join(metadata_directory, folder))
    with open(os.path.join(metadata_directory, folder, "METADATA"), "w") as f:
        f.write(METADATA)
    return folder


def _module(output):
    """Compiles Module.cpp and nanobind for this interpreter."""
    import nanobind
    import numpy
    base = os.path.dirname(nanobind.__file__)
    include = [os.path.join(ROOT, "include"), ROOT, numpy.get_include(), sysconfig.get_paths()["include"], os.path.join(base, "include"),
               os.path.join(base, "ext", "robin_map", "include")]
    hosted = glob.glob(os.path.join(BUILD, "lib", "burin", "runtime", "%s-*" % os.uname().machine, "libburin_*.a"))
    subprocess.run([os.environ.get("CXX", "clang++-22"), "-shared", "-fPIC", "-std=c++17", "-O2", "-DNDEBUG", "-DNB_COMPACT_ASSERTIONS", "-fvisibility=hidden", "-fno-strict-aliasing",
                    *("-I" + i for i in include), os.path.join(HERE, "Module.cpp"), os.path.join(base, "src", "nb_combined.cpp"), *sorted(hosted),
                    "-L" + os.path.join(BUILD, "lib"), "-lBurinCompiler", "-pthread", "-Wl,-rpath,$ORIGIN/lib", "-Wl,--gc-sections", "-s", "-o", output], check=True)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    runtime = "runtime-%s-linux-gnu" % os.uname().machine
    try:
        subprocess.run([os.path.join(ROOT, "tools", "build"), "BurinCompiler", runtime], cwd=ROOT, check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        raise SystemExit("the compiler does not build (%s); tools/setup installs what it is built from" % e)
    tag = "cp%d%d" % sys.version_info[:2]
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    module = os.path.join(BUILD, "wheel", "_burin" + suffix)
    os.makedirs(os.path.dirname(module), exist_ok=True)
    _module(module)

    name = "%s-%s-%s-%s-linux_%s.whl" % (NAME, VERSION, tag, tag, os.uname().machine)
    info = "%s-%s.dist-info/" % (NAME, VERSION)
    records = []
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
        def add(path, data):
            entry = zipfile.ZipInfo(path)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, (0o755 if ".so" in path else 0o644) << 16
            wheel.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            records.append("%s,sha256=%s,%d" % (path, digest, len(data)))

        def add_file(path, source):
            with open(source, "rb") as f:
                add(path, f.read())
        for source in sorted(glob.glob(os.path.join(HERE, "burin", "*.py"))):
            add_file("burin/" + os.path.basename(source), source)
        add_file("burin/_burin" + suffix, module)
        for library in ("libBurinCompiler.so.0", "libBurinDialects.so.0"):
            add_file("burin/lib/" + library, os.path.join(BUILD, "lib", library))
        for source in sorted(glob.glob(os.path.join(BUILD, "lib", "burin", "runtime", "*", "*.a"))):
            add_file("burin/lib/" + os.path.relpath(source, os.path.join(BUILD, "lib")), source)
        # What --patterns gives to mlir-pdll.
        for source in ("Onnx.td", "OnnxPatterns.td", "Patterns.pdll", "OnnxOps.td"):
            add_file("burin/include/dialects/Onnx/" + source, os.path.join(BUILD, "dialects", "Onnx", source))
        for text in ("LICENSE", "NOTICES.md"):
            add_file(info + text, os.path.join(ROOT, text))
        add(info + "METADATA", METADATA.encode())
        add(info + "WHEEL", ("Wheel-Version: 1.0\nGenerator: burin\nRoot-Is-Purelib: false\nTag: %s-%s-linux_%s\n" % (tag, tag, os.uname().machine)).encode())
        wheel.writestr(info + "RECORD", "\n".join(records + [info + "RECORD,,"]) + "\n")
    return name
