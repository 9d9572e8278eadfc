"""What holds for every sequence of trades: balance, positions, the profit identity, allocation and lots."""

from decimal import ROUND_HALF_EVEN
from decimal import Decimal as D
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ufos_nautilus.ledger import (
    Account,
    Asset,
    BlockAllocation,
    Contract,
    Ledger,
    Leg,
    LotBook,
    allocate,
    capital,
    cross,
    deposit,
    dividend,
    fill,
    nav,
    results,
    reversal,
    split,
    trial_balance,
)
from ufos_nautilus.ledger.lots import LOT_METHODS
from ufos_nautilus.ledger.money import half_even, share

USD, BTC = Asset("USD", 2), Asset("BTC", 8)
LINEAR = Contract(item="X", asset=Asset("X", 1), currency=USD, multiplier=D("2.5"))
INVERSE = Contract(item="X", asset=Asset("X", 0), currency=BTC, multiplier=D(100), inverse=True, average="cost")
BY_PRICE = Contract(item="X", asset=Asset("X", 0), currency=BTC, multiplier=D(100), inverse=True)
BOOKS, VENUES = ("A", "B"), ("V", "W")

prices = st.integers(1, 500_000).map(lambda cents: D(cents) / 1000)
signed = st.integers(-60, 60).filter(bool)
trades = st.lists(
    st.tuples(st.sampled_from(BOOKS), st.sampled_from(VENUES), signed, prices, st.integers(-3, 9)), max_size=40
)


def play(contract: Contract, sequence, margined: bool, nudges=()) -> Ledger:
    """Post fills; `nudges` are units by which the venue settles off the exact result."""
    ledger = Ledger()
    ledger.define(contract)
    lot, unit = D(1).scaleb(-contract.asset.decimals), D(1).scaleb(-contract.currency.decimals)
    for number, (book, venue, quantity, price, commission) in enumerate(sequence):
        settings = {
            "ts_ns": number,
            "ref": str(number),
            "instrument_id": f"X.{venue}",
            "side": "BUY" if quantity > 0 else "SELL",
            "quantity": abs(quantity) * lot,
            "price": price,
        }
        leg = Leg(book=book, margined=margined, commission=commission * unit)
        draft = fill(ledger.state, leg, **settings)
        if nudges:
            cash = Account(book, contract.currency.code, "cash", venue)
            exact = sum(amount for account, amount in draft.postings if account == cash)
            settled = (exact + commission + nudges[number % len(nudges)]) * unit
            draft = fill(ledger.state, Leg(book=book, margined=margined, settled=settled), **settings)
        ledger.post(draft)
    ledger.flush()
    return ledger


@pytest.mark.parametrize(
    ("contract", "margined"),
    [(LINEAR, False), (LINEAR, True), (INVERSE, True)],
    ids=["paid in full", "margined", "inverse"],
)
@given(sequence=trades, mark=prices)
def test_profit_is_cash_flow_plus_market_value_to_the_unit(contract, margined, sequence, mark):
    ledger = play(contract, sequence, margined)
    state = ledger.state
    assert not any(trial_balance(state).values())
    code = contract.currency.code
    for book in BOOKS:
        mine = [(venue, q, p, c) for b, venue, q, p, c in sequence if b == book]
        position = sum(q for _, q, _, _ in mine)
        assert state.holding(book, "X").quantity == position
        flow = -sum(contract.value(q, p) for _, q, p, _ in mine)
        unit = D(1).scaleb(-contract.currency.decimals)
        rows = results(state, book, {"X": mark})
        result = rows[0] if rows else None
        earned = (result.realised + result.unrealised) / unit if result else 0
        assert earned == flow + contract.value(position, mark)
        costs = sum(c for *_, c in mine)
        worth = nav(state, book, {"X": mark}).get(code, D(0)) / unit
        assert worth == flow - costs + contract.value(position, mark)
        for venue in VENUES:
            if not sum(q for v, q, _, _ in mine if v == venue):
                assert state.holding(book, "X").at(venue).financing == 0
        if not position:
            assert state.holding(book, "X").cost == 0


