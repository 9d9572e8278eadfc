"""The engine's statistics, and how to run the same again."""

import json
import shlex
from typing import Any

from ufos_nautilus.report.parts import Code, Note, Part, Section, amount, decimal_or_none, table
from ufos_nautilus.report.tables import RunTables

_GROUPS = {"pnl": "P&L", "pnls": "P&L", "returns": "Returns", "general": "General"}
"""NautilusTrader's groups of statistics, in words."""


def statistics_section(tables: RunTables) -> Section:
    """Return the statistics NautilusTrader computed, a table per group."""
    statistics = tables.result.get("statistics") or {}
    groups: dict[str, list[tuple[str, str]]] = {}
    for path, value in _leaves(statistics):
        groups.setdefault(", ".join((_GROUPS.get(path[0], path[0]), *path[1:-1]) if path[1:] else ()), []).append(
            (path[-1], _shown(value))
        )
    parts: list[Part] = []
    for group, rows in groups.items():
        parts += table(group or "Statistics", ("Statistic", "Value"), rows, text=("Statistic",))
    if not parts:
        parts = [Note("The run stored no statistics.", "empty")]
    balances = [
        (account, currency, amount(decimal_or_none(value)))
        for account, held in sorted((tables.result.get("final_balances") or {}).items())
        for currency, value in sorted(held.items())
    ]
    if balances:
        parts += table("Final balances", ("Account", "Currency", "Balance"), balances, ("Account", "Currency"))
    return Section("statistics", "Statistics", "As NautilusTrader computes them.", tuple(parts))


def _leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, str(key)))]
    return [(path or ("value",), value)]


def _shown(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "n/a" if value is None else str(value)
    if value != value:
        return "n/a"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def repeat_section(tables: RunTables) -> Section:
    """Return the commands that repeat the run, and all that decides its outcome."""
    result = tables.result
    run_id = shlex.quote(tables.run_id)
    commands = [str(result["command"])] if result.get("command") else []
    commands += [f"uv run ufos runs replay {run_id}", f"uv run ufos runs show {run_id}"]
    data = ", ".join(str(d) for d in result.get("data") or []) or "none stored"
    rows = [
        ("Spec digest", str(result.get("spec_digest") or "n/a")),
        ("Data digests", data),
        ("Code version", str(result.get("code_version") or "n/a")),
        ("Seed", str(result.get("seed", "n/a"))),
        ("Result digest", str(result.get("digest") or "n/a")),
    ]
    parts: list[Part] = [
        Code("\n".join(commands)),
        *table("What decides the outcome", ("What", "Value"), rows, ("What", "Value")),
    ]
    if tables.spec:
        parts.append(Code(json.dumps(tables.spec, indent=2, ensure_ascii=False), summary="The run spec"))
    lead = "The same spec, data, code and seed give the same digest."
    return Section("repeat", "Repeat this run", lead, tuple(parts))
