"""Cases of ai.onnx.ml's models on numbers, which ONNX Runtime computes: trees, linear models, support vectors, encoders."""
import numpy as np
from ops_cases import Cases

CASES = Cases(61)
f, ints = CASES.f, CASES.ints
TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")


def case(name, op, *operands, **options):
    CASES("ml_" + name, op, *operands, domain="ai.onnx.ml", **options)


def forest(kind, trees, depth, width, targets, several=False, positive=False, mode="BRANCH_LEQ", one=None):
    """Attributes of complete random trees; leaves weigh one target each, or `several`: all of them."""
    nodes = {k: [] for k in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    leaves = {k: [] for k in ("treeids", "nodeids", "ids", "weights")}
    draw = CASES.random
    for tree in range(trees):
        inner = 2 ** depth - 1
        for node in range(2 ** (depth + 1) - 1):
            leaf = node >= inner
            for key, value in (("treeids", tree), ("nodeids", node), ("featureids", 0 if leaf else int(draw.integers(width))), ("modes", "LEAF" if leaf else mode),
                               ("values", 0.0 if leaf else float(np.float32(draw.standard_normal()))), ("truenodeids", 0 if leaf else 2 * node + 1),
                               ("falsenodeids", 0 if leaf else 2 * node + 2), ("missing_value_tracks_true", int(draw.integers(2)))):
                nodes[key].append(value)
            for target in (range(targets) if several else [one if one is not None else tree % targets]) if leaf else []:
                weight = float(np.float32(draw.uniform(0, 1 / trees) if positive else draw.standard_normal()))
                for key, value in (("treeids", tree), ("nodeids", node), ("ids", target), ("weights", weight)):
                    leaves[key].append(value)
    return {**{"nodes_" + k: v for k, v in nodes.items()}, **{kind + "_" + k: v for k, v in leaves.items()}}


# Trees
X = f(20, 5)
X[3, 2] = X[7, 0] = np.nan
case("treeregressor", "TreeEnsembleRegressor", X, n_targets=1, **forest("target", 4, 3, 5, 1))
case("treeregressor_base", "TreeEnsembleRegressor", X, n_targets=3, base_values=[0.5, -1.0, 2.0], **forest("target", 6, 3, 5, 3))
case("treeregressor_several", "TreeEnsembleRegressor", X, n_targets=3, **forest("target", 4, 2, 5, 3, several=True, mode="BRANCH_LT"))
case("treeregressor_stump", "TreeEnsembleRegressor", X, n_targets=1, **forest("target", 3, 0, 5, 1))
for aggregate in ("AVERAGE", "MIN", "MAX"):
    case("treeregressor_" + aggregate.lower(), "TreeEnsembleRegressor", X, n_targets=1, aggregate_function=aggregate, **forest("target", 4, 3, 5, 1))
case("treeregressor_logistic", "TreeEnsembleRegressor", X, n_targets=2, post_transform="LOGISTIC", **forest("target", 4, 3, 5, 2))
for transform in TRANSFORMS:
    tag = transform.lower()
    if transform != "PROBIT":  # takes probabilities
        case("treeclassifier_" + tag, "TreeEnsembleClassifier", X, outputs=2, classlabels_int64s=[4, 7, 9], post_transform=transform, **forest("class", 6, 3, 5, 3))
    # One tree for PROBIT: sums lie near a half, where ONNX Runtime's formula cancels.
    case("treeclassifier_forest_" + tag, "TreeEnsembleClassifier", X, outputs=2, classlabels_int64s=[4, 7, 9], post_transform=transform,
         **forest("class", 1 if transform == "PROBIT" else 5, 3, 5, 3, several=True, positive=True))
    if transform in ("NONE", "LOGISTIC", "SOFTMAX"):
        case("treeclassifier_binary_" + tag, "TreeEnsembleClassifier", X, outputs=2, classlabels_int64s=[3, 8], post_transform=transform,
             **forest("class", 5, 3, 5, 1))
        case("treeclassifier_binary_base_" + tag, "TreeEnsembleClassifier", X, outputs=2, classlabels_int64s=[3, 8], base_values=[0.25], post_transform=transform,
             **forest("class", 5, 3, 5, 1))
        case("treeclassifier_binary_positive_" + tag, "TreeEnsembleClassifier", X, outputs=2, classlabels_int64s=[3, 8], post_transform=transform,
             **forest("class", 5, 3, 5, 1, positive=True))
case("treeclassifier_binary_second", "TreeEnsembleClassifier", X, outputs=2, classlabels_int64s=[0, 1], post_transform="LOGISTIC", **forest("class", 5, 3, 5, 2, one=1))

# Linear models
for transform in TRANSFORMS:
    tag = transform.lower()
    if transform != "PROBIT":
        case("linearclassifier_" + tag, "LinearClassifier", f(6, 4), outputs=2, coefficients=f(12).tolist(), intercepts=f(3).tolist(), classlabels_ints=[2, 5, 6],
             multi_class=0, post_transform=transform)
    if transform in ("NONE", "LOGISTIC"):
        case("linearclassifier_binary_" + tag, "LinearClassifier", f(6, 4), outputs=2, coefficients=f(4).tolist(), intercepts=f(1).tolist(), classlabels_ints=[2, 5],
             multi_class=0, post_transform=transform)
case("linearclassifier_ints", "LinearClassifier", ints(6, 4, dtype=np.int64), outputs=2, coefficients=f(8).tolist(), intercepts=f(2).tolist(),
     classlabels_ints=[2, 5], post_transform="LOGISTIC")
case("linearregressor_logistic", "LinearRegressor", f(5, 3), coefficients=f(6).tolist(), intercepts=[0.5, -1.0], targets=2, post_transform="LOGISTIC")

# Support vector machines
for kernel, parameters in (("LINEAR", [0.0, 0.0, 0.0]), ("POLY", [0.5, 1.0, 3.0]), ("RBF", [0.3, 0.0, 0.0]), ("SIGMOID", [0.2, 0.1, 0.0])):
    tag = kernel.lower()
    case("svmregressor_" + tag, "SVMRegressor", f(6, 4), kernel_type=kernel, kernel_params=parameters, coefficients=f(5).tolist(), support_vectors=f(20).tolist(),
         n_supports=5, rho=[0.25])
    case("svmclassifier_" + tag, "SVMClassifier", f(6, 4), outputs=2, kernel_type=kernel, kernel_params=parameters, coefficients=f(5).tolist(),
         support_vectors=f(20).tolist(), vectors_per_class=[2, 3], rho=[0.25], classlabels_ints=[3, 9])
    case("svmclassifier_three_" + tag, "SVMClassifier", f(9, 4), outputs=2, kernel_type=kernel, kernel_params=parameters, coefficients=f(14).tolist(),
         support_vectors=f(28).tolist(), vectors_per_class=[2, 3, 2], rho=[0.25, -0.1, 0.3], classlabels_ints=[3, 9, 5])
case("svmclassifier_positive", "SVMClassifier", f(6, 4), outputs=2, kernel_type="RBF", kernel_params=[0.3, 0.0, 0.0], coefficients=np.abs(f(5)).tolist(),
     support_vectors=f(20).tolist(), vectors_per_class=[2, 3], rho=[-1.0], classlabels_ints=[3, 9])
case("svmregressor_plain", "SVMRegressor", f(6, 4), kernel_type="LINEAR", coefficients=f(4).tolist(), rho=[0.25])
case("svmregressor_one_class", "SVMRegressor", f(6, 4), kernel_type="RBF", kernel_params=[0.3, 0.0, 0.0], coefficients=f(5).tolist(), support_vectors=f(20).tolist(),
     n_supports=5, rho=[0.25], one_class=1)

# Encoders
case("onehotencoder", "OneHotEncoder", ints(3, 4, low=0, high=5, dtype=np.int64), cats_int64s=[0, 2, 3], zeros=1)
case("onehotencoder_floats", "OneHotEncoder", ints(5, 1, low=0, high=4).astype(np.float32), cats_int64s=[0, 1, 2, 3], zeros=1)
case("labelencoder_ints", "LabelEncoder", ints(3, 4, low=0, high=5, dtype=np.int64), keys_int64s=[1, 3, 4], values_int64s=[10, 30, 40], default_int64=-7)
case("labelencoder_floats", "LabelEncoder", np.array([1.5, np.nan, 2.5, 3.0], np.float32), keys_floats=[2.5, float("nan"), 1.5], values_floats=[0.1, 0.2, 0.3],
     default_float=9.0)
case("labelencoder_mixed", "LabelEncoder", ints(6, low=0, high=5, dtype=np.int64), keys_int64s=[1, 3, 4], values_floats=[0.5, 0.25, 0.125])
