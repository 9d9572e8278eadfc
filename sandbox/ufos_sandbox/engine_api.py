"""The connection to the Docker engine, one per thread, with failures named."""

import importlib.util
import os
import socket
import threading
from contextlib import suppress
from typing import Any, Final, Self

from ufos_nautilus.errors import RunFailedError

PROJECT_LABEL: Final = "org.ufos.sandbox"
"""On every container and image of the product; nothing without it is ever touched."""
OWNER_LABEL: Final = "org.ufos.sandbox.owner"
DEADLINE_LABEL: Final = "org.ufos.sandbox.deadline"
INSTALL: Final = "install and start Docker (Debian: apt-get install docker.io; dockerd)"
DEFAULT_URL: Final = "unix:///var/run/docker.sock"
CALL_TIMEOUT_S: Final = 60
"""Longest wait for one answer of the engine."""
BUILD_TIMEOUT_S: Final = 900


class SandboxUnavailableError(RunFailedError):
    """No sandbox can be had here; says how one could be had, and what works without."""

    def __init__(self, problem: str, code: str = "DAEMON_DOWN", first_way: str = "") -> None:
        super().__init__(
            problem,
            expected="a Docker engine that this user may use",
            next_step=(
                f"two ways on: (1) {first_way or INSTALL}, then `ufos sandbox doctor`; (2) describe the strategy as a "
                "run spec instead of code, which needs no sandbox (`ufos spec schema`, `ufos backtest SPEC`)"
            ),
        )
        self.code = code


class Api:
    """Calls to one engine; a client of its own for each thread, as clients are not made to be shared."""

    def __init__(self, base_url: str | None = None, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self.base_url, self.timeout_s = base_url, timeout_s
        self._version: str | None = None
        self._local = threading.local()
        self._all: list[Any] = []
        self._lock = threading.Lock()
        self.client.ping()

    @property
    def client(self) -> Any:
        """Return this thread's client.

        Raises
        ------
        SandboxUnavailableError
            The engine does not answer, or the SDK is not installed.

        """
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._new_client()
        return client

    def _new_client(self) -> Any:
        docker = require_sdk()
        url = self.base_url or os.environ.get("DOCKER_HOST") or DEFAULT_URL
        _knock(url)
        try:
            client = docker.APIClient(
                base_url=url,
                version=self._version or "auto",
                timeout=self.timeout_s,
            )
        except docker.errors.DockerException as error:
            raise SandboxUnavailableError(f"the Docker engine does not answer: {_short(error)}") from None
        self._version = client.api_version
        with self._lock:
            self._all.append(client)
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the clients of all threads; the connection can't be used afterwards."""
        with self._lock:
            clients, self._all = self._all, []
        for client in clients:
            client.close()

    def close_thread(self) -> None:
        """Close this thread's client."""
        client = getattr(self._local, "client", None)
        if client is not None:
            self._local.client = None
            with self._lock, suppress(ValueError):
                self._all.remove(client)
            client.close()

    def image_id(self, name: str) -> str:
        """Return the id of an image, or an empty string where it is not there."""
        docker = require_sdk()
        try:
            return self.client.inspect_image(name)["Id"]
        except docker.errors.ImageNotFound:
            return ""
        except (docker.errors.DockerException, OSError) as error:
            raise SandboxUnavailableError(f"the Docker engine does not answer: {_short(error)}") from None

    def remove_image(self, name: str) -> bool:
        """Remove an image unless something uses it; tell whether it is gone."""
        docker = require_sdk()
        try:
            self.client.remove_image(name, force=False)
        except docker.errors.DockerException:
            return False
        return True

    def own_containers(self, **labels: str) -> list[dict[str, Any]]:
        """Return all containers of the product, running or not, with these labels."""
        wanted = [PROJECT_LABEL, *(f"{k}={v}" for k, v in labels.items())]
        return self.client.containers(all=True, filters={"label": wanted})

    def knows_container(self, container_id: str) -> bool:
        """Tell whether the engine has a container, in whatever state."""
        docker = require_sdk()
        try:
            self.client.inspect_container(container_id)
        except docker.errors.NotFound:
            return False
        return True

    def remove_container(self, container_id: str) -> bool:
        """Kill and remove a container; tell whether it is gone or going."""
        docker = require_sdk()
        try:
            self.client.remove_container(container_id, force=True, v=True)
        except docker.errors.NotFound:
            return True
        except docker.errors.APIError as error:
            return error.status_code == 409  # the engine is removing it already
        except (docker.errors.DockerException, OSError):
            return False
        return True


def _knock(url: str) -> None:
    """Raise at once where nobody listens at a local socket; the SDK would leave its own socket open."""
    if not url.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(url.removeprefix("unix://"))
        except OSError as error:
            raise SandboxUnavailableError(
                f"the Docker engine does not answer at {url}: {error.strerror or error}"
            ) from None


def require_sdk() -> Any:
    """Return the `docker` package.

    Raises
    ------
    SandboxUnavailableError
        It is not installed.

    """
    if importlib.util.find_spec("docker") is None:
        raise SandboxUnavailableError(
            "the Docker SDK for Python is not installed", "SDK_MISSING", "uv pip install 'ufos-nautilus[sandbox]'"
        )
    import docker
    import docker.errors

    return docker


def connect(base_url: str | None = None, timeout_s: float = CALL_TIMEOUT_S) -> Api:
    """Return a connection to the engine that DOCKER_HOST or the usual socket names.

    Raises
    ------
    SandboxUnavailableError
        With the two ways on.

    """
    docker = require_sdk()
    try:
        return Api(base_url, timeout_s)
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxUnavailableError(f"the Docker engine does not answer: {_short(error)}") from None


def _short(error: BaseException) -> str:
    text = str(error)
    with suppress(ValueError):
        text = text[: text.index("\n")]
    return text[:300]
