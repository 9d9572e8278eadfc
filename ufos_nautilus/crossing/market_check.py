"""Checks every recorded cross against the recorded market, with nothing taken from the code that made the cross."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, localcontext
from pathlib import Path
from typing import Any, Final

import polars as pl

from ufos_nautilus.errors import DataError, IntegrityError

Quotes = Mapping[str, Mapping[str, pl.DataFrame]]
"""Root symbol -> venue -> table of quotes: bid_price, ask_price, bid_size, ask_size and a time column."""
EXAMPLES_MAX: Final = 20
"""Problems named one by one; the rest is counted."""
_PRICE: Final = pl.Decimal(38, 16)


@dataclass(frozen=True, slots=True)
class MarketReport:
    """What was checked; it exists only if every cross holds."""

    crosses: int
    symbols: int
    venues: int
    quotes: int


def verify_against_market(
    records: Iterable[dict[str, Any]], quotes: Quotes, *, time_column: str = "ts_init", age_limit_ns: int | None = None
) -> MarketReport:
    """Rebuild the best bid and offer from quote tables and check each cross against it.

    For each cross: both sides of the recorded NBBO are quotes that the named venue had sent, at the recorded time, and
    that were still its last; no venue showed a better price; the market was neither locked nor crossed nor too old;
    the price is its exact midpoint, strictly inside; no limit was broken; the owners differ; every amount adds up.
    Where a venue has several quotes at the very time of the cross, the cross may have come between any two of them.

    Parameters
    ----------
    records : iterable of dict
        As read from a best-execution record.
    quotes : Quotes
        The market as recorded. A venue taken out of the consolidation must show it as a quote of size 0.
    time_column : str
        Column with the time at which the quote reached the house (Datetime or nanoseconds).
    age_limit_ns : int, optional
        Judge by this limit where it is stricter than the recorded one.

    Raises
    ------
    IntegrityError
        If any cross does not hold; names the first ones.
    DataError
        If there are no quotes for a symbol, or a table lacks a column.

    """
    found = list(records)
    problems = [f"{r.get('cross_id')}: {p}" for r in found for p in record_problems(r, age_limit_ns)]
    problems = problems or _overfilled(found)
    if problems:
        raise _refuted(problems, len(found))
    by_root: dict[str, list[dict[str, Any]]] = {}
    for record in found:
        by_root.setdefault(record["root"], []).append(record)
    venues = rows = 0
    for root, crosses in sorted(by_root.items()):
        tables = quotes.get(root)
        if not tables:
            raise DataError(
                f"no quotes of {root} to check {len(crosses)} crosses against", expected="its recorded market"
            )
        clean = {venue: _clean(table, time_column, f"{root}.{venue}") for venue, table in sorted(tables.items())}
        venues += len(clean)
        rows += sum(t.height for t in clean.values())
        problems += _market_problems(crosses, clean)
    if problems:
        raise _refuted(problems, len(found))
    return MarketReport(len(found), len(by_root), venues, rows)


def record_problems(record: dict[str, Any], age_limit_ns: int | None = None) -> list[str]:
    """Return what is wrong with a record by itself: midpoint, inside, age, limits, owners, amounts."""
    try:
        # Sums and products of prices and sizes must not round.
        with localcontext(prec=120):
            return [*_price_problems(record, age_limit_ns), *_party_problems(record)]
    except (KeyError, TypeError, InvalidOperation) as error:
        return [f"is no record of a cross ({error!r})"]


def _price_problems(record: dict[str, Any], age_limit_ns: int | None) -> Iterator[str]:
    nbbo, price, ts = record["nbbo"], Decimal(record["price"]), record["ts_ns"]
    bid, ask = Decimal(nbbo["bid"]), Decimal(nbbo["ask"])
    if bid >= ask:
        yield f"leans on a {'locked' if bid == ask else 'crossed'} market {bid} / {ask}"
    if price + price != bid + ask:
        yield f"has price {price}, not the midpoint of {bid} / {ask}"
    if not bid < price < ask:
        yield f"has price {price}, outside {bid} / {ask}"
    limit = nbbo["age_limit_ns"] if age_limit_ns is None else min(age_limit_ns, nbbo["age_limit_ns"])
    ages = [ts - nbbo["bid_ts_ns"], ts - nbbo["ask_ts_ns"]]
    if max(ages) > limit or min(ages) < 0:
        yield f"leans on a market {max(ages)} ns old, limit {limit} ns"
    if ages != [nbbo["bid_age_ns"], nbbo["ask_age_ns"]]:
        yield "gives ages that do not follow from its times"


def _party_problems(record: dict[str, Any]) -> Iterator[str]:
    nbbo, buy, sell = record["nbbo"], record["buy"], record["sell"]
    price, quantity, value, multiplier = (Decimal(record[k]) for k in ("price", "quantity", "value", "multiplier"))
    if quantity <= 0 or value != price * quantity * multiplier:
        yield f"states value {value} for {quantity} at {price}"
    if buy["beneficiary"] == sell["beneficiary"]:
        yield f"has {buy['beneficiary']} on both sides"
    sides = (("buyer", buy, Decimal(nbbo["ask"]), 1), ("seller", sell, Decimal(nbbo["bid"]), -1))
    for name, party, touch, sign in sides:
        if party["limit"] is not None and sign * price > sign * Decimal(party["limit"]):
            yield f"breaks the {name}'s limit {party['limit']}"
        if quantity > Decimal(party["ordered"]):
            yield f"gives the {name} more than ordered"
        saved = sign * (touch - price) * quantity * multiplier
        if Decimal(party["touch"]) != touch or Decimal(party["saved"]) != saved:
            yield f"states a wrong improvement for the {name}"
        if Decimal(party["fee"]) > saved:
            yield f"charges the {name} more than the improvement"


def _overfilled(records: list[dict[str, Any]]) -> list[str]:
    """Return the tickets that crossed for more than they ever ordered, and ids used twice."""
    crossed: dict[str, Decimal] = {}
    ordered: dict[str, Decimal] = {}
    seen: set[str] = set()
    problems: list[str] = []
    with localcontext(prec=120):
        for record in records:
            if record["cross_id"] in seen:
                problems.append(f"{record['cross_id']}: was recorded before")
            seen.add(record["cross_id"])
            for party in (record["buy"], record["sell"]):
                order_id = party["order_id"]
                crossed[order_id] = crossed.get(order_id, Decimal(0)) + Decimal(record["quantity"])
                ordered[order_id] = max(ordered.get(order_id, Decimal(0)), Decimal(party["ordered"]))
    return problems + [f"{k}: crossed {v} of {ordered[k]} ordered" for k, v in crossed.items() if v > ordered[k]]


def catalog_quotes(catalog: Path, roots: Iterable[str], *, skip_venues: Iterable[str] = ("DARK",)) -> Quotes:
    """Return the quotes of `roots` recorded in a catalog, by venue.

    Parameters
    ----------
    catalog : Path
        Folder with ``data/quotes/<instrument id>/*.parquet``.
    roots : iterable of str
        Symbols without venue.
    skip_venues : iterable of str
        Venues that are no market: the internal one.

    Raises
    ------
    DataError
        If the catalog holds no quotes at all.

    """
    folder = catalog / "data" / "quotes"
    if not folder.is_dir():
        raise DataError(f"{catalog} holds no quotes", expected="a catalog with recorded quotes")
    wanted, skipped = set(roots), set(skip_venues)
    found: dict[str, dict[str, pl.DataFrame]] = {}
    columns = ["ts_init", "bid_price", "ask_price", "bid_size", "ask_size"]
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        root, _, venue = place.name.rpartition(".")
        files = sorted(place.glob("*.parquet"))
        if root in wanted and venue not in skipped and files:
            found.setdefault(root, {})[venue] = pl.concat([pl.read_parquet(f, columns=columns) for f in files])
    return found


def _clean(table: pl.DataFrame, time_column: str, name: str) -> pl.DataFrame:
    """Return a table in order of time: row, t (ns), bid, ask; a side of size 0 is null."""
    missing = {time_column, "bid_price", "ask_price"} - set(table.columns)
    if missing:
        raise DataError(f"quotes of {name} lack {sorted(missing)}", expected="time, bid_price, ask_price")
    sides = []
    for side in ("bid", "ask"):
        price = pl.col(f"{side}_price").cast(_PRICE)
        if f"{side}_size" in table.columns:
            price = pl.when(pl.col(f"{side}_size") > 0).then(price)
        sides.append(price.alias(side))
    time = pl.col(time_column)
    if table.schema[time_column].is_temporal():
        time = time.dt.cast_time_unit("ns")
    clean = table.select(time.cast(pl.Int64).alias("t"), *sides)
    return clean.sort("t", maintain_order=True).with_row_index("row")


def _market_problems(records: list[dict[str, Any]], tables: Mapping[str, pl.DataFrame]) -> list[str]:
    nbbo = [r["nbbo"] for r in records]
    crosses = pl.DataFrame(
        {
            "n": range(len(records)),
            "at": pl.Series([r["ts_ns"] for r in records], dtype=pl.Int64),
            "best_bid": pl.Series([Decimal(x["bid"]) for x in nbbo], dtype=_PRICE),
            "best_ask": pl.Series([Decimal(x["ask"]) for x in nbbo], dtype=_PRICE),
            "bid_venue": [x["bid_venue"] for x in nbbo],
            "ask_venue": [x["ask_venue"] for x in nbbo],
            "bid_at": pl.Series([x["bid_ts_ns"] for x in nbbo], dtype=pl.Int64),
            "ask_at": pl.Series([x["ask_ts_ns"] for x in nbbo], dtype=pl.Int64),
        }
    ).sort("at", maintain_order=True)
    bad: dict[int, str] = {}
    for n, bid_venue, ask_venue in crosses.select("n", "bid_venue", "ask_venue").iter_rows():
        for venue in (bid_venue, ask_venue):
            if venue not in tables:
                bad.setdefault(n, f"names venue {venue!r}, which recorded no quotes")
    for venue, table in tables.items():
        for n in _refuting(crosses, venue, table):
            bad.setdefault(n, f"does not agree with what {venue} quoted then")
    return [f"{records[n]['cross_id']}: {problem}" for n, problem in sorted(bad.items())]


def _refuting(crosses: pl.DataFrame, venue: str, table: pl.DataFrame) -> list[int]:
    """Return the crosses with which none of the quotes that `venue` can have shown at their time agrees."""
    rows = table.select("t", pl.col("row").cast(pl.Int64))
    asof = crosses.join_asof(rows, left_on="at", right_on="t", strategy="backward", allow_exact_matches=False)
    asof = asof.rename({"row": "first"}).drop("t", strict=False)
    asof = asof.join_asof(rows, left_on="at", right_on="t", strategy="backward").rename({"row": "last"})
    is_bid, is_ask = pl.col("bid_venue") == venue, pl.col("ask_venue") == venue
    # No quote before the time of the cross: the venue may have shown nothing, which only a named source can't.
    silent = pl.col("first").is_null() & ~is_bid & ~is_ask
    shown = (
        asof.filter(~silent & pl.col("last").is_not_null())
        .with_columns(pl.int_ranges(pl.col("first").fill_null(0), pl.col("last") + 1).alias("row"))
        .explode("row")
        .join(table.with_columns(pl.col("row").cast(pl.Int64)).rename({"t": "sent"}), on="row")
    )
    no_better = (pl.col("bid").is_null() | (pl.col("bid") <= pl.col("best_bid"))) & (
        pl.col("ask").is_null() | (pl.col("ask") >= pl.col("best_ask"))
    )
    bid_source = (pl.col("bid") == pl.col("best_bid")).fill_null(False) & (pl.col("sent") == pl.col("bid_at"))
    ask_source = (pl.col("ask") == pl.col("best_ask")).fill_null(False) & (pl.col("sent") == pl.col("ask_at"))
    agreeing = shown.filter(no_better & (~is_bid | bid_source) & (~is_ask | ask_source)).select("n").unique()
    return asof.filter(~silent).join(agreeing, on="n", how="anti").get_column("n").sort().to_list()


def _refuted(problems: list[str], crosses: int) -> IntegrityError:
    shown = "\n  ".join(problems[:EXAMPLES_MAX])
    return IntegrityError(
        f"{len(problems)} problems in {crosses} crosses:\n  {shown}",
        expected="every cross at the midpoint of the recorded market",
        next_step="compare the catalog with the one the run used (its digest is in the run's result)",
    )
