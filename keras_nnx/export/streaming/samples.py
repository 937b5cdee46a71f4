"""Real sequences as the step model meets them: chunks, with what is remembered where they begin."""

from __future__ import annotations

import numpy as np

from keras_nnx.export.calibration import MOST_EXAMPLES
from keras_nnx.export.errors import CalibrationError
from keras_nnx.export.streaming.chunks import Arrays, pieces_of
from keras_nnx.export.streaming.program import StepProgram
from keras_nnx.export.streaming.rehearsal import Compiled

_CHUNK = 8


def check_length(step: StepProgram, samples: Arrays | None) -> None:
    """Raise unless the sequences given for calibration show all that the model remembers.

    Raises:
        CalibrationError: If they are shorter than what it looks back, or than a chunk.
    """
    if samples is None:
        return
    steps = samples[step.sequences[0]].shape[1]
    least = max(step.memory + 1, step.chunk or 1)
    if steps < least:
        raise CalibrationError(
            f"The calibration sequences have {steps} steps, but the model {step.whole.model.name!r} looks back "
            f"{step.memory}{f' and takes chunks of {step.chunk}' if step.chunk else ''}: give sequences of {least} "
            f"steps at least, as long as your streams if you can."
        )


def step_samples(step: StepProgram, sequences: Arrays) -> Arrays:
    """Return inputs of the step model, states included, from whole sequences: at most `MOST_EXAMPLES` examples."""
    steps = sequences[step.sequences[0]].shape[1]
    length = step.chunk or min(_CHUNK, steps)
    count = steps // length
    fixed = step.program.signature.inputs[0].shape[0]
    rows = fixed if isinstance(fixed, int) else max(1, MOST_EXAMPLES // count)
    function = Compiled(step.program)
    states: Arrays = {}
    met: list[Arrays] = []
    for piece in pieces_of(step, {name: value[:rows] for name, value in sequences.items()}, [length] * count):
        inputs = {**states, **piece}
        answers = function(inputs)
        met.append(inputs)
        states = {name: answers[output] for name, output in step.feeds.items()}
    stride = max(1, len(met) * len(next(iter(met[0].values()))) // MOST_EXAMPLES)
    names = [spec.name for spec in step.program.signature.inputs]
    return {name: np.concatenate([inputs[name] for inputs in met[::stride]])[:MOST_EXAMPLES] for name in names}