@given(sequence=trades, mark=prices, nudges=st.lists(st.integers(-1, 1), min_size=1, max_size=5))
def test_what_a_venue_settles_is_the_cash_and_nothing_is_lost(sequence, mark, nudges):
    ledger = play(LINEAR, sequence, margined=True, nudges=nudges)
    state = ledger.state
    assert not any(trial_balance(state).values())
    for book in BOOKS:
        sums = [a for account, a in state.balances.items() if account.book == book and account.asset == "USD"]
        assert sum(sums) == 0
        for result in results(state, book, {"X": mark}):
            assert nav(state, book, {"X": mark})["USD"] == result.total


@given(sequence=trades.filter(bool))
def test_an_average_by_price_weighs_prices_by_quantity(sequence):
    ledger = play(BY_PRICE, [("A", "V", abs(q), p, 0) for _, _, q, p, _ in sequence], margined=True)
    holding = ledger.state.holding("A", "X")
    exact = sum(Fraction(p) * abs(q) for _, _, q, p, _ in sequence) / holding.quantity
    average = BY_PRICE.average_price(holding.quantity, holding.cost)
    assert average is not None
    assert abs(Fraction(average) / exact - 1) < Fraction(1, 10**5)


@given(
    opening=trades,
    crossed=st.lists(st.tuples(signed, prices, st.booleans(), st.booleans()), max_size=12),
)
def test_a_cross_leaves_the_house_as_a_whole_untouched(opening, crossed):
    ledger = play(LINEAR, opening, margined=False)
    state = ledger.state

    def house() -> tuple[int, int]:
        cash = sum(a for account, a in state.balances.items() if account.role in ("cash", "financing"))
        return cash, sum(state.holding(book, "X").quantity for book in BOOKS)

    before = house()
    for number, (quantity, price, buyer_margined, seller_margined) in enumerate(crossed):
        buyer, seller = BOOKS if quantity > 0 else BOOKS[::-1]
        ledger.post(
            cross(
                state,
                Leg(book=buyer, margined=buyer_margined),
                Leg(book=seller, margined=seller_margined),
                ts_ns=number,
                ref=f"X{number}",
                instrument_id="X.DARK",
                quantity=D(abs(quantity)) / 10,
                price=price,
            )
        )
        assert house() == before
    assert not any(trial_balance(state).values())


@given(sequence=trades.filter(bool), data=st.data())
def test_taking_back_an_entry_gives_the_balances_without_it(sequence, data):
    ledger = play(LINEAR, sequence, margined=False)
    entries = [e for e in ledger.journal.entries if e.kind == "fill"]  # pyright: ignore[reportAttributeAccessIssue]
    chosen = data.draw(st.sampled_from(entries))
    before = dict(ledger.state.balances)
    ledger.post(reversal(chosen, ts_ns=1, ref="R", reason="test"))
    moved = {account: ledger.state.balances[account] - units for account, units in before.items()}
    expected: dict[Account, int] = {}
    for account, amount in chosen.postings:
        expected[account] = expected.get(account, 0) - amount
    assert {a: u for a, u in moved.items() if u} == {a: u for a, u in expected.items() if u}
    assert not any(trial_balance(ledger.state).values())


