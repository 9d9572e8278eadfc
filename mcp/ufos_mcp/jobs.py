"""Jobs: backtests that run beside the server, with progress, cancel and a bounded queue."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import anyio
import anyio.abc

from ufos_mcp.protection import MemoryGuard, too_much
from ufos_mcp.workers import WorkerError, remove_scratch, started
from ufos_nautilus.errors import BadInputError, RunFailedError, UfosError
from ufos_nautilus.limits import MCP_JOB_WALL_S, MCP_JOBS_KEPT, MCP_JOBS_WAITING_MAX

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: Final = ("done", "failed", "cancelled")
Shown = Callable[[float, str], Awaitable[None]]
Done = Callable[["Job", State], Awaitable[None]]


class Pulse:
    """Wakes whoever waits for any job to change."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def beat(self) -> None:
        """Wake all."""
        event, self._event = self._event, anyio.Event()
        event.set()

    async def wait(self) -> None:
        """Sleep until the next beat."""
        await self._event.wait()


@dataclass(slots=True, eq=False, kw_only=True)
class Job:
    """One piece of work for a worker process."""

    id: str
    user: str
    payload: dict[str, Any]
    about: dict[str, Any]
    state: State = "queued"
    progress: tuple[float, float, str] = (0, 1, "queued")
    result: dict[str, Any] = field(default_factory=dict)
    error: UfosError | None = None
    elapsed_s: float = 0.0
    pulse: "Pulse"
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @property
    def ended(self) -> bool:
        """Tell whether it is over, well or not."""
        return self.state in ENDED

    def update(self, **facts: Any) -> None:
        """Change the job and wake whoever waits for it."""
        for name, value in facts.items():
            setattr(self, name, value)
        self.pulse.beat()

    def cancel(self) -> None:
        """End it; its process is gone within seconds."""
        self.scope.cancel()

    def shown(self) -> dict[str, Any]:
        """Return what a caller may see of it."""
        done, total, text = self.progress
        out: dict[str, Any] = {
            "job": self.id,
            "status": self.state,
            **self.about,
            "elapsed_s": round(self.elapsed_s, 2),
        }
        if not self.ended:
            out["progress"] = {"done": done, "total": total, "unit": text}
        if self.error is not None:
            out["error"] = self.error.as_dict()
        return out


class Jobs:
    """All jobs of one server.

    Parameters
    ----------
    root, runs : Path
        Where workers work, and where they store runs.
    environment : dict
        Variables for workers.
    workers : int
        Processes at a time.
    memory : MemoryGuard
        Asked before each start.

    """

    def __init__(self, root: Path, runs: Path, environment: dict[str, str], workers: int, memory: MemoryGuard) -> None:
        self._root, self._runs, self._environment, self._memory = root, runs, environment, memory
        self._places = anyio.CapacityLimiter(workers)
        self._kept: OrderedDict[str, Job] = OrderedDict()
        self._group: anyio.abc.TaskGroup | None = None
        self.pulse = Pulse()

    def attach(self, group: anyio.abc.TaskGroup) -> None:
        """Say in which task group jobs live; its end ends them all."""
        self._group = group

    def running(self) -> int:
        """Return how many jobs are not over."""
        return sum(not job.ended for job in self._kept.values())

    def submit(self, payload: dict[str, Any], *, user: str, about: dict[str, Any], done: Done) -> Job:
        """Queue a job.

        Parameters
        ----------
        payload : dict
            For `ufos_nautilus.cli.worker`.
        user : str
            Who asked; nobody else sees the job.
        about : dict
            What callers see of it.
        done : callable
            Awaited with the job and how it ended, before anybody else hears of it.

        Raises
        ------
        MCPError
            Too many wait already, or the memory is short.

        """
        if self._group is None:
            raise RuntimeError("jobs need the server's lifespan")
        self._memory.require()
        if sum(job.state == "queued" for job in self._kept.values()) >= MCP_JOBS_WAITING_MAX:
            raise too_much(f"{MCP_JOBS_WAITING_MAX} jobs wait already", 30)
        job = Job(id=f"job-{secrets.token_hex(8)}", user=user, payload=payload, about=about, pulse=self.pulse)
        self._kept[job.id] = job
        while len(self._kept) > MCP_JOBS_KEPT and next(iter(self._kept.values())).ended:
            self._kept.popitem(last=False)
        self._group.start_soon(self._work, job, done)
        return job

    def get(self, identifier: str, user: str) -> Job:
        """Return a job of this user.

        Raises
        ------
        BadInputError
            There is none; the same answer for another user's.

        """
        job = self._kept.get(identifier)
        if job is None or job.user != user:
            raise BadInputError(f"there is no job {identifier[:80]!r}", expected="a job of this session")
        return job

    async def wait(self, jobs: Sequence[Job], seconds: float, progress: Shown) -> bool:
        """Wait until all are over, or for so many seconds; tell whether they are.

        Parameters
        ----------
        jobs : sequence of Job
            Of `submit`.
        seconds : float
            At most.
        progress : callable
            Awaited with the share done (0 to 1) and a text, not more than a few times a second.

        """
        told = -1.0
        with anyio.move_on_after(seconds):
            while not all(job.ended for job in jobs):
                shares = [1.0 if j.ended else j.progress[0] / (j.progress[1] or 1) for j in jobs]
                share = sum(shares) / len(shares)
                if share > told:
                    told = share
                    ended = sum(job.ended for job in jobs)
                    current = next((j.progress for j in jobs if j.state == "running"), (0, 1, "queued"))
                    text = f"{current[0]:,} of {current[1]:,} {current[2]}"
                    await progress(share, f"{ended} of {len(jobs)} runs, {text}" if len(jobs) > 1 else text)
                await self.pulse.wait()
        return all(job.ended for job in jobs)

    async def _work(self, job: Job, done: Done) -> None:
        began = time.monotonic()
        outcome: State = "cancelled"
        with job.scope:
            async with self._places:
                began = time.monotonic()
                job.update(state="running", progress=(0, 1, "starting"))
                outcome = await self._run(job)
        job.elapsed_s = time.monotonic() - began
        with anyio.CancelScope(shield=True):
            await done(job, outcome)  # counted before anybody hears of it
        job.update(state=outcome)

    async def _run(self, job: Job) -> State:
        pid = 0
        try:
            with anyio.fail_after(MCP_JOB_WALL_S):
                async with started(self._root, self._environment) as worker:
                    pid = worker.process.pid
                    job.result = await worker.ask(job.payload, lambda *shown: job.update(progress=shown))
            return "done"
        except WorkerError as error:
            job.error = error
            return "cancelled" if error.kind == "Cancelled" else "failed"
        except UfosError as error:
            job.error = error
        except TimeoutError:
            job.error = RunFailedError(
                f"the job took more than {MCP_JOB_WALL_S:g} s", next_step="shorten the span of data"
            )
        finally:
            if pid:
                remove_scratch(self._runs, pid)
        return "failed"
