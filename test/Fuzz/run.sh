#!/usr/bin/env bash
# Runs each fuzz target for a bounded time on a corpus made by a script. usage: run.sh [--full] [SECONDS]
# 15 s a target, 300 s with --full. A finding is left as build/fuzz/NAME/crash-*; the last line counts targets.
set -uo pipefail
cd "$(dirname "$0")/../.."
source tools/env.sh
build=${BURIN_BUILD:-build} seconds=15 passed=0 failed=0
for a in "$@"; do [ "$a" = --full ] && seconds=300 || seconds=$a; done
python=$BURIN_VENV/bin/python

run() {  # run NAME CORPUS-COMMAND...
  local name=$1 folder=$build/fuzz/$1; shift
  mkdir -p "$folder/corpus" "$folder/seeds"
  echo "[fuzz] $name, $seconds s"
  if "$@" "$folder/seeds" >"$folder/log" 2>&1 &&
     ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 "$build/bin/${name}_fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=65536 \
       -artifact_prefix="$folder/" -print_final_stats=1 "$folder/corpus" "$folder/seeds" >>"$folder/log" 2>&1; then
    passed=$((passed + 1)); grep -E 'number_of_executed_units|new_units_added' "$folder/log"
  else
    failed=$((failed + 1)); echo "FAIL: $name, see $folder/log"; grep -m3 -E 'ERROR|SUMMARY|runtime error' "$folder/log"
  fi
}

run import "$python" test/lib/Import/models.py
run npz "$python" test/Fuzz/make_npz_corpus.py
run image "$python" test/Fuzz/make_image_corpus.py
run safetensors "$python" test/Fuzz/make_safetensors_corpus.py
run options "$python" test/Fuzz/make_options_corpus.py
run artifact "$python" test/Fuzz/make_artifact_corpus.py
run blob "$python" test/Fuzz/make_blob_corpus.py
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
