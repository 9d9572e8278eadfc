"""Whatever is changed in a stored ledger behind its back is found."""

import contextlib
import random
import shutil
import sqlite3
from dataclasses import replace
from decimal import Decimal as D

import pytest

from ufos_nautilus.errors import UfosError
from ufos_nautilus.ledger import Asset, Contract, Ledger, Leg, cross, deposit, fill, reversal
from ufos_nautilus.ledger.journal import Head, entry_hash
from ufos_nautilus.ledger.store import LedgerStore
from ufos_nautilus.ledger.store_check import CheckReport, check
from ufos_nautilus.limits import LEDGER_PROBLEMS_MAX

AAPL = Contract(item="AAPL", asset=Asset("AAPL", 0), currency=Asset("USD", 2))
BYTE_FLIPS = 250


def written(url: str, days: int = 8) -> Head:
    """Write a small ledger with every sort of entry and return its head."""
    with LedgerStore.open(url) as store:
        ledger = Ledger(store)
        ledger.define(AAPL)
        state = ledger.state
        for book in ("WM-ANN", "MM-ONE"):
            ledger.post(deposit(state, ts_ns=0, ref=book, book=book, currency="USD", amount=D(10**6), venue="XNAS"))
        terms = {"quantity": D(30), "price": D("190.14")}
        for day in range(days):
            at = {"ts_ns": day, "ref": f"T{day}", "instrument_id": "AAPL.XNAS"}
            ledger.post(fill(state, Leg(book="WM-ANN", commission=D("0.35")), **at, side="BUY", **terms))
            at = {"ts_ns": day, "ref": f"X{day}", "instrument_id": "AAPL.DARK"}
            ledger.post(cross(state, Leg(book="MM-ONE", margined=True), Leg(book="WM-ANN"), **at, **terms))
        wrong = ledger.flush()[-1]
        ledger.post(reversal(wrong, ts_ns=days, ref="R", reason="priced twice"))
        ledger.flush()
        assert check(store).problems == ()
        return store.head


def checked(url: str, expected: Head | None = None) -> CheckReport:
    with LedgerStore.open(url, readonly=True, verify=False) as store:
        return check(store, expected)


OTHER = "(SELECT hash FROM entries WHERE seq = 3)"
FIELDS = {
    "entries.seq": ["UPDATE entries SET seq = 500 WHERE seq = 7"],
    "entries.ts_ns": ["UPDATE entries SET ts_ns = ts_ns + 1 WHERE seq = 7"],
    "entries.kind": ["UPDATE entries SET kind = 'cross' WHERE seq = 6"],
    "entries.ref": ["UPDATE entries SET ref = 'T9' WHERE seq = 6"],
    "entries.reverses": ["UPDATE entries SET reverses = 9 WHERE kind = 'reversal'"],
    "entries.reverses removed": ["UPDATE entries SET reverses = NULL WHERE kind = 'reversal'"],
    "entries.meta value": ["UPDATE entries SET meta = replace(meta, '190.14', '190.15') WHERE seq = 6"],
    "entries.meta blank": ["UPDATE entries SET meta = meta || ' ' WHERE seq = 6"],
    "entries.prev_hash": [f"UPDATE entries SET prev_hash = {OTHER} WHERE seq = 7"],
    "entries.hash": [f"UPDATE entries SET hash = {OTHER} WHERE seq = 7"],
    "last entry's hash": [f"UPDATE entries SET hash = {OTHER} WHERE kind = 'reversal'"],
    "postings.seq": ["UPDATE postings SET seq = 500 WHERE seq = 7 AND line = 1"],
    "postings.line": ["UPDATE postings SET line = 90 WHERE seq = 7 AND line = 1"],
    "postings.account": ["UPDATE postings SET account = account + 1 WHERE seq = 7 AND line = 1"],
    "postings.account unknown": ["UPDATE postings SET account = 9999 WHERE seq = 7 AND line = 1"],
    "postings.amount": ["UPDATE postings SET amount = amount + 1 WHERE seq = 7 AND line = 1"],
    "two amounts in balance": [
        "UPDATE postings SET amount = amount * 2 WHERE seq = 4 AND line = 0",
        "UPDATE postings SET amount = amount * 2 WHERE seq = 4 AND line = 1",
    ],
    "a posting removed": ["DELETE FROM postings WHERE seq = 7 AND line = 1"],
    "the last posting removed": ["DELETE FROM postings WHERE seq = (SELECT MAX(seq) FROM postings) AND line = 0"],
    "a posting without entry": ["INSERT INTO postings VALUES (900, 0, 1, 5)"],
    "an entry removed": ["DELETE FROM entries WHERE seq = 9"],
    "the first entry removed": ["DELETE FROM entries WHERE seq = 1"],
    "the last entry removed": ["DELETE FROM entries WHERE kind = 'reversal'"],
    "two entries swapped": [
        "UPDATE entries SET seq = 500 WHERE seq = 7",
        "UPDATE entries SET seq = 7 WHERE seq = 8",
        "UPDATE entries SET seq = 8 WHERE seq = 500",
    ],
    "accounts.book": ["UPDATE accounts SET book = 'WM-EVE' WHERE book = 'WM-ANN' AND role = 'fees'"],
    "accounts.asset": ["UPDATE accounts SET asset = 'AAPL' WHERE book = 'WM-ANN' AND role = 'fees'"],
    "accounts.role": ["UPDATE accounts SET role = 'funding' WHERE book = 'WM-ANN' AND role = 'fees'"],
    "accounts.venue": ["UPDATE accounts SET venue = 'IEX' WHERE book = 'WM-ANN' AND role = 'fees'"],
    "accounts.item": ["UPDATE accounts SET item = 'MSFT' WHERE book = 'WM-ANN' AND role = 'fees'"],
    "an account removed": ["DELETE FROM accounts WHERE book = 'WM-ANN' AND role = 'fees'"],
    "assets.decimals": ["UPDATE assets SET decimals = 4 WHERE code = 'USD'"],
    "an asset removed": ["DELETE FROM assets WHERE code = 'USD'"],
    "head.seq": ["UPDATE head SET seq = seq - 1"],
    "head.hash": [f"UPDATE head SET hash = {OTHER}"],
    "head.postings": ["UPDATE head SET postings = postings + 1"],
    "head removed": ["DELETE FROM head"],
}


