"""An ONNX graph that is read by names and rewritten by adding nodes; what nothing needs any more is dropped later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


class OnnxGraph:
    """The outermost graph of a model.

    Args:
        proto: The model; it is changed in place.
    """

    def __init__(self, proto: Any) -> None:
        self.proto = proto.graph
        self.opset = next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
        self._constants = {value.name: value for value in self.proto.initializer}
        self._makers: dict[str, Any] = {}
        self._readers: dict[str, list[Any]] = {}
        self._count = 0
        for node in self.proto.node:
            self._enter(node)

    def nodes(self, *kinds: str) -> list[Any]:
        """Return the nodes of some types, as they are now."""
        return [node for node in self.proto.node if node.op_type in kinds]

    def maker(self, name: str) -> Any | None:
        """Return the node that writes a tensor; None for an input or a constant."""
        return self._makers.get(name)

    def made_by(self, name: str, *kinds: str) -> Any | None:
        """Return the node that writes a tensor, if it is of one of some types."""
        node = self._makers.get(name)
        return node if node is not None and node.op_type in kinds else None

    def readers(self, name: str) -> list[Any]:
        """Return the nodes that read a tensor, those around a graph that reads it included."""
        return self._readers.get(name, [])

    def is_output(self, name: str) -> bool:
        """Whether a tensor is a result of the graph."""
        return any(value.name == name for value in self.proto.output)

    def constant(self, name: str) -> np.ndarray | None:
        """Return the value of a tensor that is known."""
        from onnx import numpy_helper

        if name in self._constants:
            return numpy_helper.to_array(self._constants[name])
        node = self.made_by(name, "Constant")
        if node is not None and node.attribute[0].name == "value":
            return numpy_helper.to_array(node.attribute[0].t)
        return None

    def described(self, name: str) -> tuple[int, tuple[int, ...]] | None:
        """Return the type and the shape of a constant, without its values."""
        node = self.made_by(name, "Constant")
        value = self._constants.get(name) or (None if node is None else node.attribute[0].t)
        return None if value is None else (value.data_type, tuple(value.dims))

    def scalar(self, name: str) -> float | None:
        """Return the value of a tensor that is one known number."""
        value = self.constant(name)
        return float(value.reshape(())) if value is not None and value.size == 1 else None

    def add_constant(self, value: np.ndarray) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        self._count += 1
        entry = self.proto.initializer.add()
        entry.CopyFrom(numpy_helper.from_array(value, f"fused_constant_{self._count}"))
        self._constants[entry.name] = entry
        return entry.name

    def add(self, kind: str, inputs: list[str], like: Any, **attributes: Any) -> str:
        """Add a node of the layer of the node `like`, and return the name of its output."""
        from onnx import helper

        self._count += 1
        output = f"fused_{self._count}"
        node = self.proto.node.add()
        node.CopyFrom(helper.make_node(kind, inputs, [output], name=like.name, **attributes))
        self._enter(node)
        return output

    def replace(self, old: str, new: str) -> None:
        """Make `new`, a tensor that a node has just been added for, take the place and the name of `old`."""
        former, latter = self._makers[old], self._makers[new]
        self._count += 1
        unused = f"replaced_{self._count}"
        former.output[:] = [unused if name == old else name for name in former.output]
        latter.output[:] = [old if name == new else name for name in latter.output]
        self._makers[unused], self._makers[old] = former, latter
        del self._makers[new]

    def bypass(self, node: Any) -> None:
        """Make everything that reads the output of a node read its first input, as far as that can be written."""
        for reader in list(self.readers(node.output[0])):
            for place, name in enumerate(reader.input):
                if name == node.output[0]:
                    self.read_instead(reader, place, node.input[0])

    def read_instead(self, node: Any, place: int, name: str) -> None:
        """Make a node read another tensor at one of its places."""
        self._readers[node.input[place]].remove(node)
        node.input[place] = name
        self._readers.setdefault(name, []).append(node)

    def _enter(self, node: Any) -> None:
        for name in node.output:
            self._makers[name] = node
        for name in (*node.input, *_read_inside(node)):
            self._readers.setdefault(name, []).append(node)


def attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of a node as Python values."""
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _read_inside(node: Any) -> Iterator[str]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                yield from inner.input
                yield from _read_inside(inner)
            yield from (value.name for value in attribute.g.output)
