"""The best-execution record: amounts, export, and the check against the market that does not trust the matcher."""

import copy
import datetime as dt
import json
import zipfile
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from ufos_nautilus.crossing.best_execution import (
    SCHEMA_COLUMNS,
    BestExecutionLog,
    cross_fee,
    cross_record,
    crosses_frame,
    export_parquet,
    read_crosses,
    verify,
)
from ufos_nautilus.crossing.crosser import Crosser
from ufos_nautilus.crossing.grid import Grid
from ufos_nautilus.crossing.market_check import catalog_quotes, record_problems, verify_against_market
from ufos_nautilus.crossing.terms import Cross, CrossingRules
from ufos_nautilus.crossing.ticket import Ticket
from ufos_nautilus.errors import DataError, IntegrityError

GRID = Grid(price_precision=2, size_precision=0)
PRICE = pl.Decimal(38, 16)


def market(seed: int = 3, quotes: int = 400) -> dict[str, pl.DataFrame]:
    """Two venues' quotes, several at some times."""
    rng, rows, now, mid = Random(seed), {"ARCX": [], "XNAS": []}, 1_000, 19014
    for _ in range(quotes):
        now += rng.choice((0, 0, 5, 20))
        mid += rng.choice((-1, 0, 0, 1))
        bid_size, ask_size = rng.choice((0, 3, 7, 9)), rng.choice((3, 7, 9))
        rows[rng.choice(("ARCX", "XNAS"))].append(
            (now, mid - rng.randint(0, 2), mid + rng.randint(1, 3), bid_size, ask_size)
        )
    columns = ["ts_init", "bid_price", "ask_price", "bid_size", "ask_size"]
    return {
        venue: pl.DataFrame(
            {
                name: [Decimal(r[i]).scaleb(-2) if i in (1, 2) else r[i] for r in found]
                for i, name in enumerate(columns)
            },
            schema_overrides={"bid_price": PRICE, "ask_price": PRICE},
        )
        for venue, found in rows.items()
    }


def trade(tables: dict[str, pl.DataFrame], path: Path, **rules: Any) -> list[Cross]:
    """Feed the quotes and random tickets to a crosser, record what crosses, and seal."""
    rng, crosser = Random(5), Crosser(CrossingRules(age_limit_ns=60, **rules))
    crosser.add_symbol("AAPL", GRID)
    events = sorted(
        (t, n, venue, row) for venue, table in tables.items() for n, (t, *row) in enumerate(table.iter_rows())
    )
    made: list[Cross] = []
    with BestExecutionLog(path, run_id="run-1") as log:
        for k, (now, _, venue, (bid, ask, bid_size, ask_size)) in enumerate(events):
            steps = [crosser.on_nbbo("AAPL", venue, int(bid * 100), bid_size, int(ask * 100), ask_size, now)]
            steps.append(
                crosser.on_ticket(
                    Ticket(
                        order_id=f"T{k}",
                        instrument="AAPL.XNAS",
                        intent_side=rng.choice(("BUY", "SELL")),
                        quantity=Decimal(rng.randint(1, 9)),
                        limit=rng.choice((None, bid + Decimal("0.01"))),
                        ts_ns=now,
                        client_id=rng.choice(("ANN", "BEN")),
                        desk_id="IB",
                    )
                )
            )
            for cross in (x for step in steps for x in step.crosses):
                crosser.commit(cross.cross_id)
                log.append(cross)
                made.append(cross)
        log.seal()
    return made


@pytest.fixture
def tables() -> dict[str, pl.DataFrame]:
    return market()


@pytest.fixture
def recorded(tables, tmp_path) -> Path:
    path = tmp_path / "crosses.jsonl"
    assert len(trade(tables, path)) > 100
    return path


def half_tick_cross(**rules) -> Cross:
    crosser = Crosser(CrossingRules(**rules))
    crosser.add_symbol("AAPL", Grid(price_precision=2, size_precision=0, multiplier=Decimal(10)))
    crosser.on_nbbo("AAPL", "XNAS", 19013, 100, 19014, 100, 1)
    for order_id, side, owner in (("B", "BUY", "ANN"), ("S", "SELL", "BEN")):
        ticket = Ticket(
            order_id=order_id,
            instrument="AAPL.XNAS",
            intent_side=side,
            quantity=Decimal(7),
            ts_ns=2,
            client_id=owner,
        )
        step = crosser.on_ticket(ticket)
    return step.crosses[0]


