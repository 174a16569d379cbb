"""The practice server: it stands in for a model's provider and for the places that tools ask.

`awaitsee.practice.handle` runs it as `python -m awaitsee.practice.server` and passes a token in the environment. It
binds a free port of 127.0.0.1, prints one line of JSON that says which, and ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import json
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from time import perf_counter
from typing import Any

from aiohttp import web

from .anthropic import Anthropic
from .lifeline import live_with_parent
from .model import MODEL_NAME
from .ollama import Ollama
from .openai import EMBEDDING_MODEL, OpenAI
from .outbox import Outbox
from .place_routes import Places
from .settings import Fault
from .traffic import Fate, RateLimited, Traffic, Visit, retry_headers
from .wire import TOO_LARGE, Answer, Incoming, Piece, Refusal, Route, Service, Words, read_json

TOKEN_VARIABLE = "AWAITSEE_PRACTICE_TOKEN"
PORT_VARIABLE = "AWAITSEE_PRACTICE_PORT"
"""A port to try first, so that clients which know a server that died find its successor."""
TOKEN_HEADER = "x-awaitsee-token"
CONTROL = "/_practice/"

MAX_BODY = 16 * 2**20
BODY_TIMEOUT = 30.0
"""Seconds that a client may take to send a body."""
BACKLOG = 1024
"""Connections that may wait to be accepted: a learner's gather opens hundreds at once."""

_COME_BACK = (429, 503, 529)


