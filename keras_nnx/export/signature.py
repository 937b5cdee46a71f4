"""Stage 1: the names, dtypes and dimensions of a model, the same in every format."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_nnx.export.errors import SignatureError
from keras_nnx.export.lowering.layers import float32_compute
from keras_nnx.export.recorded import inputs_of_sequential, recorded_inputs

_DTYPES = ("float32", "float64", "float16", "int8", "uint8", "int16", "int32", "int64", "bool")
_DIMENSIONS = {2: ("length",), 3: ("time", "features"), 4: ("height", "width", "channels")}


@dataclasses.dataclass(frozen=True)
class TensorSignature:
    """One input or output.

    Args:
        name: Its name in every format.
        shape: Its dimensions; a dynamic one is a name, such as `"batch"`.
        dtype: Such as `"float32"`.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str

    def resolve(self, sizes: dict[str, int]) -> tuple[int, ...]:
        """Return the shape with `sizes` put in for the dynamic dimensions."""
        return tuple(sizes[size] if isinstance(size, str) else size for size in self.shape)

    @property
    def static_shape(self) -> tuple[int | None, ...]:
        """The shape with None for the dynamic dimensions."""
        return tuple(None if isinstance(size, str) else size for size in self.shape)

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(str(size) for size in self.shape)}]"


@dataclasses.dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a model.

    Args:
        inputs: In the order in which the model takes them.
        outputs: In the order in which it gives them.
    """

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]

    @property
    def dynamic_dimensions(self) -> tuple[str, ...]:
        """Names of the dimensions of the inputs that may take any size."""
        return tuple(dict.fromkeys(d for spec in self.inputs for d in spec.shape if isinstance(d, str)))

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads, in types that JSON knows."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Signature:
        """Return the signature that `to_dict` wrote."""

        def read(rows: list[dict[str, Any]]) -> tuple[TensorSignature, ...]:
            return tuple(TensorSignature(row["name"], tuple(row["shape"]), row["dtype"]) for row in rows)

        return cls(inputs=read(values["inputs"]), outputs=read(values["outputs"]))


@dataclasses.dataclass(frozen=True)
class Program:
    """A model as a function from named tensors to named tensors, at inference."""

    model: keras.Model
    signature: Signature
    call: Callable[[dict[str, Any]], dict[str, Any]]


def read_signature(model: keras.Model, input_signature: Any = None) -> Program:
    """Return `model` as a function of named tensors, with its signature.

    Args:
        model: A Keras model. Functional models know their inputs; others have recorded what they were built for or
            called on.
        input_signature: For models that were neither, or to narrow the inputs: the model's input structure (a tensor
            specification, or a list, tuple or dict of them), each with `shape` and `dtype`, and a `name` or not.

            A dict whose keys are the arguments of `call` is passed as these.

    Raises:
        SignatureError: If the inputs are unknown, two of them have one name, or a shape has no known rank.
    """
    structure = input_structure(model, input_signature)
    flat = keras.tree.flatten(structure)
    inputs = _specifications(flat, _input_names(structure), prefix=len(flat) > 1)
    names = [spec.name for spec in inputs]
    by_name = _takes_by_name(model, structure)

    def call_structured(tensors: dict[str, Any]) -> Any:
        packed = keras.tree.pack_sequence_as(structure, [tensors[name] for name in names])
        return model(**packed, training=False) if by_name else model(packed, training=False)

    placeholders = {
        spec.name: keras.KerasTensor(spec.static_shape, dtype=spec.dtype, name=spec.name) for spec in inputs
    }
    try:
        symbolic = call_structured(placeholders)
        traced = _traced_outputs(model, call_structured, inputs)
    except Exception as error:
        hint = " Give the model a name of letters, digits and underscores." if "scope name" in str(error) else ""
        raise SignatureError(
            f"The model {model.name!r} cannot be called on inputs of {', '.join(map(str, inputs))}: {error}{hint}"
        ) from error
    if not traced or any(tensor is None for tensor in traced):
        raise SignatureError(f"The model {model.name!r} returns None: let its call return tensors.")
    flat = [
        keras.KerasTensor(_known_sizes(spec.shape, tensor.shape), spec.dtype.name)
        for tensor, spec in zip(keras.tree.flatten(symbolic), traced, strict=True)
    ]
    # Runtimes know one tensor by one name, so an output cannot have that of an input.
    called = [f"{name}_output" if name in names else name for name in _output_names(model, symbolic)]
    outputs = _specifications(flat, called, prefix=True)

    def call(tensors: dict[str, Any]) -> dict[str, Any]:
        answers = zip(outputs, keras.tree.flatten(call_structured(tensors)), strict=True)
        # A size is a number of Python's where it is known, as it is step by step.
        return {
            spec.name: value if hasattr(value, "dtype") else keras.ops.convert_to_tensor(value, spec.dtype)
            for spec, value in answers
        }

    return Program(model, Signature(inputs, outputs), call)


def _takes_by_name(model: keras.Model, structure: Any) -> bool:
    """Whether the keys of `structure` are arguments of the model's `call`, which is no functional model's."""
    if not isinstance(structure, dict) or isinstance(model, keras.Sequential) or hasattr(model, "_inputs_struct"):
        return False
    parameters = [name for name in inspect.signature(model.call).parameters if name not in ("training", "mask")]
    return bool(parameters) and parameters[0] in structure and set(structure) <= set(parameters)


def _traced_outputs(model: keras.Model, call: Callable[..., Any], inputs: Sequence[TensorSignature]) -> list[Any]:
    """Return what TensorFlow says of the outputs in float32 compute; Keras's own specification may be wrong.

    Its dtypes follow the training policy, and its shapes are what a layer declares: `Activation("glu")`, which
    halves the last axis, declares the shape of its inputs.
    """
    import tensorflow as tf

    specifications = {spec.name: tf.TensorSpec(spec.static_shape, spec.dtype, name=spec.name) for spec in inputs}
    with float32_compute(model):
        concrete = tf.function(call, autograph=False).get_concrete_function(specifications)
    return list(keras.tree.flatten(concrete.structured_outputs))


def _known_sizes(traced: Any, declared: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Return the shape that was traced, with the declared sizes where tracing did not find one."""
    if traced.rank != len(declared):
        return declared if traced.rank is None else tuple(traced.as_list())
    return tuple(b if a is None else a for a, b in zip(traced.as_list(), declared, strict=True))


