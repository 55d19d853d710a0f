"""What a monitor shows of its inside: files below its folder, each a text with one entry a line.

==============  ==============================================================================
``instances``   who is monitored: CPU, pid or id; since when; in which state; which task
``stats``       a name and a count each: events, violations, resets, dropped, kept, anew; last
``coverage``    the transitions of the model, how often each was taken; ``never`` stands out
``violations``  the last ones, and below each the events of that instance that led there
==============  ==============================================================================

Times are in seconds of the source's clock. A line that begins with ``#`` names the columns. What a
monitor has counted stays to be read when it is switched off, until it is switched on again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from rvfs.event import Verdict
from rvfs.inside import Instance, Recorded, Step
from rvfs.monitor import Scope
from rvfs.registered import Registered

#: What tells instances apart, by what they belong to.
_KEYS: Mapping[Scope, str] = {
    Scope.GLOBAL: "", Scope.CPU: "cpu", Scope.TASK: "pid", Scope.OBJECT: "id",
}  # fmt: skip
_NEVER = "never"


def seconds(time: int) -> str:
    """Nanoseconds as ftrace prints them."""
    whole, micros = divmod((time + 500) // 1000, 1_000_000)
    return f"{whole}.{micros:06d}"


def instances(one: Registered) -> Iterator[str]:
    """Whoever is monitored now; nobody, while the monitor is off."""
    key = _KEYS[one.monitor.scope]
    task = "  task" if one.monitor.scope is Scope.TASK else ""
    yield f"# {key:>9} {'since':>17}  state{task}"
    if one.enabled and one.inside is not None:
        yield from (_instance(each, one.monitor.scope) for each in one.inside.instances())


def _instance(instance: Instance, scope: Scope) -> str:
    key = instance.cpu if scope is Scope.CPU else instance.key
    task = f"  {instance.comm}" if scope is Scope.TASK else ""
    shown = "" if key is None else key
    return f"{shown:>11} {seconds(instance.since):>17}  {instance.state or '-'}{task}"


def stats(one: Registered) -> Iterator[str]:
    """``name value``; the last line tells the last violation, if there was one."""
    if one.inside is None:
        return
    counted = one.inside.stats
    for name in ("events", "violations", "resets", "dropped", "kept", "anew"):
        yield f"{name} {getattr(counted, name)}"
    if counted.last is not None:
        yield f"last {_violation(counted.last)}"


def coverage(one: Registered) -> Iterator[str]:
    """Count, state, event, next state."""
    if one.inside is None:
        return
    taken = list(one.inside.coverage())
    yield f"# {sum(count > 0 for *_, count in taken)} of {len(taken)} transitions taken"
    for state, event, following, count in taken:
        yield f"{count or _NEVER:>11}  {state} x {event or '-'} -> {following}"


def violations(one: Registered) -> Iterator[str]:
    """A violation, flush left, then the events before it, indented; a blank line between two."""
    recorded: Iterable[Recorded] = () if one.inside is None else one.inside.violations
    for number, each in enumerate(recorded):
        if number:
            yield ""
        yield _violation(each.verdict)
        yield from map(_step, each.steps)


def _violation(verdict: Verdict) -> str:
    whose = "" if verdict.key is None else f" {verdict.comm}-{verdict.key}:"
    head = f"{seconds(verdict.time)} [{verdict.cpu:03d}]{whose}"
    if verdict.rule:
        return f"{head} violation detected: ({verdict.state}) x ({verdict.event})"
    env = "" if verdict.env is None else f" with env {verdict.env}"
    return f"{head} event {verdict.event} not expected in the state {verdict.state}{env}"


def _step(step: Step) -> str:
    state = "" if step.state is None else f"{step.state} x "
    return f"    {seconds(step.time)} [{step.cpu:03d}] {state}{step.event}"


#: Name → what makes the lines of the file.
SHOWN: Mapping[str, Callable[[Registered], Iterator[str]]] = {
    "instances": instances, "stats": stats, "coverage": coverage, "violations": violations,
}  # fmt: skip
