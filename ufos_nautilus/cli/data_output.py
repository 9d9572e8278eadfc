"""How `ufos data` prints tables of a catalog and what an import did."""

from pathlib import Path
from typing import Any

from ufos_nautilus.cli.console import out, print_json, print_table
from ufos_nautilus.market.importing import ImportReport
from ufos_nautilus.market.manifest import Dataset, TableEntry
from ufos_nautilus.market.recording import TableKind
from ufos_nautilus.market.tables import timestamp


def span(table: TableEntry) -> tuple[str, str]:
    """Return first and last time for people: to the millisecond."""
    return timestamp(table.first_ns)[:23], timestamp(table.last_ns)[:23]


def table_json(table: TableEntry) -> dict[str, Any]:
    """Return a table as plain data."""
    return {
        "identifier": table.identifier,
        "instrument_id": table.instrument_id,
        "table": table.kind,
        "rows": table.rows,
        "first": timestamp(table.first_ns),
        "last": timestamp(table.last_ns),
        "files": len(table.files),
    }


def _defects_json(dataset: Dataset) -> list[dict[str, Any]]:
    return [
        {"code": d.code, "count": d.count, "action": d.action, "examples": list(d.examples)} for d in dataset.defects
    ]


def dataset_json(dataset: Dataset) -> dict[str, Any]:
    """Return an import as plain data."""
    return {
        "id": dataset.id,
        "format": dataset.format,
        "options": dataset.options,
        "sources": [{"name": s.name, "sha256": s.sha256, "bytes": s.bytes} for s in dataset.sources],
        "defects": _defects_json(dataset),
        "facts": dataset.facts,
    }


def _import_json(report: ImportReport, catalog: Path) -> dict[str, Any]:
    dataset = report.dataset
    names = [i["instrument_id"] for i in dataset.instruments]
    counts: dict[str, TableKind] = {
        "deltas": "order_book_deltas",
        "trades": "trades",
        "quotes": "quotes",
        "bars": "bars",
    }
    return {
        "instrument_id": names[0] if len(names) == 1 else None,
        "instruments": names,
        **{name: dataset.rows(kind) for name, kind in counts.items()},
        "gaps": dataset.facts.get("gaps", 0),
        "crossed": dataset.facts.get("crossed", 0),
        "clock_shift_ms": dataset.facts.get("clock_shift_ms", 0),
        "first": timestamp(min(t.first_ns for t in dataset.tables)),
        "last": timestamp(max(t.last_ns for t in dataset.tables)),
        "unchanged": report.unchanged,
        "facts": {k: v for k, v in dataset.facts.items() if isinstance(v, str | int | float | bool)},
        "defects": _defects_json(dataset),
        "rows_per_s": round(report.rows_per_s),
        "catalog": str(catalog),
        "dataset": dataset.id,
    }


def show_import(report: ImportReport, catalog: Path, *, json: bool) -> None:
    """Print what an import did, as one object or as tables with the next step."""
    values = _import_json(report, catalog)
    if json:
        print_json(values)
        return
    names = values.pop("instruments")
    values["instrument_id"] = ", ".join(names[:5]) + (f", ... ({len(names)})" if len(names) > 5 else "")
    defects = values.pop("defects")
    values |= {k: v for k, v in values.pop("facts").items() if k not in values}
    print_table("unchanged: already imported" if report.unchanged else "imported", ("what", "value"), values.items())
    if defects:
        rows = [(d["code"], d["count"], d["action"], "\n".join(d["examples"][:2])) for d in defects]
        print_table("defects found", ("defect", "count", "what was done", "examples"), rows)
    out().print(f"next: ufos data check {catalog}")
