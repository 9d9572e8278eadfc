"""One container, one request, one answer: sends the slice, reads to the end, names how it ended."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ufos_sandbox.backend import Container, EngineFailedError, ImageMissingError, StartFailedError
from ufos_sandbox.engine_api import SandboxUnavailableError
from ufos_sandbox.limits import Limits
from ufos_sandbox.messages import End, GuestError, GuestResult, Loaded, ProtocolError, clean
from ufos_sandbox.outcome import Failure, State
from ufos_sandbox.pool import Pool
from ufos_sandbox.slices import Slice, guest_tables
from ufos_sandbox.stream import (
    LENGTH,
    Cancel,
    CancelledError,
    DeadlineError,
    StreamEndError,
    TooMuchOutputError,
)

CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS)
OOM_SHARE = 0.9
"""A worker that was killed with this share of its memory in use was killed for it."""
END_WAIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one container gets."""

    code: str
    spec: dict[str, Any]
    """With decimals marked."""
    part: Slice
    wall_s: float
    end_ns: int = 0

    def frames(self, cpu_s: int) -> list[bytes]:
        """Return the bytes to send: one JSON message, then the files of the slice."""
        files = [(name, data) for t in self.part.tables for name, data in t.files]
        body = msgspec.json.encode(
            {
                "code": self.code,
                "spec": self.spec,
                "tables": guest_tables(self.part),
                "instruments": [i.to_dict() for i in self.part.instruments.values()],
                "files": [(name, len(data)) for name, data in files],
                "wall_s": self.wall_s,
                "cpu_s": cpu_s,
                "end_ns": self.end_ns,
            }
        )
        return [LENGTH.pack(len(body)) + body, *(data for _, data in files)]


@dataclass(slots=True)
class Attempt:
    """How one container ended."""

    state: State
    failure: Failure | None = None
    loaded: Loaded | None = None
    result: GuestResult | None = None
    end: End | None = None
    times_ms: dict[str, float] = field(default_factory=dict)


def attempt(
    pool: Pool,
    request: Request,
    *,
    cancel: Cancel | None = None,
    progress: Callable[[int], None] = lambda _: None,
    dispose: Callable[[Container, bool], None] | None = None,
) -> Attempt:
    """Run a request in a container of its own.

    Parameters
    ----------
    pool : Pool
        Gives the container.
    request : Request
        What to run.
    cancel : Cancel, optional
        Looked at while waiting.
    progress : callable
        Gets the engine's time in nanoseconds now and then.
    dispose : callable
        Ends the container, given whether it ended by itself.

    Returns
    -------
    Attempt
        In exactly one state; never raises for anything a container or the engine does.

    """
    out = Attempt(State.DAEMON_ERROR)
    at = time.monotonic()
    try:
        container, warm = pool.acquire()
    except SandboxUnavailableError as error:
        return _failed(out, State.DAEMON_DOWN, error.problem)
    except ImageMissingError as error:
        return _failed(out, State.IMAGE_MISSING, f"there is no image {error}")
    except StartFailedError as error:
        if not pool.backend.alive():
            return _failed(out, State.DAEMON_DOWN, "the engine went away while a container started")
        return _failed(out, State.START_TIMEOUT, f"a container did not become ready: {error}")
    except (EngineFailedError, OSError) as error:
        return _failed(out, State.DAEMON_ERROR, f"the engine refused to start a container: {error}")
    out.times_ms["acquire"] = _ms(at)
    out.times_ms["warm"] = float(warm)
    if container.ready is not None:
        out.times_ms["import"] = container.ready.import_ms
    try:
        _converse(container, request, out, pool.limits, cancel, progress)
    finally:
        out.times_ms["total"] = _ms(at)
        (dispose or _discard)(container, out.end is not None)
        pool.release()
    return out


def _converse(
    container: Container,
    request: Request,
    out: Attempt,
    limits: Limits,
    cancel: Cancel | None,
    progress: Callable[[int], None],
) -> None:
    deadline = time.monotonic() + request.wall_s
    sent = time.monotonic()
    try:
        container.stream.send(request.frames(_cpu_s(request.wall_s, limits)), deadline, cancel)
        out.times_ms["send"] = _ms(sent)
        while not _take(container, out, deadline, cancel, progress):
            pass
    except DeadlineError:
        _failed(out, State.TIMEOUT, f"no result after {request.wall_s:g} s")
    except CancelledError:
        _failed(out, State.CANCELLED, "the caller cancelled the run")
    except TooMuchOutputError as error:
        _failed(out, State.OUTPUT_LIMIT, str(error))
    except ProtocolError as error:
        _failed(out, State.GUEST_PROTOCOL, str(error))
    except StreamEndError:
        _without_end(container, out)


