"""The loop of a greedy decoder."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx._registration import register
from keras_nnx.blocks._recurrence import STATES


@register
class GreedyDecoding(keras.layers.Layer):
    """Writes the likeliest token, reads it, and writes the next, from a memory and the states of an encoder.

    Args:
        embedding: The layer of vectors for tokens.
        blocks: Blocks of `AttentionDecoderBlock`, in their order.
        normalization: The layer behind them.
        logits: The layer that makes scores.
        steps: How many tokens are written.
        start_token: What is read first.
        end_token: What ends a sequence; the tokens behind it are 0.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        memory: `(b, s, e)`, what the encoder gave.
        states: The states of its blocks, `(b, f)` each, in one list.
        memory_mask: `(b, s)`, true for what is no padding.
    """

    def __init__(
        self,
        embedding: keras.layers.Layer,
        blocks: list[keras.layers.Layer],
        normalization: keras.layers.Layer,
        logits: keras.layers.Layer,
        steps: int,
        start_token: int,
        end_token: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.embedding = embedding
        self.blocks = list(blocks)
        self.normalization = normalization
        self.logits = logits
        self.steps = steps
        self.start_token = start_token
        self.end_token = end_token

    def build(self, memory_shape: tuple, states_shape: list[tuple]) -> None:
        parts = (self.embedding, *self.blocks, self.normalization, self.logits)
        if all(layer.built for layer in parts):  # those of a model that was trained
            return
        batch = memory_shape[0]
        self.embedding.build((batch, None))
        shape: tuple = (batch, None, self.embedding.output_dim)
        for block, start in zip(self.blocks, self._by_block(states_shape), strict=True):
            block.build(shape, memory_shape, *start)
            shape = block.compute_output_shape(shape)
        self.normalization.build(shape)
        self.logits.build(shape)

    def call(self, memory: Any, states: list[Any], memory_mask: Any = None) -> Any:  # b s e -> b steps
        batch = ops.shape(memory)[0]
        starts = [
            block.initial_states(*start) for block, start in zip(self.blocks, self._by_block(states), strict=True)
        ]

        def write(index: Any, token: Any, tokens: Any, states: Any) -> tuple[Any, ...]:
            scores, states = self._scores(token, states, memory, memory_mask)
            token = self._chosen(scores, tokens, index)
            here = ops.expand_dims(ops.arange(self.steps, dtype="int32") == index, 0)
            return index + 1, token, ops.where(here, ops.expand_dims(token, -1), tokens), states

        token = ops.full((batch,), self.start_token, dtype="int32")
        tokens = ops.zeros((batch, self.steps), dtype="int32")
        start = (ops.convert_to_tensor(0, dtype="int32"), token, tokens, starts)
        return ops.while_loop(lambda index, *others: index < self.steps, write, start)[2]

    def compute_mask(self, *inputs: Any, **masks: Any) -> None:
        return None

    def compute_output_spec(self, memory: Any, *others: Any, **masks: Any) -> Any:
        return keras.KerasTensor((memory.shape[0], self.steps), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        save = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            **{name: save(getattr(self, name)) for name in ("embedding", "normalization", "logits")},
            "blocks": [save(block) for block in self.blocks],
            **{name: getattr(self, name) for name in ("steps", "start_token", "end_token")},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GreedyDecoding:
        load = keras.saving.deserialize_keras_object
        loaded = {name: load(config[name]) for name in ("embedding", "normalization", "logits")}
        return cls(**{**config, **loaded, "blocks": [load(block) for block in config["blocks"]]})

    def _by_block(self, states: list[Any]) -> list[list[Any]]:
        """Return the states of each block in a list of its own."""
        counts = [STATES[block.cell] for block in self.blocks]
        ends = [sum(counts[: index + 1]) for index in range(len(counts))]
        return [list(states[end - count : end]) for end, count in zip(ends, counts, strict=True)]

    def _scores(self, token: Any, states: Any, memory: Any, memory_mask: Any) -> tuple[Any, list[Any]]:
        """Return the scores of what follows `token`, and the states behind it."""
        x, after = self.embedding(token), []
        for block, state in zip(self.blocks, states, strict=True):
            x, new = block.step(x, state, memory, memory_mask)
            after.append(new)
        return self.logits(self.normalization(x)), after

    def _chosen(self, scores: Any, tokens: Any, index: Any) -> Any:
        """Return the likeliest token, or 0 where the end was written before."""
        best = ops.cast(ops.argmax(ops.cast(scores, "float32"), axis=-1), "int32")
        if self.end_token is None:
            return best
        written = ops.expand_dims(ops.arange(self.steps, dtype="int32") < index, 0)
        ended = ops.any(ops.logical_and(tokens == self.end_token, written), axis=1)
        return ops.where(ended, ops.zeros_like(best), best)
