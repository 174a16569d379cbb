"""docs/teaching.md: an entry for every lesson, a poll for every Predict, and the sources' own minutes."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest

import start
from awaitsee.overview import TRACKS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "teaching.md"
TEXT = PAGE.read_text(encoding="utf-8")
STEMS = sorted(path.stem for path in (ROOT / "lessons").glob("*.md") if ".exercises" not in path.name)
PARTS = ["Misconceptions to expect", "Polls", "What goes wrong live, and how to recover", "Group task"]
CODE = re.compile(r"```.*?```", re.DOTALL)
MINUTES = r"\*[^,*\n]+, (\d+) minutes\*"
POLL = re.compile(
    r"^- \[(?P<heading>.+?)\]\(\.\./notebooks/(?P<stem>\w+)\.ipynb#(?P<anchor>[^)\s]+)\) \*.+?\* "
    r"Right: \*\*(?P<right>[ABC])\*\*\. Most pick (?P<wrong>[ABC]): \S",
    re.MULTILINE,
)

every_lesson = pytest.mark.parametrize("stem", STEMS)


class Lesson(NamedTuple):
    """What the page repeats of a lesson's source."""

    title: str
    minutes: int
    sections: list[tuple[str, int]]
    quiz: int
    exercises: dict[str, int]
    polls: list[tuple[str, str]]
    text: str


@cache
def lesson(stem: str) -> Lesson:
    text = (ROOT / "lessons" / f"{stem}.md").read_text(encoding="utf-8")
    sheet = (ROOT / "lessons" / f"{stem}.exercises.md").read_text(encoding="utf-8")
    title, minutes = re.search(r"^# (.+)$", text, re.MULTILINE), re.search(r"^  minutes: (\d+)$", text, re.MULTILINE)
    assert title and minutes
    timed = re.findall(r'^\+\+\+ \{"minutes": (\d+).*\}\n\n## (.+)$', text, re.MULTILINE)
    # Shell lines and comments in code look like headings.
    prose = CODE.sub("", text)
    polls, heading, open_poll = [], "", False
    for line in prose.splitlines():
        if found := re.match(r"#{2,3} (.+)", line):
            heading = found[1]
        elif line.startswith("**Predict.**"):
            open_poll = True
        elif open_poll and (found := re.match(r"([ABC])[.,] ", line)):
            polls.append((heading, found[1]))
            open_poll = False
    assert len(polls) == prose.count("**Predict.**")
    return Lesson(
        title[1],
        int(minutes[1]),
        [(name, int(number)) for number, name in timed if not name.startswith("Quiz")],
        sum(int(number) for number, name in timed if name.startswith("Quiz")),
        {key: int(number) for key, number in re.findall(rf"^## Exercise (\S+) · .+\n\n{MINUTES}", sheet, re.MULTILINE)},
        polls,
        text,
    )


def entry(stem: str) -> str:
    """The lesson's part of the page."""
    parts = re.split(r"^### ", TEXT.split("\n## The lessons\n")[1], flags=re.MULTILINE)
    (found,) = [part for part in parts if part.startswith(f"{lesson(stem).title}\n")]
    return found


def part_of(stem: str, name: str) -> str:
    """What stands under one of the four headings of an entry."""
    after = entry(stem).split(f"**{name}**", 1)[1]
    return re.split(rf"^\*\*(?:{'|'.join(map(re.escape, PARTS))})\*\*", after, flags=re.MULTILINE)[0]


def points(stem: str, name: str) -> list[str]:
    return re.findall(r"^- (.+)$", part_of(stem, name), re.MULTILINE)


def test_entries_are_the_lessons_in_their_order() -> None:
    entries = re.findall(r"^### (.+)$", TEXT.split("\n## The lessons\n")[1], re.MULTILINE)
    assert entries == [lesson(stem).title for stem in STEMS]


@every_lesson
def test_every_entry_has_the_same_form(stem: str) -> None:
    assert re.findall(r"^\*\*([^*]+)\*\*", entry(stem), re.MULTILINE) == PARTS
    assert 2 <= len(points(stem, PARTS[0])) <= 3
    assert 1 <= len(points(stem, PARTS[2])) <= 3
    minutes = re.match(r" \((\d+) minutes, with(?:out)? a computer\)\. ", part_of(stem, PARTS[3]))
    assert minutes and 5 <= int(minutes[1]) <= 10


@every_lesson
def test_minutes_are_the_sources(stem: str) -> None:
    source = lesson(stem)
    timed = [*source.sections, *([("quiz", source.quiz)] if source.quiz else [])]
    wanted = (
        f"[Notebook](../notebooks/{stem}.ipynb), {source.minutes} minutes: "
        f"{', '.join(f'{name} ({minutes})' for name, minutes in timed)}. "
        f"[Exercises](../exercises/{stem}.ipynb): {sum(source.exercises.values())} minutes."
    )
    assert entry(stem).splitlines()[2] == wanted


@every_lesson
def test_every_predict_has_its_poll_with_the_right_letter(stem: str) -> None:
    polls = list(POLL.finditer(part_of(stem, PARTS[1])))
    assert len(polls) == len(points(stem, PARTS[1])), "a line under Polls has another form"
    assert [(poll["heading"], poll["right"]) for poll in polls] == lesson(stem).polls
    for poll in polls:
        assert poll["stem"] == stem
        assert unquote(poll["anchor"]) == poll["heading"].replace(" ", "-")
        assert poll["wrong"] != poll["right"]


