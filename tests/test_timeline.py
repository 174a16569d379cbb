"""The timeline: what is laid out, what is said, and that drawing leaves no trace and gives the same bytes again."""

from __future__ import annotations

import html
import io
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

import pytest

from awaitsee.journal import Request
from awaitsee.observe import composer, layout, style, summary, timeline
from awaitsee.observe.observation import Block, Lane, Outcome, Step, Superstep, TaskRecord, ThreadCall
from awaitsee.observe.sheet import Box, Mark, Raster, Sheet, Text, shorten

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    import matplotlib
    from PIL import Image

    from awaitsee.observe import drawing

SECOND = 1.0
PIXEL = 0.001


@dataclass
class Recorded:
    """A run made by hand."""

    elapsed: float
    made: list[Lane]
    requests: list[Request] = field(default_factory=list)
    recorded: float = 0.0
    wasted: int = 0
    blocks: list[Block] = field(default_factory=list)
    supersteps: list[Superstep] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recorded = max(self.recorded, self.elapsed)

    def lanes(self, internals: bool | None = None) -> list[Lane]:
        hidden = [lane("library", depth=1)] if internals else []
        return [*self.made, *hidden]

    @property
    def tasks(self) -> list[TaskRecord]:
        return [
            TaskRecord(
                number,
                lane.name,
                None,
                lane.created,
                lane.started,
                lane.finished,
                lane.outcome,
                steps=list(lane.running),
            )
            for number, lane in enumerate(self.made)
            if lane.kind == "task"
        ]

    @property
    def all_tasks(self) -> list[TaskRecord]:
        return self.tasks

    @property
    def threads(self) -> list[ThreadCall]:
        return [ThreadCall(lane.name, "worker", None, lane.created) for lane in self.made if lane.kind == "thread"]

    @property
    def longest_block(self) -> Block | None:
        return max(self.blocks, key=lambda block: block.seconds, default=None)

    @property
    def leaked(self) -> list[str]:
        return [task.name for task in self.tasks if task.finished is None or task.finished > self.elapsed]

    @property
    def peak_requests(self) -> int:
        return _peak([(request.arrived, request.finished) for request in self.requests])

    @property
    def peak_tasks(self) -> int:
        return max(1, _peak([(task.created, task.finished) for task in self.tasks[1:]]))


def _peak(intervals: Sequence[tuple[float, float | None]]) -> int:
    return max((level for _, level in layout.in_flight(intervals, 1e9)), default=0)


def lane(
    name: str,
    depth: int = 0,
    *,
    kind: Literal["task", "thread"] = "task",
    created: float = 0.0,
    started: float | None = 0.0,
    finished: float | None = SECOND,
    outcome: Outcome = "returned",
    running: Sequence[tuple[float, float]] = (),
    requests: Sequence[tuple[float, float | None, str]] = (),
) -> Lane:
    steps = [Step(start, end) for start, end in running]
    return Lane(name, depth, kind, created, started, finished, outcome, steps, list(requests))


def request(number: int, arrived: float, finished: float | None, status: int = 200, **more: Any) -> Request:
    values: dict[str, Any] = {
        "started": arrived,
        "first_byte": arrived,
        "input_tokens": 10,
        "output_tokens": 20,
        "aborted": False,
        "fault": "",
        "run": "r",
        "task": "",
    }
    return Request(
        number, "/v1/chat/completions", "practice", arrived=arrived, finished=finished, status=status, **(values | more)
    )


def one_by_one(count: int = 5) -> Recorded:
    asked = [(i + 0.01, i + 0.99, "ok") for i in range(count)]
    steps = [(float(i), i + 0.001) for i in range(count + 1)]
    made = [lane("one_by_one", finished=float(count), running=steps, requests=asked)]
    return Recorded(float(count), made, [request(i + 1, start, end) for i, (start, end, _) in enumerate(asked)])


def together(count: int = 5) -> Recorded:
    made = [lane("ask_all", finished=1.01, running=[(0.0, 0.002)])]
    for i in range(count):
        made.append(lane(f"ask-{i + 1}", 1, running=[(0.0, 0.001)], requests=[(0.01, 0.99, "ok")]))
    return Recorded(1.01, made, [request(i + 1, 0.01, 0.99) for i in range(count)])


