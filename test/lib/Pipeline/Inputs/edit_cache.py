"""usage: edit_cache.py FROM TO CHOICE [FIELD=VALUE]...: every entry with another choice and other fields."""
import json
import sys

with open(sys.argv[1]) as f:
    cache = json.load(f)
for entry in cache["entries"]:
    entry["choice"] = sys.argv[3]
    entry.update(field.split("=") for field in sys.argv[4:])
with open(sys.argv[2], "w") as f:
    json.dump(cache, f)
