"""What the files of operator cases share: seeded operands and the list they fill.

A case is (name, operator, operands, constant operands, number of outputs, attributes): operands are arrays (None: absent), those whose
positions are named constant become initializers, the others inputs of the model.
"""
import numpy as np


class Cases(list):
    def __init__(self, seed):
        super().__init__()
        self.random = np.random.default_rng(seed)

    def __call__(self, name, op, *operands, const=(), outputs=1, **attributes):
        self.append((name, op, operands, tuple(const), outputs, attributes))

    def f(self, *shape, dtype=np.float32):
        return self.random.standard_normal(shape).astype(dtype)

    def u(self, *shape, low=0.0, high=1.0, dtype=np.float32):
        return self.random.uniform(low, high, shape).astype(dtype)

    def ints(self, *shape, low=-100, high=100, dtype=np.int32):
        return self.random.integers(low, high, shape).astype(dtype)


def i64(*values):
    return np.array(values, np.int64)
