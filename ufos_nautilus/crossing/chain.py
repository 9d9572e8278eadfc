"""Format and reader of a hash-chained file of JSON lines; every edit, insertion, deletion and cut is found."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

import msgspec

from ufos_nautilus.errors import DataError, IntegrityError
from ufos_nautilus.limits import AUDIT_RECORD_BYTES_MAX

VERSION: Final = 1
GENESIS: Final = "0" * 64
"""What the first line names as its predecessor."""
Kind = Literal["header", "record", "seal"]

# A line is {"hash":"<64 hex>","line":<body>} and its newline. The hash covers the body's very bytes, the body names the
# hash of the line before, and the frame is fixed: no byte can change unseen.
_HEAD: Final = b'{"hash":"'
_MIDDLE: Final = b'","line":'
_TAIL: Final = b"}\n"
_HASH_AT: Final = len(_HEAD)
_BODY_AT: Final = _HASH_AT + 64 + len(_MIDDLE)
_LINE_BYTES_MAX: Final = _BODY_AT + AUDIT_RECORD_BYTES_MAX + len(_TAIL)
_HEX: Final = re.compile(rb"[0-9a-f]{64}")


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """The body of one line."""

    kind: Kind
    seq: int
    prev: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seal:
    """How a chain ends: its records (without header and seal) and the hash of its last line."""

    records: int
    head: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a check found; it exists only if the chain holds.

    `torn_bytes` counts the bytes of a last line that a crash cut short; only an unsealed chain can have them.
    """

    path: Path
    schema: str
    run_id: str
    records: int
    head: str
    sealed: bool
    torn_bytes: int


def encode_line(kind: Kind, seq: int, prev: str, data: dict[str, Any]) -> tuple[bytes, str]:
    """Return the bytes of one line and its hash.

    Raises
    ------
    DataError
        If the data is no JSON.

    """
    try:
        body = msgspec.json.encode(Line(kind, seq, prev, data), order="sorted")
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"a record is no JSON: {error}", expected="text, numbers, lists and mappings") from None
    digest = hashlib.sha256(body).hexdigest()
    return b"".join((_HEAD, digest.encode(), _MIDDLE, body, _TAIL)), digest


def check_line(raw: bytes, seq: int, prev: str, path: Path) -> tuple[Line, str]:
    """Return one whole line and its hash.

    Raises
    ------
    IntegrityError
        If it is not, byte for byte, what was written as line `seq` after the line with hash `prev`.

    """
    body, digest = raw[_BODY_AT : -len(_TAIL)], raw[_HASH_AT : _HASH_AT + 64]
    framed = raw.startswith(_HEAD) and raw[_HASH_AT + 64 : _BODY_AT] == _MIDDLE and raw.endswith(_TAIL)
    if not (framed and _HEX.fullmatch(digest)):
        raise broken(path, seq, "is no line of a chain")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise broken(path, seq, "does not match its hash: it was edited")
    try:
        line = msgspec.json.decode(body, type=Line)
    except msgspec.MsgspecError as error:
        raise broken(path, seq, f"is malformed ({error})") from None
    if line.seq != seq or line.prev != prev:
        raise broken(path, seq, f"says it is line {line.seq}: lines were removed, added or moved before it")
    if (line.kind == "header") != (seq == 0):
        raise broken(path, seq, f"is a {line.kind} in the wrong place")
    return line, digest.decode()


def broken(path: Path, seq: int, problem: str) -> IntegrityError:
    """Return the error of line `seq`, counted from 0."""
    return IntegrityError(
        f"{path}, line {seq + 1} {problem}",
        expected="the file as it was written",
        next_step="restore it from a copy and find out who changed it",
    )


def raw_lines(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """Yield lines with their newline; the last may lack it. A line longer than any record is an `IntegrityError`."""
    seq = 0
    while raw := file.readline(_LINE_BYTES_MAX):
        if len(raw) == _LINE_BYTES_MAX and not raw.endswith(b"\n"):
            raise broken(path, seq, f"is longer than {_LINE_BYTES_MAX} bytes")
        yield raw
        seq += 1


class ChainReader:
    """Walks a chain from its first line; iterate it once, then ask for the `report`.

    Parameters
    ----------
    path : Path
        The file.
    need_seal : bool
        Refuse a chain without seal. An unsealed one is what a crash leaves; that its tail was cut can't be seen.
    expect : Seal, optional
        What the chain must end with, kept elsewhere (for example in the run's result). It finds even a file that was
        rewritten as a whole, which no hash inside the file can.

    Raises
    ------
    DataError
        If there is no such file.

    """

    def __init__(self, path: Path, *, need_seal: bool = True, expect: Seal | None = None) -> None:
        if not path.is_file():
            raise DataError(f"there is no file {path}", expected="a hash-chained record")
        self.path, self.need_seal, self.expect = path, need_seal, expect
        self._header: dict[str, Any] = {}
        self._seq, self._head, self._sealed, self._torn = 0, GENESIS, False, 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the data of each record once its line is checked; `IntegrityError` at the first that does not hold."""
        with self.path.open("rb") as file:
            for raw in raw_lines(file, self.path):
                if self._sealed:
                    raise broken(self.path, self._seq, "follows the seal")
                if not raw.endswith(b"\n"):
                    self._torn = len(raw)
                    break
                line, self._head = check_line(raw, self._seq, self._head, self.path)
                self._seq += 1
                if line.kind == "record":
                    yield line.data
                elif line.kind == "header":
                    self._take_header(line.data)
                else:
                    self._take_seal(line.data)
        self._check_end()

    @property
    def report(self) -> ChainReport:
        """Return what was found."""
        records = self._seq - 1 - self._sealed
        schema, run_id = str(self._header["schema"]), str(self._header["run_id"])
        return ChainReport(self.path, schema, run_id, records, self._head, self._sealed, self._torn)

    def _take_header(self, data: dict[str, Any]) -> None:
        if data.get("version") != VERSION or not {"schema", "run_id"} <= data.keys():
            raise broken(self.path, 0, f"is the header of version {data.get('version')!r}, not {VERSION}")
        self._header = data

    def _take_seal(self, data: dict[str, Any]) -> None:
        if data.get("records") != self._seq - 2:
            raise broken(self.path, self._seq - 1, f"seals {data.get('records')} records, not {self._seq - 2}")
        self._sealed = True

    def _check_end(self) -> None:
        if not self._seq:
            raise broken(self.path, 0, "is missing: the header")
        if self._torn and self.need_seal:
            raise broken(self.path, self._seq, "has no end: the file was cut")
        if not self._sealed and self.need_seal:
            raise IntegrityError(
                f"{self.path} has no seal after {self._seq - 1} records: its tail was cut, or the run never ended",
                expected="a seal as the last line",
                next_step="if the run crashed, check what is left with --unsealed",
            )
        report = self.report
        if self.expect is not None and self.expect != Seal(report.records, report.head):
            raise IntegrityError(
                f"{self.path} ends with {report.records} records and head {report.head[:16]}",
                expected=f"{self.expect.records} records and head {self.expect.head[:16]}, as kept with the run",
                next_step="restore it from a copy and find out who changed it",
            )


def verify(path: Path, *, need_seal: bool = True, expect: Seal | None = None) -> ChainReport:
    """Check a whole chain and return what it holds; parameters and errors as for `ChainReader`."""
    reader = ChainReader(path, need_seal=need_seal, expect=expect)
    for _ in reader:
        pass
    return reader.report
