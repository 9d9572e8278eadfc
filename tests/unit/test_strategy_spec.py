"""Rule strategies as data: what is valid, what is refused and how, and the words of conditions."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from tests.unit.test_technical import ours, walk
from ufos_nautilus.cli.strategy import app
from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import RULE_CONDITIONS_MAX, RULE_PERIOD_MAX, RULE_TEXT_MAX, STRATEGY_FILE_BYTES_MAX
from ufos_nautilus.portfolio import StrategySpec, read_strategy, strategy_schema
from ufos_nautilus.portfolio.rule_text import WORDS, parse_condition, parse_term
from ufos_nautilus.portfolio.strategy_spec import EXAMPLES
from ufos_strategies.rule_indicators import MAKERS, Gauges, Row

GOOD: dict[str, Any] = {"name": "dip", "long": {"enter": ["rsi(14) < 30"], "exit": ["rsi(14) > 50"]}}
TERMS = [f"{name}{'.' + o if o else ''}" for name, word in WORDS.items() for o in ("", *word.outputs)]


def test_defaults_are_filled_in_and_the_schema_accepts_what_the_model_accepts() -> None:
    validator = Draft202012Validator(strategy_schema())
    for spec in (StrategySpec.of(GOOD), *EXAMPLES.values()):
        data = spec.model_dump(mode="json")
        validator.validate(data)
        assert StrategySpec.of(json.loads(json.dumps(data))) == spec
    assert not validator.is_valid({**GOOD, "extra": 1})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"long": None}, "neither long nor short"),
        ({"long": {"enter": ["rsi(14) < 30"]}}, "would never be closed"),
        ({"long": {"enter": [], "exit": ["close < 1"]}}, "long.enter: List should have at least 1 item"),
        ({"long": {"enter": ["rsj(14) < 30"], "exit": ["close < 1"]}}, "long.enter.0: 'rsj(14)' is no indicator"),
        ({"long": {"enter": ["close <> 3"], "exit": ["close < 1"]}}, "'> 3' is no indicator"),
        ({"long": {"enter": ["3 < 4"], "exit": ["close < 1"]}}, "compares two numbers"),
        ({"long": {"enter": ["sma(1) < close"], "exit": ["close < 1"]}}, "out of range"),
        ({"long": {"enter": [f"sma({RULE_PERIOD_MAX + 1}) < close"], "exit": ["close < 1"]}}, "out of range"),
        ({"long": {"enter": ["sma(2.5) < close"], "exit": ["close < 1"]}}, "no whole number of bars"),
        ({"long": {"enter": ["macd(26, 12, 9) > 0"], "exit": ["close < 1"]}}, "not below slow"),
        ({"long": {"enter": ["rsi(14).upper > 0"], "exit": ["close < 1"]}}, "no output 'upper'"),
        ({"long": {"enter": ["close > 0" + " " * RULE_TEXT_MAX], "exit": ["close < 1"]}}, "at most"),
        ({"long": {"enter": ["close > 0"] * (RULE_CONDITIONS_MAX + 1), "exit": ["close < 1"]}}, "at most"),
        ({"name": "No Spaces"}, "name: String should match"),
        ({"bars": "daily"}, "bars: String should match"),
        ({"sizing": {"weight": 0}}, "sizing.weight: Input should be greater than 0"),
        ({"sizing": {"weight": math.nan}}, "sizing.weight"),
        ({"exits": {"stop_loss_pct": 100}}, "exits.stop_loss_pct"),
        ({"unknown": 1}, "unknown: Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        StrategySpec.of({**GOOD, **change})
    assert problem in caught.value.problem
    assert "ufos strategy schema" in caught.value.next_step


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        StrategySpec.of({"name": "X", "bars": "?", "long": {"enter": ["foo > 1"]}})
    assert all(text in caught.value.problem for text in ("name:", "bars:", "long.enter.0:"))


def test_every_word_has_an_indicator_of_the_engine() -> None:
    assert MAKERS.keys() == WORDS.keys()


@pytest.mark.parametrize("text", TERMS)
def test_indicators_agree_with_those_of_research_and_know_nothing_of_the_future(text: str) -> None:
    bars = walk()

    def values(count: int) -> list[float | None]:
        term, out = parse_term(text), []
        gauges = Gauges([term])
        for r in bars.head(count).iter_rows(named=True):
            gauges.update(Row(r["open"], r["high"], r["low"], r["close"], r["volume"]))
            out.append(gauges.value(term))
        return out

    found = values(bars.height)
    assert values(250) == found[:250]
    assert sum(v is not None for v in found) > 300
    if text.partition(".")[0] in ("wma", "hma", "cci", "aroon"):
        return  # the engine alone has them
    pairs = [(f, e) for f, e in zip(found, ours(text, bars), strict=True) if f is not None and e is not None]
    assert len(pairs) > 300
    assert all(math.isclose(f, e, rel_tol=1e-9, abs_tol=1e-9) for f, e in pairs)


def test_crossings_hold_on_the_bar_on_which_they_happen() -> None:
    above, below = parse_condition("close crosses above 10"), parse_condition("close crosses below 10")
    gauges = Gauges([above.left])
    seen = []
    for close in (9.0, 10.0, 11.0, 12.0, 10.0, 9.0):
        gauges.update(Row(close, close, close, close, 1.0))
        seen.append((gauges.holds(above), gauges.holds(below)))
    assert seen == [(False, False), (False, False), (True, False), (False, False), (False, False), (False, True)]


def test_an_example_is_written_validated_and_never_replaced(tmp_path: Path) -> None:
    cli, path = CliRunner(), tmp_path / "own.toml"
    for name, spec in EXAMPLES.items():
        path.unlink(missing_ok=True)
        assert cli.invoke(app, ["new", str(path), "--example", name]).exit_code == 0
        assert read_strategy(path) == spec
        shown = cli.invoke(app, ["validate", str(path)])
        assert shown.exit_code == 0
        assert spec.long is not None
        assert "buys when" in shown.output
    before = path.read_bytes()
    assert cli.invoke(app, ["new", str(path)]).exit_code != 0
    assert path.read_bytes() == before
    printed = cli.invoke(app, ["schema"])
    assert json.loads(printed.output)["title"] == "StrategySpec"
    assert json.loads(cli.invoke(app, ["validate", str(path), "--json"]).output)["valid"] is True


def test_files_that_are_no_strategy_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    for text, problem in (("= 3", "can't be read"), ("name = 3", "name: Input"), ("x" * 10, "can't be read")):
        path.write_text(text)
        with pytest.raises(SpecError, match=problem):
            read_strategy(path)
    path.write_text("#" * (STRATEGY_FILE_BYTES_MAX + 1))
    with pytest.raises(SpecError, match="larger than"):
        read_strategy(path)
    with pytest.raises(SpecError, match="can't be read"):
        read_strategy(tmp_path / "absent.json")
