"""A Docker daemon of the tests' own, with its own storage and socket, that may be killed and started again."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from ufos_sandbox.engine_api import SandboxUnavailableError, connect

START_TIMEOUT_S = 60


class Daemon:
    """Runs `dockerd` without any network, so that it leaves the machine's own one alone."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = f"unix://{root}/docker.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        # What a killed daemon leaves makes the next one wait for a containerd that is gone with it.
        for stale in ("docker.pid", "docker.sock", "exec/containerd/containerd.pid"):
            (self.root / stale).unlink(missing_ok=True)
        log = (self.root / "log").open("ab")
        command = [
            "dockerd", "--data-root", str(self.root / "data"), "--exec-root", str(self.root / "exec"),
            "--pidfile", str(self.root / "docker.pid"), "-H", self.url, "--bridge", "none", "--iptables=false",
            "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--log-level", "error",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        until = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                connect(self.url).close()
                return
            except SandboxUnavailableError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"dockerd did not start:\n{(self.root / 'log').read_text()[-2000:]}") from None
                time.sleep(0.1)

    def kill(self) -> None:
        """Kill it on the spot."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End it in good order, and what it started with it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        for pid in self.shims():
            os.kill(pid, signal.SIGKILL)
        # What a killed daemon had mounted stays mounted.
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            where = line.split()[4]
            if where.startswith(f"{self.root}/"):
                subprocess.run(["umount", "-l", where], check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def shims(self) -> list[int]:
        """Processes that stand between containerd and containers."""
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

    def disk_mb(self) -> float:
        """Size of everything it keeps, counted on disk."""
        done = subprocess.run(["du", "-smx", str(self.root / "data")], capture_output=True, text=True)
        return float(done.stdout.split()[0])

    def container_folders(self) -> int:
        """Directories of containers on disk, whatever the daemon says."""
        folder = self.root / "data" / "containers"
        return len(list(folder.iterdir())) if folder.is_dir() else 0


def private_daemon() -> Daemon:
    """A started daemon, or a skipped test where none can be started."""
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("a Docker daemon of one's own needs root and dockerd")
    daemon = Daemon(Path(tempfile.mkdtemp(prefix="ufos-docker-")))
    try:
        daemon.start()
    except RuntimeError as error:
        daemon.stop()
        pytest.skip(str(error)[:300])
    return daemon
