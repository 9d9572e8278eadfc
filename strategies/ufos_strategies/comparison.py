"""Quoters on a recording: calibrated on one part, judged on the next, under the same honest assumptions."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from ufos_nautilus.engine import RunResult, parse_spec, run_backtest
from ufos_nautilus.engine.runs import runs_root
from ufos_nautilus.errors import DataError
from ufos_nautilus.market.catalog import Catalog
from ufos_nautilus.market.instruments import InstrumentSpec
from ufos_nautilus.market.manifest import write_durably
from ufos_nautilus.pricing.horizon import SessionEnd
from ufos_nautilus.pricing.microprice import MicroPrice
from ufos_nautilus.report import RunTables
from ufos_nautilus.report.measures import equity_by_currency, max_drawdown
from ufos_nautilus.report.sections.attribution import run_attribution
from ufos_nautilus.research.attribution import by_book, require_exact
from ufos_nautilus.research.calibrate import Estimate
from ufos_nautilus.research.calibrate_catalog import calibrate_market, calibrate_microprice, read_stretch
from ufos_nautilus.research.parameter_file import Calibration, write_calibration
from ufos_strategies.honest import honest_venue
from ufos_strategies.parts import Span, spans

VARIANTS = ("symmetric", "avellaneda_stoikov", "glft", "glft_microprice", "glft_all")
"""What is compared, from the plainest to the one with everything on."""
BOOK = "MM-STUDY"
ARTIFACTS = "_calibrations"
"""Folder below the runs that holds what the runs were calibrated with."""
BALANCES = {"BTC": "1000", "ETH": "10000"}
BALANCE = "10000000"
VPIN_BUCKETS = 50
VPIN_BUCKETS_PER_STRETCH = 200


@dataclass(frozen=True, slots=True)
class Setting:
    """What all variants of one comparison share."""

    catalog: Catalog
    path: Path
    spec: InstrumentSpec
    fitted: Span
    judged: Span
    tier: str
    calibration: Calibration
    flow: Estimate | None
    """Coefficient of order flow; None where the stretch is too short for one."""
    microprice: dict[str, str] | None
    """The fitted micro-price as an artifact; None where there are too few quotes, the weighted mid stands in then."""
    volume: float
    """Traded in the stretch that was fitted, units."""
    price: Decimal
    horizon_s: float
    root: Path


def spans_text(setting: Setting) -> str:
    """Return what was fitted and what was judged, in words."""
    one, two = setting.fitted, setting.judged
    form = "%Y-%m-%d %H:%M:%S"
    return (
        f"fitted {one.start:{form}} to {one.end:%H:%M:%S}, judged {two.start:{form}} to {two.end:%H:%M:%S} UTC, "
        f"fees {setting.tier}"
    )


def prepare(
    path: Path,
    instrument_id: str,
    *,
    tier: str = "regular",
    session: SessionEnd | None = None,
    bound_orders: int = 10,
    horizon_s: float = 60.0,
    size: Decimal | None = None,
    root: Path | None = None,
) -> Setting:
    """Calibrate on the first part of a recording and return what the runs on the second share.

    Parameters
    ----------
    path : Path
        Catalog.
    instrument_id : str
        What to quote.
    tier : str
        Fees, see `honest.TIERS`.
    session : SessionEnd, optional
        Sessions to take apart; halves of the time without.
    bound_orders : int
        Inventory bound of every variant, orders.
    horizon_s : float
        Rolling horizon of the models that have one, seconds.
    size : Decimal, optional
        Size of an order; the median market order unless given.
    root : Path, optional
        Where runs and calibrations are stored; `runs_root()` by default.

    """
    catalog = Catalog.open(path)
    spec = catalog.instrument(instrument_id)
    fitted, judged = spans(catalog, instrument_id, session)
    calibration = calibrate_market(
        catalog, instrument_id, fitted.start, fitted.end, bound_orders=bound_orders, size=size
    )
    quotes = read_stretch(catalog, "quotes", instrument_id, fitted.start, fitted.end)
    trades = read_stretch(catalog, "trades", instrument_id, fitted.start, fitted.end)
    root = root or runs_root()
    facts = calibration.facts
    flow = None
    if "flow_ticks_per_unit" in facts:
        flow = Estimate(facts["flow_ticks_per_unit"], facts["flow_ticks_per_unit_error"])
    try:
        micro = _stored_microprice(root, calibrate_microprice(catalog, instrument_id, fitted.start, fitted.end))
    except DataError:
        micro = None
    return Setting(
        catalog=catalog,
        path=path,
        spec=spec,
        fitted=fitted,
        judged=judged,
        tier=tier,
        calibration=calibration,
        flow=flow,
        microprice=micro,
        volume=float(trades["size"].cast(pl.Float64).sum()),
        price=quotes["bid_price"][-1].quantize(spec.tick_size),
        horizon_s=horizon_s,
        root=root,
    )


def variant_params(setting: Setting, variant: str) -> dict[str, Any]:
    """Return the desk's parameters of one variant."""
    found = {k: float(v) for k, v in setting.calibration.parameters.items() if not isinstance(v, str)}
    k = found["k_per_tick"]
    params: dict[str, Any] = {
        "instrument_id": setting.spec.instrument_id,
        "calibration": _stored_calibration(setting),
        "source": {"L1": "quotes", "L2": "book", "L3": "orders"}[_depth(setting)],
        "quoter": variant if variant in ("symmetric", "avellaneda_stoikov") else "glft",
        "fair_value": "mid",
        "xi_ticks": 0.0,
        "horizon_s": setting.horizon_s,
        # A replaced order goes to the back of the queue: a quarter of the depth at which fills die away is worth it.
        "tolerance_ticks": max(1, round(0.25 / k)),
        "minimum_interval_ms": 100.0,
    }
    if _depth(setting) != "L1":  # a book is whole only when it is read from its beginning
        params["quote_from"] = setting.judged.start
    if variant in ("glft_microprice", "glft_all"):
        params["fair_value"] = "weighted_mid"
        if setting.microprice is not None:
            params |= {"fair_value": "microprice", "microprice": setting.microprice}
    if variant == "glft_all":
        fees = honest_venue(setting.spec, setting.tier, setting.price, book="L1", balance="0 X")["fees"]
        params |= {
            "xi_ticks": found["xi_ticks"],
            "fee_rate": float(fees["maker_rate"]),
            "intensity": {},
            "toxicity": {
                "bucket_volume": setting.volume / VPIN_BUCKETS_PER_STRETCH,
                "buckets": VPIN_BUCKETS,
                "most_ticks": found["xi_ticks"],
            },
        }
        if setting.flow is not None:
            params["flow"] = {"ticks_per_unit": setting.flow.value, "most_ticks": 0.5 / k}
    return params


