"""A limits file is read whole or refused with every wrong key named; two of them can be told apart."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.specs import market_spec
from ufos_nautilus.engine.spec_file import parse_spec, spec_digest
from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import RISK_LIMITS_BYTES_MAX
from ufos_nautilus.risk.compiled import Limits, in_universe
from ufos_nautilus.risk.fixed import SCALE, to_fixed
from ufos_nautilus.risk.restrictions import Restriction, Restrictions, difference
from ufos_nautilus.risk.rules_file import diff, load_rules, parse_rules

EXAMPLE = "strategies/limits.toml"


def refused(**rules: Any) -> str:
    with pytest.raises(SpecError) as caught:
        parse_rules({"currency": "USD"} | rules)
    return caught.value.problem


def test_the_example_file_is_valid(checkout: Path):
    rules = load_rules(checkout / EXAMPLE)
    limits = Limits(rules)
    slot = limits.slot("MM-AAAA", "desk", "AAAA.XSIM")
    assert slot.position == to_fixed("3000")
    assert slot.order_notional == to_fixed("500000")
    assert slot.firm.gross == to_fixed("20000000")
    restricted = limits.slot("WM-ALICE", "client", "AAAB.XSIM").restriction
    assert restricted is not None
    assert restricted.id == "alice-1"
    assert limits.slot("WM-BOB", "client", "AAAB.XSIM").restriction is None


def test_a_wrong_key_is_named():
    assert "firm.max_gros_notional" in refused(firm={"max_gros_notional": "1 USD"})
    assert "kinds.house_of_cards" in refused(kinds={"house_of_cards": {}})
    assert "books.MM-1.max_leverage" in refused(books={"MM-1": {"max_leverage": -1}})


@pytest.mark.parametrize("amount", ["1000", "1000USD", "-5 USD", "1e6 USD", "USD 5", "1_000.00000000000000001 USD"])
def test_an_amount_without_its_unit_is_refused(amount: str):
    assert "firm.max_gross_notional" in refused(firm={"max_gross_notional": amount})


def test_amounts_in_another_currency_are_refused():
    assert "not in the file's currency USD" in refused(books={"MM-1": {"capital": "5 EUR"}})


def test_rules_that_contradict_themselves_are_refused():
    twice = [{"id": "a", "book": "*", "names": ["X"]}] * 2
    assert "'a' is there twice" in refused(restrictions=twice)
    assert "hedge_with" in refused(actions=[{"metric": "leverage", "above": 1, "do": "hedge"}])
    hedge = {"metric": "leverage", "above": 1, "do": "hedge", "hedge_with": "SPY.XSIM", "scope": "firm"}
    assert "acts on a book" in refused(actions=[hedge])


def test_a_file_that_is_no_toml_or_too_large_is_refused(tmp_path: Path):
    path = tmp_path / "limits.toml"
    with pytest.raises(SpecError, match="can't be read"):
        load_rules(path)
    path.write_text("currency = USD")
    with pytest.raises(SpecError, match="can't be read"):
        load_rules(path)
    path.write_text("#" * (RISK_LIMITS_BYTES_MAX + 1))
    with pytest.raises(SpecError, match="bytes"):
        load_rules(path)


def test_two_files_are_told_apart_value_by_value():
    one = parse_rules(
        {"currency": "USD", "firm": {"max_gross_notional": "5 USD"}, "books": {"A-1": {"max_leverage": 2}}}
    )
    two = parse_rules(
        {
            "currency": "USD",
            "firm": {"max_gross_notional": "6 USD"},
            "restrictions": [{"id": "r1", "book": "A-1", "names": ["X"]}],
        }
    )
    assert diff(one, two) == [
        ("books.A-1.max_leverage", "2", ""),
        ("firm.max_gross_notional", "5 USD", "6 USD"),
        ("restrictions.r1.allows", "", "reducing"),
        ("restrictions.r1.book", "", "A-1"),
        ("restrictions.r1.id", "", "r1"),
        ("restrictions.r1.names", "", '["X"]'),
    ]
    assert diff(one, one) == []


def test_the_digest_is_the_same_in_every_process(checkout: Path):
    code = (
        "from pathlib import Path; from ufos_nautilus.risk.rules_file import load_rules; "
        f"print(load_rules(Path({EXAMPLE!r})).digest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=checkout,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        ).stdout
        for seed in ("1", "2")
    }
    assert digests == {load_rules(checkout / EXAMPLE).digest() + "\n"}


def test_a_spec_takes_limits_in_place_or_from_a_file_alike(checkout: Path):
    path = checkout / EXAMPLE
    from_file = parse_spec(market_spec(limits=str(path)))
    assert from_file.limits is not None
    in_place = parse_spec(market_spec(limits=from_file.model_dump(mode="json")["limits"]))
    assert spec_digest(from_file) == spec_digest(in_place)
    with pytest.raises(SpecError, match=r"limits\.firm\.max_leverag"):
        parse_spec(market_spec(limits={"currency": "USD", "firm": {"max_leverag": 1}}))


def test_a_currency_without_a_rate_has_no_value():
    limits = Limits(parse_rules({"currency": "USD", "rates": {"USDT": "0.999"}}))
    assert limits.rate("USD") == SCALE
    assert limits.rate("USDT") == to_fixed("0.999")
    assert limits.rate("EUR") is None


def test_a_universe_names_instruments_or_whole_venues():
    assert in_universe(None, "A.X")
    assert not in_universe([], "A.X")
    assert in_universe(["A.X"], "A.X")
    assert in_universe(["*.X"], "A.X")
    assert not in_universe(["*.Y", "B.X"], "A.X")


def test_the_strictest_restriction_is_the_one_that_binds():
    rules = [
        Restriction(id="soft", book="*", names=("PM",)),
        Restriction(id="hard", book="WM-1", tags=("sin",), allows="nothing"),
    ]
    facts = Limits(parse_rules({"currency": "USD", "instruments": {"PM.X": {"tags": ["sin"]}}})).facts("PM.X")
    found = Restrictions(rules).of("WM-1", facts)
    assert found is not None
    assert found.id == "hard"
    other = Restrictions(rules).of("WM-2", facts)
    assert other is not None
    assert other.id == "soft"


def test_a_change_of_restrictions_is_a_new_version_with_a_difference():
    one = Restrictions([Restriction(id="a", book="*", names=("X",)), Restriction(id="b", book="*", names=("Y",))], 4)
    two = one.changed([Restriction(id="b", book="*", names=("Z",)), Restriction(id="c", book="*", names=("W",))])
    assert two.version == 5
    assert difference(one, two) == {"added": ["c"], "removed": ["a"], "changed": ["b"]}


def test_a_catalogs_file_says_when_it_ends():
    from ufos_nautilus.engine.risk_setup import last_ns

    assert last_ns(Path("1970-01-01T00-00-00-000000000Z_1970-01-02T00-00-01-000000007Z.parquet")) == 86_401 * 10**9 + 7
