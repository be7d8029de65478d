"""What patterns and replacements of burin.passes are written in: operators over operands."""


class _Operand:
    """Arithmetic on what may stand in an expression."""

    def __add__(self, other): return op.Add(self, other)
    def __radd__(self, other): return op.Add(other, self)
    def __sub__(self, other): return op.Sub(self, other)
    def __rsub__(self, other): return op.Sub(other, self)
    def __mul__(self, other): return op.Mul(self, other)
    def __rmul__(self, other): return op.Mul(other, self)
    def __truediv__(self, other): return op.Div(self, other)
    def __rtruediv__(self, other): return op.Div(other, self)
    def __pow__(self, other): return op.Pow(self, other)
    def __matmul__(self, other): return op.MatMul(self, other)
    def __neg__(self): return op.Neg(self)


class _Var(_Operand):
    def __init__(self, name, constant, optional):
        self.name, self.constant, self.optional = name, constant, optional


class _Expr(_Operand):
    """An operator over operands; `index` says which of its results is meant."""

    def __init__(self, kind, domain, operands, attributes, name, outputs, index=0, head=None):
        self.kind, self.domain, self.operands, self.attributes = kind, domain, operands, attributes
        self.name, self.outputs, self.index = name, outputs, index
        self.head = head or self  # the same for all results of one operator


class _Either(_Operand):
    def __init__(self, options):
        self.options = options


def either(*options):
    """In a pattern: the first of these that matches."""
    return _Either(options)


class _Domain:
    def __init__(self, domain):
        self._domain = domain

    def __getattr__(self, kind):
        if not kind[0].isupper():  # as every operator is
            raise AttributeError(kind)

        def make(*operands, _name=None, _outputs=1, **attributes):
            head = _Expr(kind, self._domain, operands, attributes, _name, _outputs)
            if _outputs == 1:
                return head
            return tuple(_Expr(kind, self._domain, operands, attributes, _name, _outputs, i, head) for i in range(_outputs))
        return make

    def __getitem__(self, domain):
        return _Domain("" if domain == "ai.onnx" else domain)


op = _Domain("")
