"""One backtest inside a container, put together from the same parts as a run on the host."""

from ufos_sandbox.guest import lean

lean.prepare()

import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from types import ModuleType  # noqa: E402
from typing import Any  # noqa: E402

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig  # noqa: E402
from nautilus_trader.common import CacheConfig, LoggerConfig  # noqa: E402
from nautilus_trader.config import DataEngineConfig, RiskEngineConfig  # noqa: E402
from nautilus_trader.model import TraderId, Venue  # noqa: E402
from nautilus_trader.persistence import ParquetDataCatalog  # noqa: E402
from pydantic import ValidationError  # noqa: E402

from ufos_nautilus.engine.book import Book  # noqa: E402
from ufos_nautilus.engine.bypass import find_bypasses  # noqa: E402
from ufos_nautilus.engine.feed import ENGINE_TYPES, batch_deltas  # noqa: E402
from ufos_nautilus.engine.gate import OpenGate  # noqa: E402
from ufos_nautilus.engine.instruments import to_engine  # noqa: E402
from ufos_nautilus.engine.recorder import Recorder  # noqa: E402
from ufos_nautilus.engine.spec import RunSpec  # noqa: E402
from ufos_nautilus.engine.spec_file import explain  # noqa: E402
from ufos_nautilus.engine.venues import add_venue, venue_seeds  # noqa: E402
from ufos_nautilus.limits import SANDBOX_RESULT_ROWS_MAX  # noqa: E402
from ufos_nautilus.market.instruments import InstrumentSpec  # noqa: E402
from ufos_sandbox.guest.worker import UserError  # noqa: E402

lean.finish()
