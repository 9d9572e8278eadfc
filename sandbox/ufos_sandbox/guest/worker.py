"""The worker of a container: import, ready, slice, load, delete, lock, compile, run, one result, exit."""

import contextlib
import gc
import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from ufos_sandbox.guest import lean, lock
from ufos_sandbox.guest.wire import PROTOCOL, HostGoneError, copy_to_file, encode, read_message, write_all

FOREIGN = "strategy"
"""Module name of the code that nobody has read."""
SLICE = f"{lock.SCRATCH}/slice"
PRIVATE_FD = 200
"""From here up lie the worker's own ends of the stream; 0, 1 and 2 lead nowhere while foreign code runs."""
NOFILE_MINIMUM = 256
YOUNG_OBJECTS = 50_000
"""Objects made until the collector looks for cycles, as on the host: next to nothing that a run makes is one."""
WARM_SPEC = "UFOS_WARM_SPEC"
"""Environment variable with the run spec of a first, tiny run; set only where nobody waits yet."""


class UserError(Exception):
    """The foreign code is at fault.

    Parameters
    ----------
    phase : str
        ``compile``, ``exec``, ``build``, ``callback`` or ``run``.
    error : BaseException
        What it raised.
    line : int, optional
        Line of the foreign code; found in the traceback unless given.

    """

    def __init__(self, phase: str, error: BaseException, line: int | None = None) -> None:
        super().__init__(str(error))
        self.phase, self.error, self.line = phase, error, line


def work(control: int) -> None:
    """Serve one request and leave the process; never returns where anything was sent."""
    source, sink = _private_streams()
    lock.small_pages()
    # Nothing that is imported or loaded before the run is ever garbage.
    gc.disable()
    started = time.perf_counter()
    version = lock.restrict_files(lock.READ_ONLY_ROOTS, [lock.SCRATCH])
    try:
        session = lean.import_session()
    except ImportError as error:
        _leave(sink, {"fatal": f"the image is incomplete: {error}"})
    imported_ms = _ms(started)
    spec = os.environ.get(WARM_SPEC)
    if spec:
        from ufos_sandbox.guest.warm import warm_up

        warm_up(Path(lock.SCRATCH) / "warm", json.loads(spec))
    write_all(sink, encode({"ready": {"protocol": PROTOCOL, "landlock": version, "import_ms": imported_ms}}))
    try:
        request = read_message(source, float(sys.argv[3]))
    except (HostGoneError, ValueError):
        os._exit(0)
    _serve(session, request, source, sink, control)


def _serve(session: ModuleType, request: dict[str, Any], source: int, sink: int, control: int) -> None:
    wall_s = float(request["wall_s"])
    os.write(control, _deadline(wall_s))
    cpu_s = int(request["cpu_s"])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    times = {}
    try:
        at = time.perf_counter()
        _receive(source, request["files"])
        times["slice_ms"], at = _ms(at), time.perf_counter()
        prepared = session.prepare(
            request["spec"], request["tables"], request["instruments"], Path(SLICE), request["end_ns"]
        )
        shutil.rmtree(SLICE)
        times["load_ms"], at = _ms(at), time.perf_counter()
        lock.restrict_files(lock.READ_ONLY_ROOTS)
        lock.forbid_calls()
        times["lock_ms"] = _ms(at)
    except HostGoneError:
        os._exit(0)
    except Exception as error:
        _leave(sink, {"refused": _text(error)})
    loaded = {
        "rows": prepared.rows,
        "items": prepared.items,
        "start_ns": prepared.start_ns,
        **times,
    }
    write_all(sink, encode({"loaded": loaded}))
    code = request["code"]
    request.clear()
    _leave(sink, _answer(session, prepared, code, sink))


def _answer(session: ModuleType, prepared: Any, code: str, sink: int) -> dict[str, Any]:
    started = time.perf_counter()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()
    try:
        module = load_foreign(code)
        book_class = session.find_book(module)
        result = prepared.run(book_class, progress=lambda done: write_all(sink, encode({"progress": done})))
    except UserError as error:
        return {"error": describe(error)}
    except session.TooMuchError as error:
        return {"error": describe(UserError("result", error, 0))}
    except BaseException as error:
        return {"error": describe(UserError("run", error))}
    result["run_ms"] = _ms(started)
    return {"result": result}


def load_foreign(code: str) -> ModuleType:
    """Compile and execute the foreign code as the module `strategy`.

    Raises
    ------
    UserError
        Phase ``compile`` or ``exec``.

    """
    import linecache

    name = f"<{FOREIGN}>"
    try:
        compiled = compile(code, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError("compile", error, getattr(error, "lineno", None)) from None
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    module = ModuleType(FOREIGN)
    module.__file__ = name
    sys.modules[FOREIGN] = module
    try:
        exec(compiled, module.__dict__)  # noqa: S102 - this is what a container is for
    except BaseException as error:
        raise UserError("exec", error) from None
    return module


def describe(error: UserError) -> dict[str, Any]:
    """Return an error as plain data; the host trims and cleans the text."""
    line, cause = error.line, error.error
    if line is None:
        line, at = 0, cause.__traceback__
        while at is not None:
            if at.tb_frame.f_code.co_filename == f"<{FOREIGN}>":
                line = at.tb_lineno
            at = at.tb_next
    return {"phase": error.phase, "type": type(cause).__name__[:80], "message": _text(cause), "line": line}


def _text(error: BaseException) -> str:
    try:
        return str(error)[:4000]
    except BaseException:
        return "an error whose text can't be made"


def _private_streams() -> tuple[int, int]:
    """Move the stream to high descriptors and point 0, 1 and 2 at nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < NOFILE_MINIMUM:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(NOFILE_MINIMUM, hard), hard))
    os.dup2(0, PRIVATE_FD, inheritable=False)
    os.dup2(1, PRIVATE_FD + 1, inheritable=False)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)
    return PRIVATE_FD, PRIVATE_FD + 1


def _receive(source: int, files: list[list[Any]]) -> None:
    for name, size in files:
        path = Path(SLICE) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        copy_to_file(source, str(path), size)


def _leave(sink: int, message: dict[str, Any]) -> NoReturn:
    """Send the last message and end the process without running anything else."""
    # Foreign code may have left objects whose end would run it again.
    gc.disable()
    with contextlib.suppress(OSError):
        try:
            data = encode(message)
        except (TypeError, ValueError, RecursionError) as error:
            data = encode({"fatal": f"the result can't be encoded: {type(error).__name__}"})
        write_all(sink, data)
    os._exit(0)


def _deadline(wall_s: float) -> bytes:
    import struct

    return struct.pack(">d", wall_s)


def _ms(since: float) -> float:
    return round((time.perf_counter() - since) * 1e3, 3)