def variant_spec(setting: Setting, variant: str) -> dict[str, Any]:
    """Return the run spec of one variant, as plain data."""
    depth = _depth(setting)
    tables = ["quotes", "trades"] if depth == "L1" else ["order_book_deltas", "trades"]
    code = setting.spec.settlement
    return {
        "name": f"study-{variant.replace('_', '-')}",
        "description": f"{variant} on {setting.spec.instrument_id}, fees of tier {setting.tier}",
        "seed": 1,
        "data": [
            {
                "catalog": str(setting.path),
                "instruments": [setting.spec.instrument_id],
                "tables": tables,
                "start": setting.judged.start if depth == "L1" else None,
                "end": setting.judged.end,
            }
        ],
        "venues": [
            honest_venue(
                setting.spec,
                setting.tier,
                setting.price,
                book=depth,
                balance=f"{BALANCES.get(code, BALANCE)} {code}",
            )
        ],
        "books": [
            {
                "id": BOOK,
                "kind": "desk",
                "class_path": "ufos_strategies.market_maker:MarketMaker",
                "params": variant_params(setting, variant),
            }
        ],
    }


def run_variant(setting: Setting, variant: str, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Run one variant and return its row; the parts of its profit have to add up exactly."""
    result = run_backtest(parse_spec(variant_spec(setting, variant)), root=setting.root, progress=progress)
    return {"variant": variant, **measures(result, setting)}


def measures(result: RunResult, setting: Setting) -> dict[str, Any]:
    """Return the figures of one run.

    Returns
    -------
    dict
        ``net`` (settlement currency), ``per_volume_bps`` (of the value traded), ``inventory_std`` (orders),
        ``drawdown`` (settlement currency), ``markout_1s_bps`` (mean move after a fill, by value), ``fills``, and the
        parts of the profit: ``spread, adverse, inventory, fees``.

    """
    tables = RunTables.load(result.directory)
    found = run_attribution(tables)
    books = by_book(found, (result.summary.get("ledger") or {}).get("books") or {})
    require_exact(books)
    code = setting.spec.settlement
    own = books.filter((pl.col("book") == BOOK) & (pl.col("currency") == code))
    parts = own.row(0, named=True) if own.height else dict.fromkeys(books.columns, Decimal(0))
    value = Decimal(found["notional"].sum() or 0)
    moved = Decimal(found["move_1000ms"].sum() or 0)
    each = Decimal(str(setting.calibration.parameters["order_size"]))
    held = tables.inventory["quantity"].cast(pl.Float64) / float(each)
    spread = held.std() if held.len() > 1 else 0.0
    fall = max_drawdown(equity_by_currency(tables.equity)[code]) if tables.equity.height else None
    return {
        "run_id": result.run_id,
        "net": parts["net"],
        "per_volume_bps": float(parts["net"] / value) * 1e4 if value else None,
        "inventory_std": float(spread) if isinstance(spread, float) else 0.0,
        "drawdown": fall.amount if fall is not None else Decimal(0),
        "markout_1s_bps": float(moved / value) * 1e4 if value else None,
        "fills": int(found["fills"].sum()),
        **{name: parts[name] for name in ("spread", "adverse", "inventory", "fees")},
    }


def _depth(setting: Setting) -> str:
    """Return what a venue can match against: single orders, levels, or the best price alone."""
    spec = setting.spec
    kinds = {t.kind for t in setting.catalog.tables(spec.instrument_id)}
    if "order_book_deltas" not in kinds:
        return "L1"
    ids = setting.catalog.scan("order_book_deltas", spec.instrument_id).head(10_000).select("order_id").collect()
    return "L3" if ids["order_id"].n_unique() > ids.height // 10 else "L2"


def _stored_calibration(setting: Setting) -> dict[str, str]:
    path = _artifact(setting.root, setting.calibration.to_toml(), "toml")
    return {"file": str(path), "sha256": write_calibration(path, setting.calibration)}


def _stored_microprice(root: Path, micro: MicroPrice) -> dict[str, str]:
    data = json.dumps(micro.to_dict(), indent=1, sort_keys=True) + "\n"
    path = _artifact(root, data, "json")
    write_durably(path, data.encode())
    return {"file": str(path), "sha256": hashlib.sha256(data.encode()).hexdigest()}


def _artifact(root: Path, text: str, suffix: str) -> Path:
    folder = root / ARTIFACTS
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.{suffix}"
