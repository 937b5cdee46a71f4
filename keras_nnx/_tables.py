"""The table of artifacts that reports and commands print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from keras_nnx.export.proof.comparison import Parity
    from keras_nnx.export.report import Artifact

FORMAT_NAMES = {"saved_model": "SavedModel", "onnx": "ONNX", "tflite": "TFLite"}


def human_size(size_bytes: int) -> str:
    """Return a size as people say it, in powers of 1,000."""
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1e3:.1f} kB"
    return f"{size_bytes / 1e6:.2f} MB"


def describe_parity(artifact: Artifact) -> str:
    """Return what the proof found, in a few words."""
    parity = artifact.parity
    if parity is None:
        return "not proven"
    if parity.sqnr_db is None:
        return f"proven, {parity.bound}"
    agreement = "" if parity.top1_agreement is None else f", top-1 {parity.top1_agreement:.1%}"
    return f"proven, {parity.sqnr_db:.1f} dB{agreement}"


def _proof(parity: Parity | None) -> str:
    """Return whether and how; the tolerance is the rule, and an SQNR has a column of its own."""
    if parity is None:
        return "not proven"
    return "proven, noise" if parity.bound == "noise" else "proven"


def describe_stream(parity: Parity) -> str:
    """Return how far sequences in chunks are from the whole: the error in float32, the ratio in lower precision."""
    return f"{parity.max_abs_error:.1e}" if parity.sqnr_db is None else f"{parity.sqnr_db:.1f} dB"


def artifact_table(
    artifacts: Sequence[Artifact], accuracies: Sequence[float] | None = None, timed_call: str = ""
) -> Table:
    """Return a table with a row for each artifact, and their test accuracies if they were measured.

    Args:
        artifacts: The rows.
        accuracies: On test data.
        timed_call: What a call is whose time is given, such as "step", if it is not a batch of one.
    """
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for heading in ("artifact", "precision", "proof"):
        table.add_column(heading, no_wrap=True)
    quantized = any(artifact.parity is not None and artifact.parity.sqnr_db is not None for artifact in artifacts)
    timed = any(artifact.latency_ms is not None for artifact in artifacts)
    streamed = any(artifact.stream is not None for artifact in artifacts)
    times = [f"{kind} ms/{timed_call}" if timed_call else f"{kind} ms" for kind in ("median", "p95")]
    headings = ["max error", "SQNR", "in chunks", "size", *times]
    left_out = ([] if quantized else ["SQNR"]) + ([] if streamed else ["in chunks"]) + ([] if timed else times)
    for heading in [heading for heading in headings if heading not in left_out]:
        table.add_column(heading, justify="right", no_wrap=True)
    if accuracies is not None:
        table.add_column("accuracy", justify="right", no_wrap=True)
    for index, artifact in enumerate(artifacts):
        parity, latency = artifact.parity, artifact.latency_ms
        cells = [FORMAT_NAMES[artifact.format], artifact.precision, _proof(parity)]
        cells.append(f"{parity.max_abs_error:.1e}" if parity else "")
        if quantized:
            cells.append(f"{parity.sqnr_db:.1f} dB" if parity is not None and parity.sqnr_db is not None else "")
        if streamed:
            cells.append("" if artifact.stream is None else describe_stream(artifact.stream))
        cells.append(human_size(artifact.size_bytes))
        if timed:
            cells += [f"{latency.median:.3f}", f"{latency.p95:.3f}"] if latency else ["", ""]
        if accuracies is not None:
            cells.append(f"{accuracies[index]:.2%}")
        table.add_row(*(Text(cell) for cell in cells))
    return table
