"""Compare the public names of the five packages (`__all__` of every `__init__`) with the pinned list, or write it."""

import argparse
import ast
import json
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PINNED = CHECKOUT / "tests" / "unit" / "public_names.json"
FOLDERS = (".", "strategies", "adapters", "mcp", "sandbox")
PACKAGES = ("ufos_nautilus", "ufos_strategies", "ufos_adapters", "ufos_mcp", "ufos_sandbox")


def public_names() -> dict[str, list[str]]:
    """Return package -> sorted names of its `__all__`, read without importing anything.

    Raises
    ------
    SystemExit
        If a module that is no `__init__` has an `__all__`, or an `__all__` is not a plain list of strings.

    """
    names: dict[str, list[str]] = {}
    for folder, package in zip(FOLDERS, PACKAGES, strict=True):
        root = CHECKOUT / folder
        for path in sorted((root / package).rglob("*.py")):
            declared = declared_names(path)
            if declared is None:
                continue
            if path.name != "__init__.py":
                sys.exit(f"{path.relative_to(CHECKOUT)}: `__all__` belongs in the `__init__` of its package")
            names[".".join(path.parent.relative_to(root).parts)] = sorted(declared)
    return names


def declared_names(path: Path) -> list[str] | None:
    """Return the `__all__` of one file, or None if it has none."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            try:
                return list(ast.literal_eval(value))
            except ValueError:
                sys.exit(f"{path.relative_to(CHECKOUT)}: write `__all__` as a plain list of strings")
    return None


def differences(pinned: dict[str, list[str]], current: dict[str, list[str]]) -> list[str]:
    """Return one line for each name that came or went."""
    lines: list[str] = []
    for package in sorted(pinned.keys() | current.keys()):
        before, now = set(pinned.get(package, [])), set(current.get(package, []))
        lines += [f"- {package}.{name}" for name in sorted(before - now)]
        lines += [f"+ {package}.{name}" for name in sorted(now - before)]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="pin the names as they are now")
    if parser.parse_args().write:
        PINNED.write_text(json.dumps(public_names(), indent=1) + "\n", "utf-8")
        return
    changed = differences(json.loads(PINNED.read_text("utf-8")), public_names())
    if changed:
        sys.exit("\n".join([*changed, "if meant: uv run python scripts/public_names.py --write"]))


if __name__ == "__main__":
    main()
