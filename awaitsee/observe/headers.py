"""Labels the requests that go to a journal with the run and the task that they come from, and no other request."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from awaitsee.journal import RUN_HEADER, TASK_HEADER, is_journalled
from awaitsee.observe.threads import current_run


def label(headers: MutableMapping[str, str], host: str | None, port: int | None) -> None:
    """Set the two headers on a request to a known journal; take them off one that was redirected to elsewhere."""
    run = current_run()
    if run is None:
        return
    if host is not None and is_journalled(host, port):
        headers[RUN_HEADER] = run.id
        track = run.current_track()
        if track is not None:
            headers[TASK_HEADER] = str(track.serial)
        return
    for name in (RUN_HEADER, TASK_HEADER):
        if name in headers:
            del headers[name]


def labelling_transport(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return `handle_request` or `handle_async_request` of an httpx transport, labelling what it sends.

    It returns the transport's own coroutine, so no frame of ours is in a traceback.
    """

    def handle(self: Any, request: Any) -> Any:
        label(request.headers, request.url.host, request.url.port)
        return original(self, request)

    return handle


def labelling_send(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return aiohttp's `ClientRequest.send`, labelling what it sends."""

    def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        label(self.headers, self.url.host, self.url.port)
        return original(self, *args, **kwargs)

    return send


def labelling_add_headers(original: Callable[..., None]) -> Callable[..., None]:
    """Return requests' `HTTPAdapter.add_headers`, which is called for each request before it is sent."""

    def add_headers(self: Any, request: Any, **options: Any) -> None:
        address = urlsplit(request.url)
        label(request.headers, address.hostname, address.port)
        original(self, request, **options)

    return add_headers
