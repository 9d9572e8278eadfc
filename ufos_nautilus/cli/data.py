"""`ufos data`: import, check, list, show and generate market data."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from ufos_nautilus.cli.console import ProgressLine, out, print_json, print_table
from ufos_nautilus.cli.data_output import dataset_json, show_import, span, table_json
from ufos_nautilus.errors import SpecError
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.manifest import MANIFEST_PATH
from ufos_nautilus.market.recording import ReadOptions

CATALOGS = Path("catalogs")
DEFECTIVE = 4
"""Exit code of `ufos data check` for a catalog with errors."""

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
generate_app = typer.Typer(no_args_is_help=True, help="Generate a seeded market into a catalog.")
app.add_typer(generate_app, name="generate")

CatalogArgument = Annotated[Path, typer.Argument(metavar="CATALOG", help="Directory of the catalog.")]
CatalogOption = Annotated[
    Path | None, typer.Option("--catalog", help="Directory of the catalog; default catalogs/FORMAT.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line, the result last.")]
PairsOption = Annotated[list[str] | None, typer.Option("--option", "-o", help="Format's own option, name=value.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Parameter of the market, name=value.")]


@app.callback()
def data() -> None:
    """Import, check, list, show and generate market data."""


@app.command("import")
def import_(
    fmt: Annotated[
        str, typer.Argument(metavar="FORMAT", help="binance-raw, lean-ticks, lobster, databento, bars, daily")
    ],
    files: Annotated[list[Path], typer.Argument(help="Files of one recording, read as one stream.")],
    catalog: CatalogOption = None,
    instrument_id: Annotated[str, typer.Option(help="Overrides the instrument id, SYMBOL.VENUE.")] = "",
    tick: Annotated[str, typer.Option(help="Overrides the price step, for example 0.01.")] = "",
    lot: Annotated[str, typer.Option(help="Overrides the size step, for example 0.001.")] = "",
    option: PairsOption = None,
    json: JsonOption = False,
) -> None:
    """Read FILES of one recording into a catalog; importing the same files again changes nothing."""
    from ufos_adapters.files import reader

    read = reader(fmt)
    extra = _pairs(option, "--option")
    identity = {f"option.{k}": v for k, v in extra.items()}
    identity |= {k: v for k, v in (("instrument_id", instrument_id), ("tick", tick), ("lot", lot)) if v}
    target = catalog or CATALOGS / fmt
    with ProgressLine(f"import {fmt}", 0, "lines", quiet=json) as progress:
        options = ReadOptions(instrument_id, tick, lot, extra, progress.advance)
        report = import_recording(
            target,
            lambda: read(files, options),
            sources=files,
            fmt=fmt,
            options=identity,
            instrument_writer=_instrument_writer(),
        )
    show_import(report, target, json=json)


@app.command()
def check(catalog: CatalogArgument, json: JsonOption = False) -> None:
    """Look for gaps, duplicates, disorder, crossed books, bad bars, outliers and the like.

    Exit code 0: no errors (warnings may stand); 4: defective; 2: no catalog.
    """
    from ufos_nautilus.market.quality import check_catalog

    opened = Catalog.open(catalog)
    total = sum(t.rows for t in opened.tables())
    with ProgressLine("check", total, quiet=json) as progress:
        findings = check_catalog(opened, progress.advance)
    errors = sum(f.severity == "error" for _, f in findings)
    if json:
        for table, finding in findings:
            print_json({"table": table.kind, "identifier": table.identifier, **dataclasses.asdict(finding)})
        print_json(
            {
                "catalog": str(catalog),
                "defective": errors > 0,
                "errors": errors,
                "warnings": sum(f.severity == "warning" for _, f in findings),
                "rows": total,
            }
        )
    else:
        rows = [(f.severity, f.code, t.identifier, t.kind, f.count, "\n".join(f.examples[:2])) for t, f in findings]
        print_table(f"{catalog}", ("severity", "finding", "identifier", "table", "count", "examples"), rows)
        out().print(f"{total:,} rows checked: {'defective' if errors else 'clean'}, {errors} kinds of errors")
    raise typer.Exit(DEFECTIVE if errors else 0)


@app.command("list")
def list_(
    catalog: Annotated[
        Path | None,
        typer.Argument(metavar="[CATALOG]", help="Directory of the catalog; default: all of catalogs/."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the tables of a catalog, or the catalogs in catalogs/."""
    if catalog is None:
        _list_catalogs(json=json)
        return
    tables = Catalog.open(catalog).tables()
    if json:
        print_json({"catalog": str(catalog), "tables": [table_json(t) for t in tables]})
        return
    rows = [(t.identifier, t.kind, t.rows, *span(t), len(t.files)) for t in tables]
    print_table(f"{catalog}", ("identifier", "table", "rows", "first", "last", "files"), rows)


