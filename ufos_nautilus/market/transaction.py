"""All or nothing for a catalog: a lock, a staging directory and a journal that undoes an interrupted import."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from ufos_nautilus.errors import DataError
from ufos_nautilus.limits import CATALOG_LOCK_WAIT_S
from ufos_nautilus.market.manifest import (
    TEMPORARY_SUFFIX,
    Dataset,
    Manifest,
    read_manifest,
    sync_directory,
    write_durably,
    write_manifest,
)

STAGING_PREFIX: Final = ".staging-"
_LOCK: Final = Path("ufos") / "lock"
_JOURNAL: Final = Path("ufos") / "journal.json"
_LOCK_POLL_S: Final = 0.05


class _Journal(msgspec.Struct, frozen=True):
    """What a commit is about to add, written before the first file moves; paths are relative to the catalog."""

    dataset_id: str
    files: tuple[str, ...]
    directories: tuple[str, ...]


@contextmanager
def locked(root: Path, wait_s: float = CATALOG_LOCK_WAIT_S) -> Iterator[None]:
    """Hold the catalog's lock; the system frees it when the process ends, however it ends.

    Raises
    ------
    DataError
        Another process held it for longer than `wait_s`.

    """
    deadline = time.monotonic() + wait_s
    while (descriptor := _try_lock(root / _LOCK)) is None:
        if time.monotonic() >= deadline:
            raise DataError(
                f"another import into {root} is running",
                expected=f"the catalog to be free within {wait_s:g} s",
                next_step="wait for it to end, then run the command again",
            )
        time.sleep(_LOCK_POLL_S)
    try:
        yield
    finally:
        os.close(descriptor)


def _try_lock(path: Path) -> int | None:
    """Open and lock the file; None where another process holds it or has just removed it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def recover(root: Path) -> None:
    """Remove what an interrupted import left; does nothing while another process is importing."""
    if not (root / _JOURNAL).exists() and not any(_leftovers(root)):
        return
    try:
        with locked(root, wait_s=0.0):
            roll_back(root)
    except DataError:
        # The leftovers belong to an import that is alive; the manifest does not name them yet.
        return


def _leftovers(root: Path) -> Iterator[Path]:
    yield from root.glob(f"{STAGING_PREFIX}*")
    yield from (root / "ufos").glob(f".*{TEMPORARY_SUFFIX}")


def roll_back(root: Path) -> None:
    """Undo an import that did not reach its manifest, and clear its staging directory; needs the lock."""
    journal_path = root / _JOURNAL
    if journal_path.exists():
        journal = msgspec.json.decode(journal_path.read_bytes(), type=_Journal)
        if read_manifest(root).dataset(journal.dataset_id) is None:
            for name in journal.files:
                (root / name).unlink(missing_ok=True)
            for name in reversed(journal.directories):
                with suppress(OSError):  # absent, or not empty: then something else is in it
                    (root / name).rmdir()
    for leftover in _leftovers(root):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    # Last: as long as it stands, the next open starts over.
    journal_path.unlink(missing_ok=True)


def commit(root: Path, staging: Path, manifest: Manifest, dataset: Dataset) -> None:
    """Move every staged file into the catalog and add `dataset` to its manifest; needs the lock.

    The journal is written first, the manifest last: whatever is interrupted in between is undone by `roll_back`.

    Raises
    ------
    DataError
        A file of that name is already there.

    """
    staged = sorted(p for p in staging.rglob("*") if p.is_file())
    names = [p.relative_to(staging) for p in staged]
    for name in names:
        if (root / name).exists():
            raise DataError(f"{root / name} exists", expected="no file the manifest does not name")
    directories = sorted({d for n in names for d in n.parents if d != Path() and not (root / d).exists()})
    for path in staged:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    journal = _Journal(dataset.id, tuple(map(str, names)), tuple(map(str, directories)))
    write_durably(root / _JOURNAL, msgspec.json.encode(journal))
    for directory in directories:
        (root / directory).mkdir()
    for path, name in zip(staged, names, strict=True):
        path.rename(root / name)
    for directory in {n.parent for n in names}:
        sync_directory(root / directory)
    write_manifest(root, Manifest(datasets=(*manifest.datasets, dataset)))
    roll_back(root)
