"""Reads portfolios from files: holdings by tax lot, prices, securities, and the terms of planning."""

import csv
import datetime as dt
import io
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.limits import PLAN_FILE_BYTES_MAX, PLAN_LOTS_MAX
from ufos_nautilus.portfolio.costs import CostModel
from ufos_nautilus.portfolio.problem import PlanRules
from ufos_nautilus.portfolio.restrictions import Restrictions
from ufos_nautilus.portfolio.securities import Price, Security, TaxLot
from ufos_nautilus.portfolio.targets import decimal_of
from ufos_nautilus.portfolio.tax import TaxRules

KEYS = (
    "id", "owner", "currency", "cash", "flow", "as_of", "benchmark", "risk_profile", "lots", "prices", "securities",
    "target", "restrictions", "rules", "costs", "tax", "loss_sales",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioFile:
    """A portfolio as a file has it; prices and securities may come from elsewhere.

    Parameters
    ----------
    portfolio, owner, currency, benchmark : str
        Who, in what, measured against what.
    cash, flow : Decimal
        Base currency.
    as_of_ns : int
        Time of the plan; 0 is the time of the newest price.
    lots : tuple of TaxLot
        Holdings.
    target : mapping
        Weights, cash, bands; or ``file``.
    prices, securities : mapping
        What the file itself gives, by symbol.
    catalog : str
        Where prices come from otherwise.
    restrictions : Restrictions
        What the owner will not hold.
    rules : PlanRules
        How to plan.
    loss_sales : mapping
        Symbol -> when it was last sold at a loss, UNIX nanoseconds.

    """

    portfolio: str
    owner: str
    currency: str
    benchmark: str
    cash: Decimal
    flow: Decimal
    as_of_ns: int
    lots: tuple[TaxLot, ...]
    target: Mapping[str, Any]
    prices: Mapping[str, Price]
    securities: Mapping[str, Security]
    catalog: str
    restrictions: Restrictions
    rules: PlanRules
    loss_sales: Mapping[str, int]


def read_portfolio(path: Path) -> PortfolioFile:
    """Read a portfolio file (TOML); files it names are relative to it.

    Raises
    ------
    SpecError
        If a key is unknown or a value can't be used.
    DataError
        If a file it names is not what it should be.

    """
    try:
        data = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path.name} is no TOML: {error}", expected="a portfolio file") from None
    unknown = sorted(set(data) - set(KEYS))
    if unknown:
        raise SpecError(f"{path.name}: there is no key {unknown[0]!r}", expected=", ".join(KEYS))
    if not data.get("id"):
        raise SpecError(f"{path.name} has no id", expected='id = "WM-ALICE"')
    as_of = data.get("as_of")
    if as_of is not None and not (isinstance(as_of, dt.datetime) and as_of.tzinfo):
        raise SpecError(f"as_of is {as_of}", expected="a time with its zone, such as 2017-12-06T21:00:00Z")
    prices_from = data.get("prices", {})
    catalog = str(prices_from.get("catalog", "")) if isinstance(prices_from, dict) else ""
    file = prices_from if isinstance(prices_from, str) else str(prices_from.get("file", ""))
    costs = _terms(CostModel, data.get("costs", {}), "costs")
    tax = _terms(TaxRules, data.get("tax", {}), "tax")
    rules = _terms(PlanRules, data.get("rules", {}), "rules", costs=costs, tax=tax)
    return PortfolioFile(
        portfolio=str(data["id"]),
        owner=str(data.get("owner", "")),
        currency=str(data.get("currency", "USD")),
        benchmark=str(data.get("benchmark", "")),
        cash=decimal_of(data.get("cash", 0), "cash"),
        flow=decimal_of(data.get("flow", 0), "flow"),
        as_of_ns=time_ns(as_of) if as_of else 0,
        lots=tuple(_lots(data.get("lots", []), path.parent)),
        target=data.get("target", {}),
        prices=read_prices(path.parent / file) if file else {},
        securities=read_securities(path.parent / data["securities"]) if data.get("securities") else {},
        catalog=catalog,
        restrictions=Restrictions.of(data.get("restrictions", {})),
        rules=rules,
        loss_sales={str(s): _day_ns(v, f"loss_sales: {s}") for s, v in data.get("loss_sales", {}).items()},
    )


def _terms(kind: type, data: Any, what: str, **given: Any) -> Any:
    """Build a class of terms from plain data, naming the key that is wrong."""
    if not isinstance(data, dict):
        raise SpecError(f"{what} is no table", expected="name = value")
    known = {f.name: f for f in fields(kind) if f.name not in given}
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise SpecError(f"{what} has no key {unknown[0]!r}", expected=", ".join(known))
    values: dict[str, Any] = {}
    for key, value in data.items():
        default = known[key].default if known[key].default is not MISSING else Decimal(0)
        if isinstance(default, Decimal) or default is None:
            values[key] = decimal_of(value, f"{what}: {key}")
        elif isinstance(default, float):
            values[key] = float(decimal_of(value, f"{what}: {key}"))
        elif isinstance(value, type(default)) and not isinstance(value, bool):
            values[key] = value
        else:
            raise SpecError(f"{what}: {key} is {value!r}", expected=f"a value like {default!r}")
    return kind(**values, **given)


