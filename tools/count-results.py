"""Reads a test runner's output and prints `passed failed skipped`. usage: count-results.py LOG EXIT_CODE

Knows the plain closing line "N passed, N failed[, N skipped]", lit's and ctest's summaries. A runner that failed without saying
how many counts as one failure, and one that ran nothing as one failure too: silence must not pass.
"""
import re
import sys

text, code = open(sys.argv[1], errors="replace").read(), int(sys.argv[2])
passed = failed = skipped = 0
plain = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$", text, re.M)
ctest = re.search(r"(\d+)% tests passed, (\d+) tests failed out of (\d+)", text)
lit = "Total Discovered Tests:" in text  # whose failed tests are quoted, closing lines and all
if plain and not lit:
    passed, failed, skipped = (int(x or 0) for x in plain[-1])
elif ctest:
    failed = int(ctest.group(2))
    passed = int(ctest.group(3)) - failed
else:
    for label, count in re.findall(r"^\s*(Passed|Failed|Unsupported|Unresolved|Timed Out|Expectedly Failed|Unexpectedly Passed)\s*:\s*(\d+)", text, re.M):
        if label in ("Passed", "Expectedly Failed"):
            passed += int(count)
        elif label == "Unsupported":
            skipped += int(count)
        else:
            failed += int(count)
if code != 0 and failed == 0 or passed + failed + skipped == 0:
    failed += 1
print(passed, failed, skipped)
