"""The store in both databases: appending, reading, refusing, migrating, exporting, replaying."""

import sqlite3
import sys
from decimal import Decimal as D
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from ufos_nautilus.errors import DataError, IntegrityError, LimitExceededError, RunFailedError, SpecError
from ufos_nautilus.ledger import (
    Account,
    Asset,
    Contract,
    Draft,
    Head,
    Ledger,
    LedgerState,
    Leg,
    MemoryJournal,
    Portfolio,
    Posting,
    RiskProfile,
    StrategyRecord,
    cross,
    deposit,
    fill,
    inventory,
    reversal,
)
from ufos_nautilus.ledger import migrations as steps
from ufos_nautilus.ledger.export import export
from ufos_nautilus.ledger.migrations import LATEST, MIGRATIONS, Migration, upgrade
from ufos_nautilus.ledger.store import LedgerStore
from ufos_nautilus.ledger.store_check import check, replay
from ufos_nautilus.ledger.store_schema import connect, ledger_url
from ufos_nautilus.limits import LEDGER_BATCH_ENTRIES_MAX

AAPL = Contract(item="AAPL", asset=Asset("AAPL", 0), currency=Asset("USD", 2))


def trade(ledger: Ledger, days: int = 20) -> None:
    """Post deposits, fills, crosses and one correction of two books."""
    ledger.define(AAPL)
    state = ledger.state
    for book in ("WM-ANN", "MM-ONE"):
        ledger.post(deposit(state, ts_ns=0, ref=book, book=book, currency="USD", amount=D(10**6), venue="XNAS"))
    terms = {"quantity": D(30), "price": D("190.14")}
    for day in range(days):
        at = {"ts_ns": day, "ref": f"T{day}", "instrument_id": "AAPL.XNAS"}
        side = "SELL" if day % 3 == 2 else "BUY"
        ledger.post(fill(state, Leg(book="WM-ANN", commission=D("0.35")), **at, side=side, **terms))
        at = {"ts_ns": day, "ref": f"X{day}", "instrument_id": "AAPL.DARK"}
        ledger.post(cross(state, Leg(book="MM-ONE", margined=True), Leg(book="WM-ANN"), **at, **terms))
    wrong = ledger.flush()[-1]
    ledger.post(reversal(wrong, ts_ns=days, ref="R1", reason="priced twice"))
    ledger.flush()


@pytest.fixture
def traded(new_ledger) -> str:
    url = new_ledger()
    with LedgerStore.open(url) as store:
        trade(Ledger(store))
    return url


def test_what_was_written_is_read_back(traded):
    memory = Ledger()
    trade(memory)
    assert isinstance(memory.journal, MemoryJournal)
    with LedgerStore.open(traded, readonly=True) as store:
        assert list(store.entries()) == memory.journal.entries
        assert store.head == memory.journal.head  # the same chain in memory, SQLite and PostgreSQL
        assert store.state().snapshot() == memory.state.snapshot()
        assert [e.seq for e in store.entries(after=40)] == list(range(41, store.head.seq + 1))
        assert store.entry(7) == memory.journal.entries[6]
        assert store.has("fill", "T3") and not store.has("fill", "X3")
        report = check(store, store.head)
        assert (report.problems, report.entries, report.head) == ((), store.head.seq, store.head.hash.hex())
        for seq in (0, store.head.seq + 1):
            with pytest.raises(DataError, match="no entry"):
                store.entry(seq)


