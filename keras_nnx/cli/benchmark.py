"""`keras-nnx benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    directory: Annotated[Path, typer.Argument(help="An export directory.", show_default=False)],
    seconds: Annotated[float, typer.Option(min=0.01, help="Time given to each artifact.")] = 2.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of ONNX Runtime and LiteRT.")] = 1,
) -> None:
    """Measure the latency of every artifact of an export on this machine: median and 95th percentile.

    Example: keras-nnx benchmark build/model --threads 2
    """
    from keras_nnx.export import benchmark_export

    typer.echo(str(benchmark_export(directory, seconds=seconds, threads=threads)))
