"""The routes of the places that tools talk to: /search, /weather, /handbook and /pages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from . import places
from .wire import TOO_LARGE, Answer, Incoming, Limit, Reason, Refusal, Route, Words

MAX_RESULTS = 50


class Places:
    """Plain JSON services and a small web site. They need no key and know no rate limits."""

    metered = False
    words: Mapping[Reason, Words] = {
        400: Words(400, "Bad request: the practice server was told to refuse it."),
        401: Words(401, "Unauthorized: the practice server was told to refuse it."),
        404: Words(404, "Not found: the practice server was told to refuse it."),
        429: Words(429, "Too many requests."),
        500: Words(500, "Internal server error."),
        503: Words(503, "The service is unavailable, please try again later."),
        529: Words(529, "The site is overloaded."),
        "quota": Words(402, "Payment required: your quota is used up."),
        "limit": Words(429, "Too many requests: the limit is {limit} {unit} per minute."),
        "route": Words(404, "There is nothing at {path}."),
        "method": Words(405, "Not allowed to {method} on {path}: use {allowed}."),
        "size": TOO_LARGE,
    }

    def takes(self, path: str, headers: Mapping[str, str]) -> bool:
        """Take what begins with the name of a place."""
        return path.startswith(("/search", "/weather", "/handbook", "/pages"))

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Return its routes by method and path."""
        return {
            ("GET", "/search"): _search,
            ("GET", "/weather"): _weather,
            ("GET", "/handbook"): _handbook,
            ("GET", "/pages"): _page,
            ("GET", "/pages/*"): _page,
        }

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Return `{"error": message}`."""
        return {"error": refusal.message}

    def headers(self, request_id: str, limits: Sequence[Limit]) -> dict[str, str]:
        """Return `x-request-id`."""
        return {"x-request-id": f"req_{request_id}"}


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
