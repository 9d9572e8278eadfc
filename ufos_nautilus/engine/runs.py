"""The run store: one directory per run, made whole or not at all, found again by its id."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ufos_nautilus.errors import BadInputError, IntegrityError

PACKAGES = ("ufos_nautilus", "ufos_strategies", "ufos_adapters")
RUN_ID_DIGITS = 12
CHECKSUM = "checksum"
REPEAT = "run the spec again: `ufos backtest` with the run's spec.json"


def runs_root() -> Path:
    """Return the directory of stored runs: the environment's UFOS_RUNS, or ``runs`` here."""
    return Path(os.environ.get("UFOS_RUNS", "runs"))


@cache
def code_version() -> str:
    """Return version and a digest over the source of the packages, so that any edit gives another run id."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        found = find_spec(package)
        for root in sorted(found.submodule_search_locations or []) if found else []:
            for path in sorted(Path(root).rglob("*.py")):
                digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{version('ufos-nautilus')}+{digest.hexdigest()[:RUN_ID_DIGITS]}"


def run_id(name: str, spec_digest: str, data_digests: list[str], seed: int) -> str:
    """Return the id of a run: its name and a hash of spec, data, code version and seed."""
    parts = json.dumps([spec_digest, data_digests, code_version(), seed])
    return f"{name}-{hashlib.sha256(parts.encode()).hexdigest()[:RUN_ID_DIGITS]}"


@contextmanager
def new_run_directory(root: Path, identifier: str) -> Iterator[Path]:
    """Give a scratch directory that becomes ``root/identifier`` when the block ends well, and vanishes otherwise."""
    root.mkdir(parents=True, exist_ok=True)
    scratch = root / f".making-{identifier}-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
        final = root / identifier
        old = root / f".old-{identifier}-{os.getpid()}"
        if final.exists():
            final.rename(old)
        scratch.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def find_run(root: Path, text: str) -> Path:
    """Return the directory of the run whose id is, starts with, or ends with `text`; ``last`` is the newest.

    Raises
    ------
    BadInputError
        Where none or several match.

    """
    if (Path(text) / "result.json").exists():
        return Path(text)
    known = list_runs(root)
    if text == "last" and known:
        return known[0]
    matches = [p for p in known if p.name == text] or [p for p in known if p.name.startswith(text) or text in p.name]
    if len(matches) == 1:
        return matches[0]
    came = f"{len(matches)} runs match {text!r}" if matches else f"no run {text!r} in {root}"
    raise BadInputError(came, expected="one run id, a part of one, or `last`", next_step="`ufos runs list`")


def list_runs(root: Path) -> list[Path]:
    """Return run directories, newest first."""
    found = [p.parent for p in root.glob("*/result.json") if not p.parent.name.startswith(".")]
    return sorted(found, key=lambda p: (p / "result.json").stat().st_mtime_ns, reverse=True)


def write_result(directory: Path, summary: dict[str, Any]) -> None:
    """Write the result of a run with a checksum over everything else in it."""
    write_json(directory / "result.json", summary | {CHECKSUM: _checksum(summary)})


def read_result(directory: Path) -> dict[str, Any]:
    """Return the stored result of a run.

    Raises
    ------
    IntegrityError
        Where it is no JSON object any more, or not the one that was written.

    """
    path = directory / "result.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        kept = stored.pop(CHECKSUM, None)
    except (ValueError, AttributeError, TypeError) as error:
        raise IntegrityError(f"{path} can't be read: {error}", next_step=REPEAT) from None
    if kept is not None and kept != _checksum(stored):
        raise IntegrityError(f"{path} is not what was written", expected=f"checksum {kept[:16]}", next_step=REPEAT)
    return stored


def _checksum(summary: dict[str, Any]) -> str:
    text = json.dumps(summary, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON with sorted keys and a final newline."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
