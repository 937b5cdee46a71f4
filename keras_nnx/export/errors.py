"""What can go wrong in an export, each with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NOT_FOR_PEOPLE = re.compile(r"\x1b\[[0-9;]*m|\{\{function_node[^}]*\}\} ?| ?\[Op:\w+\]( name: ?)?")
"""Colours of Keras's messages and node names of TensorFlow's."""


class ExportError(Exception):
    """An export was refused or failed; the output directory is as it was."""

    def __init__(self, message: str) -> None:
        super().__init__(_NOT_FOR_PEOPLE.sub("", message))


class SignatureError(ExportError):
    """The inputs or outputs of the model cannot be told, or have no equal in the target format."""


class UnsupportedModelError(ExportError):
    """A layer keeps something that no artifact can: state between calls, or weights in half precision."""


class UnsupportedOperatorError(ExportError):
    """A layer computes something that the target cannot run.

    Args:
        layer_path: Where in the model, such as `"vit/block_1/attention"`; `""` where it cannot be told.
        operator: The operator's name in the graph.
        target: `"saved_model"`, `"onnx"` or `"tflite"`.
        remedy: What the user can do.
        also: Errors of the same kind that were found at the same time.
    """

    def __init__(
        self,
        layer_path: str,
        operator: str,
        target: str,
        remedy: str,
        also: Sequence[UnsupportedOperatorError] = (),
    ) -> None:
        where = f"layer {layer_path!r} needs" if layer_path else "the model needs"
        super().__init__(f"{target}: {where} the operator {operator}, which this target cannot run. {remedy}")
        self.layer_path = layer_path
        self.operator = operator
        self.target = target
        self.remedy = remedy
        self.also = tuple(also)


REPLACE_THE_LAYER = (
    "Replace the layer by one that does without it, teach the engine another way with "
    "nnx.export.register_lowering, or leave this format out."
)


class ParityError(ExportError):
    """An artifact runs, but does not compute what the model computes.

    Args:
        message: What differed, by how much, and how much was allowed.
        target: The format of the artifact.
        output: Name of the worst output.
        max_abs_error: Its largest absolute error.
        probe: Name of the inputs on which it differed; `""` if it was not on some.
        diverging_layer: Path of the first layer whose answer differs; `""` where it cannot be told.
    """

    def __init__(
        self, message: str, target: str, output: str, max_abs_error: float, probe: str = "", diverging_layer: str = ""
    ) -> None:
        super().__init__(message)
        self.target = target
        self.output = output
        self.max_abs_error = max_abs_error
        self.probe = probe
        self.diverging_layer = diverging_layer

    def with_remedy(self, remedy: str, diverging_layer: str = "") -> ParityError:
        """Return the same error with more to say."""
        return ParityError(
            f"{self} {remedy}", self.target, self.output, self.max_abs_error, self.probe, diverging_layer
        )


class ConverterCrashError(ExportError):
    """A converter died, hung or gave up without naming a reason that the engine knows; its last words are kept."""


class InvalidArtifactError(ExportError):
    """A file that the converter called finished breaks the rules of its format."""


class RuntimeFailureError(ExportError):
    """The target's runtime cannot load or run an artifact that the converter called finished."""


class CalibrationError(ExportError):
    """The calibration batches are missing, empty or do not fit the model."""


class IntegrityError(ExportError):
    """An export directory is not what its manifest says: a file is missing, added or changed."""


class OutputDirectoryError(ExportError, FileExistsError):
    """The output directory cannot be written, or holds what must not be replaced."""
