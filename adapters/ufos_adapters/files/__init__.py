"""Readers of market-data files, by format; each is imported only when it is used."""

import difflib
import importlib
from typing import Final

from ufos_nautilus.errors import SpecError
from ufos_nautilus.market.recording import Reader

FORMATS: Final[dict[str, str]] = {
    "binance-raw": "ufos_adapters.files.binance_raw:read",
    "lean-ticks": "ufos_adapters.files.lean_ticks:read",
    "lobster": "ufos_adapters.files.lobster:read",
    "databento": "ufos_adapters.files.databento:read",
    "bars": "ufos_adapters.files.bars:read",
    "daily": "ufos_adapters.files.daily:read",
}
"""Format name -> ``module:function``."""


def reader(name: str) -> Reader:
    """Return the reader of a format.

    Raises
    ------
    SpecError
        There is no such format.

    """
    if name not in FORMATS:
        near = difflib.get_close_matches(name, FORMATS, n=1)
        raise SpecError(
            f"there is no format {name!r}",
            expected=f"one of: {', '.join(FORMATS)}",
            next_step=f"did you mean {near[0]!r}?" if near else "ufos data import --help",
        )
    module, _, function = FORMATS[name].partition(":")
    return getattr(importlib.import_module(module), function)
