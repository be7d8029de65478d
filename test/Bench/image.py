#!/usr/bin/env python3
"""Image stages beside OpenCV on one thread: the same steps on the same frames, interleaved, frames rotated so that none is in a near cache.

usage: image.py [--bin DIR] [--target T]... [--rounds N]
A line a case and target: the least and the median time of both, their ratio (of the least), the largest difference of the results.
Needs opencv-python-headless, which nothing else in the tree does.
"""
import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "EndToEnd"))
from image import Case, TYPES  # noqa: E402

FRAMES = 16


def nv12_to_planes(frame):
    """Colours, size, float, mean and scale, planes: what a detector's example code does."""
    small = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_NV12), (320, 240))
    return cv2.dnn.blobFromImage(small, 1 / 128.0, (320, 240), (127, 127, 127), swapRB=False)


def bgr_letterbox(frame):
    small = cv2.resize(frame, (416, 234))
    padded = cv2.copyMakeBorder(small, 91, 91, 0, 0, cv2.BORDER_CONSTANT, value=(114, 114, 114))
    return cv2.subtract(cv2.cvtColor(padded, cv2.COLOR_BGR2RGB), (128, 128, 128, 0), dtype=cv2.CV_8S)


CASES = [(Case("nv12 1920x1080 -> 320x240 f32 planes", "NV12", (1920, 1080), (320, 240), mean=(127.0,), scale=(128.0,)), (1620, 1920), nv12_to_planes),
         (Case("bgr 1280x720 -> 416x416 letterbox i8", "BGR", (1280, 720), (416, 416), type="i8", planar=False, fit="letterbox", mean=(128.0,), pad=114), (720, 1280, 3), bgr_letterbox)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--target", action="append")
    parser.add_argument("--rounds", type=int, default=400)
    a = parser.parse_args()
    cv2.setNumThreads(1)
    for case, dims, peer in CASES:
        for target in a.target or ["host", "x86-64-v3"]:
            with tempfile.TemporaryDirectory() as folder:
                model, library = os.path.join(folder, "net.onnx"), os.path.join(folder, "libnet.so")
                shape = case.network(model)
                subprocess.run([os.path.join(a.bin, "burin-compile"), model, *case.flags(), "--emit=shared", "--name=net", "-o", library, f"--target={target}"], check=True)
                run = ctypes.CDLL(library).net_run
                random = np.random.RandomState(0)
                frames = [cv2.GaussianBlur(random.randint(0, 256, dims).astype(np.uint8), (0, 0), 3) for _ in range(FRAMES)]
                arena = np.zeros((1 << 24) + 64, np.uint8)
                place = ctypes.c_void_p((arena.ctypes.data + 63) // 64 * 64)
                got = np.zeros(shape, TYPES[case.type][1])
                times = [[], []]
                for i in range(a.rounds):
                    frame, other = frames[i % FRAMES], frames[(i + FRAMES // 2) % FRAMES]
                    where, out = ctypes.c_void_p(frame.ctypes.data), ctypes.c_void_p(got.ctypes.data)
                    begin = time.perf_counter()
                    run(where, out, place)
                    middle = time.perf_counter()
                    peer(other)
                    end = time.perf_counter()
                    times[0].append((middle - begin) * 1e3)
                    times[1].append((end - middle) * 1e3)
                want = peer(frame).reshape(shape)
                worst = np.abs(got.astype(np.float64) - want).max()
                (ours, theirs) = (np.array(t) for t in times)
                print(f"{case.name:40s} {target:10s} {ours.min():.3f} ({np.median(ours):.3f}) ms, OpenCV {theirs.min():.3f} ({np.median(theirs):.3f}) ms, "
                      f"ratio {ours.min() / theirs.min():.2f}, largest difference {worst:.3g}", flush=True)


if __name__ == "__main__":
    main()
