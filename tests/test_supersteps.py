"""Supersteps: what is read from LangGraph, what is drawn, and where nothing can be said."""

from __future__ import annotations

import asyncio
import operator
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest

from awaitsee import Observation, compare, observe
from awaitsee.observe.sheet import Box, Text

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    from langgraph.graph import StateGraph

    from awaitsee.observe import composer, drawing

START = "__start__"


class State(TypedDict):
    done: Annotated[list[str], operator.add]


def node(name: str, seconds: float = 0.02) -> Any:
    async def work(state: State) -> dict[str, list[str]]:
        await asyncio.gather(asyncio.sleep(seconds), asyncio.sleep(seconds / 2))
        return {"done": [name]}

    return work


def sync(state: State) -> dict[str, list[str]]:
    time.sleep(0.02)
    return {"done": ["sync"]}


def graph(*edges: tuple[str, str], **others: Any) -> Any:
    builder = StateGraph(State)
    for name in dict.fromkeys(end for edge in edges for end in edge if end != START):
        builder.add_node(name, others.get(name) or node(name))
    for start, end in edges:
        builder.add_edge(start, end)
    return builder.compile()


def run(app: Any, times: int = 1, together: bool = False) -> Observation:
    async def main() -> None:
        calls = [app.ainvoke({"done": []}) for _ in range(times)]
        if together:
            await asyncio.gather(*calls)
        else:
            for call in calls:
                await call

    async def observed() -> Observation:
        return await observe(main())

    return asyncio.run(observed())


DIAMOND = ((START, "plan"), ("plan", "fast"), ("plan", "slow"), ("fast", "after"), ("slow", "end"))


def test_each_round_has_its_nodes_and_ends_before_the_next() -> None:
    seen = run(graph(*DIAMOND, slow=node("slow", 0.1))).supersteps
    assert [(step.number, step.nodes) for step in seen] == [
        (1, ("plan",)),
        (2, ("fast", "slow")),
        (3, ("after", "end")),
    ]
    assert all(before.end <= after.start for before, after in pairwise(seen))
    assert seen[1].end - seen[1].start > 0.1 > 2 * (seen[0].end - seen[0].start - 0.02)


@pytest.mark.parametrize("edges", [((START, "sync"),), ((START, "sync"), (START, "other"))])
def test_a_sync_node_counts_once_alone_and_beside_others(edges: tuple[tuple[str, str], ...]) -> None:
    (step,) = run(graph(*edges, sync=sync)).supersteps
    assert sorted(step.nodes) == sorted(end for _, end in edges)


def test_what_a_subgraph_does_is_part_of_its_node() -> None:
    inner = graph((START, "first"), ("first", "second"))
    seen = run(graph((START, "inner"), (START, "other"), ("inner", "last"), inner=inner)).supersteps
    assert [sorted(step.nodes) for step in seen] == [["inner", "other"], ["last"]]


def test_runs_one_after_the_other_follow_each_other_and_runs_at_once_say_nothing() -> None:
    app = graph((START, "a"), ("a", "b"))
    assert [step.number for step in run(app, times=2).supersteps] == [1, 2, 1, 2]
    slow_second = graph((START, "a"), ("a", "b"), b=node("b", 0.1))

    async def staggered() -> None:
        first = asyncio.create_task(slow_second.ainvoke({"done": []}))
        await asyncio.sleep(0.05)
        await asyncio.gather(first, app.ainvoke({"done": []}))

    async def observed() -> Observation:
        return await observe(staggered())

    assert asyncio.run(observed()).supersteps == []


def test_without_a_graph_there_are_none() -> None:
    async def observed() -> Observation:
        return await observe(asyncio.sleep(0))

    seen = asyncio.run(observed())
    assert seen.supersteps == []
    assert "superstep" not in str(seen.plot(supersteps=True))


def test_bands_are_drawn_and_said_only_when_asked_for() -> None:
    seen = run(graph(*DIAMOND, fast=node("fast", 0.1), slow=node("slow", 0.1)))

    def bands(supersteps: bool) -> tuple[int, list[str]]:
        sheet = composer.one_run(
            seen, "", drawing.measure, requests=False, internals=None, supersteps=supersteps, width=10
        )
        words = [item.words for item in sheet.items if isinstance(item, Text) and "superstep" in item.words]
        return sum(isinstance(item, Box) and item.look == "superstep" for item in sheet.items), words

    assert bands(False) == (0, [])
    assert bands(True)[0] == 2
    assert "superstep 2" in bands(True)[1]
    assert "3 supersteps: plan | fast, slow | after, end" in str(seen.plot(supersteps=True))
    assert "superstep" not in str(seen.plot())
    assert str(compare({"a": seen, "b": seen}, supersteps=True)).count("3 supersteps") == 2