def test_a_record_states_price_market_parties_fee_and_gain_exactly():
    record = cross_record(half_tick_cross(fee_bps=Decimal("0.2")), Decimal("0.26"), Decimal("0.26"))
    assert (record["price"], record["quantity"], record["value"]) == ("190.135", "7", "13309.45")
    assert record["nbbo"]["bid_venue"] == "XNAS"
    assert (record["nbbo"]["bid_age_ns"], record["ts_ns"]) == (1, 2)
    for side, touch in (("buy", "190.14"), ("sell", "190.13")):
        assert (record[side]["touch"], record[side]["saved"]) == (touch, "0.35")
        assert (record[side]["saved_bps"], record[side]["fee"], record[side]["saved_on_arrival"]) == (
            "0.263",
            "0.26",
            "0",
        )
    assert record_problems(record) == []
    assert json.loads(json.dumps(record)) == record


def test_the_fee_is_rounded_down_and_never_exceeds_the_gain():
    assert cross_fee(half_tick_cross(fee_bps=Decimal("0.2"))) == Decimal("0.26")  # 0.266189
    assert cross_fee(half_tick_cross(fee_bps=Decimal("0.2")), money_decimals=4) == Decimal("0.2661")
    assert cross_fee(half_tick_cross()) == 0


def test_a_run_verifies_against_itself_and_its_market(recorded, tables):
    records = read_crosses(recorded)
    report = verify_against_market(records, {"AAPL": tables})
    assert (report.crosses, report.symbols, report.venues) == (verify(recorded).records, 1, 2)
    assert report.quotes == 400


def test_the_same_events_give_the_same_record(recorded, tables, tmp_path):
    trade(tables, tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == recorded.read_bytes()


def test_a_price_off_the_midpoint_by_the_least_is_found(recorded, tables):
    records = read_crosses(recorded)
    for field, value in (("price", "190.1301"), ("quantity", "7.5"), ("value", "1")):
        changed = copy.deepcopy(records)
        changed[50][field] = value
        with pytest.raises(IntegrityError, match=records[50]["cross_id"]):
            verify_against_market(changed, {"AAPL": tables})


def retell(record: dict[str, Any], **changes: str) -> dict[str, Any]:
    """Return the record with another bid, ask, price or quantity, everything else made to fit."""
    told = copy.deepcopy(record)
    nbbo = told["nbbo"]
    nbbo |= {k: v for k, v in changes.items() if k in nbbo}
    bid, ask = Decimal(nbbo["bid"]), Decimal(nbbo["ask"])
    price = Decimal(changes.get("price", (bid + ask) / 2))
    quantity = Decimal(changes.get("quantity", told["quantity"]))
    points = quantity * Decimal(told["multiplier"])
    told |= {"price": str(price), "quantity": str(quantity), "value": str(price * points)}
    for side, touch, gain in (("buy", ask, ask - price), ("sell", bid, price - bid)):
        told[side] |= {"touch": str(touch), "saved": str(gain * points), "limit": None, "fee": "-1000"}
    return told


@pytest.mark.parametrize("side", ["bid", "ask"])
@pytest.mark.parametrize("cents", [-1, 1])
def test_a_market_that_was_never_quoted_is_found(recorded, tables, side, cents):
    records = read_crosses(recorded)
    n = next(
        i for i, r in enumerate(records) if Decimal(r["nbbo"]["ask"]) - Decimal(r["nbbo"]["bid"]) > Decimal("0.01")
    )
    moved = str(Decimal(records[n]["nbbo"][side]) + Decimal(cents) / 100)
    records[n] = retell(records[n], **{side: moved})
    assert record_problems(records[n]) == []  # by itself it is in order
    with pytest.raises(IntegrityError, match=records[n]["cross_id"]):
        verify_against_market(records, {"AAPL": tables})


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_quote_made_younger_than_it_was_is_found(side):
    record = cross_record(half_tick_cross(), Decimal(0), Decimal(0))
    shown = pl.DataFrame({"ts_init": [1], "bid_price": [Decimal("190.13")], "ask_price": [Decimal("190.14")]})
    assert verify_against_market([record], {"AAPL": {"XNAS": shown}})
    record["nbbo"] |= {f"{side}_ts_ns": 2, f"{side}_age_ns": 0}
    assert record_problems(record) == []
    with pytest.raises(IntegrityError, match="XNAS quoted"):
        verify_against_market([record], {"AAPL": {"XNAS": shown}})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"price": "190.136"}, "not the midpoint"),
        ({"bid": "190.14"}, "locked"),
        ({"bid": "190.15"}, "crossed"),
        ({"bid": "190.14"}, "outside"),
        ({"quantity": "0"}, "states value"),
        ({"quantity": "8"}, "more than ordered"),
    ],
    ids=["price", "locked", "crossed", "outside", "nothing", "too much"],
)
def test_a_lie_told_consistently_is_found_for_what_it_is(changes, problem):
    record = cross_record(half_tick_cross(), Decimal(0), Decimal(0))
    assert record_problems(retell(record)) == []
    assert any(problem in found for found in record_problems(retell(record, **changes)))


