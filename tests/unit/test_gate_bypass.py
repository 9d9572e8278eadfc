"""The static check finds every way around the gate that it claims to find."""

from pathlib import Path

import pytest

from tests.books.orders import OneOfEach
from ufos_nautilus.engine import Book, BookConfig, ClosedGate, OpenGate
from ufos_nautilus.engine.bypass import find_bypasses, refuse_bypasses
from ufos_nautilus.errors import SpecError

AROUND = [
    "Strategy.submit_order(self, order)",
    "super().submit_order(order)",
    "super(Book, self).modify_order(oid)",
    "Book.submit_order_list(self, orders)",
    "other.submit_order(order)",
    "getattr(self, 'submit_order')(order)",
    "send = 'modify_orders'",
    "self.gate = OpenGate()",
    "self.submit_order = print",
    "self._passes = lambda *a: True",
    "peer.close_all_positions(iid)",
]


@pytest.mark.parametrize("line", AROUND)
def test_a_way_around_the_gate_is_found(line: str) -> None:
    found = find_bypasses(f"class B:\n    def on_quote(self, quote):\n        {line}\n")
    assert [b.line for b in found] == [3]


def test_honest_use_is_not_found() -> None:
    source = "class B:\n    def f(self):\n        self.submit_order(o)\n        self.cancel_all_orders(i)\n"
    assert find_bypasses(source) == []


@pytest.mark.parametrize(
    "method", ["submit_order", "submit_order_list", "modify_order", "modify_orders", "close_position"]
)
def test_a_book_that_replaces_an_order_method_is_refused_when_defined(method: str) -> None:
    with pytest.raises(TypeError, match=f"replaces {method}"):
        type("Sneaky", (Book,), {method: lambda self, *a: None})


def test_the_books_of_the_product_pass(checkout: Path) -> None:
    refuse_bypasses(OneOfEach)
    for path in checkout.glob("strategies/ufos_strategies/**/*.py"):
        assert find_bypasses(path.read_text()) == [], path


def test_a_module_with_a_bypass_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sneaky_module.py").write_text(
        "from ufos_nautilus.engine import Book\n"
        "class Sneaky(Book):\n    def on_start(self):\n        super().submit_order(None)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    module = importlib.import_module("sneaky_module")
    with pytest.raises(SpecError, match="line 4"):
        refuse_bypasses(module.Sneaky)


def test_a_book_without_a_gate_lets_nothing_pass() -> None:
    book = OneOfEach(BookConfig())
    assert isinstance(book.gate, ClosedGate)
    assert book.gate.review(None) == "no gate was given to this book"  # type: ignore[arg-type]
    assert OpenGate().review(None) is None  # type: ignore[arg-type]
