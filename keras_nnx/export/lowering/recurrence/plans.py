"""How recurrence is to be written for a target, and how it was."""

from __future__ import annotations

import dataclasses

from keras_nnx.export.errors import UnsupportedModelError

MODES = ("auto", "loop", "fused", "unroll")

FUSED, LOOP, UNROLL = "one operator", "a loop", "unrolled"


@dataclasses.dataclass
class Plan:
    """What was asked for, and what each recurrent layer became.

    Args:
        target: `"saved_model"`, `"onnx"` or `"tflite"`.
        mode: One of `MODES`.
        precision: Of the file.
        written: For each recurrent layer, by its path, its form and the reason for it.
        refusal: Why a layer cannot be written; Keras puts what it knows of a call around an error that a layer raises.
    """

    target: str
    mode: str = "auto"
    precision: str = "float32"
    written: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)

    refusal: UnsupportedModelError | None = None

    def refuse(self, message: str) -> UnsupportedModelError:
        """Return an error to be raised, and remember it as it is."""
        self.refusal = UnsupportedModelError(f"{self.target}: {message}")
        return self.refusal

    def note(self) -> str:
        """Return a line for the report, or an empty one if nothing is recurrent."""
        groups: dict[tuple[str, str], list[str]] = {}
        for layer, entry in self.written.items():
            groups.setdefault(entry, []).append(layer)
        said = [f"{', '.join(layers)}: {form} ({reason})" for (form, reason), layers in groups.items()]
        return f"{self.target}: recurrence is written as follows. {'; '.join(said)}." if said else ""
