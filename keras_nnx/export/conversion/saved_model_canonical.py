"""One order and one set of names for a SavedModel, whatever process wrote it.

TensorFlow numbers functions by all that a process has traced before, orders them by a hash with a seed of its own,
and adds an identifier that is drawn anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_UNUSED = re.compile(r"(.*?)___redundant_placeholder\d+", re.DOTALL)
_NUMBERED = re.compile(r"(.*)[_-](\d+)$", re.DOTALL)


def canonicalize(path: Path) -> None:
    """Write the graph of a SavedModel again, with functions numbered and ordered by when they were traced.

    The fingerprint, which is not needed to load it, is removed: it holds an identifier that is drawn at random.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    (path / "fingerprint.pb").unlink(missing_ok=True)
    file = path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for graph in saved.meta_graphs:
        functions = sorted(graph.graph_def.library.function, key=lambda function: _age(function.signature.name))
        gradients = sorted(graph.graph_def.library.gradient, key=lambda gradient: _age(gradient.function_name))
        new_names = _NewNames([function.signature.name for function in functions])
        copies = [_copy(value) for value in (*functions, *gradients)]
        del graph.graph_def.library.function[:], graph.graph_def.library.gradient[:]
        graph.graph_def.library.function.extend(copies[: len(functions)])
        graph.graph_def.library.gradient.extend(copies[len(functions) :])
        for function in graph.graph_def.library.function:
            _drop_addresses(function)
        new_names.write_into(graph)
    file.write_bytes(saved.SerializeToString(deterministic=True))


def _drop_addresses(function: Any) -> None:
    """Drop the names that TensorFlow gives to captured tensors: numbers that say where they were in memory."""
    for place, argument in enumerate(function.signature.input_arg):
        attributes = function.arg_attr[place].attr if place in function.arg_attr else {}
        name = attributes["_user_specified_name"].s.decode() if "_user_specified_name" in attributes else ""
        if name.isdigit() and name not in argument.name:
            del attributes["_user_specified_name"]


def _age(name: str) -> tuple[int, str]:
    """Return what sorts functions by when they were traced."""
    match = _NUMBERED.match(name)
    return (int(match[2]) if match else 0), name


class _NewNames:
    """The new names of functions: the number of each is its place in `old`."""

    def __init__(self, old: list[str]) -> None:
        self._names = {
            name: f"{match[1]}_{place}" for place, name in enumerate(old) if (match := _NUMBERED.match(name))
        }

    def write_into(self, message: Any) -> None:
        """Replace the old names wherever they stand in `message`."""
        for field, value in message.ListFields():
            if field.type == field.TYPE_MESSAGE and field.message_type.GetOptions().map_entry:
                self._write_into_map(value, field.message_type.fields_by_name["value"])
            elif field.type == field.TYPE_MESSAGE:
                for part in value if field.is_repeated else [value]:
                    if part.DESCRIPTOR.name != "TensorProto":
                        self.write_into(part)
            elif field.type in (field.TYPE_STRING, field.TYPE_BYTES):
                if field.is_repeated:
                    value[:] = [self._new(text) for text in value]
                else:
                    setattr(message, field.name, self._new(value))

    def _write_into_map(self, values: Any, kind: Any) -> None:
        of_messages = kind.type == kind.TYPE_MESSAGE
        # Out of the map all at once: a new name may be the old one of another.
        items = [(key, _copy(value) if of_messages else value) for key, value in values.items()]
        values.clear()
        for key, value in items:
            new = self._new(key) if isinstance(key, str) else key
            if of_messages:
                self.write_into(value)
                values[new].CopyFrom(value)
            else:
                values[new] = self._new(value) if isinstance(value, str) else value

    def _new(self, text: Any) -> Any:
        if isinstance(text, bytes):
            return self._new(text.decode("latin-1")).encode("latin-1")
        if text in self._names:
            return self._names[text]
        # What a condition or body does not use is named after it: a scope, the function, and a number.
        match = _UNUSED.match(text)
        if match is None:
            return text
        name = max((name for name in self._names if match[1].endswith(name)), key=len, default=None)
        return text if name is None else match[1].removesuffix(name) + self._names[name] + text[match.end(1) :]


def _copy(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())
