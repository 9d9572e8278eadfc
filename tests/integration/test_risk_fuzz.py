"""Hostile books against the gate: nothing that breaks a limit reaches the venue, whatever they try.

UFOS_FUZZ_ORDERS sets how many requests are made (100,000 take about a minute).
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.books.hostile import Hostile, Witness
from ufos_nautilus.crossing.chain import ChainReader, Seal
from ufos_nautilus.engine import RunResult, parse_spec, run_backtest
from ufos_nautilus.engine import backtest as backtest_module
from ufos_nautilus.risk.checks import CODES
from ufos_nautilus.risk.fixed import from_fixed

REQUESTS = int(os.environ.get("UFOS_FUZZ_ORDERS", "3000"))
NAMES = ["AAAA.XSIM", "AAAB.XSIM", "AAAC.XSIM"]
BOOKS = {"MM-A": "desk", "WM-B": "client", "AM-C": "strategy", "AM-D": "strategy"}
QUOTES_PER_BOOK = 3 * 119
"""In a minute of half-second steps."""


def hostile_spec(seed: int, requests: int, witness: Witness) -> dict[str, Any]:
    """Four hostile books in three instruments, each limited as the witness thinks."""
    per_quote = max(1, requests // (len(BOOKS) * QUOTES_PER_BOOK))
    params = {"instrument_ids": NAMES, "books": list(BOOKS), "actions_per_quote": per_quote}
    return {
        "name": "fuzz",
        "seed": seed,
        "data": [
            {
                "synthetic": {
                    "kind": "universe",
                    "seed": seed % 3 + 1,
                    "params": {"duration_s": 60.0, "step_s": 0.5, "instruments": 3, "sectors": 3},
                },
                "tables": ["quotes"],
            }
        ],
        "venues": [
            {"name": "XSIM", "balances": ["100000000 USD"], "base_currency": "USD", "leverage": 10, "book": "L1"}
        ],
        "books": [
            {
                "id": book,
                "kind": kind,
                "class_path": "tests.books.hostile:Hostile",
                "capital": ["10000000 USD"],
                "params": params | {"actions_max": max(1, requests // len(BOOKS))},
            }
            for book, kind in BOOKS.items()
        ],
        "limits": {
            "currency": "USD",
            "firm": {"fat_finger_pct": 10, "max_orders_per_s": 100_000},
            "books": {
                book: {"max_gross_notional": f"{witness.notional} USD", "max_orders_per_s": witness.orders_per_s}
                for book in BOOKS
            },
            "instruments": {
                name: {
                    "max_position": str(witness.position),
                    "max_net_position": str(witness.net_position),
                    "max_order_quantity": str(witness.quantity),
                }
                for name in NAMES
            },
            "watch_interval_s": 5.0,
        },
        "ledger": {"enabled": False},
        "recording": {"sample_interval_s": 60.0, "quotes": False},
    }


def run(seed: int, requests: int, root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunResult, Witness, Any]:
    witness = Witness("150", "300", "100", "25000", "0.1", max(8, requests // 1500))
    monkeypatch.setattr(Hostile, "witness", witness, raising=False)
    kept: list[Any] = []
    assemble = backtest_module.assemble

    def keep(*args: Any, **kwargs: Any) -> Any:
        parts = assemble(*args, **kwargs)
        kept.append(parts)
        return parts

    monkeypatch.setattr(backtest_module, "assemble", keep)
    result = run_backtest(parse_spec(hostile_spec(seed, requests, witness)), root=root)
    return result, witness, kept[0]


def check_run(result: RunResult, witness: Witness, parts: Any) -> None:
    assert not witness.problems, witness.problems[:5]
    assert set(witness.codes) <= set(CODES)
    assert result["risk"]["halts"] == 0
    firm, gate = parts.risk.gate.firm, parts.risk.gate
    held = {(s.book.id, s.instrument.id): from_fixed(s.position) for s in firm.held() if s.position}
    assert held == {k: v for k, v in witness.held.items() if v}
    assert {str(k) for k in gate.orders} == set(witness.open)
    opened = {"book": 0, "witness": 0}
    for slot in firm.held():
        opened["book"] += slot.buys + slot.sells
        assert slot.buys >= 0
        assert slot.sells >= 0
    assert result["denied"] == result.table("denials").height
    assert set(result.table("denials")["reason"].str.contains(": ")) == {True}
    end = result["risk"]["audit"]
    reader = ChainReader(result.directory / "risk.jsonl", expect=Seal(end["records"], end["head"]))
    counts = {"passed": 0, "denied": 0}
    for record in reader:
        counts["passed"] += len(record["rows"]) if record["what"] == "passed" else 0
        counts["denied"] += record["what"] == "denied"
    assert counts == {key: result["risk"][key] for key in counts}


def test_no_hostile_order_that_breaks_a_limit_reaches_the_venue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result, witness, parts = run(7, REQUESTS, tmp_path, monkeypatch)
    check_run(result, witness, parts)
    figures = {
        "requests": sum(b.actions for b in parts.books),
        "asked": dict(witness.asked),
        "passed": result["risk"]["passed"],
        "denied": result["risk"]["denied"],
        "sent": dict(witness.sent),
        "fills": result["fills"],
        "codes": dict(witness.codes),
    }
    with capsys.disabled():
        if REQUESTS > 10_000:
            print(json.dumps(figures))
    assert figures["requests"] >= REQUESTS * 0.9
    assert witness.asked["exit that reduces"] > 0
    assert {"POSITION", "NET_POSITION", "ORDER_QUANTITY", "FAT_FINGER", "ORDER_RATE", "UNSUPPORTED"} <= set(
        witness.codes
    )


@given(seed=st.integers(0, 10_000))
@settings(max_examples=4)
def test_nor_does_one_of_any_other_random_book(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        check_run(*run(seed, 800, tmp_path_factory.mktemp("fuzz"), patch))


def test_two_runs_of_the_same_seed_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(11, 1500, tmp_path / "a", monkeypatch)[0]
    second = run(11, 1500, tmp_path / "b", monkeypatch)[0]
    assert first["digest"] == second["digest"]
    assert (first.directory / "risk.jsonl").read_bytes() == (second.directory / "risk.jsonl").read_bytes()
