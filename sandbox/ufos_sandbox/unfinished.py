"""Ends what is left of a container whose start the engine's death cut short, once the engine has forgotten it.

Between making a container's first process and starting it, a killed engine leaves that process waiting for ever, below
a shim that nobody asks any more. Only its id tells whose it is, so whoever made the container must remember that.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

SHIM = b"containerd-shim"


def end_unfinished(container_id: str) -> bool:
    """Kill the processes below the shim of a container, and the shim; containerd then removes its traces.

    Parameters
    ----------
    container_id : str
        Of a container that the engine of this machine no longer knows.

    Returns
    -------
    bool
        Whether there was one. Without the right to end it, it stays.

    """
    found = False
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if SHIM in words[0] and container_id.encode() in words:
            found = True
            for pid in (*children(int(entry.name)), int(entry.name)):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
    return found


def children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(text) for text in task.read_text().split()]
    return found
