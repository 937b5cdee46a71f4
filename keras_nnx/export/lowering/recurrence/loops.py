"""A loop over time for TFLite, with builtin operators only and any number of steps; or all steps written out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from keras import tree
from tensorflow.compiler.tf2xla.python import xla

from keras_nnx.export.lowering.graphs import axis_size

_ONE_BLOCK = 16
"""So many steps need no blocks."""
_BLOCK = 32
"""Steps of a block, where it is not known how many there are."""

StepFunction = Callable[[Any, Any], tuple[Any, Any]]


@dataclasses.dataclass(frozen=True)
class Walk:
    """How a sequence is gone through.

    Args:
        backwards: Whether from its end; the outputs are then in that order.
        every: Whether the outputs of all steps are wanted, or the last one only.
        zeros: Whether the output of a masked step is zero; otherwise it is the one before.
        unroll: Whether all steps are written out.
    """

    backwards: bool = False
    every: bool = True
    zeros: bool = False
    unroll: bool = False


def scan(
    step: StepFunction, inputs: Any, states: Sequence[Any], mask: tf.Tensor | None, walk: Walk
) -> tuple[Any, Any, Any]:
    """Do what `keras.backend.rnn` does.

    Args:
        step: From the inputs and the states of one step to its output and new states.
        inputs: Tensors b t ... in any structure.
        states: The first states, in any structure.
        mask: b t, or b t 1; masked steps leave the states as they are.
        walk: How.

    Returns:
        The last output, all outputs (b t ...; of one step only, if not all are wanted) and the last states.
    """
    scanned = _Scan(step, tree.map_structure(_swapped, inputs), list(states), _swapped_mask(mask), walk)
    last, outputs, flat = scanned.unrolled() if walk.unroll else scanned.looped()
    states = tree.pack_sequence_as(list(states), flat)
    pack = scanned.pack_outputs
    return pack(last), pack([_swapped(tensor) for tensor in outputs]), states


@dataclasses.dataclass(frozen=True)
class _Part:
    """Some steps of a sequence.

    Args:
        start: How many steps come before it, in the order of the walk.
        width: How many steps it has.
        inputs: These steps, and perhaps others.
        first: The index of the first of `inputs` in the whole sequence.
    """

    start: tf.Tensor
    width: tf.Tensor
    inputs: list[tf.Tensor]
    first: tf.Tensor


class _Scan:
    """One way through a sequence, in time-major tensors."""

    def __init__(self, step: StepFunction, inputs: Any, states: list[Any], mask: tf.Tensor | None, walk: Walk) -> None:
        self._step, self._inputs, self._states, self._mask, self._walk = step, inputs, states, mask, walk
        self._flat = tree.flatten(inputs)
        self._steps = axis_size(self._flat[0], 0)
        # What the first step returns tells the shapes; the step itself is needed by nothing.
        example, _ = step(tree.map_structure(lambda x: x[0], inputs), states)
        self._example = tree.flatten(example)
        self._structure = example

    def pack_outputs(self, flat: Sequence[tf.Tensor]) -> Any:
        """Return outputs in the structure that a step returns them in."""
        return tree.pack_sequence_as(self._structure, list(flat))

    def unrolled(self) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """Write all steps out; return the last output, all outputs and the last states."""
        steps = tf.get_static_value(self._steps)
        assert steps is not None  # checked by whoever asks for it
        output, states = self._zeros(), tree.flatten(self._states)
        written = []
        for time in range(int(steps)):
            index = tf.constant(int(steps) - 1 - time if self._walk.backwards else time)
            output, states = self._at(index, self._all, output, states)
            written.append(output)
        stacked = [tf.stack(row) for row in zip(*(written if self._walk.every else written[-1:]), strict=True)]
        return output, stacked, states

    def looped(self) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """Go through all steps in a loop; return the last output, all outputs and the last states."""
        states, zeros = tree.flatten(self._states), self._zeros()
        if not self._walk.every:
            _, output, states = self._loop(self._all, [], zeros, states)
            return output, [tensor[None] for tensor in output], states
        size, blocks = self._sizes()
        whole = [self._buffer(blocks * size, tensor) for tensor in zeros]
        if tf.get_static_value(blocks) == 1:
            written, output, states = self._loop(self._all, whole, zeros, states)
            return output, written, states
        sequences = self._flat
        if tf.get_static_value(self._steps) is None:  # so that a block has its size even if there are fewer steps
            sequences = [_padded(tensor, size) for tensor in sequences]

        def block(number: tf.Tensor, *carried: tf.Tensor) -> list[tf.Tensor]:
            whole, output, states = self._split(carried)
            part = self._part(number * size, size, sequences)
            buffer = [_piece(tensor, part.start, size) for tensor in whole]
            written, output, states = self._loop(part, buffer, output, states)
            whole = [_written(old, new, part.start) for old, new in zip(whole, written, strict=True)]
            return [number + 1, *whole, *output, *states]

        carried = _while(lambda number, *_: number < blocks, block, [tf.constant(0), *whole, *zeros, *states])
        whole, output, states = self._split(carried[1:])
        return output, [tensor[: self._steps] for tensor in whole], states

    def _sizes(self) -> tuple[int, Any]:
        """Return the size of a block, and how many blocks there are.

        A loop copies what it changes once a step, so that writing into one long tensor takes time by the square of
        the steps; with blocks within blocks it takes their power of 1.5. The size of a block is known in any case:
        TFLite copies what a loop only reads, and plans its memory anew each time, unless all shapes in it are known.
        """
        steps = tf.get_static_value(self._steps)
        if steps is None:
            return _BLOCK, (self._steps + _BLOCK - 1) // _BLOCK
        size = int(steps) if steps <= _ONE_BLOCK else math.isqrt(int(steps) - 1) + 1
        return size, tf.constant(-(-int(steps) // max(size, 1)))

    @property
    def _all(self) -> _Part:
        return _Part(tf.constant(0), self._steps, self._flat, tf.constant(0))

    def _part(self, start: tf.Tensor, size: int, sequences: list[tf.Tensor]) -> _Part:
        """Return the steps from `start` on, in the order of the walk: `size` of them, or what is left."""
        if self._walk.backwards:
            first = tf.maximum(self._steps - start - size, 0)
        else:
            first = tf.minimum(start, axis_size(sequences[0], 0) - size)
        pieces = [_piece(tensor, first, size) for tensor in sequences]
        return _Part(start, tf.minimum(size, self._steps - start), pieces, first)

    def _loop(
        self, part: _Part, buffer: list[tf.Tensor], output: list[tf.Tensor], states: list[tf.Tensor]
    ) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """Go through some steps, whose outputs are written into `buffer`, if there is one."""

        def body(time: tf.Tensor, *carried: tf.Tensor) -> list[tf.Tensor]:
            buffer, output, states = self._split(carried, shown)
            index = self._steps - 1 - part.start - time if self._walk.backwards else part.start + time
            output, states = self._at(index, part, output, states)
            written = [_written(old, new[None], time) for old, new in zip(buffer, output, strict=False)]
            return [time + 1, *written, *output, *states]

        shown = len(buffer)
        carried = _while(lambda time, *_: time < part.width, body, [tf.constant(0), *buffer, *output, *states])
        return self._split(carried[1:], shown)

    def _split(
        self, carried: Sequence[tf.Tensor], shown: int | None = None
    ) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
        """Tell the buffers, the last output and the states apart."""
        count = len(self._example)
        first = count if shown is None else shown
        return list(carried[:first]), list(carried[first : first + count]), list(carried[first + count :])

    def _at(
        self,
        index: tf.Tensor,
        part: _Part,
        before: list[tf.Tensor],
        flat_states: list[tf.Tensor],
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Do one step, told by its index in the whole sequence; return the output and the states."""
        rows = [tf.gather(tensor, index - part.first) for tensor in part.inputs]
        now = tree.pack_sequence_as(self._inputs, rows)
        result, states = self._step(now, tree.pack_sequence_as(self._states, flat_states))
        output = tree.flatten(result)
        new = [tf.cast(value, old.dtype) for value, old in zip(tree.flatten(states), flat_states, strict=True)]
        if self._mask is None:
            return output, new
        keep = tf.gather(self._mask, index)
        if self._walk.zeros:
            before = [tf.zeros_like(value) for value in before]
        output = [_chosen(keep, value, old) for value, old in zip(output, before, strict=True)]
        return output, [_chosen(keep, value, old) for value, old in zip(new, flat_states, strict=True)]

    def _zeros(self) -> list[tf.Tensor]:
        return [self._zero(tensor) for tensor in self._example]

    def _zero(self, example: tf.Tensor) -> tf.Tensor:
        if None in example.shape[1:]:
            return tf.zeros_like(example)
        result = tf.zeros([axis_size(self._flat[0], 1), *example.shape[1:]], example.dtype)
        result.set_shape([self._flat[0].shape[1], *example.shape[1:]])
        return result

    def _buffer(self, size: Any, zero: tf.Tensor) -> tf.Tensor:
        """Return the place for `size` outputs.

        It is filled with a zero that is computed: the converter would store zeros that it knows, all of them.
        """
        first = self._flat[0]
        corner = tf.cast(first[tuple(slice(0, 1) for _ in range(first.shape.rank))], tf.float32)
        nothing = tf.minimum(tf.maximum(tf.reduce_sum(corner), 0), 0)
        result = tf.fill(tf.concat([[size], tf.shape(zero)], 0), tf.cast(nothing, zero.dtype))
        result.set_shape([tf.get_static_value(size), *zero.shape])
        return result