def _take(
    container: Container, out: Attempt, deadline: float, cancel: Cancel | None, progress: Callable[[int], None]
) -> bool:
    """Read one message; tell whether it was the last."""
    answered = out.result is not None or out.failure is not None
    kind, content = container.stream.receive(time.monotonic() + END_WAIT_S if answered else deadline, cancel)
    if isinstance(content, End):
        out.end = content
        out.times_ms["cpu"] = float(content.cpu_ms)
        if not answered:
            _by_exit(container, out, content)
        return True
    if answered:
        raise ProtocolError(f"a message of kind {kind!r} after the answer")
    match content:
        case Loaded() if out.loaded is None:
            out.loaded = content
            out.times_ms |= {"slice": content.slice_ms, "load": content.load_ms, "lock": content.lock_ms}
        case int() if kind == "progress" and out.loaded is not None:
            progress(content)
        case GuestResult() if out.loaded is not None:
            out.state, out.result = State.COMPLETED, content
            out.times_ms["run"] = content.run_ms
        case GuestError() if out.loaded is not None:
            state = {"MemoryError": State.OOM}.get(content.type, State.USER_ERROR)
            state = State.OUTPUT_LIMIT if content.phase == "result" else state
            out.state = state
            out.failure = Failure(clean(content.message), content.phase, clean(content.type, 80), content.line)
        case str() if kind == "refused" and out.loaded is None:
            _failed(out, State.BAD_REQUEST, clean(content))
        case str() if kind == "fatal":
            _failed(out, State.GUEST_PROTOCOL if out.loaded else State.DAEMON_ERROR, clean(content))
        case _:
            raise ProtocolError(f"a message of kind {kind!r} out of turn")
    return False


def _by_exit(container: Container, out: Attempt, end: End) -> None:
    """Name the end of a worker that gave no answer."""
    limits = container.limits
    if end.reason == "deadline":
        _failed(out, State.TIMEOUT, "the container ended at its deadline")
    elif end.reason in ("idle", "host gone"):
        _failed(out, State.DAEMON_ERROR, f"the container ended itself: {end.reason}")
    elif end.exit == -signal.SIGXCPU or (end.exit == -signal.SIGKILL and end.cpu_ms >= limits.cpu_s * 1000):
        _failed(out, State.CPU_LIMIT, f"{end.cpu_ms / 1e3:.1f} s of processor time were used")
    elif end.exit == -signal.SIGKILL and end.memory_kb >= OOM_SHARE * limits.memory_mb * 1024:
        _failed(out, State.OOM, f"the memory limit of {limits.memory_mb} MiB was reached")
    elif end.exit == -signal.SIGKILL:
        _failed(out, State.KILLED, "the worker was killed")
    elif -end.exit in CRASHES:
        _failed(out, State.SEGV_OR_ABORT, f"the process crashed with {signal.Signals(-end.exit).name}")
    else:
        _failed(out, State.NO_RESULT, f"the process ended with exit code {end.exit} and no result")


def _without_end(container: Container, out: Attempt) -> None:
    """Name the end of a stream without last words: the container, or the engine, was killed from outside."""
    out.result = None
    if container.backend.died_of_memory(container.id):
        _failed(out, State.OOM, f"the memory limit of {container.limits.memory_mb} MiB was reached")
    elif not container.backend.alive():
        _failed(out, State.DAEMON_DOWN, "the engine went away during the run")
    else:
        _failed(out, State.KILLED, "the container was killed from outside")


def _failed(out: Attempt, state: State, message: str) -> Attempt:
    out.state, out.result, out.failure = state, None, Failure(message)
    return out


def _cpu_s(wall_s: float, limits: Limits) -> int:
    return min(limits.cpu_s, int(wall_s * max(1.0, limits.cpus)) + 6)


def _discard(container: Container, _: bool) -> None:
    container.discard()


def _ms(since: float) -> float:
    return round((time.monotonic() - since) * 1e3, 3)
