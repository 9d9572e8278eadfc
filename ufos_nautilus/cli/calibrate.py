"""`ufos calibrate`: estimate a desk's parameters and write them with their provenance."""

import json as json_module
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.errors import SpecError

app = typer.Typer(add_completion=False)


@app.command()
def calibrate(
    catalog: Annotated[Path | None, typer.Argument(help="Catalog directory.")] = None,
    instrument: Annotated[str, typer.Argument(help="Instrument id; needed where the catalog has several.")] = "",
    from_run: Annotated[str, typer.Option(help="Take A and k from this run's own quotes and fills instead.")] = "",
    book: Annotated[str, typer.Option(help="Book of that run; needed where several quoted.")] = "",
    start: Annotated[str, typer.Option(help="First instant, for example 2024-08-08T23:55:00Z.")] = "",
    end: Annotated[str, typer.Option(help="Last instant.")] = "",
    bound: Annotated[int, typer.Option(help="Inventory bound, orders.")] = 10,
    skew: Annotated[float, typer.Option(help="Move of the quotes at that bound, as a share of their depth.")] = 1.0,
    order_size: Annotated[str, typer.Option(help="Order size; the median market order unless given.")] = "",
    microprice: Annotated[Path | None, typer.Option(help="Fit a micro-price and write it here (JSON).")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Write the parameter file here (TOML).")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Estimate volatility, fill intensity and sizes, with errors, and write what a desk takes."""
    from ufos_nautilus.research.parameter_file import write_calibration

    span = _instant("start", start), _instant("end", end)
    if bool(from_run) == (catalog is not None):
        raise SpecError("name either a catalog or a run", expected="ufos calibrate CATALOG, or --from-run RUN")
    fitted: dict[str, str] = {}
    if from_run:
        found = _from_run(from_run, book)
    else:
        from ufos_nautilus.market.catalog import Catalog
        from ufos_nautilus.research.calibrate_catalog import calibrate_market

        opened = Catalog.open(catalog or "")
        name = instrument or _only(list(opened.instruments()), "instrument")
        size = Decimal(order_size) if order_size else None
        found = calibrate_market(opened, name, *span, bound_orders=bound, skew=skew, size=size)
        if microprice is not None:
            fitted = _fit_microprice(opened, name, span, microprice)
    digest = write_calibration(to, found) if to is not None else ""
    if json:
        print_json({**asdict(found), "file": str(to or ""), "sha256": digest, "microprice": fitted})
        return
    rows = [
        (key, value if isinstance(value, str) else f"{value:.6g}", _error(found.errors.get(key)))
        for key, value in found.parameters.items()
    ]
    print_table(f"{found.instrument_id}, {found.start} to {found.end}", ("parameter", "value", "error"), rows)
    print_table("seen", ("fact", "value"), [(key, f"{value:,.6g}") for key, value in found.facts.items()])
    if to is not None:
        out().print(f'calibration = {{ file = "{to}", sha256 = "{digest}" }}', markup=False, soft_wrap=True)
    if fitted:
        text = f'microprice = {{ file = "{fitted["file"]}", sha256 = "{fitted["sha256"]}" }}'
        out().print(text, markup=False, soft_wrap=True)


def _from_run(run: str, book: str) -> Any:
    from ufos_nautilus.engine.runs import find_run, runs_root
    from ufos_nautilus.report import RunTables
    from ufos_nautilus.research.calibrate_catalog import calibrate_run

    tables = RunTables.load(find_run(runs_root(), run))
    pairs = tables.quotes.select("book", "instrument_id").unique(maintain_order=True).rows()
    books = [b for b, _ in pairs]
    name = book or _only(books, "quoting book")
    if name not in books:
        raise SpecError(f"{name} quoted nothing in {tables.run_id}", expected=f"one of {', '.join(books)}")
    instrument = next(i for b, i in pairs if b == name)
    span = tables.span_ns
    frames = {"quotes": tables.quotes, "fills": tables.fills}
    return calibrate_run(frames, tables.instruments[instrument], name, tables.run_id, span[1] if span else 0)


def _fit_microprice(opened: Any, name: str, span: Any, path: Path) -> dict[str, str]:
    import hashlib

    from ufos_nautilus.market.manifest import write_durably
    from ufos_nautilus.research.calibrate_catalog import calibrate_microprice

    micro = calibrate_microprice(opened, name, *span)
    data = (json_module.dumps(micro.to_dict(), indent=1, sort_keys=True) + "\n").encode()
    write_durably(path, data)
    return {"file": str(path), "sha256": hashlib.sha256(data).hexdigest()}


def _instant(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise SpecError(f"--{name} {text!r} is no instant", expected="like 2024-08-09T00:00:00Z")
    return at


def _only(names: list[str], what: str) -> str:
    if len(names) != 1:
        raise SpecError(f"there are {len(names)} of kind {what}", expected=f"the name of one: {', '.join(names[:10])}")
    return names[0]


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"
