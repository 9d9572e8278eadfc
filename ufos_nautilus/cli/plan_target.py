"""`ufos plan target`: weights from the past returns of a catalog's daily bars, by an optimiser."""

import json as json_module
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.cli.plan_market import catalog_market
from ufos_nautilus.errors import BadInputError, DataError, SpecError
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.portfolio import Restrictions, Target, read_portfolio
from ufos_nautilus.portfolio.makers import METHODS, make_target
from ufos_nautilus.portfolio.targets import decimal_of
from ufos_nautilus.report.plotly_asset import write_whole

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def target(
    catalog: Annotated[Path, typer.Argument(help="Catalog of daily bars.")],
    method: Annotated[str, typer.Option(help=f"One of {', '.join(METHODS)}.")] = "minimum_variance",
    symbols: Annotated[
        str, typer.Option(help="Root symbols, separated by commas; default those that trade most.")
    ] = "",
    count: Annotated[int, typer.Option(min=2, max=1_000, help="How many of those that trade most.")] = 30,
    days: Annotated[int, typer.Option(min=20, max=5_000, help="Returns looked at.")] = 250,
    at: Annotated[str, typer.Option(help="Nothing after this time is seen (ISO).")] = "",
    cash: Annotated[str, typer.Option(help="Fraction kept in cash.")] = "0.01",
    max_weight: Annotated[str, typer.Option(help="Largest weight of one name.")] = "0.2",
    portfolio: Annotated[Path | None, typer.Option(help="Portfolio file whose restrictions hold.")] = None,
    view: Annotated[
        list[str] | None, typer.Option(help='A return per year for black_litterman, "AAPL == 0.08" (repeatable).')
    ] = None,
    to: Annotated[Path, typer.Option(help="File to write, for `ufos plan rebalance --target`.")] = Path("target.toml"),
    json: Json = False,
) -> None:
    """Make a target from past returns (skfolio, extra `portfolio`) and write it to a file."""
    if to.suffix.lower() != ".toml":
        raise BadInputError(f"{to} does not end in .toml", expected="the name of a TOML file to write")
    given = read_portfolio(portfolio).restrictions if portfolio is not None else Restrictions()
    end = _time(at)
    market = catalog_market(catalog, int(end.timestamp()) * 1_000_000_000 if end else 0)
    asked = [s.strip() for s in symbols.split(",") if s.strip()]
    returns = daily_returns(catalog, asked, count, days, end)
    made = make_target(
        method,  # pyright: ignore[reportArgumentType] (checked by the maker)
        returns,
        cash=decimal_of(cash, "--cash"),
        max_weight=decimal_of(max_weight, "--max-weight"),
        restrictions=given,
        securities=market.securities,
        views=view or (),
    )
    write_whole(to, as_toml(made).encode())
    if json:
        weights = {s: format(w, "f") for s, w in made.weights.items()}
        print_json({"method": method, "target": str(to), "cash": made.cash, "weights": weights})
        return
    rows = sorted(made.weights.items(), key=lambda i: (-i[1], i[0]))
    print_table(f"{method}, {days} days", ("name", "weight"), [(s, f"{w:.4%}") for s, w in rows])
    out().print(f"  written: {to}\n  next: ufos plan rebalance PORTFOLIO --target {to}", highlight=False)


def as_toml(made: Target) -> str:
    """Return a target as TOML."""
    lines = [f"# Made by {made.name}.", "[target]", f'cash = "{made.cash:f}"', "[target.weights]"]
    return "\n".join([*lines, *(f'{json_module.dumps(s)} = "{w:f}"' for s, w in sorted(made.weights.items()))]) + "\n"


def daily_returns(
    path: Path, symbols: list[str], count: int, days: int, end: datetime | None
) -> dict[str, list[float]]:
    """Return the last total returns of names that have all of them, oldest first.

    Parameters
    ----------
    path : Path
        Catalog with daily bars.
    symbols : list of str
        Root symbols; empty for the `count` that trade most of those with a full history.
    count, days : int
        Names and returns.
    end : datetime, optional
        Nothing after it is seen.

    Raises
    ------
    SpecError
        If a symbol is not in the catalog.
    DataError
        If a named one, or all, lack history.

    """
    catalog = Catalog.open(path)
    roots = {name: spec.symbol for name, spec in catalog.instruments().items()}
    unknown = [s for s in symbols if s not in roots.values()]
    if unknown:
        raise SpecError(f"{path} has no {unknown[0]}", expected="root symbols of the catalog")
    parts = []
    for table in catalog.tables():
        symbol = roots.get(table.instrument_id, "")
        if table.kind == "bars" and (not symbols or symbol in symbols):
            files = [catalog.root / file.path for file in table.files]
            bars = pl.scan_parquet(files).select(
                pl.lit(symbol).alias("symbol"), pl.col("ts_init").alias("ts"),
                pl.col("close").cast(pl.Float64), pl.col("volume").cast(pl.Float64),
            )  # fmt: skip
            parts.append(bars.filter(pl.col("ts") <= end) if end else bars)
    if not parts:
        raise DataError(f"{path} holds no bars", next_step=f"`ufos data list {path}`")
    frame = pl.concat(pl.collect_all(parts)).with_columns(pl.col("ts").dt.date().alias("day"))
    frame = frame.filter(pl.col("day").is_in(frame["day"].unique().sort().tail(days + 1).implode()))
    whole = frame.group_by("symbol").agg(pl.len(), (pl.col("close") * pl.col("volume")).mean().alias("traded"))
    full = whole.filter(pl.col("len") == days + 1).sort("traded", "symbol", descending=[True, False])
    chosen = symbols or full["symbol"].head(count).to_list()
    short = [s for s in chosen if s not in set(full["symbol"])]
    if short or not chosen:
        who = short[0] if short else "no name"
        raise DataError(f"{who} has not all of the last {days + 1} days", expected="names with bars on every day")
    paid = _paid(catalog)
    out: dict[str, list[float]] = {}
    for (symbol,), own in (
        frame.filter(pl.col("symbol").is_in(chosen)).sort("symbol", "ts").group_by("symbol", maintain_order=True)
    ):
        closes, dates = own["close"].to_list(), own["day"].to_list()
        out[str(symbol)] = [
            (closes[i] + paid.get((str(symbol), dates[i].isoformat()), 0.0)) / closes[i - 1] - 1
            for i in range(1, len(closes))
        ]
    return out


def _paid(catalog: Catalog) -> dict[tuple[str, str], float]:
    """Return what a share was paid by (symbol, day), in the units of the bars."""
    out: dict[tuple[str, str], float] = {}
    for dataset in catalog.manifest.datasets:
        for fact in ("dividends", "distributions"):
            for symbol, entries in dataset.facts.get(fact, {}).items():
                for day, amount in entries:
                    out[symbol, day] = out.get((symbol, day), 0.0) + float(Decimal(amount))
    return out


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SpecError(f"{text!r} is no time", expected="ISO 8601, such as 2017-12-06T21:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
