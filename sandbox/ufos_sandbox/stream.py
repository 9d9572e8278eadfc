"""The host's end of a container's stream: bytes in, messages out, within the limits and before a deadline."""

import select
import socket
import struct
import time
from contextlib import suppress
from typing import Final, Protocol

from ufos_nautilus.limits import SANDBOX_FRAME_BYTES_MAX, SANDBOX_FRAMES_MAX, SANDBOX_OUTPUT_BYTES_MAX
from ufos_sandbox.messages import ProtocolError, decode

LENGTH: Final = struct.Struct(">I")
RECEIVE_BYTES: Final = 1 << 18
SEND_BYTES: Final = 1 << 20
STDERR_KEPT: Final = 2_000
CANCEL_STEP_S: Final = 0.05
"""How often a waiting host looks whether its caller gave up."""


class TooMuchOutputError(Exception):
    """A container wrote more than it may."""


class DeadlineError(Exception):
    """A container did not answer in time."""


class CancelledError(Exception):
    """The caller gave up."""


class StreamEndError(Exception):
    """The container closed its end."""


class Cancel(Protocol):
    """What a caller may pass to stop a run; `threading.Event` is one."""

    def is_set(self) -> bool:
        """Tell whether the run shall stop."""
        ...


class Stream:
    """Messages over one connected socket.

    Parameters
    ----------
    sock : socket.socket
        Connected to the container's standard streams.
    framed : bool
        Whether the engine multiplexes output and errors (Docker does, a plain process does not).

    """

    def __init__(self, sock: socket.socket, *, framed: bool) -> None:
        self.sock, self._framed = sock, framed
        sock.settimeout(None)
        sock.setblocking(False)
        self.errors = b""
        """The start of what came over standard error."""
        self._raw = bytearray()
        self._data = bytearray()
        self._total = self._frames = 0
        self._closed = False
        self._eof = False

    def send(self, parts: list[bytes], deadline: float, cancel: Cancel | None = None) -> None:
        """Send everything before the monotonic `deadline`."""
        for part in parts:
            view = memoryview(part)
            while view:
                self._wait(select.POLLOUT, deadline, cancel)
                try:
                    view = view[self.sock.send(view[:SEND_BYTES]) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise StreamEndError(str(error)) from None

    def receive(self, deadline: float, cancel: Cancel | None = None) -> tuple[str, object]:
        """Return the next message.

        Raises
        ------
        DeadlineError, CancelledError, StreamEndError, TooMuchOutputError, ProtocolError
            Exactly what went wrong.

        """
        body = self._take(deadline, cancel)
        self._frames += 1
        if self._frames > SANDBOX_FRAMES_MAX:
            raise TooMuchOutputError(f"more than {SANDBOX_FRAMES_MAX:,} messages")
        return decode(body)

    def sign_of_life(self) -> None:
        """Tell a waiting container that its host is there; one that is gone is noticed when it is used."""
        with suppress(OSError):
            self.sock.send(LENGTH.pack(0))

    def readable_now(self) -> bool:
        """Tell whether anything, or the end, waits to be read; a warm container has nothing to say."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0)) or bool(self._data)

    def close(self) -> None:
        """Shut both directions: an engine whose stream nobody drains can't kill its container otherwise."""
        if not self._closed:
            self._closed = True
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
            with suppress(OSError):
                self.sock.close()

    # details

    def _take(self, deadline: float, cancel: Cancel | None) -> bytes:
        while len(self._data) < LENGTH.size:
            self._fill(deadline, cancel)
        size = LENGTH.unpack_from(self._data)[0]
        if size > SANDBOX_FRAME_BYTES_MAX:
            raise TooMuchOutputError(f"a message of {size:,} bytes")
        end = LENGTH.size + size
        while len(self._data) < end:
            self._fill(deadline, cancel)
        body = bytes(self._data[LENGTH.size : end])
        del self._data[:end]
        return body

    def _fill(self, deadline: float, cancel: Cancel | None) -> None:
        if self._eof:
            raise StreamEndError
        self._wait(select.POLLIN, deadline, cancel)
        try:
            part = self.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise StreamEndError(str(error)) from None
        if not part:
            self._eof = True
            raise StreamEndError
        self._total += len(part)
        if self._total > SANDBOX_OUTPUT_BYTES_MAX:
            raise TooMuchOutputError(f"more than {SANDBOX_OUTPUT_BYTES_MAX:,} bytes")
        if not self._framed:
            self._data += part
            return
        self._raw += part
        self._unpack()

    def _unpack(self) -> None:
        """Split the engine's own frames: stream number, three zeros, length, content."""
        at, raw = 0, self._raw
        while len(raw) - at >= 8:
            kind, size = raw[at], int.from_bytes(raw[at + 4 : at + 8], "big")
            if len(raw) - at - 8 < size:
                break
            content = raw[at + 8 : at + 8 + size]
            if kind == 1:
                self._data += content
            elif kind == 2:
                self.errors = (self.errors + bytes(content))[:STDERR_KEPT]
            else:
                raise ProtocolError(f"stream number {kind}")
            at += 8 + size
        del raw[:at]

    def _wait(self, event: int, deadline: float, cancel: Cancel | None) -> None:
        poll = select.poll()
        poll.register(self.sock, event)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise DeadlineError
            if cancel is not None and cancel.is_set():
                raise CancelledError
            if poll.poll(min(left, CANCEL_STEP_S if cancel is not None else left) * 1e3):
                return
