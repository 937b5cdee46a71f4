"""What layers remember from one step to the next, taken out of them while a model is called."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_nnx.export.lowering.layers import replaced_calls
from keras_nnx.export.streaming.states import Place
from keras_nnx.layers import SequencePooling

_HALF = 0.5
_BACKWARDS = "go_backwards=True reads a sequence from its end. Read it forwards."
_BOTH_WAYS = "Bidirectional reads a sequence from its end, too. Wrap nothing: use the recurrent layer itself."
_STRIDED = "a causal convolution with strides answers less often than it is asked. Use strides=1."


@dataclasses.dataclass
class Call:
    """One call of a layer that may remember, as it was observed.

    Args:
        layer: The layer.
        shape: Of what it was called on.
        initial: What it remembered before.
        final: What it remembers after.
        from_outside: Whether the model gave it what it remembers.
        obstacle: Why it cannot be fed in chunks; `""` if it can.
    """

    layer: keras.layers.Layer
    shape: tuple[int | None, ...]
    initial: list[Any] = dataclasses.field(default_factory=list)
    final: list[Any] = dataclasses.field(default_factory=list)
    from_outside: bool = False
    obstacle: str = ""


class Tape:
    """One call of a model: which layers remember what, in the order in which they are called.

    Args:
        places: Where a call takes what it remembers from the inputs, by its number; none when observing.
        states: The inputs that hold it, by name.
    """

    def __init__(self, places: dict[int, Place] | None = None, states: dict[str, Any] | None = None) -> None:
        self.calls: list[Call] = []
        self.after: dict[str, Any] = {}
        self._places = places or {}
        self._states = states or {}
        self._hidden = 0

    @contextlib.contextmanager
    def recording(self, model: keras.Model) -> Iterator[Tape]:
        """Watch the calls of the layers of `model` until the block is left."""
        with replaced_calls(model._flatten_layers(include_self=False), self._replacement):
            yield self

    def _replacement(self, layer: keras.layers.Layer) -> Any | None:
        before = layer.call
        if isinstance(layer, keras.layers.RNN):
            return functools.partial(self._recurrent, layer, before)
        if isinstance(layer, keras.layers.Conv1D) and layer.padding == "causal":
            return functools.partial(self._convolution, layer, before)
        if isinstance(layer, keras.layers.Bidirectional):
            return functools.partial(self._both_ways, layer, before)
        if isinstance(layer, keras.layers.TimeDistributed):
            return functools.partial(self._step_by_step, before)
        if isinstance(layer, SequencePooling) and layer.kind == "last":
            return functools.partial(self._last, layer, before)
        return None

    def _recurrent(
        self, layer: Any, before: Any, sequences: Any, initial_state: Any = None, mask: Any = None, **more: Any
    ) -> Any:
        if self._hidden or layer.go_backwards:
            self._observe(layer, sequences, obstacle=_BACKWARDS)
            return before(sequences, initial_state=initial_state, mask=mask, **more)
        call, place = self._observe(layer, sequences)
        given = initial_state is not None
        start = initial_state if given else _initial_state(layer, sequences)
        start = list(start) if isinstance(start, list | tuple) else [start]
        held = keras.tree.flatten(start)
        carries = mask is not None and not layer.zero_output_for_mask
        past = None
        if place is not None:
            taken = self._take(place, sequences, layer.compute_dtype)
            begun = taken.pop() if place.begins else None
            past = taken.pop() if carries else None
            if begun is not None:
                flat = keras.tree.flatten(start)
                taken = [
                    tf.where(_like(begun[:, 0] > _HALF, now), now, tf.cast(at, now.dtype))
                    for now, at in zip(taken, flat, strict=True)
                ]
            start = keras.tree.pack_sequence_as(start, taken)
        with self._hiding(), _changed(layer, return_state=True):
            answer, *final = before(sequences, initial_state=start, mask=mask, **more)
        if carries:
            past = tf.zeros_like(answer[:, -1] if layer.return_sequences else answer) if past is None else past
            held.append(past)
            answer = _continued(answer, past, mask, layer.return_sequences)
        last = [answer[:, -1] if layer.return_sequences else answer] if carries else []
        ones = [] if place is None or not place.begins else [tf.ones([tf.shape(answer)[0], 1])]
        self._keep(call, place, held, [*keras.tree.flatten(final), *last, *ones], from_outside=given)
        return (answer, *final) if layer.return_state else answer

    def _convolution(self, layer: Any, before: Any, inputs: Any, **more: Any) -> Any:
        steps = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
        if self._hidden or steps == 0 or layer.strides[0] > 1:
            self._observe(layer, inputs, obstacle=_STRIDED if layer.strides[0] > 1 else "")
            return before(inputs, **more)
        axis = 2 if layer.data_format == "channels_first" else 1
        call, place = self._observe(layer, inputs, axis)
        if place is None:
            past = tf.zeros_like(inputs[:, :1] if axis == 1 else inputs[:, :, :1])
            past = tf.repeat(past, steps, axis=axis)
        else:
            past = self._take(place, inputs, inputs.dtype)[0]
        longer = tf.concat([past, inputs], axis)
        with self._hiding(), _changed(layer, padding="valid"):
            answer = before(longer, **more)
        final = longer[:, -steps:] if axis == 1 else longer[:, :, -steps:]
        self._keep(call, place, [past], [final])
        return answer

    def _last(self, layer: Any, before: Any, inputs: Any, mask: Any = None, **more: Any) -> Any:
        """Go on with the last step that is no padding, where a chunk has none."""
        answer = before(inputs, mask=mask, **more)
        if self._hidden or mask is None:
            return answer
        call, place = self._observe(layer, inputs)
        past = tf.zeros_like(answer) if place is None else self._take(place, inputs, answer.dtype)[0]
        answer = _continued(answer, past, mask, is_sequence=False)
        self._keep(call, place, [past], [answer])
        return answer

    def _both_ways(self, layer: Any, before: Any, sequences: Any, *inputs: Any, **more: Any) -> Any:
        self._observe(layer, sequences, obstacle=_BOTH_WAYS)
        with self._hiding():
            return before(sequences, *inputs, **more)

    def _step_by_step(self, before: Any, *inputs: Any, **more: Any) -> Any:
        with self._hiding():
            return before(*inputs, **more)

    @contextlib.contextmanager
    def _hiding(self) -> Iterator[None]:
        """Leave layers alone that see one step at a time: they remember nothing from one to the next."""
        self._hidden += 1
        try:
            yield
        finally:
            self._hidden -= 1

    def _observe(self, layer: Any, inputs: Any, axis: int = 1, obstacle: str = "") -> tuple[Call, Place | None]:
        shape = tuple(inputs.shape) if axis == 1 else (inputs.shape[0], inputs.shape[2], inputs.shape[1])
        call = Call(layer, shape, obstacle=obstacle)
        if self._hidden:
            return call, None
        self.calls.append(call)
        return call, self._places.get(len(self.calls) - 1)

    def _take(self, place: Place, inputs: Any, dtype: Any) -> list[Any]:
        """Return the states of a call, with as many rows as its inputs have: those of another batch fail."""
        rows = tf.shape(inputs)[0] if inputs.shape[0] is None else inputs.shape[0]
        taken = []
        for state in place.states:
            given = _checked(self._states[state.name], [rows // state.groups, *state.shape], state.name)
            tensor = tf.reshape(given, [rows, *state.rest])
            tensor.set_shape([inputs.shape[0], *state.rest])
            taken.append(tf.cast(tensor, dtype))
        return taken

    def _keep(
        self, call: Call, place: Place | None, held: list[Any], final: list[Any], *, from_outside: bool = False
    ) -> None:
        call.initial, call.final, call.from_outside = held, final, from_outside
        if place is not None:
            for state, tensor in zip(place.states, final, strict=True):
                self.after[state.next_name] = state.packed(tensor)


def _checked(state: Any, shape: list[Any], name: str) -> Any:
    """Return a state; of another shape, TensorFlow says so rather than let one row stand for all.

    The other runtimes find out by the reshape behind, and drop the assertion.
    """
    found = tf.shape(state)
    said = f"The state {name} has to have one row for each sequence of the chunk. Its shape, and the one needed:"
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(found == shape), [said, found, shape])]):
        return tf.identity(state)


def _initial_state(layer: Any, sequences: Any) -> Any:
    rows = tf.shape(sequences)[0] if sequences.shape[0] is None else sequences.shape[0]
    return layer.get_initial_state(batch_size=rows)


def _continued(answer: Any, past: Any, mask: Any, is_sequence: bool) -> Any:
    """Repeat the last answer on steps of padding before the first that is none, as Keras does within a sequence."""
    if not is_sequence:
        seen = tf.reduce_any(mask, axis=1)
        return tf.where(_like(seen, answer), answer, past)
    seen = tf.cumsum(tf.cast(mask, tf.int32), axis=1) > 0
    return tf.where(_like(seen, answer), answer, past[:, None])


def _like(mask: Any, tensor: Any) -> Any:
    for _ in range(len(tensor.shape) - len(mask.shape)):
        mask = mask[..., None]
    return mask


@contextlib.contextmanager
def _changed(layer: Any, **values: Any) -> Iterator[None]:
    """Give a layer other attributes until the block is left."""
    before = {name: getattr(layer, name) for name in values}
    for name, value in values.items():
        object.__setattr__(layer, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            object.__setattr__(layer, name, value)
