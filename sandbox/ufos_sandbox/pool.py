"""A few containers that wait with the engine imported; each is used exactly once."""

import threading
import time
from collections import deque
from contextlib import suppress

from ufos_nautilus.limits import SANDBOX_HEARTBEAT_S
from ufos_sandbox.backend import Backend, Container
from ufos_sandbox.limits import Limits

RETRY_S = 5.0
"""Pause after a failed attempt to make a container ready in advance."""


class Pool:
    """Warm containers.

    Parameters
    ----------
    backend : Backend
        Where containers come from.
    limits : Limits
        Of each container.
    size : int
        How many wait; 0 starts every container when it is needed.

    """

    def __init__(self, backend: Backend, limits: Limits, size: int) -> None:
        self.backend, self.limits, self.size = backend, limits, size
        self.refill_ms: deque[float] = deque(maxlen=100)
        """How long the last containers took to become ready."""
        self._ready: deque[Container] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._working = 0
        self._thread: threading.Thread | None = None
        if size:
            self._thread = threading.Thread(target=self._refill, name="sandbox-pool", daemon=True)
            self._thread.start()

    def acquire(self) -> tuple[Container, bool]:
        """Return a ready container and whether it was warm; it belongs to the caller, who says `release` at its end.

        Raises
        ------
        ImageMissingError, EngineFailedError, StartFailedError, SandboxUnavailableError
            No container can be had.

        """
        with self._changed:
            self._working += 1
        try:
            while True:
                with self._changed:
                    container = self._ready.popleft() if self._ready else None
                    self._changed.notify_all()
                if container is None:
                    return self._start(warm=False), False
                # A warm container has nothing to say; one that has ended says so.
                if not container.stream.readable_now():
                    return container, True
                container.discard()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Hear that a container that was given out has ended."""
        with self._changed:
            self._working -= 1
            self._changed.notify_all()

    def _wanting(self) -> bool:
        """Tell whether to make a container now: not beside a run, whose time it would take, while another waits."""
        return len(self._ready) < self.size and (not self._working or not self._ready)

    def wait_full(self, timeout_s: float) -> bool:
        """Wait until every place is filled; tell whether it was in time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._ready) >= self.size, timeout_s)

    def close(self) -> None:
        """End all waiting containers and make no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=self.limits.ready_s)
        while self._ready:
            self._ready.popleft().discard()

    def _start(self, *, warm: bool) -> Container:
        container = self.backend.start(self.limits, warm=warm)
        try:
            container.wait_ready(time.monotonic() + self.limits.ready_s)
        except BaseException:
            container.discard()
            raise
        return container

    def _refill(self) -> None:
        while True:
            with self._changed:
                wanted = self._changed.wait_for(lambda: self._closed or self._wanting(), SANDBOX_HEARTBEAT_S)
                if self._closed:
                    return
                for container in self._ready:
                    container.stream.sign_of_life()
            if not wanted:
                continue
            container = None
            with suppress(Exception):
                container = self._start(warm=True)
            with self._changed:
                if container is None:
                    self._changed.wait_for(lambda: self._closed, RETRY_S)
                    continue
                self.refill_ms.append(container.start_ms)
                if not self._closed:
                    self._ready.append(container)
                    container = None
                    self._changed.notify_all()
            if container is not None:
                container.discard()
