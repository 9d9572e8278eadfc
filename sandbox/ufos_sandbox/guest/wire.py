"""Length-prefixed messages over two file descriptors: four bytes of length, then JSON."""

import json
import os
import select
import struct
from typing import Any, Final

PROTOCOL: Final = 1
"""Version both ends must speak."""
LENGTH: Final = struct.Struct(">I")
REQUEST_BYTES_MAX: Final = 4 * 1024 * 1024
"""Size of a request's JSON, as the guest accepts it."""
CHUNK: Final = 1 << 20


class HostGoneError(Exception):
    """The host closed its end."""


def encode(message: dict[str, Any]) -> bytes:
    """Return a message with its length in front; not-a-number is refused."""
    body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
    return LENGTH.pack(len(body)) + body


def write_all(fd: int, data: bytes) -> None:
    """Write everything, in as many system calls as it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[:CHUNK]) :]


def read_exactly(fd: int, size: int) -> bytes:
    """Return `size` bytes, or raise `HostGoneError` where the stream ends before."""
    parts = []
    while size:
        part = os.read(fd, min(size, CHUNK))
        if not part:
            raise HostGoneError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_message(fd: int, silence_s: float) -> dict[str, Any]:
    """Return the next message of the host; a length of zero is a sign of life.

    Raises
    ------
    HostGoneError
        The stream ended, or nothing came for `silence_s` seconds.

    """
    size = 0
    while not size:
        if not select.select([fd], [], [], silence_s)[0]:
            raise HostGoneError
        size = LENGTH.unpack(read_exactly(fd, LENGTH.size))[0]
    if size > REQUEST_BYTES_MAX:
        raise ValueError(f"a request of {size} bytes")
    message = json.loads(read_exactly(fd, size))
    if not isinstance(message, dict):
        raise ValueError("a request that is no object")
    return message


def copy_to_file(fd: int, path: str, size: int) -> None:
    """Write the next `size` raw bytes of the stream to a new file."""
    with open(path, "xb", buffering=0) as file:
        while size:
            part = os.read(fd, min(size, CHUNK))
            if not part:
                raise HostGoneError
            write_all(file.fileno(), part)
            size -= len(part)
