"""tf2onnx's optimizers, kept from their mistakes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from onnx import TensorProto
from tf2onnx import optimizer
from tf2onnx.optimizer import back_to_back_optimizer
from tf2onnx.optimizer.back_to_back_optimizer import BackToBackOptimizer
from tf2onnx.optimizer.merge_duplicated_nodes_optimizer import MergeDuplicatedNodesOptimizer
from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer


def optimize(graph: Any) -> Any:
    """Run tf2onnx's optimizers on its graph, with careful ones in the place of two."""

    def update_proto(storage: Any = None) -> None:
        """Bring the description of nodes up to date; that of constants is never read, and each time a copy of them."""
        for node in graph.get_nodes():
            if not node.is_const():
                node.update_proto(storage)

    graph.update_proto = update_proto
    passes = {
        **optimizer._get_optimizers(),
        "optimize_transpose": CarefulTransposes,
        "remove_back_to_back": CarefulBackToBack,
        "merge_duplication": OrderedMerges,
    }
    return optimizer.optimize_graph(graph, catch_errors=False, optimizers=passes)


_FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE}
_WIDE = {TensorProto.INT32, TensorProto.INT64, *_FLOATS}
_HELD_BY = {
    TensorProto.BOOL: {TensorProto.INT8, TensorProto.UINT8, TensorProto.FLOAT16, *_WIDE},
    TensorProto.INT8: {TensorProto.INT16, *_WIDE},
    TensorProto.UINT8: {TensorProto.INT16, TensorProto.UINT16, *_WIDE},
    TensorProto.INT16: _WIDE,
    TensorProto.UINT16: _WIDE,
    TensorProto.INT32: {TensorProto.INT64, TensorProto.DOUBLE},
    TensorProto.FLOAT16: _FLOATS,
    TensorProto.FLOAT: {TensorProto.DOUBLE},
}
"""The types that hold all values of a type."""


class CarefulBackToBack(BackToBackOptimizer):
    """Does what its base does, but drops a cast before another one only if the cast changes no value.

    Of two reshapes, it drops the first only if the second copies no size that the first one made.
    """

    def _optimize_at_current_graph_level(self, graph: Any) -> Any:
        rules = back_to_back_optimizer._func_map
        taken = {key: rules.pop(key) for key in (("Cast",), ("Reshape",))}
        try:
            graph = super()._optimize_at_current_graph_level(graph)
        finally:
            rules.update(taken)
        for node in graph.get_nodes():
            before = node.inputs[0] if node.input else None
            if before is not None and node.type == before.type and self._is_needless(graph, before, node):
                graph.replace_input(node, node.input[0], before.input[0], 0)
        return graph

    @staticmethod
    def _is_needless(graph: Any, before: Any, node: Any) -> bool:
        if node.type == "Cast":
            source, between = graph.get_dtype(before.input[0]), before.get_attr("to").i
            return source == between or between in _HELD_BY.get(source, ())
        if node.type == "Reshape":
            copied = _copied_sizes(node)
            return copied is not None and copied <= (_copied_sizes(before) or set())
        return False


def _copied_sizes(reshape: Any) -> set[int] | None:
    """Return the axes whose size a reshape takes from its input, which a 0 says; None if that is not known."""
    if not reshape.inputs[1].is_const():
        return None
    return {axis for axis, size in enumerate(reshape.inputs[1].get_tensor_value()) if size == 0}


class OrderedMerges(MergeDuplicatedNodesOptimizer):
    """Does what its base does, but keeps the first of equal nodes by name: the base keeps any."""

    def _merge_nodes_that_are_duplicated(self, nodes: list[Any], graph: Any) -> None:
        nodes.sort(key=lambda node: _COUNTED.sub("", node.name))
        super()._merge_nodes_that_are_duplicated(nodes, graph)


_COUNTED = re.compile(r"__\d+")
"""What tf2onnx appends to the names of nodes, as it happens to make them."""

_BROADCASTING = {"Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Where", "PRelu"}
_ELEMENTWISE = {
    *(
        "Abs",
        "Cast",
        "Ceil",
        "Clip",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "HardSigmoid",
        "Identity",
        "LeakyRelu",
        "Log",
        "Neg",
    ),
    *("Not", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softplus", "Softsign", "Sqrt", "Tanh"),
}


def _broadcast(shapes: list[list[int]]) -> list[int]:
    """Return the shape of what is computed from tensors of these shapes; -1 is an unknown size."""
    rank = max(map(len, shapes))
    aligned = [[1] * (rank - len(shape)) + shape for shape in shapes]
    return [max(sizes) if max(sizes) > 1 else min(sizes) for sizes in zip(*aligned, strict=True)]


class CarefulTransposes(TransposeOptimizer):
    """Does what its base does, except where that is wrong.

    The base merges what is added to a convolution into its bias if the number of values fits, be they along the
    channels or not, and fails on a single number. It makes a reshape of a transposition of several unknown sizes, which
    a later pass confuses. And it permutes the recorded shape twice where a transposition meets an operator twice.
    """

    def post_optimize_action(self) -> None:
        """Make reshapes of transpositions, if that is certain to work."""
        self._mend_shapes()
        shapes = [self._g.get_shape(node.input[0]) for node in self.nodes if node.type == "Transpose"]
        if all(shape is None or shape.count(-1) <= 1 for shape in shapes):
            super().post_optimize_action()

    def _mend_shapes(self) -> None:
        self._g.topological_sort(self._g.get_nodes())
        for node in self.nodes:
            read = node.input if node.type in _BROADCASTING else node.input[:1]
            shapes = [self._g.get_shape(name) for name in read]
            if None in shapes or not shapes:
                continue
            if node.type == "Transpose" and "perm" in node.attr:
                self._g.set_shape(node.output[0], [shapes[0][place] for place in node.get_attr_value("perm")])
            elif node.type in _BROADCASTING or node.type in _ELEMENTWISE:
                self._g.set_shape(node.output[0], _broadcast(shapes))

    def _add_handler(self, trans: Any, node: Any) -> bool:
        if node.inputs[1].is_const() and not self._is_bias(node.inputs[1]):
            return self._handle_node_having_branches(trans, node)
        return super()._add_handler(trans, node)

    def _is_bias(self, constant: Any) -> bool:
        """Whether a constant, channels last, has one value for each channel, and nothing else reads it."""
        value = np.asarray(constant.get_tensor_value(as_list=False))
        readers = self._g.find_output_consumers(constant.output[0])
        return value.ndim > 0 and value.shape[-1] == value.size and len(readers) == 1
