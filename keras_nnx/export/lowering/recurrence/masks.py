"""Masks for operators that know no more than lengths: the steps that count are moved together, and back again."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from keras_nnx.export.lowering.graphs import axis_size


@dataclasses.dataclass(frozen=True, eq=False)
class Compaction:
    """The steps that a mask keeps, one after the other.

    A masked step leaves the states as they are, so that a recurrence over the kept steps alone passes through the same
    states, whether the mask has its holes on the right, on the left or in the middle.

    Args:
        steps: For each place, the step of the sequence that comes there: b t, int32.
        lengths: How many steps are kept: b, int32.
        seen: For each step, in the order of the outputs, how many have been kept up to it: b t, int32.
        kept: Whether each step is kept, in the order of the outputs: b t.
    """

    steps: tf.Tensor
    lengths: tf.Tensor
    seen: tf.Tensor
    kept: tf.Tensor

    @classmethod
    def of(cls, mask: tf.Tensor, batch: tf.Tensor, *, backwards: bool) -> Compaction:
        """Read the mask of a batch: b t, or b t 1; one row stands for all samples."""
        kept = tf.cast(mask[..., 0] if mask.shape.rank == 3 else mask, tf.bool)
        if kept.shape[0] == 1 and batch.shape[0] != 1:
            kept = tf.broadcast_to(kept, [axis_size(batch, 0), axis_size(kept, 1)])
        kept = tf.reverse(kept, [1]) if backwards else kept
        count = tf.shape(kept)[1]
        seen = tf.cumsum(tf.cast(kept, tf.int32), axis=1)
        order = tf.range(count)[None]
        # Sorting puts the kept steps first, each half in its order: the keys are all different.
        keys = tf.where(kept, order, order + count)
        steps = tf.math.top_k(tf.negative(keys), k=count).indices
        return cls(
            steps=count - 1 - steps if backwards else steps,
            lengths=tf.reduce_sum(tf.cast(kept, tf.int32), axis=1),
            seen=seen,
            kept=kept,
        )

    def packed(self, inputs: tf.Tensor) -> tf.Tensor:
        """Move the kept steps of b t d to the front."""
        result = tf.gather(inputs, self.steps, axis=1, batch_dims=1)
        result.set_shape(inputs.shape)
        return result

    def spread(self, outputs: tf.Tensor, *, zeros: bool) -> tf.Tensor:
        """Put the outputs of the kept steps back; a masked step shows the output before it, or zeros."""
        result = tf.gather(outputs, tf.maximum(self.seen - 1, 0), axis=1, batch_dims=1)
        shown = self.kept if zeros else self.seen > 0
        result = tf.where(shown[..., None], result, tf.zeros([], result.dtype))
        result.set_shape(outputs.shape)
        return result
