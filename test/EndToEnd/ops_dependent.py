"""Cases whose results are as large as the data says: NonZero, Compress, Unique, NonMaxSuppression; and TfIdfVectorizer."""
import numpy as np
from ops_cases import Cases, i64

CASES = case = Cases(71)
f, u, ints = case.f, case.u, case.ints


def few(*shape, dtype=np.float32):
    return ints(*shape, low=0, high=4).astype(dtype)


case("nonzero", "NonZero", few(3, 4))
case("nonzero_bool", "NonZero", few(2, 3, 4) > 1)
case("nonzero_vector", "NonZero", np.array([0, np.nan, -0.0, 2, np.inf], np.float32))
case("nonzero_none", "NonZero", np.zeros((2, 3), np.int32))
case("nonzero_all", "NonZero", np.ones((2, 3), np.uint8))
case("compress_run", "Compress", f(4, 5), np.array([1, 0, 1, 1], bool), axis=0)
case("compress_run_last", "Compress", f(2, 3, 4), np.array([0, 1, 1], bool), axis=-1)
case("compress_run_flat", "Compress", f(3, 4), np.array([0, 1, 0, 0, 1, 1, 0], bool))

for tag, values in (("", few(9)), ("_2d", few(4, 5)), ("_i64", few(17, dtype=np.int64)), ("_u8", ints(12, low=0, high=256, dtype=np.uint8)), ("_one", few(1)),
                    ("_f64", f(33, dtype=np.float64)), ("_i8", ints(64, low=-4, high=4, dtype=np.int8))):
    case("unique" + tag, "Unique", values, outputs=4)
    case("unique_unsorted" + tag, "Unique", values, outputs=4, sorted=0)
case("unique_axis", "Unique", few(6, 2), outputs=4, axis=0)
case("unique_axis_last", "Unique", few(2, 2, 7), outputs=4, axis=-1)
case("unique_axis_unsorted", "Unique", few(6, 2), outputs=4, axis=0, sorted=0)
case("unique_alone", "Unique", few(9))


def boxes(batches, count):
    low = u(batches, count, 2, low=0, high=4)
    return np.concatenate([low, low + u(batches, count, 2, low=0.5, high=3)], axis=2)


def nms(name, b, s, most, iou=None, score=None, const=(2, 3, 4), **attributes):
    scalar = lambda v: None if v is None else np.array([v], np.float32)
    case("nms" + name, "NonMaxSuppression", b, s, i64(most), scalar(iou), scalar(score), const=const, **attributes)


nms("", boxes(1, 20), u(1, 1, 20), 5, 0.3)
nms("_score", boxes(1, 20), u(1, 1, 20), 20, 0.5, 0.4)
nms("_classes", boxes(2, 15), u(2, 3, 15), 4, 0.4, 0.2)
nms("_runtime", boxes(1, 15), u(1, 2, 15), 3, 0.4, 0.3, const=())
nms("_center", boxes(1, 20), u(1, 1, 20), 8, 0.3, center_point_box=1)
nms("_flipped", boxes(1, 12)[:, :, [2, 3, 0, 1]], u(1, 1, 12), 6, 0.3)
nms("_equal", np.repeat(boxes(1, 3), 3, axis=1), np.repeat(u(1, 1, 3), 3, axis=2), 9, 0.5)
nms("_nothing", boxes(1, 5), u(1, 1, 5), 3, 0.5, 2.0)
nms("_no_iou", boxes(1, 6), u(1, 1, 6), 6)
nms("_zero", boxes(1, 6), u(1, 1, 6), 0, 0.5)

POOL = dict(pool_int64s=[2, 3, 5, 4, 5, 6, 7, 8, 6, 7], ngram_counts=[0, 4], ngram_indexes=[0, 1, 2, 3, 4, 5, 6])
X = ints(3, 12, low=2, high=9, dtype=np.int32)
for mode in ("TF", "IDF", "TFIDF"):
    case("tfidf_" + mode.lower(), "TfIdfVectorizer", X, mode=mode, min_gram_length=1, max_gram_length=2, max_skip_count=2, **POOL,
         weights=[0.5, 1.0, 2.0, 1.5, 0.25, 3.0, 1.0])
case("tfidf_vector", "TfIdfVectorizer", X[0].astype(np.int64), mode="TF", min_gram_length=2, max_gram_length=2, max_skip_count=0, **POOL)
case("tfidf_short", "TfIdfVectorizer", X[:, :1], mode="TF", min_gram_length=2, max_gram_length=2, max_skip_count=5, **POOL)
