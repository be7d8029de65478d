"""Regions of each run through burin.InferenceSession, beside what the program made (regions.test). usage: regions.py FOLDER"""
import sys

import burin
import numpy as np

folder = sys.argv[1]
session = burin.InferenceSession(f"{folder}/same.onnx", image_input="image=RGB:32x24:region=run", scale=255)
print("inputs", ", ".join(i.name for i in session.get_inputs()))
image = np.load(f"{folder}/in.npz")["image"]
part = session.run(None, {"image": image, "image_region": np.array([3, 5, 16, 12], np.int32)})[0]
print("part equals", np.array_equal(part, np.load(f"{folder}/part.npz")[session.get_outputs()[0].name]))
try:
    session.run(None, {"image": image, "image_region": np.array([0, 0, 33, 24], np.int32)})
except burin.Error as e:
    print("Error:", e)
