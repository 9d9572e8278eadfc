"""Containers on a Docker engine: made with every lock on, used once, gone afterwards."""

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from ufos_nautilus.limits import SANDBOX_GRACE_S, SANDBOX_HEARTBEAT_S
from ufos_sandbox.engine_api import (
    DEADLINE_LABEL,
    OWNER_LABEL,
    PROJECT_LABEL,
    Api,
    SandboxUnavailableError,
    require_sdk,
)
from ufos_sandbox.image.build import image_name, seccomp_profile
from ufos_sandbox.limits import Limits
from ufos_sandbox.messages import Ready
from ufos_sandbox.requests import check_spec
from ufos_sandbox.stream import Stream
from ufos_sandbox.unfinished import end_unfinished

WARM_SPEC = "UFOS_WARM_SPEC"
"""Environment variable in which a guest finds the spec of its tiny first run."""
SILENCE_S = 3 * SANDBOX_HEARTBEAT_S
CPU_PERIOD_US = 10_000
"""A container that used its share waits for the rest of a period: 10 ms instead of the usual 100."""
CPU_SHARES = 512
"""Weight against other work of the machine; 1024 is normal, so that a busy guest never slows down its host by half."""
FILE_BYTES_MAX = 64 * 1024 * 1024


@cache
def warm_spec() -> str:
    """Return the run spec of the tiny run of a warm container."""
    venue = {"name": "UP", "balances": ["1000 USD"], "book": "L1"}
    book = {"id": "WARM-1", "class_path": "warm:WarmBook"}
    spec = {"name": "warm", "data": [{"catalog": "warm"}], "venues": [venue], "books": [book]}
    return json.dumps(check_spec(spec | {"ledger": {"enabled": False}}).marked, default=str)


class ImageMissingError(Exception):
    """The image of the code that is here was not built."""


class EngineFailedError(Exception):
    """The engine answered with an error."""


class StartFailedError(Exception):
    """A container did not become ready."""


@dataclass(slots=True)
class Container:
    """One container and the host's end of its stream."""

    backend: "Backend"
    id: str
    stream: Stream
    limits: Limits
    started: float
    ready: Ready | None = None
    start_ms: float = 0.0

    def wait_ready(self, deadline: float) -> None:
        """Wait for the first message.

        Raises
        ------
        StartFailedError
            Something else came, or nothing.

        """
        try:
            kind, content = self.stream.receive(deadline)
        except Exception as error:
            noise = self.stream.errors.decode("utf-8", "replace")[-300:]
            raise StartFailedError(f"{type(error).__name__} {error} {noise}".strip()) from None
        if kind != "ready" or not isinstance(content, Ready):
            raise StartFailedError(f"the first message is {kind!r}")
        self.ready = content
        self.start_ms = round((time.monotonic() - self.started) * 1e3, 3)

    def discard(self) -> None:
        """End it for good, whatever state it is in; never raises."""
        self.stream.close()
        with suppress(Exception):
            self.backend.remove(self.id)


class Backend(Protocol):
    """A way to get containers."""

    name: str

    def tidy(self) -> None:
        """Remove what host processes that are gone left behind."""
        ...

    def start(self, limits: Limits, *, warm: bool = False) -> Container:
        """Start one, which is not ready yet; with `warm` it makes a tiny run before it is."""
        ...

    def remove(self, container_id: str) -> None:
        """Kill and remove one."""
        ...

    def died_of_memory(self, container_id: str) -> bool:
        """Tell whether the engine knows that process 1 ran out of memory."""
        ...

    def alive(self) -> bool:
        """Tell whether the engine answers."""
        ...

    def close(self) -> None:
        """Close the way to the engine."""
        ...

    @property
    def image(self) -> str:
        """Return what the image is, for the record of a run."""
        ...


