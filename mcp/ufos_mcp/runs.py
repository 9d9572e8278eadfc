"""Stored runs as the server sees them: by id, never by path, a few figures and pages of tables."""

import difflib
import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ufos_mcp.envelope import marked
from ufos_nautilus.engine.runs import list_runs
from ufos_nautilus.errors import BadInputError, DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import MCP_CACHED_MAX, MCP_ROWS_MAX, RUN_JSON_BYTES_MAX

if TYPE_CHECKING:
    import polars as pl

RUN_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
PARTS: Final = (
    "summary",
    "spec",
    "result",
    "statistics",
    "equity",
    "fills",
    "orders",
    "positions",
    "quotes",
    "inventory",
    "markouts",
)
"""What a run's resource can be asked for."""
HOST: Final = "host"
"""Label of a run of the product's own books; code from elsewhere has the label of the sandbox."""
SHARPE_DAYS_MIN: Final = 20
"""Days a run must span before a daily Sharpe ratio means anything."""
CURVE_POINTS: Final = 200
SHOWN_MAX: Final = 10
"""Instruments a summary names."""
NANOSECONDS: Final = "%Y-%m-%dT%H:%M:%S%.9fZ"
Summary = dict[str, Any]


class Runs:
    """The runs of one folder.

    Parameters
    ----------
    folder : Path
        Where they are stored.

    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: OrderedDict[tuple[str, int], Summary] = OrderedDict()

    def ids(self, limit: int = MCP_ROWS_MAX) -> list[str]:
        """Return ids, newest first."""
        return [path.name for path in list_runs(self._folder)[:limit]]

    def directory(self, run_id: str) -> Path:
        """Return the folder of a run.

        Raises
        ------
        BadInputError
            There is no such run; names the nearest.

        """
        path = self._folder / run_id
        if not re.fullmatch(RUN_ID, run_id) or ".." in run_id or not (path / "result.json").is_file():
            known = self.ids()
            near = difflib.get_close_matches(run_id, known, n=3, cutoff=0.4) or known[:3]
            raise BadInputError(f"there is no run {run_id[:80]!r}", expected=", ".join(near) or "a stored run")
        return path

    def summary(self, run_id: str) -> Summary:
        """Return the few figures by which runs are judged; money as decimal text by currency."""
        path = self.directory(run_id)
        key = (run_id, (path / "result.json").stat().st_mtime_ns)
        if key not in self._kept:
            self._kept[key] = figures(path)
            if len(self._kept) > MCP_CACHED_MAX:
                self._kept.popitem(last=False)
        return self._kept[key]

    def part(self, run_id: str, part: str, offset: int = 0, limit: int = 50) -> dict[str, Any]:
        """Return a part of a run as JSON data.

        Parameters
        ----------
        run_id : str
            Which.
        part : str
            One of `PARTS`.
        offset, limit : int
            Page of a table; a curve is thinned instead.

        Raises
        ------
        BadInputError
            There is no such run, part or page.

        """
        if part not in PARTS:
            raise SpecError(f"a run has no part {part[:40]!r}", expected=", ".join(PARTS))
        if offset < 0 or not 1 <= limit <= MCP_ROWS_MAX:
            raise SpecError(f"offset {offset}, limit {limit}", expected=f"from 0; 1 to {MCP_ROWS_MAX}")
        path = self.directory(run_id)
        data, label = self._part(path, part, offset, limit), label_of(read_json(path / "result.json"))
        return data if label == HOST else marked(data, f"run of foreign code in the sandbox, labelled {label}")

    def _part(self, path: Path, part: str, offset: int, limit: int) -> dict[str, Any]:
        if part == "summary":
            return self.summary(path.name)
        if part in ("spec", "result"):
            return {"run_id": path.name, part: read_json(path / f"{part}.json")}
        if part == "statistics":
            result = read_json(path / "result.json")
            return {"run_id": path.name} | {k: result[k] for k in ("statistics", "performance") if result.get(k)}
        if part == "equity":
            return {"run_id": path.name, "equity": curves(path, CURVE_POINTS)}
        return {"run_id": path.name, "part": part, **_page(path / f"{part}.parquet", offset, limit)}


def read_json(path: Path) -> dict[str, Any]:
    """Return a run's JSON file.

    Raises
    ------
    DataError, LimitExceededError
        It is absent, damaged or too large.

    """
    try:
        if (size := path.stat().st_size) > RUN_JSON_BYTES_MAX:
            raise LimitExceededError(f"{path.name} has {size:,} bytes", expected=f"at most {RUN_JSON_BYTES_MAX:,}")
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name} of {path.parent.name} can't be read", next_step="run it again") from error


def figures(path: Path) -> Summary:
    """Work out the summary of a stored run from its result and its tables."""
    import polars as pl

    from ufos_nautilus.report.measures import equity_by_currency, max_drawdown, money_by

    result = read_json(path / "result.json")
    equity = _table(path, "equity")
    totals = equity_by_currency(equity) if equity is not None and equity.height else {}
    deepest = {code: fall for code, frame in totals.items() if (fall := max_drawdown(frame)) is not None}
    fills = _table(path, "fills", ["commission", "commission_currency"])
    times = equity["ts"].cast(pl.Int64) if equity is not None and equity.height else None
    days = (int(times[-1]) - int(times[0])) / 86_400e9 if times is not None else 0.0
    statistics = result.get("statistics") or {}
    returns = statistics.get("returns") or {}
    return {
        "run_id": path.name,
        "status": result.get("status"),
        "label": label_of(result),
        "net_pnl": result.get("net_pnl") or {},
        "return": {code: _share(frame) for code, frame in totals.items()},
        "max_drawdown": {code: fall.amount for code, fall in deepest.items()},
        "sharpe": _rounded(returns.get("Sharpe Ratio (252 days)")) if days >= SHARPE_DAYS_MIN else None,
        "win_rate": _rounded(_win_rate(statistics)),
        "fees": money_by(fills, "commission_currency", "commission") if fills is not None else {},
        "orders": result.get("orders"),
        "fills": result.get("fills"),
        "refused": (result.get("denied") or 0) + (result.get("rejected") or 0),
        "max_inventory": few(result.get("max_inventory") or {}),
        "rows": result.get("rows"),
        "elapsed_s": result.get("elapsed_s"),
        "digest": result.get("digest"),
        "seed": result.get("seed"),
    }


def curves(path: Path, points: int) -> dict[str, list[tuple[str, Decimal]]]:
    """Return equity by currency as (time, amount), thinned so that its extremes stay."""
    from ufos_nautilus.report.measures import equity_by_currency
    from ufos_nautilus.report.thin import thin

    equity = _table(path, "equity")
    if equity is None or equity.is_empty():
        return {}
    out = {}
    for code, frame in equity_by_currency(equity).items():
        rows = thin(frame, "equity", points)
        out[code] = [(at.isoformat().replace("+00:00", "Z"), amount) for at, amount in rows.iter_rows()]
    return out


def _table(path: Path, name: str, columns: list[str] | None = None) -> "pl.DataFrame | None":
    import polars as pl

    file = path / f"{name}.parquet"
    if not file.is_file():
        return None
    try:
        return pl.read_parquet(file, columns=columns, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{file.name} of {path.name} can't be read", next_step="run it again") from error


def _page(file: Path, offset: int, limit: int) -> dict[str, Any]:
    import polars as pl

    if not file.is_file():
        return {"total": 0, "columns": [], "rows": []}
    try:
        scan = pl.scan_parquet(file, glob=False)
        total = scan.select(pl.len()).collect().item()
        frame = scan.slice(offset, limit).with_columns(pl.col(pl.Datetime).dt.strftime(NANOSECONDS)).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{file.name} can't be read", next_step="run it again") from error
    return {"total": total, "offset": offset, "columns": frame.columns, "rows": [list(r) for r in frame.iter_rows()]}


def label_of(result: Mapping[str, Any]) -> str:
    """Return what the sandbox made of a run, or that it was the product's own."""
    return str((result.get("sandbox") or {}).get("label", HOST))


def few(items: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first entries, and how many more there are."""
    left = len(items) - SHOWN_MAX
    return dict(list(items.items())[:SHOWN_MAX]) | ({"more": left} if left > 0 else {})


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _share(frame: "pl.DataFrame") -> float | None:
    first, last = frame["equity"][0], frame["equity"][-1]
    return round(float((last - first) / first), 8) if first > 0 else None


def _win_rate(statistics: dict[str, Any]) -> float | None:
    if "sandbox" in statistics:
        return statistics["sandbox"].get("win_rate")
    rates = [s.get("Win Rate") for s in (statistics.get("pnl") or {}).values()]
    return rates[0] if len(rates) == 1 else None


def trimmed(value: Any) -> Any:
    """Return decimals without trailing zeros, wherever they are."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, dict):
        return {k: trimmed(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [trimmed(v) for v in value]
    return value
