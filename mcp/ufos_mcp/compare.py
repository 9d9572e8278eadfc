"""Stored runs side by side, from their summaries and specs."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from ufos_mcp.envelope import marked
from ufos_mcp.runs import HOST, Runs, read_json, trimmed
from ufos_nautilus.errors import DataError

DIFFERENCES_MAX = 40


def side_by_side(runs: Runs, ids: Sequence[str]) -> dict[str, Any]:
    """Return figures of runs side by side and what differs in their specs.

    Returns
    -------
    dict
        ``runs`` (ids), ``figures`` (name -> values in their order, and last less first where both are numbers) and
        ``spec`` (path -> values) of what differs.

    """
    summaries = [flat(trimmed(runs.summary(i))) for i in ids]
    specs = [_spec(runs, i) for i in ids]
    figures = {}
    for name in dict.fromkeys(n for s in summaries for n in s):
        if name != "run_id":
            values = [s.get(name) for s in summaries]
            figures[name] = {"values": values, "change": _change(values)}
    paths = dict.fromkeys(p for s in specs for p in s)
    differing = {p: [s.get(p) for s in specs] for p in paths if len({str(s.get(p)) for s in specs}) > 1}
    shown = dict(list(differing.items())[:DIFFERENCES_MAX])
    out = {"runs": list(ids), "figures": figures, "spec": shown, "differences": len(differing)}
    foreign = [s["run_id"] for s in summaries if s["label"] != HOST]
    return marked(out, f"among them runs of foreign code in the sandbox: {', '.join(foreign)}") if foreign else out


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return nested data as dotted names."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return {path: value}
    return {k: v for key, inner in items for k, v in flat(inner, f"{path}.{key}" if path else str(key)).items()}


def _spec(runs: Runs, run_id: str) -> dict[str, Any]:
    try:
        return flat(read_json(runs.directory(run_id) / "spec.json"))
    except DataError:
        return {}


def _change(values: Sequence[Any]) -> Any:
    first, last = values[0], values[-1]
    if any(v is None or isinstance(v, bool) for v in (first, last)):
        return None
    try:
        return trimmed(Decimal(str(last)) - Decimal(str(first)))
    except InvalidOperation:
        return None
