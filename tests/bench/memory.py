"""The memory of a process and all that it starts."""

import os
import subprocess
import threading
import time
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def run(command):
    """Run `command`; return what it printed and the largest sum of resident bytes of it and its children.

    Pages that processes share are counted for each, so the truth is no more than this.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process, peak))
        watcher.start()
        printed, errors = process.communicate()
        watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {errors[-2000:]}")
    return printed, peak[0]


def _watch(process, peak):
    while process.poll() is None:
        peak[0] = max(peak[0], sum(_resident(member) for member in _family(process.pid)))
        time.sleep(0.02)


def _family(root):
    parents = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    family, added = {root}, True
    while added:
        added = {child for child, parent in parents.items() if parent in family} - family
        family |= added
    return family


def _resident(process):
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0
