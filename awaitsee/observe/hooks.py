"""Puts the recorder's hooks in place for the first run that is recorded and takes them away after the last."""

from __future__ import annotations

import asyncio
import threading
from asyncio import events
from concurrent.futures import thread as pool
from types import ModuleType

from awaitsee.observe.headers import labelling_add_headers, labelling_send, labelling_transport
from awaitsee.observe.loopwatch import LoopWatch
from awaitsee.observe.patching import Patch, WhenImported
from awaitsee.observe.steps import timed_run
from awaitsee.observe.threads import noting_anyio, noting_init, noting_run, unframed_report

_lock = threading.RLock()
_patches: list[Patch] = []
_imports: list[WhenImported] = []
_watches: dict[asyncio.AbstractEventLoop, LoopWatch] = {}


def acquire(loop: asyncio.AbstractEventLoop) -> LoopWatch:
    """Begin to record what `loop` does; every call needs one `release`."""
    with _lock:
        if not _watches:
            _install()
        watch = _watches.get(loop)
        if watch is None:
            watch = LoopWatch(loop)
            try:
                watch.start()
            except BaseException:
                watch.stop()
                if not _watches:
                    _uninstall()
                raise
            _watches[loop] = watch
        watch.users += 1
        return watch


def release(watch: LoopWatch) -> None:
    """Stop recording when nobody else wants it; everything is as it was before the first `acquire`."""
    with _lock:
        watch.users -= 1
        if not watch.users:
            del _watches[watch.loop]
            watch.stop()
        if not _watches:
            _uninstall()


def _install() -> None:
    _patches.append(Patch(events.Handle, "_run", timed_run))
    _patches.append(Patch(pool._WorkItem, "__init__", noting_init))
    _patches.append(Patch(pool._WorkItem, "run", noting_run))
    _imports.append(
        WhenImported(
            {
                "httpx._transports.default": _patch_httpx,
                "httpx2._transports.default": _patch_httpx,
                "aiohttp.client_reqrep": _patch_aiohttp,
                "requests.adapters": _patch_requests,
                "anyio._backends._asyncio": _patch_anyio,
            }
        )
    )


def _uninstall() -> None:
    while _imports:
        _imports.pop().stop()
    while _patches:
        _patches.pop().undo()


def _patch_httpx(module: ModuleType) -> None:
    _patches.append(Patch(module.AsyncHTTPTransport, "handle_async_request", labelling_transport))
    _patches.append(Patch(module.HTTPTransport, "handle_request", labelling_transport))


def _patch_aiohttp(module: ModuleType) -> None:
    _patches.append(Patch(module.ClientRequest, "send", labelling_send))


def _patch_requests(module: ModuleType) -> None:
    _patches.append(Patch(module.HTTPAdapter, "add_headers", labelling_add_headers))


def _patch_anyio(module: ModuleType) -> None:
    _patches.append(Patch(module.AsyncIOBackend, "run_sync_in_worker_thread", noting_anyio))
    _patches.append(Patch(module.WorkerThread, "_report_result", unframed_report))
