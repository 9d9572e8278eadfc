"""Render the capability table of README.md from tests/requirements.toml: check that it is current, or write it."""

import argparse
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
README = CHECKOUT / "README.md"
REQUIREMENTS = CHECKOUT / "tests" / "requirements.toml"
BEGIN, END = "<!-- capabilities: begin -->", "<!-- capabilities: end -->"
STATUSES = ("done", "partial", "open", "not had")


def load() -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Return the areas (letter -> name) and the capabilities (id -> row)."""
    rows = tomllib.loads(REQUIREMENTS.read_text("utf-8"))
    return rows.pop("areas"), rows


def render() -> str:
    """Return the table between the markers: a count per area, then every capability."""
    areas, rows = load()
    lines = ["| area | done | partial | open | not had |", "| --- | ---: | ---: | ---: | ---: |"]
    total: Counter[str] = Counter()
    for letter, name in areas.items():
        count = Counter(row["status"] for id_, row in rows.items() if id_[0] == letter)
        total += count
        lines.append(f"| {letter}. {name} | " + " | ".join(str(count[s]) for s in STATUSES) + " |")
    lines.append("| **all** | " + " | ".join(f"**{total[s]}**" for s in STATUSES) + " |")
    for letter, name in areas.items():
        lines += ["", "<details>", f"<summary>{letter}. {name}</summary>", ""]
        lines += ["| # | capability | state | shown by, or why not |", "| --- | --- | --- | --- |"]
        lines += [row_line(id_, row) for id_, row in rows.items() if id_[0] == letter]
        lines += ["", "</details>"]
    return "\n".join(lines)


def row_line(id_: str, row: dict[str, Any]) -> str:
    """Return one line of the table: its first tests, or the reason."""
    files = list(dict.fromkeys(test.partition("::")[0] for test in row.get("tests", [])))
    shown = ", ".join(f"[{Path(file).stem}]({file})" for file in files)
    note = "; ".join(part for part in (shown, row.get("why", "")) if part)
    return f"| {id_} | {row['title']} | {row['status']} | {note} |".replace("  |", " |")


def readme_with_table() -> str:
    """Return README.md with the table as it should be."""
    text = README.read_text("utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"README.md needs each of {BEGIN} and {END} once")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{render()}\n{END}{rest.split(END)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="rewrite the table in README.md")
    wanted = readme_with_table()
    if parser.parse_args().write:
        README.write_text(wanted, "utf-8")
    elif wanted != README.read_text("utf-8"):
        sys.exit("the table in README.md is not current: uv run python scripts/capabilities.py --write")


if __name__ == "__main__":
    main()
