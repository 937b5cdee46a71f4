"""Recurrent layers in the configurations that make a difference, each of them a function that builds a small model."""

from functools import partial

import keras
from keras import Input, layers

from tests.zoo.recurrence_cells import (
    CellOfLayers,
    CellOfStates,
    ClippedLSTMCell,
    DoubledLSTM,
    LeakyCell,
    Learned,
    Subclassed,
    WithoutNegatives,
)

SEQUENCE, UNITS = (None, 4), 3
PICTURES = {1: (None, 5, 2), 2: (None, 4, 5, 2), 3: (None, 3, 4, 3, 2)}
KINDS = {
    "LSTM": layers.LSTM,
    "GRU": layers.GRU,
    "GRU(reset_after=False)": partial(layers.GRU, reset_after=False),
    "SimpleRNN": layers.SimpleRNN,
}
SEQUENCES = {"return_sequences": True}
BACKWARDS = {"return_sequences": True, "go_backwards": True}


def chain(*makers, shape=SEQUENCE, batch=None, dtype=None):
    """Return a function that builds a model of layers one after the other."""

    def build():
        return keras.Sequential([Input(shape, batch_size=batch, dtype=dtype), *(make() for make in makers)])

    return build


def wired(connect, **shapes):
    """Return a function that builds a model: `connect` takes the inputs, by name, and returns the outputs."""

    def build():
        inputs = {
            name: Input(shape, name=name, dtype="bool" if name == "mask" else None) for name, shape in shapes.items()
        }
        return keras.Model(list(inputs.values()), connect(**inputs))

    return build


def of_kinds():
    """Return the configurations that all layers with Keras's own cells have."""
    cases = {}
    for title, kind in KINDS.items():
        states = {"states": (UNITS,), **({"carry": (UNITS,)} if title == "LSTM" else {})}
        cases |= {
            f"{title}": chain(partial(kind, UNITS)),
            f"{title}: return_sequences, no bias": chain(partial(kind, UNITS, use_bias=False, **SEQUENCES)),
            f"{title}: return_sequences, go_backwards": chain(partial(kind, UNITS, **BACKWARDS)),
            f"{title}: return_sequences, return_state": wired(
                lambda x, kind=kind: kind(UNITS, return_sequences=True, return_state=True)(x), x=SEQUENCE
            ),
            f"{title}: initial_state is an input": wired(
                lambda x, kind=kind, **states: kind(UNITS)(x, initial_state=list(states.values())), x=SEQUENCE, **states
            ),
            f"{title}: masked": chain(layers.Masking, partial(kind, UNITS)),
            f"{title}: masked, return_sequences, go_backwards": chain(
                layers.Masking, partial(kind, UNITS, **BACKWARDS)
            ),
            f"{title}: masked, return_sequences, zero_output_for_mask": chain(
                layers.Masking, partial(kind, UNITS, zero_output_for_mask=True, **SEQUENCES)
            ),
        }
    return cases


def of_options():
    """Return the options of layers with Keras's own cells."""
    lstm, gru, simple = (partial(kind, UNITS) for kind in (layers.LSTM, layers.GRU, layers.SimpleRNN))
    return {
        "LSTM: relu, hard_sigmoid": chain(partial(lstm, activation="relu", recurrent_activation="hard_sigmoid")),
        "LSTM: softplus, softsign": chain(partial(lstm, activation="softplus", recurrent_activation="softsign")),
        "LSTM: gelu": chain(partial(lstm, activation="gelu", **SEQUENCES)),
        "GRU: elu, hard_sigmoid": chain(partial(gru, activation="elu", recurrent_activation="hard_sigmoid")),
        "GRU: LeakyReLU(0.1) as a layer": chain(lambda: gru(activation=layers.LeakyReLU(negative_slope=0.1))),
        "GRU: silu, masked": chain(layers.Masking, partial(gru, activation="silu", **SEQUENCES)),
        "SimpleRNN: linear": chain(partial(simple, activation="linear", **SEQUENCES)),
        "SimpleRNN: softmax": chain(partial(simple, activation="softmax")),
        "SimpleRNN: leaky_relu, go_backwards": chain(partial(simple, activation="leaky_relu", go_backwards=True)),
        "LSTM: units=1": chain(partial(layers.LSTM, 1, **SEQUENCES), shape=(None, 1)),
        "LSTM: static batch": chain(partial(lstm, **SEQUENCES), batch=2),
        "GRU: static time": chain(partial(gru, **SEQUENCES), shape=(5, 4)),
        "SimpleRNN: static batch and time": chain(partial(simple, **SEQUENCES), shape=(5, 4), batch=2),
        "LSTM: one step": chain(partial(lstm, **BACKWARDS), shape=(1, 4)),
        "LSTM: 40 steps": chain(partial(lstm, **SEQUENCES), shape=(40, 4)),
        "GRU: unroll": chain(partial(gru, unroll=True, **SEQUENCES), shape=(5, 4)),
        "LSTM: unroll, masked": chain(layers.Masking, partial(lstm, unroll=True, **BACKWARDS), shape=(5, 4)),
        "LSTM: dropout, recurrent_dropout": chain(partial(lstm, dropout=0.5, recurrent_dropout=0.5)),
        "GRU: implementation=1, dropout": chain(lambda: layers.RNN(layers.GRUCell(3, implementation=1, dropout=0.5))),
        "LSTM: use_cudnn=False": chain(partial(lstm, use_cudnn=False)),
        "GRU: stateful": chain(partial(gru, stateful=True), batch=2),
        "LSTM: mixed_float16": chain(partial(lstm, dtype="mixed_float16", **SEQUENCES)),
        "GRU: mixed_float16, masked": chain(layers.Masking, partial(gru, dtype="mixed_float16", **BACKWARDS)),
        "LSTM: a class derived from it": chain(partial(DoubledLSTM, UNITS, **SEQUENCES)),
    }