class PracticeApp:
    """Takes requests off the wire, asks `Traffic` what becomes of them and when, and writes the services' answers.

    It knows no wire format: each `Service` brings its routes, errors and headers.
    """

    def __init__(self, token: str, services: Sequence[Service] | None = None) -> None:
        self.traffic = Traffic()
        self._token = token
        # OpenAI's takes whatever the others leave
        self._outbox = Outbox()
        self._services = services or (Anthropic(), Ollama(), Places(self._outbox), OpenAI())
        self._routes: dict[Service, dict[str, dict[str, Route]]] = {}
        for service in self._services:
            known = self._routes[service] = {}
            for (method, path), route in service.routes().items():
                known.setdefault(path, {})[method] = route
        self._controls: dict[tuple[str, str], Callable[[web.BaseRequest, bytes], object]] = {
            ("POST", "configure"): self._configure,
            ("POST", "reset"): self._reset,
            ("GET", "journal"): self._journal,
            ("GET", "peak"): self._peak,
            ("GET", "bill"): self._bill,
            ("GET", "outbox"): self._sent,
            ("GET", "time"): self._time,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path = request.path
        if path.startswith(CONTROL):
            return await self._control(request, path.removeprefix(CONTROL))
        visit = self.traffic.arrive(path, request.headers)
        service = next(known for known in self._services if known.takes(path, request.headers))
        try:
            try:
                return await self._serve(request, visit, service)
            except Refusal as refusal:
                return await self._refuse(request, visit, service, refusal)
            except _Dropped:
                return self._drop(request, visit)
        except (asyncio.CancelledError, ConnectionError):
            visit.entry.aborted = not visit.done
            raise
        finally:
            self.traffic.leave(visit)

    async def _serve(self, request: web.BaseRequest, visit: Visit, service: Service) -> web.StreamResponse:
        route = self._route(service, request.method, visit.entry.path)
        # whoever arrived in this turn of the loop gets a time of arrival before any answer is worked out
        await asyncio.sleep(0)
        at_once = request.content.is_eof()
        body = await _body(request, service.words["size"])
        if not at_once:
            visit.complete = perf_counter()
        answer = _work_out(route, request, visit, body)
        visit.entry.model = answer.model
        fate = self.traffic.fate(visit, answer.text, answer.delay)
        if service.metered and fate.fault is None:
            self._admit(service, answer)
        await self.traffic.enter(visit, metered=service.metered)
        if answer.act is not None and not _refuses(fate.fault):
            # before any connection breaks: the client cannot know whether it was done
            answer = answer.act()
        if fate.fault is not None:
            await _strike(fate.fault, visit, service)
        visit.bill(input_tokens=answer.input_tokens)
        headers = {"content-type": answer.content_type, **self._headers(visit, service), **answer.headers}
        if answer.pieces is None:
            return await self._send_whole(request, visit, answer, fate, headers)
        return await self._send_stream(request, visit, answer.pieces, fate, headers)

    def _admit(self, service: Service, answer: Answer) -> None:
        try:
            self.traffic.admit(answer.input_tokens + answer.output_tokens)
        except RateLimited as limited:
            details = {"limit": limited.limit.per_minute, "unit": limited.limit.unit}
            raise service.words["limit"].refusal(retry_headers(limited.wait), **details) from limited

    async def _send_whole(
        self, request: web.BaseRequest, visit: Visit, answer: Answer, fate: Fate, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        tokens = answer.output_tokens
        await visit.until(fate.latency + fate.token_time(tokens, tokens))
        visit.bill(output_tokens=tokens)
        if not fate.cut:
            return await self._finish(
                request, visit, web.Response(body=answer.body, status=answer.status, headers=headers)
            )
        half = answer.body[: len(answer.body) // 2]
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.content_length = len(half) if fate.cut == "truncate" else len(answer.body)
        await _open(request, visit, response)
        await response.write(half)
        return await self._end(visit, response, fate)

    async def _send_stream(
        self, request: web.BaseRequest, visit: Visit, pieces: Sequence[Piece], fate: Fate, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        total = sum(piece.tokens for piece in pieces)
        response = web.StreamResponse(headers=headers)
        await visit.until(fate.latency)
        await _open(request, visit, response)
        # pieces that are due at the same time go out in one write
        ready, tokens, written = bytearray(), 0, 0
        for piece in pieces[: len(pieces) // 2] if fate.cut else pieces:
            when = fate.latency + fate.token_time(written + tokens, total)
            if ready and visit.seconds_until(when) > 0:
                await _write(response, visit, ready, tokens)
                ready, tokens, written = bytearray(), 0, written + tokens
                await visit.until(when)
            ready += piece.data
            tokens += piece.tokens
        await _write(response, visit, ready, tokens)
        return await self._end(visit, response, fate)

    async def _end(self, visit: Visit, response: web.StreamResponse, fate: Fate) -> web.StreamResponse:
        if fate.fault is not None and fate.cut:
            await asyncio.sleep(fate.fault.after)
        if fate.cut == "drop_midstream":
            raise _Dropped
        return await self._close(visit, response)

    async def _finish(self, request: web.BaseRequest, visit: Visit, response: web.Response) -> web.StreamResponse:
        await _open(request, visit, response)
        return await self._close(visit, response)

    async def _close(self, visit: Visit, response: web.StreamResponse) -> web.StreamResponse:
        # noted before the last bytes go out: the client must not be able to have them earlier than the journal says
        visit.entry.finished = perf_counter()
        await response.write_eof()
        visit.done = True
        self.traffic.leave(visit)
        return response

    async def _refuse(
        self, request: web.BaseRequest, visit: Visit, service: Service, refusal: Refusal
    ) -> web.StreamResponse:
        headers = {"content-type": "application/json", **self._headers(visit, service), **refusal.headers}
        body = json.dumps(service.error(refusal, _request_id(visit))).encode()
        return await self._finish(request, visit, web.Response(body=body, status=refusal.status, headers=headers))

    def _drop(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        visit.done = True
        self.traffic.leave(visit)
        if request.transport is not None:
            # not abort(): what was written before the break still has to reach the client
            request.transport.close()
        return web.Response()

    def _headers(self, visit: Visit, service: Service) -> dict[str, str]:
        return service.headers(_request_id(visit), self.traffic.limits() if service.metered else ())

    def _route(self, service: Service, method: str, path: str) -> Route:
        routes = self._routes[service]
        methods = routes.get(path)
        folder = path
        while methods is None and "/" in folder:
            folder = folder.rpartition("/")[0]
            methods = routes.get(f"{folder}/*")
        if methods is None:
            raise service.words["route"].refusal(method=method, path=path)
        if method not in methods:
            allowed = ", ".join(sorted(methods))
            raise service.words["method"].refusal({"allow": allowed}, method=method, path=path, allowed=allowed)
        return methods[method]

    # --- control

    async def _control(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self._token.encode()):
            return _json({"error": "Only the process that started this server may control it."}, 403)
        control = self._controls.get((request.method, name))
        if control is None:
            return _json({"error": f"There is no control {request.method} {name}."}, 404)
        try:
            return _json(control(request, await _body(request)))
        except (ValueError, Refusal) as error:
            return _json({"error": str(error)}, 400)

    def _configure(self, request: web.BaseRequest, body: bytes) -> object:
        wanted = read_json(body)
        self.traffic.configure(wanted.get("settings", {}), whole=wanted.get("whole", False))
        return self.traffic.settings.as_json()

    def _reset(self, request: web.BaseRequest, body: bytes) -> object:
        self.traffic.reset()
        self._outbox.empty()
        return {}

    def _journal(self, request: web.BaseRequest, body: bytes) -> object:
        run = request.query.get("run")
        return [entry.record() for entry in self.traffic.journal.entries if run is None or entry.run == run]

    def _peak(self, request: web.BaseRequest, body: bytes) -> object:
        return {"peak": self.traffic.journal.peak}

    def _bill(self, request: web.BaseRequest, body: bytes) -> object:
        return {"journal": self.traffic.journal.ledger.record(), "lifetime": self.traffic.lifetime.record()}

    def _sent(self, request: web.BaseRequest, body: bytes) -> object:
        return self._outbox.record()

    def _time(self, request: web.BaseRequest, body: bytes) -> object:
        return {"time": perf_counter()}


class _Dropped(Exception):
    """The connection is to break, on purpose."""


def _refuses(fault: Fault | None) -> bool:
    """Tell whether a fault turns the request away, so that nothing is done for it."""
    return fault is not None and (fault.kind == "quota" or isinstance(fault.kind, int))


async def _strike(fault: Fault, visit: Visit, service: Service) -> None:
    """Let a fault happen that leaves no answer to send."""
    if fault.kind == "hang":
        await asyncio.Event().wait()
    if fault.kind == "drop":
        await visit.until(fault.after)
        raise _Dropped
    if fault.kind == "quota" or isinstance(fault.kind, int):
        await visit.until(fault.after)
        headers = retry_headers(fault.retry_after) if fault.kind in _COME_BACK else {}
        raise service.words[fault.kind].refusal(headers)


async def _open(request: web.BaseRequest, visit: Visit, response: web.StreamResponse) -> None:
    visit.entry.status = response.status
    visit.entry.first_byte = perf_counter()
    await response.prepare(request)


async def _write(response: web.StreamResponse, visit: Visit, data: bytearray, tokens: int) -> None:
    visit.bill(output_tokens=tokens)
    await response.write(bytes(data))


async def _body(request: web.BaseRequest, too_large: Words = TOO_LARGE) -> bytes:
    try:
        if request.content.is_eof():
            return await request.read()
        if request.headers.get("expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            # the interim line is no part of the response, which aiohttp would otherwise think has begun
            request.writer.output_size = 0
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.read()
    except TimeoutError as error:
        raise Refusal(408, f"The body of the request did not arrive within {BODY_TIMEOUT:g} s.") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large.refusal(size=MAX_BODY // 2**20) from error
    except ConnectionError:
        raise
    except Exception as error:
        # whatever aiohttp found wrong with chunks or compression
        raise Refusal(400, f"The body of the request could not be read: {error}.") from error


def _work_out(route: Route, request: web.BaseRequest, visit: Visit, body: bytes) -> Answer:
    try:
        return route(
            Incoming(_request_id(visit), request.method, visit.entry.path, request.query, request.headers, body)
        )
    except Refusal:
        raise
    except RecursionError as error:
        raise Refusal(400, "The request is nested too deeply.") from error
    except Exception as error:
        traceback.print_exc()
        raise Refusal(500, f"The practice server has a bug: {type(error).__name__} while it worked on this.") from error


def _request_id(visit: Visit) -> str:
    return blake2b(visit.number.to_bytes(8, "big"), digest_size=12).hexdigest()


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


# --- the process


class _Connection(web.RequestHandler):
    """Answers what is not even HTTP with the same error body as the rest."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        first_line = (message or str(exc or "the request could not be read")).strip().splitlines()[0]
        response = _json(OpenAI().error(Refusal(status, f"Bad request: {first_line}"), ""), status)
        response.force_close()
        return response


class HttpServer(web.Server):
    """aiohttp's low-level server around a `PracticeApp`: no router and no middlewares between the wire and `handle`."""

    def __init__(self, app: PracticeApp) -> None:
        super().__init__(app.handle, request_factory=self._request, handler_cancellation=True)

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, access_log=None)  # type: ignore[arg-type]

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=MAX_BODY)


async def serve(token: str, port: int) -> None:
    """Listen, say where, and serve until the process ends."""
    loop = asyncio.get_running_loop()
    server = HttpServer(PracticeApp(token))
    try:
        listening = await loop.create_server(server, "127.0.0.1", port, backlog=BACKLOG)
    except OSError:
        listening = await loop.create_server(server, "127.0.0.1", 0, backlog=BACKLOG)
    bound = listening.sockets[0].getsockname()[1]
    print(json.dumps({"port": bound, "model": MODEL_NAME, "embedding_model": EMBEDDING_MODEL}), flush=True)
    await listening.serve_forever()


def main() -> None:
    """Run the server in this process."""
    live_with_parent()
    # what was imported stays, so the collector need not look at it: its pauses show as late answers
    gc.freeze()
    asyncio.run(serve(os.environ[TOKEN_VARIABLE], int(os.environ.get(PORT_VARIABLE, "0"))))


if __name__ == "__main__":
    main()