@pytest.mark.parametrize("statements", FIELDS.values(), ids=FIELDS)
def test_a_changed_field_is_found(new_ledger, damage, statements):
    url = new_ledger()
    written(url)
    damage(url, *statements)
    assert checked(url).problems


def test_every_byte_of_hash_and_meta_counts(new_ledger, damage):
    url = new_ledger()
    written(url, days=1)
    with LedgerStore.open(url) as store:
        entry = store.entry(6)
    postgres = url.startswith("postgresql")
    for column, value in (("hash", entry.hash), ("prev_hash", entry.prev_hash), ("meta", entry.meta_json.encode())):
        for position in range(0, len(value), 5):
            flipped = bytearray(value)
            flipped[position] ^= 1
            for content in (bytes(flipped), value):
                literal = f"decode('{content.hex()}', 'hex')" if postgres else f"x'{content.hex()}'"
                if column == "meta":
                    literal = f"convert_from({literal}, 'UTF8')" if postgres else f"CAST({literal} AS TEXT)"
                damage(url, f"UPDATE entries SET {column} = {literal} WHERE seq = 6")
                assert bool(checked(url).problems) == (content != value), (column, position)


def test_a_tail_cut_off_with_its_head_record_is_found_by_a_head_noted_elsewhere(new_ledger, damage):
    url = new_ledger()
    noted = written(url)
    last = "(SELECT MAX(seq) FROM entries)"
    damage(
        url,
        "DELETE FROM entries WHERE kind = 'reversal'",
        f"DELETE FROM postings WHERE seq > {last}",
        f"UPDATE head SET seq = {last}, hash = (SELECT hash FROM entries WHERE seq = {last}), "
        "postings = (SELECT COUNT(*) FROM postings)",
        rows=None,
    )
    assert checked(url).problems == ()
    report = checked(url, noted)
    assert "with the hash that was noted" in report.problems[0]
    with pytest.raises(UfosError, match="with the hash that was noted"):
        report.require_sound()


def test_a_chain_made_anew_from_some_entry_on_is_found_by_a_head_noted_elsewhere(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    noted = written(url)
    with LedgerStore.open(url) as store:
        entries = list(store.entries())
    prev = b""
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for entry in entries[4:]:
            changed = replace(entry, ts_ns=entry.ts_ns + 1, prev_hash=prev or entry.prev_hash)
            prev = entry_hash(
                changed.prev_hash,
                changed.seq,
                changed.ts_ns,
                changed.kind,
                changed.ref,
                changed.reverses,
                changed.meta_json,
                changed.postings,
            )
            connection.execute(
                "UPDATE entries SET ts_ns = ?, prev_hash = ?, hash = ? WHERE seq = ?",
                (changed.ts_ns, changed.prev_hash, prev, changed.seq),
            )
        connection.execute("UPDATE head SET hash = ?", (prev,))
        connection.commit()
    assert checked(url).problems == ()
    assert checked(url, noted).problems
    assert checked(url, Head(4, entries[3].hash)).problems == ()


def test_a_check_stops_listing_at_its_limit(tmp_path, damage):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    written(url, days=40)
    damage(
        url, *(f"UPDATE entries SET ts_ns = ts_ns + 1 WHERE seq = {seq}" for seq in range(1, LEDGER_PROBLEMS_MAX + 9))
    )
    problems = checked(url).problems
    assert len(problems) == LEDGER_PROBLEMS_MAX
    assert all("does not match its hash" in problem for problem in problems)


def test_a_flipped_byte_of_the_file_is_found_or_changes_nothing_that_is_read(tmp_path):
    good = tmp_path / "good.sqlite"
    head = written(f"sqlite:///{good}", days=30)
    with LedgerStore.open(good) as store:
        entries, before = list(store.entries()), store.state().snapshot()
    content = good.read_bytes()
    rng = random.Random(7)
    found = 0
    for number in range(BYTE_FLIPS):
        path = tmp_path / f"{number}.sqlite"
        shutil.copy(good, path)
        with path.open("r+b") as file:
            place = rng.randrange(len(content))
            file.seek(place)
            file.write(bytes([content[place] ^ (1 << rng.randrange(8))]))
        try:
            with LedgerStore.open(path, readonly=True, verify=False) as store:
                if check(store, head).problems:
                    found += 1
                else:
                    assert list(store.entries()) == entries, f"byte {place}"
                    assert store.state().snapshot() == before
        except UfosError:
            found += 1
        path.unlink()
    assert found > BYTE_FLIPS // 5  # most other bytes are free space
