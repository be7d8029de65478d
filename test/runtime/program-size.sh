#!/bin/sh
# A program depends on libc alone, and the runtime's share of it, stripped, stays below 100 KB.
# usage: program-size.sh PROGRAM LLVM_BIN
set -eu
program=$1 bin=$2
needed=$("$bin/llvm-readelf" -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
case "$needed" in
"libc.so.6 " | "ld-linux-x86-64.so.2 libc.so.6 ") ;;
*) echo "expected libc alone, needs: $needed" >&2; exit 1 ;;
esac
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
"$bin/llvm-strip" "$program" -o "$stripped"
size=$(wc -c <"$stripped")
echo "$size bytes stripped"
[ "$size" -lt 102400 ] || { echo "expected less than 102400 bytes, got $size" >&2; exit 1; }
