from burin import passes
from burin.passes import op


@passes.transform
def spoil(graph):
    """A wrong rewrite, for tests of what finds it."""
    for node in graph.find("Sigmoid"):
        graph.replace(node.outputs[0], op.HardSigmoid(node.inputs[0]))
