"""The one value that stops all trading: a byte any thread or process may raise; the gate reads it on every order."""

import mmap
import os
import struct
from pathlib import Path

from ufos_nautilus.errors import DataError
from ufos_nautilus.risk.levels import ACTIVE, HALTED, REDUCING

FLAG_FILE = "flag.bin"
FLAG_BYTES = 32
_CONFIRMED_AT, _BEAT_AT = 8, 16
_TIME = struct.Struct("<q")


class HaltFlag:
    """Active, reducing or halted, without any lock; beside it when a halt was carried out and when the node last ran.

    Kept in a file it is seen by every process that maps the file and survives them all, so that a node which was halted
    when it died is halted when it starts again. Nothing in the library lowers the flag but `lower`, which `ufos resume`
    calls once a person has typed the confirmation.

    Parameters
    ----------
    path : Path, optional
        The file, made with mode 0600 where it is absent; without one the flag lives in this process.

    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.cell: bytearray | mmap.mmap = bytearray(FLAG_BYTES)
        """The bytes themselves; reading ``cell[0]`` is all that the gate does."""
        if path is not None:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(descriptor).st_size < FLAG_BYTES:
                    os.ftruncate(descriptor, FLAG_BYTES)
                self.cell = mmap.mmap(descriptor, FLAG_BYTES)
            finally:
                os.close(descriptor)
            if self.cell[0] > HALTED:
                raise DataError(f"{path} holds {self.cell[0]}", expected="0, 1 or 2", next_step="halt again to mend it")

    @property
    def value(self) -> int:
        """Return `ACTIVE`, `REDUCING` or `HALTED`."""
        return self.cell[0]

    @property
    def halted(self) -> bool:
        """Tell whether orders that add risk are denied."""
        return self.cell[0] != ACTIVE

    @property
    def confirmed_ns(self) -> int:
        """Return when the node had asked for every cancel of the halt in force, UNIX nanoseconds; 0 before that."""
        return self._time(_CONFIRMED_AT)

    @property
    def beat_ns(self) -> int:
        """Return when the node's loop last ran, UNIX nanoseconds; 0 where no node ever did."""
        return self._time(_BEAT_AT)

    def halt(self) -> None:
        """Stop all orders, from any thread or process."""
        if self.cell[0] == ACTIVE:
            self._set(_CONFIRMED_AT, 0)
        self.cell[0] = HALTED

    def reduce(self) -> None:
        """Let orders pass that only reduce, after a halt that is told to flatten; an active flag stays as it is."""
        if self.cell[0] == HALTED:
            self.cell[0] = REDUCING

    def confirm(self, now_ns: int) -> None:
        """Say that every cancel was asked for."""
        self._set(_CONFIRMED_AT, now_ns)

    def beat(self, now_ns: int) -> None:
        """Say that the node's loop runs."""
        self._set(_BEAT_AT, now_ns)

    def lower(self) -> None:
        """Let orders pass again."""
        self.cell[0] = ACTIVE
        self._set(_CONFIRMED_AT, 0)

    def close(self) -> None:
        """Give the file back; the flag keeps its value there."""
        if isinstance(self.cell, mmap.mmap):
            kept = bytearray(self.cell[:])
            self.cell.close()
            self.cell = kept

    def _time(self, at: int) -> int:
        return _TIME.unpack_from(self.cell, at)[0]

    def _set(self, at: int, value: int) -> None:
        _TIME.pack_into(self.cell, at, value)
