"""Books of a run hear what they share in the order of the spec, run after run."""

from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.books.witnesses import Listener
from ufos_nautilus.engine import parse_spec, run_backtest

NAMES = ["AAAA.XSIM", "AAAB.XSIM", "AAAC.XSIM"]
BOOKS = [f"B-{n}" for n in (5, 2, 9, 1, 7, 3)]


def spec(**params: Any) -> dict[str, Any]:
    """Six books in an order that no sorting gives; `params` are the third one's."""
    own = {BOOKS[2]: params}
    return {
        "name": "turns",
        "seed": 3,
        "data": [
            {
                "synthetic": {
                    "kind": "universe",
                    "seed": 1,
                    "params": {"duration_s": 60.0, "step_s": 0.5, "instruments": 3, "sectors": 3},
                },
                "tables": ["quotes"],
            }
        ],
        "venues": [{"name": "XSIM", "balances": ["1000000 USD"], "base_currency": "USD", "book": "L1"}],
        "books": [
            {
                "id": book,
                "kind": "strategy",
                "class_path": "tests.books.witnesses:Listener",
                "params": {"instrument_ids": NAMES[:1] if book == BOOKS[0] else NAMES} | own.get(book, {}),
            }
            for book in BOOKS
        ],
        "ledger": {"enabled": False},
        "recording": {"sample_interval_s": 60.0, "quotes": False},
    }


def hear(root: Path, monkeypatch: pytest.MonkeyPatch, **params: Any) -> list[tuple[str, str, int]]:
    heard: list[tuple[str, str, int]] = []
    monkeypatch.setattr(Listener, "heard", heard, raising=False)
    run_backtest(parse_spec(spec(**params)), root=root)
    return heard


def test_books_hear_quotes_and_timers_in_the_order_of_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = hear(tmp_path, monkeypatch)
    ticks = 0
    for (what, _), group in groupby(heard, lambda h: h[1:]):
        names = [book for book, _, _ in group]
        if what in NAMES:
            assert names == (BOOKS if what == NAMES[0] else BOOKS[1:])
        else:
            assert names == [book for book in BOOKS if book in names]
            ticks += what == "tick"
    assert ticks == 5
    assert hear(tmp_path, monkeypatch) == heard


def test_a_book_that_unsubscribes_hears_no_more_and_the_others_hear_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = hear(tmp_path, monkeypatch)
    fewer = hear(tmp_path, monkeypatch, leave_after=50)
    quotes = [h for h in every if h[1] in NAMES]
    assert [h for h in fewer if h[0] != BOOKS[2] and h[1] in NAMES] == [h for h in quotes if h[0] != BOOKS[2]]
    mine = [h for h in quotes if h[0] == BOOKS[2]]
    kept = mine[:50] + [h for h in mine[50:] if h[1] != NAMES[0]]
    assert [h for h in fewer if h[0] == BOOKS[2] and h[1] in NAMES] == kept
