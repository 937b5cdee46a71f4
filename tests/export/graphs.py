"""Graphs written anew, run and read."""

import tensorflow as tf

from keras_nnx.export.lowering import decompositions as _decompositions  # noqa: F401
from keras_nnx.export.lowering.rewriting import rewrite


def lower(function, *specifications, target="onnx"):
    """Return the graph of `function` written anew, as a function from a list of arrays to a list of arrays."""
    concrete = tf.function(function, autograph=False).get_concrete_function(*specifications)
    inputs = {str(index): tensor for index, tensor in enumerate(concrete.inputs)}
    outputs = {str(index): tensor for index, tensor in enumerate(concrete.outputs)}
    return rewrite(concrete.graph, inputs, outputs, target)


def run(frozen, *arrays):
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(frozen.graph_def, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            return session.run(list(frozen.outputs.values()), dict(zip(frozen.inputs.values(), arrays, strict=True)))


def operators_of(frozen):
    """Return the types of all operators, in the bodies of functions too."""
    library = frozen.graph_def.library.function
    return {node.op for node in frozen.graph_def.node} | {node.op for f in library for node in f.node_def}
