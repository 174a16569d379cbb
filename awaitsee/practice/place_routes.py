"""The routes of the places that tools talk to: /search, /weather, /handbook and /pages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from . import places
from .wire import Answer, Incoming, Limit, Refusal, Route

MAX_RESULTS = 50


class Places:
    """Plain JSON services and a small web site. They need no key and know no rate limits."""

    prefixes: Sequence[str] = ("/search", "/weather", "/handbook", "/pages")
    metered = False

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Return its routes by method and path."""
        return {
            ("GET", "/search"): _search,
            ("GET", "/weather"): _weather,
            ("GET", "/handbook"): _handbook,
            ("GET", "/pages"): _page,
            ("GET", "/pages/*"): _page,
        }

    def error(self, refusal: Refusal) -> dict[str, Any]:
        """Return `{"error": message}`."""
        return {"error": refusal.message}

    def limit_headers(self, limits: Sequence[Limit]) -> dict[str, str]:
        """Return nothing: there are no limits here."""
        return {}


def _search(incoming: Incoming) -> Answer:
    query = _parameter(incoming, "q")
    return _answer(incoming, {"query": query, "results": places.search(query, _limit(incoming, 5))})


def _handbook(incoming: Incoming) -> Answer:
    query = _parameter(incoming, "q")
    return _answer(incoming, {"query": query, "results": places.handbook(query, _limit(incoming, 3))})


def _weather(incoming: Incoming) -> Answer:
    city = _parameter(incoming, "city")
    report = places.weather(city)
    if report is None:
        raise Refusal(404, f"No weather station in {city!r}.")
    return _answer(incoming, report)


def _page(incoming: Incoming) -> Answer:
    page = places.page(incoming.path.removeprefix("/pages").removeprefix("/"))
    if page is None:
        raise Refusal(404, f"There is no page at {incoming.path}.")
    return Answer(
        body=page.body,
        status=page.status,
        content_type=page.content_type,
        headers=page.headers,
        text=incoming.path,
        delay=page.delay,
    )


def _parameter(incoming: Incoming, name: str) -> str:
    value = incoming.query.get(name, "").strip()
    if not value:
        raise Refusal(400, f"The parameter {name!r} is missing: ask for {incoming.path}?{name}=...")
    return value


def _limit(incoming: Incoming, usual: int) -> int:
    given = incoming.query.get("limit", str(usual))
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MAX_RESULTS):
        raise Refusal(400, f"The parameter 'limit' must be a whole number from 1 to {MAX_RESULTS}.")
    return int(given)


def _answer(incoming: Incoming, body: Mapping[str, Any]) -> Answer:
    text = incoming.query.get("q") or incoming.query.get("city", "")
    return Answer(body=json.dumps(body).encode(), text=text)
