"""Attack probes: what each tries, what must happen, and whether it did."""

import importlib.machinery
import importlib.util
import inspect
import textwrap
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ufos_nautilus.errors import BadInputError
from ufos_sandbox.outcome import Label, SandboxResult, State
from ufos_sandbox.sandbox import Sandbox
from ufos_sandbox.slices import DataRequest

Verdict = Literal["contained", "accepted", "OPEN"]
DENIED = "denied: "
WORKED = "worked: "

PRELUDE = '''
import ctypes, errno, os, sys, time
from ufos_nautilus.engine import Book, BookConfig
from nautilus_trader.model import InstrumentId, OrderSide

_libc = ctypes.CDLL(None, use_errno=True)
SINK = 201

def syscall(number, *args):
    """Call the kernel; raise what it answers."""
    result = _libc.syscall(number, *args)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
'''
ASK = """
class Attack(Book):
    def on_start(self):
        try:
            found = {name}({argument})
        except BaseException as error:
            raise RuntimeError("{denied}" + type(error).__name__ + " " + str(error)[:200]) from None
        raise RuntimeError(("{worked}" if found else "{denied}") + str(found)[:200])
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """One attack.

    Parameters
    ----------
    area, name : str
        Where it belongs and what it is called.
    must : str
        What must happen, one sentence.
    source : str
        What runs in the container.
    ends : frozenset of State
        Ways a contained attack may end; for a question, that it was answered.
    question : bool
        Whether the attack is a function that says if it worked.
    label : Label, optional
        The label that the result must have.
    accepted : str
        Why it may work, where it is known to.
    wall_s : float
        Time it gets.

    """

    area: str
    name: str
    must: str
    source: str
    ends: frozenset[State]
    question: bool
    label: Label | None = None
    accepted: str = ""
    wall_s: float = 10.0
    truncations: int = 0
    text: str = ""
    """A text that must, or with a leading ``!`` must not, be in the answer."""


@dataclass(slots=True)
class ProbeResult:
    """What one attack achieved."""

    probe: Probe
    verdict: Verdict
    state: State
    saw: str
    wall_ms: float
    evidence: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "area": self.probe.area,
            "probe": self.probe.name,
            "must": self.probe.must,
            "verdict": self.verdict,
            "state": self.state.value,
            "saw": self.saw,
            "evidence": self.evidence,
            "accepted": self.probe.accepted,
            "wall_ms": self.wall_ms,
        }


_registry: list[Probe] = []


def question(
    area: str, *, accepted: str = "", wall_s: float = 10.0, thread_dies: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function that tries something and returns a true value where it worked.

    Its docstring says what must happen. Where the kernel ends a thread for trying (`thread_dies`), silence until the
    deadline is an answer too.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        lines = textwrap.dedent(inspect.getsource(function)).splitlines()
        body = "\n".join(lines[next(i for i, line in enumerate(lines) if line.startswith("def ")) :])
        argument = "self" if inspect.signature(function).parameters else ""
        ask = ASK.format(name=function.__name__, argument=argument, denied=DENIED, worked=WORKED)
        _registry.append(
            Probe(
                area=area,
                name=function.__name__,
                must=_must(function),
                source=f"{PRELUDE}\n{body}\n{ask}",
                ends=frozenset({State.USER_ERROR, *([State.TIMEOUT] if thread_dies else [])}),
                question=True,
                accepted=accepted,
                wall_s=wall_s,
            )
        )
        return function

    return register


def program(
    area: str,
    *ends: State,
    label: Label | None = None,
    wall_s: float = 10.0,
    truncations: int = 0,
    text: str = "",
    helpers: Iterable[Callable[..., Any]] = (),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function whose body is a whole strategy module; it is contained where the run ends as stated."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        parts = [PRELUDE, *(textwrap.dedent(inspect.getsource(h)) for h in helpers)]
        lines = textwrap.dedent(inspect.getsource(function)).splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("def ")) + 1
        parts.append(textwrap.dedent("\n".join(lines[start:])))
        _registry.append(
            Probe(
                area=area,
                name=function.__name__,
                must=_must(function),
                source="\n".join(parts),
                ends=frozenset(ends),
                question=False,
                label=label,
                wall_s=wall_s,
                truncations=truncations,
                text=text,
            )
        )
        return function

    return register


def load_probes(folder: Path) -> list[Probe]:
    """Import the attack files of a folder and return their probes in the order they stand.

    Raises
    ------
    BadInputError
        There are none.

    """
    files = sorted(p for p in folder.glob("*.py") if not p.name.startswith("_"))
    if not files:
        raise BadInputError(
            f"there are no attacks in {folder}",
            expected="the folder sandbox/attacks of a source checkout",
            next_step="git clone the repository; an installed wheel does not carry its own attacks",
        )
    _registry.clear()
    for file in files:
        loader = importlib.machinery.SourceFileLoader(f"ufos_attacks_{file.stem}", str(file))
        found = importlib.util.spec_from_loader(loader.name, loader)
        if found is not None:
            loader.exec_module(importlib.util.module_from_spec(found))
    return list(_registry)


def attacks_folder() -> Path:
    """Return where the attacks of a source checkout lie."""
    return Path(__file__).resolve().parents[1] / "attacks"


def run_probe(sandbox: Sandbox, probe: Probe, data: DataRequest) -> ProbeResult:
    """Run one attack and judge what it achieved."""
    result = sandbox.run(
        probe.source,
        data,
        {"instrument_id": data.instruments[0]} if "instrument_id" in probe.source else {},
        wall_s=probe.wall_s,
        truncations=probe.truncations,
        name=probe.name,
    )
    verdict, saw = _verdict(probe, result)
    return ProbeResult(probe, verdict, result.state, saw, result.times_ms.get("total", 0.0), result.evidence)


def run_probes(
    sandbox: Sandbox,
    probes: list[Probe],
    data: DataRequest,
    *,
    workers: int = 2,
    done: Callable[[ProbeResult], None] = lambda _: None,
) -> list[ProbeResult]:
    """Run attacks, a few at a time; `done` gets each result as it comes, the list has them in order."""

    def one(probe: Probe) -> ProbeResult:
        result = run_probe(sandbox, probe, data)
        done(result)
        return result

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, probes))


def _verdict(probe: Probe, result: SandboxResult) -> tuple[Verdict, str]:
    message = result.failure.message if result.failure is not None else ""
    saw = message.removeprefix(DENIED)
    if probe.question and result.state is State.USER_ERROR and message.startswith(WORKED):
        return ("accepted" if probe.accepted else "OPEN"), message.removeprefix(WORKED)
    if probe.question and result.state is State.USER_ERROR and not message.startswith(DENIED):
        return "OPEN", f"the probe itself is broken: {message}"
    if result.state not in probe.ends:
        return "OPEN", f"ended in {result.state}, not in {' or '.join(sorted(probe.ends))}: {message}"
    if probe.label is not None and result.label is not probe.label:
        return "OPEN", f"labelled {result.label}, not {probe.label}"
    if probe.text:
        wanted, absent = probe.text.removeprefix("!"), probe.text.startswith("!")
        if (wanted in str(result.as_dict())) == absent:
            return "OPEN", f"{wanted!r} is {'' if absent else 'not '}in the answer: {message}"
    return "contained", saw or result.label.value


def _must(function: Callable[..., Any]) -> str:
    text = inspect.getdoc(function)
    if not text:
        raise ValueError(f"attack {function.__name__} does not say what must happen")
    return " ".join(text.split())
