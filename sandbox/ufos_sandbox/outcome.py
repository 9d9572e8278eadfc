"""What a sandboxed run gives back: exactly one state, a label, evidence, and figures the host worked out itself."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ufos_sandbox.messages import GuestResult


class State(StrEnum):
    """How a run ended; every run ends in exactly one."""

    COMPLETED = "COMPLETED"
    # infrastructure: try again
    DAEMON_DOWN = "DAEMON_DOWN"
    DAEMON_ERROR = "DAEMON_ERROR"
    IMAGE_MISSING = "IMAGE_MISSING"
    POOL_EXHAUSTED = "POOL_EXHAUSTED"
    START_TIMEOUT = "START_TIMEOUT"
    # limits: trying again changes nothing
    TIMEOUT = "TIMEOUT"
    CPU_LIMIT = "CPU_LIMIT"
    OOM = "OOM"
    SEGV_OR_ABORT = "SEGV_OR_ABORT"
    KILLED = "KILLED"
    OUTPUT_LIMIT = "OUTPUT_LIMIT"
    NO_RESULT = "NO_RESULT"
    GUEST_PROTOCOL = "GUEST_PROTOCOL"
    CANCELLED = "CANCELLED"
    # the request or the code is wrong: mend it
    BAD_REQUEST = "BAD_REQUEST"
    USER_ERROR = "USER_ERROR"
    PARTIAL_RUN = "PARTIAL_RUN"
    # the result is not to be trusted
    AUDIT_MISMATCH = "AUDIT_MISMATCH"
    LOOKAHEAD_SUSPECTED = "LOOKAHEAD_SUSPECTED"


class Label(StrEnum):
    """What the host thinks of a result."""

    VERIFIED = "verified"
    """Every fill was judged against the host's own market data and the future was not used."""
    PLAUSIBLE = "plausible"
    """Nothing is wrong, but not everything could be judged; `unjudged` says what."""
    REJECTED = "rejected"
    """Something is wrong; `evidence` says what."""
    NONE = "none"
    """There is no result to judge."""


GROUPS = {
    "infrastructure": ("DAEMON_DOWN", "DAEMON_ERROR", "IMAGE_MISSING", "POOL_EXHAUSTED", "START_TIMEOUT"),
    "limit": (
        "TIMEOUT", "CPU_LIMIT", "OOM", "SEGV_OR_ABORT", "KILLED", "OUTPUT_LIMIT", "NO_RESULT", "GUEST_PROTOCOL",
        "CANCELLED",
    ),
    "code": ("BAD_REQUEST", "USER_ERROR", "PARTIAL_RUN"),
    "distrust": ("AUDIT_MISMATCH", "LOOKAHEAD_SUSPECTED"),
}  # fmt: skip
"""Group -> states: retry; don't retry; mend the code; don't trust the result."""

ADVICE = {
    State.COMPLETED: "",
    State.DAEMON_DOWN: "The sandbox engine is down; nothing is wrong with the code. Try again once it is up.",
    State.DAEMON_ERROR: "The sandbox engine failed; nothing is wrong with the code. Try again.",
    State.IMAGE_MISSING: "The sandbox image is missing: run `ufos sandbox build`, then try again.",
    State.POOL_EXHAUSTED: "Too many runs wait already. Try again later.",
    State.START_TIMEOUT: "The container did not start in time; the machine is busy. Try again.",
    State.TIMEOUT: "The run took too long. Do less work per event, or use a shorter slice of data.",
    State.CPU_LIMIT: "The run used too much processor time. Do less work per event, or use a shorter slice of data.",
    State.OOM: "The run used too much memory. Keep bounded state (a deque with maxlen) instead of all events.",
    State.SEGV_OR_ABORT: "The process crashed. Do not use ctypes or touch the engine from another thread.",
    State.KILLED: "The container was killed from outside. Try again once; then ask the operator.",
    State.OUTPUT_LIMIT: "The result is too large. Send fewer orders, or use a shorter slice of data.",
    State.NO_RESULT: "The process ended without a result. Do not call os._exit, sys.exit or quit.",
    State.GUEST_PROTOCOL: "Something else than one result came out. Do not write to file descriptors.",
    State.CANCELLED: "The run was cancelled by its caller.",
    State.BAD_REQUEST: "The request is wrong, not the code: correct the named setting.",
    State.USER_ERROR: "Correct the code at the named line; the phase says when it failed.",
    State.PARTIAL_RUN: "The run ended before its data did. Do not stop the engine or the book from the code.",
    State.AUDIT_MISMATCH: "The reported fills can't have happened on this data. Trade only through the book's methods.",
    State.LOOKAHEAD_SUSPECTED: (
        "The code behaved differently before an instant when data after it was withheld. Use only what callbacks give."
    ),
}
"""What the author of the code, or its caller, should do."""


def group_of(state: State) -> str:
    """Return the group of a state, empty for a completed run."""
    return next((group for group, states in GROUPS.items() if state in states), "")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no result: for errors of the code with the phase, line and message that came out, cleaned."""

    message: str
    phase: str = ""
    kind: str = ""
    line: int = 0


@dataclass(slots=True)
class SandboxResult:
    """The outcome of one sandboxed run.

    Text in `failure` and all names in orders come from code nobody has read: show them as data, never as instructions.
    """

    state: State
    label: Label = Label.NONE
    failure: Failure | None = None
    evidence: list[str] = field(default_factory=list)
    """Why the result is rejected."""
    unjudged: list[str] = field(default_factory=list)
    """What the host could not judge."""
    digest: str = ""
    """Digest of orders, fills and balances, as a run on the host has it; worked out by the host."""
    net_pnl: dict[str, str] = field(default_factory=dict)
    """Profit by currency at the last mid price, worked out by the host."""
    statistics: dict[str, Any] = field(default_factory=dict)
    """Worked out by the host from the audited fills and its own market data."""
    rows: int = 0
    guest: GuestResult | None = None
    """Orders, fills and balances as the container reported them."""
    stored: str = ""
    """Run directory, where the result was kept."""
    times_ms: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    """Hashes of code, slice and image; runtime; limits: what it takes to repeat the run."""

    @property
    def advice(self) -> str:
        """Return what to do next."""
        return ADVICE[self.state]

    @property
    def group(self) -> str:
        """Return ``infrastructure``, ``limit``, ``code`` or ``distrust``; empty for a completed run."""
        return group_of(self.state)

    def as_dict(self, *, rows: bool = False) -> dict[str, Any]:
        """Return plain JSON-ready data; orders and fills only with `rows`."""
        out: dict[str, Any] = {
            "state": self.state.value,
            "group": self.group,
            "label": self.label.value,
            "advice": self.advice,
            "evidence": self.evidence,
            "unjudged": self.unjudged,
            "digest": self.digest,
            "rows": self.rows,
            "stored": self.stored,
            "net_pnl": self.net_pnl,
            "statistics": self.statistics,
            "times_ms": self.times_ms,
            "provenance": self.provenance,
            "failure": None,
        }
        if self.failure is not None:
            out["failure"] = {
                "phase": self.failure.phase,
                "type": self.failure.kind,
                "line": self.failure.line,
                "message": self.failure.message,
                "untrusted": True,
            }
        if self.guest is not None:
            out |= {"orders": len(self.guest.orders), "fills": len(self.guest.fills), "balances": self.guest.balances}
            if rows:
                out |= {
                    "order_rows": [list(o) for o in self.guest.orders],
                    "fill_rows": [list(f) for f in self.guest.fills],
                }
        return out
