"""`ufos spec`: check a run spec, or print the JSON Schema of one."""

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from ufos_nautilus.cli.console import out, print_json
from ufos_nautilus.engine import RunSpec, load_spec
from ufos_nautilus.engine.algorithm_setup import load_algorithm_class
from ufos_nautilus.engine.assemble import load_book_class
from ufos_nautilus.engine.spec_file import spec_digest

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Check a run spec, or print the JSON Schema of one.")
ClassPath = Annotated[str, typer.Argument(help="A book class; empty for the run spec itself.")]


@app.command()
def schema(class_path: ClassPath = "") -> None:
    """Print the JSON Schema of a run spec, or of the params of a book class (module:Class)."""
    model = load_book_class(class_path).Config if class_path else RunSpec
    print(json_module.dumps(model.model_json_schema(), indent=1))


@app.command()
def check(
    spec: Annotated[Path, typer.Argument(help="Run spec (TOML).")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override one value (repeatable).")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Validate a run spec without running it."""
    loaded = load_spec(spec, set_ or [])
    for book in loaded.books:
        load_book_class(book.class_path)
    for path in loaded.algorithms:
        load_algorithm_class(path)
    if json:
        print_json({"name": loaded.name, "valid": True, "spec_digest": spec_digest(loaded)})
    else:
        out().print(f"{spec} is valid: {loaded.name}, {len(loaded.books)} books, digest {spec_digest(loaded)[:12]}")
