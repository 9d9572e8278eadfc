"""Strategies there are to run: books of the product, run specs of the folder, and saved rule strategies."""

import ast
import functools
import importlib.util
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ufos_nautilus.errors import SpecError
from ufos_nautilus.limits import SPEC_BYTES_MAX

PACKAGE: Final = "ufos_strategies"
SPECS: Final = "strategies/specs"
SPEC_PREFIX: Final = "specs/"
RULE_NAME: Final = r"^[a-z][a-z0-9-]{0,47}(@[0-9]{1,6})?$"
"""Name of a saved strategy, with a version or without."""
NAME: Final = r"^[A-Za-z][A-Za-z0-9_@/-]{0,79}$"
"""What any name of a strategy looks like."""
BASES: Final = ("Book", "RuleStrategy")
DAILY: Final = "DailyBook"


@dataclass(frozen=True, slots=True)
class Listed:
    """A strategy by its name: ``book`` (a class of the product), ``spec`` (a whole run) or ``rule`` (saved data)."""

    name: str
    kind: Literal["book", "spec", "rule"]
    about: str
    where: str
    daily: bool = False
    """A book that acts once a session, on the daily panel's word."""


@functools.cache
def books() -> dict[str, Listed]:
    """Return the book classes of the product by class name, read from their source without importing them."""
    spec = importlib.util.find_spec(PACKAGE)
    found: dict[str, Listed] = {}
    names: set[str] = set(BASES)
    daily = {DAILY}
    for root in spec.submodule_search_locations or [] if spec else []:
        trees = {p: ast.parse(p.read_text("utf-8")) for p in sorted(Path(root).rglob("*.py"))}
        classes = [(p, node) for p, tree in trees.items() for node in tree.body if isinstance(node, ast.ClassDef)]
        while fresh := [(p, n) for p, n in classes if n.name not in names and _bases(n) & names]:
            for path, node in fresh:
                names.add(node.name)
                if _bases(node) & daily:
                    daily.add(node.name)
                if node.type_params:  # for others to build on
                    continue
                module = ".".join(path.relative_to(root).with_suffix("").parts)
                about = (ast.get_docstring(node) or "").partition("\n")[0]
                found[node.name] = Listed(
                    node.name, "book", about, f"{PACKAGE}.{module}:{node.name}", node.name in daily
                )
    return found


def _bases(node: ast.ClassDef) -> set[str]:
    return {name.id for b in node.bases if isinstance(name := getattr(b, "value", b), ast.Name)}


def spec_files(root: Path) -> dict[str, Listed]:
    """Return the run specs of a folder by name (``specs/NAME``)."""
    out = {}
    for path in sorted((root / SPECS).glob("*.toml")):
        name = f"{SPEC_PREFIX}{path.stem}"
        out[name] = Listed(name, "spec", str(_read(path).get("description", "")), str(path))
    return out


def read_spec(root: Path, name: str) -> dict[str, Any]:
    """Return a run spec as plain data.

    Raises
    ------
    SpecError
        There is none of that name.

    """
    known = spec_files(root)
    if name not in known:
        raise SpecError(f"there is no run spec {name!r}", expected=", ".join(known) or f"a file in {SPECS}")
    return _read(Path(known[name].where))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > SPEC_BYTES_MAX:
            return {}
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