class DockerBackend:
    """Containers of the product's image.

    Parameters
    ----------
    api : Api
        Connection to the engine.
    runtime : str
        ``"runc"``, or the name of another runtime the engine has, for example ``"runsc"`` (gVisor).

    """

    def __init__(self, api: Api, runtime: str = "runc") -> None:
        self.api, self.runtime = api, runtime
        self.name = f"docker/{runtime}"
        self._image_id = ""
        self._unsure: set[str] = set()
        """Containers that could not be removed because the engine did not answer."""

    @property
    def image(self) -> str:
        """Return the image's id."""
        if not self._image_id:
            self._image_id = self.api.image_id(image_name())
            if not self._image_id:
                raise ImageMissingError(image_name())
        return self._image_id

    def tidy(self) -> None:
        """Remove what host processes that are gone left behind."""
        from ufos_sandbox.reaper import reap

        with suppress(Exception):
            reap(self.api)

    def start(self, limits: Limits, *, warm: bool = False) -> Container:
        """Create, attach, start.

        Raises
        ------
        ImageMissingError, EngineFailedError, SandboxUnavailableError
            What went wrong; no container is left.

        """
        docker = require_sdk()
        client, started = self.api.client, time.monotonic()
        container_id = ""
        try:
            container_id = client.create_container_from_config(self._config(limits, warm))["Id"]
            raw = client.attach_socket(container_id, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            stream = Stream(_own_socket(raw), framed=True)
            client.start(container_id)
        except docker.errors.ImageNotFound:
            self._image_id = ""
            raise ImageMissingError(image_name()) from None
        except docker.errors.APIError as error:
            self._forget(container_id)
            raise EngineFailedError(str(error.explanation or error)[:300]) from None
        except (docker.errors.DockerException, OSError) as error:
            self._forget(container_id)
            self.api.close_thread()
            raise SandboxUnavailableError(f"the Docker engine does not answer: {str(error)[:200]}") from None
        if self._unsure:
            self._look_after()
        return Container(self, container_id, stream, limits, started)

    def remove(self, container_id: str) -> None:
        """Kill and remove one; where the engine does not answer, once it does."""
        try:
            gone = self.api.remove_container(container_id)
        except SandboxUnavailableError:
            gone = False
        if not gone:
            self._unsure.add(container_id)

    def died_of_memory(self, container_id: str) -> bool:
        """Tell whether the engine saw process 1 run out of memory; False where the container is gone already."""
        try:
            return bool(self.api.client.inspect_container(container_id)["State"]["OOMKilled"])
        except Exception:
            return False

    def alive(self) -> bool:
        """Tell whether the engine answers."""
        try:
            return bool(self.api.client.ping())
        except Exception:
            self.api.close_thread()
            return False

    def close(self) -> None:
        """Close the connection to the engine."""
        self.api.close()

    def _forget(self, container_id: str) -> None:
        if container_id:
            with suppress(Exception):
                self.remove(container_id)

    def _look_after(self) -> None:
        """Remove what could not be removed while the engine was away; end what it has forgotten."""
        for container_id in list(self._unsure):
            self._unsure.discard(container_id)
            with suppress(Exception):
                self.remove(container_id)
                if container_id not in self._unsure and not self.api.knows_container(container_id):
                    end_unfinished(container_id)

    def _config(self, limits: Limits, warm: bool) -> dict[str, Any]:
        client = self.api.client
        host = client.create_host_config(
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true", f"seccomp={seccomp_profile()}"],
            pids_limit=limits.pids,
            mem_limit=limits.memory_mb << 20,
            memswap_limit=limits.memory_mb << 20,
            ipc_mode="none",
            tmpfs={
                "/tmp": f"rw,noexec,nosuid,nodev,size={limits.tmp_mb}m,nr_inodes={limits.tmp_inodes},mode=1777"  # noqa: S108
            },
            ulimits=[
                {"Name": "nofile", "Soft": limits.open_files, "Hard": limits.open_files},
                {"Name": "core", "Soft": 0, "Hard": 0},
                {"Name": "fsize", "Soft": FILE_BYTES_MAX, "Hard": FILE_BYTES_MAX},
            ],
            log_config={"Type": "none", "Config": {}},
            oom_score_adj=1000,
            auto_remove=True,
        )
        host |= {
            "CpuPeriod": CPU_PERIOD_US,
            "CpuQuota": int(limits.cpus * CPU_PERIOD_US),
            "CpuShares": CPU_SHARES,
            "CgroupnsMode": "private",
        }
        if self.runtime != "runc":
            host["Runtime"] = self.runtime
        deadline = time.time() + limits.idle_s + limits.wall_s + 2 * SANDBOX_GRACE_S
        return {
            "Image": self.image,
            "Cmd": [str(limits.idle_s), str(SANDBOX_GRACE_S), str(SILENCE_S)],
            "Env": [f"{WARM_SPEC}={warm_spec()}"] if warm else [],
            "User": "65534:65534",
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "NetworkDisabled": True,
            "Hostname": "sandbox",
            "Labels": {PROJECT_LABEL: "1", OWNER_LABEL: owner(), DEADLINE_LABEL: f"{deadline:.0f}"},
            "HostConfig": host,
        }


@cache
def boot_id() -> str:
    """Return what tells this boot of the machine from others."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return "unknown"


def owner() -> str:
    """Return what names this process for as long as the machine runs: boot, process id, start time."""
    return f"{boot_id()}:{os.getpid()}:{process_start(os.getpid())}"


def process_start(pid: int) -> str:
    """Return when a process started, in ticks since the boot; empty where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def owner_lives(name: str) -> bool:
    """Tell whether the process named by `owner` still runs here."""
    boot, _, rest = name.partition(":")
    pid, _, start = rest.partition(":")
    return boot == boot_id() and pid.isdigit() and bool(start) and process_start(int(pid)) == start


def _own_socket(raw: Any) -> socket.socket:
    """Return the socket within what the SDK gives, kept open on its own."""
    inner = getattr(raw, "_sock", raw)
    duplicate = socket.socket(fileno=os.dup(inner.fileno()))
    response = getattr(raw, "_response", None)
    if response is not None:
        response.close()
    inner.close()
    return duplicate
