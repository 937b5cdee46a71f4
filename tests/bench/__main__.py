"""What our blocks and files cost beside those of stock Keras: `make bench` (an hour).

Every ratio is of two things measured side by side in one run, in turns; docs/benchmarks.md says which two.
"""

import argparse
import datetime
import os
import platform
import shlex
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.bench import attention, files, gan, recurrence, training
from tests.bench.models import MODELS

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
SECTIONS = {"files": files, "training": training, "memory": attention, "recurrence": recurrence, "gan": gan}


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS), help="sections; all")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), help="all by default")
    parser.add_argument("--rounds", type=int, default=3, help="exports and memory measurements of each kind (3)")
    parser.add_argument("--seconds", type=float, default=20, help="for each comparison of two files (20)")
    parser.add_argument("--steps", type=int, default=30, help="training steps of each side, two at least (30)")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.parent.name}/{PAGE.name}")
    return parser.parse_args(arguments)


def measure(options):
    """Return the lines of the tables of each section."""
    console = Console(stderr=True)
    counts = {name: SECTIONS[name].steps(options) for name in options.only}
    found = {}
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        task = progress.add_task("", total=sum(counts.values()))
        done = -1

        def step(text):
            nonlocal done
            done += 1
            progress.update(task, description=text, completed=done)

        for name, count in counts.items():
            if count:
                found[name] = SECTIONS[name].tables(SECTIONS[name].measure(options, Path(folder), step))
        progress.update(task, description="measured", completed=sum(counts.values()))
    return found


def measured_by(arguments):
    versions = ", ".join(
        f"{name} {metadata.version(name)}"
        for name in ("keras", "tensorflow", "tf2onnx", "onnxruntime", "ai-edge-litert")
    )
    command = "make bench" + (f' ARGS="{shlex.join(arguments)}"' if arguments else "")
    return (
        f"Measured on {datetime.date.today()} by `{command}`: {os.cpu_count()} processors ({platform.machine()}), "
        f"Python {platform.python_version()}, {versions}."
    )


def written(page, section, lines):
    """Return the page with the lines of a section in place of those that it had, or behind everything."""
    begin, end = (f"<!-- measured {section}: {which} -->" for which in ("begin", "end"))
    if begin not in page:
        page = f"{page.rstrip()}\n\n{begin}\n{end}\n"
    before, _, rest = page.partition(begin)
    return "\n".join([before + begin, *lines, end]) + rest.partition(end)[2]


def main():
    options = options_of(sys.argv[1:])
    found = measure(options)
    by = measured_by([argument for argument in sys.argv[1:] if argument != "--write"])
    for section, lines in found.items():
        title, *table = lines
        text = [title, "", by, *table]
        sys.stdout.write("\n".join(text) + "\n\n")
        if options.write:
            PAGE.write_text(written(PAGE.read_text(), section, text))


if __name__ == "__main__":
    main()
