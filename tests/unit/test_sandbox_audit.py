"""The host believes no figure that it can't work out from its own market data."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.sandbox_results import STEP_NS, change, honest, market, seal, spec_of
from ufos_nautilus.limits import SANDBOX_EVIDENCE_MAX
from ufos_sandbox.audit import audit_self, run_digest
from ufos_sandbox.audit_market import QUEUE, audit_market
from ufos_sandbox.audit_money import audit_money
from ufos_sandbox.figures import figures
from ufos_sandbox.findings import Findings
from ufos_sandbox.messages import GuestResult
from ufos_sandbox.samples import INSTRUMENT, START_NS
from ufos_sandbox.slices import Slice


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Slice:
    return market(tmp_path_factory.mktemp("market"))


def audit(result: GuestResult, part: Slice, **venue: object) -> Findings:
    spec, findings = spec_of(part, **venue), Findings()
    audit_self(result, part, spec, findings)
    audit_money(result, part, spec, findings)
    audit_market(result.fills, part, spec, findings)
    return findings


def test_an_honest_result_stands_and_only_its_order_names_are_new_to_the_host(part):
    findings = audit(honest(part), part)
    assert findings.evidence == []
    assert findings.unjudged() == ["6 x orders with names that are not the engine's"]


def test_profit_is_worked_out_from_fills_and_the_last_mid_price(part):
    result = honest(part, count=5)
    spec = spec_of(part)
    findings = Findings()
    books = audit_money(result, part, spec, findings)
    profit, statistics, samples = figures(result, part, spec, books)
    last = part.frame("quotes", INSTRUMENT).tail(1).row(0, named=True)
    mid = (last["bid_price"] + last["ask_price"]) / 2
    cash = sum((Decimal(f.price) * (-1 if f.side == "BUY" else 1) for f in result.fills), Decimal(0))
    assert Decimal(profit["USD"]) == (cash + mid).quantize(Decimal("0.01"))
    assert statistics["max_inventory"] == {INSTRUMENT: "1"}
    assert statistics["turnover"]["USD"] == str(sum(Decimal(f.price) for f in result.fills))
    assert samples[-1].held == {INSTRUMENT: Decimal(1)}


def forged(part: Slice, index: int = 2, **fields: object) -> GuestResult:
    """The honest result with one fill changed, everything that follows from it repaired."""
    result = honest(part)
    fills = list(result.fills)
    fills[index] = change(fills[index], **fields)
    orders = list(result.orders)
    orders[index] = change(
        orders[index],
        quantity=fills[index].quantity,
        filled_quantity=fills[index].quantity,
        avg_price=fills[index].price,
        ts_init=min(orders[index].ts_init, fills[index].ts),
        ts_last=fills[index].ts,
    )
    return seal(orders, fills)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"price": "1.00"}, "better than the market"),
        ({"price": "5000.00"}, "far from the market"),
        ({"quantity": "999999"}, "were offered there"),
        ({"liquidity": "MAKER", "price": "1.00"}, "nothing in the market reached that price"),
        ({"price": "100.005"}, "no multiple of 0.01"),
        ({"quantity": "0.5"}, "no multiple of 1"),
        ({"ts": START_NS - 1}, "not within its order's life|outside the run"),
        ({"commission": "-3"}, "the venue takes 0"),
        ({"side": "SELL"}, "its order BUY"),
        ({"instrument_id": "GOLD.TEST"}, "belongs to no reported order"),
        ({"book": "OTHER-1"}, "its order"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_one_changed_fill_is_found(part, fields, said):
    findings = audit(forged(part, **fields), part)
    assert any(any(word in line for word in said.split("|")) for line in findings.evidence), findings.evidence


def test_one_tick_better_than_the_market_is_found(part):
    price = Decimal(honest(part).fills[2].price) - Decimal("0.01")
    assert any("better than the market" in line for line in audit(forged(part, price=str(price)), part).evidence)


def test_a_tick_worse_is_open_to_question_and_no_evidence(part):
    price = Decimal(honest(part).fills[2].price) + Decimal("0.01")
    findings = audit(forged(part, price=str(price)), part)
    assert findings.evidence == []
    assert any("worse than the displayed one" in line for line in findings.unjudged())


def test_what_a_larger_order_pays_for_its_rest_is_judged(part):
    result = honest(part, count=1)
    row = part.frame("quotes", INSTRUMENT).row(20, named=True)
    size, ask = int(row["ask_size"]), row["ask_price"]
    first = change(result.fills[0], quantity=str(size))
    rest = change(first, trade_id="T-x", quantity="5", price=f"{ask + Decimal('0.01'):.2f}")
    average = (ask * size + (ask + Decimal("0.01")) * 5) / (size + 5)
    order = change(result.orders[0], quantity=str(size + 5), filled_quantity=str(size + 5), avg_price=f"{average:.10f}")
    findings = audit(seal([order], [first, rest], balances={"TEST": {"USD": "1000000"}}), part)
    assert findings.evidence == []
    assert not any("worse" in line for line in findings.unjudged())


def test_a_resting_order_that_the_market_crossed_is_judged(part):
    quotes = part.frame("quotes", INSTRUMENT)
    row = next(n for n in range(1, 400) if quotes["ask_price"][n] < quotes["ask_price"][n - 1])
    limit, ts = f"{quotes['ask_price'][row]:.2f}", START_NS + row * STEP_NS
    result = honest(part, count=1)
    fill = change(result.fills[0], ts=ts, price=limit, liquidity="MAKER")
    order = change(result.orders[0], ts_init=ts - STEP_NS, ts_last=ts, order_type="LIMIT", price=limit, avg_price=limit)
    findings = audit(seal([order], [fill], balances={"TEST": {"USD": "1000000"}}), part)
    assert findings.evidence == []
    assert not any(QUEUE in line for line in findings.unjudged())
    beyond = change(order, price=f"{Decimal(limit) - 1:.2f}")
    found = audit(seal([beyond], [fill], balances={"TEST": {"USD": "1000000"}}), part)
    assert any("with the limit" in line for line in found.evidence)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"balances": {"TEST": {"USD": "1000001"}}}, "the fills leave"),
        ({"balances": {}}, "is reported to hold 0"),
        ({"balances": {"TEST": {"USD": "999999.98"}, "ELSEWHERE": {"USD": "5"}}}, "no venue of the run"),
    ],
    ids=["more", "none", "elsewhere"],
)
def test_balances_must_follow_from_the_fills(part, changes, said):
    result = honest(part)
    findings = audit(seal(result.orders, result.fills, **changes), part)
    assert any(said in line for line in findings.evidence), findings.evidence


def test_fills_without_orders_are_found(part):
    findings = audit(seal([], honest(part).fills), part)
    assert any("belongs to no reported order" in line for line in findings.evidence)


def test_a_fill_that_is_left_out_or_told_twice_is_found(part):
    result = honest(part)
    for fills in (result.fills[:-1], [*result.fills, result.fills[-1]]):
        assert audit(seal(result.orders, fills), part).evidence


def test_commissions_follow_the_venues_rates(part):
    result = honest(part, count=1)
    fee = (Decimal(result.fills[0].price) * Decimal("0.001")).quantize(Decimal("0.01"))
    paid = change(result.fills[0], commission=str(fee))
    fees = {"fees": {"taker_rate": "0.001"}}
    balance = {"TEST": {"USD": str(1_000_000 - fee)}}
    assert audit(seal(result.orders, [paid], balances=balance), part, **fees).evidence == []
    unpaid = audit(seal(result.orders, result.fills, balances={"TEST": {"USD": "1000000"}}), part, **fees)
    assert any("commission" in line for line in unpaid.evidence)


def test_orders_with_the_engines_names_must_say_when_they_were_made(part):
    result = honest(part, count=2)
    names = ["O-20231114-221322-001-1-1", "O-20231114-221324-001-1-4"]
    orders = [change(o, client_order_id=n) for o, n in zip(result.orders, names, strict=True)]
    fills = [change(f, client_order_id=n) for f, n in zip(result.fills, names, strict=True)]
    findings = audit(seal(orders, fills), part)
    assert findings.evidence == []
    assert findings.unjudged() == ["2 x orders that were made and not reported"]
    late = [change(orders[0], client_order_id="O-20231114-231322-001-1-1"), orders[1]]
    lied = [change(fills[0], client_order_id="O-20231114-231322-001-1-1"), fills[1]]
    assert any("says that it was made at" in line for line in audit(seal(late, lied), part).evidence)


def test_a_digest_of_other_rows_is_found_and_the_hosts_own_is_what_counts(part):
    result = honest(part)
    other = honest(part, count=4)
    findings = audit(seal(result.orders, result.fills, hashes=other.hashes), part)
    assert any("digests are not those" in line for line in findings.evidence)
    assert run_digest(result) == run_digest(seal(result.orders, result.fills, hashes=other.hashes))


def test_evidence_is_bounded_and_the_rest_counted():
    findings = Findings()
    for n in range(SANDBOX_EVIDENCE_MAX + 5):
        findings.against(f"number {n}")
    assert len(findings.listed()) == SANDBOX_EVIDENCE_MAX + 1
    assert findings.listed()[-1] == "and 5 more"


def test_a_single_currency_account_is_left_open(part):
    findings = audit(honest(part), part, base_currency="USD")
    assert any("single-currency" in line for line in findings.unjudged())


def test_the_catalog_is_only_read(tmp_path: Path):
    part = market(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    audit(honest(part), part)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
