"""Cells and layers that people write themselves, for the table of recurrence."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="zoo")
class LeakyCell(layers.Layer):
    """One state, plain operators."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units

    def build(self, input_shape):
        self.into = self.add_weight((input_shape[-1], self.units), name="into")
        self.again = self.add_weight((self.units, self.units), name="again")

    def call(self, inputs, states):
        (state,) = states
        new = 0.8 * state + 0.2 * ops.tanh(inputs @ self.into + state @ self.again)
        return new, [new]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class CellOfLayers(layers.Layer):
    """Layers inside, a normalisation among them, and dropout, which is inactive."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.state_size = self.output_size = units
        self.mix, self.gate = layers.Dense(units, activation="gelu"), layers.Dense(units, activation="sigmoid")
        self.normalization, self.dropout = layers.LayerNormalization(), layers.Dropout(0.5)

    def build(self, input_shape):
        both = (input_shape[0], input_shape[-1] + self.state_size)
        self.mix.build(both)
        self.gate.build(both)
        self.normalization.build((input_shape[0], self.state_size))

    def call(self, inputs, states, training=False):
        both = ops.concatenate([inputs, states[0]], axis=-1)
        gate = self.gate(both)
        new = self.normalization(gate * states[0] + (1 - gate) * self.dropout(self.mix(both), training=training))
        return new, [new]


class CellOfStates(layers.Layer):
    """States of different ranks and sizes, none of which has the size of the output; the first ones are not zero."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.output_size = [(3, 2), 4, 1], 5
        self.out = layers.Dense(5)

    def build(self, input_shape):
        self.into = self.add_weight((input_shape[-1], 6), name="into")
        self.shrink = self.add_weight((6, 4), name="shrink")
        self.out.build((input_shape[0], 4))

    def call(self, inputs, states):
        matrix, vector, count = states
        matrix = 0.5 * matrix + ops.reshape(inputs @ self.into, (-1, 3, 2))
        vector = ops.softmax(vector + ops.reshape(matrix, (-1, 6)) @ self.shrink, axis=-1)
        return self.out(vector) / count, [matrix, vector, count + 1.0]

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, 3, 2)), ops.ones((batch_size, 4)), ops.ones((batch_size, 1))]


class ClippedLSTMCell(layers.LSTMCell):
    """Keras's cell with something around it, so that no operator stands for it."""

    def call(self, inputs, states, training=False):
        output, (hidden, carry) = super().call(inputs, states, training=training)
        return output, [hidden, ops.clip(carry, -0.3, 0.3)]


class Learned(layers.Layer):
    """First states that were learned, one row for all samples of a batch."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.start = self.add_weight((1, self.units), name="start")

    def call(self, inputs):
        return ops.repeat(self.start, ops.shape(inputs)[0], axis=0)


class WithoutNegatives(layers.Layer):
    """Passes on a mask of its own, with holes: steps whose first feature is below -0.3 do not count."""

    def call(self, inputs):
        return inputs

    def compute_mask(self, inputs, previous_mask=None):
        return inputs[..., 0] > -0.3  # between the values of probes that are multiples of a half


class DoubledLSTM(layers.LSTM):
    """A layer derived from Keras's, that only adds to what it returns."""

    def call(self, sequences, initial_state=None, mask=None, training=False):
        return 2 * super().call(sequences, initial_state, mask, training)


class Subclassed(keras.Model):
    """A model without a graph of its own."""

    def __init__(self):
        super().__init__()
        self.first, self.second = layers.GRU(3, return_sequences=True), layers.LSTM(2)

    def call(self, inputs):
        return self.second(self.first(inputs) + 1.0)
