"""What people read off a network's outputs: the class of a classifier, the boxes of a detector. Do two sets of outputs say the same?"""
import numpy as np


def _ultraface(out):
    return out["boxes"][0], out["scores"][0, :, 1], np.zeros(len(out["boxes"][0]), int)


def _yolox(out):
    rows, boxes = out["output"][0], []
    at = 0
    for stride in (8, 16, 32):
        n = 416 // stride
        grid = np.stack(np.meshgrid(np.arange(n), np.arange(n)), -1).reshape(-1, 2)
        part = rows[at:at + n * n]
        centre, size = (part[:, :2] + grid) * stride, np.exp(part[:, 2:4]) * stride
        boxes.append(np.concatenate([centre - size / 2, centre + size / 2], 1))
        at += n * n
    scores = rows[:, 4:5] * rows[:, 5:]
    return np.concatenate(boxes), scores.max(1), scores.argmax(1)


def _yunet(out):
    boxes, scores = [], []
    for stride in (8, 16, 32):
        n = 320 // stride
        grid = np.stack(np.meshgrid(np.arange(n), np.arange(n)), -1).reshape(-1, 2)
        part = out[f"bbox_{stride}"][0]
        centre, size = (part[:, :2] + grid) * stride, np.exp(part[:, 2:4]) * stride
        boxes.append(np.concatenate([centre - size / 2, centre + size / 2], 1))
        scores.append(np.sqrt(out[f"cls_{stride}"][0, :, 0] * out[f"obj_{stride}"][0, :, 0]))
    return np.concatenate(boxes), np.concatenate(scores), np.zeros(sum(map(len, scores)), int)


DETECTORS = {"ultraface_rfb_320": _ultraface, "yolox_nano_416": _yolox, "yunet_s_320": _yunet}


def overlap(a, b):
    """Of two boxes, what they share as a part of what they cover."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod(np.maximum(high - low, 0))
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def detections(decoded, least=0.5, apart=0.45):
    """Boxes and classes after suppression, best first."""
    boxes, scores, classes = (v.astype(np.float64) for v in decoded)
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if scores[i] < least:
            break
        if all(classes[i] != classes[k] or overlap(boxes[i], boxes[k]) < apart for k in kept):
            kept.append(i)
    return [(boxes[i], int(classes[i])) for i in kept]


def disagreement(name, got, want):
    """What differs, or None."""
    if name in DETECTORS:
        a, b = (detections(DETECTORS[name](o)) for o in (got, want))
        if len(a) != len(b) or any(all(c != e or overlap(box, other) < 0.95 for other, e in b) for box, c in a):
            return f"boxes differ: {len(a)}, expected {len(b)}"
    for output, w in want.items():
        if w.ndim == 2 and w.shape[1] >= 10 and np.ptp(w) > 0:
            ours, theirs = got[output].argmax(1), w.argmax(1)
            if (ours != theirs).any():
                return f"'{output}': class {ours.tolist()}, expected {theirs.tolist()}"
    return None
