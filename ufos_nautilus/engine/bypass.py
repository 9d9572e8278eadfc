"""Finds calls around the risk gate in the source of a book."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ufos_nautilus.engine.gate import ORDER_METHODS
from ufos_nautilus.errors import SpecError

GATED = frozenset((*ORDER_METHODS, "close_position", "close_all_positions"))
HOUSE_ONLY = frozenset(("make_leg", "send_leg"))
"""Methods that only the house calls; a book that does would send an order reviewed by nobody."""


HIDDEN = frozenset(
    ("_gate", "_tracker", "_passes", "_all_pass", "__dict__", "__mro__", "__bases__", "__base__", "__getattribute__",
     "__subclasses__", "__globals__", "__class__")
)  # fmt: skip
"""Ways to the engine's own methods, or to the gate itself, that no book needs."""
RUNS_TEXT = frozenset(("exec", "eval", "compile", "__import__", "globals", "locals", "vars", "setattr", "delattr"))
MODULES = frozenset(("ctypes", "importlib", "inspect", "gc", "operator", "runpy", "code", "builtins", "signal"))
HARMLESS = ("importlib.resources", "importlib.metadata")
EVERYTHING = ("BaseException", "TradingHaltedError")
TRUSTED = ("builtins", "typing", "abc", "ufos_nautilus", "nautilus_trader")
"""Packages whose classes need no check."""
ENGINE_ROOMS = ("nautilus_trader.trading", "nautilus_trader.execution", "nautilus_trader.live")
"""Modules of the engine whose classes send orders for a strategy or beside it."""


class Bypass(NamedTuple):
    """One place where source goes around the gate."""

    line: int
    what: str


def find_bypasses(source: str, *, strict: bool = False) -> list[Bypass]:
    """Return every place in `source` that reaches an order method other than through the book itself.

    Found are ``Strategy.submit_order(...)`` and the same through any class or `super()`, order methods by name,
    replacing the gate, and order methods taken as values from anything but ``self``. A strict check, which every book
    passes that trades outside a sandbox, also finds order methods by a name that is made up at run time, the engine's
    own strategy and execution classes, what lies behind the gate, running text as code, modules that reach into others,
    and handlers that would hold up a `TradingHaltedError`.
    """
    found: list[Bypass] = []
    for node in ast.walk(ast.parse(source)):
        problems = [*_problems(node), *(_strict_problems(node) if strict else ())]
        found += [Bypass(getattr(node, "lineno", 0), what) for what in problems]
    return sorted(set(found))


def _problems(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute):
        yield from _attribute(node)
    elif isinstance(node, ast.Constant) and node.value in GATED | HOUSE_ONLY:
        yield f"the name {node.value!r} as text can reach an order method"
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and target.attr in {"gate", "review", "_passes", *GATED}:
                yield f"{ast.unparse(target)} is replaced"


def _strict_problems(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and node.attr in HIDDEN:
        yield f"{ast.unparse(node)} reaches behind the gate"
    elif isinstance(node, ast.Call):
        yield from _call(node)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from _imports(node)
    elif isinstance(node, ast.ExceptHandler) and _holds_up(node):
        yield "a handler that swallows everything would hold up a halt; catch Exception instead"


def _attribute(node: ast.Attribute) -> Iterator[str]:
    own = isinstance(node.value, ast.Name) and node.value.id == "self"
    if node.attr in GATED and not own:
        yield f"{ast.unparse(node)} goes around the gate"
    elif node.attr in HOUSE_ONLY:
        yield f"{ast.unparse(node)} is for the house alone"


def _call(node: ast.Call) -> Iterator[str]:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name in RUNS_TEXT:
        yield f"{name}() can reach anything"
    elif name == "getattr" and len(node.args) > 1 and _made_up(node.args[1]) and _is_book(node.args[0]):
        yield f"{ast.unparse(node)} can reach an order method"


def _made_up(name: ast.expr) -> bool:
    """Tell whether a name could turn out to be an order method's."""
    if isinstance(name, ast.Constant):
        return False
    if isinstance(name, ast.JoinedStr) and name.values and isinstance(name.values[0], ast.Constant):
        start = str(name.values[0].value)
        return not start or any(m.startswith(start) for m in GATED | HOUSE_ONLY | HIDDEN)
    return True


def _is_book(owner: ast.expr) -> bool:
    """Tell whether an object may be a book or a class of books."""
    if isinstance(owner, ast.Name):
        return owner.id in ("self", "cls") or owner.id[:1].isupper()
    return isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id in ("super", "type")


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    for name in names:
        if name.partition(".")[0] in MODULES and name not in HARMLESS:
            yield f"module {name} can reach anything"
        elif name.startswith(ENGINE_ROOMS):
            yield f"{name} sends orders beside the book; use ufos_nautilus.engine.Book"


def _holds_up(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    everything = any(k is None or ast.unparse(k).rpartition(".")[2] in EVERYTHING for k in kinds)
    return everything and not any(isinstance(n, ast.Raise) and n.exc is None for n in ast.walk(handler))


def refuse_bypasses(book_class: type) -> None:
    """Raise `SpecError` where the module of a book class, or of a class it is made from, calls around the gate."""
    for made_from in book_class.__mro__:
        if made_from.__module__.partition(".")[0] in TRUSTED:
            continue
        source = inspect.getsourcefile(made_from)
        if source is None:
            raise SpecError(f"the source of {made_from.__name__} can't be read", expected="a class from a Python file")
        bypasses = find_bypasses(Path(source).read_text(encoding="utf-8"), strict=True)
        if bypasses:
            listing = "; ".join(f"line {b.line}: {b.what}" for b in bypasses)
            raise SpecError(
                f"{made_from.__module__} calls around the risk gate: {listing}",
                expected="orders sent with self.submit_order and its siblings only",
            )
