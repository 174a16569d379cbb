"""A timeline in words: what a screen reader says, nbval compares and a diff shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from awaitsee.observe import layout
from awaitsee.observe.layout import Run, duration

WORTH_A_WORD = 0.15
"""Seconds. A busy machine can hold a loop a little; only what a lesson means is put in words that are compared."""

ABOUT_AS_LONG = 0.8


def facts(run: Run) -> list[str]:
    """List what one would say about a run first: how many of what, and how long."""
    said = [_count(len(run.tasks), "task")]
    if run.threads:
        said.append(_count(len(run.threads), "thread call"))
    if run.requests:
        said += [_count(len(run.requests), "request"), f"at most {run.peak_requests} in flight"]
    elif len(run.tasks) > 1:
        said.append(f"at most {run.peak_tasks} in flight")
    said.append(duration(run.elapsed))
    return said


def held(run: Run) -> list[str]:
    """Say who held the loop longest, when that is worth a word."""
    longest = run.longest_block
    if longest is None or longest.seconds < WORTH_A_WORD:
        return []
    # Of several that held it about as long, always the same one: the first.
    block = next((each for each in run.blocks if each.seconds > ABOUT_AS_LONG * longest.seconds), longest)
    return [f"the loop was held for {duration(block.seconds)} by {block.task}"]


def rounds(run: Run) -> list[str]:
    """Say which nodes each superstep ran, where there are any."""
    if not run.supersteps:
        return []
    nodes = [", ".join(_grouped(step.nodes)) for step in run.supersteps]
    return [f"{_count(len(nodes), 'superstep')}: {' | '.join(nodes)}"]


def trouble(run: Run) -> list[str]:
    """List what went wrong or went on: failures, cancellations, what was left behind or wasted."""
    said = []
    outcomes = [task.outcome for task in run.tasks]
    raised = outcomes.count("raised")
    # When a child's failure ends the observed coroutine, too, that is one failure.
    if raised > 1 and outcomes[0] == "raised":
        raised -= 1
    cancelled, lost = outcomes.count("cancelled"), outcomes.count("lost")
    if raised:
        said.append(f"{raised} failed")
    refused = sum(layout.failed(request) for request in run.requests)
    if refused > raised:
        said.append(f"{_count(refused, 'request')} failed")
    if cancelled:
        said.append(f"{cancelled} cancelled")
    if lost:
        said.append(f"{lost} lost")
    if run.leaked:
        said.append(f"{len(run.leaked)} left behind")
    if run.wasted:
        said.append(f"{_count(run.wasted, 'request')} wasted")
    return said


def of_run(run: Run, title: str, supersteps: bool = False) -> str:
    """Describe one run in one sentence."""
    said = _sentence(run, supersteps)
    return f'Timeline "{title}": {said}' if title else f"Timeline: {said}"


def of_runs(runs: Mapping[str, Run], title: str, supersteps: bool = False) -> str:
    """Describe several runs, a line each."""
    first = f'Timelines "{title}":' if title else "Timelines:"
    lines = [f"  {name}: {_sentence(run, supersteps)}" for name, run in runs.items()]
    return "\n".join([first, *lines])


def _sentence(run: Run, supersteps: bool) -> str:
    return "; ".join([", ".join(facts(run)), *(rounds(run) if supersteps else ()), *held(run), *trouble(run)])


def _grouped(names: Iterable[str]) -> list[str]:
    """Write a name that stands there several times once, with how often: `fetch x 8`."""
    return [name if times == 1 else f"{name} x {times}" for name, times in Counter(names).items()]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
