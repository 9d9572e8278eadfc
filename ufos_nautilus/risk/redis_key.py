"""Watches one key of Redis with the three commands that takes: AUTH, SELECT and GET.

The client library is no base dependency, and the engine's own Redis support feeds its message bus and cache and can't
ask for a key; a kill switch should need little more than a socket anyway.
"""

import contextlib
import re
import socket
from urllib.parse import unquote, urlsplit

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import REDIS_REPLY_BYTES_MAX

HALT_KEY = "SYSTEM_HALT"
DEFAULT_PORT = 6379
OFF = (b"", b"0", b"false")
"""Values of the key that ask for nothing."""


def encode(*words: str) -> bytes:
    """Return a command in Redis' protocol (RESP 2)."""
    raw = [w.encode() for w in words]
    return b"".join((b"*%d\r\n" % len(raw), *(b"$%d\r\n%s\r\n" % (len(w), w) for w in raw)))


def decode(buffer: bytes) -> tuple[bytes | Exception | None, int] | None:
    """Return a reply (bytes, None for no value, or an error) and its length; None while it is not complete.

    Raises
    ------
    DataError
        If it is no reply to a command this module sends.

    """
    line, found, rest = buffer.partition(b"\r\n")
    if not found:
        return None
    kind, value = line[:1], line[1:]
    if kind in (b"+", b":"):
        return value, len(line) + 2
    if kind == b"-":
        return DataError(f"Redis says {value.decode(errors='replace')}"), len(line) + 2
    if kind != b"$" or not re.fullmatch(rb"-1|[0-9]{1,9}", value):
        raise DataError(f"Redis answered {buffer[:40]!r}", expected="a reply to GET")
    length = int(value)
    if length < 0:
        return None, len(line) + 2
    if len(rest) < length + 2:
        return None
    return rest[:length], len(line) + length + 4


class RedisKey:
    """One key of a Redis server, asked for again and again without waiting.

    Parameters
    ----------
    url : str
        ``redis://[[user]:password@]host[:port][/database]``.
    key : str
        Its name.

    """

    def __init__(self, url: str, key: str = HALT_KEY) -> None:
        parts = urlsplit(url)
        if parts.scheme != "redis" or not parts.hostname or not re.fullmatch(r"/?[0-9]*", parts.path):
            raise SpecError(f"{url!r} is no Redis address", expected="redis://[:password@]host[:port][/database]")
        self._address = (parts.hostname, parts.port or DEFAULT_PORT)
        self._greeting: list[tuple[str, ...]] = []
        if parts.password:
            user = (unquote(parts.username),) if parts.username else ()
            self._greeting.append(("AUTH", *user, unquote(parts.password)))
        if parts.path.strip("/"):
            self._greeting.append(("SELECT", parts.path.strip("/")))
        self._question = encode("GET", key)
        self._waiting = 0
        self._buffer = b""
        self.socket: socket.socket | None = None

    def connect(self, timeout_s: float = 0.2) -> None:
        """Connect and say who asks.

        Raises
        ------
        OSError
            If the server can't be reached.

        """
        self.close()
        made = socket.create_connection(self._address, timeout_s)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.sendall(b"".join(encode(*words) for words in self._greeting))
        made.setblocking(False)
        self.socket, self._waiting = made, len(self._greeting)

    def ask(self) -> None:
        """Ask for the key's value unless an answer is due."""
        if self.socket is not None and not self._waiting:
            self.socket.sendall(self._question)
            self._waiting = 1

    def read(self) -> bytes | None:
        """Take what has arrived and return the value where the key asks for a halt.

        Raises
        ------
        OSError, DataError
            If the connection is lost or the server refuses.

        """
        if self.socket is None:
            return None
        chunk = self.socket.recv(4096)
        if not chunk:
            raise ConnectionResetError("Redis closed the connection")
        self._buffer += chunk
        if len(self._buffer) > REDIS_REPLY_BYTES_MAX:
            raise DataError(f"Redis sent {len(self._buffer)} bytes", expected=f"at most {REDIS_REPLY_BYTES_MAX}")
        asks = None
        while (found := decode(self._buffer)) is not None:
            value, length = found
            self._buffer = self._buffer[length:]
            self._waiting -= 1
            if isinstance(value, Exception):
                raise value
            if value is not None and value != b"OK" and value.lower() not in OFF:
                asks = value
        return asks

    def close(self) -> None:
        """Close the connection."""
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.close()
        self.socket, self._buffer, self._waiting = None, b"", 0
