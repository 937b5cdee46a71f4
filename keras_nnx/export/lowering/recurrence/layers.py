"""The recurrent layers of a model, written for a target while its graph is traced."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import keras
import tensorflow as tf
from keras import tree
from keras.src import backend

from keras_nnx.export.lowering.recurrence import fused as tflite
from keras_nnx.export.lowering.recurrence.gates import KINDS, Gates, read_gates
from keras_nnx.export.lowering.recurrence.loops import Walk, scan
from keras_nnx.export.lowering.recurrence.masks import Compaction
from keras_nnx.export.lowering.recurrence.operators import carried, foreign_activations, onnx_weights
from keras_nnx.export.lowering.recurrence.plans import FUSED, LOOP, UNROLL, Plan
from keras_nnx.export.lowering.recurrence.starts import checked_starts

_KERAS_LOOPS = tuple(
    layer.inner_loop for layer in (keras.layers.RNN, keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)
)
_NO_OPERATOR = "ONNX has no operator for its cell"
_OF_ACCELERATORS = ("lstm", "gru", "bidirectional_lstm", "bidirectional_gru")


@contextlib.contextmanager
def lowered_recurrence(model: keras.Model, plan: Plan) -> Iterator[None]:
    """Make every recurrence of `model` one that the target has, until the block is left.

    Keras goes through time in one function of its backend, whatever the layer: that one is replaced. Layers that have
    Keras's own cells go through time in a method, which is replaced before it.
    """
    with contextlib.ExitStack() as stack:
        if plan.target != "saved_model":
            writer = _Writer(model, plan)
            stack.enter_context(_replaced(backend, "rnn", functools.partial(writer.through_steps, backend.rnn)))
            for name in _OF_ACCELERATORS:
                if hasattr(backend, name):
                    stack.enter_context(_replaced(backend, name, _not_here))
            for layer in model._flatten_layers():
                if isinstance(layer, keras.layers.RNN):
                    stack.enter_context(_replaced(layer, "inner_loop", functools.partial(writer.of_layer, layer)))
        yield


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = vars(owner).get(name)
    object.__setattr__(owner, name, value)
    try:
        yield
    finally:
        if before is None:
            object.__delattr__(owner, name)
        else:
            object.__setattr__(owner, name, before)


def _not_here(*_arguments: Any, **_options: Any) -> Any:
    """Say what Keras's backends say that have no kernel for a whole sequence."""
    raise NotImplementedError


