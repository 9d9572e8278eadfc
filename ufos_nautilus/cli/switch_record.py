"""The switch's own hash-chained record: who halted and who resumed, whether or not a node ran."""

import time
from typing import Any

from ufos_nautilus.crossing.audit import AuditLog
from ufos_nautilus.risk.switch import SwitchHome

SWITCH_FILE = "switch.jsonl"
SWITCH_SCHEMA = "ufos-switch-1"


def record(home: SwitchHome, what: str, **data: Any) -> None:
    """Write a line, on the disk before this returns; `ufos risk explain FILE` shows them."""
    with AuditLog(home.path / SWITCH_FILE, run_id="switch", schema=SWITCH_SCHEMA, fsync="each") as log:
        log.append({"what": what, "ts_ns": time.time_ns(), **data})
