"""`ufos strategy`: rule strategies as data: validate one, print the schema, begin a new one."""

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.errors import BadInputError, SpecError
from ufos_nautilus.portfolio import read_strategy, strategy_schema
from ufos_nautilus.portfolio.rule_text import WORDS
from ufos_nautilus.portfolio.strategy_spec import EXAMPLES, StrategySpec
from ufos_nautilus.report.plotly_asset import write_whole

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Rule strategies: validate, schema, new.")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def validate(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Rule strategy (TOML or JSON).")], json: Json = False
) -> None:
    """Check a rule strategy and say in words what it does; every problem is named."""
    spec = read_strategy(path)
    if json:
        print_json({"valid": True, "name": spec.name, "strategy": spec.model_dump(mode="json")})
        return
    print_table(f"{spec.name} is valid", ("what", "rule"), in_words(spec))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a rule strategy."""
    print(json_module.dumps(strategy_schema(), indent=1))


@app.command()
def words(json: Json = False) -> None:
    """List what conditions may name: indicators with their defaults, and their outputs."""
    rows = [
        (f"{n}({', '.join(f'{d:g}' for d in w.defaults)})", ", ".join(f".{o}" for o in w.outputs), w.about)
        for n, w in WORDS.items()
    ]
    if json:
        print_json({"words": [{"name": n, "outputs": o, "about": a} for n, o, a in rows]})
    else:
        print_table("indicators", ("as text", "more outputs", "what it says"), rows)


@app.command()
def new(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="File to write (.toml).")],
    example: Annotated[str, typer.Option(help=f"What to begin with: {', '.join(EXAMPLES)}.")] = "dip",
    json: Json = False,
) -> None:
    """Write an example to change; a file that is there is never replaced."""
    if example not in EXAMPLES:
        raise SpecError(f"there is no example {example!r}", expected=", ".join(EXAMPLES))
    if path.suffix.lower() != ".toml":
        raise BadInputError(f"{path} does not end in .toml", expected="the name of a TOML file to write")
    if path.exists():
        raise BadInputError(f"{path} is there already", expected="the name of a new file")
    write_whole(path, as_toml(EXAMPLES[example]).encode())
    if json:
        print_json({"written": str(path), "example": example})
    else:
        out().print(f"  written: {path}\n  next: ufos strategy validate {path}", highlight=False)


def in_words(spec: StrategySpec) -> list[tuple[str, str]]:
    """Return what a strategy does, line by line."""
    rows = [("bets on", spec.description or "not said"), ("bars", spec.bars)]
    of = spec.universe
    rows.append(("looks at", ", ".join(of.symbols or of.sectors) or "every instrument of the run"))
    for name, side in (("buys when", spec.long), ("sells short when", spec.short)):
        if side is not None:
            rows.append((name, " and ".join(side.enter)))
            if side.exit:
                rows.append(("leaves when", " or ".join(side.exit)))
    size = spec.sizing
    how = {
        "weight": f"{size.weight:.2%} of capital each",
        "volatility": f"{size.volatility_target:.2%} volatility a year each, at most {size.weight:.2%} of capital",
        "units": f"{size.units:g} units each",
    }[size.kind]
    rows.append(("size", f"{how}, at most {size.max_positions} positions and {size.max_gross:g} of capital in all"))
    if size.rank:
        rows.append(("first come", f"those with the highest {size.rank}"))
    named = {
        "stop_loss_pct": "at a loss of {:g} %", "take_profit_pct": "at a gain of {:g} %",
        "trailing_stop_pct": "{:g} % below the best close", "max_bars": "after {:g} bars",
    }  # fmt: skip
    ends = [text.format(v) for key, text in named.items() if (v := getattr(spec.exits, key)) is not None]
    if ends:
        rows.append(("leaves in any case", ", ".join(ends)))
    return rows


def as_toml(spec: StrategySpec) -> str:
    """Return a strategy as TOML with what differs from the defaults, its tables in the order of the schema."""
    data = spec.model_dump(mode="json", exclude_defaults=True)
    lines = ["# A rule strategy; `ufos strategy words` lists what conditions may name."]
    lines += [f"{key} = {json_module.dumps(value)}" for key, value in data.items() if not isinstance(value, dict)]
    for key, value in data.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *(f"{k} = {json_module.dumps(v)}" for k, v in value.items())]
    return "\n".join(lines) + "\n"
