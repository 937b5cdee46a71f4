"""Loops and branches written anew, with what they call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import tensorflow as tf

from keras_nnx.export.lowering.graphs import copied, origin


class Walk(Protocol):
    """Writes the bodies of functions."""

    target: str

    def graph(self, name: str) -> Any:
        """Return the body of a function, as it was."""

    def inline(self, name: str, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Write the body of a function anew, where it is called."""


def write_loop(walk: Walk, operation: tf.Operation, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
    """Write a loop, whose constants go into its body."""
    condition_name, body_name = (operation.get_attr(key).name for key in ("cond", "body"))
    body = walk.graph(body_name)
    counted = walk.target == "onnx" and _counts(body)
    constants = {
        index: tensor
        for index, tensor in enumerate(inputs)
        if origin(body.outputs[index]) is body.inputs[index] and _is_constant(tensor) and not (counted and index == 1)
    }
    varying = [index for index in range(len(inputs)) if index not in constants]
    # tf2onnx takes the first two of what is carried for a counter and its limit, whatever they are.
    counter = [tf.constant(0), tf.constant(-1)] if walk.target == "onnx" and not counted else []
    extra = [tf.TensorSpec((), tf.int32)] * len(counter)

    def finish(before: Sequence[tf.Tensor], results: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        counts = [before[0] + 1, before[1]] if before else []
        return [*counts, *(results[index] for index in varying)]

    # What is carried may change its shape: the body says with which it is entered.
    shapes = operation.get_attr("output_shapes")
    carried = tf.raw_ops.StatelessWhile(
        input=[*counter, *(inputs[index] for index in varying)],
        cond=_function(walk, condition_name, body.inputs, constants, lambda _, results: results, extra),
        body=_function(walk, body_name, body.inputs, constants, finish, extra),
        output_shapes=[*(tf.TensorShape([]) for _ in counter), *(shapes[index] for index in varying)] if shapes else [],
        parallel_iterations=operation.get_attr("parallel_iterations"),
        name=operation.name,
    )
    results = dict(zip(varying, carried[len(counter) :], strict=True))
    return [results.get(index, inputs[index]) for index in range(len(inputs))]


def write_branch(walk: Walk, operation: tf.Operation, inputs: list[tf.Tensor]) -> Sequence[tf.Tensor]:
    """Write a choice: what is chosen by a known value, or branches whose constants go into them."""
    chosen, *arguments = inputs
    if operation.type.endswith("If"):
        names = [operation.get_attr(key).name for key in ("else_branch", "then_branch")]
    else:
        names = [branch.name for branch in operation.get_attr("branches")]
    value = tf.get_static_value(chosen)
    if value is not None:
        # Out of range means the last branch.
        index = int(bool(value)) if operation.type.endswith("If") else int(value)
        with tf.name_scope(f"{operation.name}/"):
            return walk.inline(names[index if 0 <= index < len(names) else -1], arguments)
    constants = {index: tensor for index, tensor in enumerate(arguments) if _is_constant(tensor)}
    if not operation.type.endswith("If"):
        return _case(walk, operation, chosen, names, arguments)
    varying = [index for index in range(len(arguments)) if index not in constants]
    otherwise, then = (_function(walk, name, arguments, constants) for name in names)
    return tf.raw_ops.StatelessIf(
        cond=chosen,
        input=[arguments[index] for index in varying],
        then_branch=then,
        else_branch=otherwise,
        Tout=[tensor.dtype for tensor in operation.outputs],
        output_shapes=[tensor.shape for tensor in operation.outputs],
        name=operation.name,
    )


def _case(
    walk: Walk, operation: tf.Operation, chosen: tf.Tensor, names: Sequence[str], arguments: Sequence[tf.Tensor]
) -> Sequence[tf.Tensor]:
    """Write a choice among several as one between the first and the others; out of range means the last."""
    first, *others = names
    if not others:
        return walk.inline(first, arguments)
    varying = [index for index, tensor in enumerate(arguments) if not _is_constant(tensor)]

    def complete(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        given = dict(zip(varying, values, strict=True))
        return [given[index] if index in given else _again(tensor) for index, tensor in enumerate(arguments)]

    def here(_chosen: tf.Tensor, *values: tf.Tensor) -> Sequence[tf.Tensor]:
        return walk.inline(first, complete(values))

    def there(chosen: tf.Tensor, *values: tf.Tensor) -> Sequence[tf.Tensor]:
        return _case(walk, operation, chosen - 1, others, complete(values))

    given = [chosen, *(arguments[index] for index in varying)]
    specifications = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in given]
    then, otherwise = (
        tf.function(branch, autograph=False).get_concrete_function(*specifications) for branch in (here, there)
    )
    return tf.raw_ops.StatelessIf(
        cond=tf.equal(chosen, 0),
        input=given,
        then_branch=then,
        else_branch=otherwise,
        Tout=[tensor.dtype for tensor in operation.outputs],
        output_shapes=[tensor.shape for tensor in operation.outputs],
        name=operation.name,
    )


def _function(
    walk: Walk,
    name: str,
    inputs: Sequence[tf.Tensor],
    constants: dict[int, tf.Tensor],
    finish: Callable[..., Sequence[tf.Tensor]] | None = None,
    extra: Sequence[tf.TensorSpec] = (),
) -> Any:
    """Return the function `name`, written anew.

    Args:
        walk: Writes its body.
        name: In the library.
        inputs: Tensors that have the shapes and dtypes of its arguments.
        constants: Arguments that are put into the function instead, by their place: an argument has no value and
            often no shape for a converter, which for a kernel it has to have.
        finish: From the extra arguments and the results to what is returned.
        extra: Arguments that come before the others, for `finish` only.
    """
    varying = [index for index in range(len(inputs)) if index not in constants]

    def run(*arguments: tf.Tensor) -> Sequence[tf.Tensor]:
        before, values = arguments[: len(extra)], dict(zip(varying, arguments[len(extra) :], strict=True))
        values |= {index: _again(value) for index, value in constants.items()}
        results = walk.inline(name, [values[index] for index in range(len(inputs))])
        return results if finish is None else finish(before, results)

    specifications = [*extra, *(tf.TensorSpec(inputs[index].shape, inputs[index].dtype) for index in varying)]
    return tf.function(run, autograph=False).get_concrete_function(*specifications)


def _counts(body: Any) -> bool:
    """Whether the first two things that a loop carries are a counter and its limit, as `tf.while_loop` has them."""
    if len(body.inputs) < 2 or any(tensor.dtype != tf.int32 or tensor.shape.rank != 0 for tensor in body.inputs[:2]):
        return False
    step = origin(body.outputs[0]).op
    return origin(body.outputs[1]) is body.inputs[1] and step.type == "AddV2" and step.inputs[0] is body.inputs[0]


def _is_constant(value: Any) -> bool:
    """Whether a value is known: a constant, or the contents of a table."""
    return not isinstance(value, tf.Tensor) or origin(value).op.type == "Const"


def _again(value: Any) -> Any:
    """Write a constant again, in the graph that is written now."""
    return copied(origin(value).op, [])[0] if isinstance(value, tf.Tensor) else value
