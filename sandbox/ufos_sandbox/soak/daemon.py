"""A Docker daemon beside the machine's own, with its own storage, socket and network, that may be killed any time."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ufos_sandbox.engine_api import SandboxUnavailableError, connect
from ufos_sandbox.unfinished import children

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
GROUPS_EMPTY_WITHIN_S = 3.0


class Daemon:
    """Runs `dockerd` in a network name space of its own, so that the machine's bridge and rules stay as they are.

    A `containerd` of its own lies beneath it, as distributions have it: killing the one leaves the other.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = f"unix://{root}/docker.sock"
        self.group = f"/{root.name}"
        """Control groups of its containers lie below this one."""
        self.process: subprocess.Popen[bytes] | None = None
        self.below: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        SandboxUnavailableError
            It ended, or gave no answer in time.

        """
        for stale in ("docker.pid", "docker.sock"):
            (self.root / stale).unlink(missing_ok=True)
        if self.below is None or self.below.poll() is not None:
            self.below = self._spawn(
                "containerd", "--address", self._below_socket(), "--root", str(self.root / "containerd"), "--state",
                str(self.root / "state"), "--log-level", "error",
            )  # fmt: skip
            self._wait(self.below, Path(self._below_socket()).exists)
        self.process = self._spawn(
            "unshare", "--net", "dockerd", "--containerd", self._below_socket(), "-H", self.url, "--pidfile",
            str(self.root / "docker.pid"), "--data-root", str(self.root / "data"), "--exec-root",
            str(self.root / "exec"), "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", self.group,
            "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
            "--log-level", "error",
        )  # fmt: skip
        self._wait(self.process, self._answers)

    def _below_socket(self) -> str:
        return str(self.root / "containerd.sock")

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.root / "log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603

    def _answers(self) -> bool:
        try:
            connect(self.url).close()
        except SandboxUnavailableError:
            return False
        return True

    def _wait(self, process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
        until = time.monotonic() + START_TIMEOUT_S
        while not ready():
            if process.poll() is not None or time.monotonic() > until:
                said = (self.root / "log").read_text("utf-8", "replace")[-1000:]
                raise SandboxUnavailableError(f"dockerd did not start: {said}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it on the spot."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End it in good order, and what it started with it."""
        for process in (self.process, self.below):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        for pid in (*self.working(), *self.shims()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # What a killed daemon had mounted stays mounted.
        for where in reversed(self.mounts()):
            subprocess.run(["umount", "-l", where], check=False)  # noqa: S603, S607
        until = time.monotonic() + GROUPS_EMPTY_WITHIN_S  # what was killed takes a moment to be gone
        while time.monotonic() < until and any(Path("/sys/fs/cgroup").glob(f"*{self.group}")):
            for pattern in (f"*{self.group}/*/", f"*{self.group}/"):
                for folder in Path("/sys/fs/cgroup").glob(pattern):
                    with contextlib.suppress(OSError):
                        folder.rmdir()
            time.sleep(0.05)
        shutil.rmtree(self.root, ignore_errors=True)

    def mounts(self) -> list[str]:
        """Return where something is mounted below its folder, in the order of mounting."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return [where for where in (line.split()[4] for line in lines) if where.startswith(f"{self.root}/")]

    def shims(self) -> list[int]:
        """Return the processes that stand between containerd and containers."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"containerd-shim" in line and str(self.root).encode() in line:
                    found.append(int(entry.name))
        return found

    def working(self) -> list[int]:
        """Return processes of containers: children of its shims."""
        return [pid for shim in self.shims() for pid in children(shim)]

    @staticmethod
    def never_began(pid: int) -> bool:
        """Tell whether a process of a container still waits to be started, and has run nothing of the image."""
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"runc\0init")
        return False

    def groups(self) -> int:
        """Return how many control groups of its containers there are."""
        return sum(path.is_dir() for path in Path("/sys/fs/cgroup").glob(f"*{self.group}/*") if len(path.name) == 64)

    def disk_mb(self) -> float:
        """Return the size of everything it keeps, counted on disk."""
        command = ["du", "-smx", str(self.root / "data")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        return float(done.stdout.split()[0])

    def container_folders(self) -> int:
        """Return the number of directories of containers on disk, whatever the daemon says."""
        folder = self.root / "data" / "containers"
        return len(list(folder.iterdir())) if folder.is_dir() else 0


def private_daemon() -> Daemon:
    """Return a started daemon.

    Raises
    ------
    SandboxUnavailableError
        None can be started here.

    """
    missing = [name for name in ("dockerd", "containerd", "unshare") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        raise SandboxUnavailableError(
            "a Docker daemon of one's own, to be killed, needs root" + "".join(f" and {name}" for name in missing)
        )
    daemon = Daemon(Path(tempfile.mkdtemp(prefix="ufos-docker-")))
    try:
        daemon.start()
    except SandboxUnavailableError:
        daemon.stop()
        raise
    return daemon
