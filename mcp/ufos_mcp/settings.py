"""Where a server works and what it allows."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

from ufos_nautilus import limits
from ufos_nautilus.engine.runs import runs_root
from ufos_nautilus.errors import SpecError

Mode = Literal["research"]
Scope = Literal["read", "run"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "run")
"""What a key may allow: reading; starting backtests and writing to the experiment store."""
RESEARCH_FOLDER: Final = "_research"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one server.

    Parameters
    ----------
    root : Path
        Folder that holds ``catalogs/`` and ``strategies/specs/``.
    runs : Path
        Folder of stored runs.
    research : Path
        Folder of the experiment store and of the audit records.
    mode : Mode
        Which tools there are; so far none that moves money.
    calls_per_minute, reads_per_minute : int
        Per user and tool, and per user for everything else.
    calls_at_once : int
        Per user.
    workers : int
        Worker processes at a time.
    wait_s : int
        Seconds a call waits for its job before it answers with the job's id, unless the call says otherwise.
    memory_share : float
        Share of memory in use above which nothing new starts.
    environment : dict
        Variables for worker processes besides those of `jobs.PASSED_ON`.

    """

    root: Path
    runs: Path
    research: Path
    mode: Mode = "research"
    calls_per_minute: int = limits.MCP_CALLS_PER_MINUTE
    reads_per_minute: int = limits.MCP_READS_PER_MINUTE
    calls_at_once: int = limits.MCP_CALLS_AT_ONCE
    workers: int = field(default_factory=lambda: max(1, min(4, os.cpu_count() or 1)))
    wait_s: int = 45
    memory_share: float = limits.MCP_MEMORY_SHARE_MAX
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("calls_per_minute", "reads_per_minute", "calls_at_once", "workers", "wait_s"):
            if getattr(self, name) < 1:
                raise SpecError(f"setting {name} is {getattr(self, name)}", expected="1 or more")
        if not 0 < self.memory_share <= 1:
            raise SpecError(f"setting memory_share is {self.memory_share}", expected="above 0 and at most 1")

    @classmethod
    def of(cls, root: Path, **changes: object) -> Self:
        """Return the settings for a folder: runs in UFOS_RUNS or ``runs``, research beside them."""
        root = root.resolve()
        if not root.is_dir():
            raise SpecError(f"there is no folder {root}", expected="a folder with catalogs/ in it")
        runs = (root / runs_root()).resolve()
        return cls(**{"root": root, "runs": runs, "research": runs / RESEARCH_FOLDER} | changes)  # pyright: ignore[reportArgumentType]

    @property
    def store(self) -> Path:
        """Return the file of the experiment store."""
        return self.research / "experiments.sqlite"

    @property
    def audit(self) -> Path:
        """Return the folder of the audit records."""
        return self.research / "audit"
