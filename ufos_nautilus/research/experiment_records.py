"""What the experiment store keeps: trials, tool calls, and the checks on what comes in."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal, get_args

from ufos_nautilus import limits
from ufos_nautilus.errors import BadInputError, LimitExceededError

InsightKind = Literal["pattern", "success", "failure", "hypothesis", "technique"]
INSIGHT_KINDS: Final[tuple[str, ...]] = get_args(InsightKind)
TextKind = Literal["insight", "experiment", "run", "strategy"]
FAILED: Final = ("error", "rejected", "losing", "idle")
"""Verdicts of runs that taught what does not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One trial to be counted.

    Parameters
    ----------
    run_id : str
        Of the stored run; empty where none was stored.
    kind : str
        ``"spec"``, ``"code"`` or ``"sweep"``.
    strategy : str
        Name of the strategy, or a digest of the code.
    params, data, metrics : dict
        Plain JSON data; money as text.
    verdict : str
        See `verdict_of`.
    error : str
        Why it failed.
    elapsed_s : float
        Wall time.

    """

    run_id: str = ""
    kind: str
    strategy: str
    params: dict[str, Any]
    data: dict[str, Any]
    metrics: dict[str, Any]
    verdict: str
    error: str = ""
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool."""

    request: str
    user: str
    tool: str
    outcome: str
    duration_ms: float
    experiment: str = ""


def verdict_of(status: str, net_pnl: dict[str, str], fills: int, label: str = "") -> str:
    """Return ``winning``, ``losing``, ``idle`` (no fills), ``rejected`` or ``error`` for a run's outcome."""
    if label == "rejected":
        return "rejected"
    if status != "completed":
        return "error"
    if not fills:
        return "idle"
    amounts = [Decimal(v) for v in net_pnl.values()]
    return "winning" if amounts and min(amounts) >= 0 and max(amounts) > 0 else "losing"


def experiment_id(hypothesis: str, model: str) -> str:
    """Return the id of a hypothesis: the same words (whatever their case and spacing) by the same model."""
    text = " ".join(hypothesis.casefold().split())
    return hashlib.sha256(f"{text}\0{model}".encode()).hexdigest()[:12]


def now() -> str:
    """Return the time as it is stored."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def checked_text(text: str, what: str) -> str:
    """Return stripped text; `BadInputError` where it is empty, `LimitExceededError` where it is too long."""
    text = text.strip()
    if not text:
        raise BadInputError(f"the {what} is empty", expected="a sentence")
    if len(text) > limits.EXPERIMENT_TEXT_CHARS_MAX:
        raise LimitExceededError(
            f"the {what} has {len(text):,} characters", expected=f"at most {limits.EXPERIMENT_TEXT_CHARS_MAX:,}"
        )
    return text


def checked_tags(tags: Sequence[str]) -> list[str]:
    """Return tags in lower case, each once; `LimitExceededError` for too many or too long ones."""
    cleaned = list(dict.fromkeys(t.strip().casefold() for t in tags if t.strip()))
    if len(cleaned) > limits.EXPERIMENT_TAGS_MAX or any(len(t) > limits.EXPERIMENT_TAG_CHARS_MAX for t in cleaned):
        raise LimitExceededError(
            f"{len(cleaned)} tags",
            expected=f"at most {limits.EXPERIMENT_TAGS_MAX} of {limits.EXPERIMENT_TAG_CHARS_MAX} characters each",
        )
    return cleaned


def checked_json(value: dict[str, Any], what: str) -> str:
    """Return canonical JSON; `LimitExceededError` where it is too long."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str, allow_nan=False)
    if len(text) > limits.EXPERIMENT_JSON_BYTES_MAX:
        raise LimitExceededError(
            f"the {what} have {len(text):,} bytes", expected=f"at most {limits.EXPERIMENT_JSON_BYTES_MAX:,}"
        )
    return text
