"""The places that tools talk to: search, weather, handbook, web pages."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from awaitsee.practice import material, places
from awaitsee.practice.material import data_folder

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Checker(HTMLParser):
    """Collects links and what is wrong with the nesting of tags."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def check(body: bytes) -> Checker:
    checker = Checker()
    checker.feed(body.decode())
    checker.close()
    return checker


def html_pages() -> list[Path]:
    return sorted((data_folder() / "pages").glob("*.html"))


@pytest.mark.parametrize(
    ("query", "url"),
    [
        ("semaphores", "/pages/semaphores.html"),
        ("What does a semaphore limit?", "/pages/semaphores.html"),
        ("rate limit 429", "/pages/rate-limits.html"),
        ("deadlock of two locks", "/pages/deadlocks.html"),
        ("cancel a task", "/pages/cancellation.html"),
        ("blocking code in threads", "/pages/threads.html"),
        ("gather results in order", "/pages/gather.html"),
        ("research desk planner", "/pages/desk.html"),
        ("slow page", "/pages/archive.html"),
    ],
)
def test_the_search_finds_the_page(query: str, url: str) -> None:
    found = places.search(query)
    assert found[0]["url"] == url
    assert found[0].keys() == {"title", "url", "snippet"}
    assert found[0]["snippet"]
    assert places.page(found[0]["url"]) is not None


def test_the_search_keeps_to_its_limit_and_names_a_page_once() -> None:
    found = places.search("task", limit=3)
    assert len(found) == 3
    assert len({one["url"] for one in found}) == 3
    assert places.search("task", limit=0) == []
    assert places.search("zebra crossing") == []


def test_the_weather_is_made_up_and_says_so() -> None:
    paris = places.weather("Paris")
    assert paris is not None
    assert paris == places.weather("  paris, France ")
    assert "practice data" in paris["note"]
    assert paris["city"] == "Paris"
    assert isinstance(paris["temperature_c"], int)


@pytest.mark.parametrize(
    ("asked", "city"), [("Zürich", "Zurich"), ("NYC", "New York"), ("SAN FRANCISCO", "San Francisco")]
)
def test_a_city_has_several_spellings(asked: str, city: str) -> None:
    report = places.weather(asked)
    assert report is not None
    assert report["city"] == city
    assert "also" not in report


@pytest.mark.parametrize("city", ["Atlantis", "", "Par", "is"])
def test_an_unknown_city_has_no_weather(city: str) -> None:
    assert places.weather(city) is None


def test_every_city_has_plausible_weather() -> None:
    assert len(places.cities()) >= 20
    for city in places.cities():
        report = places.weather(city)
        assert report is not None
        assert -30 <= report["temperature_c"] <= 45
        assert 0 <= report["humidity_percent"] <= 100


def test_the_handbook_gives_passages() -> None:
    passages = places.handbook("How does a deadlock happen?", limit=2)
    assert len(passages) == 2
    assert passages[0].keys() == {"page", "heading", "text"}
    assert passages[0]["heading"] == "How does a deadlock happen?"
    assert places.handbook("zebra") == []


@pytest.mark.parametrize(
    "path",
    ["/pages/tasks.html", "tasks.html", "/tasks.html", "/pages/tasks.html?from=search#top", "/pages/t%61sks.html"],
)
def test_a_page_is_found_by_its_path(path: str) -> None:
    page = places.page(path)
    assert page is not None
    assert (page.status, page.content_type, page.delay) == (200, "text/html; charset=utf-8", 0.0)
    assert b"<h1>Tasks</h1>" in page.body


def test_pages_with_character() -> None:
    moved = places.page("/pages/await.html")
    assert moved is not None
    assert (moved.status, moved.headers) == (301, {"location": "/pages/coroutines.html"})
    slow = places.page("/pages/archive.html")
    assert slow is not None
    assert slow.delay == 2.0
    assert places.page("/pages/missing.html") is None
    start = places.page("/pages/")
    assert start == places.page("/pages/index.html")


@pytest.mark.parametrize(
    "path",
    [
        "../places.json",
        "/pages/../places.json",
        "%2e%2e/places.json",
        "%2e%2e%2fplaces.json",
        "..%2fplaces.json",
        "%252e%252e/places.json",
        "/pages/../../pyproject.toml",
        "/etc/passwd",
        "//etc/passwd",
        "/pages//etc/passwd",
        "..\\places.json",
        "./../places.json",
        "tasks.html/../../places.json",
        "tasks.html%00",
        "\0",
        "/pages/.",
        "/pages/..",
        "~/x",
        "C:\\x",
        "file:///etc/passwd",
        "tasks.html/",
        "é",
        "%ff",
    ],
)
def test_no_path_leads_outside(path: str) -> None:
    assert places.page(path) is None


def test_a_link_to_the_outside_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "handbook").mkdir()
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "inside.html").write_text("<p>inside</p>")
    (tmp_path / "secret.txt").write_text("secret")
    try:
        (tmp_path / "pages" / "leak.txt").symlink_to(tmp_path / "secret.txt")
    except OSError:
        pytest.skip("no symbolic links here")
    monkeypatch.setenv(material.DATA_VARIABLE, str(tmp_path))
    places._site.cache_clear()
    try:
        assert set(places._site()) == {"inside.html"}
    finally:
        places._site.cache_clear()


def test_missing_data_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(material.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"set {material.DATA_VARIABLE} to its data folder"):
        data_folder()


def test_there_are_enough_pages() -> None:
    assert 12 <= len(html_pages()) <= 15


@pytest.mark.parametrize("path", html_pages(), ids=lambda path: path.name)
def test_a_page_is_sound_html(path: Path) -> None:
    body = path.read_bytes()
    assert body.startswith(b'<!doctype html>\n<html lang="en">')
    found = check(body)
    assert found.faults == []
    assert found.open == []
    assert {"title", "main", "h1"} <= found.seen
    assert all(re.fullmatch(r"[\w-]+\.html", link) for link in found.links), "no external assets"


def test_every_page_is_reached_from_the_index_and_one_link_is_dead() -> None:
    todo, seen, dead, moved = ["index.html"], set(), set(), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        page = places.page(f"/pages/{name}")
        if page is None:
            dead.add(name)
            continue
        if page.status == 301:
            moved.add(name)
        todo += [link.removeprefix("/pages/") for link in check(page.body).links]
    assert dead == {"missing.html"}
    assert moved == {"await.html"}
    assert {path.name for path in html_pages()} <= seen


def test_robots_names_the_page_to_leave_alone() -> None:
    robots = places.page("/pages/robots.txt")
    assert robots is not None
    assert robots.content_type == "text/plain; charset=utf-8"
    assert b"Disallow: /pages/archive.html" in robots.body