def test_a_quote_from_the_future_is_found():
    record = cross_record(half_tick_cross(), Decimal(0), Decimal(0))
    record["nbbo"] |= {"bid_ts_ns": 3, "bid_age_ns": -1}
    assert any("old" in found for found in record_problems(record))


def test_a_quote_that_was_superseded_or_beaten_elsewhere_is_found(tables):
    record = cross_record(half_tick_cross(), Decimal(0), Decimal(0))
    quote = {"ts_init": [1], "bid_price": [Decimal("190.13")], "ask_price": [Decimal("190.14")]}
    shown = pl.DataFrame(quote)
    assert verify_against_market([record], {"AAPL": {"XNAS": shown}}).crosses == 1
    later = pl.DataFrame(
        {"ts_init": [1, 2], "bid_price": [Decimal("190.13")] * 2, "ask_price": [Decimal("190.14")] * 2}
    )
    assert verify_against_market([record], {"AAPL": {"XNAS": later}})  # at the very time: may have come after
    record["ts_ns"] = 3
    for side in ("bid", "ask"):
        record["nbbo"][f"{side}_age_ns"] = 2
    with pytest.raises(IntegrityError):
        verify_against_market([record], {"AAPL": {"XNAS": later}})
    better = pl.DataFrame({"ts_init": [2], "bid_price": [Decimal("190.10")], "ask_price": [Decimal("190.135")]})
    with pytest.raises(IntegrityError, match="ARCX"):
        verify_against_market([record], {"AAPL": {"XNAS": shown, "ARCX": better}})
    gone = better.with_columns(bid_size=pl.lit(0), ask_size=pl.lit(0))
    assert verify_against_market([record], {"AAPL": {"XNAS": shown, "ARCX": gone}}).venues == 2
    with pytest.raises(IntegrityError, match="'XNAS', which recorded no quotes"):
        verify_against_market([record], {"AAPL": {"BATS": gone}})


def change(record: dict[str, Any], *path: str, to: object) -> dict[str, Any]:
    changed = copy.deepcopy(record)
    place = changed
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return changed


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("nbbo", "ask"), "190.13"),
        (("nbbo", "bid"), "190.15"),
        (("nbbo", "bid_ts_ns"), -1_000_000_000),
        (("nbbo", "bid_ts_ns"), 3),
        (("nbbo", "bid_age_ns"), 0),
        (("quantity",), "0"),
        (("multiplier",), "1"),
        (("buy", "beneficiary"), "BEN"),
        (("buy", "limit"), "190.13"),
        (("sell", "limit"), "190.14"),
        (("buy", "ordered"), "6"),
        (("sell", "saved"), "0.36"),
        (("buy", "touch"), "190.15"),
        (("sell", "fee"), "0.36"),
        (("nbbo", "ask"), "dear"),
        (("buy",), None),
    ],
)
def test_a_record_that_contradicts_itself_is_found(path, to):
    record = cross_record(half_tick_cross(), Decimal(0), Decimal(0))
    assert record_problems(record) == []
    assert record_problems(change(record, *path, to=to))


def test_a_stricter_age_limit_can_be_applied(recorded, tables):
    records = read_crosses(recorded)
    with pytest.raises(IntegrityError, match="old, limit 1 ns"):
        verify_against_market(records, {"AAPL": tables}, age_limit_ns=1)


def test_a_ticket_that_crossed_for_more_than_it_ordered_is_found():
    record = cross_record(half_tick_cross(), Decimal(0), Decimal(0))
    quotes = {"AAPL": {"XNAS": pl.DataFrame({"ts_init": [1], "bid_price": ["190.13"], "ask_price": ["190.14"]})}}
    with pytest.raises(IntegrityError, match="recorded before"):
        verify_against_market([record, record], quotes)
    with pytest.raises(IntegrityError, match="crossed 14 of 7"):
        verify_against_market([record, record | {"cross_id": "X-2"}], quotes)


def test_a_market_that_is_missing_is_no_market(recorded, tables):
    records = read_crosses(recorded)
    for quotes in ({}, {"AAPL": {}}, {"AAPL": {"XNAS": pl.DataFrame({"a": [1]})}}):
        with pytest.raises(DataError):
            verify_against_market(records, quotes)


def test_a_record_of_something_else_is_refused(tmp_path):
    from ufos_nautilus.crossing.audit import AuditLog

    with AuditLog(tmp_path / "a", run_id="r", schema="other") as log:
        log.seal()
    for call in (verify, read_crosses):
        with pytest.raises(IntegrityError):
            call(tmp_path / "a")


