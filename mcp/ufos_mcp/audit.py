"""The record of all calls: one hash-chained file for each server process, sealed when it ends in order."""

import hashlib
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ufos_nautilus.crossing.audit import AuditLog
from ufos_nautilus.limits import MCP_AUDIT_ARGUMENT_CHARS_MAX

SCHEMA: Final = "ufos.mcp.calls"


class Trail:
    """Writes the calls of one server process.

    Parameters
    ----------
    folder : Path
        Made where it is not there yet, for this user alone.
    surface : str
        Digest of what the server offers, written into the first record.

    """

    def __init__(self, folder: Path, surface: str) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        identifier = f"{stamp}-{os.getpid()}-{secrets.token_hex(3)}"
        self._log = AuditLog(folder / f"calls-{identifier}.jsonl", run_id=identifier, schema=SCHEMA)
        self._log.append({"event": "start", "at": now(), "surface": surface})

    @property
    def path(self) -> Path:
        """Return the file."""
        return self._log.path

    @property
    def head(self) -> str:
        """Return the hash of the last line."""
        return self._log.head

    def write(self, event: str, **facts: Any) -> None:
        """Write one record; it is on its way to the disk when this returns."""
        self._log.append({"event": event, "at": now(), **facts})

    def close(self) -> None:
        """Seal the record."""
        self._log.append({"event": "stop", "at": now()})
        self._log.seal()


def now() -> str:
    """Return the time as records have it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def described(arguments: Any) -> dict[str, str]:
    """Return arguments as the record keeps them: their beginning, and a hash over all of them."""
    text = json.dumps(arguments, sort_keys=True, separators=(",", ":"), default=str)
    return {
        "arguments": text[:MCP_AUDIT_ARGUMENT_CHARS_MAX],
        "sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
    }
