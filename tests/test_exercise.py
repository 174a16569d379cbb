"""The check of an exercise: what it prints, what it raises, and that it always ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from awaitsee import YourTurn, exercise, observe, progress, simulate
from awaitsee.exercise import ExerciseFailed

YOURS = "06.1 is yours to write: the code still says `raise YourTurn`.\n"


async def fine() -> int:
    await asyncio.sleep(0)
    return 42


async def stub() -> int:
    raise YourTurn


async def check_that(work: Callable[[], Awaitable[int]], wanted: int = 42, deadline: float = 15) -> None:
    """A check cell as a notebook has it."""
    with exercise("06.1", deadline=deadline) as check:
        run = await observe(work())
        check("the answer is 42", run.result == wanted, saw=run.result, hint="multiply six by seven")
        check("one task at a time", run.peak_tasks == 1)


def test_what_is_met_is_said_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(check_that(fine))
    assert capsys.readouterr().out.splitlines() == [
        "06.1  ok  the answer is 42",
        "06.1  ok  one task at a time",
        "06.1 done.",
    ]


def test_what_is_not_met_is_said_with_what_was_seen_and_what_to_try(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExerciseFailed, match=r"^06\.1: 1 of 2 conditions not met\."):
        asyncio.run(check_that(fine, wanted=43))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "06.1  NO  the answer is 42; saw 42"
    assert lines[1].strip() == "Try: multiply six by seven"
    assert lines[2] == "06.1  ok  one task at a time"


def test_an_untouched_stub_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(check_that(stub))
    assert capsys.readouterr().out == YOURS


def test_an_untouched_stub_is_found_in_an_exception_group(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> int:
        async with asyncio.TaskGroup() as group:
            group.create_task(stub())
        return 42

    asyncio.run(check_that(work))
    assert capsys.readouterr().out == YOURS


def test_an_untouched_stub_is_found_where_the_run_keeps_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    async def cell() -> None:
        with exercise("06.1") as check:
            run = await observe(stub(), keep_error=True)
            check("it answers", run.result == 42)

    asyncio.run(cell())
    assert capsys.readouterr().out == YOURS


def test_an_untouched_stub_is_found_in_a_simulation(capsys: pytest.CaptureFixture[str]) -> None:
    async def cell() -> None:
        with exercise("06.1") as check:
            sim = await simulate(stub)
            check("it answers", sim.result == 42)

    asyncio.run(cell())
    assert capsys.readouterr().out == YOURS


def test_a_plain_not_implemented_error_is_not_the_stub() -> None:
    async def work() -> int:
        raise NotImplementedError("a library cannot do this")

    with pytest.raises(NotImplementedError, match="a library"):
        asyncio.run(check_that(work))


def test_the_learners_own_exception_passes_through() -> None:
    async def work() -> int:
        raise ValueError("bad input")

    with pytest.raises(ValueError, match="bad input"):
        asyncio.run(check_that(work))


async def waits_for_ever() -> int:
    await asyncio.get_running_loop().create_future()
    return 42


async def holds_the_loop() -> int:
    while True:
        pass


async def sleeps_in_a_task() -> int:
    async def block() -> int:
        time.sleep(60)
        return 42

    return (await asyncio.gather(block(), block()))[0]


async def swallows_one_cancellation() -> int:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(60)
    return 42


async def swallows_everything() -> int:
    while True:
        try:
            await asyncio.sleep(0.01)
        except BaseException:
            continue


async def blocks_and_swallows() -> int:
    while True:
        try:
            time.sleep(10)
        except:  # noqa: E722 - that nothing gets past it is the point
            continue


@pytest.mark.parametrize(
    "work",
    [
        blocks_and_swallows,
        waits_for_ever,
        holds_the_loop,
        sleeps_in_a_task,
        swallows_one_cancellation,
        swallows_everything,
    ],
)
def test_code_that_does_not_end_is_stopped_and_the_loop_lives(work: Callable[[], Awaitable[int]]) -> None:
    async def cells() -> str:
        with pytest.raises(ExerciseFailed, match=r"did not end within 0\.3 s"):
            await check_that(work, deadline=0.3)
        await asyncio.sleep(0.01)
        return "the next cell runs"

    loop = asyncio.new_event_loop()
    try:
        # Not asyncio.run: at its end it would wait for the task that swallows everything.
        assert loop.run_until_complete(asyncio.wait_for(cells(), 20)) == "the next cell runs"
    finally:
        loop.close()


def test_where_the_loop_was_held_is_said() -> None:
    with pytest.raises(ExerciseFailed, match=r"held the event loop at line .*: (pass|while True:)"):
        asyncio.run(check_that(holds_the_loop, deadline=0.3))


def test_a_cell_without_await_is_stopped_too() -> None:
    with pytest.raises(ExerciseFailed, match="did not end"), exercise("06.1", deadline=0.2) as check:
        time.sleep(60)
        check("never reached", True)


def test_the_deadline_ends_with_the_check() -> None:
    async def cell() -> None:
        await check_that(fine, deadline=2)
        await asyncio.sleep(2.5)

    asyncio.run(cell())


def test_a_condition_that_was_not_awaited_is_refused() -> None:
    async def cell() -> None:
        with exercise("06.1") as check:
            work = fine()
            try:
                check("the answer is there", work)
            finally:
                work.close()

    with pytest.raises(TypeError, match="await it first"):
        asyncio.run(cell())


def test_a_check_without_conditions_does_not_count() -> None:
    with pytest.raises(ExerciseFailed, match="checks nothing"), exercise("06.1"):
        pass


@pytest.mark.parametrize("number", ["6.1", "06", "06.1.2", ""])
def test_a_number_of_another_form_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match=r"06\.1"):
        exercise(number)


def test_a_failure_shows_as_one_line() -> None:
    assert ExerciseFailed("06.1: 1 of 2")._render_traceback_() == ["ExerciseFailed: 06.1: 1 of 2"]


def test_what_is_left_running_is_cancelled_with_the_check() -> None:
    async def leaves_a_task() -> int:
        asyncio.create_task(waits_for_ever(), name="left")  # noqa: RUF006
        return 42

    async def cells() -> list[str]:
        await check_that(leaves_a_task)
        await asyncio.sleep(0)
        return [task.get_name() for task in asyncio.all_tasks()]

    assert "left" not in asyncio.run(cells())


def test_an_error_beside_a_stub_is_not_hidden() -> None:
    async def work() -> int:
        async def bad() -> None:
            raise ValueError("own")

        async with asyncio.TaskGroup() as group:
            group.create_task(stub())
            group.create_task(bad())
        return 42

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(check_that(work))
    assert raised.value.subgroup(ValueError) is not None


def test_a_result_that_cannot_be_shown_does_not_end_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    class Rude:
        def __repr__(self) -> str:
            raise ValueError("no repr")

    async def cell() -> None:
        with exercise("06.1") as check:
            check("fine", False, saw=Rude())
            check("fine", False, saw="two\nlines")
            check("fine", False, saw="")

    with pytest.raises(ExerciseFailed):
        asyncio.run(cell())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("saw ")[1] for line in lines] == [
        "a Rude whose repr raises ValueError",
        "two lines",
        "an empty text",
    ]


def test_two_kernels_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    code = "import sys; from pathlib import Path; from awaitsee import progress\n"
    code += "[progress.note(f'{sys.argv[2]}.{number}', 'done', Path(sys.argv[1])) for number in range(40)]"
    kernels = [subprocess.Popen([sys.executable, "-c", code, str(file), name]) for name in ("01", "02")]
    assert [kernel.wait(60) for kernel in kernels] == [0, 0]
    assert len(progress.read(file)) == 80


def test_only_the_learners_copy_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HOME", tmp_path / "my")
    noted: list[tuple[str, str]] = []
    monkeypatch.setattr(progress, "note", lambda number, state: noted.append((number, state)))
    monkeypatch.chdir(tmp_path)
    asyncio.run(check_that(fine))
    assert noted == []
    (tmp_path / "my" / "exercises").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "my" / "exercises")
    asyncio.run(check_that(fine))
    asyncio.run(check_that(stub))
    with pytest.raises(ExerciseFailed):
        asyncio.run(check_that(fine, wanted=0))
    assert noted == [("06.1", "done"), ("06.1", "tried")]


def test_progress_is_kept_and_done_stays_done(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    for number, state in [("06.1", "tried"), ("06.1", "done"), ("06.1", "tried"), ("06.2", "tried")]:
        progress.note(number, state, file)  # type: ignore[arg-type]
    assert {number: (entry.state, entry.tries) for number, entry in progress.read(file).items()} == {
        "06.1": ("done", 3),
        "06.2": ("tried", 1),
    }


@pytest.mark.parametrize("damage", ["{", "[]", '{"06.1": {"state": "done"}}', '{"06.1": 3}'])
def test_a_damaged_file_is_put_aside_and_not_deleted(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "progress.json"
    file.write_text(damage, encoding="utf-8")
    progress.note("06.1", "done", file)
    assert progress.read(file)["06.1"].state == "done"
    [aside] = tmp_path.glob("progress.damaged-*.json")
    assert aside.read_text(encoding="utf-8") == damage
    assert aside.name in capsys.readouterr().out


def test_a_failure_shows_the_run_of_this_check_and_of_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    monkeypatch.setattr("IPython.display.display", shown.append)

    async def another_check() -> None:
        run = await observe(fine())
        assert run.result == 42
        with exercise("06.2") as check:
            check("nothing was run for this", False)

    with pytest.raises(ExerciseFailed):
        asyncio.run(another_check())
    assert shown == []
    with pytest.raises(ExerciseFailed):
        asyncio.run(check_that(fine, wanted=43))
    assert len(shown) == 1