def _while(condition: Callable[..., Any], body: Callable[..., Any], carried: list[Any]) -> list[tf.Tensor]:
    return list(tf.while_loop(condition, body, carried, shape_invariants=[tf.TensorShape(x.shape) for x in carried]))


def _piece(tensor: tf.Tensor, first: tf.Tensor, size: int) -> tf.Tensor:
    """Return some steps of a sequence; the shape of what a slice gives would be unknown to TFLite."""
    return tf.gather(tensor, first + tf.range(size))


def _padded(tensor: tf.Tensor, size: int) -> tf.Tensor:
    """Return a sequence with more steps of zeros behind it; TFLite pads tensors of five axes at most."""
    rank = tensor.shape.rank
    if rank <= 5:
        return tf.pad(tensor, [[0, size], *[[0, 0]] * (rank - 1)])
    flat = tf.pad(tf.reshape(tensor, tf.stack([axis_size(tensor, 0), -1])), [[0, size], [0, 0]])
    result = tf.reshape(flat, tf.stack([-1, *(axis_size(tensor, axis) for axis in range(1, rank))]))
    result.set_shape([None, *tensor.shape[1:]])
    return result


def _written(whole: tf.Tensor, part: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Write a part over the steps of the whole from `start` on."""
    places = tf.concat([[start], tf.zeros([whole.shape.rank - 1], tf.int32)], 0)
    result = xla.dynamic_update_slice(whole, part, places)
    result.set_shape(whole.shape)
    return result


def _chosen(keep: tf.Tensor, new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    """Choose for each sample: `keep` is b 1."""
    keep = tf.reshape(keep, [-1, *[1] * (new.shape.rank - 1)])
    result = tf.where(keep, new, old)
    result.set_shape(old.shape)
    return result


def _swapped(tensor: tf.Tensor) -> tf.Tensor:
    """Swap the first two axes."""
    return tf.transpose(tensor, [1, 0, *range(2, tensor.shape.rank)])


def _swapped_mask(mask: tf.Tensor | None) -> tf.Tensor | None:
    if mask is None:
        return None
    mask = tf.cast(mask, tf.bool)
    return _swapped(mask[..., None] if mask.shape.rank == 2 else mask)
