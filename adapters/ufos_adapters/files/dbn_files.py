"""Whether a DBN file is complete: the loader takes a truncated file for a short one and says nothing."""

from pathlib import Path
from typing import BinaryIO, Final

from ufos_nautilus.errors import DataError

ZSTD_MAGIC: Final = 0xFD2FB528
SKIPPABLE_MAGIC: Final = range(0x184D2A50, 0x184D2A60)
DBN_MAGIC: Final = b"DBN"
DBN_PREFIX_BYTES: Final = 8
"""Magic, version and the length of the metadata that follow."""


def check_complete(path: Path) -> None:
    """Check that a ``.dbn`` or ``.dbn.zst`` file ends where its contents end.

    Compressed files are walked block by block without unpacking (RFC 8878, section 3.1.1), others record by record.

    Raises
    ------
    DataError
        The file is empty, truncated or neither of both.

    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start[:3] == DBN_MAGIC:
            complete = _records_end(file, size)
        elif int.from_bytes(start, "little") == ZSTD_MAGIC or int.from_bytes(start, "little") in SKIPPABLE_MAGIC:
            complete = _frames_end(file, size)
        else:
            raise DataError(
                f"{path.name} is no DBN file" if size else f"{path.name} is empty",
                expected="Databento Binary Encoding, plain or zstd-compressed",
                next_step="check the format, or fetch the file again",
            )
    if not complete:
        raise DataError(
            f"{path.name} is truncated or damaged ({size:,} bytes)", next_step="fetch the file again from Databento"
        )


def _records_end(file: BinaryIO, size: int) -> bool:
    prefix = file.read(DBN_PREFIX_BYTES)
    at = DBN_PREFIX_BYTES + int.from_bytes(prefix[4:8], "little")
    while at < size:
        file.seek(at)
        # The first byte of a record is its length in words of 4 bytes.
        words = file.read(1)[0]
        if words == 0:
            return False
        at += 4 * words
    return at == size and len(prefix) == DBN_PREFIX_BYTES


def _frames_end(file: BinaryIO, size: int) -> bool:
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(18)
        if int.from_bytes(head[:4], "little") in SKIPPABLE_MAGIC:
            at += 8 + int.from_bytes(head[4:8], "little")
            continue
        if int.from_bytes(head[:4], "little") != ZSTD_MAGIC or len(head) < 6:
            return False
        descriptor = head[4]
        single = bool(descriptor & 0x20)
        content_size = (int(single), 2, 4, 8)[descriptor >> 6]
        at += 5 + (not single) + (0, 1, 2, 4)[descriptor & 3] + content_size
        at = _blocks_end(file, at, size)
        if at < 0:
            return False
        at += 4 * bool(descriptor & 4)
    return at == size


def _blocks_end(file: BinaryIO, at: int, size: int) -> int:
    """Return where the blocks that start at `at` end; -1 where the file ends before."""
    last = False
    while not last:
        file.seek(at)
        head = file.read(3)
        if len(head) < 3:
            return -1
        word = int.from_bytes(head, "little")
        last, kind, length = bool(word & 1), word >> 1 & 3, word >> 3
        if kind == 3:
            return -1
        at += 3 + (1 if kind == 1 else length)
    return at if at <= size else -1
