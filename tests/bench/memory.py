"""The memory of a process and all that it starts."""

import subprocess
import threading
import time
from pathlib import Path


def run(command):
    """Run `command`; return what it printed and the most bytes that it and its children had in memory at one time."""
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
        peak[0] = max(peak[0], sum(_share(member) for member in _family(process.pid)))
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


def _share(process):
    """Return the bytes in memory of a process; of what it shares with others, its part."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0  # it has ended
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
