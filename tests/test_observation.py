"""The questions on a run, asked of made-up facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from awaitsee.journal import Request
from awaitsee.observe import Block, Facts, Observation, Outcome, Step, TaskRecord, ThreadCall


def task(
    number: int,
    parent: int | None,
    span: tuple[float, float | None],
    outcome: Outcome = "returned",
    *,
    name: str = "",
    internal: bool = False,
    steps: Sequence[tuple[float, float]] = (),
) -> TaskRecord:
    return TaskRecord(
        id=number,
        name=name or f"t{number}",
        parent=parent,
        created=span[0],
        started=span[0],
        finished=span[1],
        outcome=outcome if span[1] is not None else "running",
        steps=[Step(*step) for step in steps],
        internal=internal,
    )


def request(
    maker: int | str, arrived: float, finished: float | None, *, status: int = 200, aborted: bool = False
) -> Request:
    return Request(
        number=1,
        path="/v1/chat/completions",
        model="m",
        arrived=arrived,
        started=arrived,
        first_byte=None,
        finished=finished,
        status=status if finished is not None else 0,
        input_tokens=10,
        output_tokens=20,
        aborted=aborted,
        fault="",
        run="r",
        task=str(maker),
    )


def run_of(tasks: list[TaskRecord], elapsed: float = 1.0, **facts: Any) -> Observation:
    return Observation(Facts(elapsed=elapsed, tasks=lambda: tasks, **facts))


ROOT = task(0, None, (0.0, 1.0))


def test_the_root_counts_as_a_task_only_alone() -> None:
    assert run_of([ROOT]).peak_tasks == 1
    assert run_of([ROOT, task(1, 0, (0.1, 0.2))]).peak_tasks == 1
    assert run_of([ROOT, task(1, 0, (0.1, 0.5)), task(2, 0, (0.4, 0.6))]).peak_tasks == 2
    assert run_of([ROOT, task(1, 0, (0.1, 0.5)), task(2, 0, (0.5, 0.6))]).peak_tasks == 1
    assert run_of([ROOT, task(1, 0, (0.1, None)), task(2, 0, (0.5, 0.6)), task(3, 0, (0.7, None))]).peak_tasks == 2
    assert run_of([ROOT, task(1, 0, (0.1, 0.9)), task(2, 1, (0.2, 0.3), internal=True)]).peak_tasks == 1


def test_requests_in_flight_and_latency() -> None:
    run = run_of(
        [ROOT], requests=[request(0, 0.0, 0.4), request(0, 0.1, 0.3), request(0, 0.4, 0.9), request(0, 0.2, None)]
    )
    assert run.peak_requests == 3
    assert run.latency(0) == pytest.approx(0.2)
    assert run.latency(50) == pytest.approx(0.4)
    assert run.latency(75) == pytest.approx(0.45)
    assert run.latency(100) == pytest.approx(0.5)
    assert (run.bill.requests, run.bill.input_tokens, run.bill.output_tokens) == (4, 40, 80)
    for wrong in (-1, 101):
        with pytest.raises(ValueError, match="from 0 to 100"):
            run.latency(wrong)
    with pytest.raises(ValueError, match="No request"):
        run_of([ROOT], requests=[request(0, 0.1, None)]).latency(50)


@pytest.mark.parametrize(
    ("made", "wasted"),
    [
        (request(1, 0.1, 0.95), 0),
        (request(1, 0.1, 1.05), 0),
        (request(1, 0.1, 1.5), 1),
        (request(1, 0.1, None), 1),
        (request(1, 0.1, 1.05, aborted=True), 0),
        (request(1, 0.1, 1.5, aborted=True), 1),
        (request(2, 0.1, 0.3), 0),
        (request(2, 0.1, 0.6), 1),
        (request(2, 0.1, 0.35, aborted=True), 0),
        (request(3, 0.1, 0.6), 1),
        (request(4, 0.1, 0.3), 0),
        (request(4, 0.1, 0.6), 1),
        (request("", 0.1, 0.9), 0),
        (request("", 0.1, 2.0), 1),
    ],
)
def test_wasted(made: Request, wasted: int) -> None:
    tasks = [
        ROOT,
        task(1, 0, (0.0, 0.9)),
        task(2, 0, (0.0, 0.3), "cancelled"),
        task(3, 2, (0.0, 0.7), internal=True),
        task(4, 0, (0.0, 0.3), "raised"),
    ]
    assert run_of(tasks, requests=[made]).wasted == wasted


def test_speedup_is_of_requests_or_of_the_innermost_lanes() -> None:
    tasks = [ROOT, task(1, 0, (0.0, 1.0)), task(2, 1, (0.0, 0.5)), task(3, 1, (0.0, 0.5)), task(4, 0, (0.0, 1.0))]
    assert run_of(tasks).speedup == pytest.approx(2.0)
    assert run_of([ROOT]).speedup == pytest.approx(1.0)
    assert run_of(tasks, requests=[request(1, 0.0, 1.0), request(1, 0.0, 2.0)]).speedup == pytest.approx(3.0)
    assert run_of(tasks, elapsed=0.0).speedup == 1.0


def test_lanes_fold_what_is_internal() -> None:
    tasks = [
        task(0, None, (0.0, 1.0), name="main", steps=[(0.0, 0.1)]),
        task(1, 0, (0.1, 0.9), name="ask", steps=[(0.1, 0.2)]),
        task(2, 0, (0.1, 0.9), name="other"),
        task(3, 1, (0.2, 0.8), name="library", internal=True, steps=[(0.2, 0.3), (0.5, 0.6)]),
        task(4, 3, (0.2, 0.8), name="callback of the user's"),
    ]
    calls = [ThreadCall(name="work", thread="pool", task=3, submitted=0.15, started=0.2, finished=None)]
    run = run_of(
        tasks, threads=calls, requests=[request(3, 0.3, 0.7), request(3, 0.3, 0.7, status=500), request(2, 0.3, None)]
    )
    assert [(lane.depth, lane.name, lane.kind) for lane in run.lanes()] == [
        (0, "main", "task"),
        (1, "ask", "task"),
        (2, "work", "thread"),
        (2, "callback of the user's", "task"),
        (1, "other", "task"),
    ]
    _, ask, work, _, other = run.lanes()
    assert [(step.start, step.end) for step in ask.running] == [(0.1, 0.2), (0.2, 0.3), (0.5, 0.6)]
    assert ask.requests == [(0.3, 0.7, "ok"), (0.3, 0.7, "error")] and other.requests == [(0.3, None, "ok")]
    assert work.outcome == "running" and (work.running[0].start, work.running[0].end) == (0.2, 1.0)
    assert [lane.name for lane in run.lanes(internals=True)] == [
        "main",
        "ask",
        "library",
        "work",
        "callback of the user's",
        "other",
    ]
    assert len(run.tasks) == 4 and len(run.all_tasks) == 5
    assert tasks[1].steps == [Step(0.1, 0.2)]


def test_a_deep_chain_of_tasks() -> None:
    tasks = [ROOT, *(task(number, number - 1, (0.0, 1.0)) for number in range(1, 3000))]
    assert [lane.depth for lane in run_of(tasks).lanes()] == list(range(3000))


def test_blocks_and_lag() -> None:
    blocks = [Block(0.06, "a", "cell 1", 2), Block(0.3, "b", "cell 2", 3)]
    ticks = [(index / 100, index / 100 + (0.2 if index == 50 else 0.001)) for index in range(101)]
    run = run_of([ROOT], blocks=blocks, ticks=ticks)
    assert run.longest_block is blocks[1]
    assert run.lag.max == pytest.approx(0.2) and run.lag.p99 == pytest.approx(0.001)
    assert run.ticks == ticks
    quiet = run_of([ROOT])
    assert quiet.longest_block is None and (quiet.lag.max, quiet.lag.p99) == (0.0, 0.0)


def test_repr_says_what_happened() -> None:
    tasks = [ROOT, task(1, 0, (0.0, 1.0)), task(2, 0, (0.0, 1.0))]
    asked = [request(1, 0.0, 1.0), request(2, 0.0, 1.0)]
    assert repr(run_of(tasks, requests=asked)) == "<Observation: 2 tasks, 2 requests, at most 2 in flight, 1.0 s>"
    assert repr(run_of([ROOT], elapsed=0.26)) == "<Observation: 1 task, at most 1 in flight, 0.3 s>"
    failed = run_of(tasks, error=ValueError("x"), threads=[ThreadCall("f", "pool", 0, 0.0)])
    assert repr(failed) == "<Observation: 2 tasks, 1 thread call, at most 2 in flight, 1.0 s, ValueError>"


def test_a_run_that_goes_on_answers_nothing() -> None:
    run = Observation()
    with pytest.raises(RuntimeError, match="after the `async with"):
        _ = run.tasks
    run.fill(Facts(elapsed=0.5, tasks=lambda: [ROOT], result=7))
    assert (run.elapsed, run.recorded, run.result) == (0.5, 0.5, 7)


def test_tasks_are_built_once_and_only_when_asked_for() -> None:
    built: list[int] = []

    def build() -> list[TaskRecord]:
        built.append(1)
        return [ROOT]

    run = Observation(Facts(elapsed=1.0, tasks=build))
    assert run.elapsed == 1.0 and not built
    assert run.tasks is not run.tasks and run.peak_tasks == 1 and built == [1]
