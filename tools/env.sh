# Sourced by the scripts in tools/: where the things that tools/setup installs lie. Sets variables only.
: "${BURIN_DEPS:=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/burin}"
BURIN_ONNX_VERSION=1.23.2
BURIN_ONNX="$BURIN_DEPS/onnx-$BURIN_ONNX_VERSION-clang22"
BURIN_MONOCYPHER="$BURIN_DEPS/monocypher-4.0.3"
BURIN_VENV="$BURIN_DEPS/venv"
BURIN_LLVM=/usr/lib/llvm-22
export BURIN_DEPS BURIN_ONNX_VERSION BURIN_ONNX BURIN_MONOCYPHER BURIN_VENV BURIN_LLVM
mkdir -p "$BURIN_DEPS"