def of_states_and_masks():
    """Return where first states and masks come from."""
    lstm, gru = layers.LSTM, layers.GRU

    def encoder_decoder(kind):
        def connect(x, y):
            _, *states = kind(UNITS, return_state=True)(x)
            return layers.Dense(2)(kind(UNITS, return_sequences=True)(y, initial_state=states))

        return wired(connect, x=SEQUENCE, y=SEQUENCE)

    def twice(x, y):
        layer = lstm(UNITS, return_sequences=True)
        return layer(x), layer(y)

    words = partial(layers.Embedding, 7, 4, mask_zero=True)
    return {
        "LSTM: initial_state from weights": wired(
            lambda x: lstm(UNITS)(x, initial_state=[Learned(UNITS)(x), Learned(UNITS)(x)]), x=SEQUENCE
        ),
        "GRU: initial_state from weights, masked": wired(
            lambda x: gru(UNITS)(layers.Masking()(x), initial_state=Learned(UNITS)(x)), x=SEQUENCE
        ),
        "LSTM: encoder and decoder": encoder_decoder(lstm),
        "GRU: encoder and decoder": encoder_decoder(gru),
        "LSTM: mask is an input": wired(
            lambda x, mask: lstm(UNITS, **SEQUENCES)(x, mask=mask), x=SEQUENCE, mask=(None,)
        ),
        "LSTM: masked, all of return_state": wired(
            lambda x: lstm(UNITS, return_state=True, **BACKWARDS)(layers.Masking()(x)), x=SEQUENCE
        ),
        "GRU: Embedding(mask_zero=True)": chain(words, partial(gru, UNITS), shape=(None,), dtype="int32"),
        "LSTM: a mask with holes": chain(WithoutNegatives, partial(lstm, UNITS, **SEQUENCES)),
        "LSTM, GRU, SimpleRNN in a row, masked": chain(
            layers.Masking,
            partial(lstm, UNITS, **SEQUENCES),
            partial(gru, UNITS, **SEQUENCES),
            partial(layers.SimpleRNN, 2),
        ),
        "LSTM: called twice": wired(twice, x=SEQUENCE, y=SEQUENCE),
        "LSTM, GRU: in a subclassed model": Subclassed,
    }


def of_both_directions():
    """Return the configurations of `Bidirectional`."""
    lstm, gru = partial(layers.LSTM, UNITS, **SEQUENCES), partial(layers.GRU, UNITS, **SEQUENCES)
    both = layers.Bidirectional
    cases = {
        f"Bidirectional: LSTM, {mode}": chain(lambda mode=mode: both(lstm(), merge_mode=mode))
        for mode in ("concat", "sum", "mul", "ave")
    }
    return cases | {
        "Bidirectional: LSTM, merge_mode=None": wired(lambda x: both(lstm(), merge_mode=None)(x), x=SEQUENCE),
        "Bidirectional: GRU, the last output": chain(lambda: both(layers.GRU(UNITS))),
        "Bidirectional: GRU, return_state": wired(lambda x: both(gru(return_state=True))(x), x=SEQUENCE),
        "Bidirectional: LSTM, masked": chain(layers.Masking, lambda: both(lstm())),
        "Bidirectional: GRU, masked, zero_output_for_mask": chain(
            layers.Masking, lambda: both(gru(zero_output_for_mask=True))
        ),
        "Bidirectional: LSTM and GRU": chain(lambda: both(lstm(), backward_layer=gru(go_backwards=True))),
        "Bidirectional: LSTM, initial_state is an input": wired(
            lambda x, **states: both(lstm())(x, initial_state=list(states.values())),
            x=SEQUENCE,
            **dict.fromkeys(("a", "b", "c", "d"), (UNITS,)),
        ),
        "Bidirectional: two in a row, masked": chain(
            partial(layers.Embedding, 7, 4, mask_zero=True),
            lambda: both(lstm()),
            lambda: both(layers.LSTM(2)),
            shape=(None,),
            dtype="int32",
        ),
        "Bidirectional: RNN of an own cell": chain(lambda: both(layers.RNN(LeakyCell(UNITS), **SEQUENCES))),
    }


