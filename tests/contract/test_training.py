"""Training reaches every weight."""

import keras
import numpy as np
import tensorflow as tf

NOISE = 1e-6
"""A gradient under this share of the largest is zero."""


def learns(case, weight):
    return not weight.path.endswith(case.silent)


def test_the_gradient_reaches_every_weight(case):
    layer = case.make_built()
    model = case.model(layer)
    inputs = [tf.Variable(value) for value in case.inputs()]
    sources = [variable.value for variable in layer.trainable_variables]
    sources += [value for value in inputs if value.dtype.is_floating]
    with tf.GradientTape() as tape:
        outputs = model([tf.convert_to_tensor(value) for value in inputs], training=True)
        loss = tf.reduce_sum(outputs * tf.random.stateless_normal(outputs.shape, seed=(1, 2)))
    gradients = tape.gradient(loss, sources)
    assert [value.name for value, gradient in zip(sources, gradients, strict=True) if gradient is None] == []
    sizes = [float(tf.reduce_max(tf.abs(gradient))) for gradient in gradients]
    reached = [size > NOISE * max(sizes) for size in sizes]
    expected = [learns(case, weight) for weight in layer.trainable_weights]
    assert reached == expected + [True] * (len(sources) - len(expected))


def test_one_step_of_compiled_training_moves_every_weight(case):
    layer = case.make_built()
    inner = case.model(layer)
    model = keras.Model(inner.inputs, keras.layers.Dense(1)(inner.output))
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=True)
    before = layer.get_weights()
    inputs = case.inputs()
    targets = np.random.default_rng(1).standard_normal(model(inputs, training=True).shape)
    history = model.fit(inputs, targets, batch_size=len(targets), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    still = [
        weight.path
        for weight, old in zip(layer.weights, before, strict=True)
        if learns(case, weight) and np.array_equal(weight.numpy(), old)
    ]
    assert still == []


def test_a_frozen_layer_stays_frozen_when_it_is_made_anew(case):
    """As a saved or cloned model makes it: from its configuration, and built afterwards."""
    layer = case.make_built()
    layer.trainable = False
    again = type(layer).from_config(layer.get_config())
    again.build(*case.sized())
    assert len(again.weights) == len(layer.weights)
    assert again.trainable_weights == []
