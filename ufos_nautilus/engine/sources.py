"""Resolves the data part of a spec: catalogs opened, markets generated, tables picked, names checked."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.engine.feed import TableRef
from ufos_nautilus.engine.generated import bar_quotes_catalog, generated_catalog
from ufos_nautilus.engine.spec import DataSpec
from ufos_nautilus.errors import DataError, SpecError
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.manifest import Dataset
from ufos_nautilus.market.recording import TableKind

AGAIN = "`ufos data check CATALOG` says more; import the recording again"


@dataclass(slots=True)
class Sources:
    """What the data part of a spec resolves to."""

    instruments: dict[str, InstrumentSpec] = field(default_factory=dict)
    tables: list[TableRef] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    catalogs: dict[str, Catalog] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name of a fact, of `SYMBOL_FACTS` -> symbol -> what is known."""

    def files(self, instrument_id: str, kind: TableKind) -> list[Path]:
        """Return the files of an instrument's table, whether or not the run replays it."""
        catalog = self.catalogs.get(instrument_id)
        tables = catalog.tables(instrument_id) if catalog is not None else []
        found = [t.identifier for t in tables if t.kind == kind]
        return catalog.files(kind, found[0]) if catalog is not None and found else []


def resolve_sources(specs: Sequence[DataSpec]) -> Sources:
    """Open the catalogs a spec names (generating markets where it asks for them) and pick tables.

    Raises
    ------
    SpecError
        For an unknown instrument, naming the nearest one.

    """
    out = Sources()
    for spec in specs:
        path = generated_catalog(spec.synthetic) if spec.synthetic else Path(spec.catalog)
        catalog = Catalog.open(path)
        known = catalog.instruments()
        wanted = list(spec.instruments) or sorted(known)
        for name in wanted:
            require_known(name, known, f"catalog {path}")
            out.instruments[name] = known[name]
            out.catalogs[name] = catalog
        out.tables += table_refs(catalog, path, wanted, spec.tables)
        if spec.quotes_from_bars is not None:
            quotes = Catalog.open(bar_quotes_catalog(catalog, wanted, spec.quotes_from_bars))
            out.tables += table_refs(quotes, quotes.root, wanted, ["quotes"])
            out.catalogs |= dict.fromkeys(wanted, quotes)
        for dataset in catalog.manifest.datasets:
            for fact, by_symbol in symbol_facts(dataset).items():
                out.facts.setdefault(fact, {}).update(by_symbol)
        out.digests.append(catalog.digest(wanted))
    check_rows(out.tables)
    if not out.tables:
        raise SpecError(
            "the spec's data holds no tables at all", next_step="`ufos data list CATALOG` shows what is there"
        )
    return out


def check_rows(tables: Sequence[TableRef]) -> None:
    """Check that the files of tables hold as many rows as their catalog says.

    Raises
    ------
    DataError
        Where a file is missing, unreadable, or was changed after the import.

    """
    for kind in sorted({table.kind for table in tables}):
        files = [file for table in tables if table.kind == kind for file in table.files]
        told = sum(table.rows for table in tables if table.kind == kind)
        try:
            found = pl.scan_parquet(files).select(pl.len()).collect().item()
        except (OSError, pl.exceptions.PolarsError) as error:
            text = str(error).splitlines()[0][:200]
            raise DataError(f"{kind} of the catalog can't be read: {text}", next_step=AGAIN) from None
        if found != told:
            what = f"{kind} of the catalog hold {found:,} rows and its manifest tells of {told:,}"
            raise DataError(what, expected="files as they were imported", next_step=AGAIN)


def symbol_facts(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Return what an import knows by symbol, in the units of its bars.

    Bars that were adjusted for something know nothing of it any more; a dividend before a split is a smaller one per
    share of bars adjusted for splits.
    """
    adjusted = dataset.options.get("option.adjust", "none")
    facts: dict[str, dict[str, Any]] = {"sub_industries": dict(dataset.facts.get("sub_industries", {}))}
    if adjusted == "all":
        return facts
    splits = dataset.facts.get("splits", {})
    for fact in ("dividends", "distributions"):
        facts[fact] = {
            symbol: [[day, str(Decimal(amount) / _later(splits.get(symbol, []), day, adjusted))] for day, amount in own]
            for symbol, own in dataset.facts.get(fact, {}).items()
        }
    return facts | ({"splits": dict(splits)} if adjusted == "none" else {})


def _later(splits: list[list[str]], day: str, adjusted: str) -> Decimal:
    """Return by how much later splits multiplied a share of that day, where bars are adjusted for them."""
    ratio = Decimal(1)
    for at, amount in splits if adjusted == "splits" else ():
        if at > day:
            ratio *= Decimal(amount)
    return ratio


def table_refs(catalog: Catalog, path: Path, names: Sequence[str], kinds: Sequence[TableKind]) -> list[TableRef]:
    """Return the tables of some instruments in the order of the names: of some kinds, or all where none is named."""
    by_name: dict[str, list[TableRef]] = {name: [] for name in names}
    for entry in catalog.tables():
        if entry.instrument_id in by_name and (not kinds or entry.kind in kinds):
            files = tuple(catalog.root / file.path for file in entry.files)
            ref = TableRef(path, entry.kind, entry.identifier, entry.rows, entry.first_ns, files)
            by_name[entry.instrument_id].append(ref)
    return [ref for name in names for ref in by_name[name]]


def require_known(name: str, known: Any, where: str) -> None:
    """Raise `SpecError` naming the nearest instrument where `name` is not among `known`."""
    if name not in known:
        near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.3)
        hint = f"did you mean {near[0]!r}?" if near else f"there: {', '.join(sorted(known)[:10])}"
        raise SpecError(f"{where} has no instrument {name!r}", expected="an instrument that is there", next_step=hint)


def instrument_names(config: Any) -> list[str]:
    """Return the instruments a config names in fields called ``instrument_id`` or ``instrument_ids``."""
    one = getattr(config, "instrument_id", None)
    return ([one] if one else []) + list(getattr(config, "instrument_ids", ()))
