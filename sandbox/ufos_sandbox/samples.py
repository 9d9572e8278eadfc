"""A small market for attacks, checks and benchmarks: quotes of one instrument as a seeded random walk, as a catalog."""

import random
from decimal import Decimal
from pathlib import Path

import polars as pl

from ufos_nautilus.market import tables
from ufos_nautilus.market.importing import import_recording
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.recording import Batch, Recording

INSTRUMENT = "SIM.TEST"
START_NS = 1_700_000_000_000_000_000


def sample_catalog(root: Path, rows: int = 3_000, seed: int = 1) -> Path:
    """Write a catalog with `rows` quotes, one tick wide, 0.1 s apart, and return its directory."""
    spec = InstrumentSpec(
        instrument_id=INSTRUMENT,
        kind="equity",
        base="SIM",
        quote="USD",
        settlement="USD",
        tick_size=Decimal("0.01"),
        lot_size=Decimal(1),
        price_precision=2,
        size_precision=0,
    )
    rng = random.Random(seed)  # noqa: S311 - a market, not a secret
    mid, bids, sizes = 10_000, [], []
    for _ in range(rows):
        mid = max(100, mid + rng.choice((-1, 0, 0, 1)))
        bids.append(mid)
        sizes.append(rng.randrange(1, 50) * 100)
    times = tables.utc_ns([START_NS + n * 100_000_000 for n in range(rows)])
    frame = pl.DataFrame(
        {
            "bid_price": tables.decimal_column([f"{b / 100:.2f}" for b in bids]),
            "ask_price": tables.decimal_column([f"{(b + 1) / 100:.2f}" for b in bids]),
            "bid_size": tables.decimal_column([str(s) for s in sizes]),
            "ask_size": tables.decimal_column([str(s) for s in reversed(sizes)]),
            "ts_event": times,
            "ts_init": times,
        }
    )
    root.parent.mkdir(parents=True, exist_ok=True)
    source = root.parent / f"{root.name}.seed"
    source.write_text(f"{rows} {seed}\n")
    import_recording(
        root,
        lambda: Recording([spec], iter([Batch("quotes", INSTRUMENT, INSTRUMENT, frame)]), [], {"gaps": 0}),
        sources=[source],
        fmt="sample",
    )
    return root
