"""Components that hear the same market data hear it in the order of the run, not in one drawn by chance.

The engine calls those that subscribed to the same data in the order of random ids. Where several did, whichever it
calls first passes the event on to all of them in their order, and the calls that follow do nothing.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

SUBSCRIPTIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "quotes": ("on_quote", attrgetter("instrument_id")),
    "trades": ("on_trade", attrgetter("instrument_id")),
    "bars": ("on_bar", attrgetter("bar_type")),
    "book_deltas": ("on_book_deltas", attrgetter("instrument_id")),
    "book_depth10": ("on_book_depth10", attrgetter("instrument_id")),
    "mark_prices": ("on_mark_price", attrgetter("instrument_id")),
    "index_prices": ("on_index_price", attrgetter("instrument_id")),
    "funding_rates": ("on_funding_rate", attrgetter("instrument_id")),
}
"""What ``subscribe_<name>`` subscribes to: the callback that hears it, and how an event names its subscription.

Book snapshots at an interval are not among them, as they don't say which interval they were asked for.
"""

OVERHEAR_PRIORITY = 100
"""Priority on the bus of the first actor; books come before."""


class Group:
    """Components that subscribed to the same data."""

    def __init__(self) -> None:
        self.members: dict[int, InTurn] = {}
        self._calls: tuple[Callable[[Any], None], ...] = ()
        self._left = self._ts_ns = 0

    def order(self, callback: str) -> None:
        """Sort the calls after a member has come or gone."""
        members = [member for _, member in sorted(self.members.items())]
        self._calls = tuple(getattr(type(member), callback).__get__(member) for member in members)

    def take(self, event: Any) -> None:
        """Pass an event on to all, the first time it is heard of."""
        if self._left and event.ts_init == self._ts_ns:
            self._left -= 1
            return
        calls = self._calls
        self._left, self._ts_ns = len(calls) - 1, event.ts_init
        for call in calls:
            call(event)


class Turns:
    """Who subscribed to what in one run."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[Any, Group]] = {name: {} for name in SUBSCRIPTIONS}

    def join(self, component: "InTurn", name: str, key: Any) -> None:
        """Note a subscription; who is alone with all its data is called by the engine as ever."""
        group = self._groups[name].setdefault(key, Group())
        group.members[component.turn] = component
        group.order(SUBSCRIPTIONS[name][0])
        if len(group.members) > 1:
            for member in group.members.values():
                self._pass_on(member, name)

    def leave(self, component: "InTurn", name: str, key: Any) -> None:
        """Note the end of a subscription."""
        group = self._groups[name].get(key)
        if group is not None and group.members.pop(component.turn, None) is not None:
            group.order(SUBSCRIPTIONS[name][0])

    def _pass_on(self, member: "InTurn", name: str) -> None:
        callback, key_of = SUBSCRIPTIONS[name]
        if callback in vars(member):
            return
        groups, alone = self._groups[name], getattr(member, callback)

        def take(event: Any) -> None:
            group = groups.get(key_of(event))
            if group is None or member.turn not in group.members:
                alone(event)
            else:
                group.take(event)

        setattr(member, callback, take)


class InTurn:
    """Mixin of what subscribes to market data; without `turns` the engine's own order holds."""

    turns: Turns | None = None
    turn = 0
    """Place among the components of the run."""

    def overhear(self: Any, topic: str, handler: Callable[[Any], Any]) -> None:
        """Call `handler(message)` for every message whose topic matches, after books and actors of earlier turns."""
        self.subscribe_topic(topic, self.guard(handler), max(0, OVERHEAR_PRIORITY - self.turn))


def _subscription(name: str) -> tuple[Callable[..., None], Callable[..., None]]:
    def subscribe(self: InTurn, *args: Any, **kwargs: Any) -> None:
        getattr(super(InTurn, self), f"subscribe_{name}")(*args, **kwargs)
        if self.turns is not None:
            self.turns.join(self, name, [*args, *kwargs.values()][0])

    def unsubscribe(self: InTurn, *args: Any, **kwargs: Any) -> None:
        getattr(super(InTurn, self), f"unsubscribe_{name}")(*args, **kwargs)
        if self.turns is not None:
            self.turns.leave(self, name, [*args, *kwargs.values()][0])

    subscribe.__name__, unsubscribe.__name__ = f"subscribe_{name}", f"unsubscribe_{name}"
    return subscribe, unsubscribe


for _name in SUBSCRIPTIONS:
    for _method in _subscription(_name):
        setattr(InTurn, _method.__name__, _method)


def give_turns(components: Iterable[Any]) -> None:
    """Let the components of a run hear what they share in the order given."""
    turns = Turns()
    for turn, component in enumerate(components):
        if isinstance(component, InTurn):
            component.turns, component.turn = turns, turn
