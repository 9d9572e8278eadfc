"""Opens the numeric packages of the research extra, or says how to get them."""

import importlib
from typing import Any

from ufos_nautilus.errors import BadInputError


class MissingExtraError(BadInputError):
    """A command needs packages of an extra that is not installed."""


def need(module: str) -> Any:
    """Import and return `module`.

    Parameters
    ----------
    module : str
        Dotted name, for example ``"scipy.optimize"``.

    Raises
    ------
    MissingExtraError
        Where it is not installed.

    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"this needs {module.partition('.')[0]}, which is not installed",
            expected="the research extra",
            next_step="pip install 'ufos-nautilus[research]' (in a checkout: uv sync --extra research)",
        ) from error
