"""The shipped monitors against the tables of the kernel's monitors, written out here.

A model is a description, a scope, its final states, and its matrix: one row per state in
the order of the index (the initial state first), one column per event, ``-`` a violation.
A binding is a tracepoint, what picks the instance, a condition, an entry point, an event.
"""

import pytest

from rvfs.model.automaton import Automaton
from rvfs.monitor import Entry, Monitor
from rvfs.monitors import SHIPPED, shipped, shipped_monitor

MODELS = {
    "wip": ("wakeup in preemptive per-cpu testing monitor.", "cpu", "preemptive", """
                    preempt_disable   preempt_enable   sched_waking
        preemptive      non_preemptive    -                -
        non_preemptive  -                 preemptive       non_preemptive
    """),
    "wwnr": ("wakeup while not running per-task testing model.", "task", "not_running", """
                    switch_in   switch_out    wakeup
        not_running     running     -             not_running
        running         -           not_running   -
    """),
    "sco": ("scheduling context operations.", "cpu", "thread_context", """
                           sched_set_state   schedule_entry       schedule_exit
        thread_context      thread_context    scheduling_context   -
        scheduling_context  -                 -                    thread_context
    """),
    "snroc": ("set non runnable on its own context.", "task", "other_context", """
                       sched_set_state   sched_switch_in   sched_switch_out
        other_context   -                 own_context       -
        own_context     own_context       -                 other_context
    """),
    "scpd": ("schedule called with preemption disabled.", "cpu", "cant_sched", """
                    preempt_disable   preempt_enable   schedule_entry   schedule_exit
        cant_sched   can_sched         -                -                -
        can_sched    -                 cant_sched       can_sched        can_sched
    """),
    "snep": ("schedule does not enable preempt.", "cpu", "non_scheduling_context", """
            preempt_disable         preempt_enable          schedule_entry     schedule_exit
        non_scheduling_context
            non_scheduling_context  non_scheduling_context  scheduling_contex  -
        scheduling_contex
            -                       -                       -        non_scheduling_context
    """),
    "sts": ("schedule implies task switch.", "cpu", "can_sched", """
                           irq_disable  irq_enable  irq_entry
                           sched_switch  schedule_entry  schedule_exit
        can_sched          cant_sched         -               -
                           -                  scheduling      -
        cant_sched         -                  can_sched       cant_sched
                           -                  -               -
        disable_to_switch  -                  enable_to_exit  in_irq
                           switching          -               -
        enable_to_exit     enable_to_exit     enable_to_exit  enable_to_exit
                           -                  -               can_sched
        in_irq             -                  scheduling      in_irq
                           -                  -               -
        scheduling         disable_to_switch  -               -
                           -                  -               -
        switching          -                  enable_to_exit  -
                           -                  -               -
    """),
    "nrp": ("need resched preempts.", "task", "any_thread_running", """
                    irq_entry   sched_need_resched   schedule_entry   schedule_entry_preempt
        preempt_irq
            preempt_irq         preempt_irq  nested_preempt      nested_preempt
        any_thread_running
            any_thread_running  rescheduling any_thread_running  -
        nested_preempt
            nested_preempt      preempt_irq  any_thread_running  any_thread_running
        rescheduling
            preempt_irq         rescheduling any_thread_running  any_thread_running
    """),
    "sssw": ("set state sleep and wakeup.", "task", "runnable", """
            sched_set_state_runnable sched_set_state_sleepable sched_switch_blocking
            sched_switch_in sched_switch_preempt sched_switch_suspend sched_switch_yield
            sched_wakeup signal_deliver
        runnable
            runnable sleepable sleeping
            runnable runnable - runnable
            runnable runnable
        signal_wakeup
            - sleepable -
            signal_wakeup signal_wakeup - signal_wakeup
            signal_wakeup runnable
        sleepable
            runnable sleepable sleeping
            sleepable sleepable sleeping signal_wakeup
            runnable sleepable
        sleeping
            - - -
            - - - -
            runnable -
    """),
}  # fmt: skip
STATES = {
    "wip": "preemptive non_preemptive",
    "wwnr": "not_running running",
    "sco": "thread_context scheduling_context",
    "snroc": "other_context own_context",
    "scpd": "cant_sched can_sched",
    "snep": "non_scheduling_context scheduling_contex",
    "sts": "can_sched cant_sched disable_to_switch enable_to_exit in_irq scheduling switching",
    "nrp": "preempt_irq any_thread_running nested_preempt rescheduling",
    "sssw": "runnable signal_wakeup sleepable sleeping",
}

