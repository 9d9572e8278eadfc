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


STRICTLY_AROUND = [
    *AROUND,
    "self.gate.review = print",
    "getattr(self, 'submit_' + 'order')(order)",
    "getattr(super(), name)(order)",
    "getattr(self, f'submit_{what}')(order)",
    "Strategy.__dict__",
    "type(self).__mro__[2]",
    "self._gate.review",
    "self._tracker.release(request)",
    "exec(text)",
    "vars(Base)[name](self, order)",
    "setattr(self, name, print)",
    "import ctypes",
    "from operator import methodcaller",
    "from nautilus_trader.trading import Strategy",
]
HALTED_UP = [
    "except:",
    "except BaseException:",
    "except (ValueError, BaseException) as e:",
    "except TradingHaltedError:",
]


@pytest.mark.parametrize("line", STRICTLY_AROUND)
def test_a_strict_check_finds_what_hides(line: str) -> None:
    found = find_bypasses(f"class B:\n    def on_quote(self, quote):\n        {line}\n", strict=True)
    assert {b.line for b in found} == {3}


@pytest.mark.parametrize("handler", HALTED_UP)
def test_a_handler_that_would_hold_up_a_halt_is_found_unless_it_raises_again(handler: str) -> None:
    swallows = f"try:\n    work()\n{handler}\n    pass\n"
    raises = f"try:\n    work()\n{handler}\n    raise\n"
    assert [b.line for b in find_bypasses(swallows, strict=True)] == [3]
    assert find_bypasses(raises, strict=True) == []
    assert find_bypasses("try:\n    work()\nexcept Exception:\n    pass\n", strict=True) == []


@pytest.mark.parametrize("line", AROUND)
def test_a_way_around_the_gate_is_found(line: str) -> None:
    found = find_bypasses(f"class B:\n    def on_quote(self, quote):\n        {line}\n")
    assert [b.line for b in found] == [3]


def test_honest_use_is_not_found() -> None:
    source = "class B:\n    def f(self):\n        self.submit_order(o)\n        self.cancel_all_orders(i)\n"
    assert find_bypasses(source, strict=True) == []


@pytest.mark.parametrize(
    "method", ["submit_order", "submit_order_list", "modify_order", "modify_orders", "close_position"]
)
def test_a_book_that_replaces_an_order_method_is_refused_when_defined(method: str) -> None:
    with pytest.raises(TypeError, match=f"replaces {method}"):
        type("Sneaky", (Book,), {method: lambda self, *a: None})


def test_the_books_of_the_product_pass(checkout: Path) -> None:
    refuse_bypasses(OneOfEach)
    for path in checkout.glob("strategies/ufos_strategies/**/*.py"):
        assert find_bypasses(path.read_text(), strict=True) == [], path


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


def test_a_bypass_in_a_base_class_of_a_book_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sneaky_base.py").write_text(
        "from ufos_nautilus.engine import Book\nclass Base(Book):\n    def go(self):\n        exec('pass')\n"
    )
    (tmp_path / "honest_child.py").write_text("from sneaky_base import Base\nclass Child(Base):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    with pytest.raises(SpecError, match="sneaky_base"):
        refuse_bypasses(importlib.import_module("honest_child").Child)


def test_a_book_without_a_gate_lets_nothing_pass() -> None:
    book = OneOfEach(BookConfig())
    assert isinstance(book.gate, ClosedGate)
    assert book.gate.review(None) == "no gate was given to this book"  # type: ignore[arg-type]
    assert OpenGate().review(None) is None  # type: ignore[arg-type]