def test_the_export_has_every_cross_in_typed_columns(recorded, tmp_path):
    rows = export_parquet(recorded, tmp_path / "crosses.parquet")
    table = pl.read_parquet(tmp_path / "crosses.parquet")
    assert dict(table.schema) == SCHEMA_COLUMNS
    records = read_crosses(recorded)
    assert rows == len(records)
    assert table["price"].to_list() == [Decimal(r["price"]) for r in records]
    assert table["ts"].dt.epoch("ns").to_list() == [r["ts_ns"] for r in records]
    assert table.equals(crosses_frame(records))
    assert not list(tmp_path.glob("*.partial"))
    assert crosses_frame([]).height == 0


def test_quotes_are_read_from_a_catalog_by_root_and_venue(tmp_path, tables):
    for name, table in (("AAPL.XNAS", tables["XNAS"]), ("AAPL.DARK", tables["ARCX"]), ("MSFT.XNAS", tables["ARCX"])):
        folder = tmp_path / "data" / "quotes" / name
        folder.mkdir(parents=True)
        stamped = table.with_columns(pl.from_epoch("ts_init", "ns").dt.replace_time_zone("UTC"))
        half = stamped.height // 2
        stamped[:half].write_parquet(folder / "a.parquet")
        stamped[half:].write_parquet(folder / "b.parquet")
    found = catalog_quotes(tmp_path, {"AAPL"})
    assert {root: list(venues) for root, venues in found.items()} == {"AAPL": ["XNAS"]}
    assert found["AAPL"]["XNAS"].height == tables["XNAS"].height
    with pytest.raises(DataError):
        catalog_quotes(tmp_path / "none", {"AAPL"})


def nbbo_of(file: Path, rows: int) -> pl.DataFrame:
    """Regular-hours NBBO of a day, each side carried forward, as a catalog holds it."""
    names = ["ms", "bid_price", "bid_size", "ask_price", "ask_size", "venue", "condition", "suspicious"]
    with zipfile.ZipFile(file) as archive:
        raw = pl.read_csv(archive.read(archive.namelist()[0]), has_header=False, new_columns=names)
    start = int(dt.datetime(2013, 10, 7, 4, tzinfo=dt.UTC).timestamp() * 1e9)
    sides = [
        pl.when(pl.col(f"{side}_size") > 0).then(pl.col(f"{side}_{what}")).forward_fill().alias(f"{side}_{what}")
        for side in ("bid", "ask")
        for what in ("price", "size")
    ]
    table = raw.select("ms", *sides).filter(pl.col("ms").is_between(34_200_000, 57_600_000)).head(rows)
    return table.select(
        (start + pl.col("ms") * 1_000_000).alias("ts_init"), "bid_price", "ask_price", "bid_size", "ask_size"
    )


def test_several_thousand_crosses_on_a_real_market_verify(shared_data, tmp_path):
    table = nbbo_of(shared_data / "us_equity_ticks" / "bac" / "20131007_quote.zip", 60_000)
    crosser, rng = Crosser(CrossingRules(fee_bps=Decimal("0.1"))), Random(11)
    crosser.add_symbol("BAC", Grid(price_precision=4, size_precision=0))
    count = 0
    with BestExecutionLog(tmp_path / "crosses.jsonl", run_id="bac") as log:
        for n, (now, bid, ask, bid_size, ask_size) in enumerate(table.iter_rows()):
            steps = [crosser.on_nbbo("BAC", "NBBO", bid, bid_size, ask, ask_size, now)]
            if n % 10 == 0:
                ticket = Ticket(
                    order_id=f"T{n}",
                    instrument="BAC.NBBO",
                    intent_side=rng.choice(("BUY", "SELL")),
                    quantity=Decimal(rng.randrange(100, 2_000, 100)),
                    ts_ns=now,
                    expiry_ns=now + 5_000_000_000,
                    client_id=rng.choice(("ANN", "BEN", "CAY")),
                )
                steps.append(crosser.on_ticket(ticket))
            for cross in (x for step in steps for x in step.crosses):
                crosser.commit(cross.cross_id)
                log.append(cross)
                count += 1
        log.seal()
    assert count > 3_000
    prices = table.with_columns(
        (pl.col(c).cast(pl.Decimal(38, 4)) / pl.lit(10_000, dtype=pl.Decimal(38, 4))).alias(c)
        for c in ("bid_price", "ask_price")
    )
    report = verify_against_market(read_crosses(tmp_path / "crosses.jsonl"), {"BAC": {"NBBO": prices}})
    assert (report.crosses, report.quotes) == (count, 60_000)