INTERRUPTS = """
    irq:irq_handler_entry                    | | | handle | irq_entry
    irq_vectors:local_timer_entry            | | | handle | irq_entry
    irq_vectors:irq_work_entry               | | | handle | irq_entry
    irq_vectors:reschedule_entry             | | | handle | irq_entry
    irq_vectors:call_function_entry          | | | handle | irq_entry
    irq_vectors:call_function_single_entry   | | | handle | irq_entry
"""
BINDINGS = {
    "wip": """
        preemptirq:preempt_disable   | | | handle | preempt_disable
        preemptirq:preempt_enable    | | | start  | preempt_enable
        sched:sched_waking           | | | handle | sched_waking
    """,
    "wwnr": """
        sched:sched_switch | task prev_pid | prev_state == 1 | start  | switch_out
        sched:sched_switch | task prev_pid |                 | handle | switch_out
        sched:sched_switch | task next_pid |                 | handle | switch_in
        sched:sched_wakeup | task pid      |                 | handle | wakeup
    """,
    "sco": """
        sched:sched_set_state_tp | | | start  | sched_set_state
        sched:sched_entry_tp     | | | handle | schedule_entry
        sched:sched_exit_tp      | | | start  | schedule_exit
    """,
    "snroc": """
        sched:sched_set_state_tp | task pid      | | handle | sched_set_state
        sched:sched_switch       | task prev_pid | | start  | sched_switch_out
        sched:sched_switch       | task next_pid | | handle | sched_switch_in
    """,
    "scpd": """
        preemptirq:preempt_disable | | | handle | preempt_disable
        preemptirq:preempt_enable  | | | start  | preempt_enable
        sched:sched_entry_tp       | | | handle | schedule_entry
        sched:sched_exit_tp        | | | handle | schedule_exit
    """,
    "snep": """
        preemptirq:preempt_disable | | | start  | preempt_disable
        preemptirq:preempt_enable  | | | start  | preempt_enable
        sched:sched_entry_tp       | | | handle | schedule_entry
        sched:sched_exit_tp        | | | start  | schedule_exit
    """,
    "sts": f"""
        preemptirq:irq_disable | | | handle | irq_disable
        preemptirq:irq_enable  | | | handle | irq_enable
        {INTERRUPTS}
        sched:sched_switch     | | | handle | sched_switch
        sched:sched_entry_tp   | | | handle | schedule_entry
        sched:sched_exit_tp    | | | start  | schedule_exit
    """,
    "nrp": f"""
        {INTERRUPTS}
        sched:sched_set_need_resched_tp | task pid cpu cpu | tif == 3 | start | sched_need_resched
        sched:sched_entry_tp | | preempt == 1 | handle | schedule_entry_preempt
        sched:sched_entry_tp | |              | handle | schedule_entry
    """,
    "sssw": """
        sched:sched_set_state_tp | task pid | state == 0 | start  | sched_set_state_runnable
        sched:sched_set_state_tp | task pid |            | handle | sched_set_state_sleepable
        sched:sched_switch | task prev_pid | prev_state & 0x100   | handle | sched_switch_preempt
        sched:sched_switch | task prev_pid | prev_state == 0      | handle | sched_switch_yield
        sched:sched_switch | task prev_pid | prev_state == 0x1000 | handle | sched_switch_blocking
        sched:sched_switch | task prev_pid |                      | handle | sched_switch_suspend
        sched:sched_switch | task next_pid |                      | handle | sched_switch_in
        sched:sched_wakeup | task pid      |                      | start  | sched_wakeup
        signal:signal_deliver |            |                      | handle | signal_deliver
    """,
}

every_monitor = pytest.mark.parametrize("name", MODELS)


def monitor(name: str) -> Monitor:
    return shipped_monitor(name).monitor


@every_monitor
def test_description_and_scope(name: str) -> None:
    description, scope, *_ = MODELS[name]
    assert monitor(name).description == description
    assert monitor(name).scope.value == scope


@every_monitor
def test_the_matrix(name: str) -> None:
    model, words = monitor(name).model, MODELS[name][3].split()
    assert isinstance(model, Automaton)
    width = (len(words) - len(model.states)) // (len(model.states) + 1)
    events, rows = words[:width], words[width:]
    assert model.name == name
    assert list(model.events) == events
    assert list(model.states) == STATES[name].split()
    for row, state in enumerate(model.states):
        told, *targets = rows[row * (width + 1) : (row + 1) * (width + 1)]
        assert told == state
        assert [model.next_state(state, event) or "-" for event in events] == targets


@every_monitor
def test_the_final_state(name: str) -> None:
    model = monitor(name).model
    assert isinstance(model, Automaton)
    assert model.final == {MODELS[name][2]}


@every_monitor
def test_the_bindings(name: str) -> None:
    told = [[" ".join(cell.split()) for cell in line.split("|")]
            for line in BINDINGS[name].splitlines() if line.strip()]  # fmt: skip
    assert [
        [
            binding.tracepoint,
            " ".join(
                f"{key} {value}"
                for key, value in (("task", binding.task), ("cpu", binding.cpu))
                if value
            ),
            binding.when.text if binding.when else "",
            binding.entry.value,
            binding.event,
        ]
        for binding in monitor(name).bindings
    ] == told


@every_monitor
def test_every_event_of_the_model_is_bound_and_something_starts(name: str) -> None:
    bindings = monitor(name).bindings
    model = monitor(name).model
    assert isinstance(model, Automaton)
    assert {binding.event for binding in bindings} == set(model.events)
    assert any(binding.entry is Entry.START for binding in bindings)


def test_the_order_of_registration() -> None:
    assert SHIPPED == ("wip", "wwnr", "sched")
    wip, wwnr, sched = shipped()
    assert [loaded.monitor.name for loaded in (wip, wwnr, sched)] == ["wip", "wwnr", "sched"]
    assert [child.monitor.name for child in sched.children] == [
        "sco", "snroc", "scpd", "snep", "sts", "nrp", "sssw",
    ]  # fmt: skip
    assert wip.children == wwnr.children == ()


def test_sched_is_a_container() -> None:
    assert monitor("sched").is_container
    assert monitor("sched").description == (
        "container for several scheduler monitor specifications."
    )


def test_nothing_shipped_gives_a_warning() -> None:
    assert [loaded.warnings for outer in shipped() for loaded in outer] == [()] * 10
