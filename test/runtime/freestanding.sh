#!/bin/sh
# The freestanding part compiles for any target and asks for nothing but memcpy, memset and, weakly, getauxval.
# usage: freestanding.sh CLANG ROOT LLVM_BIN MONOCYPHER FLAGS...     FLAGS: those that Monocypher is compiled with
set -eu
clang=$1 root=$2 bin=$3 monocypher=$4
shift 4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for target in x86_64-linux-gnu i686-linux-gnu aarch64-linux-gnu aarch64-none-elf thumbv7em-none-eabihf riscv32-none-elf riscv64-linux-gnu wasm32; do
  for file in "$root"/runtime/freestanding/model.c "$root"/runtime/freestanding/cpu.c "$root"/runtime/freestanding/weights.c \
              "$root"/runtime/freestanding/lock.c "$monocypher"/monocypher.c; do
    "$clang" --target=$target -std=c11 -Os -ffreestanding -nostdlibinc -Wall -Wextra -Wpedantic -Werror -I"$root" -I"$root/include" "$@" \
      -c "$file" -o "$folder/$(basename "$file" .c).o"
  done
  # Of Monocypher, what linking drops may want the compiler's own arithmetic.
  wanted=$({ "$bin/llvm-nm" -u --format=just-symbols "$folder/model.o" "$folder/cpu.o" "$folder/weights.o" "$folder/lock.o" | grep -v -x -e 'burin_crypto_aead_[a-z]*' || true
             "$bin/llvm-nm" -u --format=just-symbols "$folder/monocypher.o" | grep -v -e '^__' || true; } | grep -v -e ':$' -e '^$' |
    grep -v -x -e burin_cpu_features -e memcpy -e memset -e getauxval -e _GLOBAL_OFFSET_TABLE_ -e '__aeabi_mem[a-z]*[48]*' -e __stack_pointer -e __indirect_function_table || true)
  [ -z "$wanted" ] || { echo "$target: wants $wanted" >&2; exit 1; }
done
