#!/bin/sh
# Makes one object of OBJECT and all it needs of static libraries, and hides every symbol but OBJECT's own: a program that
# holds it stands alone, and may hold another copy of the same libraries beside it.
# usage: bundle.sh LLVM_BIN OBJECT OUT LIBRARY.a...
set -eu
bin=$1 object=$2 out=$3
shift 3
"$bin/ld.lld" -r -o "$out.all" "$object" --start-group "$@" --end-group
"$bin/llvm-nm" --defined-only --extern-only --format=just-symbols "$object" | grep '^burin_' >"$out.doors"
# Section groups go too: a linker that kept another copy of one would drop ours from under us.
"$bin/llvm-objcopy" --keep-global-symbols="$out.doors" --remove-section=.group --strip-debug "$out.all" "$out"
rm "$out.all" "$out.doors"
