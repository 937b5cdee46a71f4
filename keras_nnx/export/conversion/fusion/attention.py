"""Scaled dot-product attention, as one operator."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from keras_nnx.export.conversion.fusion.graph import OnnxGraph, attributes
from keras_nnx.export.conversion.fusion.sizes import ONE, Shape, Size, Sizes

ATTENTION_OPSET = 23
_HEADS_FIRST = [0, 2, 1, 3]
_KEYS_LAST = [0, 2, 3, 1]
_TRANSPOSED = [0, 1, 3, 2]
_CERTAIN = -1e30
"""A number that, where a score is replaced by it, says the same as where it is added: any score is lost in it."""


def fuse_attention(graph: OnnxGraph) -> None:
    """Write every softmax(scale * query keys + mask) values as one Attention."""
    sizes = Sizes(graph)
    masks: dict[tuple[str, Size], str] = {}
    for node in graph.nodes("Softmax"):
        found = _Attention.read(graph, sizes, node)
        if found is not None:
            found.write(masks)


class _Blocked(NamedTuple):
    """Conditions that all have to hold for scores to be kept (not to be kept), and the number that replaces them."""

    conditions: tuple[str, ...]
    number: str
    kept: bool


@dataclasses.dataclass
class _Attention:
    graph: OnnxGraph
    sizes: Sizes
    product: Any
    query: str
    keys: str
    values: str
    scale: float
    mask: str | None
    blocked: _Blocked | None

    @classmethod
    def read(cls, graph: OnnxGraph, sizes: Sizes, softmax: Any) -> _Attention | None:
        """Return the attention whose weights a softmax makes."""
        shape = sizes.shape(softmax.input[0])
        readers = graph.readers(softmax.output[0])
        if shape is None or len(shape) != 4 or not sizes.is_float32(softmax.input[0]):
            return None
        if attributes(softmax).get("axis", -1) not in (-1, 3):
            return None
        if len(readers) != 1 or readers[0].op_type != "MatMul" or graph.is_output(softmax.output[0]):
            return None
        if readers[0].input[0] != softmax.output[0] or readers[0].input[1] == softmax.output[0]:
            return None
        scores, mask, blocked = _unmasked(graph, sizes, softmax.input[0], shape)
        scores, scale = _unscaled(graph, scores)
        product = graph.made_by(scores, "MatMul")
        if product is None:
            return None
        query, by_query = _unscaled(graph, product.input[0])
        keys, by_keys = _unscaled(graph, product.input[1])
        found = cls(
            graph, sizes, readers[0], query, keys, readers[0].input[1], scale * by_query * by_keys, mask, blocked
        )
        return found if found._fits() else None

    def write(self, masks: dict[tuple[str, Size], str]) -> None:
        """Replace it; `masks` has the masks that were made for others."""
        graph, like = self.graph, self.product
        query, keys, values = (
            self._split(name, perm)
            for name, perm in ((self.query, _HEADS_FIRST), (self.keys, _KEYS_LAST), (self.values, _HEADS_FIRST))
        )
        size: dict[str, int] = {}
        heads = self._heads()
        if query and keys and values and heads is not None and values[1] == 1:
            inputs = [query[0], keys[0], values[0]]
            size = {"q_num_heads": heads, "kv_num_heads": heads}
            self.scale *= query[1] * keys[1]
        else:
            inputs = [self.query, self._keys_first(), self.values]
        mask = self._mask(masks)
        options = {**size, **({} if self._is_default() else {"scale": self.scale})}
        new = graph.add("Attention", inputs + ([mask] if mask else []), like, **options)
        merged = self._merged() if size else None
        if merged is not None:
            graph.replace(merged, new)
            return
        if size:
            shape = [0, 0, heads, -1]
            apart = graph.add("Reshape", [new, graph.add_constant(np.array(shape, np.int64))], like)
            new = graph.add("Transpose", [apart], like, perm=_HEADS_FIRST)
        graph.replace(self.product.output[0], new)

    def _fits(self) -> bool:
        """Whether query, keys and values have four axes, and equal ones where the operator wants it."""
        shapes = [self.sizes.shape(name) for name in (self.query, self.keys, self.values)]
        if any(shape is None or len(shape) != 4 for shape in shapes) or self.scale <= 0:
            return False
        query, keys, values = (shape for shape in shapes if shape is not None)
        # Keys have their last two axes exchanged here.
        return query[:2] == keys[:2] == values[:2] and keys[3] == values[2] and query[3] == keys[2]

    def _is_default(self) -> bool:
        last = (self.sizes.shape(self.query) or (ONE,))[-1]
        return not last.names and bool(np.isclose(self.scale, last.number**-0.5, rtol=1e-6))

    def _split(self, name: str, perm: list[int]) -> tuple[str, float] | None:
        """Return the tensor of rank 3 that a query, key or value is made of by splitting its last axis into heads.

        The number is what it is multiplied by on the way.
        """
        transpose = self.graph.made_by(name, "Transpose")
        if transpose is None or list(attributes(transpose)["perm"]) != perm:
            return None
        inner, number = _unscaled(self.graph, transpose.input[0])
        reshape = self.graph.made_by(inner, "Reshape")
        if reshape is None:
            return None
        before, after = self.sizes.shape(reshape.input[0]), self.sizes.shape(transpose.input[0])
        if before is None or after is None or len(before) != 3 or before[:2] != after[:2]:
            return None
        return (reshape.input[0], number) if number > 0 else None

    def _heads(self) -> int | None:
        shape = self.sizes.shape(self.query)
        return None if shape is None or shape[1].names else shape[1].number

    def _keys_first(self) -> str:
        """Return the keys with their channels last."""
        node = self.graph.made_by(self.keys, "Transpose")
        if node is not None and list(attributes(node)["perm"]) == _TRANSPOSED:
            return node.input[0]
        if node is not None and list(attributes(node)["perm"]) == _KEYS_LAST:
            return self.graph.add("Transpose", [node.input[0]], node, perm=_HEADS_FIRST)
        return self.graph.add("Transpose", [self.keys], self.product, perm=_TRANSPOSED)

    def _merged(self) -> str | None:
        """Return the tensor in which the heads of the result are put together again, if that is all that reads it."""
        readers = self.graph.readers(self.product.output[0])
        if len(readers) != 1 or readers[0].op_type != "Transpose" or self.graph.is_output(self.product.output[0]):
            return None
        if list(attributes(readers[0])["perm"]) != _HEADS_FIRST:
            return None
        name = readers[0].output[0]
        following = self.graph.readers(name)
        if len(following) != 1 or following[0].op_type != "Reshape" or self.graph.is_output(name):
            return None
        apart, merged = self.sizes.shape(name), self.sizes.shape(following[0].output[0])
        if apart is None or merged is None or len(merged) != 3 or merged[:2] != apart[:2]:
            return None
        return following[0].output[0]

    def _mask(self, masks: dict[tuple[str, Size], str]) -> str | None:
        """Return the mask to be added, as long as the queries where the runtime wants it to be."""
        if self.mask is None and self.blocked is None:
            return None
        name, length = self._added(masks), (self.sizes.shape(self.query) or ())[2]
        shape = self._mask_shape()
        if len(shape) == 2 and shape[0] == length:
            return name
        key = (name, length)
        if key not in masks:
            masks[key] = self._expanded(name, length)
        return masks[key]

    def _mask_shape(self) -> Shape:
        """Return the longest shape among what the mask is made of, up to the axis of the queries."""
        names = [str(self.mask)] if self.blocked is None else self.blocked.conditions
        shapes = [self.sizes.shape(name) or () for name in names]
        return max((shape[-2:] for shape in shapes), key=lambda shape: (len(shape), shape[:1] != (ONE,)))

    def _added(self, masks: dict[tuple[str, Size], str]) -> str:
        if self.blocked is None:
            return str(self.mask)
        (condition, *others), number, kept = self.blocked
        key = (f"{self.blocked}", ONE)
        if key not in masks:
            for other in others:
                condition = self.graph.add("And", [condition, other], self.product)
            zero = self.graph.add_constant(np.zeros((), np.float32))
            values = [zero, number] if kept else [number, zero]
            masks[key] = self.graph.add("Where", [condition, *values], self.product)
        return masks[key]

    def _expanded(self, name: str, length: Size) -> str:
        """Return a mask that is the same for all queries, once for each query."""
        graph, like = self.graph, self.product
        if not length.names:
            shape = graph.add_constant(np.array([1, 1, length.number, 1], np.int64))
        else:
            one = graph.add_constant(np.ones(1, np.int64))
            counted = graph.add("Shape", [self.query], like, start=2, end=3)
            shape = graph.add("Concat", [one, one, counted, one], like, axis=0)
        return graph.add("Expand", [name, shape], like)


def _unscaled(graph: OnnxGraph, name: str) -> tuple[str, float]:
    """Return what a tensor is a multiple of, and the number, be it multiplied before or after a transposition."""
    number = 1.0
    while True:
        node = graph.made_by(name, "Mul", "Div", "Identity")
        if node is None:
            break
        if node.op_type == "Identity":
            name = node.input[0]
            continue
        known = [graph.scalar(one) for one in node.input]
        if known[1] is not None and (node.op_type == "Mul" or known[1]):
            name, number = node.input[0], number * (known[1] if node.op_type == "Mul" else 1.0 / known[1])
        elif known[0] is not None and node.op_type == "Mul":
            name, number = node.input[1], number * known[0]
        else:
            break
    return name, number


def _unmasked(graph: OnnxGraph, sizes: Sizes, name: str, shape: Shape) -> tuple[str, str | None, _Blocked | None]:
    """Return scores without their mask; the mask that was added; and what replaced some."""
    node = graph.made_by(name, "Add", "Where")
    if node is None:
        return name, None, None
    if node.op_type == "Add":
        for scores, mask in ((node.input[0], node.input[1]), (node.input[1], node.input[0])):
            if graph.made_by(_unscaled(graph, scores)[0], "MatMul") and _broadcasts(sizes, mask, shape):
                return scores, mask, None
        return name, None, None
    condition, first, second = node.input
    for scores, number, kept in ((first, second, True), (second, first, False)):
        value = graph.scalar(number)
        if value is None or not np.isfinite(value) or value > _CERTAIN:
            continue
        conditions = _conditions(graph, sizes, condition, shape) if kept else (condition,)
        if conditions and all(_broadcasts(sizes, one, shape) for one in conditions):
            return scores, None, _Blocked(conditions, number, kept)
    return name, None, None


def _conditions(graph: OnnxGraph, sizes: Sizes, name: str, shape: Shape) -> tuple[str, ...]:
    """Return what has to hold for a condition on scores, without what always does."""
    both = graph.made_by(name, "And")
    if both is not None:
        return tuple(one for part in both.input for one in _conditions(graph, sizes, part, shape))
    whole = graph.made_by(name, "Expand")
    value = graph.constant(name if whole is None else whole.input[0])
    return () if value is not None and value.all() and sizes.shape(name) in (None, shape) else (name,)


def _broadcasts(sizes: Sizes, mask: str, shape: Shape) -> bool:
    """Whether a mask fits scores, and the runtime takes it: as long as the keys, and as the queries or 1."""
    found = sizes.shape(mask)
    if found is None or not 1 <= len(found) <= 4 or found[-1] != shape[-1]:
        return False
    return all(size in (ONE, whole) for size, whole in zip(reversed(found), reversed(shape), strict=False))