def left_behind() -> Recorded:
    made = [
        lane("ask_five", finished=0.2, outcome="raised"),
        lane("ask-1", 1, requests=[(0.01, 0.9, "ok")]),
        lane("ask-2", 1, finished=0.2, outcome="raised", requests=[(0.01, 0.2, "error")]),
        lane("ask-3", 1, finished=None, outcome="running", requests=[(0.01, None, "ok")]),
        lane("ask-4", 1, finished=0.1, outcome="cancelled", requests=[(0.01, 0.1, "aborted")]),
        lane("ask-5", 1, finished=0.15, outcome="lost"),
    ]
    asked = [
        request(1, 0.01, 0.9),
        request(2, 0.01, 0.2, 400),
        request(3, 0.01, None, 0),
        request(4, 0.01, 0.1, 0, aborted=True),
    ]
    return Recorded(0.2, made, asked, recorded=1.5, wasted=2)


def blocked() -> Recorded:
    made = [lane("main"), lane("search", 1, running=[(0.2, 0.6), (0.7, 0.701)]), lane("tick", 1)]
    return Recorded(1.0, made, blocks=[Block(0.4, "search", "cell", 3)])


def sheet_of(run: Recorded, **more: Any) -> Sheet:
    return timeline.plot(run, **more).sheet


def words_on(sheet: Sheet) -> list[str]:
    return [item.words for item in sheet.items if isinstance(item, Text)]


def boxes(sheet: Sheet, look: str) -> list[Box]:
    """The boxes of one look, without the sample in the legend."""
    below = sheet.height - 0.3
    return [item for item in sheet.items if isinstance(item, Box) and item.look == look and item.y < below]


# Layout


def test_steps_closer_than_a_few_pixels_become_one_that_knows_how_full_it_is() -> None:
    spans = layout.running_spans([Step(i * PIXEL, i * PIXEL + PIXEL / 10) for i in range(100)], [], PIXEL, SECOND)
    assert [span.count for span in spans] == [100]
    assert spans[0].share == pytest.approx(0.1, abs=0.02)


def test_a_step_that_can_be_seen_stays_itself_among_many_that_cannot() -> None:
    steps = [Step(i * PIXEL, i * PIXEL + PIXEL / 10) for i in range(50)]
    spans = layout.running_spans([*steps, Step(0.05, 0.09), Step(0.0901, 0.0902)], [], PIXEL, SECOND)
    assert [(span.count, span.share == 1.0) for span in spans] == [(50, False), (1, True), (1, True)]


def test_a_step_shorter_than_a_pixel_is_still_a_pixel_wide() -> None:
    [span] = layout.running_spans([Step(0.5, 0.500001)], [], PIXEL, SECOND)
    assert span.end - span.start == pytest.approx(PIXEL)
    assert span.share == 1.0


def test_steps_far_apart_stay_apart() -> None:
    spans = layout.running_spans([Step(0.1, 0.11), Step(0.3, 0.31)], [], PIXEL, SECOND)
    assert [(span.start, span.end) for span in spans] == [(0.1, 0.11), (0.3, 0.31)]


def test_a_held_loop_is_cut_out_of_what_ran_around_it() -> None:
    spans = layout.running_spans([Step(0.1, 0.4), Step(0.6, 0.61)], [(0.15, 0.3)], PIXEL, SECOND)
    assert sorted((span.start, span.end, span.kind) for span in spans) == [
        (0.1, 0.15, "running"),
        (0.15, 0.3, "held"),
        (0.3, 0.4, "running"),
        (0.6, 0.61, "running"),
    ]


def test_a_lane_shows_red_only_where_it_ran_itself() -> None:
    spans = layout.running_spans([Step(0.6, 0.61)], [(0.15, 0.3)], PIXEL, SECOND)
    assert [span.kind for span in spans] == ["running"]


def test_short_steps_in_a_row_did_not_hold_the_loop() -> None:
    # One piece in the lane, but no block: it was many steps.
    busy = Recorded(1.0, [lane("busy", running=[(0.0, 0.8)])])
    assert layout.held_spans(busy, SECOND) == []
    assert boxes(sheet_of(busy), "held") == []


