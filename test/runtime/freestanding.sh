#!/bin/sh
# The freestanding part compiles for any target and asks for nothing but memcpy, memset and, weakly, getauxval.
# usage: freestanding.sh CLANG ROOT LLVM_BIN
set -eu
clang=$1 root=$2 bin=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for target in x86_64-linux-gnu i686-linux-gnu aarch64-linux-gnu aarch64-none-elf thumbv7em-none-eabihf riscv32-none-elf riscv64-linux-gnu wasm32; do
  for file in model cpu weights lock monocypher; do
    "$clang" --target=$target -std=c11 -Os -ffreestanding -nostdlibinc -Wall -Wextra -Wpedantic -Werror -I"$root" -I"$root/include" \
      -c "$root/runtime/freestanding/$file.c" -o "$folder/$file.o"
  done
  wanted=$("$bin/llvm-nm" -u --format=just-symbols "$folder/model.o" "$folder/cpu.o" "$folder/weights.o" | grep -v -e ':$' -e '^$' |
    grep -v -x -e burin_cpu_features -e memcpy -e memset -e getauxval -e _GLOBAL_OFFSET_TABLE_ -e '__aeabi_mem[a-z]*[48]*' -e __stack_pointer -e __indirect_function_table || true)
  [ -z "$wanted" ] || { echo "$target: wants $wanted" >&2; exit 1; }
done
