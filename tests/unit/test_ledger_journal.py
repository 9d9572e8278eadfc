"""Rounding, drafts, the chain, the journal in memory, reconciliation and the records beside it."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from ufos_nautilus.errors import DataError, IntegrityError, LimitExceededError, ReconciliationError, RunFailedError
from ufos_nautilus.ledger import (
    Account,
    Asset,
    Contract,
    Draft,
    Head,
    Ledger,
    LedgerState,
    MemoryJournal,
    Portfolio,
    Posting,
    RiskProfile,
    StrategyRecord,
    compare_cash,
    compare_positions,
    definitions,
    deposit,
    require_reconciled,
)
from ufos_nautilus.ledger.accounts import check_account, check_asset
from ufos_nautilus.ledger.journal import GENESIS, Chain, canonical_meta, check_draft, entry_hash, seal
from ufos_nautilus.ledger.money import from_units, half_even, share, to_units
from ufos_nautilus.limits import (
    LEDGER_ACCOUNTS_MAX,
    LEDGER_ASSETS_MAX,
    LEDGER_BATCH_ENTRIES_MAX,
    LEDGER_META_BYTES_MAX,
    LEDGER_NAME_CHARS_MAX,
    LEDGER_POSTINGS_PER_ENTRY_MAX,
    LEDGER_UNITS_MAX,
)

USD = Asset("USD", 2)
A, B = Account("A", "USD", "cash"), Account("B", "USD", "cash")


def move(units: int = 5, ref: str = "", **changes: object) -> Draft:
    draft = Draft("transfer", 1, ref, (Posting(A, units), Posting(B, -units)), {"why": "test"})
    return replace(draft, **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("top", "bottom", "expected"),
    [
        (1, 2, 0),
        (3, 2, 2),
        (5, 2, 2),
        (-1, 2, 0),
        (-3, 2, -2),
        (7, 3, 2),
        (8, 3, 3),
        (-8, 3, -3),
        (8, -3, -3),
        (0, 7, 0),
    ],
)
def test_half_even_rounds_ties_to_even(top, bottom, expected):
    assert half_even(top, bottom) == expected


def test_the_last_part_takes_all_that_is_left():
    assert (share(100, 1, 3), share(67, 1, 2), share(33, 1, 1)) == (33, 34, 33)


def test_amounts_become_units_exactly_or_not_at_all():
    assert to_units(D("-12.34"), 2) == -1234
    assert to_units(D("1E+3"), 2) == 100_000
    assert from_units(-1234, 2) == D("-12.34")
    assert to_units(from_units(LEDGER_UNITS_MAX, 18), 18) == LEDGER_UNITS_MAX
    for value in (D("0.001"), D("NaN"), D("Infinity")):
        with pytest.raises(DataError):
            to_units(value, 2)
    with pytest.raises(LimitExceededError):
        to_units(D(LEDGER_UNITS_MAX + 1), 0)


def test_entries_are_chained_from_the_first():
    entries, head = seal(Head(), [move(1), move(2)])
    assert [e.seq for e in entries] == [1, 2]
    assert entries[0].prev_hash == GENESIS
    assert entries[1].prev_hash == entries[0].hash
    assert head == Head(2, entries[1].hash, 4)
    chain = Chain()
    assert [chain.accept(e) for e in entries] == entries


def test_the_hash_of_an_entry_is_pinned():
    draft = Draft("fill", 1_700_000_000_000_000_000, "T-1", (Posting(A, 5), Posting(B, -5)), {"price": "1.5", "n": 2})
    ((entry,), _) = seal(Head(), [draft])
    assert entry.meta_json == '{"n":2,"price":"1.5"}'
    body = (
        '["ufos-ledger-1",1,1700000000000000000,"fill","T-1",null,"{\\"n\\":2,\\"price\\":\\"1.5\\"}",'
        '[[["A","USD","cash","",""],5],[["B","USD","cash","",""],-5]]]'
    )
    import hashlib

    assert entry.hash == hashlib.sha256(GENESIS + body.encode()).digest()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seq": 3}, "follows entry"),
        ({"ts_ns": 2}, "does not match its hash"),
        ({"kind": "fee"}, "does not match its hash"),
        ({"ref": "x"}, "does not match its hash"),
        ({"meta_json": '{"why": "test"}'}, "does not match its hash"),
        ({"reverses": 1}, "does not match its hash"),
        ({"postings": (Posting(B, 1), Posting(A, -1))}, "does not match its hash"),
        ({"prev_hash": bytes(range(32))}, "hash of the entry before"),
        ({"hash": bytes(32)}, "does not match its hash"),
    ],
)
def test_any_change_of_an_entry_breaks_the_chain(change, message):
    entries, _ = seal(Head(), [move(1), move(2)])
    chain = Chain()
    chain.accept(entries[0])
    with pytest.raises(IntegrityError, match=message):
        chain.accept(replace(entries[1], **change))


def test_an_entry_hashed_anew_without_balance_is_still_found():
    ((entry,), _) = seal(Head(), [move(1)])
    postings = (Posting(A, 5), Posting(B, -4))
    digest = entry_hash(GENESIS, 1, 1, "transfer", "", None, entry.meta_json, postings)
    with pytest.raises(IntegrityError, match="does not balance"):
        Chain().accept(replace(entry, postings=postings, hash=digest))


@pytest.mark.parametrize(
    ("draft", "message"),
    [
        (move(kind="gift"), "no kind of entry"),
        (move(postings=()), "0 postings"),
        (move(postings=(Posting(A, 5),)), "does not balance"),
        (move(postings=(Posting(A, 5), Posting(Account("B", "EUR", "cash"), -5))), "does not balance"),
        (move(0), "amount 0"),
        (move(postings=(Posting(A, 5.0), Posting(B, -5))), "amount 5.0"),  # pyright: ignore[reportArgumentType]
        (move(postings=(Posting(A, 2**63), Posting(B, -(2**63)))), "amount 9223372036854775808"),
        (move(ts_ns=-1), "UNIX nanoseconds"),
        (move(ref="a\nb"), "not printable"),
        (move(reverses=1), "reverses 1"),
        (move(kind="reversal"), "reverses None"),
        (move(kind="asset"), "2 postings"),
    ],
)
def test_a_draft_that_cannot_stand_is_refused(draft, message):
    with pytest.raises(DataError, match=message):
        check_draft(draft)


def test_the_limits_of_a_draft_bite():
    many = tuple(Posting(Account("A", "USD", "cash", str(i)), 1 if i % 2 else -1) for i in range(1_002))
    assert len(many) > LEDGER_POSTINGS_PER_ENTRY_MAX
    with pytest.raises(LimitExceededError, match="postings"):
        check_draft(move(postings=many))
    with pytest.raises(LimitExceededError, match="meta has"):
        canonical_meta({"x": "y" * LEDGER_META_BYTES_MAX})
    with pytest.raises(DataError, match="text or a whole number"):
        canonical_meta({"price": 1.5})  # pyright: ignore[reportArgumentType]
    with pytest.raises(LimitExceededError, match="characters"):
        check_account(A._replace(book="x" * (LEDGER_NAME_CHARS_MAX + 1)))
    with pytest.raises(DataError, match="no account role"):
        check_account(A._replace(role="savings"))
    for name in ("", " A", "A\x1f"):
        with pytest.raises(DataError):
            check_account(A._replace(book=name))
    with pytest.raises(LimitExceededError, match="assets"):
        check_asset(Asset("NEW", 0), dict.fromkeys(map(str, range(LEDGER_ASSETS_MAX)), 0))
    with pytest.raises(DataError, match="decimals"):
        check_asset(Asset("NEW", 19), {})


def test_the_number_of_accounts_is_limited():
    state = LedgerState()
    state.apply(Draft("asset", 0, "", (), {"code": "USD", "decimals": 2}))
    state.balances = _Full()
    with pytest.raises(LimitExceededError, match="accounts"):
        state.apply(move())


class _Full(dict):  # a dictionary that says it is full
    def __len__(self) -> int:
        return LEDGER_ACCOUNTS_MAX


def test_an_asset_must_be_defined_before_it_moves():
    with pytest.raises(DataError, match="no smallest unit"):
        LedgerState().apply(move())


def test_a_batch_in_memory_is_kept_whole_or_not_at_all():
    journal = MemoryJournal()
    journal.append([move(ref="1")])
    for bad in ([move(ref="2"), move(ref="1")], [move(ref="3"), move(ref="3")], [move(ref="4"), move(0)]):
        with pytest.raises(DataError):
            journal.append(bad)
    assert journal.head.seq == len(journal.entries) == 1
    journal.append([move(), move()])  # entries without a reference may repeat
    assert journal.entry(3).seq == 3
    with pytest.raises(DataError, match="no entry 4"):
        journal.entry(4)


def test_a_ledger_writes_in_batches_and_stops_when_it_cannot():
    ledger = Ledger(batch=2)
    ledger.define(USD)
    assert ledger.waiting == 1
    ledger.post(deposit(ledger.state, ts_ns=1, ref="1", book="A", currency="USD", amount=D(1)), None)
    assert ledger.waiting == 0
    ledger.post(deposit(ledger.state, ts_ns=1, ref="1", book="A", currency="USD", amount=D(1)))
    with pytest.raises(DataError, match="booked already"):
        ledger.flush()
    with pytest.raises(RunFailedError, match="could not be written before"):
        ledger.post(deposit(ledger.state, ts_ns=1, ref="2", book="A", currency="USD", amount=D(1)))
    for batch in (0, LEDGER_BATCH_ENTRIES_MAX + 1):
        with pytest.raises(DataError, match="batch is"):
            Ledger(batch=batch)


def test_reconciliation_names_what_differs_to_the_unit():
    ledger = Ledger()
    ledger.define(Contract(item="AAPL", asset=Asset("AAPL", 0), currency=USD))
    for venue, amount in (("XNAS", D(100)), ("DARK", D(7)), ("", D(3))):
        ledger.post(deposit(ledger.state, ts_ns=1, ref=venue, book="A", currency="USD", amount=amount, venue=venue))
    assert not compare_cash(ledger.state, {("XNAS", "USD"): D(100), ("DARK", "USD"): D(7)})
    differences = compare_cash(ledger.state, {("XNAS", "USD"): D("99.99"), ("IEX", "USD"): D(1)})
    assert [(d.where, d.ledger, d.venue) for d in differences] == [
        ("DARK", D(7), D(0)),
        ("IEX", D(0), D(1)),
        ("XNAS", D(100), D("99.99")),
    ]
    differences += compare_positions(ledger.state, {("A", "AAPL.XNAS"): D(1)})
    with pytest.raises(ReconciliationError) as caught:
        require_reconciled(differences * 10)
    assert "off +0.01" in caught.value.problem
    assert "and 20 more" in caught.value.problem
    require_reconciled([])


def test_records_refuse_what_cannot_be():
    profile = RiskProfile(gamma=D("0.1"), max_drawdown=D("0.2"))
    Portfolio(id="WM-1", owner_name="Ann", risk_profile=profile, nav=D(1), currency="USD")
    StrategyRecord(id="AM-1", name="Momentum", logic_path="m:C", allocation_pct=D("12.5"))
    for bad in (
        lambda: RiskProfile(gamma=D(0), max_drawdown=D("0.2")),
        lambda: RiskProfile(gamma=D(1), max_drawdown=D(2)),
        lambda: Portfolio(id="", owner_name="Ann", risk_profile=profile, nav=D(1), currency="USD"),
        lambda: Portfolio(id="W", owner_name="Ann", risk_profile=profile, nav=D("NaN"), currency="USD"),
        lambda: StrategyRecord(id="A", name="M", logic_path="", allocation_pct=D(1)),
        lambda: StrategyRecord(id="A", name="M", logic_path="m:C", allocation_pct=D("100.1")),
    ):
        with pytest.raises(DataError):
            bad()


def test_definitions_come_once_and_in_order():
    contract = Contract(item="AAPL", asset=Asset("AAPL", 0), currency=USD)
    drafts = definitions(LedgerState(), contract, USD, contract)
    assert [d.ref for d in drafts] == ["asset AAPL", "asset USD", "contract AAPL"]
    with pytest.raises(DataError, match="not defined first"):
        LedgerState().apply(drafts[-1])
