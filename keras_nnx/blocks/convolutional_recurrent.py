"""A convolution over time, and a recurrence over what it finds."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_nnx import _checks
from keras_nnx._registration import register
from keras_nnx.blocks.recurrent import RecurrentBlock
from keras_nnx.layers._step_attention import without_padding

_OWNER = "ConvolutionalRecurrentBlock"
_OWN_OPTIONS = ("units", "name", "dtype", "return_state")


@register
class ConvolutionalRecurrentBlock(keras.layers.Layer):
    """A convolution over a few steps, activated, and a recurrent block over all of them.

    Use it for signals: the convolution finds what is near, the recurrence keeps it. `keras.layers.Conv1D` drops masks,
    and lets padding leak into its neighbours; this block reads padding as zero and passes the mask on.

    Args:
        filters: Number of features that the convolution gives.
        units: Size of the state of each direction of the recurrence.
        kernel_size: How many steps the convolution looks at.
        causal: Whether the convolution sees a step and earlier ones only; else as many on both sides.
        activation: Activation behind the convolution. Default: `"relu"`.
        recurrent_options: More options of `RecurrentBlock`, such as `{"cell": "gru", "bidirectional": True}`.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`.

    Call arguments:
        inputs: `(b, t, d)`.
        mask: `(b, t)`, true for what is no padding.
        training: Whether dropout is on.

    Input shape:
        `(b, t, d)`; `t` may be unknown.

    Output shape:
        `(b, t, units)`, or what the options of the recurrence make of it. A mask is passed on.

    Raises:
        ValueError: If an argument is out of its range, an option is the block's own, the input has no three axes, or
            `d` is unknown.

    Example:
        >>> import numpy as np
        >>> import keras_nnx as nnx
        >>> nnx.blocks.ConvolutionalRecurrentBlock(8, 16)(np.ones((2, 20, 3), "float32")).shape
        TensorShape([2, 20, 16])

    Source:
        Sainath et al., "Convolutional, Long Short-Term Memory, Fully Connected Deep Neural Networks" (2015), without
        its fully connected part.
    """

    def __init__(
        self,
        filters: int,
        units: int,
        kernel_size: int = 3,
        causal: bool = False,
        activation: Any = "relu",
        recurrent_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.filters = _checks.positive_integer(_OWNER, "filters", filters)
        self.units = _checks.positive_integer(_OWNER, "units", units)
        self.kernel_size = _checks.positive_integer(_OWNER, "kernel_size", kernel_size)
        self.causal = causal
        self.activation = keras.activations.get(activation)
        _checks.options(_OWNER, "recurrent_options", recurrent_options, _OWN_OPTIONS)
        self.recurrent_options = recurrent_options

    def build(self, input_shape: tuple) -> None:
        _checks.rank(_OWNER, input_shape, "b t d")
        _checks.last_axis(_OWNER, input_shape)
        self.convolution = keras.layers.Conv1D(
            self.filters,
            self.kernel_size,
            padding="causal" if self.causal else "same",
            data_format="channels_last",
            kernel_initializer="he_normal",
            name="convolution",
            dtype=self.dtype_policy,
        )
        self.convolution.build(input_shape)
        self.recurrent = self._recurrent()
        self.recurrent.build((*input_shape[:-1], self.filters))

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:  # b t d -> b t units
        x = self.convolution(without_padding(ops.cast(inputs, self.compute_dtype), mask))
        return self.recurrent(self.activation(x), mask=mask, training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return self._recurrent().compute_output_shape((*input_shape[:-1], self.filters))

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "units", "kernel_size", "causal", "recurrent_options")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "activation": keras.activations.serialize(self.activation),
        }

    def _recurrent(self) -> RecurrentBlock:
        return RecurrentBlock(self.units, name="recurrent", dtype=self.dtype_policy, **(self.recurrent_options or {}))
