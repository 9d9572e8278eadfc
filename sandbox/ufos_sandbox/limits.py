"""Every limit of one sandboxed run in one typed place; defaults stand in `ufos_nautilus.limits`."""

import os
from dataclasses import asdict, dataclass
from typing import Any

from ufos_nautilus import limits as defaults
from ufos_nautilus.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one container may use.

    Parameters
    ----------
    wall_s : float
        Seconds from the request to the result.
    ready_s : float
        Seconds from the start to the first sign of life.
    idle_s : float
        Seconds a warm container waits for work.
    memory_mb, tmp_mb : int
        Memory (no swap), and the part of it that may be files.
    tmp_inodes, pids, open_files : int
        Files in memory, processes and threads, open files.
    cpus : float
        Processor time per second of wall time.

    Raises
    ------
    SpecError
        A value is out of range.

    """

    wall_s: float = defaults.SANDBOX_WALL_S
    ready_s: float = defaults.SANDBOX_READY_S
    idle_s: float = defaults.SANDBOX_IDLE_S
    memory_mb: int = defaults.SANDBOX_MEMORY_MB
    tmp_mb: int = defaults.SANDBOX_TMP_MB
    tmp_inodes: int = defaults.SANDBOX_TMP_INODES
    pids: int = defaults.SANDBOX_PIDS
    open_files: int = defaults.SANDBOX_OPEN_FILES
    cpus: float = float(min(defaults.SANDBOX_CPUS, os.cpu_count() or 1))

    def __post_init__(self) -> None:
        ranges = {
            "wall_s": (0.1, defaults.SANDBOX_WALL_S_MAX),
            "ready_s": (1, 300),
            "idle_s": (1, 86_400),
            "memory_mb": (128, 65_536),
            "tmp_mb": (1, 4_096),
            "tmp_inodes": (64, 1_000_000),
            "pids": (16, 1_024),
            "open_files": (256, 4_096),
            "cpus": (0.1, 64),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SpecError(f"limit {name} is {value}", expected=f"from {low:g} to {high:g}")

    @property
    def cpu_s(self) -> int:
        """Return the processor seconds after which the kernel ends a run by itself."""
        return int(self.wall_s * max(1.0, self.cpus) + defaults.SANDBOX_CPU_GRACE_S) + 1

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)