def of_cells():
    """Return the configurations of `RNN`."""
    every, last = partial(layers.RNN, **SEQUENCES), layers.RNN
    lstm, gru, simple = (partial(cell, UNITS) for cell in (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell))
    return {
        "RNN: LSTMCell": chain(lambda: last(lstm())),
        "RNN: GRUCell, masked": chain(layers.Masking, lambda: every(gru())),
        "RNN: SimpleRNNCell, go_backwards": chain(lambda: last(simple(), **BACKWARDS)),
        "RNN: two LSTMCells": chain(lambda: every([lstm(), layers.LSTMCell(2)])),
        "RNN: LSTMCell, GRUCell, SimpleRNNCell, go_backwards": chain(
            lambda: last(layers.StackedRNNCells([lstm(), gru(), simple()]), **BACKWARDS)
        ),
        "RNN: LSTMCell, GRUCell, masked, return_state": wired(
            lambda x: every([lstm(), gru()], return_state=True)(layers.Masking()(x)), x=SEQUENCE
        ),
        "RNN: GRUCell and an own cell": chain(lambda: every([gru(), LeakyCell(2)])),
        "RNN: an own cell": chain(lambda: last(LeakyCell(UNITS))),
        "RNN: an own cell, masked, go_backwards": chain(layers.Masking, lambda: last(LeakyCell(UNITS), **BACKWARDS)),
        "RNN: an own cell, unroll": chain(lambda: every(LeakyCell(UNITS), unroll=True), shape=(5, 4)),
        "RNN: a cell that holds layers": chain(lambda: every(CellOfLayers(UNITS))),
        "RNN: a cell with three states": chain(lambda: every(CellOfStates())),
        "RNN: a cell derived from LSTMCell": chain(lambda: every(ClippedLSTMCell(UNITS))),
    }


def of_each_step():
    """Return the configurations of `TimeDistributed`."""
    each = layers.TimeDistributed
    return {
        "TimeDistributed: Dense, masked": chain(
            layers.Masking, lambda: each(layers.Dense(3)), partial(layers.GRU, UNITS)
        ),
        "TimeDistributed: Conv2D": chain(lambda: each(layers.Conv2D(3, 2)), shape=PICTURES[2]),
        "TimeDistributed: LSTM": chain(lambda: each(layers.LSTM(UNITS)), shape=(None, 3, 4)),
        "TimeDistributed: a model with a GRU": chain(
            lambda: each(chain(partial(layers.GRU, UNITS))()), shape=(None, 3, 4)
        ),
    }


def of_convolutions():
    """Return the configurations of `ConvLSTM1D`, `ConvLSTM2D` and `ConvLSTM3D`."""
    kinds = {1: layers.ConvLSTM1D, 2: layers.ConvLSTM2D, 3: layers.ConvLSTM3D}
    cases = {f"ConvLSTM{rank}D": chain(partial(kind, 2, 2), shape=PICTURES[rank]) for rank, kind in kinds.items()}
    cases |= {
        f"ConvLSTM{rank}D: same, return_sequences, go_backwards": chain(
            partial(kind, 2, 3, padding="same", **BACKWARDS), shape=PICTURES[rank]
        )
        for rank, kind in kinds.items()
    }
    two, shape = partial(layers.ConvLSTM2D, 2, 2), PICTURES[2]
    return cases | {
        "ConvLSTM1D: masked": wired(
            lambda x, mask: layers.ConvLSTM1D(2, 2, **SEQUENCES)(x, mask=mask), x=PICTURES[1], mask=(None,)
        ),
        "ConvLSTM2D: strides, no bias, relu": chain(
            partial(two, strides=2, use_bias=False, activation="relu"), shape=shape
        ),
        "ConvLSTM2D: dilation_rate, dropout": chain(
            partial(two, dilation_rate=2, dropout=0.5, recurrent_dropout=0.5), shape=shape
        ),
        "ConvLSTM2D: return_state": wired(lambda x: two(return_state=True, **SEQUENCES)(x), x=shape),
        "ConvLSTM2D: initial_state is an input": wired(
            lambda x, states, carry: two()(x, initial_state=[states, carry]), x=shape, states=(3, 4, 2), carry=(3, 4, 2)
        ),
        "Bidirectional: ConvLSTM1D": chain(
            lambda: layers.Bidirectional(layers.ConvLSTM1D(2, 2, **SEQUENCES)), shape=PICTURES[1]
        ),
    }


CASES = {
    **of_kinds(),
    **of_options(),
    **of_states_and_masks(),
    **of_both_directions(),
    **of_cells(),
    **of_each_step(),
    **of_convolutions(),
}
