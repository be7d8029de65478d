"""usage: call_cffi.py HEADER LIBRARY   Calls the network of a shared library through its C header."""
import subprocess
import sys

import cffi

ffi = cffi.FFI()
ffi.cdef(subprocess.run(["clang-22", "-E", "-P", sys.argv[1]], capture_output=True, text=True, check=True).stdout, override=True)
lib = ffi.dlopen(sys.argv[2])
x, y = ffi.new("float[4]", [1, 2, 3, 4]), ffi.new("float[4]")
memory = ffi.new("uint8_t[4096]")
arena = ffi.cast("void *", int(ffi.cast("uintptr_t", memory)) + 63 & ~63)
print(lib.add_run(x, y, arena), *y)
