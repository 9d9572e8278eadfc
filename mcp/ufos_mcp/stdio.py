"""Standard input and output as a transport that no line can flood: longer ones are answered and dropped."""

import asyncio
import fcntl
import json
import logging
import os
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server
from mcp.types import INVALID_REQUEST, PARSE_ERROR, jsonrpc_message_adapter

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import MCP_MESSAGE_BYTES_MAX

log = logging.getLogger(__name__)
CHUNK: Final = 256 * 1024
FILE_BYTES_MAX: Final = 16 * MCP_MESSAGE_BYTES_MAX
"""Size of a plain file as input; it is read before the first answer."""


class Lines:
    """Lines of a descriptor as the SDK reads them: no longer than the limit, and well-formed or answered here.

    Parameters
    ----------
    reader : asyncio.StreamReader
        Where they come from.
    writer : Writer
        Where errors go.
    limit : int
        Bytes of one line.

    """

    def __init__(self, reader: asyncio.StreamReader, writer: "Writer", limit: int = MCP_MESSAGE_BYTES_MAX) -> None:
        self._reader, self._writer, self._limit = reader, writer, limit
        self._buffer = bytearray()
        self._skipping = False

    def __aiter__(self) -> AsyncIterator[str]:
        """Return the lines."""
        return self._lines()

    async def _lines(self) -> AsyncIterator[str]:
        while part := await self._reader.read(CHUNK):
            self._buffer += part
            while (end := self._buffer.find(b"\n")) >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                if self._skipping:
                    self._skipping = False
                elif len(line) > self._limit:
                    await self._refuse()
                elif line.strip() and (text := await self._checked(line)):
                    yield text
            if len(self._buffer) > self._limit:
                if not self._skipping:
                    await self._refuse()
                self._skipping = True
                self._buffer.clear()

    async def _checked(self, line: bytes) -> str:
        """Return a line that can be a message, or answer it and return nothing."""
        text = line.decode("utf-8", "replace")
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            await self._writer.error(PARSE_ERROR, "Parse error")
            return ""
        if isinstance(found, dict) and found.get("jsonrpc") == "2.0" and {"method", "result", "error"} & found.keys():
            try:
                jsonrpc_message_adapter.validate_json(
                    text, by_name=False
                )  # what the SDK can't read it drops in silence
                return text
            except ValueError:
                pass
        identifier = found.get("id") if isinstance(found, dict) else None
        known = identifier if isinstance(identifier, str | int) and not isinstance(identifier, bool) else None
        await self._writer.error(INVALID_REQUEST, "Not one JSON-RPC 2.0 message", known)
        return ""

    async def _refuse(self) -> None:
        await self._writer.error(INVALID_REQUEST, f"Message of more than {self._limit} bytes")


class Writer:
    """Writes lines to a descriptor, one at a time.

    Parameters
    ----------
    stream : asyncio.StreamWriter
        Where they go.

    """

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self._stream = stream
        self._lock = anyio.Lock()

    async def write(self, text: str) -> None:
        """Write text that ends a line."""
        async with self._lock:
            self._stream.write(text.encode("utf-8", "replace"))
            await self._stream.drain()

    async def flush(self) -> None:
        """Do nothing: `write` waits for the other side already."""

    async def error(self, code: int, message: str, identifier: str | int | None = None) -> None:
        """Answer a message that never reaches the server."""
        log.warning("refused a line: %s", message)
        answer = {"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": message}}
        await self.write(json.dumps(answer) + "\n")


async def serve_stdio(server: MCPServer[Any]) -> None:
    """Serve one client on standard input and output until it closes the input."""
    async with _wire() as (lines, writer), stdio_server(lines, writer) as (read, write):  # pyright: ignore[reportArgumentType]
        low = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]  # as the SDK's own `run_stdio_async`
        await low.run(read, write, low.create_initialization_options())


@asynccontextmanager
async def _wire() -> AsyncIterator[tuple[Lines, Writer]]:
    """Take descriptors 0 and 1 for the protocol alone; what others print goes to standard error meanwhile."""
    sys.stdout.flush()
    private_in, private_out = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3) for fd in (0, 1))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    try:
        reader, close_reader = await _reader(private_in)
        writer, close_writer = await _writer(private_out)
        try:
            yield Lines(reader, writer), writer
        finally:
            close_writer()
            close_reader()
    finally:
        for descriptor in (private_in, private_out):  # a terminal is shared with the shell
            os.set_blocking(descriptor, True)
        os.dup2(private_in, 0)
        os.dup2(private_out, 1)


Close = Callable[[], None]


async def _reader(descriptor: int) -> tuple[asyncio.StreamReader, Close]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):  # no event loop waits for a plain file
        if os.fstat(descriptor).st_size > FILE_BYTES_MAX:
            raise SpecError("the input is a large file", expected="a pipe, or a file of a few messages")
        with os.fdopen(descriptor, "rb", closefd=False) as whole:
            while part := await asyncio.to_thread(whole.read, CHUNK):
                reader.feed_data(part)
        reader.feed_eof()
        return reader, lambda: None
    file = os.fdopen(descriptor, "rb", 0, closefd=False)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    return reader, transport.close


async def _writer(descriptor: int) -> tuple[Writer, Close]:
    loop = asyncio.get_running_loop()
    file = os.fdopen(descriptor, "wb", 0, closefd=False)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, file)
    stream = asyncio.StreamWriter(transport, protocol, None, loop)
    return Writer(stream), stream.close
