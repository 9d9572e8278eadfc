"""What the documents tell a reader to type exists: commands, options, make targets, scripts, files."""

import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ufos_nautilus.cli import CHAPTERS

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [
        *CHECKOUT.glob("*.md"),
        *(CHECKOUT / f / "README.md" for f in ("strategies", "adapters", "catalogs", "sandbox", "mcp")),
    ]
)
COMMANDS = {name: module for chapter in CHAPTERS.values() for name, (module, _) in chapter.items()}
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text("utf-8"), re.MULTILINE))
OWN_OPTIONS = {"--help", "--version"}


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def shell_commands() -> Iterator[tuple[str, list[str]]]:
    """(document, words) of every command in a `bash` block, `a && b` as two."""
    for document in DOCUMENTS:
        for block in blocks(document, "bash"):
            joined = block.replace("\\\n", " ")
            for line in joined.splitlines():
                for part in re.split(r"&&|\|\||;|\|", line.partition(" #")[0]):
                    if words := shlex.split(part, comments=True):
                        yield document.name, words


UFOS_COMMANDS = [
    pytest.param(words[words.index("ufos") + 1 :], id=f"{i:02}-{shlex.join(words)[:60]}")
    for i, (_, words) in enumerate(shell_commands())
    if "ufos" in words
]


def test_the_readme_begins_with_the_two_commands():
    first, second = blocks(CHECKOUT / "README.md", "bash")[:2]
    assert first == "pip install uv && uv run ufos demo\n"
    assert second == "uv run pytest\n"


@pytest.mark.parametrize("words", UFOS_COMMANDS)
def test_a_command_of_the_documents_exists_with_its_options(words):
    typer = importlib.import_module("typer")
    if words[0].startswith("-"):
        assert set(words) <= OWN_OPTIONS
        return
    assert words[0] in COMMANDS, f"there is no `ufos {words[0]}`"
    command = typer.main.get_command(importlib.import_module(f"ufos_nautilus.cli.{COMMANDS[words[0]]}").app)
    rest = words[1:]
    while getattr(command, "commands", None) and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"`ufos {' '.join(words)}`: no {rest[0]!r}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)} | {"--help"}
    used = {word.partition("=")[0] for word in rest if word.startswith("-")}
    assert used <= known, f"`ufos {' '.join(words)}`: unknown {sorted(used - known)}"


def test_commands_other_than_ufos_exist():
    for document, words in shell_commands():
        if words[0] == "make":
            assert words[1] in MAKE_TARGETS, f"{document}: there is no target {words[1]}"
        elif words[:3] == ["uv", "run", "python"]:
            assert (CHECKOUT / words[3]).is_file() or words[3] == "-m", f"{document}: there is no {words[3]}"
        else:
            assert words[:2] in (["pip", "install"], ["uv", "run"]), f"{document}: what is {shlex.join(words)!r}?"


def test_files_named_in_commands_exist():
    for document, words in shell_commands():
        for word in words:
            if word.startswith(("strategies/", "scripts/", "notebooks/", "tests/")):
                assert (CHECKOUT / word).exists(), f"{document}: there is no {word}"


def test_links_of_the_documents_lead_somewhere():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_python_and_toml_of_the_documents_are_well_formed():
    for document in DOCUMENTS:
        for block in blocks(document, "python"):
            compile(block, str(document), "exec")
        for block in blocks(document, "toml"):
            tomllib.loads(block)


def test_continuous_integration_runs_what_the_readme_and_make_check_run():
    ci = (CHECKOUT / ".ci" / "run").read_text("utf-8")
    _, test_command = blocks(CHECKOUT / "README.md", "bash")[:2]
    assert f'stage "tests" {test_command}' in ci
    check = (CHECKOUT / "Makefile").read_text("utf-8").partition("\ncheck:")[2].partition("\n\n")[0]
    steps = [line.strip() for line in check.splitlines()[1:]]
    assert len(steps) >= 5
    assert [step for step in steps if step not in ci] == []
    assert "- run: .ci/run\n" in (CHECKOUT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