def test_entries_are_read_a_bounded_number_at_a_time(traded, monkeypatch):
    with LedgerStore.open(traded, readonly=True) as store:
        whole = list(store.entries())
        statements: list[str] = []
        sa.event.listen(store.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        monkeypatch.setattr("ufos_nautilus.ledger.store_read.LEDGER_READ_ROWS", 7)
        assert list(store.entries()) == whole
        assert check(store).problems == ()
    pieces = [text for text in statements if "FROM postings" in text and "count(" not in text]
    assert len(pieces) >= 2 * (len(whole) // 7)


def test_a_ledger_is_continued_after_it_was_closed(traded):
    with LedgerStore.open(traded) as store:
        before = store.head
        ledger = Ledger(store, store.state(), batch=1)
        ledger.post(deposit(ledger.state, ts_ns=9, ref="more", book="NEW", currency="USD", amount=D(5)))
        assert store.head.seq == before.seq + 1
    with LedgerStore.open(traded) as store:
        assert store.state().amount(Account("NEW", "USD", "cash")) == D(5)
        assert check(store, before).problems == ()


def test_the_same_thing_is_booked_once(traded):
    with LedgerStore.open(traded) as store:
        before = store.head
        ledger = Ledger(store, store.state())
        again = deposit(ledger.state, ts_ns=9, ref="WM-ANN", book="WM-ANN", currency="USD", amount=D(5))
        fresh = deposit(ledger.state, ts_ns=9, ref="fresh", book="WM-ANN", currency="USD", amount=D(5))
        for batch in ([again], [fresh, again], [fresh, fresh]):
            with pytest.raises(DataError, match="booked already, or twice"):
                store.append(batch)
        wrong = store.entry(before.seq - 1)
        with pytest.raises(DataError, match="booked already, or twice"):
            store.append([reversal(wrong, ts_ns=9, ref="R2", reason="again")])
        assert store.head == before
        store.append([fresh])
        assert check(store).problems == ()


def test_a_reversal_must_be_the_exact_opposite_of_an_entry(traded):
    with LedgerStore.open(traded) as store:
        good = reversal(store.entry(5), ts_ns=9, ref="R9", reason="test")
        halved = tuple(Posting(account, amount * 2) for account, amount in good.postings)
        for bad, message in (
            (Draft("reversal", 9, "R9", halved, {}, 5), "not the exact opposite"),
            (Draft("reversal", 9, "R9", good.postings, {}, 10**6), "not there"),
        ):
            with pytest.raises(DataError, match=message):
                store.append([bad])
        store.append([good])


def test_nothing_of_a_refused_batch_is_kept(traded):
    with LedgerStore.open(traded) as store:
        before = store.head
        usd = Account("Z", "USD", "cash")
        good = Draft("transfer", 1, "", (Posting(usd, 5), Posting(usd._replace(book="Y"), -5)), {})
        off = Draft("transfer", 1, "", (Posting(usd, 5), Posting(usd._replace(book="Y"), -4)), {})
        alien = Draft(
            "transfer",
            1,
            "",
            (Posting(usd._replace(asset="CHF"), 5), Posting(usd._replace(asset="CHF", book="Y"), -5)),
            {},
        )
        for batch, message in (([good, off], "does not balance"), ([good, alien], "'CHF' was not defined")):
            with pytest.raises(DataError, match=message):
                store.append(batch)
        with pytest.raises(LimitExceededError, match="a batch of"):
            store.append([good] * (LEDGER_BATCH_ENTRIES_MAX + 1))
        assert store.append([]) == []
        assert store.head == before
        store.append([good])  # the accounts of the refused batches were forgotten
    with LedgerStore.open(traded) as store:
        assert check(store).problems == ()


def test_a_second_writer_is_kept_out(traded):
    with LedgerStore.open(traded) as first, LedgerStore.open(traded) as second:
        usd = Account("Z", "USD", "cash")
        move = Draft("transfer", 1, "", (Posting(usd, 5), Posting(usd._replace(book="Y"), -5)), {})
        second.append([move])
        before = first.head
        for _ in range(2):
            with pytest.raises(DataError, match="another process wrote to it"):
                first.append([move])
        assert first.head == before
        assert check(second).problems == ()


def test_a_reader_sees_whole_batches_while_another_process_writes(traded):
    with LedgerStore.open(traded) as writer, LedgerStore.open(traded, readonly=True) as reader:
        entries = reader.entries()
        first = next(entries)
        count = writer.head.seq
        usd = Account("Z", "USD", "cash")
        move = Draft("transfer", 1, "", (Posting(usd, 5), Posting(usd._replace(book="Y"), -5)), {})
        writer.append([move] * 3)
        assert len([first, *entries]) == count
        assert len(list(reader.entries())) == count + 3


def test_the_journal_refuses_changes_by_other_programs(traded):
    engine = sa.create_engine(traded.replace("postgresql://", "postgresql+psycopg://"))
    for statement in (
        "UPDATE entries SET ts_ns = 1 WHERE seq = 1",
        "DELETE FROM entries WHERE seq = 1",
        "UPDATE postings SET amount = 1",
        "DELETE FROM postings",
    ):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_ledger_opened_for_reading_changes_nothing(traded):
    with LedgerStore.open(traded, readonly=True) as store:
        usd = Account("Z", "USD", "cash")
        move = Draft("transfer", 1, "", (Posting(usd, 5), Posting(usd._replace(book="Y"), -5)), {})
        with pytest.raises(SpecError, match="opened for reading"):
            store.append([move])
        with pytest.raises(SpecError, match="opened for reading"):
            store.put_portfolios()
        with pytest.raises(sa.exc.DBAPIError, match=r"read-?only"), store.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE head SET seq = 0")


def test_views_say_what_the_entries_say(traded, damage):
    with LedgerStore.open(traded) as store:
        report = replay(store)
        assert (report.differences, report.positions) == ((), 2)
        rows = inventory(store.state())
        with store.engine.connect() as connection:
            held = connection.exec_driver_sql("SELECT book, net_position FROM inventory_ledger ORDER BY book").all()
        assert [tuple(row) for row in held] == [(row.book, int(row.net_position)) for row in rows]
    damage(traded, "UPDATE assets SET decimals = 4 WHERE code = 'USD'")
    with LedgerStore.open(traded) as store:
        assert replay(store).differences
    damage(traded, "UPDATE postings SET amount = amount + 1 WHERE seq = 4 AND line = 0")
    with LedgerStore.open(traded) as store, pytest.raises(IntegrityError, match="entry 4"):
        replay(store)


def test_portfolios_and_strategies_are_kept_beside_the_journal(traded):
    profile = RiskProfile(gamma=D("0.10"), max_drawdown=D("0.2"))
    ann = Portfolio(id="WM-ANN", owner_name="Ann Ä.", risk_profile=profile, nav=D("1000000.00"), currency="USD")
    momentum = StrategyRecord(id="AM-1", name="Momentum", logic_path="m.x:C", allocation_pct=D("12.50"))
    with LedgerStore.open(traded) as store:
        store.put_portfolios(ann)
        store.put_strategies(momentum, StrategyRecord(id="AM-0", name="Pairs", logic_path="m:P", allocation_pct=D(5)))
    with LedgerStore.open(traded) as store:
        assert store.portfolios() == [ann]
        assert [s.id for s in store.strategies()] == ["AM-0", "AM-1"]
        assert store.strategies()[1] == momentum
        store.put_portfolios(
            Portfolio(id="WM-ANN", owner_name="Ann B.", risk_profile=profile, nav=D(1), currency="EUR")
        )
        assert [(p.owner_name, p.nav) for p in store.portfolios()] == [("Ann B.", D(1))]


def test_export_writes_everything_as_parquet(traded, tmp_path):
    with LedgerStore.open(traded) as store:
        rows = export(store, tmp_path / "out", rows_per_file=50)
        state = store.state()
        with pytest.raises(DataError, match="exists already"):
            export(store, tmp_path / "out")
    entries = pl.read_parquet(tmp_path / "out" / "entries-*.parquet")
    postings = pl.read_parquet(tmp_path / "out" / "postings-*.parquet")
    assert (entries.height, postings.height) == (rows["entries"], rows["postings"])
    assert len(list((tmp_path / "out").glob("postings-*.parquet"))) == -(-rows["postings"] // 50)
    sums = postings.group_by("asset").agg(pl.col("units").sum(), pl.col("amount").sum())
    assert set(sums["units"]) == {0} and set(sums["amount"]) == {D(0)}
    cash = postings.filter(book="WM-ANN", role="cash")["amount"].sum()
    assert cash == sum(state.amount(a) for a, _ in state.accounts("cash", book="WM-ANN"))
    assert entries["hash"][-1] in (tmp_path / "out" / "ledger.json").read_text("utf-8")
    assert pl.read_parquet(tmp_path / "out" / "balances.parquet").height == rows["balances"] == len(state.balances)


def test_a_failed_export_leaves_nothing(traded, tmp_path, damage):
    damage(traded, "UPDATE postings SET amount = amount + 1 WHERE seq = 4 AND line = 0")
    with LedgerStore.open(traded) as store, pytest.raises(IntegrityError):
        export(store, tmp_path / "out")
    assert not [p for p in tmp_path.iterdir() if "out" in p.name]


def test_an_older_schema_is_brought_up_to_date_with_its_entries(new_ledger, monkeypatch):
    url = new_ledger()
    old = MIGRATIONS[:1]
    engine = connect(ledger_url(url, create=True))
    with engine.execution_options(write=True).begin() as connection:
        assert upgrade(connection.exec_driver_sql, connection.dialect.name, old) == 1
    engine.dispose()
    with pytest.raises(SpecError, match="schema version 1"):
        LedgerStore.open(url, readonly=True)
    with LedgerStore.open(url) as store:
        trade(Ledger(store))
        assert replay(store).differences == ()
        with store.engine.connect() as connection:
            versions = connection.exec_driver_sql("SELECT version FROM schema_version ORDER BY version").scalars().all()
    assert versions == list(range(1, LATEST + 1))


def test_a_migration_that_fails_leaves_the_schema_as_it_was(traded):
    broken = Migration(LATEST + 1, "broken", ("CREATE TABLE half (x INTEGER)", "CREATE TABLE half (x INTEGER)"), {})
    engine = connect(ledger_url(traded))
    with pytest.raises(sa.exc.DBAPIError, match="half"), engine.execution_options(write=True).begin() as connection:
        upgrade(connection.exec_driver_sql, connection.dialect.name, (*steps.MIGRATIONS, broken))
    with engine.connect() as connection:
        assert not sa.inspect(connection).has_table("half")
    engine.dispose()
    with LedgerStore.open(traded) as store:
        assert check(store).problems == ()


def test_a_schema_from_the_future_is_refused(traded, damage):
    damage(traded, f"INSERT INTO schema_version VALUES ({LATEST + 1}, 'later')")
    with pytest.raises(SpecError, match="upgrade ufos-nautilus"):
        LedgerStore.open(traded)


def test_a_ledger_that_is_not_there_is_not_made_by_reading(new_ledger, tmp_path):
    with pytest.raises((DataError, SpecError)):
        LedgerStore.open(new_ledger(), readonly=True)
    for source in (tmp_path / "none.sqlite", tmp_path, tmp_path / "no" / "folder.sqlite"):
        with pytest.raises(DataError, match="there is no ledger"):
            LedgerStore.open(source, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_is_found_by_file_and_by_run_directory(tmp_path):
    with LedgerStore.open(tmp_path / "ledger.sqlite") as store:
        trade(Ledger(store))
        head = store.head
    with LedgerStore.open(tmp_path) as store:
        assert store.head == head
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.sqlite"]  # the log was folded in on closing


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mysql://x/y", "cannot live in mysql"),
        ("nonsense://", "cannot live in|no database URL"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite://", "needs a file"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(source, message):
    with pytest.raises(SpecError, match=message):
        LedgerStore.open(source)


def test_a_server_that_does_not_answer_is_named(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(DataError, match="cannot be opened"):
        LedgerStore.open(f"postgresql://postgres@/postgres?host={tmp_path}")


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SpecError, match=r"ufos-nautilus\[postgres\]"):
        LedgerStore.open("postgresql://postgres@/postgres")


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database at all, but long enough to be looked at by the library" * 20)
    with pytest.raises(DataError, match="not a database"):
        LedgerStore.open(path)


def test_a_full_disk_loses_no_entry_and_writes_no_half_batch(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with LedgerStore.open(path) as store:
        trade(Ledger(store))
        before = store.head
        store._writer._cursor.execute("PRAGMA max_page_count = 1")  # pyright: ignore[reportAttributeAccessIssue,reportOptionalMemberAccess]
        state = store.state()
        drafts = [
            deposit(state, ts_ns=1, ref=f"big{i}", book="B", currency="USD", amount=D(1), meta={"x": "y" * 3000})
            for i in range(200)
        ]
        with pytest.raises(RunFailedError, match="full"):
            store.append(drafts)
        assert store.head == before
    with LedgerStore.open(path) as store:
        assert check(store, before).problems == ()
        assert store.head == before
        store.append(drafts)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (before.seq + 200,)
    connection.close()


def test_an_empty_ledger_is_sound(new_ledger):
    with LedgerStore.open(new_ledger()) as store:
        assert store.head == Head()
        assert check(store, Head()).problems == ()
        assert store.state().snapshot() == LedgerState().snapshot()
        assert replay(store).differences == ()


def test_the_limits_of_paths_and_names_hold(tmp_path):
    odd = tmp_path / "a folder? with #odd%20 name"
    odd.mkdir()
    with LedgerStore.open(odd / "l.sqlite") as store:
        trade(Ledger(store), days=1)
    with LedgerStore.open(Path(odd / "l.sqlite"), readonly=True) as store:
        assert check(store).problems == ()
    assert [p.name for p in odd.iterdir()] == ["l.sqlite"]
