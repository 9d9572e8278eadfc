"""Finds calls around the risk gate in the source of a book."""

import ast
import inspect
from pathlib import Path
from typing import NamedTuple

from ufos_nautilus.engine.gate import ORDER_METHODS
from ufos_nautilus.errors import SpecError

GATED = frozenset((*ORDER_METHODS, "close_position", "close_all_positions"))
HOUSE_ONLY = frozenset(("make_leg", "send_leg"))
"""Methods that only the house calls; a book that does would send an order reviewed by nobody."""


class Bypass(NamedTuple):
    """One place where source goes around the gate."""

    line: int
    what: str


def find_bypasses(source: str) -> list[Bypass]:
    """Return every place in `source` that reaches an order method other than through the book itself.

    Found are ``Strategy.submit_order(...)`` and the same through any class or `super()`, `getattr` with an order
    method's name, replacing the gate, and order methods taken as values from anything but ``self``.
    """
    found: list[Bypass] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in GATED:
            owner = node.value
            if not (isinstance(owner, ast.Name) and owner.id == "self"):
                found.append(Bypass(node.lineno, f"{ast.unparse(node)} goes around the gate"))
        elif isinstance(node, ast.Attribute) and node.attr in HOUSE_ONLY:
            found.append(Bypass(node.lineno, f"{ast.unparse(node)} is for the house alone"))
        elif isinstance(node, ast.Constant) and node.value in GATED | HOUSE_ONLY:
            found.append(Bypass(node.lineno, f"the name {node.value!r} as text can reach an order method"))
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr in {"gate", "_passes", *GATED}:
                    found.append(Bypass(node.lineno, f"{ast.unparse(target)} is replaced"))
    return sorted(set(found))


def refuse_bypasses(book_class: type) -> None:
    """Raise `SpecError` where the module of a book class calls around the gate."""
    source = inspect.getsourcefile(book_class)
    if source is None:
        raise SpecError(f"the source of {book_class.__name__} can't be read", expected="a class from a Python file")
    bypasses = find_bypasses(Path(source).read_text(encoding="utf-8"))
    if bypasses:
        listing = "; ".join(f"line {b.line}: {b.what}" for b in bypasses)
        raise SpecError(
            f"{book_class.__module__} calls around the risk gate: {listing}",
            expected="orders sent with self.submit_order and its siblings only",
        )
