"""Cases of the Misc family: determinants, affine grids, training statistics, and ai.onnx.ml on numbers."""
import numpy as np
from ops_cases import Cases, i64

CASES = case = Cases(41)
f, u, ints = case.f, case.u, case.ints
ML = {"domain": "ai.onnx.ml"}

case("det", "Det", f(4, 4))
case("det_batch", "Det", f(2, 3, 5, 5))
case("det_one", "Det", f(3, 1, 1))
case("det_pivot", "Det", np.array([[[0, 1], [1, 0]], [[0, 0], [0, 3]]], np.float32))
case("affinegrid", "AffineGrid", f(2, 2, 3), i64(2, 1, 5, 6), const=[1])
case("affinegrid_corners", "AffineGrid", f(2, 2, 3), i64(2, 1, 5, 6), const=[1], align_corners=1)
case("affinegrid_3d", "AffineGrid", f(2, 3, 4), i64(2, 1, 3, 4, 5), const=[1])
case("affinegrid_3d_corners", "AffineGrid", f(1, 3, 4), i64(1, 1, 3, 4, 2), const=[1], align_corners=1)
case("batchnorm_training", "BatchNormalization", f(3, 4, 5, 6), f(4), f(4), f(4), u(4), outputs=3, training_mode=1, momentum=0.8)

case("ml_scaler", "Scaler", f(3, 4), offset=[0.5, 1.0, -1.0, 2.0], scale=[1.0, 2.0, 0.5, 3.0], **ML)
case("ml_scaler_one", "Scaler", ints(3, 4, dtype=np.int64), offset=[0.5], scale=[2.0], **ML)
case("ml_binarizer", "Binarizer", f(3, 4), threshold=0.25, **ML)
for norm in ("MAX", "L1", "L2"):
    case("ml_normalizer_" + norm.lower(), "Normalizer", f(3, 5), norm=norm, **ML)
case("ml_imputer", "Imputer", np.array([[1, np.nan, 3], [np.nan, 5, 6]], np.float32), imputed_value_floats=[7.0, 8.0, 9.0], replaced_value_float=float("nan"),
     **ML)
case("ml_imputer_int", "Imputer", np.array([[1, 2, 3], [2, 5, 2]], np.int64), imputed_value_int64s=[-7], replaced_value_int64=2, **ML)
case("ml_featurevectorizer", "FeatureVectorizer", f(3, 2), f(3, 4), inputdimensions=[2, 4], **ML)
case("ml_arrayfeatureextractor", "ArrayFeatureExtractor", f(3, 6), i64(4, 0, 4), **ML)
case("ml_linearregressor", "LinearRegressor", f(5, 3), coefficients=f(6).tolist(), intercepts=[0.5, -1.0], targets=2, **ML)

case("dropout_nothing", "Dropout", f(3, 4), np.float32(0), np.array(True), const=[1, 2], outputs=2)
