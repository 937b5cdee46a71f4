"""Models from files: what `keras.Model.save` wrote, and SavedModels, whoever wrote them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_nnx.export.errors import ExportError, SignatureError
from keras_nnx.export.manifest import ARTIFACT_NAMES

DEFAULT_SIGNATURE = "serving_default"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_TOUCHING_FILES = {
    "EagerPyFunc",
    "MatchingFiles",
    "MergeV2Checkpoints",
    "PyFunc",
    "PyFuncStateless",
    "ReadFile",
    "RestoreV2",
    "Save",
    "SaveSlices",
    "SaveV2",
    "WriteFile",
}
"""Operators that read or write files, or call Python, when a graph runs."""


def load_model(path: str | Path, *, safe_mode: bool = True) -> keras.Model:
    """Load a model from a file or directory that is not trusted.

    Args:
        path: A `.keras` file, or a SavedModel directory with a signature.
        safe_mode: Whether code in the file is refused: Python that a `.keras` file brings along, and operators of a
            SavedModel that read or write files or call Python. Switch it off for your own files only.

    Returns:
        The model. That of a SavedModel is one layer, which computes what the signature does.

    Raises:
        ExportError: If it cannot be loaded.

    Example:
        >>> import tempfile, keras
        >>> import keras_nnx as nnx
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(folder + "/model.keras")
        ...     nnx.export.load_model(folder + "/model.keras").output_shape
        (None, 2)
    """
    path = Path(path)
    if path.is_dir() and (path / "saved_model.pb").is_file():
        return _load_saved_model(path, safe_mode=safe_mode)
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise ExportError(f"{path} {_what_it_is_instead(path)}")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=safe_mode)
    except Exception as error:
        hint = ""
        if safe_mode and "safe_mode" in str(error):
            hint = " It brings code along: if you trust whoever made it, load it with safe_mode=False (on the command "
            hint += "line, --unsafe)."
        elif "Could not locate" in str(error):
            hint = " Import the module that defines it before (on the command line, --import MODULE)."
        raise ExportError(f"{path} cannot be loaded: {type(error).__name__}: {error}{hint}") from error


def _what_it_is_instead(path: Path) -> str:
    """Say what a path is that no model can be loaded from, and what to do."""
    if not path.exists():
        return "does not exist."
    if path.is_dir():
        inner = path / ARTIFACT_NAMES["saved_model"]
        if (inner / "saved_model.pb").is_file():
            return f"is an export directory: name the SavedModel in it, {inner}."
        return "is a directory without a saved_model.pb: name a .keras file, or what model.export() wrote."
    with path.open("rb") as file:
        if file.read(len(_HDF5)) == _HDF5:
            return (
                "is an HDF5 file. If it holds a whole model, write it anew with "
                "keras.models.load_model(...).save('model.keras'); if it holds weights only, build the model and "
                "load_weights first."
            )
    return "is neither a .keras file nor a SavedModel directory: name one that model.save() or model.export() wrote."


def count_parameters(model: keras.Model) -> int:
    """Return the number of weights of a model, those of SavedModels in it included."""
    loaded = (layer for layer in model._flatten_layers() if isinstance(layer, SavedModelLayer))
    return int(model.count_params()) + sum(layer.parameters for layer in loaded)


class SavedModelLayer(keras.layers.Layer):
    """Computes a signature of a SavedModel: a dict of tensors in, a dict of tensors out.

    Args:
        loaded: What `tf.saved_model.load` returned; it is kept, since it owns the variables.
        function: The signature.
    """

    def __init__(self, loaded: Any, function: Any, **options: Any) -> None:
        super().__init__(trainable=False, **options)
        self._loaded = loaded
        self._function = function
        self.parameters = sum(int(variable.shape.num_elements() or 0) for variable in function.variables)
        self.built = True

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Call the signature."""
        return self._function(**inputs)

    def compute_output_spec(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return what the signature promises."""
        return {
            name: keras.KerasTensor(spec.shape, spec.dtype.name, name=name)
            for name, spec in self._function.structured_outputs.items()
        }


def _load_saved_model(path: Path, *, safe_mode: bool) -> keras.Model:
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:
        raise ExportError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    signatures = dict(getattr(loaded, "signatures", {}))
    name = DEFAULT_SIGNATURE if DEFAULT_SIGNATURE in signatures else next(iter(signatures), None)
    if name is None:
        raise SignatureError(f"{path} has no signature: write it with model.export(), or with tf.saved_model.save(...)")
    function = signatures[name]
    if safe_mode:
        _refuse_file_operators(path, function)
    inputs = {}
    for key, spec in function.structured_input_signature[1].items():
        if spec.shape.rank is None:
            raise SignatureError(f"The input {key!r} of {path} has no known rank: export it again with a shape.")
        inputs[key] = keras.Input(batch_shape=tuple(spec.shape), dtype=spec.dtype.name, name=key)
    layer = SavedModelLayer(loaded, function, name="saved_model")
    return keras.Model(inputs, layer(inputs), name="saved_model")


def _refuse_file_operators(path: Path, function: Any) -> None:
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    found = sorted({node.op for node in nodes} & _TOUCHING_FILES)
    if found:
        raise ExportError(
            f"{path} holds operators that read or write files or call Python when they run ({', '.join(found)}): if "
            f"you trust whoever made it, load it with safe_mode=False (on the command line, --unsafe)."
        )
