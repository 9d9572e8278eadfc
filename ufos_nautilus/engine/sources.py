"""Resolves the data part of a spec: catalogs opened, markets generated, tables picked, names checked."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ufos_nautilus.engine.feed import TableRef
from ufos_nautilus.engine.generated import generated_catalog
from ufos_nautilus.engine.spec import DataSpec
from ufos_nautilus.errors import SpecError
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import TableKind


@dataclass(slots=True)
class Sources:
    """What the data part of a spec resolves to."""

    instruments: dict[str, InstrumentSpec] = field(default_factory=dict)
    tables: list[TableRef] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    catalogs: dict[str, Catalog] = field(default_factory=dict)

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
            out.tables += [
                TableRef(
                    path,
                    entry.kind,
                    entry.identifier,
                    entry.rows,
                    entry.first_ns,
                    tuple(catalog.files(entry.kind, entry.identifier)),
                )
                for entry in catalog.tables(name)
                if not spec.tables or entry.kind in spec.tables
            ]
        out.digests.append(catalog.digest(wanted))
    if not out.tables:
        raise SpecError(
            "the spec's data holds no tables at all", next_step="`ufos data list CATALOG` shows what is there"
        )
    return out


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
