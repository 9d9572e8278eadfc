"""Containers made by bubblewrap: no engine and no image, but weaker, and therefore only where it is chosen by name.

There is no control group, so memory and processor time are limited per process only, and no allow-list of system
calls before the guest locks itself. Name spaces, the empty network, the read-only root and both locks are the same.
"""

import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from ufos_nautilus.limits import SANDBOX_GRACE_S
from ufos_sandbox.backend import FILE_BYTES_MAX, SILENCE_S, WARM_SPEC, Container, EngineFailedError, warm_spec
from ufos_sandbox.engine_api import SandboxUnavailableError
from ufos_sandbox.image.base import VERSION, make_base
from ufos_sandbox.image.build import image_names
from ufos_sandbox.image.site import library_binaries, make_library_site, make_own_site
from ufos_sandbox.limits import Limits
from ufos_sandbox.stream import Stream

ENVIRONMENT = {
    "PATH": "/usr/local/bin",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": f"/usr/local/lib/python{VERSION}/site-packages",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    "POLARS_MAX_THREADS": "1",
    "TOKIO_WORKER_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
}
_making = threading.Lock()


def roots_folder() -> Path:
    """Return where root file systems are kept: UFOS_SANDBOX_ROOTS, or the user's cache."""
    named = os.environ.get("UFOS_SANDBOX_ROOTS")
    return Path(named) if named else Path.home() / ".cache" / "ufos" / "sandbox"


def make_root() -> Path:
    """Return the root file system of the code that is here, made now or before; older ones are removed."""
    name = image_names()[2].replace(":", "-")
    root = roots_folder() / name
    with _making:
        if root.is_dir():
            return root
        roots_folder().mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".making-", dir=roots_folder()))
        try:
            make_base(scratch, library_binaries())
            site = scratch / "usr/local/lib" / f"python{VERSION}" / "site-packages"
            make_library_site(site)
            make_own_site(site)
            scratch.chmod(0o755)
            scratch.rename(root)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        for old in roots_folder().glob("ufos-sandbox-*"):
            if old != root:
                shutil.rmtree(old, ignore_errors=True)
    return root


class BubblewrapBackend:
    """Processes in name spaces of their own.

    Raises
    ------
    SandboxUnavailableError
        Bubblewrap is not installed.

    """

    name = "bubblewrap"

    def __init__(self) -> None:
        found = shutil.which("bwrap")
        if found is None:
            raise SandboxUnavailableError(
                "bubblewrap is not installed", "RUNTIME_MISSING", "install it (Debian: apt-get install bubblewrap)"
            )
        self._program = found
        self._root = make_root()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    @property
    def image(self) -> str:
        """Return the root file system's name, which is a hash of its content."""
        return self._root.name

    def tidy(self) -> None:
        """Do nothing: a process ends with its host."""

    def start(self, limits: Limits, *, warm: bool = False) -> Container:
        """Start a process; its environment is empty from the start, as process 1 would show it."""
        ours, theirs = socket.socketpair()
        started = time.monotonic()
        try:
            process = subprocess.Popen(  # noqa: S603
                self._command(limits, warm),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env={},
                start_new_session=True,
                preexec_fn=_limiter(limits),
            )
        except OSError as error:
            ours.close()
            raise EngineFailedError(str(error)) from None
        finally:
            theirs.close()
        container_id = f"bwrap-{process.pid}"
        with self._lock:
            self._processes[container_id] = process
        return Container(self, container_id, Stream(ours, framed=False), limits, started)

    def remove(self, container_id: str) -> None:
        """Kill a process and all that it started."""
        with self._lock:
            process = self._processes.pop(container_id, None)
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait(SANDBOX_GRACE_S)

    def died_of_memory(self, container_id: str) -> bool:
        """Return False: without a control group nobody counts."""
        return False

    def alive(self) -> bool:
        """Return True: there is no engine that could be gone."""
        return True

    def close(self) -> None:
        """Kill what still runs."""
        for container_id in list(self._processes):
            self.remove(container_id)

    def _command(self, limits: Limits, warm: bool) -> list[str]:
        environment = ENVIRONMENT | ({WARM_SPEC: warm_spec()} if warm else {})
        settings = [part for name, value in environment.items() for part in ("--setenv", name, value)]
        return [
            self._program,
            "--unshare-all",
            "--die-with-parent",
            "--as-pid-1",
            "--uid",
            "65534",
            "--gid",
            "65534",
            "--hostname",
            "sandbox",
            "--cap-drop",
            "ALL",
            "--clearenv",
            *settings,
            "--ro-bind",
            str(self._root),
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",  # noqa: S108
            "--chdir",
            "/tmp",  # noqa: S108
            "/usr/local/bin/python3",
            "-P",
            "-s",
            "-m",
            "ufos_sandbox.guest",
            str(limits.idle_s),
            str(SANDBOX_GRACE_S),
            str(SILENCE_S),
        ]


def _limiter(limits: Limits):
    memory = (limits.memory_mb + limits.tmp_mb) << 20
    wanted = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_FSIZE, FILE_BYTES_MAX),
        # Address space, not memory in use: the engine maps more than it touches.
        (resource.RLIMIT_AS, memory * 4),
    )

    def limit() -> None:
        for kind, value in wanted:
            resource.setrlimit(kind, (value, value))

    return limit
