"""Small npz files of every kind for npz_fuzz. usage: make_npz_corpus.py FOLDER"""
import os, sys
import numpy as np

os.makedirs(sys.argv[1], exist_ok=True)
for save in (np.savez, np.savez_compressed):
    for name, arrays in {
        "floats": {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "h": np.ones(3, np.float16)},
        "fortran": {"x": np.asfortranarray(np.arange(6).reshape(2, 3))},
        "scalar": {"x": np.float64(1), "e": np.zeros((0, 4), np.int8), "b": np.array([True])},
        "refused": {"x": np.array(["text"])},
        "empty": {},
    }.items():
        save(os.path.join(sys.argv[1], f"{save.__name__}_{name}.npz"), **arrays)