def test_one_by_one_is_five_numbered_blocks_on_one_track() -> None:
    [recorded] = one_by_one().lanes()
    row = layout.row_of(recorded, [], PIXEL, 5.0)
    blocks = [span for span in row.spans if span.kind == "request"]
    assert row.tracks == 1
    assert [block.number for block in blocks] == [1, 2, 3, 4, 5]
    assert all(before.end < after.start for before, after in pairwise(blocks))


def test_requests_at_once_in_one_lane_get_tracks_and_many_get_a_profile() -> None:
    spans, tracks, profile = layout.request_spans([(0.1, 0.9, "ok")] * 3, PIXEL, SECOND)
    assert sorted(span.track for span in spans) == [0, 1, 2]
    assert (tracks, profile) == (3, [])
    spans, tracks, profile = layout.request_spans([(0.1, 0.9, "ok")] * 30, PIXEL, SECOND)
    assert (spans, tracks) == ([], 1)
    assert max(level for _, level in profile) == 30


def test_a_thousand_requests_in_a_lane_are_few_spans_that_count_them_all() -> None:
    asked = [(i / 1000, i / 1000 + 0.0008, "ok") for i in range(1000)]
    spans, _, _ = layout.request_spans(asked, PIXEL, SECOND)
    assert len(spans) < 10
    assert sum(span.count for span in spans) == 1000


def test_different_ends_of_requests_are_not_merged() -> None:
    asked = [(i / 1000, i / 1000 + 0.0008, "error" if i == 500 else "ok") for i in range(1000)]
    spans, _, _ = layout.request_spans(asked, PIXEL, SECOND)
    assert [span.kind for span in spans].count("failed request") == 1


def test_what_was_created_and_not_yet_started_is_a_queue_not_a_wait() -> None:
    row = layout.row_of(lane("late", created=0.1, started=0.5), [], PIXEL, SECOND)
    assert [(span.kind, span.start, span.end) for span in row.spans] == [("queue", 0.1, 0.5), ("waiting", 0.5, 1.0)]
    never = layout.row_of(lane("never", created=0.1, started=None, finished=None, outcome="running"), [], PIXEL, SECOND)
    assert [span.kind for span in never.spans] == ["queue"]


def test_a_thread_never_holds_the_loop() -> None:
    busy = lane("work", kind="thread", running=[(0.0, 0.9)])
    assert [span.kind for span in layout.row_of(busy, [(0.1, 0.5)], PIXEL, SECOND).spans] == ["thread"]


def test_in_flight_counts_what_is_open_and_forgets_nothing_that_never_ended() -> None:
    counted = layout.in_flight([(0.1, 0.4), (0.2, None), (0.3, 0.4)], 1.0)
    assert counted == [(0.0, 0), (0.1, 1), (0.2, 2), (0.3, 3), (0.4, 1), (1.0, 1)]


def test_one_ending_as_the_next_begins_is_one_in_flight() -> None:
    assert max(level for _, level in layout.in_flight([(0.0, 0.5), (0.5, 1.0)], 1.0)) == 1


def test_the_strip_keeps_narrow_peaks_and_drops_narrow_dips() -> None:
    counted = [(0.0, 1), (0.5, 9), (0.5001, 1), (0.8, 0), (0.8001, 1), (1.0, 0)]
    pieces = layout.envelope(counted, 0.01)
    assert [level for _, _, level in pieces] == [1, 9, 1]


def test_a_slow_decline_in_many_small_steps_is_not_smoothed_away() -> None:
    counted = [(i / 1000, 1000 - i) for i in range(1001)]
    pieces = layout.envelope(counted, 0.01)
    assert pieces[0][2] == 1000
    assert pieces[-1][2] < 20
    assert pieces[-1][1] == 1.0


def test_forty_lanes_have_names_and_more_fold_into_a_band() -> None:
    assert layout.fold(together(39).lanes()).band == []
    folded = layout.fold(together(300).lanes())
    assert [recorded.name for recorded in folded.named] == ["ask_all"]
    assert len(folded.band) == 300


