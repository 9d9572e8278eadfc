"""Worker processes: one for each job that runs strategies, and one helper that stays for quick questions."""

import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.abc
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from ufos_nautilus.errors import RunFailedError, UfosError
from ufos_nautilus.limits import MCP_JOB_GRACE_S, MCP_JOB_LINE_BYTES_MAX

COMMAND: Final = (sys.executable, "-m", "ufos_nautilus.cli.worker")
PASSED_ON: Final = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "PYTHONPATH", "PYTHONWARNINGS", "VIRTUAL_ENV", "DOCKER_HOST",
    "XDG_RUNTIME_DIR", "UFOS_GENERATED", "UFOS_SANDBOX_IMAGE", "POLARS_MAX_THREADS",
)  # fmt: skip
"""Variables a worker gets; nothing else of the server's environment reaches code that runs there."""
STDERR_KEPT: Final = 4_000
QUESTIONS_MAX: Final = 64
"""Questions that wait for the helper; more wait to be asked."""
Progress = Callable[[float, float, str], None]


class WorkerError(RunFailedError):
    """A worker answered with an error of the product; `kind` is the name of its class."""

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(
            str(facts.get("problem", "")),
            expected=str(facts.get("expected", "")),
            next_step=str(facts.get("next_step", "")),
        )
        self.kind = str(facts.get("error", ""))


class Worker:
    """A running worker process.

    Parameters
    ----------
    process : anyio.abc.Process
        Started by `started`.

    """

    def __init__(self, process: anyio.abc.Process) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("a worker needs three pipes")
        self.process = process
        self._in, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._buffer = bytearray()
        self.stderr = bytearray()

    async def ask(self, job: dict[str, Any], progress: Progress = lambda *_: None) -> dict[str, Any]:
        """Give it a job and return the result.

        Raises
        ------
        WorkerError
            The product refused the job, or it failed.
        RunFailedError
            The process ended without an answer.

        """
        found: dict[str, Any] | UfosError = {}
        async with anyio.create_task_group() as group:
            group.start_soon(self._drain)
            try:
                found = await self._converse(job, progress)
            except UfosError as error:  # kept here, for a task group would wrap it
                found = error
            group.cancel_scope.cancel()
        if isinstance(found, UfosError):
            raise found
        return found

    async def _converse(self, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._in.send((json.dumps(job, allow_nan=False) + "\n").encode())
        while (line := await self._line()) is not None:
            message = json.loads(line)
            if "progress" in message:
                progress(*message["progress"])
            elif "error" in message:
                raise WorkerError(message["error"])
            elif "result" in message:
                return message["result"]
        code = await self.process.wait()
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        raise RunFailedError(
            f"the worker process {how} without an answer",
            next_step="try a shorter span of data" if code == -signal.SIGKILL else "see the server's log",
        )

    async def _drain(self) -> None:
        # What it writes to standard error must not fill the pipe; only the end is kept.
        async for part in self._err:
            self.stderr += part
            del self.stderr[:-STDERR_KEPT]

    async def _line(self) -> bytes | None:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MCP_JOB_LINE_BYTES_MAX:
                raise RunFailedError("the worker process wrote too long a line")
            try:
                self._buffer += await self._out.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
                return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


@asynccontextmanager
async def started(root: Path, environment: dict[str, str]) -> AsyncIterator[Worker]:
    """Start a worker process in its own session; when the block ends, however it does, no process of it is left.

    Parameters
    ----------
    root : Path
        Where it works.
    environment : dict
        Variables besides those of `PASSED_ON`.

    """
    kept = {k: v for k, v in os.environ.items() if k in PASSED_ON}
    process = await anyio.open_process(list(COMMAND), cwd=root, env=kept | environment, start_new_session=True)
    worker = Worker(process)
    try:
        yield worker
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _end(process: anyio.abc.Process) -> None:
    if process.stdin is not None:
        await process.stdin.aclose()
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        with anyio.move_on_after(MCP_JOB_GRACE_S):
            await process.wait()
    _signal(process.pid, signal.SIGKILL)  # whatever it may have started
    await process.wait()
    await process.aclose()


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def remove_scratch(runs: Path, pid: int) -> None:
    """Remove what a killed worker left half-written in the folder of runs."""
    for path in runs.glob(f".*-{pid}"):
        shutil.rmtree(path, ignore_errors=True)


class Answer:
    """Where an answer will be."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._value: dict[str, Any] | UfosError = {}

    def give(self, value: dict[str, Any]) -> None:
        """Answer."""
        self._value = value
        self._event.set()

    def fail(self, error: UfosError) -> None:
        """Refuse."""
        self._value = error
        self._event.set()

    async def get(self) -> dict[str, Any]:
        """Wait for the answer."""
        await self._event.wait()
        if isinstance(self._value, UfosError):
            raise self._value
        return self._value


Question = tuple[dict[str, Any], Answer]


class Helper:
    """One worker that stays, for questions that take milliseconds once it is up.

    Parameters
    ----------
    root : Path
        Where it works.
    environment : dict
        Variables besides those of `PASSED_ON`.

    """

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self._root, self._environment = root, environment
        self._asked: MemoryObjectSendStream[Question] | None = None
        self._answers: dict[str, dict[str, Any]] = {}

    async def run(self) -> None:
        """Answer questions until cancelled; the process starts with the first one and is replaced if it dies."""
        asked, questions = anyio.create_memory_object_stream[Question](QUESTIONS_MAX)
        async with asked, questions:
            self._asked = asked
            try:
                while True:
                    await self._answer(await questions.receive(), questions)
            finally:
                self._asked = None

    async def _answer(self, question: Question, more: MemoryObjectReceiveStream[Question]) -> None:
        async with started(self._root, self._environment) as worker:
            while True:
                job, answer = question
                try:
                    answer.give(await worker.ask(job))
                except UfosError as error:
                    answer.fail(error)
                    if worker.process.returncode is not None:
                        return
                question = await more.receive()

    async def ask(self, job: dict[str, Any], *, keep: bool = False) -> dict[str, Any]:
        """Return the answer to a quick job; with `keep` it is asked only once."""
        key = json.dumps(job, sort_keys=True)
        if keep and key in self._answers:
            return self._answers[key]
        if self._asked is None:
            raise RuntimeError("the helper needs the server's lifespan")
        answer = Answer()
        await self._asked.send((job, answer))
        found = await answer.get()
        if keep:
            self._answers[key] = found
        return found
