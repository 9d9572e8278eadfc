"""The way in: `run_sandboxed(code, data, params)` and the `Sandbox` that keeps containers warm between calls."""

import asyncio
import atexit
import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from ufos_nautilus.errors import UfosError
from ufos_nautilus.limits import SANDBOX_QUEUE_MAX, SANDBOX_QUEUE_S, SANDBOX_TRUNCATIONS
from ufos_sandbox.attempt import Attempt, Request, attempt
from ufos_sandbox.backend import Backend
from ufos_sandbox.judge import judge
from ufos_sandbox.limits import Limits
from ufos_sandbox.outcome import Failure, SandboxResult, State
from ufos_sandbox.pool import Pool
from ufos_sandbox.reaper import Janitor
from ufos_sandbox.record import store
from ufos_sandbox.requests import CheckedSpec, check_code, check_spec, make_spec
from ufos_sandbox.runtimes import make_backend
from ufos_sandbox.slices import DataRequest, Slice, SliceCache
from ufos_sandbox.stream import Cancel

Progress = Callable[[str, float], None]
"""Called with a phase (``queued``, ``running``, ``checking``, ``done``) and the share of it that is done."""
POOL_SIZE = 2


class Sandbox:
    """Runs foreign code in containers that live once.

    Parameters
    ----------
    limits : Limits, optional
        Of each container.
    runtime : str
        ``"runc"``; ``"runsc"`` for gVisor where the engine has it; ``"bubblewrap"``, which is weaker and never chosen
        unless named.
    pool_size : int
        Containers kept warm, about 45 MB each.
    concurrency : int, optional
        Containers that work at a time; one for each processor unless given. More callers wait.
    backend : Backend, optional
        Instead of one made for `runtime`.

    Raises
    ------
    SandboxUnavailableError
        There is no engine; says the two ways on.

    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        runtime: str = "runc",
        pool_size: int = POOL_SIZE,
        concurrency: int | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.backend = backend or make_backend(runtime)
        self._own_backend = backend is None
        self.backend.tidy()
        self.slices = SliceCache()
        self._places = threading.Semaphore(concurrency or os.cpu_count() or 1)
        self._waiting = 0
        self._lock = threading.Lock()
        self.janitor = Janitor(self.backend)
        self.pool = Pool(self.backend, self.limits, pool_size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all containers."""
        self.pool.close()
        self.janitor.close()
        if self._own_backend:
            self.backend.close()

    def run(
        self,
        code: str,
        data: DataRequest,
        params: Mapping[str, Any] | None = None,
        *,
        venues: Sequence[Mapping[str, Any]] | None = None,
        seed: int = 1,
        name: str = "sandbox",
        book_id: str = "BOOK-1",
        sections: Mapping[str, Any] | None = None,
        wall_s: float | None = None,
        truncations: int = SANDBOX_TRUNCATIONS,
        progress: Progress = lambda *_: None,
        cancel: Cancel | None = None,
        keep: Path | None = None,
    ) -> SandboxResult:
        """Run code over a slice of market data and judge what comes out.

        Parameters
        ----------
        code : str
            Python source that defines one subclass of `ufos_nautilus.engine.Book`.
        data : DataRequest
            What it sees.
        params : mapping, optional
            Parameters of its config.
        venues, seed, name, book_id, sections
            See `ufos_sandbox.requests.make_spec`.
        wall_s : float, optional
            Seconds for each container; not above the limits of this sandbox.
        truncations : int
            Further runs on shortened data that look for knowledge of the future; 0 looks for none, and then the best
            label is ``plausible``.
        progress : callable
            Gets phase and share done, from this thread.
        cancel : Cancel, optional
            Ends the run within a tenth of a second once set, for example a `threading.Event`.
        keep : Path, optional
            Directory of runs in which a result that is not rejected is kept.

        Returns
        -------
        SandboxResult
            In exactly one state. Nothing that the code does, or that the engine fails to do, raises.

        Raises
        ------
        BadInputError
            The request itself can't be served: no code, unknown data, a limit out of range.

        """
        started = time.monotonic()
        check_code(code)
        limit_s = min(wall_s or self.limits.wall_s, self.limits.wall_s)
        part = self.slices.get(data)
        plain = make_spec(part, params, venues=venues, seed=seed, name=name, book_id=book_id, sections=sections)
        spec = check_spec(plain)
        cut_ms = _ms(started)
        progress("queued", 0.0)
        refused = self._enter(cancel)
        if refused is not None:
            return refused
        queued_ms = _ms(started) - cut_ms
        try:
            times_ms = {"cut": cut_ms, "queue": queued_ms}
            return self._run(code, part, spec, limit_s, truncations, progress, cancel, times_ms, keep)
        finally:
            self._places.release()

    async def run_async(
        self, code: str, data: DataRequest, params: Mapping[str, Any] | None = None, **options: Any
    ) -> SandboxResult:
        """Run in a thread and await the result; cancelling the task ends the container.

        Parameters and result as of `run`; `progress` is called from the thread.
        """
        cancel = options.pop("cancel", None) or threading.Event()
        task = asyncio.create_task(asyncio.to_thread(self.run, code, data, params, cancel=cancel, **options))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            cancel.set()
            with suppress(UfosError):
                await task
            raise

    # details

    def _enter(self, cancel: Cancel | None) -> SandboxResult | None:
        with self._lock:
            if self._waiting >= SANDBOX_QUEUE_MAX:
                return _refused(State.POOL_EXHAUSTED, f"{self._waiting} runs wait already")
            self._waiting += 1
        try:
            until = time.monotonic() + SANDBOX_QUEUE_S
            while not self._places.acquire(timeout=0.1):
                if cancel is not None and cancel.is_set():
                    return _refused(State.CANCELLED, "the caller cancelled the run while it waited")
                if time.monotonic() > until:
                    return _refused(State.POOL_EXHAUSTED, f"no free place within {SANDBOX_QUEUE_S:g} s")
            return None
        finally:
            with self._lock:
                self._waiting -= 1

    def _run(
        self,
        code: str,
        part: Slice,
        spec: CheckedSpec,
        wall_s: float,
        truncations: int,
        progress: Progress,
        cancel: Cancel | None,
        times_ms: dict[str, float],
        keep: Path | None,
    ) -> SandboxResult:
        span = max(1, part.last_ns - part.first_ns)
        progress("running", 0.0)

        def run(piece: Slice, end_ns: int = 0, report: bool = False) -> Attempt:
            request = Request(code=code, spec=spec.marked, part=piece, wall_s=wall_s, end_ns=end_ns)
            shown = (lambda at: progress("running", min(1.0, (at - part.first_ns) / span))) if report else _silent
            return attempt(self.pool, request, cancel=cancel, progress=shown, dispose=self.janitor.dispose)

        whole = run(part, report=True)
        progress("checking", 0.0)
        out, account = judge(whole, part, spec.data, code, truncations, run, lambda share: progress("checking", share))
        out.times_ms = times_ms | whole.times_ms | out.times_ms
        out.provenance = {
            "code": hashlib.sha256(code.encode()).hexdigest(),
            "slice": part.digest,
            "image": self._image(),
            "runtime": self.backend.name,
            "limits": ",".join(f"{k}={v:g}" for k, v in self.limits.as_dict().items()),
        }
        if keep is not None and account is not None and out.state is State.COMPLETED:
            out.stored = str(store(out, part, account, code, keep))
        progress("done", 1.0)
        return out

    def _image(self) -> str:
        try:
            return self.backend.image
        except Exception:
            return ""


_default: Sandbox | None = None
_default_lock = threading.Lock()


def default_sandbox() -> Sandbox:
    """Return the sandbox that this process shares; its containers end with the process."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Sandbox()
            atexit.register(_default.close)
        return _default


def run_sandboxed(
    code: str, data: DataRequest, params: Mapping[str, Any] | None = None, **options: Any
) -> SandboxResult:
    """Run code nobody has read over a slice of market data; see `Sandbox.run` for the options.

    Raises
    ------
    SandboxUnavailableError
        There is no engine; says the two ways on.
    BadInputError
        The request can't be served.

    """
    return default_sandbox().run(code, data, params, **options)


def _silent(_: int) -> None:
    pass


def _refused(state: State, message: str) -> SandboxResult:
    return SandboxResult(state, failure=Failure(message))


def _ms(since: float) -> float:
    return round((time.monotonic() - since) * 1e3, 3)
