"""`build` makes everything that a call needs."""

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="keras_nnx_tests")
class Holder(keras.Model):
    """A model whose layer is built and not called."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def build(self, input_shape):
        self.built = True


def test_every_child_is_built(case):
    layer = case.make()
    layer.build(*case.sized())
    assert [child.name for child in layer._flatten_layers() if not child.built] == []


def test_a_call_creates_nothing(case):
    layer = case.make_built()
    before = [variable.path for variable in layer.variables]
    children = list(layer._flatten_layers())
    layer(*case.inputs())
    assert [variable.path for variable in layer.variables] == before
    assert list(layer._flatten_layers()) == children


def test_weights_have_paths_of_their_own(case):
    paths = [variable.path for variable in case.make_built().variables]
    assert len(set(paths)) == len(paths)


def test_weights_are_saved_before_the_first_call(case, tmp_path):
    path = tmp_path / "holder.weights.h5"
    first, second = (Holder(case.make_built(seed=seed, name="layer")) for seed in (1, 2))
    for holder in (first, second):
        holder.build(None)
    first.save_weights(path)
    second.load_weights(path)
    for expected, received in zip(first.layer.get_weights(), second.layer.get_weights(), strict=True):
        np.testing.assert_array_equal(received, expected)
