"""The shipped automata against the tables of the kernel's monitors, written out here.

A model is a description, a scope, its final states, and its matrix: one row per state in
the order of the index (the initial state first), one column per event, ``-`` a violation.
A binding is a tracepoint, what picks the instance, a condition, an entry point, an event.
A timing is what a state or a transition asks for, and the clocks that it resets.
"""

import re

import pytest

from rvfs.model.automaton import Automaton
from rvfs.model.guard import parse_constraint, parse_invariant
from rvfs.model.terms import parse_sum
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
    "opid": ("operations with preemption and irq disabled.", "cpu", "any", """
             sched_need_resched  sched_waking
        any  any                 any
    """),
    "stall": ("identify tasks stalled for longer than a threshold.", "task", "dequeued", """
                  sched_switch_in  sched_switch_preempt  sched_switch_wait  sched_wakeup
        dequeued  -                -                     -                  enqueued
        enqueued  running          -                     -                  enqueued
        running   running          enqueued              dequeued           running
    """),
    "nomiss": ("dl entities run to completion before their deadline.", "object", "ready", """
                   dl_replenish  dl_server_idle  dl_server_stop  dl_throttle
                                 sched_switch_in  sched_switch_suspend  sched_wakeup
        ready      ready         idle            sleeping        throttled
                                 running          -                     ready
        idle       ready         idle            sleeping        throttled
                                 running          -                     -
        running    running       idle            sleeping        throttled
                                 running          sleeping              running
        sleeping   ready         sleeping        sleeping        throttled
                                 running          -                     ready
        throttled  ready         throttled       -               throttled
                                 -                throttled             throttled
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
    "opid": "any",
    "stall": "dequeued enqueued running",
    "nomiss": "ready idle running sleeping throttled",
}
#: The clocks and the other variables, what each state bounds, what each transition asks for.
TIMINGS = {
    "opid": ("", "irq_off preempt_off", {}, {
        "any sched_need_resched": "irq_off == 1",
        "any sched_waking": "irq_off == 1 && preempt_off == 1",
    }),
    "stall": ("clk", "", {"enqueued": "clk < threshold_jiffies"}, {
        "dequeued sched_wakeup": "reset(clk)",
        "running sched_switch_preempt": "reset(clk)",
    }),
    "nomiss": ("clk", "is_constr_dl is_defer", {
        "ready": "clk < DEADLINE_NS()", "running": "clk < DEADLINE_NS()",
    }, {
        "ready dl_replenish": "reset(clk)", "idle dl_replenish": "reset(clk)",
        "running dl_replenish": "reset(clk)", "sleeping dl_replenish": "reset(clk)",
        "throttled dl_replenish": "reset(clk)",
        "ready dl_throttle": "is_defer == 1",
        "sleeping dl_throttle": "is_constr_dl == 1 || is_defer == 1",
    }),
}  # fmt: skip
PARAMETERS = {"stall": {"threshold_jiffies": 1000}, "nomiss": {"deadline_thresh": 4_000_000}}
HEAD = {"irq_off": "common_flags & 1", "preempt_off": "common_preempt_count & 0xf"}
ENTITY = {
    "dl_deadline": "dl_deadline", "is_constr_dl": "dl_deadline != dl_period",
    "is_defer": "dl_defer",
}  # fmt: skip
#: What each binding tells; the others tell nothing.
ENVIRONMENTS = {
    "opid": {
        "sched:sched_waking": HEAD,
        "sched:sched_set_need_resched_tp": HEAD,
    },
    "nomiss": {
        "sched:sched_dl_replenish_tp": ENTITY,
        "sched:sched_dl_throttle_tp": ENTITY,
        "sched:sched_dl_server_stop_tp": ENTITY,
    },
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
    "opid": """
        sched:sched_set_need_resched_tp | | | start_run | sched_need_resched
        sched:sched_waking              | | | start_run | sched_waking
    """,
    "stall": """
        sched:sched_switch | task prev_pid | prev_state != 0 && !(prev_state & 0x100) \
                                                           | start  | sched_switch_wait
        sched:sched_switch | task prev_pid |               | handle | sched_switch_preempt
        sched:sched_switch | task next_pid |               | handle | sched_switch_in
        sched:sched_wakeup | task pid      |               | handle | sched_wakeup
    """,
    "nomiss": """
        sched:sched_dl_replenish_tp   | id id | type >= 1 && type <= 3 | handle | dl_replenish
        sched:sched_dl_throttle_tp    | id id | type >= 1 && type <= 3 | handle | dl_throttle
        sched:sched_dl_server_stop_tp | id id | type >= 1 && type <= 3 | start_run | dl_server_stop
        sched:sched_switch | id prev_pid \
            | prev_prio < 0 && prev_state != 0 && !(prev_state & 0x100) \
            | handle | sched_switch_suspend
        sched:sched_switch | id next_pid           | next_prio < 0 | start_run | sched_switch_in
        sched:sched_switch | id -common_cpu        | next_pid == 0 | handle | dl_server_idle
        sched:sched_switch | id -common_cpu - 8192 | next_pid == 0 | handle | dl_server_idle
        sched:sched_wakeup | id pid                | prio < 0      | handle | sched_wakeup
        sched:sched_process_exit | id pid          | prio < 0      | reset |
        raw_syscalls:sys_enter | id common_pid \
            | (id == 144 && args[1] != 6 || id == 314) && args[0] == 0 | reset |
        raw_syscalls:sys_enter | id args[0] \
            | (id == 144 && args[1] != 6 || id == 314) && args[0] != 0 | reset |
    """,
}

#: Between cells; "||" is in a condition.
_BAR = re.compile(r"(?<!\|)\|(?!\|)")

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
    lines = filter(str.strip, BINDINGS[name].splitlines())
    told = [[" ".join(cell.split()) for cell in _BAR.split(line)] for line in lines]
    assert [
        [
            binding.tracepoint,
            " ".join(
                f"{key} {value}"
                for key, value in (
                    ("task", binding.task),
                    ("cpu", binding.cpu),
                    ("id", binding.id and binding.id.text),
                )
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
    events = {binding.event for binding in bindings if binding.entry is not Entry.RESET}
    assert events == set(model.events)
    assert any(binding.entry in (Entry.START, Entry.START_RUN) for binding in bindings)


@every_monitor
def test_the_timing(name: str) -> None:
    model = monitor(name).model
    assert isinstance(model, Automaton)
    if name not in TIMINGS:
        assert model.timing is None
        return
    clocks, variables, bounds, constraints = TIMINGS[name]
    assert model.timing is not None
    assert model.timing.clocks == tuple(clocks.split())
    assert model.timing.envs == tuple(variables.split())
    assert model.timing.invariants == {s: parse_invariant(text) for s, text in bounds.items()}
    assert {" ".join(place): asked for place, asked in model.timing.constraints.items()} == {
        place: parse_constraint(text) for place, text in constraints.items()
    }


@every_monitor
def test_the_parameters_and_the_environment(name: str) -> None:
    assert monitor(name).params == PARAMETERS.get(name, {})
    told = ENVIRONMENTS.get(name, {})
    for binding in monitor(name).bindings:
        env = {variable: reading.text for variable, reading in binding.env.items()}
        assert env == told.get(binding.tracepoint, {})


def test_the_deadline_of_an_entity_is_its_own_and_the_threshold() -> None:
    (value,) = monitor("nomiss").values.items()
    assert value == ("DEADLINE_NS", parse_sum("dl_deadline + deadline_thresh"))


def test_the_order_of_registration() -> None:
    """Listings show children of a container in reverse: the newest first."""
    assert SHIPPED == ("wip", "wwnr", "sched", "rtapp", "stall", "deadline")
    assert tuple(loaded.monitor.name for loaded in shipped()) == SHIPPED
    children = {top.monitor.name: [c.monitor.name for c in top.children] for top in shipped()}
    assert children == {
        "wip": [], "wwnr": [],
        "sched": ["sco", "snroc", "scpd", "snep", "sts", "nrp", "sssw", "opid"],
        "rtapp": ["pagefault", "sleep", "wakeup"],
        "stall": [], "deadline": ["nomiss"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("sched", "container for several scheduler monitor specifications."),
        ("rtapp", "Collection of monitors for detecting problems with real-time applications"),
        ("deadline", "container for several deadline scheduler specifications."),
    ],
)
def test_the_containers(name: str, description: str) -> None:
    assert monitor(name).is_container
    assert monitor(name).description == description


def test_nothing_shipped_gives_a_warning() -> None:
    assert {loaded.warnings for outer in shipped() for loaded in outer} == {()}