def _lots(source: Any, folder: Path) -> list[TaxLot]:
    if isinstance(source, str):
        rows = _rows(folder / source, ("symbol", "quantity", "cost", "opened"))
    elif isinstance(source, list) and all(isinstance(r, dict) for r in source):
        rows = source
    else:
        raise SpecError("lots is neither a file nor a list of tables", expected='lots = "lots.csv" or [[lots]]')
    if len(rows) > PLAN_LOTS_MAX:
        raise SpecError(f"{len(rows):,} lots", expected=f"at most {PLAN_LOTS_MAX:,}")
    lots: list[TaxLot] = []
    for number, row in enumerate(rows, 1):
        missing = [key for key in ("symbol", "quantity", "cost", "opened") if row.get(key) in (None, "")]
        if missing:
            raise DataError(f"lot {number} has no {missing[0]}", expected="symbol, quantity, cost, opened")
        lots.append(
            TaxLot(
                str(row["symbol"]),
                str(row.get("ref") or number),
                _day_ns(row["opened"], f"lot {number}: opened"),
                decimal_of(row["quantity"], f"lot {number}: quantity"),
                decimal_of(row["cost"], f"lot {number}: cost"),
            )
        )
    (symbol, ref), times = Counter((lot.symbol, lot.ref) for lot in lots).most_common(1)[0] if lots else (("", ""), 0)
    if times > 1:
        raise DataError(
            f"lot {ref} of {symbol} is there {times} times", expected="a reference of its own for every lot"
        )
    return lots


def read_prices(path: Path) -> dict[str, Price]:
    """Read ``symbol, price, time`` and, where known, ``half_spread, daily_volume, daily_volatility`` from CSV."""
    prices: dict[str, Price] = {}
    for number, row in enumerate(_rows(path, ("symbol", "price", "time")), 2):
        where = f"{path.name} line {number}"
        optional = {
            key: decimal_of(row[key], f"{where}: {key}")
            for key in ("half_spread", "daily_volume", "daily_volatility")
            if row.get(key)
        }
        at = _day_ns(row["time"], f"{where}: time")
        prices[row["symbol"]] = Price(price=decimal_of(row["price"], f"{where}: price"), ts_ns=at, **optional)
    return prices


def read_securities(path: Path) -> dict[str, Security]:
    """Read ``symbol`` and, where known, ``instrument_id, sector, sub_industry, tags, lot`` from CSV.

    Columns named ``gics_sector`` and ``gics_sub_industry`` count as sector and sub-industry; tags are separated by
    semicolons.
    """
    out: dict[str, Security] = {}
    for row in _rows(path, ("symbol",)):
        out[row["symbol"]] = Security(
            symbol=row["symbol"],
            instrument_id=row.get("instrument_id", ""),
            sector=row.get("sector") or row.get("gics_sector") or "",
            sub_industry=row.get("sub_industry") or row.get("gics_sub_industry") or "",
            tags=frozenset(t.strip().lower() for t in (row.get("tags") or "").split(";") if t.strip()),
            lot=decimal_of(row.get("lot") or 1, f"lot of {row['symbol']}"),
        )
    return out


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(_text(path)))
    header = [name.strip().lower() for name in reader.fieldnames or ()]
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(f"{path.name} has no column {missing[0]}", expected=", ".join(columns))
    reader.fieldnames = header
    rows: list[dict[str, Any]] = []
    for number, row in enumerate(reader, 2):
        if None in row or any(row[name] is None for name in columns):
            raise DataError(f"{path.name} line {number} has another number of fields than its header")
        rows.append({key: (value or "").strip() for key, value in row.items()})
    return rows


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > PLAN_FILE_BYTES_MAX:
            raise SpecError(f"{path.name} is larger than {PLAN_FILE_BYTES_MAX:,} bytes", expected="a smaller file")
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{str(path)!r} can't be read: {error}", expected="a text file that is there") from None


def _day_ns(value: Any, what: str) -> int:
    """Return UNIX nanoseconds of a date or time; a date is its midnight, a time without a zone is UTC."""
    if isinstance(value, dt.datetime):
        return time_ns(value)
    if isinstance(value, dt.date):
        return time_ns(dt.datetime.combine(value, dt.time(), dt.UTC))
    try:
        return time_ns(dt.datetime.fromisoformat(str(value)))
    except ValueError:
        raise DataError(f"{what} is {value!r}", expected="a date such as 2017-12-06, or a time") from None


def time_ns(at: dt.datetime) -> int:
    """Return UNIX nanoseconds; a time without a zone is UTC."""
    aware = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    delta = aware - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000
