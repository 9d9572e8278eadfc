"""The ledger of a run that begins: the driver's own file, which the full store reads as its own."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from ufos_nautilus.errors import DataError
from ufos_nautilus.ledger import recipes
from ufos_nautilus.ledger.accounts import Asset
from ufos_nautilus.ledger.journal import Draft
from ufos_nautilus.ledger.ledger import Ledger
from ufos_nautilus.ledger.store import LedgerStore
from ufos_nautilus.ledger.store_check import check
from ufos_nautilus.ledger.store_fresh import FreshStore


def deposit(ledger: Ledger, ref: str) -> Draft:
    amount = Decimal("10.50")
    draft = recipes.deposit(ledger.state, ts_ns=1, ref=ref, book="CL-1", currency="USD", amount=amount, venue="X")
    assert draft is not None
    return draft


def test_a_fresh_file_is_a_whole_ledger_for_the_store(tmp_path: Path) -> None:
    store = FreshStore.create(tmp_path / "ledger.sqlite")
    ledger = Ledger(store)
    ledger.define(Asset("USD", 2))
    ledger.post(deposit(ledger, "d1"))
    ledger.flush()
    assert store.entry(2).ref == "d1"
    head = store.head
    store.close()
    with LedgerStore.open(tmp_path, create=False, readonly=True) as read:
        assert read.head == head
        assert check(read).problems == ()
        assert [entry.kind for entry in read.entries()] == ["asset", "deposit"]


def test_what_is_booked_twice_is_named(tmp_path: Path) -> None:
    store = FreshStore.create(tmp_path / "ledger.sqlite")
    ledger = Ledger(store, batch=1)
    ledger.define(Asset("USD", 2))
    ledger.post(deposit(ledger, "d1"))
    with pytest.raises(DataError, match=r"booked already.*'d1'"):
        ledger.post(deposit(ledger, "d1"))
    store.close()


def test_discarding_leaves_an_empty_journal(tmp_path: Path) -> None:
    store = FreshStore.create(tmp_path / "ledger.sqlite")
    ledger = Ledger(store, batch=1)
    ledger.define(Asset("USD", 2))
    store.discard()
    store.close()
    with LedgerStore.open(tmp_path, create=False, readonly=True) as read:
        assert read.head.seq == 0
        assert list(read.entries()) == []


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_text("mine", "utf-8")
    with pytest.raises(DataError, match="already"):
        FreshStore.create(tmp_path / "ledger.sqlite")
    assert (tmp_path / "ledger.sqlite").read_text("utf-8") == "mine"
    with pytest.raises(DataError, match="no ledger can be made"):
        FreshStore.create(tmp_path / "absent" / "ledger.sqlite")


def test_it_does_without_the_database_toolkit() -> None:
    code = "import sys, ufos_nautilus.ledger.store_fresh; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
