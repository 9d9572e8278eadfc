"""Writer of hash-chained JSON lines: what it acknowledged survives a killed process, and a torn last line is mended."""

import fcntl
import os
from pathlib import Path
from typing import Any, Literal, Self

from ufos_nautilus.crossing.chain import GENESIS, VERSION, Kind, Seal, check_line, encode_line, raw_lines
from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import AUDIT_RECORD_BYTES_MAX, AUDIT_RECORDS_MAX

FsyncPolicy = Literal["none", "each"] | int
"""``"none"``: what was written survives a crash of the process, not a loss of power; ``"each"``: every record survives
that too; a number: at most so many records are lost then."""


class AuditLog:
    """Writes one chain; a single writer at a time holds the file.

    An `append` that returned is in the hands of the operating system: killing the process loses nothing of it. A line
    cut short by a crash is removed when the file is opened again, and the chain goes on from the last whole line.
    A sealed file takes no more lines.

    Parameters
    ----------
    path : Path
        Created if it does not exist.
    run_id : str
        Run the record belongs to; an existing file must name the same.
    schema : str
        What the records are; an existing file must name the same.
    fsync : FsyncPolicy
        When to force records to the disk.

    Raises
    ------
    IntegrityError
        If an existing chain does not hold.
    DataError
        If the existing file belongs to another run or schema, is sealed, or is open in another writer.

    """

    def __init__(self, path: Path, *, run_id: str, schema: str, fsync: FsyncPolicy = "none") -> None:
        if fsync not in ("none", "each") and not (type(fsync) is int and fsync >= 1):
            raise SpecError(f"fsync is {fsync!r}", expected='"none", "each" or a number of records')
        self.path, self.run_id, self.schema = path, run_id, schema
        self._every = 0 if fsync == "none" else 1 if fsync == "each" else int(fsync)
        self._unsynced = self._seq = self._size = 0
        self._head = GENESIS
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._lock()
            self._resume()
            if not self._seq:
                self._write("header", self._header())
                if self._every:
                    self._sync_folder()
        except BaseException:
            self.close()
            raise

    @property
    def records(self) -> int:
        """Return how many records the chain holds."""
        return self._seq - 1

    @property
    def head(self) -> str:
        """Return the hash of the last line."""
        return self._head

    def append(self, data: dict[str, Any]) -> str:
        """Write one record and return its hash.

        Parameters
        ----------
        data : dict
            JSON data; money as strings.

        Raises
        ------
        LimitExceededError
            If the record or the file is too long; nothing is written then.
        DataError
            If it is no JSON or the file is closed; nothing is written then.
        OSError
            If the disk is full or fails; nothing is left of the record then.

        """
        if self.records >= AUDIT_RECORDS_MAX:
            raise LimitExceededError(f"{self.path} holds {self.records} records", expected="a new file")
        return self._write("record", data)

    def seal(self) -> Seal:
        """Write the last line, which counts the records, force everything to the disk and close the file."""
        records = self.records
        head = self._write("seal", {"records": records})
        os.fsync(self._fd)
        self.close()
        return Seal(records, head)

    def close(self) -> None:
        """Close the file without a seal; it can be opened again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, kind: Kind, data: dict[str, Any]) -> str:
        if self._fd < 0:
            raise DataError(f"{self.path} is closed", expected="an open record")
        line, digest = encode_line(kind, self._seq, self._head, data)
        if len(line) > AUDIT_RECORD_BYTES_MAX:
            raise LimitExceededError(f"a record of {len(line)} bytes", expected=f"at most {AUDIT_RECORD_BYTES_MAX}")
        try:
            written = os.write(self._fd, line)
            if written != len(line):
                raise OSError(f"{self.path}: {written} of {len(line)} bytes written")
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._seq += 1
        self._head = digest
        self._size += len(line)
        self._unsynced += 1
        if self._every and self._unsynced >= self._every:
            os.fsync(self._fd)
            self._unsynced = 0
        return digest

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"{self.path} is open in another writer", expected="one writer at a time") from None

    def _resume(self) -> None:
        """Check what is there, remove a torn last line, and go on after the last whole one."""
        with open(self.path, "rb") as file:
            for raw in raw_lines(file, self.path):
                if not raw.endswith(b"\n"):
                    break
                line, self._head = check_line(raw, self._seq, self._head, self.path)
                if self._seq == 0 and line.data != self._header():
                    raise DataError(
                        f"{self.path} holds {line.data.get('schema')} of run {line.data.get('run_id')}",
                        expected=f"{self.schema} of run {self.run_id}, version {VERSION}",
                    )
                if line.kind == "seal":
                    raise DataError(f"{self.path} is sealed", expected="an unfinished record", next_step="a new file")
                self._seq += 1
                self._size += len(raw)
        if self._size < os.fstat(self._fd).st_size:
            os.ftruncate(self._fd, self._size)
            os.fsync(self._fd)

    def _header(self) -> dict[str, Any]:
        return {"version": VERSION, "schema": self.schema, "run_id": self.run_id}

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
