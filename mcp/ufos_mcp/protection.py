"""What keeps one caller from harming the others: rates, calls at a time, memory."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
from mcp.shared.exceptions import MCPError

from ufos_nautilus.limits import MCP_CALLS_WAITING_MAX, MCP_USERS_MAX

NOT_PERMITTED: Final = -32001
TOO_MUCH: Final = -32010
"""Error codes of ours; the protocol reserves -32020 and below."""
MEMORY_CHECK_S: Final = 0.5


class Rates:
    """Token buckets by key: so many calls a minute, at once or spread.

    Parameters
    ----------
    per_minute : int
        Calls a minute and size of a burst.
    clock : callable
        Seconds that never go back.

    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[tuple[str, ...], tuple[float, float]] = OrderedDict()

    def take(self, *key: str) -> float:
        """Take one call; return 0, or the seconds until there is one again."""
        now = self._clock()
        left, at = self._buckets.get(key, (float(self.per_minute), now))
        left = min(float(self.per_minute), left + (now - at) * self.per_minute / 60)
        wait = 0.0 if left >= 1 else (1 - left) * 60 / self.per_minute
        self._buckets[key] = (left - 1 if not wait else left, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > MCP_USERS_MAX:
            self._buckets.popitem(last=False)
        return wait

    def require(self, *key: str) -> None:
        """Take one call or raise."""
        if wait := self.take(*key):
            raise too_much(f"more than {self.per_minute} calls a minute", round(wait, 1))


class Turns:
    """So many calls of one user run at a time; a bounded number waits.

    Parameters
    ----------
    at_once : int
        Calls of one user.

    """

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._users: dict[str, tuple[anyio.Semaphore, list[int]]] = {}

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """Wait for a turn.

        Raises
        ------
        MCPError
            Too many wait already.

        """
        semaphore, present = self._users.setdefault(user, (anyio.Semaphore(self.at_once), [0]))
        if present[0] >= self.at_once + MCP_CALLS_WAITING_MAX:
            raise too_much(f"more than {self.at_once} calls at once and {MCP_CALLS_WAITING_MAX} waiting", 1)
        present[0] += 1
        try:
            async with semaphore:
                yield
        finally:
            present[0] -= 1
            if not present[0]:
                self._users.pop(user, None)


class MemoryGuard:
    """Knows how much of the memory is in use, of the machine and of the control group.

    Parameters
    ----------
    share_max : float
        Above this share `require` refuses.
    folder : Path
        Where the kernel's files lie; another one in tests.

    """

    def __init__(self, share_max: float, folder: Path = Path("/")) -> None:
        self.share_max, self._folder = share_max, folder
        self._checked, self._share = 0.0, 0.0

    def share(self) -> float:
        """Return the larger of both shares, looked at twice a second at most."""
        now = time.monotonic()
        if now - self._checked > MEMORY_CHECK_S or not self._checked:
            self._checked, self._share = now, max(self._machine(), self._group())
        return self._share

    def require(self) -> None:
        """Raise where too much memory is in use."""
        if (share := self.share()) > self.share_max:
            raise too_much(f"{share:.0%} of the memory is in use", 5)

    def _machine(self) -> float:
        lines = self._read("proc/meminfo").splitlines()
        found = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if rest}
        total = found.get("MemTotal", 0)
        return 1 - found.get("MemAvailable", total) / total if total else 0.0

    def _group(self) -> float:
        limit, used = self._read("sys/fs/cgroup/memory.max").strip(), self._read("sys/fs/cgroup/memory.current")
        if not limit.isdigit() or not used.strip().isdigit() or not int(limit):
            return 0.0
        cached = [
            line.split()[1] for line in self._read("sys/fs/cgroup/memory.stat").splitlines() if "inactive_file" in line
        ]
        return (int(used) - int(cached[0] if cached else 0)) / int(limit)

    def _read(self, name: str) -> str:
        try:
            return (self._folder / name).read_text("ascii")
        except OSError:
            return ""


def too_much(problem: str, retry_after_s: float) -> MCPError:
    """Return the error for a call that came too often or too early."""
    data: dict[str, Any] = {"retryAfterSeconds": retry_after_s}
    return MCPError(TOO_MUCH, f"Not now: {problem}; try again in {retry_after_s:g} s.", data)


def not_permitted(what: str, scope: str) -> MCPError:
    """Return the error for a call that a key does not allow."""
    return MCPError(NOT_PERMITTED, f"This key does not permit {what}; it needs the scope {scope!r}.", {"scope": scope})
