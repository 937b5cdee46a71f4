"""The shapes that a TFLite file declares for its outputs: those of the model, whichever tool wrote the file."""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_nnx.export.signature import Signature, TensorSignature

_ALIGNMENT = 16
_FARTHEST = 2**32 - 1


def declare_output_shapes(path: Path, signature: Signature) -> None:
    """Give the outputs of a TFLite file the shapes of the model's, with -1 for each size that may change.

    The converter and the quantiser declare an output of a dynamic size now as fixed and now as unknown. A runtime finds
    the sizes anew as it runs; whoever plans for a file reads what it declares. Nothing in the file moves: a tensor is
    written anew behind its end, and the list of tensors points there.
    """
    with path.open("r+b") as file:
        wrong = _wrongly_declared(file, signature)
        for entry, tensor, spec in wrong:
            _declare(tensor, spec)
            _replace(file, entry, tensor)


def _wrongly_declared(file: BinaryIO, signature: Signature) -> list[tuple[int, Any, TensorSignature]]:
    """Return the outputs of another shape than the model's: where the file points at each, the tensor, and the spec."""
    from ai_edge_litert import schema_py_generated as schema

    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    model = schema.Model.GetRootAs(content)
    served = model.SignatureDefs(0)
    graph = model.Subgraphs(served.SubgraphIndex())
    named = (served.Outputs(index) for index in range(served.OutputsLength()))
    places = {output.Name().decode(): output.TensorIndex() for output in named}
    start = graph._tab.Vector(graph._tab.Offset(4))
    found = []
    for spec in signature.outputs:
        index = places.get(spec.name)
        if index is None:
            continue  # the inspection says so
        tensor = schema.TensorT.InitFromObj(graph.Tensors(index))
        is_constant = model.Buffers(tensor.buffer).DataLength() or model.Buffers(tensor.buffer).Offset()
        if not is_constant and _declared(tensor) != _sizes(spec):
            found.append((start + 4 * index, tensor, spec))
    return found


def _sizes(spec: TensorSignature) -> list[int]:
    return [-1 if size is None else size for size in spec.static_shape]


def _declared(tensor: Any) -> list[int] | None:
    if not tensor.hasRank:
        return None
    found = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    return [] if found is None else [int(size) for size in found]


def _declare(tensor: Any, spec: TensorSignature) -> None:
    sizes = _sizes(spec)
    tensor.hasRank = True
    tensor.shape = np.array([1 if size < 0 else size for size in sizes], np.int32)
    tensor.shapeSignature = np.array(sizes, np.int32) if -1 in sizes else None


def _replace(file: BinaryIO, entry: int, tensor: Any) -> None:
    """Write `tensor` behind the end, and let the offset at `entry` point to it, if it reaches so far."""
    import flatbuffers

    builder = flatbuffers.Builder(256)
    builder.Finish(tensor.Pack(builder))
    table = bytes(builder.Output())
    size = file.seek(0, os.SEEK_END)
    padding = -size % _ALIGNMENT
    target = size + padding + struct.unpack_from("<I", table)[0]
    if target - entry > _FARTHEST:
        return
    file.write(bytes(padding) + table)
    file.seek(entry)
    file.write(struct.pack("<I", target - entry))
