"""Target weights from past returns: optimisers of skfolio behind one function; nothing is optimised here.

skfolio takes seconds to import, so it is imported when a target is made; it belongs to the extra ``portfolio``.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final, Literal, get_args

from ufos_nautilus.errors import DataError, LimitExceededError, SpecError
from ufos_nautilus.limits import PLAN_NAMES_MAX, TARGET_RETURNS_MAX
from ufos_nautilus.portfolio.restrictions import Restrictions
from ufos_nautilus.portfolio.securities import Security
from ufos_nautilus.portfolio.targets import Target

Method = Literal[
    "equal", "inverse_volatility", "minimum_variance", "risk_parity", "hrp", "mean_cvar", "black_litterman"
]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
EIGHT: Final = Decimal("0.00000001")
OBSERVATIONS_MIN: Final = 20
CVAR_LEVEL: Final = 0.95
_VIEW: Final = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")


def make_target(
    method: Method,
    returns: Mapping[str, Sequence[float]],
    *,
    cash: Decimal = Decimal(0),
    max_weight: Decimal = Decimal(1),
    band: Decimal = Decimal(0),
    restrictions: Restrictions | None = None,
    securities: Mapping[str, Security] | None = None,
    views: Sequence[str] = (),
    risk_aversion: float = 3.0,
    periods: int = 252,
    name: str = "",
) -> Target:
    """Return a target that an optimiser of skfolio makes: long only, fully invested but for the cash.

    Parameters
    ----------
    method : str
        One of `METHODS`. ``mean_cvar`` has the least mean loss beyond the 95 % quantile; ``black_litterman`` the best
        utility under returns that blend what the market's covariance implies with `views`.
    returns : mapping
        Symbol -> returns of the same periods, fractions, oldest first.
    cash : Decimal
        Fraction kept out of it.
    max_weight : Decimal
        Largest weight of one name; ``equal``, ``inverse_volatility`` are refused where they need more.
    band : Decimal
        Tolerance of the target.
    restrictions : Restrictions, optional
        What the owner excludes; those names are left out before anything is estimated.
    securities : mapping, optional
        What restrictions look at, by symbol.
    views : sequence of str
        Yearly returns as skfolio writes views, ``"AAPL == 0.08"`` or ``"AAPL - MSFT == 0.02"``.
    risk_aversion : float
        Of the utility that ``black_litterman`` maximises.
    periods : int
        Periods of a year, for views.
    name : str
        What the target is called; the method unless given.

    Raises
    ------
    SpecError
        If there is no such method, a view names what is not there, or skfolio is not installed.
    DataError
        If there are too few returns, series of different lengths, or no weights that keep the limits.
    LimitExceededError
        If there are too many names or returns.

    """
    if method not in METHODS:
        raise SpecError(f"there is no method {method!r}", expected=", ".join(METHODS))
    if views and method != "black_litterman":
        raise SpecError(f"{method} takes no views", expected="black_litterman")
    if method == "black_litterman" and not views:
        raise SpecError("black_litterman needs views", expected='such as "AAPL == 0.08", a return per year')
    if restrictions is not None:
        known = {s: (securities or {}).get(s, Security(symbol=s)) for s in returns}
        returns = {s: r for s, r in returns.items() if s not in restrictions.excluded(known)}
    names = sorted(returns)
    _check(returns, names, cash, max_weight)
    weights = _fitted(method, returns, names, float(max_weight / (1 - cash)), views, risk_aversion, periods)
    share = 1 - cash
    exact = {s: (Decimal(f"{max(w, 0.0):.12f}") * share).quantize(EIGHT, ROUND_DOWN) for s, w in weights.items()}
    over = [s for s, w in exact.items() if w > max_weight + Decimal("0.000001")]
    if over:
        raise DataError(
            f"{method} wants {exact[over[0]]:.4%} of {over[0]}",
            expected=f"at most {max_weight:.4%} of one name",
            next_step="take more names, or a method that keeps limits (minimum_variance, risk_parity, hrp, mean_cvar)",
        )
    return Target.of({"weights": {s: w for s, w in exact.items() if w}, "cash": "rest", "band": band}, name or method)


def _check(returns: Mapping[str, Sequence[float]], names: Sequence[str], cash: Decimal, max_weight: Decimal) -> None:
    if not names:
        raise DataError("no name is left to choose from", expected="names with returns that are not excluded")
    lengths = {len(r) for r in returns.values()}
    if len(lengths) != 1 or min(lengths) < OBSERVATIONS_MIN:
        raise DataError(
            f"the series have {min(lengths)} to {max(lengths)} returns",
            expected=f"the same number for every name, {OBSERVATIONS_MIN} at least",
        )
    if len(names) > PLAN_NAMES_MAX or len(names) * lengths.pop() > TARGET_RETURNS_MAX:
        raise LimitExceededError("too many returns", expected=f"at most {TARGET_RETURNS_MAX:,} in all")
    if not 0 <= cash < 1:
        raise SpecError(f"cash is {cash}", expected="a fraction from 0 to below 1")
    if not 0 < max_weight <= 1 or max_weight * len(names) < 1 - cash:
        raise SpecError(
            f"{len(names)} names of at most {max_weight:.4%} can't make {1 - cash:.4%}", expected="a larger max_weight"
        )


def _fitted(
    method: Method,
    returns: Mapping[str, Sequence[float]],
    names: Sequence[str],
    most: float,
    views: Sequence[str],
    risk_aversion: float,
    periods: int,
) -> dict[str, float]:
    numpy, optimization, prior, measures = _skfolio()
    table = numpy.column_stack([numpy.asarray(returns[s], dtype=float) for s in names])
    if not numpy.isfinite(table).all():
        raise DataError("a return is no finite number", expected="fractions")
    limits: dict[str, Any] = {"min_weights": 0.0, "max_weights": min(most, 1.0)}
    minimise = optimization.ObjectiveFunction.MINIMIZE_RISK
    makers = {
        "equal": lambda: optimization.EqualWeighted(),
        "inverse_volatility": lambda: optimization.InverseVolatility(),
        "minimum_variance": lambda: optimization.MeanRisk(
            objective_function=minimise, risk_measure=measures.VARIANCE, **limits
        ),
        "risk_parity": lambda: optimization.RiskBudgeting(risk_measure=measures.VARIANCE, **limits),
        "hrp": lambda: optimization.HierarchicalRiskParity(risk_measure=measures.VARIANCE, **limits),
        "mean_cvar": lambda: optimization.MeanRisk(
            objective_function=minimise, risk_measure=measures.CVAR, cvar_beta=CVAR_LEVEL, **limits
        ),
        "black_litterman": lambda: optimization.MeanRisk(
            objective_function=optimization.ObjectiveFunction.MAXIMIZE_UTILITY,
            risk_aversion=risk_aversion,
            prior_estimator=prior.BlackLitterman(
                views=[_view(v, names, periods) for v in views],
                # Every name is a group of its own, so that no table with names (and no pandas) is needed.
                groups=[[f"x{i}" for i in range(len(names))]],
            ),
            **limits,
        ),
    }
    model = makers[method]()
    try:
        model.fit(table)
    except Exception as error:  # skfolio raises what its solvers raise
        raise DataError(f"{method} found no weights: {error}", expected="returns that vary, limits that fit") from None
    return dict(zip(names, (float(w) for w in model.weights_), strict=True))


def _view(text: str, names: Sequence[str], periods: int) -> str:
    """Return a view in skfolio's words: assets by number, the return per period."""
    left, _, right = text.partition("==")
    try:
        value = float(right)
    except ValueError:
        raise SpecError(f"{text!r} is no view", expected='such as "AAPL == 0.08" or "AAPL - MSFT == 0.02"') from None
    places = {name: f"x{i}" for i, name in enumerate(names)}

    def place(match: re.Match[str]) -> str:
        if match[0] not in places:
            raise SpecError(f"a view names {match[0]}, which has no returns", expected=", ".join(names[:10]))
        return places[match[0]]

    return f"{_VIEW.sub(place, left)} == {value / periods!r}"


def _skfolio() -> tuple[Any, Any, Any, Any]:
    try:
        import numpy
        from skfolio import RiskMeasure, optimization, prior
    except ImportError:
        raise SpecError(
            "target makers need skfolio, which is not installed",
            expected="the extra `portfolio`",
            next_step="install ufos-nautilus[portfolio], or write the weights yourself",
        ) from None
    return numpy, optimization, prior, RiskMeasure
