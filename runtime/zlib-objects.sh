#!/bin/sh
# Takes objects out of a static zlib and gives their symbols the prefix that zlib's own -DZ_PREFIX gives: inflate -> z_inflate.
# usage: zlib-objects.sh LLVM_BIN LIBZ.a FOLDER OBJECT...
set -eu
bin=$1 library=$2 folder=$3
shift 3
cd "$folder"
"$bin/llvm-ar" x "$library" "$@"
echo "crc32 z_crc32" >renames
"$bin/llvm-nm" --defined-only --extern-only --format=just-symbols "$@" | grep -v ':$' | sort -u | sed '/./!d; s/.*/& z_&/' >>renames
for object in "$@"; do
  "$bin/llvm-objcopy" --redefine-syms=renames "$object"
done
