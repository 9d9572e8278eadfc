"""The one value that stops all trading: a byte any thread or process may raise; the gate reads it on every order."""

import mmap
import os
from pathlib import Path

from ufos_nautilus.errors import DataError
from ufos_nautilus.risk.levels import ACTIVE, HALTED, REDUCING

FLAG_FILE = "flag.bin"


class HaltFlag:
    """Active, reducing or halted, without any lock.

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
        self.cell: bytearray | mmap.mmap = bytearray(1)
        """The byte itself; reading ``cell[0]`` is all that the gate does."""
        if path is not None:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(descriptor).st_size == 0:
                    os.write(descriptor, b"\0")
                self.cell = mmap.mmap(descriptor, 1)
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

    def halt(self) -> None:
        """Stop all orders, from any thread."""
        self.cell[0] = HALTED

    def reduce(self) -> None:
        """Let orders pass that only reduce, after a halt that is told to flatten; an active flag stays as it is."""
        if self.cell[0] == HALTED:
            self.cell[0] = REDUCING

    def lower(self) -> None:
        """Let orders pass again."""
        self.cell[0] = ACTIVE

    def close(self) -> None:
        """Give the file back; the flag keeps its value there."""
        if isinstance(self.cell, mmap.mmap):
            value = self.cell[0]
            self.cell.close()
            self.cell = bytearray((value,))
