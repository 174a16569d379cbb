"""The routes of the places that tools talk to: /search, /weather, /handbook, /pages and /mail."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from . import places
from .outbox import FIELDS, KeyReused, Outbox
from .wire import TOO_LARGE, Answer, Incoming, Limit, Reason, Refusal, Route, Words, read_json, short

MAX_RESULTS = 50


class Places:
    """Plain JSON services and a small web site. They need no key and know no rate limits."""

    def __init__(self, outbox: Outbox | None = None) -> None:
        self._outbox = outbox or Outbox()

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
        return path.startswith(("/search", "/weather", "/handbook", "/pages", "/mail"))

    def routes(self) -> Mapping[tuple[str, str], Route]:
        """Return its routes by method and path."""
        return {
            ("GET", "/search"): _search,
            ("GET", "/weather"): _weather,
            ("GET", "/handbook"): _handbook,
            ("GET", "/pages"): _page,
            ("GET", "/pages/*"): _page,
            ("POST", "/mail"): self._mail,
        }

    def error(self, refusal: Refusal, request_id: str) -> dict[str, Any]:
        """Return `{"error": message}`."""
        return {"error": refusal.message}

    def headers(self, request_id: str, limits: Sequence[Limit]) -> dict[str, str]:
        """Return `x-request-id`."""
        return {"x-request-id": f"req_{request_id}"}

    def _mail(self, incoming: Incoming) -> Answer:
        """Send a mail: 202 and its id. With an `Idempotency-Key` that was used before: 200, and nothing is sent."""
        mail = read_json(incoming.body, "The body is not JSON: {problem}.")
        for name in FIELDS:
            if not isinstance(mail.get(name), str) or not mail[name].strip():
                raise Refusal(400, f'A mail is {{"to", "subject", "text"}}, and {name!r} must be some text.')
        if unknown := sorted(set(mail) - set(FIELDS)):
            raise Refusal(400, f"A mail has no {short(unknown[0])}: it is {{'to', 'subject', 'text'}}.")
        key = incoming.headers.get("idempotency-key", "").strip()

        def send() -> Answer:
            try:
                sent, duplicate = self._outbox.send(**mail, key=key)
            except KeyReused:
                raise Refusal(422, f"The idempotency key {short(key)} was used for another mail.") from None
            body = json.dumps({"id": sent.id, "duplicate": duplicate}).encode()
            return Answer(body=body, status=200 if duplicate else 202)

        return Answer(text=" ".join(mail[name] for name in FIELDS), act=send)


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