def input_structure(model: keras.Model, input_signature: Any) -> Any:
    """Return the inputs of `model` as it takes them: those that were asked for, or else those that it knows."""
    if input_signature is not None:
        return input_signature
    # A sequential model is a functional one inside, once it is built.
    sequential = isinstance(model, keras.Sequential)
    inner = getattr(model, "_functional", None) if sequential else model
    known = getattr(inner, "_inputs_struct", None)
    if known is not None:
        return inputs_of_sequential(model, known) if sequential else known
    recorded = recorded_inputs(model)
    if recorded is None:
        if model.built:
            reason = "Keras did not record what it was called on, as where its call chooses by values: pass"
        else:
            reason = "it was never built or called: call it once on real data, or pass"
        raise SignatureError(
            f"The inputs of the model {model.name!r} are not known, since {reason} input_signature=keras.Input(shape, "
            f"dtype=...) (or a list or dict of them, as the model takes them; on the command line, --input)."
        )
    return recorded


def narrowed(model: keras.Model, wanted: dict[str, keras.KerasTensor]) -> Any:
    """Return the inputs of `model`, as it takes them, with those in `wanted` as they are there.

    A model whose inputs are not known gets the one, or a dict of all.

    Raises:
        SignatureError: If the model has no input of a name.
    """
    try:
        structure = input_structure(model, None)
    except SignatureError:
        return next(iter(wanted.values())) if len(wanted) == 1 else wanted
    names = _input_names(structure)
    if len(wanted) == len(names) == 1:
        wanted = dict(zip(names, wanted.values(), strict=True))
    for name in wanted:
        if name not in names:
            raise SignatureError(f"The model {model.name!r} has no input {name!r}: it has {', '.join(names)}.")
    tensors = zip(names, keras.tree.flatten(structure), strict=True)
    return keras.tree.pack_sequence_as(structure, [wanted.get(name, tensor) for name, tensor in tensors])


