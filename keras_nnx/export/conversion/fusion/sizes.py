"""Sizes of tensors as products of a number and of names, and what is known of them in a graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_nnx.export.conversion.fusion.graph import OnnxGraph, attributes
from keras_nnx.export.conversion.onnx_canonical import sorted_nodes


class Size(NamedTuple):
    """A number times the sizes of named dimensions, such as 4 * batch * time."""

    number: int
    names: tuple[str, ...] = ()


Shape = tuple[Size, ...]
ONE = Size(1)
_FLOAT = 1
_MOST_VALUES = 64
_PASSED_ON = ("Identity", "Cast", "Unsqueeze", "Squeeze", "Reshape")


def product(sizes: Sequence[Size]) -> Size:
    """Return the product of sizes."""
    return Size(math.prod(size.number for size in sizes), tuple(sorted(name for size in sizes for name in size.names)))


def quotient(size: Size, other: Size) -> Size | None:
    """Return size / other where that is a size whatever the dimensions are."""
    names = list(size.names)
    for name in other.names:
        if name not in names:
            return None
        names.remove(name)
    if other.number == 0 or size.number % other.number:
        return None
    return Size(size.number // other.number, tuple(names))


class Sizes:
    """The shape of every tensor of a graph, and the value of every small vector of sizes, as far as they are known.

    Args:
        graph: The graph; its nodes are brought into order.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        self._graph = graph
        self._types: dict[str, Any] = {}
        self._values: dict[str, Shape] = {}
        self._shapes: dict[str, Shape] = {}
        self._named: dict[str, Size] = {}
        for value in graph.proto.input:
            self._know(value.name, value.type)
        nodes = sorted_nodes(graph.proto)
        for node in nodes:
            self._visit(node)

    def shape(self, name: str) -> Shape | None:
        """Return the shape of a tensor, None if not even its rank is known."""
        if name not in self._shapes:
            found = self._graph.described(name)
            if found is None:
                return None
            self._shapes[name] = tuple(Size(size) for size in found[1])
        return self._shapes[name]

    def value(self, name: str) -> Shape | None:
        """Return the sizes that a tensor of integers holds, if all are known."""
        if name not in self._values:
            value = self._small(name)
            if value is None or value.dtype.kind != "i" or value.ndim > 1:
                return None
            self._values[name] = tuple(Size(int(number)) for number in value.reshape(-1))
        return self._values[name]

    def reshaped(self, node: Any) -> Shape | None:
        """Return the shape that a Reshape makes."""
        before, wanted = self.shape(node.input[0]), self.value(node.input[1])
        if before is None or wanted is None or attributes(node).get("allowzero"):
            return None
        sizes = [before[i] if size == Size(0) and i < len(before) else size for i, size in enumerate(wanted)]
        if Size(-1) in sizes:
            rest = quotient(product(before), product([size for size in sizes if size != Size(-1)]))
            if rest is None:
                return None
            sizes[sizes.index(Size(-1))] = rest
        return tuple(sizes)

    def _expanded(self, node: Any) -> Shape | None:
        before, wanted = self.shape(node.input[0]), self.value(node.input[1])
        if before is None or wanted is None:
            return None
        rank = max(len(before), len(wanted))
        pairs = [((ONE,) * (rank - len(sizes)) + sizes) for sizes in (before, wanted)]
        if any(ONE not in pair and pair[0] != pair[1] for pair in zip(*pairs, strict=True)):
            return None
        return tuple(other if one == ONE else one for one, other in zip(*pairs, strict=True))

    def _counted(self, node: Any) -> Shape | None:
        start, delta = self._graph.scalar(node.input[0]), self._graph.scalar(node.input[2])
        return self.value(node.input[1]) if (start, delta) == (0, 1) else None

    def _filled(self, node: Any) -> Shape | None:
        return self.value(node.input[0])

    def _visit(self, node: Any) -> None:
        from onnx import TypeProto, defs, shape_inference

        types = {name: kind for name in node.input if name and (kind := self._type(name)) is not None}
        known = {}
        for name in node.input[1:]:
            if (value := self._small(name)) is not None:
                known[name] = _tensor(value)
        found: dict[str, TypeProto] = {}
        complete = all(name in types for name in node.input if name)
        if complete and not any(attribute.HasField("g") for attribute in node.attribute):
            try:
                schema = defs.get_schema(node.op_type, self._graph.opset, node.domain)
                found = shape_inference.infer_node_outputs(schema, node, types, known)
            except (shape_inference.InferenceError, defs.SchemaError):
                found = {}  # what is not known is not used
        for name in node.output:
            if name in found:
                self._know(name, found[name])
        self._know_value(node)
        computed = {
            "Reshape": self.reshaped,
            "Expand": self._expanded,
            "ConstantOfShape": self._filled,
            "Range": self._counted,
        }
        if node.op_type in computed and (shape := computed[node.op_type](node)) is not None:
            self._reshape(node, shape)

    def is_float32(self, name: str) -> bool:
        """Whether a tensor holds what the fused operators of the runtime take, as far as is known."""
        kind = self._type(name)
        return kind is None or kind.tensor_type.elem_type == _FLOAT

    def _type(self, name: str) -> Any | None:
        if name not in self._types and (found := self._graph.described(name)) is not None:
            from onnx import helper

            self._types[name] = helper.make_tensor_type_proto(*found)
        return self._types.get(name)

    def _small(self, name: str) -> np.ndarray | None:
        """Return a constant that may be sizes; weights are not looked into."""
        found = self._graph.described(name)
        return self._graph.constant(name) if found is not None and math.prod(found[1]) <= _MOST_VALUES else None

    def _know(self, name: str, kind: Any) -> None:
        self._types[name] = kind
        if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
            return
        sizes = []
        for axis, dimension in enumerate(kind.tensor_type.shape.dim):
            if dimension.HasField("dim_value"):
                sizes.append(Size(dimension.dim_value))
                continue
            if not dimension.dim_param:
                dimension.dim_param = f"{name}.{axis}"
            sizes.append(self._named.setdefault(dimension.dim_param, Size(1, (dimension.dim_param,))))
        self._shapes[name] = tuple(sizes)

    def _reshape(self, node: Any, shape: Shape) -> None:
        if node.output[0] not in self._types:
            return
        dimensions = self._types[node.output[0]].tensor_type.shape
        del dimensions.dim[:]
        for size in shape:
            dimension = dimensions.dim.add()
            if size.names:
                dimension.dim_param = (
                    "*".join((str(size.number), *size.names)) if size.number != 1 else "*".join(size.names)
                )
                self._named[dimension.dim_param] = size
            else:
                dimension.dim_value = size.number
        self._shapes[node.output[0]] = shape

    def _know_value(self, node: Any) -> None:
        found = self._computed(node)
        if found is not None:
            self._values[node.output[0]] = found

    def _computed(self, node: Any) -> Shape | None:
        """Return the sizes that a node computes, if it is one of those that compute with sizes."""
        if node.op_type == "Shape":
            shape = self.shape(node.input[0])
            options = attributes(node)
            return None if shape is None else shape[options.get("start", 0) : options.get("end", len(shape))]
        if node.op_type not in ("Gather", "Slice", "Concat", "Mul", "ReduceProd", "Max", *_PASSED_ON):
            return None
        values = [self.value(name) for name in node.input]
        if values[0] is None:
            return None
        if node.op_type in _PASSED_ON:
            return values[0]
        if node.op_type == "ReduceProd":
            return (product(values[0]),)
        if any(value is None for value in values):
            return None
        return _combined(node.op_type, [value for value in values if value is not None])


def _combined(kind: str, values: list[Shape]) -> Shape | None:
    first, *rest = values
    if kind == "Concat":
        return tuple(size for value in values for size in value)
    if kind == "Gather":
        return tuple(first[index.number] for index in rest[0]) if not any(index.names for index in rest[0]) else None
    if kind == "Slice":
        if len(first) != 1 and any(size.names for value in rest for size in value):
            return None
        step = rest[3][0].number if len(rest) > 3 else 1
        return first[rest[0][0].number : rest[1][0].number : step]
    if kind == "Max":
        return first if all(value == first for value in rest) else None
    return tuple(product(pair) for pair in zip(first, rest[0], strict=True)) if len(first) == len(rest[0]) else None


def _tensor(value: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(value)
