"""The command's entry: it collects the subcommands and turns every refusal into one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from rich.console import Console

from keras_nnx._version import __version__
from keras_nnx.cli import benchmark, check, demo, doctor, export, inspect, search, verify
from keras_nnx.cli._start import after_quiet_start

# Recent versions of typer carry their own copy of click: its classes are reached through typer.
_USAGE_ERROR: Any = typer.BadParameter.__base__

_REFUSALS = {"keras_nnx.export.errors": "ExportError", "keras_nnx.tuning.searches.supervisor": "SearchError"}

DONE, REFUSED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="keras-nnx",
    help="""Train Keras models, and export them as SavedModel, ONNX and TFLite files that are proven to run.

    Every artifact is loaded in its own runtime and compared with the model before it is put in place. What cannot
    be proven is refused with the reason.

    Exit codes: 0 done, 1 refused with the reason, 2 wrong usage, 130 interrupted.""",
    epilog="Start with: keras-nnx demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (demo, check, export, verify, benchmark, inspect, doctor):
    app.command(name=module.__name__.rpartition(".")[2])(after_quiet_start(module.command))
app.command(name="search")(search.command)  # its processes start TensorFlow, and it does without


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"keras-nnx {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; nothing that a user can cause ends in a traceback."""
    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        with _ended_as_interrupted():
            code = app(args=None if arguments is None else list(arguments), standalone_mode=False)
    except _USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            errors.print(
                f"keras-nnx: {error.format_message().replace('Value error, ', '')} (see {_command_path(error)} --help)"
            )
        return WRONG_USAGE
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED  # recent versions of typer return it instead
    except Exception as error:
        message = refusal(error)
        if message is None:
            raise
        errors.print(f"keras-nnx: {message}")
        return REFUSED
    if code == INTERRUPTED:
        errors.print("keras-nnx: interrupted; nothing was written.")
    return code if isinstance(code, int) else DONE


@contextlib.contextmanager
def _ended_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that what was half written is cleared away."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # no other may set a handler
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def refusal(error: Exception) -> str | None:
    """Return the one line that a user needs to see, or None for what can only be a defect of this package."""
    # By name: importing the class would import Keras, which may be what failed.
    if isinstance(error, ImportError | ValueError) or _is_ours(error):
        return " ".join(str(error).split())
    if isinstance(error, OSError):
        where = f" ({os.fspath(error.filename)})" if isinstance(error.filename, str | os.PathLike) else ""
        return f"{error.strerror or error}{where}."
    if type(error).__module__.startswith("tensorflow"):
        return " ".join(re.sub(r"\{\{.*?\}\}|\[Op:\w+\]", "", str(error)).split())
    return None


def _is_ours(error: Exception) -> bool:
    found = [(sys.modules.get(module), name) for module, name in _REFUSALS.items()]
    return any(module is not None and isinstance(error, getattr(module, name)) for module, name in found)


def _command_path(error: Any) -> str:
    return error.ctx.command_path if error.ctx is not None else "keras-nnx"
