"""Removes containers that nobody will: past their deadline, or of a host process that is gone."""

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from ufos_sandbox.backend import Backend, Container, boot_id, owner, owner_lives
from ufos_sandbox.engine_api import DEADLINE_LABEL, OWNER_LABEL, Api

GONE_AFTER_S = 3.0
"""A container that ended by itself is removed by the engine; one still there after this is removed by the host."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """One container that was removed."""

    id: str
    why: str


def reap(api: Api, *, everything: bool = False) -> list[Reaped]:
    """Remove the product's containers that are past their deadline, ended, or without an owner.

    Parameters
    ----------
    api : Api
        Connection to the engine.
    everything : bool
        Remove also those of living owners other than this process.

    """
    out = []
    for container in api.own_containers():
        why = why_remove(container.get("Labels") or {}, container.get("State", ""), everything)
        if why and api.remove_container(container["Id"]):
            out.append(Reaped(container["Id"][:12], why))
    return out


def why_remove(labels: dict[str, str], state: str, everything: bool = False) -> str:
    """Return why a container with these labels, in this state, is to be removed; empty where it is not."""
    deadline, owned_by = labels.get(DEADLINE_LABEL, "0"), labels.get(OWNER_LABEL, "")
    if not owned_by:
        return ""  # somebody made it from the product's image for a purpose of their own
    if time.time() > float(deadline if deadline.isdigit() else 0):
        return "past its deadline"
    # The processes of another machine or another boot can't be seen from here; their deadlines can.
    if owned_by.startswith(f"{boot_id()}:") and not owner_lives(owned_by):
        return "its owner is gone"
    if state in ("exited", "dead"):
        return "ended and not removed"
    return "asked for" if everything and owned_by != owner() else ""


class Janitor:
    """Takes used containers away behind the caller's back, and makes sure that they are gone.

    Parameters
    ----------
    backend : Backend
        Whose containers they are.

    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._waiting: deque[tuple[float, str]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._busy = False
        self._thread: threading.Thread | None = None

    def dispose(self, container: Container, ended: bool) -> None:
        """Close the stream now; remove the container soon, at once where it did not end by itself."""
        container.stream.close()
        due = time.monotonic() + (GONE_AFTER_S if ended else 0.0)
        with self._changed:
            if ended:
                self._waiting.append((due, container.id))
            else:
                self._waiting.appendleft((due, container.id))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="sandbox-janitor", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self, timeout_s: float = 10.0) -> None:
        """Remove all that wait, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is left to remove; tell whether it was in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                while not self._waiting:
                    if self._closed:
                        return
                    self._changed.wait()
                due, container_id = self._waiting[0]
                left = due - time.monotonic()
                if left > 0 and not self._closed:
                    self._changed.wait(left)
                    continue
                self._waiting.popleft()
                self._busy = True
            with suppress(Exception):
                self._backend.remove(container_id)
