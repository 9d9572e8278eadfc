"""Every attack says what must happen; the suite is as large as promised and finds what gets out."""

from collections import Counter

import pytest

from ufos_nautilus.errors import BadInputError
from ufos_sandbox import probes
from ufos_sandbox.outcome import Failure, Label, SandboxResult, State
from ufos_sandbox.probes import DENIED, WORKED, Probe, load_probes

if not probes.attacks_folder().is_dir():
    pytest.skip("the attacks are part of a source checkout", allow_module_level=True)
PROBES = load_probes(probes.attacks_folder())
AREAS = {
    "network", "files", "secrets", "processes", "system calls", "bombs", "timing", "threads", "forged results",
    "look-ahead",
}  # fmt: skip


def test_there_are_at_least_eighty_in_every_area_that_matters():
    assert len(PROBES) >= 80
    assert {p.area for p in PROBES} == AREAS
    assert min(Counter(p.area for p in PROBES).values()) >= 5


def test_each_has_a_name_of_its_own_and_says_what_must_happen():
    assert len({p.name for p in PROBES}) == len(PROBES)
    for probe in PROBES:
        assert probe.must.endswith("."), probe.name
        assert probe.ends, probe.name
        compile(probe.source, probe.name, "exec")


def test_only_two_leaks_are_accepted_and_say_why():
    accepted = [p for p in PROBES if p.accepted]
    assert {p.name for p in accepted} == {"kernel_release", "memory_and_load"}
    assert all(len(p.accepted) > 20 for p in accepted)


def asked(message: str, state: State = State.USER_ERROR, accepted: str = "") -> str:
    probe = Probe("area", "name", "must", "", frozenset({State.USER_ERROR}), True, accepted=accepted)
    return probes._verdict(probe, SandboxResult(state, failure=Failure(message)))[0]


def test_an_attack_that_worked_is_called_open_unless_it_is_known():
    assert asked(f"{DENIED}PermissionError") == "contained"
    assert asked(f"{WORKED}a socket") == "OPEN"
    assert asked(f"{WORKED}6.1", accepted="known") == "accepted"
    assert asked("NameError: x") == "OPEN", "a broken probe proves nothing"
    assert asked("", State.COMPLETED) == "OPEN"


def test_a_program_must_end_as_stated_and_be_labelled_as_stated():
    probe = Probe(
        "area", "name", "must", "", frozenset({State.AUDIT_MISMATCH}), False, label=Label.REJECTED, text="!spam"
    )
    right = SandboxResult(State.AUDIT_MISMATCH, Label.REJECTED, evidence=["x"])
    assert probes._verdict(probe, right)[0] == "contained"
    assert probes._verdict(probe, SandboxResult(State.COMPLETED, Label.VERIFIED))[0] == "OPEN"
    assert probes._verdict(probe, SandboxResult(State.AUDIT_MISMATCH, Label.PLAUSIBLE))[0] == "OPEN"
    assert probes._verdict(probe, SandboxResult(State.AUDIT_MISMATCH, Label.REJECTED, evidence=["spam"]))[0] == "OPEN"


def test_a_folder_without_attacks_is_named(tmp_path):
    with pytest.raises(BadInputError, match="no attacks"):
        load_probes(tmp_path)