@given(
    quantity=st.integers(1, 5_000),
    per_unit=st.integers(1, 10_000).map(lambda n: D(n) / 10_000),
    new=st.integers(1, 30),
    old=st.integers(1, 30),
    price=prices,
)
def test_corporate_actions_change_no_total(quantity, per_unit, new, old, price):
    ledger = Ledger()
    contract = Contract(item="X", asset=Asset("X", 0), currency=USD)
    ledger.define(contract)
    state = ledger.state
    ledger.post(deposit(state, ts_ns=0, ref="1", book="A", currency="USD", amount=D(10**9), venue="V"))
    bought = {"instrument_id": "X.V", "side": "BUY", "quantity": D(quantity), "price": price}
    ledger.post(fill(state, Leg(book="A"), ts_ns=0, ref="1", **bought))
    paid = dividend(state, ts_ns=1, ref="D", book="A", item="X", per_unit=per_unit, venue="V")
    ledger.post(paid)
    exact = Fraction(per_unit) * quantity * 100
    assert abs((paid.postings[0].amount if paid else 0) - exact) <= Fraction(1, 2)
    ledger.post(split(state, ts_ns=2, ref="S", book="A", item="X", new=new, old=old, cash_in_lieu=price))
    assert state.holding("A", "X").quantity == quantity * new // old
    total = sum(result.total for result in results(state, "A", {"X": price}))
    assert nav(state, "A", {"X": price})["USD"] == capital(state, "A")["USD"] + total


@given(total=st.integers(-(10**12), 10**12), weights=st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_shares_add_up_and_are_within_one_of_exact(total, weights):
    whole = sum(weights)
    if not whole:
        return
    shares = allocate(total, weights)
    assert sum(shares) == total
    for part, weight in zip(shares, weights, strict=True):
        assert abs(part - Fraction(total * weight, whole)) < 1
        if abs(total) <= whole:
            assert abs(part) <= weight
    order = sorted(range(len(weights)), key=lambda i: weights[i])
    assert all(abs(shares[a]) <= abs(shares[b]) for a, b in pairwise(order) if weights[a] < weights[b])


@given(ordered=st.lists(st.integers(1, 10_000), min_size=1, max_size=12), data=st.data())
def test_a_block_fills_every_child_exactly(ordered, data):
    block = BlockAllocation(dict(enumerate(ordered)))
    got, money_in, money_out = [0] * len(ordered), 0, 0
    while left := sum(block.remaining.values()):
        commission = data.draw(st.integers(-500, 500))
        for child, (units, part) in block.fill(data.draw(st.integers((left + 3) // 4, left)), [commission]).items():
            got[child] += units
            money_out += part
            assert got[child] <= ordered[child]
        money_in += commission
    assert got == ordered
    assert money_in == money_out


@pytest.mark.parametrize("method", LOT_METHODS)
@given(sequence=st.lists(st.tuples(signed, prices), max_size=40), data=st.data())
def test_lots_add_up_to_the_position_and_to_all_the_money(method, sequence, data):
    book = LotBook(LINEAR, method)
    position = flow = gains = 0
    for number, (quantity, price) in enumerate(sequence):
        closing = min(abs(quantity), abs(position)) if quantity * position < 0 else 0
        picks = []
        if method == "specific":
            for name in data.draw(st.permutations(list(book.lots))):
                take = min(closing - sum(q for _, q in picks), book.lots[name].quantity)
                if take:
                    picks.append((name, take))
        disposals = book.trade(number, str(number), quantity, price, picks)
        position += quantity
        flow -= LINEAR.value(quantity, price)
        gains += sum(d.gain for d in disposals)
        assert sum(d.quantity for d in disposals) == closing
        assert book.position == position
        assert all(lot.quantity > 0 for lot in book.lots.values())
        assert gains - book.cost == flow
    opened = [lot.ts_ns for lot in book.lots.values()]
    assert opened == sorted(opened)


@given(top=st.integers(-(10**20), 10**20), places=st.integers(1, 9))
def test_rounding_agrees_with_decimal(top, places):
    exact = D(top).scaleb(-places)
    assert half_even(top, 10**places) == int(exact.quantize(D(1), rounding=ROUND_HALF_EVEN))


@given(amount=st.integers(-(10**15), 10**15), parts=st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_an_amount_taken_in_parts_is_taken_whole(amount, parts):
    whole, left = sum(parts), amount
    for part in parts:
        taken = share(left, part, whole)
        left, whole = left - taken, whole - part
    assert left == 0
