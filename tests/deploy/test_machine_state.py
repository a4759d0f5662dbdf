from __future__ import annotations

from edgewright.deploy.machine_state import STATE_SCRIPT, MachineState, marks_of, parse_states
from edgewright.deploy.transport.local_machine import LocalMachine

#: A Raspberry Pi 4 with two CPUs online.
PI = """state before
clock 10 600000 1500000 ondemand
clock 0 600000 1500000 ondemand
temperature 48312
temperature 47000
cooling 0
flags throttled=0x50000
load 0.10 0.20 0.30 1/100 1234
state during
clock 0 1000000 1500000 ondemand
clock 10 1500000 1500000 performance
temperature 81000
cooling 2
flags throttled=0x5000d
load
"""


def test_states_are_read() -> None:
    before, during = parse_states(PI)
    assert before == MachineState(
        "before", (600.0, 600.0), (1500.0, 1500.0), "ondemand", 48.312, 0.1, ()
    )
    assert during.clocks_mhz == (1000.0, 1500.0)  # in the order of the CPUs' numbers
    assert during.governor == "ondemand, performance"
    assert (during.temperature_c, during.load) == (81.0, None)
    assert during.throttled == (
        "the kernel cools by lowering the clock",
        "under-voltage",
        "the firmware throttles",
        "the soft limit of the temperature is reached",
    )


def test_a_disturbed_run_is_marked() -> None:
    before, during = parse_states(PI)
    assert marks_of([before, during], 1) == ("throttled",)
    assert marks_of([before, during], 2) == ("throttled", "slow clock")
    assert marks_of([before], 2) == ()  # an idle clock says nothing
    busy = MachineState("before", (), (), "", None, 1.5, ())
    assert marks_of([busy], 1) == ("busy",)
    assert marks_of([], 1) == ()


def test_this_machine_answers() -> None:
    script = STATE_SCRIPT + "edgewright_state before\nedgewright_state after\n"
    done = LocalMachine().shell(script, timeout_seconds=30)
    assert (done.status, done.stderr) == (0, "")
    states = parse_states(done.stdout)
    assert [state.when for state in states] == ["before", "after"]
    assert all(state.load is not None and state.load >= 0 for state in states)


def test_nonsense_is_not_believed() -> None:
    (state,) = parse_states("state before\nclock 0  \ntemperature hot\ncooling\nflags ?\nload x\n")
    assert (state.clocks_mhz, state.throttled, state.load) == ((), (), 0.0)