@every_lesson
def test_each_misconception_names_what_cures_it(stem: str) -> None:
    for point in points(stem, PARTS[0]):
        figures, cells = re.findall(r'Figure: "([^"]+)"\.$', point), re.findall(r"Cell: `([^`]+)`\.$", point)
        assert figures or cells, f"neither figure nor cell: {point}"
        code = "\n".join(CODE.findall(lesson(stem).text))
        assert all(f'"{title}"' in code for title in figures), point
        assert all(cell in code for cell in cells), point


def rows(after: str, before: str) -> list[list[str]]:
    """The cells of the tables between two headings, without their heads."""
    lines = TEXT.split(after, 1)[1].split(before, 1)[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if row[0] not in ("Lesson", "Time", "---")]


def test_the_tracks_add_up() -> None:
    seen, sums = [], [0, 0, 0, 0]
    for row in rows("\n## Tracks and minutes\n", "\n## A timetable"):
        numbers = [int(cell or 0) for cell in (row[1], *row[3:])]
        if row[0] == "together":
            assert numbers == sums
            sums = [0, 0, 0, 0]
            continue
        link = re.fullmatch(r"\[(.+)\]\(\.\./notebooks/(\w+)\.ipynb\)", row[0])
        assert link
        source = lesson(link[2])
        exercises = sum(source.exercises.values())
        assert link[1] == source.title
        assert numbers == [source.minutes, source.quiz, exercises, source.minutes + source.quiz + exercises], row
        assert row[2] == " + ".join(str(minutes) for _, minutes in source.sections), row
        sums = [one + other for one, other in zip(sums, numbers, strict=True)]
        seen.append(link[2])
    assert sorted(seen) == STEMS


def test_the_tracks_are_those_of_the_readme() -> None:
    tables = TEXT.split("\n## Tracks and minutes\n", 1)[1].split("\n## A timetable", 1)[0]
    for track, numbers in TRACKS.items():
        table = tables.split(f"\n### {track}\n", 1)[1].split("\n### ", 1)[0]
        assert tuple(re.findall(r"^\| \[(\d\d) · ", table, re.MULTILINE)) == numbers, track


def test_the_timetable_has_no_gap_and_the_sources_minutes() -> None:
    by_number = {stem[:2]: lesson(stem) for stem in STEMS}
    table, lessons = rows("\n## A timetable", "\n## The lessons\n"), []
    clock = [int(row[0][:2]) * 60 + int(row[0][3:]) for row in table]
    assert [after - now for now, after in pairwise(clock)] == [int(row[1]) for row in table[:-1]]
    for _, minutes, what in table:
        if found := re.match(r"Lesson (\d\d) · ", what):
            source = by_number[found[1]]
            left_out = source.sections[-1][1] if what.endswith("without the optional section") else 0
            assert what.removesuffix(", without the optional section") == f"Lesson {source.title}"
            assert int(minutes) == source.minutes - left_out, what
            lessons.append(found[1])
        elif found := re.match(r"Exercise ((\d\d)\.\d) · (.+)", what):
            assert int(minutes) == by_number[found[2]].exercises[found[1]], what
        elif found := re.match(r"Quiz of lesson (\d\d)", what):
            assert int(minutes) == by_number[found[1]].quiz, what
    assert lessons == ["00", "01", "02", "03", "04", "05", "06", "13"]
    left_out_of_a_class = ("Going further", "Optional: a real model on your machine")
    polls = [heading for number in lessons for heading, _ in by_number[number].polls]
    assert f"has {sum(heading not in left_out_of_a_class for heading in polls)} polls" in TEXT


def test_sections_that_are_named_exist() -> None:
    cuts = TEXT.split("\nWhere to cut when you are late", 1)[1].split("\n\n", 1)[0]
    for name, minutes, number in re.findall(r'"([^"]+)" \((\d+)(?: minutes)?, lesson (\d\d)\)', cuts):
        (stem,) = [stem for stem in STEMS if stem.startswith(number)]
        assert (name, int(minutes)) in lesson(stem).sections


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)\s#]+)", TEXT):
        assert (PAGE.parent / target).exists(), target


def test_anchors_exist() -> None:
    own = {
        re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXT):
        path, _, anchor = target.partition("#")
        if not path:
            assert anchor in own, target
        elif anchor:
            headings = re.findall(r"^#{2,3} (.+)$", CODE.sub("", lesson(Path(path).stem).text), re.MULTILINE)
            assert unquote(anchor) in [heading.replace(" ", "-") for heading in headings], target


def test_its_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    written = "\n".join(re.findall(r"`[^`\n]+`|^>        .+$", TEXT, re.MULTILINE))
    for command in set(re.findall(r"\bmake ([a-z.]+)\b", written)):
        assert re.search(rf"^{re.escape(command)}:", makefile, re.MULTILINE), f"make {command}"
    for command in set(re.findall(r"\bstart\.py ([a-z]+)\b", written)):
        assert command in start.COMMANDS, f"start.py {command}"
