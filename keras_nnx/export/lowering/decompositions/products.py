"""Decompositions of products of tensors."""

from __future__ import annotations

import string

import tensorflow as tf

from keras_nnx.export.lowering.operators import register_decomposition


@register_decomposition("Einsum", targets=("onnx",))
def einsum(operation: tf.Operation, *tensors: tf.Tensor) -> list[tf.Tensor]:
    """Write letters for the axes that an equation leaves to dots: tf2onnx reads letters only."""
    equation = operation.get_attr("equation").decode()
    ranks = [tensor.shape.rank for tensor in tensors]
    if "..." not in equation or None in ranks:
        return NotImplemented
    inputs, _, output = equation.replace("...", ".").partition("->")
    terms = inputs.split(",")
    hidden = [rank - len(term) + 1 if "." in term else 0 for term, rank in zip(terms, ranks, strict=True)]
    letters = "".join(letter for letter in string.ascii_letters if letter not in equation)[: max(hidden)]
    spelled = [term.replace(".", letters[len(letters) - count :]) for term, count in zip(terms, hidden, strict=True)]
    if any(count not in (0, max(hidden)) for count in hidden):
        return NotImplemented  # the shorter one is broadcast, which letters cannot say
    return [tf.raw_ops.Einsum(inputs=list(tensors), equation=f"{','.join(spelled)}->{output.replace('.', letters)}")]