def _input_names(structure: Any) -> list[str]:
    """Return the keys of a dict, or else the names that were given; what Keras named by counting gets a stable name."""
    flat = keras.tree.flatten(structure)
    if isinstance(structure, dict) and len(structure) == len(flat):
        return [str(key) for key in sorted(structure)]
    stable = ["input"] if len(flat) == 1 else [f"input_{index}" for index in range(1, len(flat) + 1)]
    return [_given_name(entry) or name for entry, name in zip(flat, stable, strict=True)]


def _given_name(entry: Any) -> str | None:
    history = getattr(entry, "_keras_history", None)
    name = getattr(entry if history is None else history.operation, "name", None)
    return None if name is None or re.fullmatch(r"(keras_tensor|input_layer)(_\d+)?", name) else str(name)


def _output_names(model: keras.Model, symbolic: Any) -> list[str]:
    flat = keras.tree.flatten(symbolic)
    if isinstance(symbolic, dict) and len(symbolic) == len(flat):
        return [str(key) for key in sorted(symbolic)]
    names = getattr(model, "output_names", None)
    if names and len(names) == len(flat):
        return _unique(list(names))
    if isinstance(model, keras.Sequential) and len(flat) == 1 and model.layers and not _is_counted(model.layers[-1]):
        return [model.layers[-1].name]
    return ["output"] if len(flat) == 1 else [f"output_{index}" for index in range(1, len(flat) + 1)]


def _is_counted(layer: keras.layers.Layer) -> bool:
    """Return whether Keras named a layer, after its class and how many of them the process has made."""
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__))
    return re.fullmatch(rf"{words.lower()}(_\d+)?", layer.name) is not None


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    result = []
    for name in names:
        count = seen.get(name, 0)
        seen[name] = count + 1
        result.append(f"{name}_{count}" if count else name)
    return result


def _specifications(flat: Sequence[Any], names: list[str], *, prefix: bool) -> tuple[TensorSignature, ...]:
    if len(set(names)) != len(names):
        raise SignatureError(f"Two inputs or outputs have one name among {names}: give each its own.")
    if "" in names:
        raise SignatureError("An input or output has the empty name: call it by a word.")
    result = []
    for tensor, name in zip(flat, names, strict=True):
        if not hasattr(tensor, "shape") or not hasattr(tensor, "dtype"):
            raise SignatureError(
                f"input_signature holds {tensor!r}: give every input as keras.Input(shape, dtype=...)."
            )
        shape = getattr(tensor.shape, "as_list", lambda shape=tensor.shape: shape)()
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if dtype not in _DTYPES:
            raise SignatureError(
                f"{name!r} has the dtype {dtype}; the runtimes share {', '.join(_DTYPES)} only. Keep text and the like "
                f"outside of the exported model."
            )
        result.append(TensorSignature(name, _named_shape(tuple(shape), name if prefix else ""), dtype))
    return tuple(result)


def _named_shape(shape: tuple[int | None, ...], prefix: str) -> tuple[int | str, ...]:
    inner = _DIMENSIONS.get(len(shape), tuple(f"dimension_{axis}" for axis in range(1, len(shape))))
    names = ("batch", *(f"{prefix}_{name}" if prefix else name for name in inner))
    return tuple(name if size is None else int(size) for size, name in zip(shape, names, strict=False))


def element_count(shape: tuple[int, ...]) -> int:
    """Return the number of elements of a tensor of `shape`."""
    return math.prod(shape)
