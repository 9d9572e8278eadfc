"""Small catalogs made from a few trades."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import polars as pl

from ufos_nautilus.market import tables
from ufos_nautilus.market.importing import ImportReport, import_recording
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, Defect, Recording

SPEC = InstrumentSpec(
    instrument_id="ABC.TEST",
    kind="equity",
    base="ABC",
    quote="USD",
    settlement="USD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal(1),
    price_precision=2,
    size_precision=0,
)


def trades(times: Sequence[int], price: str = "10.01") -> pl.DataFrame:
    """Trades at these nanoseconds."""
    return pl.DataFrame(
        {
            "price": tables.decimal_column([price] * len(times)),
            "size": tables.decimal_column(["5"] * len(times)),
            "aggressor_side": ["BUY"] * len(times),
            "trade_id": [str(i) for i in range(len(times))],
            "ts_event": tables.utc_ns(times),
            "ts_init": tables.utc_ns(times),
        }
    )


def recording(*frames: pl.DataFrame, spec: InstrumentSpec = SPEC, defects: Sequence[Defect] = ()) -> Recording:
    """A recording with these frames of trades."""
    name = spec.instrument_id
    batches: Iterator[Batch] = (Batch("trades", name, name, frame) for frame in frames)
    return Recording([spec], batches, list(defects), {"gaps": 0})


def source(folder: Path, text: str = "some rows") -> Path:
    """A source file with this text."""
    path = folder / f"{text.replace(' ', '_')}.csv"
    path.write_text(text)
    return path


def put(root: Path, *frames: pl.DataFrame, text: str = "some rows", spec: InstrumentSpec = SPEC) -> ImportReport:
    """Import these frames as one recording; another text is another source."""
    path = source(root.parent, text)
    return import_recording(root, lambda: recording(*frames, spec=spec), sources=[path], fmt="test")


def tree(root: Path) -> dict[str, bytes]:
    """Every path below `root` with the content of files."""
    return {str(p.relative_to(root)): p.read_bytes() if p.is_file() else b"" for p in sorted(root.rglob("*"))}
