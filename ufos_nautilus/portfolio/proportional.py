"""The plain planner: every name to the nearest whole step, buys scaled down together where the cash does not reach."""

from decimal import Decimal

from ufos_nautilus.portfolio.problem import Problem
from ufos_nautilus.portfolio.trades import ZERO, Trades, sell


def plan_proportional(problem: Problem, reserve: Decimal, min_order_value: Decimal = ZERO) -> Trades:
    """Return trades that bring every name near its target.

    Parameters
    ----------
    problem : Problem
        What is held, wanted and allowed.
    reserve : Decimal
        Cash kept beyond the floor, for costs that do not grow with value.
    min_order_value : Decimal
        Orders below it are left out, unless they sell an excluded name.

    Returns
    -------
    Trades
        Sells first raise what is missing below the floor; buys never take more than there is.

    """
    wanted = {symbol: _nearest(n.want - n.value, n.step_value) for symbol, n in problem.names.items()}
    sells: dict[str, int] = {}
    buys: dict[str, int] = {}
    for symbol, steps in wanted.items():
        name = problem.names[symbol]
        small = abs(steps) * name.step_value < min_order_value
        if steps < 0 and name.may_sell and (not small or name.excluded):
            sells[symbol] = min(-steps, name.held)
        elif steps > 0 and name.may_buy and not small:
            buys[symbol] = steps
    floor = problem.floor + reserve
    if problem.raise_only:
        sells = _raise(problem, sells, floor - problem.cash)
    cash = problem.cash + _proceeds(problem, sells)
    if cash < floor:
        _sell_more(problem, sells, floor - cash)
        buys, cash = {}, problem.cash + _proceeds(problem, sells)
    buys = _affordable(problem, buys, max(cash - floor, ZERO))
    sold = {symbol: sell(problem.names[symbol].slices, steps) for symbol, steps in sells.items() if steps}
    return Trades({s: n for s, n in buys.items() if n}, sold)


def _nearest(value: Decimal, step: Decimal) -> int:
    """Return the whole number of steps nearest to a value; ties towards zero."""
    steps = int(abs(value) / step + Decimal("0.5"))
    if steps and steps * step - abs(value) == step / 2:
        steps -= 1
    return steps if value > 0 else -steps


def _proceeds(problem: Problem, sells: dict[str, int]) -> Decimal:
    names = problem.names
    return sum((n * names[s].step_value * (1 - names[s].rate) for s, n in sells.items()), start=ZERO)


def _raise(problem: Problem, sells: dict[str, int], missing: Decimal) -> dict[str, int]:
    """Cut the sells of overweight names down to what raises `missing`."""
    have = _proceeds(problem, sells)
    if have <= missing or not have:
        return sells
    kept: dict[str, int] = {}
    for symbol, steps in sells.items():
        kept[symbol] = int(steps * missing / have)
    left = missing - _proceeds(problem, kept)
    for symbol in sorted(sells, key=lambda s: problem.names[s].want - problem.names[s].value):
        name = problem.names[symbol]
        while left > 0 and kept[symbol] < sells[symbol]:
            kept[symbol] += 1
            left -= name.step_value * (1 - name.rate)
    return kept


def _sell_more(problem: Problem, sells: dict[str, int], missing: Decimal) -> None:
    """Sell more of everything in proportion to its value until `missing` is raised or nothing is left."""
    able = {s: n.held - sells.get(s, 0) for s, n in problem.names.items() if n.may_sell and n.held > sells.get(s, 0)}
    whole = _proceeds(problem, able)
    if not whole:
        return
    share = min(missing / whole, Decimal(1))
    for symbol, steps in able.items():
        sells[symbol] = sells.get(symbol, 0) + int(steps * share)
        able[symbol] = steps - int(steps * share)
        missing -= int(steps * share) * problem.names[symbol].step_value * (1 - problem.names[symbol].rate)
    for symbol in sorted(able, key=lambda s: (problem.names[s].step_value, s)):
        name = problem.names[symbol]
        while missing > 0 and able[symbol]:
            able[symbol] -= 1
            sells[symbol] += 1
            missing -= name.step_value * (1 - name.rate)


def _affordable(problem: Problem, buys: dict[str, int], cash: Decimal) -> dict[str, int]:
    """Scale buys down together to what `cash` pays; what rounding leaves goes to the largest remainders."""
    names = problem.names
    price = {s: names[s].step_value * (1 + names[s].rate) for s in buys}
    whole = sum((price[s] * n for s, n in buys.items()), start=ZERO)
    if whole <= cash:
        return buys
    share = cash / whole
    scaled = {s: int(n * share) for s, n in buys.items()}
    left = cash - sum((price[s] * n for s, n in scaled.items()), start=ZERO)
    for symbol in sorted(buys, key=lambda s: (scaled[s] - buys[s] * share, s)):
        if price[symbol] <= left and scaled[symbol] < buys[symbol]:
            scaled[symbol] += 1
            left -= price[symbol]
    return scaled