def _list_catalogs(*, json: bool) -> None:
    found = [p.parent.parent for depth in ("*", "*/*") for p in CATALOGS.glob(f"{depth}/{MANIFEST_PATH}")]
    opened = [(path, Catalog.open(path)) for path in sorted(found)]
    rows = [(str(path), len(c.instruments()), sum(t.rows for t in c.tables())) for path, c in opened]
    if json:
        print_json({"catalogs": [dict(zip(("catalog", "instruments", "rows"), row, strict=True)) for row in rows]})
        return
    print_table(f"{CATALOGS}", ("catalog", "instruments", "rows"), rows)
    if not rows:
        out().print("none yet; next: ufos data generate single, or ufos data import --help")


@app.command()
def show(catalog: CatalogArgument, instrument: Annotated[str, typer.Argument()], json: JsonOption = False) -> None:
    """Show one instrument: its terms, tables, sources and the defects found at import."""
    opened = Catalog.open(catalog)
    spec = opened.instrument(instrument)
    datasets = [d for d in opened.manifest.datasets if any(t.instrument_id == instrument for t in d.tables)]
    if json:
        print_json(
            {
                "instrument": spec.to_dict(),
                "tables": [table_json(t) for t in opened.tables(instrument)],
                "datasets": [dataset_json(d) for d in datasets],
                "digest": opened.digest([instrument]),
            }
        )
        return
    print_table(instrument, ("term", "value"), list(spec.to_dict().items()))
    rows = [(t.kind, t.identifier, t.rows, *span(t)) for t in opened.tables(instrument)]
    print_table("tables", ("table", "identifier", "rows", "first", "last"), rows)
    sources = [(d.id, d.format, s.name, s.bytes, s.sha256[:12]) for d in datasets for s in d.sources]
    print_table("sources", ("import", "format", "file", "bytes", "sha256"), sources)
    defects = [(x.code, x.count, x.action, "\n".join(x.examples[:2])) for d in datasets for x in d.defects]
    if defects:
        print_table("defects found at import", ("defect", "count", "what was done", "examples"), defects)


@generate_app.command("single")
def generate_single(
    catalog: CatalogOption = None, seed: int = 1, set_: SetOption = None, json: JsonOption = False
) -> None:
    """Generate one instrument: order book, trades and a random mid."""
    from ufos_nautilus.market.synthetic import SingleMarketParams, generate_single

    params = _params(SingleMarketParams, seed, set_)
    _generate("single", params, lambda: generate_single(params), catalog, json=json)


@generate_app.command("universe")
def generate_universe(
    catalog: CatalogOption = None, seed: int = 1, set_: SetOption = None, json: JsonOption = False
) -> None:
    """Generate a correlated equity universe with quotes, trades and sectors."""
    from ufos_nautilus.market.synthetic_universe import UniverseParams, generate_universe

    params = _params(UniverseParams, seed, set_)
    _generate("universe", params, lambda: generate_universe(params), catalog, json=json)


@generate_app.command("daily")
def generate_daily(
    catalog: CatalogOption = None, seed: int = 1, set_: SetOption = None, json: JsonOption = False
) -> None:
    """Generate an equity universe as daily bars, with dividends, sectors, drifts and pairs."""
    from ufos_nautilus.market.synthetic_daily import DailyParams, generate_daily

    params = _params(DailyParams, seed, set_)
    _generate("daily", params, lambda: generate_daily(params), catalog, json=json)


def _generate(name: str, params: Any, read: Any, catalog: Path | None, *, json: bool) -> None:
    target = catalog or CATALOGS / f"synthetic-{name}"
    report = import_recording(
        target,
        read,
        sources=(),
        fmt=f"synthetic-{name}",
        options={k: str(v) for k, v in dataclasses.asdict(params).items()},
        instrument_writer=_instrument_writer(),
    )
    show_import(report, target, json=json)


def _params(kind: type, seed: int, pairs: list[str] | None) -> Any:
    """Build a parameter class from ``name=value`` texts."""
    given = _pairs(pairs, "--set")
    types = {f.name: f.type for f in dataclasses.fields(kind)}
    values: dict[str, Any] = {"seed": seed}
    for name, text in given.items():
        if name not in types:
            raise SpecError(f"a generated market has no parameter {name!r}", expected=", ".join(types))
        try:
            kind_of = types[name]
            values[name] = kind_of(text) if isinstance(kind_of, type) else text
        except ValueError as error:
            raise SpecError(f"--set {name}={text!r}", expected=f"a value of type {types[name]}") from error
    return kind(**values)


def _pairs(texts: list[str] | None, flag: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise SpecError(f"{flag} {text!r}", expected=f"{flag} name=value")
        pairs[name] = value
    return pairs


def _instrument_writer() -> Any:
    # Imported on use: listing and checking need no engine.
    from ufos_nautilus.engine.instruments import write_instruments

    return write_instruments