@pytest.mark.parametrize(
    ("end", "last"),
    [(0.003, "3.0 ms"), (0.05, "50 ms"), (1.01, "1.0 s"), (5.0, "5 s"), (600.0, "10 min"), (0.001, "1.0 ms")],
)
def test_ticks_are_round_few_and_carry_the_unit_once(end: float, last: str) -> None:
    ticks = layout.axis(end).ticks
    assert ticks[0] == (0.0, "0")
    assert ticks[-1][1] == last
    assert 3 <= len(ticks) <= 9
    assert all(moment <= end * 1.0001 for moment, _ in ticks)
    assert all(words.replace(".", "").isdigit() for _, words in ticks[:-1])


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0, "0 ms"), (0.003, "3 ms"), (0.0999, "0.1 s"), (1.04, "1.0 s"), (600.0, "10.0 min")]
)
def test_durations_read_as_people_say_them(seconds: float, words: str) -> None:
    assert layout.duration(seconds) == words


def test_a_server_row_shows_the_queue_and_how_it_ended() -> None:
    row = layout.server_row(1, request(3, 0.0, 0.8, started=0.5), PIXEL, SECOND)
    assert [(span.kind, span.start, span.end) for span in row.spans] == [
        ("request queue", 0.0, 0.5),
        ("request", 0.5, 0.8),
    ]
    assert layout.server_row(1, request(1, 0.0, 0.1, 429), PIXEL, SECOND).note == "429"
    assert layout.server_row(1, request(1, 0.0, 0.1, 0, aborted=True), PIXEL, SECOND).outcome == "cancelled"
    assert layout.server_row(1, request(1, 0.0, None, 0), PIXEL, SECOND).outcome == "running"


# Composition


def test_everything_lies_on_the_sheet() -> None:
    for run in (one_by_one(), together(39), together(300), left_behind(), blocked(), Recorded(0.0, [])):
        sheet = sheet_of(run, title="A finding", requests=True)
        for item in sheet.items:
            if isinstance(item, Box | Raster):
                assert item.x >= 0
                assert item.x + item.width <= sheet.width + 1e-6
                assert item.y + item.height <= sheet.height + 1e-6
            if isinstance(item, Text):
                assert 0 < item.y < sheet.height


def test_the_figure_stays_compact() -> None:
    assert sheet_of(one_by_one()).height < 2.5
    assert sheet_of(together(2)).height < 3
    assert sheet_of(together(39)).height < 8
    assert sheet_of(together(5000)).height < 5


def test_the_band_says_how_many_there_are() -> None:
    sheet = sheet_of(together(300))
    assert "300 tasks" in words_on(sheet)
    [raster] = [item for item in sheet.items if isinstance(item, Raster)]
    assert len(raster.rows) == 300


def test_many_requests_on_the_server_fold_too() -> None:
    words = words_on(sheet_of(together(60), requests=True))
    assert "60 tasks" in words
    assert "60 requests" in words


def test_a_held_loop_is_red_in_its_lane_and_shaded_across_all() -> None:
    sheet = sheet_of(blocked())
    [held] = boxes(sheet, "held")
    [shade] = boxes(sheet, "shade")
    assert (held.x, held.width) == (shade.x, shade.width)
    assert shade.height > 3 * held.height
    assert "loop held for 0.4 s" in words_on(sheet)


def test_what_went_on_after_the_end_has_a_line_and_a_word() -> None:
    assert any("left behind" in words for words in words_on(sheet_of(left_behind())))
    assert not any("left behind" in words for words in words_on(sheet_of(together())))


def test_each_way_to_end_has_its_own_mark() -> None:
    shapes = [item.shape for item in sheet_of(left_behind()).items if isinstance(item, Mark)]
    assert set(shapes) == {"raised", "returned", "running", "cancelled", "lost"}


def test_the_legend_explains_what_occurs_and_nothing_else() -> None:
    plain = words_on(sheet_of(one_by_one()))
    assert "request" in plain
    assert not {"held the loop", "cancelled", "in a worker thread"} & set(plain)
    unhappy = {"raised", "cancelled", "lost", "still running", "request cut off"}
    assert unhappy <= set(words_on(sheet_of(left_behind())))


