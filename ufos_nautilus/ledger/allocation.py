"""Shares a block among its parts pro rata, exactly: largest remainder, ties to the first."""

from collections.abc import Mapping, Sequence

from ufos_nautilus.errors import DataError


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Return whole shares of `total` in proportion to `weights` that add up to it.

    Each share is the exact one rounded down or up; the units left over go to the largest remainders, ties to the one
    that comes first. No share exceeds its weight while `total` does not exceed their sum.

    Parameters
    ----------
    total : int
        Units to share; any sign.
    weights : sequence of int
        None negative, not all zero (unless `total` is zero).

    Raises
    ------
    DataError
        If the weights cannot share anything.

    """
    whole = sum(weights)
    if any(weight < 0 for weight in weights) or (total and not whole):
        raise DataError(f"weights {list(weights)[:10]} cannot share {total}", expected="weights of zero or more")
    if not total:
        return [0] * len(weights)
    sign, units = (1, total) if total > 0 else (-1, -total)
    shares, remainders = [], []
    for weight in weights:
        floor, remainder = divmod(units * weight, whole)
        shares.append(floor)
        remainders.append(remainder)
    left = units - sum(shares)
    for index in sorted(range(len(weights)), key=lambda i: (-remainders[i], i))[:left]:
        shares[index] += 1
    return [sign * share for share in shares]


class BlockAllocation[Name]:
    """Shares the fills of a block order among the orders it stands for.

    Each fill is shared in proportion to what every child still waits for, so no child ever gets more than it asked for
    and the block's end fills all of them.

    Parameters
    ----------
    ordered : mapping
        Child -> units ordered, in order of priority for ties. Units are the smallest tradable ones (lots).

    """

    def __init__(self, ordered: Mapping[Name, int]) -> None:
        if not ordered or any(units <= 0 for units in ordered.values()):
            raise DataError("a block has a child without quantity", expected="a positive quantity for every child")
        self.remaining = dict(ordered)

    def fill(self, units: int, money: Sequence[int] = ()) -> dict[Name, tuple[int, ...]]:
        """Share one fill and the money that came with it.

        Parameters
        ----------
        units : int
            Units filled, positive and at most what all children wait for.
        money : sequence of int
            Amounts in smallest units to share by the units just allocated, such as the commission; each exactly.

        Returns
        -------
        dict
            Child -> (units, share of each amount); children that get nothing are left out.

        Raises
        ------
        DataError
            If the fill is larger than what is left of the block.

        """
        waiting = sum(self.remaining.values())
        if not 0 < units <= waiting:
            raise DataError(f"a fill of {units} for a block that waits for {waiting}", expected=f"1 to {waiting} units")
        shares = allocate(units, list(self.remaining.values()))
        parts = [allocate(amount, shares) for amount in money]
        given: dict[Name, tuple[int, ...]] = {}
        for index, (child, share) in enumerate(zip(list(self.remaining), shares, strict=True)):
            if share:
                self.remaining[child] -= share
                given[child] = (share, *(part[index] for part in parts))
        return given