class _Writer:
    """Writes recurrence by a plan."""

    def __init__(self, model: keras.Model, plan: Plan) -> None:
        self._plan, self._model = plan, model
        self._layer: keras.layers.Layer | None = None
        self._why_no_operator = _NO_OPERATOR

    def of_layer(
        self, layer: keras.layers.RNN, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> Any:
        """Go through time in a layer."""
        outer = self._layer, self._why_no_operator
        self._layer, self._why_no_operator = layer, _NO_OPERATOR
        try:
            own = type(layer).inner_loop not in _KERAS_LOOPS
            if own or tf.executing_eagerly():
                return type(layer).inner_loop(layer, sequences, initial_state, mask, training)
            steps_only = training or _is_zeroed_in_another_order(mask, vars(layer))
            gates = None if steps_only else _all_gates(layer, sequences)
            if isinstance(gates, str):
                self._why_no_operator = gates
            elif gates is not None:
                result = self._through_gates(layer, gates, sequences, initial_state, mask)
                if result is not None:
                    return result
            return keras.layers.RNN.inner_loop(layer, sequences, initial_state, mask, training)
        finally:
            self._layer, self._why_no_operator = outer

    def through_steps(
        self, of_keras: Callable[..., Any], step: Any, inputs: Any, initial_states: Any, **options: Any
    ) -> Any:
        """Go through time whatever a step does; this stands in the place of `keras.backend.rnn`."""
        length, mask = options.get("input_length"), options.get("mask")
        odd = options.get("time_major") or isinstance(length, tf.Tensor)
        if tf.executing_eagerly() or odd:
            return of_keras(step, inputs, initial_states, **options)
        if _is_zeroed_in_another_order(mask, options):
            self._say(UNROLL, "Keras puts its zeros elsewhere than in a loop")
            return of_keras(step, inputs, initial_states, **options)
        unroll = self._unrolls(tree.flatten(inputs)[0], bool(options.get("unroll")))
        if self._plan.target == "onnx":
            self._say(UNROLL if unroll else LOOP, self._why_no_operator)
            if not unroll:
                return of_keras(step, inputs, initial_states, **{**options, "unroll": False})
        elif self._plan.mode == "fused":
            self._refuse("fused", "the operator is an LSTM with one of Keras's own cells", "loop")
        else:
            self._say(*((UNROLL, "the time is static") if unroll else self._why_loop(tree.flatten(inputs)[0])))
        walk = Walk(
            backwards=bool(options.get("go_backwards")),
            every=options.get("return_all_outputs", True),
            zeros=bool(options.get("zero_output_for_mask")),
            unroll=unroll,
        )
        constants = tuple(options.get("constants") or ())
        return scan(lambda now, states: step(now, (*states, *constants)), inputs, initial_states, mask, walk)

    def _through_gates(
        self, layer: keras.layers.RNN, gates: list[Gates], sequences: tf.Tensor, initial_state: Any, mask: Any
    ) -> Any:
        """Go through time in a layer with Keras's own cells; None if it is to be done step by step."""
        flat = iter(tree.flatten(initial_state))
        starts = [
            checked_starts(self._plan, self._path(), cell.units, [next(flat) for _ in range(cell.states)], sequences)
            for cell in gates
        ]
        if self._plan.target == "onnx":
            foreign = [function for cell in gates for function in foreign_activations(cell)]
            if foreign:
                self._why_no_operator = f"ONNX's operator cannot be used with the activation {foreign[0]}"
            if self._plan.mode not in ("auto", "fused") or foreign:
                return None
            self._say(FUSED, "ONNX has it")
            last, outputs, states = _by_operators(layer, gates, sequences, starts, mask)
        else:
            last, outputs, states = self._in_tflite(layer, gates, sequences, starts, mask)
        return last, outputs, tree.pack_sequence_as(initial_state, states)

    def _in_tflite(
        self, layer: keras.layers.RNN, gates: list[Gates], sequences: tf.Tensor, starts: list[Any], mask: Any
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        if self._plan.mode == "fused":
            return self._fused(layer, gates, sequences, starts, mask)
        unroll = self._unrolls(sequences, layer.unroll)
        self._say(*((UNROLL, "the time is static") if unroll else self._why_loop(sequences)))
        backwards, states = layer.go_backwards, []
        if len(gates) > 1 and backwards:
            sequences = tf.reverse(sequences, [1])
            mask, backwards = None if mask is None else tf.reverse(mask, [1]), False
        last = outputs = sequences
        for index, (cell, start) in enumerate(zip(gates, starts, strict=True)):
            final = index == len(gates) - 1
            walk = Walk(
                backwards=backwards,
                every=layer.return_sequences or not final,
                zeros=bool(layer.zero_output_for_mask) and final,
                unroll=unroll,
            )
            last, outputs, kept = scan(cell.step(written_out=unroll), cell.project(outputs), start, mask, walk)
            states += kept
        return last, outputs, states

    def _fused(
        self, layer: keras.layers.RNN, gates: list[Gates], sequences: tf.Tensor, starts: list[Any], mask: Any
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        for cell, start in zip(gates, starts, strict=True):
            reason = tflite.why_not(cell, sequences, start, mask, self._plan.precision)
            if reason:
                self._refuse("fused", reason, "loop")
        if layer.return_state or layer.stateful:
            self._refuse("fused", "the operator keeps its states inside and returns none", "loop")
        self._say(FUSED, "")
        outputs = tf.reverse(sequences, [1]) if layer.go_backwards else sequences
        for cell, start in zip(gates, starts, strict=True):
            outputs = tflite.fused(cell, outputs, start)
        return outputs[:, -1], outputs, [state for start in starts for state in start]

    def _unrolls(self, inputs: tf.Tensor, wanted: bool) -> bool:
        """Whether the steps of `inputs` are written out."""
        known = inputs.shape[1] is not None
        if self._plan.mode == "unroll":
            if not known:
                self._refuse(
                    "unroll", "the number of steps is not known: pass input_signature=keras.Input((steps, ...))", "loop"
                )
            return True
        small = self._plan.target == "tflite" and self._plan.precision == "int8" and self._plan.mode == "auto"
        return known and (small or (wanted and self._plan.mode == "auto"))

    def _why_loop(self, inputs: tf.Tensor) -> tuple[str, str]:
        return LOOP, "the time is dynamic" if inputs.shape[1] is None else "one file for any number of steps"

    def _say(self, form: str, reason: str) -> None:
        asked = self._plan.mode != "auto" and form == {"loop": LOOP, "fused": FUSED, "unroll": UNROLL}[self._plan.mode]
        self._plan.written[self._path()] = (form, "asked for" if asked else reason)

    def _path(self) -> str:
        return "" if self._layer is None else self._layer.path

    def _refuse(self, mode: str, reason: str, instead: str) -> NoReturn:
        raise self._plan.refuse(
            f"the layer {self._path()!r} cannot be written with recurrent={mode!r}: {reason}. "
            f"Or use recurrent={instead!r}."
        )


def _is_zeroed_in_another_order(mask: Any, options: Mapping[str, Any]) -> bool:
    """Whether a layer is unrolled by its own wish, and Keras then reads the mask of its zeros from the wrong end."""
    return mask is not None and all(options.get(key) for key in ("unroll", "go_backwards", "zero_output_for_mask"))


def _all_gates(layer: keras.layers.RNN, sequences: Any) -> list[Gates] | str:
    """Return the cells of a layer, if all of them are Keras's own; otherwise why they are not taken as such."""
    if not isinstance(sequences, tf.Tensor) or sequences.shape.rank != 3:
        return _NO_OPERATOR
    stacked = type(layer.cell) is keras.layers.StackedRNNCells
    cells = layer.cell.cells if stacked else [layer.cell]
    if not all(type(cell) in KINDS for cell in cells):
        return _NO_OPERATOR
    other = {sequences.dtype.name, *(cell.compute_dtype for cell in cells)} - {"float32"}
    if other:
        return f"ONNX's operator cannot be used with {min(other)}"
    if sequences.shape[2] is None:
        return "ONNX's operator needs a known number of features"
    return [read_gates(cell) for cell in cells]


def _by_operators(
    layer: keras.layers.RNN, gates: list[Gates], sequences: tf.Tensor, starts: list[list[tf.Tensor]], mask: Any
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """Go through time by ONNX's operators, one for each cell."""
    backwards = bool(layer.go_backwards)
    compaction = None if mask is None else Compaction.of(mask, sequences, backwards=backwards)
    outputs = sequences if compaction is None else compaction.packed(sequences)
    lengths = None if compaction is None else tf.maximum(compaction.lengths, 1)
    states: list[tf.Tensor] = []
    for cell, start in zip(gates, starts, strict=True):
        weights = onnx_weights(cell)
        outputs, last = carried(cell, outputs, start, weights, lengths, backwards=backwards and compaction is None)
        states += last
    if compaction is None:
        return last[0], tf.reverse(outputs, [1]) if backwards else outputs, states
    some = (compaction.lengths > 0)[:, None]
    flat = [state for start in starts for state in start]
    states = [tf.where(some, state, start) for state, start in zip(states, flat, strict=True)]
    if layer.return_sequences or layer.zero_output_for_mask:
        outputs = compaction.spread(outputs, zeros=bool(layer.zero_output_for_mask))
        return outputs[:, -1], outputs, states
    shown = tf.where(some, last[0], tf.zeros([], last[0].dtype))
    return shown, shown[:, None], states