def test_runs_that_are_compared_share_one_axis() -> None:
    sheet = timeline.compare({"one by one": one_by_one(), "together": together()}, "5 s and 1 s").sheet
    waits = boxes(sheet, "waiting")
    assert waits[0].width / waits[1].width == pytest.approx(5 / 1.01, rel=0.02)
    words = words_on(sheet)
    assert words.count("5 s") == 1
    assert {"one by one", "5.0 s", "together", "1.0 s"} <= set(words)


def test_six_runs_of_many_lanes_still_fit_a_screen() -> None:
    sheet = timeline.compare({f"limit {n}": together(24) for n in range(6)}).sheet
    assert sheet.height < 9
    assert words_on(sheet).count("24 tasks") == 6


def test_internals_add_lanes() -> None:
    assert "library" in words_on(sheet_of(one_by_one(), internals=True))
    assert "library" not in words_on(sheet_of(one_by_one()))


def test_long_names_are_cut_to_the_column() -> None:
    name = "ask('" + "why " * 100 + "')"
    sheet = sheet_of(Recorded(1.0, [lane(name)]))
    [label] = [words for words in words_on(sheet) if words.startswith("ask")]
    assert label.endswith("…")
    assert drawing.measure(label, style.LABEL_SIZE, False) <= 0.3 * sheet.width


def test_shorten_keeps_what_fits_and_never_exceeds_the_room() -> None:
    def measure(words: str, size: float, bold: bool) -> float:
        return float(len(words))

    assert shorten("gather", 6, 9, measure) == "gather"
    assert shorten("gathering", 6, 9, measure) == "gathe…"
    assert shorten("a\n b\tc", 9, 9, measure) == "a b c"


# Words


def test_the_words_for_one_run() -> None:
    assert repr(timeline.plot(together(), "Five calls, one second")) == (
        'Timeline "Five calls, one second": 6 tasks, 5 requests, at most 5 in flight, 1.0 s'
    )
    assert repr(timeline.plot(one_by_one(1))) == "Timeline: 1 task, 1 request, at most 1 in flight, 1.0 s"


def test_the_words_for_trouble() -> None:
    words = summary.of_run(left_behind(), "")
    assert words == (
        "Timeline: 6 tasks, 4 requests, at most 4 in flight, 0.2 s; "
        "1 failed; 1 cancelled; 1 lost; 2 left behind; 2 requests wasted"
    )
    assert "the loop was held for 0.4 s by search" in summary.of_run(blocked(), "")


def test_a_short_pause_is_not_put_into_words_that_are_compared() -> None:
    run = together()
    run.blocks = [Block(0.08, "ask_all", "cell", 1)]
    assert "held" not in summary.of_run(run, "")


def test_refused_requests_are_named_when_no_task_failed_for_them() -> None:
    run = Recorded(1.0, [lane("patient")], [request(1, 0.0, 0.1, 429), request(2, 0.2, 0.9)])
    assert summary.of_run(run, "").endswith("; 1 request failed")


def test_the_words_for_a_comparison_have_a_line_for_each_run() -> None:
    lines = str(timeline.compare({"one by one": one_by_one(), "together": together()}, "5 to 1")).splitlines()
    assert lines == [
        'Timelines "5 to 1":',
        "  one by one: 1 task, 5 requests, at most 1 in flight, 5.0 s",
        "  together: 6 tasks, 5 requests, at most 5 in flight, 1.0 s",
    ]


def test_comparing_nothing_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        timeline.compare({})


# Pictures and files


def test_a_notebook_gets_a_crisp_image_with_its_size_and_words() -> None:
    picture = timeline.plot(together(), "Five calls")
    data, metadata = picture._repr_mimebundle_()
    image = Image.open(io.BytesIO(data["image/png"]))
    shown = metadata["image/png"]
    assert image.size == (2 * shown["width"], 2 * shown["height"])
    assert shown["alt"] == data["text/plain"] == repr(picture)
    assert json.dumps(metadata)


def test_a_notebook_gets_the_words_too_for_who_does_not_see_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append(data))
    picture = timeline.plot(together(), "Five calls & <one> more")
    picture._ipython_display_()
    image, words = shown
    assert image["text/plain"] == picture.text
    assert list(words) == ["text/html"]
    assert re.sub("<[^>]*>", "", words["text/html"]) == html.escape(picture.text, quote=False)


