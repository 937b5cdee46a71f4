"""A projection whose low-rank addition goes on training after loading."""

from __future__ import annotations

from typing import Any

import keras


class _LowRankDense(keras.layers.Dense):
    """A `Dense` with LoRA that is loaded as one that is new.

    Keras adds both factors to the kernel when it saves, and sets both to zero when it loads: the gradient of each is
    then zero for good. Here the first one starts anew.
    """

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        if self.lora_enabled:
            start = keras.initializers.HeUniform()
            self.lora_kernel_a.assign(start(self.lora_kernel_a.shape, dtype=self.lora_kernel_a.dtype))

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        super().quantize(mode, type_check=False, config=config)


def projection(lora_rank: int | None, units: int, **arguments: Any) -> keras.layers.Dense:
    """Return a `Dense`, or one that is ready for the low-rank addition that it will have."""
    kind = keras.layers.Dense if lora_rank is None else _LowRankDense
    return kind(units, **arguments)
