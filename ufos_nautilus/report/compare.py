"""Stored runs side by side, figure by figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from ufos_nautilus import limits
from ufos_nautilus.errors import LimitExceededError
from ufos_nautilus.report.measures import (
    equity_by_currency,
    instrument_facts,
    max_drawdown,
    money_by,
    spread_captured,
)
from ufos_nautilus.report.parts import decimal_or_none
from ufos_nautilus.report.tables import RunTables

Value = Decimal | int | str | None


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """One row of a comparison.

    Parameters
    ----------
    figure : str
        What is compared, for example ``"net P&L USDT"``.
    values : tuple
        One value for each run, in their order; None where a run has none.
    change : Decimal or int or None
        Last run less first run where both are numbers.

    """

    figure: str
    values: tuple[Value, ...]
    change: Decimal | int | None

    @property
    def same(self) -> bool:
        """Tell whether all runs have the same value."""
        return all(value == self.values[0] for value in self.values)


def compare_runs(run_dirs: Sequence[Path]) -> list[dict[str, Value]]:
    """Read stored runs and put them side by side as rows of a table.

    Parameters
    ----------
    run_dirs : sequence of Path
        Directories of runs, at most `limits.RUNS_COMPARED_MAX`.

    Returns
    -------
    list of dict
        One row for each figure: ``figure``, a column for each run named by its id, and ``change`` (last run less
        first, for numbers). Identity, counts, money and inventory; then every spec value that differs.

    Raises
    ------
    LimitExceededError
        If there are too many.
    DataError
        If one of them is no readable run.

    """
    if len(run_dirs) > limits.RUNS_COMPARED_MAX:
        raise LimitExceededError(f"{len(run_dirs)} runs to compare", expected=f"at most {limits.RUNS_COMPARED_MAX}")
    runs = [RunTables.load(path) for path in run_dirs]
    names: list[str] = []
    for run in runs:
        # The same run may be given twice, or two runs may share an id.
        again = sum(name.partition(" ")[0] == run.run_id for name in names)
        names.append(f"{run.run_id} ({again + 1})" if again else run.run_id)
    return [{"figure": r.figure, **dict(zip(names, r.values, strict=True)), "change": r.change} for r in compare(runs)]


def compare(runs: Sequence[RunTables]) -> list[ComparedFigure]:
    """Put loaded runs side by side: identity, counts, money, inventory, then every spec value that differs."""
    rows = _rows([_figures(run) for run in runs])
    specs = _rows([{f"spec {path}": value for path, value in _flat(run.spec).items()} for run in runs])
    return rows + [row for row in specs if not row.same]


def _rows(columns: list[dict[str, Value]]) -> list[ComparedFigure]:
    names = list(dict.fromkeys(name for column in columns for name in column))
    return [_row(name, tuple(column.get(name) for column in columns)) for name in names]


def _row(name: str, values: tuple[Value, ...]) -> ComparedFigure:
    first, last = values[0], values[-1]
    change = None
    if isinstance(first, Decimal | int) and isinstance(last, Decimal | int):
        change = last - first
    return ComparedFigure(name, values, change)


def _figures(run: RunTables) -> dict[str, Value]:
    result = run.result
    figures: dict[str, Value] = {
        key: _text(result.get(key)) for key in ("name", "status", "digest", "spec_digest", "code_version")
    }
    figures["seed"] = _text(result.get("seed"))
    figures["data"] = ", ".join(str(item) for item in result.get("data") or []) or None
    figures |= {key: _count(result.get(key)) for key in ("events", "orders", "fills", "denied", "rejected")}
    spread = spread_captured(run.fills, instrument_facts(run))
    deepest = {c: d.amount for c, e in equity_by_currency(run.equity).items() if (d := max_drawdown(e))}
    money: dict[str, dict[str, Any]] = {
        "net P&L": result.get("net_pnl") or {},
        "deepest drawdown": deepest,
        "spread captured": money_by(spread, "settlement", "captured"),
        "fees": money_by(run.fills, "commission_currency", "commission"),
        "largest inventory": result.get("max_inventory") or {},
    }
    for label, amounts in money.items():
        figures |= {f"{label} {unit}": _trimmed(decimal_or_none(value)) for unit, value in amounts.items()}
    figures["elapsed s"] = decimal_or_none(result.get("elapsed_s"))
    return figures


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _trimmed(value: Decimal | None) -> Decimal | None:
    """Drop trailing zeros, so that equal amounts of different precision read alike."""
    if value is None:
        return None
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()


def _flat(value: Any, path: str = "") -> dict[str, Value]:
    """Return nested tables as dotted paths; lists of tables by index."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return {path: str(value)}
    return {k: v for key, inner in items for k, v in _flat(inner, f"{path}.{key}" if path else str(key)).items()}