def test_the_same_run_gives_the_same_bytes() -> None:
    for run in (together(), together(300), left_behind()):
        first, second = timeline.plot(run, "Same"), timeline.plot(run, "Same")
        assert first.png == second.png
        assert first.svg == second.svg
        assert first.html == second.html


def test_a_picture_is_a_snapshot() -> None:
    run = together()
    picture = timeline.plot(run)
    before = timeline.plot(run).png
    run.made[0].outcome = "raised"
    run.made.clear()
    assert picture.png == before


@pytest.mark.parametrize(
    "run", [one_by_one(), together(5), left_behind(), together(300)], ids=["1", "5", "left", "300"]
)
def test_a_picture_is_small(run: Recorded) -> None:
    assert len(timeline.plot(run, "A finding").png) < 60_000


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    code = """
import sys
import matplotlib
matplotlib.use("svg")
matplotlib.rcParams["font.size"] = 42
matplotlib.rcParams["path.sketch"] = (1, 100, 2)
before = dict(matplotlib.rcParams)
sys.path.insert(0, "tests")
from tests.test_timeline import together
from awaitsee.observe import timeline
picture = timeline.plot(together())
styled = picture.png, picture.svg
assert "matplotlib.pyplot" not in sys.modules
assert dict(matplotlib.rcParams) == before
matplotlib.rcdefaults()
again = timeline.plot(together())
assert (again.png, again.svg) == styled
"""
    # A process of its own: whatever the other tests have drawn or set does not count.
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)


def test_a_failing_drawing_gives_the_settings_back() -> None:
    before = dict(matplotlib.rcParams)
    with pytest.raises(KeyError):
        drawing.png(Sheet(2.0, 1.0, [Box(0, 0, 1, 1, "no such look")]))
    assert dict(matplotlib.rcParams) == before


def test_importing_the_timeline_does_not_import_matplotlib() -> None:
    code = """
import sys
from awaitsee.observe import timeline
assert not {"matplotlib", "numpy", "PIL"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)


def test_names_from_any_script_draw_without_a_warning() -> None:
    names = ["問い合わせ", "naïve π→∞", "🎉", "\ud800", "$\\alpha_", "", "a\x00b\nc"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = timeline.plot(Recorded(1.0, [lane(name) for name in names]), "$x^2$ and _y_")
        assert picture.png.startswith(b"\x89PNG")
        ElementTree.fromstring(picture.svg)
    assert ">$x^2$ and _y_</text>" in picture.svg


def test_files_of_every_kind(tmp_path: Path) -> None:
    for ending in ("png", "svg", "html", "PNG"):
        path = tmp_path / f"run.{ending}"
        timeline.save(together(), path, "Five calls")
        assert path.stat().st_size > 1000
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")
    assert ElementTree.fromstring((tmp_path / "run.svg").read_text(encoding="utf-8")).tag.endswith("svg")


def test_another_ending_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"saved as \.png, \.svg or \.html; give '.*run\.pdf'"):
        timeline.save(together(), tmp_path / "run.pdf")
    assert list(tmp_path.iterdir()) == []


def test_a_page_escapes_names_and_needs_nothing_else() -> None:
    name = "<script>alert('x')</script> & \"co\""
    page = timeline.compare({name: Recorded(1.0, [lane(name)])}, f"</title>{name}").html
    assert "<script" not in page
    assert "</title>&lt;" not in page
    assert page.count("<svg") == page.count("</svg>") == 1
    assert "&lt;script&gt;alert(" in page
    for outside in ('src="http', 'href="http', "url(http", "@import"):
        assert outside not in page


def test_a_page_has_a_row_for_each_lane() -> None:
    page = timeline.plot(together(300)).html
    assert page.count("<tr>") == 302


def test_every_look_and_mark_that_a_layout_names_can_be_drawn() -> None:
    kinds = {kind for kind in layout.SpanKind.__args__ if kind != "queue"}  # type: ignore[attr-defined]
    assert kinds <= set(style.LOOKS)
    assert set(style.LEGEND) <= set(style.LOOKS)


def test_a_composer_needs_no_drawing_library() -> None:
    sheet = composer.one_run(
        together(), "", lambda words, size, bold: len(words) * size / 130, requests=False, internals=False, width=10.0
    )
    assert len(boxes(sheet, "request")) == 5
