"""The closed-form quoters on arrays, for simulators that run thousands of markets at once."""

from typing import Any

from ufos_nautilus.research.extra import need


def avellaneda_stoikov_depths(inventory: Any, gamma: Any, k: Any, sigma: Any, time_left_s: Any) -> tuple[Any, Any]:
    """Return bid and ask depths of `pricing.avellaneda_stoikov` without an inventory bound.

    Parameters
    ----------
    inventory, gamma, k, sigma, time_left_s : array_like
        Lots; per (price unit x lot); per price unit; price units per square root of a second; seconds. They are
        broadcast against each other.

    Returns
    -------
    tuple of ndarray
        Price units.

    """
    np = need("numpy")
    q = np.asarray(inventory, dtype=float)
    base = np.log1p(np.divide(gamma, k)) / gamma
    risk = np.multiply(gamma, np.square(sigma)) * time_left_s
    return base + (0.5 + q) * risk, base + (0.5 - q) * risk


def glft_depths(inventory: Any, gamma: Any, k: Any, A: Any, sigma: Any, xi: Any = 0.0) -> tuple[Any, Any]:
    """Return bid and ask depths of `pricing.glft.GlftClosedForm` without an inventory bound.

    Parameters
    ----------
    inventory, gamma, k, A, sigma, xi : array_like
        Lots; per (price unit x lot); per price unit; per second; price units per square root of a second; price
        units. They are broadcast against each other.

    Returns
    -------
    tuple of ndarray
        Price units.

    """
    np = need("numpy")
    q = np.asarray(inventory, dtype=float)
    log_ratio = np.log1p(np.divide(gamma, k))
    eta = np.multiply(A, np.exp(-(1.0 + np.divide(k, gamma)) * log_ratio - 0.5 * np.multiply(k, xi)))
    skew = np.sqrt(np.divide(gamma, 2.0 * np.multiply(k, eta))) * sigma
    base = log_ratio / gamma + 0.5 * np.asarray(xi)
    return base + (0.5 + q) * skew, base + (0.5 - q) * skew
