"""Lines of a raw Binance recording: `<receive time, 19 digits> <JSON>`, decoded into typed messages."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from ufos_nautilus.errors import DataError, LimitExceededError
from ufos_nautilus.limits import RAW_LINE_BYTES_MAX

Levels = list[tuple[str, str]]
"""Price and quantity as the exchange wrote them."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_STAMP_DIGITS: Final = 19
_DEPTH_STREAM: Final = re.compile(rb"depth(@\d+ms)?")
_STREAM_SEARCH_BYTES: Final = 160


class Depth(msgspec.Struct, gc=False):
    """A depth update; `pu` is -1 on spot, `T` is 0 there."""

    E: int
    s: str
    U: int
    u: int
    b: Levels
    a: Levels
    T: int = 0
    pu: int = -1
    ps: str = ""


class Trade(msgspec.Struct, gc=False):
    """A trade; `X` is there on futures only."""

    s: str
    t: int
    p: str
    q: str
    m: bool
    E: int = 0
    T: int = 0
    X: str = ""


class Ticker(msgspec.Struct, gc=False):
    """The best bid and ask; spot has no times."""

    u: int
    s: str
    b: str
    B: str
    a: str
    A: str
    E: int = 0
    T: int = 0
    ps: str = ""


class Snapshot(msgspec.Struct, gc=False):
    """A REST depth snapshot; spot has no times."""

    lastUpdateId: int
    bids: Levels
    asks: Levels
    E: int = 0
    T: int = 0


class _DepthLine(msgspec.Struct, gc=False):
    data: Depth


class _TradeLine(msgspec.Struct, gc=False):
    data: Trade


class _TickerLine(msgspec.Struct, gc=False):
    data: Ticker


class _AnyLine(msgspec.Struct, gc=False):
    stream: str = ""
    lastUpdateId: int = -1


_decode_depth = msgspec.json.Decoder(_DepthLine).decode
_decode_trade = msgspec.json.Decoder(_TradeLine).decode
_decode_ticker = msgspec.json.Decoder(_TickerLine).decode
_decode_snapshot = msgspec.json.Decoder(Snapshot).decode
_decode_any = msgspec.json.Decoder(_AnyLine).decode

Message = Depth | Trade | Ticker | Snapshot | None
Line = tuple[int, int, Message]
"""Line number, receive time in UNIX nanoseconds, and the message; None for streams that are not imported."""


def order_by_time(paths: Sequence[Path]) -> list[Path]:
    """Return the files of one recording in the order of their first receive times.

    Raises
    ------
    DataError
        A file is unreadable, empty or starts with something else than a receive time.

    """
    if not paths:
        raise DataError("no files given", expected="one or more files of one recording")
    return sorted(paths, key=lambda path: next(raw_lines(path))[1])


def raw_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield line number, receive time (ns) and JSON bytes of every line of a gzip or plain file.

    Raises
    ------
    DataError
        The file is empty, a truncated gzip, or a line does not begin with a receive time; with file and line number.
    LimitExceededError
        A line is longer than `limits.RAW_LINE_BYTES_MAX`.

    """
    number = 0
    try:
        with path.open("rb") as probe:
            packed = probe.read(2) == _GZIP_MAGIC
        # The outer buffer makes `readline` a call into C for packed files too.
        opened = io.BufferedReader(gzip.GzipFile(path)) if packed else path.open("rb")  # type: ignore[arg-type]
        with opened as file:
            readline = file.readline
            while line := readline(RAW_LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > RAW_LINE_BYTES_MAX:
                    raise LimitExceededError(
                        f"{path.name} line {number} is longer than {RAW_LINE_BYTES_MAX:,} bytes",
                        expected="one message a line",
                        next_step="check that the file is a binance-raw recording",
                    )
                stamp = line[:_STAMP_DIGITS]
                if line[_STAMP_DIGITS : _STAMP_DIGITS + 1] != b" " or not stamp.isdigit():
                    if not line.strip():
                        continue
                    raise bad_line(path, number, f"it begins with {line[:40]!r}")
                yield number, int(stamp), line[_STAMP_DIGITS + 1 :]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path.name} is a truncated or damaged gzip file: {error} (after line {number})",
            expected="a complete file",
            next_step="fetch or record the file again",
        ) from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}", expected="a readable file") from error
    if number == 0:
        raise DataError(f"{path.name} is empty", expected="a recording", next_step="fetch or record the file again")


def bad_line(path: Path, number: int, reason: str) -> DataError:
    """Return the error for a line that is no message."""
    return DataError(
        f"{path.name} line {number} is no line of a binance-raw recording: {reason}",
        expected='<receive time, 19 digits> {"stream": ..., "data": ...} or a depth snapshot',
        next_step="check the format given to `ufos data import`, or remove the line",
    )


def lines(path: Path) -> Iterator[Line]:
    """Yield the decoded lines of one file.

    Raises
    ------
    DataError, LimitExceededError
        See `raw_lines`; also where the JSON is not what its stream says.

    """
    kinds: dict[bytes, str] = {}
    number = 0
    try:
        for number, received_ns, body in raw_lines(path):
            # The stream's name comes first on the wire; finding it costs less than decoding it.
            at = body.find(b"@", 0, _STREAM_SEARCH_BYTES)
            name = body[at + 1 : body.find(b'"', at)] if at > 0 else b""
            kind = kinds.get(name) or _kind_of(name, body, kinds)
            if kind == "ticker":
                yield number, received_ns, _decode_ticker(body).data
            elif kind == "depth":
                yield number, received_ns, _decode_depth(body).data
            elif kind == "trade":
                yield number, received_ns, _decode_trade(body).data
            elif kind == "snapshot":
                yield number, received_ns, _decode_snapshot(body)
            else:
                yield number, received_ns, None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise bad_line(path, number, str(error)) from error


def _kind_of(name: bytes, body: bytes, kinds: dict[bytes, str]) -> str:
    stream = name
    if not name:
        line = _decode_any(body)
        if line.lastUpdateId >= 0:
            return "snapshot"
        stream = line.stream.partition("@")[2].encode()
    kind = {b"trade": "trade", b"bookTicker": "ticker"}.get(stream, "other")
    if _DEPTH_STREAM.fullmatch(stream):
        kind = "depth"
    if name:
        kinds[name] = kind
    return kind


def locate(paths: Sequence[Path], text: str) -> DataError:
    """Return the error for a price or size that is no number, with its line."""
    quoted = f'"{text}"'.encode()
    for path in paths:
        for number, _, body in raw_lines(path):
            if quoted in body:
                return bad_line(path, number, f"{text!r} is no price or size")
    return DataError(f"{text!r} is no price or size", expected="a decimal number of zero or more")


def locate_off_grid(paths: Sequence[Path], text: str) -> DataError:
    """Return the error for a price off the tick grid, with its line."""
    pattern = re.compile(rb'"' + re.escape(text).encode() + rb'0*"')
    problem = f"price {text} is off the tick grid of all others"
    step = "mend the line, or give the tick size with --tick"
    for path in paths:
        for number, _, body in raw_lines(path):
            if pattern.search(body):
                return DataError(f"{path.name} line {number}: {problem}", expected="one grid", next_step=step)
    return DataError(problem, expected="one grid", next_step=step)
