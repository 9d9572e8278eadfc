"""The house in the engine: the worked example, both legs or neither, and one ledger that agrees to the cent."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.books.house_books import TicketBook
from tests.books.orders import RefusingGate
from ufos_nautilus.crossing.best_execution import read_crosses, verify
from ufos_nautilus.engine import GateRequest, RunResult, parse_spec, run_backtest
from ufos_nautilus.engine import backtest as backtest_module
from ufos_nautilus.engine.dark import AgreedTerms
from ufos_nautilus.errors import ReconciliationError, RunFailedError, SpecError
from ufos_nautilus.ledger.store import LedgerStore


@pytest.fixture(autouse=True, scope="module")
def _generated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UFOS_GENERATED", str(tmp_path_factory.mktemp("generated")))
        yield


def book(book_id: str, kind: str, tickets: list[Any], **params: Any) -> dict[str, Any]:
    return {
        "id": book_id,
        "kind": kind,
        "class_path": "tests.books.house_books:TicketBook",
        "capital": ["1000000 USD"],
        "params": {"instrument_id": "AAAA.XSIM", "tickets": tickets, **params},
    }


def house_spec(books: list[dict[str, Any]] | None = None, **crossing: Any) -> dict[str, Any]:
    """The worked example: a client sells 1000 and a strategy buys 500 one quote later."""
    universe = {"kind": "universe", "seed": 2, "params": {"duration_s": 60.0, "instruments": 1, "sectors": 1}}
    return {
        "name": "house",
        "data": [{"synthetic": universe}],
        "venues": [{"name": "XSIM", "balances": ["5000000 USD"], "leverage": 10, "queue_position": False}],
        "crossing": {"window_s": 3.0, "age_limit_ms": 2_000.0, **crossing},
        "books": books
        or [
            book("WM-ALICE", "client", [(5, "SELL", "1000")]),
            book("AM-CORE", "strategy", [(6, "BUY", "500")]),
            book("IB-DESK", "desk", [], desk="accept"),
        ],
    }


def run(spec: dict[str, Any], root: Path) -> RunResult:
    TicketBook.made.clear()
    return run_backtest(parse_spec(spec), root=root)


def run_with(prepare: Callable[[Any], None], spec: dict[str, Any], root: Path, monkeypatch: Any) -> RunResult:
    assemble = backtest_module.assemble

    def changed(*args: Any) -> Any:
        parts = assemble(*args)
        prepare(parts)
        return parts

    monkeypatch.setattr(backtest_module, "assemble", changed)
    return run(spec, root)


def dark_fills(result: RunResult) -> list[tuple[str, str, Decimal, Decimal]]:
    rows = [r for r in result.fills.iter_rows(named=True) if r["instrument_id"].endswith(".DARK")]
    return [(r["book"], r["side"], r["quantity"], r["price"]) for r in rows]


def test_the_worked_example(tmp_path: Path) -> None:
    """500 cross at the midpoint, 500 go to the desk at the touch, and the ledger holds every share."""
    result = run(house_spec(), tmp_path)
    crosses = result["crosses"]
    assert (crosses["crosses"], crosses["cross_quantity"]) == (1, "500")
    assert (crosses["desk"], crosses["desk_quantity"]) == (1, "500")
    assert crosses["market"] == 0
    record = read_crosses(result.directory / "crosses.jsonl")[0]
    bid, ask = Decimal(record["nbbo"]["bid"]), Decimal(record["nbbo"]["ask"])
    assert Decimal(record["price"]) == (bid + ask) / 2
    assert Decimal(record["buy"]["saved"]) == Decimal(record["sell"]["saved"]) == (ask - bid) / 2 * 500
    fills = dark_fills(result)
    assert {(b, s, q) for b, s, q, _ in fills} == {
        ("WM-ALICE", "SELL", Decimal(500)),
        ("AM-CORE", "BUY", Decimal(500)),
        ("IB-DESK", "BUY", Decimal(500)),
    }
    assert all(price == Decimal(record["price"]) for _, _, _, price in fills[:2])
    desk_price = fills[-1][3]
    touch = result.fills.filter(result.fills["book"] == "WM-ALICE").row(-1, named=True)
    assert desk_price == fills[-2][3] <= Decimal(record["price"])
    assert touch["side"] == "SELL"
    assert result["ledger"]["balanced"]
    assert result["ledger"]["reconciled"]
    assert result["denied"] == result["rejected"] == 0
    assert [f.route for f in TicketBook.made["WM-ALICE"].ticket_fills] == ["cross", "desk"]
    assert TicketBook.made["WM-ALICE"].ticket_fills[-1].done


def test_the_residual_goes_to_the_market_when_the_desk_is_worse_than_the_touch(tmp_path: Path) -> None:
    books = house_spec()["books"]
    books[2]["params"]["desk"] = "worse"
    result = run(house_spec(books), tmp_path)
    assert result["crosses"]["desk"] == 0
    assert (result["crosses"]["market"], result["crosses"]["market_quantity"]) == (1, "500")
    lit = result.fills.filter(result.fills["instrument_id"] == "AAAA.XSIM")
    assert lit["quantity"].sum() == 500
    assert result["ledger"]["reconciled"]


def test_with_internalization_off_everything_goes_to_the_market(tmp_path: Path) -> None:
    result = run(house_spec(enabled=False), tmp_path)
    assert "crosses" not in result.summary
    assert set(result.fills["instrument_id"]) == {"AAAA.XSIM"}
    assert result["ledger"]["reconciled"]


def test_the_transfer_fee_reaches_the_house(tmp_path: Path) -> None:
    result = run(house_spec(fee_bps="0.1"), tmp_path)
    record = read_crosses(result.directory / "crosses.jsonl")[0]
    fees = Decimal(record["buy"]["fee"]) + Decimal(record["sell"]["fee"])
    assert fees > 0
    assert Decimal(result["ledger"]["books"]["HOUSE-1"]["pnl"]["USD"]["transfer_fee"]) == fees
    assert result["ledger"]["reconciled"]


class RefusingBook(RefusingGate):
    """Refuses every order of one book on the internal venue."""

    def __init__(self, book_id: str) -> None:
        super().__init__()
        self.book_id = book_id

    def review(self, request: GateRequest) -> str | None:
        dark = str(request.order.instrument_id).endswith(".DARK")
        return "refused on purpose" if request.book_id == self.book_id and dark else None


@pytest.mark.parametrize("refused", ["WM-ALICE", "AM-CORE"])
def test_neither_leg_books_when_a_gate_refuses_one(tmp_path: Path, monkeypatch: Any, refused: str) -> None:
    def prepare(parts: Any) -> None:
        for b in parts.books:
            b.gate = RefusingBook(refused)

    result = run_with(prepare, house_spec(), tmp_path, monkeypatch)
    assert result["crosses"]["crosses"] == 0
    assert result["crosses"]["aborted"] >= 1
    assert all(b != refused for b, *_ in dark_fills(result))
    assert verify(result.directory / "crosses.jsonl").records == 0
    assert result["ledger"]["reconciled"]


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_neither_leg_books_when_the_engine_denies_one(tmp_path: Path, monkeypatch: Any, side: str) -> None:
    """The engine's own risk check denies a leg of a size that the instrument can't have."""
    from nautilus_trader.model import Quantity

    from ufos_nautilus.engine import book as book_module

    honest = book_module.market_leg
    spoiled: list[str] = []

    def spoil(owner: Any, instrument_id: str, leg_side: str, quantity: Decimal, precision: int, tags: list[str]) -> Any:
        order = honest(owner, instrument_id, leg_side, quantity, precision, tags)
        if leg_side == side and not spoiled:
            spoiled.append(leg_side)
            return owner.order_factory.market(order.instrument_id, order.side, Quantity.from_str("0.5"), tags=tags)
        return order

    monkeypatch.setattr(book_module, "market_leg", spoil)
    result = run(house_spec(), tmp_path)
    assert spoiled == [side]
    assert result["denied"] == 1
    assert result["crosses"]["crosses"] == 0
    assert result["crosses"]["aborted"] == 1
    assert result["crosses"]["desk_quantity"] == "1500", "both tickets go on to the desk whole"
    assert result["ledger"]["reconciled"]


def test_neither_leg_books_when_the_terms_are_gone(tmp_path: Path, monkeypatch: Any) -> None:
    """A venue that knows of no agreement fills nothing: both legs are cancelled and both tickets go on."""
    monkeypatch.setattr(AgreedTerms, "of", lambda self, key: None)
    result = run(house_spec(), tmp_path)
    assert dark_fills(result) == []
    assert result["crosses"]["crosses"] == result["crosses"]["desk"] == 0
    assert result["crosses"]["market_quantity"] == "1500"
    assert result["ledger"]["reconciled"]


def test_a_half_booked_cross_fails_the_run(tmp_path: Path, monkeypatch: Any) -> None:
    """Nothing known leads here; if the venue broke its promise, the run must not pass as if nothing had happened."""
    honest = AgreedTerms.of
    seen: list[str] = []

    def second_only(self: AgreedTerms, key: str) -> Any:
        seen.append(key)
        return None if len(seen) == 2 else honest(self, key)

    monkeypatch.setattr(AgreedTerms, "of", second_only)
    with pytest.raises(RunFailedError, match="half booked"):
        run(house_spec(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_fill_the_ledger_never_saw_fails_the_run_with_a_table(tmp_path: Path, monkeypatch: Any) -> None:
    from ufos_nautilus.engine.keeper import LedgerKeeper

    honest = LedgerKeeper.post_fill
    dropped: list[Any] = []

    def lose_one(self: LedgerKeeper, event: Any) -> None:
        if type(event).__name__ == "OrderFilled" and not dropped and str(event.instrument_id) == "AAAA.XSIM":
            dropped.append(event)
            return
        honest(self, event)

    monkeypatch.setattr(LedgerKeeper, "post_fill", lose_one)
    with pytest.raises(ReconciliationError, match=r"position .*AAAA\.XSIM"):
        run(house_spec(enabled=False), tmp_path)
    assert dropped


def test_the_ledger_of_a_run_can_be_opened_and_ends_where_the_result_says(tmp_path: Path) -> None:
    result = run(house_spec(), tmp_path)
    store = LedgerStore.open(result.directory, readonly=True)
    try:
        assert store.head.hash.hex() == result["ledger"]["head"]
        assert store.head.seq == result["ledger"]["entries"]
    finally:
        store.close()


def test_the_strategies_of_a_run_are_in_its_ledger_with_class_and_allocation(tmp_path: Path) -> None:
    spec = house_spec()
    result = run(spec, tmp_path)
    with LedgerStore.open(result.directory, readonly=True) as store:
        rows = {row.id: row for row in store.strategies()}
    assert set(rows) == {b["id"] for b in spec["books"] if b.get("kind") in ("desk", "strategy")}
    assert all(rows[b["id"]].logic_path == b["class_path"] for b in spec["books"] if b["id"] in rows)
    assert all(row.allocation_pct > 0 for row in rows.values())
    assert sum(row.allocation_pct for row in rows.values()) <= 100


def test_the_same_spec_gives_the_same_crosses_and_journal(tmp_path: Path) -> None:
    one, two = run(house_spec(), tmp_path / "1"), run(house_spec(), tmp_path / "2")
    assert one.digest == two.digest
    assert one["ledger"] == two["ledger"]
    assert one["crosses"] == two["crosses"]


def test_more_capital_than_the_venue_holds_is_refused(tmp_path: Path) -> None:
    books = house_spec()["books"]
    books[0]["capital"] = ["9000000 USD"]
    with pytest.raises(SpecError, match="WM-ALICE wants 9000000 USD"):
        run(house_spec(books), tmp_path)
