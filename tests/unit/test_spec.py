"""Run specs: what is refused, and that the message names the way on."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.specs import market_spec
from ufos_nautilus.engine import load_spec, parse_spec
from ufos_nautilus.engine.spec_file import apply_override, spec_digest
from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import SPEC_BYTES_MAX


def changed(path: str, value: Any) -> dict[str, Any]:
    spec = json.loads(json.dumps(market_spec()))
    node = spec
    *keys, last = path.split(".")
    for key in keys:
        node = node[int(key)] if key.isdigit() else node[key]
    node[int(last) if last.isdigit() else last] = value
    return spec


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sed", 3, "unknown key; did you mean 'seed'"),
        ("venues.0.feees", {}, "venues.0.feees: unknown key; did you mean 'fees'"),
        ("venues.0.balances", ["-5 USDT"], "is negative"),
        ("venues.0.balances", ["5USDT"], "no amount with a currency"),
        ("venues.0.balances", [], "venues.0.balances"),
        ("venues.0.fees", {"maker_rate": "2"}, "fractions of notional"),
        ("venues.0.fees", {"model": "fixed"}, "need it"),
        ("venues.0.leverage", "0", "venues.0.leverage"),
        ("data.0", {}, "either a catalog or a synthetic market"),
        ("data.0", {"catalog": "x", "start": "2024-01-01T00:00:00"}, "no time zone"),
        ("data.0", {"catalog": "x", "start": "2024-01-02T00:00:00Z", "end": "2024-01-01T00:00:00Z"}, "not after"),
        ("books.0.id", "no dash", "books.0.id"),
        ("books.0.class_path", "nowhere", "books.0.class_path"),
        ("chunk_rows", 1, "chunk_rows"),
        ("seed", -1, "seed"),
        ("mode", "casino", "mode"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(path: str, value: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        parse_spec(changed(path, value))
    assert caught.value.exit_code == 2
    assert "ufos spec schema" in caught.value.next_step


def test_two_books_of_one_name_are_refused() -> None:
    spec = market_spec()
    with pytest.raises(SpecError, match="'MM-SIM' is there twice"):
        parse_spec(market_spec(books=spec["books"] * 2))


def test_too_many_books_are_refused() -> None:
    books = [{"id": f"B-{i}", "class_path": "a.b:C"} for i in range(201)]
    with pytest.raises(SpecError, match="at most 200"):
        parse_spec(market_spec(books=books))


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=9", ("seed",), 9),
        ("name=other", ("name",), "other"),
        ("venues.0.leverage=5", ("venues", 0, "leverage"), 5),
        ("data.0.synthetic.params.sigma=0.5", ("data", 0, "synthetic", "params", "sigma"), 0.5),
        ("books.0.params.new.deep=true", ("books", 0, "params", "new", "deep"), True),
        ('books.0.params.order_size="2"', ("books", 0, "params", "order_size"), "2"),
    ],
)
def test_an_override_sets_one_value(override: str, path: tuple[Any, ...], value: Any) -> None:
    data = market_spec()
    apply_override(data, override)
    node: Any = data
    for key in path:
        node = node[key]
    assert node == value


@pytest.mark.parametrize("override", ["seed", "=3", "a..b=1", "venues.7.name=x", "venues.first.name=x", "seed.deep=1"])
def test_an_override_that_leads_nowhere_is_refused(override: str) -> None:
    with pytest.raises(SpecError):
        apply_override(market_spec(), override)


def test_the_digest_does_not_depend_on_what_is_left_at_its_default() -> None:
    assert spec_digest(parse_spec(market_spec())) == spec_digest(parse_spec(market_spec(mode="backtest")))
    assert spec_digest(parse_spec(market_spec())) != spec_digest(parse_spec(market_spec(seed=2)))


def test_a_missing_garbled_or_oversized_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="there is no spec file"):
        load_spec(tmp_path / "absent.toml")
    garbled = tmp_path / "garbled.toml"
    garbled.write_text("name = ")
    with pytest.raises(SpecError, match="can't be read as TOML"):
        load_spec(garbled)
    huge = tmp_path / "huge.toml"
    huge.write_text("# " + "x" * SPEC_BYTES_MAX)
    with pytest.raises(SpecError, match="at most"):
        load_spec(huge)


def test_every_spec_in_the_repository_is_valid(checkout: Path) -> None:
    specs = [
        *checkout.glob("strategies/specs/*.toml"),
        checkout / "strategies/ufos_strategies/demo.toml",
        *checkout.glob("tests/golden/*.toml"),
    ]
    assert specs
    for path in specs:
        load_spec(path)
