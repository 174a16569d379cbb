"""Tries a class server out before the class: several learners at once log in, open a lesson and run all its cells.

    AWAITSEE_CLASS_PASSWORD=... .venv/bin/python classroom/try_class.py http://127.0.0.1:8000 --learners 12

It does over HTTP what browsers do. The learners are called try01, try02, ... or what the file after --names says. Run
it on the server itself, as the account of the hub or as root, and it also tells what the class needs: memory and
processor, measured, and from that a table for larger classes. With --lesson it takes another lesson than 03.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import re
import statistics
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

KINDS = {  # what a process is, by a part of its command
    "server": "jupyterhub.singleuser",
    "kernel": "ipykernel_launcher",
    "practice server": "awaitsee.practice.server",
}
SIZES = (10, 30, 60, 100, 300)
CELL_TIMEOUT = 180.0
READY_TIMEOUT = 300.0
MEGABYTE = 1e6


class Failed(Exception):
    """One learner could not go on; the message says why."""


# --- One learner ------------------------------------------------------------------------------------


@dataclass
class Learner:
    """What one learner does, and how long it took."""

    hub: str
    name: str
    password: str
    session: aiohttp.ClientSession
    seconds: dict[str, float] = field(default_factory=dict)
    failure: str = ""
    minutes: float = 0.0
    cells: int = 0
    ports: set[int] = field(default_factory=set)
    """Where the practice servers of this learner's kernels listen."""
    _path: str = ""
    _kernel: str = ""

    @property
    def home(self) -> str:
        """The address of this learner's server."""
        return f"{self.hub}/user/{self.name}"

    async def open_server(self) -> None:
        """Log in, wait for the server, and open JupyterLab. Raises Failed."""
        login = f"{self.hub}/hub/login"
        async with self.session.get(login) as page:
            page.raise_for_status()
        form = {"username": self.name, "password": self.password, "_xsrf": self._xsrf("/hub/")}
        async with self.session.post(login, data=form) as page:
            if page.status == 403 or page.url.path.endswith("/hub/login"):
                raise Failed("the hub did not accept the name or the password")
        async with self.session.get(f"{self.hub}/hub/spawn/{self.name}") as page:
            if page.status >= 400:
                raise Failed(f"the hub did not start a server: {page.status} {page.reason}")
        await self._wait_for_server()
        async with self.session.get(f"{self.home}/lab") as page:
            if page.status != 200 or not page.url.path.startswith(f"/user/{self.name}/lab"):
                raise Failed(f"JupyterLab did not open: {page.status} at {page.url.path}")

    async def _wait_for_server(self) -> None:
        address = f"{self.hub}/hub/api/users/{self.name}/server/progress"
        async with self.session.get(address, headers={"X-XSRFToken": self._xsrf("/hub/")}) as events:
            if events.status == 400:
                return  # it ran already
            if events.status != 200:
                raise Failed(f"the hub does not tell about the server: {events.status} {events.reason}")
            async for line in events.content:
                if not line.startswith(b"data:"):
                    continue
                event = json.loads(line.removeprefix(b"data:"))
                if event.get("ready"):
                    return
                if event.get("failed"):
                    raise Failed(f"the server did not start: {event.get('message', 'the hub says no reason')}")
        raise Failed("the server did not start: see the hub's log")

    async def open_lesson(self, number: str) -> list[tuple[str, bool]]:
        """Open a lesson's notebook with a kernel; return its cells, and whether each may raise. Raises Failed."""
        listing = await self._ask("GET", "contents/notebooks")
        names = [entry["name"] for entry in listing["content"] if re.fullmatch(rf"{number}_\w+\.ipynb", entry["name"])]
        if not names:
            raise Failed(f"the learner's copy has no lesson {number}")
        path = f"notebooks/{names[0]}"
        notebook = (await self._ask("GET", f"contents/{path}"))["content"]
        self.minutes = float(notebook["metadata"].get("awaitsee", {}).get("minutes", 40))
        wanted = {"path": path, "name": names[0], "type": "notebook", "kernel": {"name": "python3"}}
        opened = await self._ask("POST", "sessions", wanted)
        self._path, self._kernel = opened["id"], opened["kernel"]["id"]
        async with self._channels() as execute:
            await execute("1 + 1")
        return [
            (cell["source"], "raises-exception" in cell["metadata"].get("tags", []))
            for cell in notebook["cells"]
            if cell["cell_type"] == "code"
        ]

    async def run(self, cells: Iterable[tuple[str, bool]], think: float) -> None:
        """Run cells, with a pause to think before each. Raises Failed at the first that should not fail."""
        async with self._channels() as execute:
            for self.cells, (code, may_raise) in enumerate(cells, 1):
                await asyncio.sleep(think)
                error, printed = await execute(code)
                self.ports |= {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", printed)}
                if error and not may_raise:
                    raise Failed(f"code cell {self.cells} ended in {error}")

    async def leave(self) -> None:
        """Close the lesson and stop the server."""
        if self._path:
            await self._ask("DELETE", f"sessions/{self._path}")
        address, headers = f"{self.hub}/hub/api/users/{self.name}/server", {"X-XSRFToken": self._xsrf("/hub/")}
        async with self.session.delete(address, headers=headers) as answer:
            await answer.read()

    def _xsrf(self, path: str) -> str:
        cookies = self.session.cookie_jar.filter_cookies(URL(self.hub + path))
        return cookies["_xsrf"].value if "_xsrf" in cookies else ""

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"X-XSRFToken": self._xsrf(f"/user/{self.name}/")}
        async with self.session.request(method, f"{self.home}/api/{path}", json=body, headers=headers) as answer:
            if answer.status >= 400:
                raise Failed(f"{method} {path}: {answer.status} {answer.reason}")
            return await answer.json() if answer.content_type == "application/json" else None

    @asynccontextmanager
    async def _channels(self) -> AsyncIterator[Callable[[str], Awaitable[tuple[str, str]]]]:
        """Connect to the kernel; gives a function that runs code and returns its error, if any, and what it printed."""
        session = uuid.uuid4().hex
        address = f"{self.home}/api/kernels/{self._kernel}/channels?session_id={session}"
        async with self.session.ws_connect(address, max_msg_size=0) as channels:

            async def execute(code: str) -> tuple[str, str]:
                asked = uuid.uuid4().hex
                header = {"msg_id": asked, "msg_type": "execute_request", "session": session, "username": self.name}
                content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
                await channels.send_json(
                    {
                        "channel": "shell",
                        "header": header | {"version": "5.3", "date": ""},
                        "parent_header": {},
                        "metadata": {},
                        "content": content | {"user_expressions": {}, "stop_on_error": True},
                    }
                )
                printed, error, open_ends = "", "", {"reply", "idle"}
                async with asyncio.timeout(CELL_TIMEOUT):
                    while open_ends:
                        message = json.loads(await channels.receive_str())
                        if message["parent_header"].get("msg_id") != asked:
                            continue
                        kind, content = message["header"]["msg_type"], message["content"]
                        if kind == "stream":
                            printed += content["text"]
                        elif kind == "status" and content["execution_state"] == "idle":
                            open_ends.discard("idle")
                        elif kind == "execute_reply":
                            open_ends.discard("reply")
                            if content["status"] != "ok":
                                error = f"{content.get('ename', 'error')}: {content.get('evalue', '')[:200]}"
                return error, printed

            yield execute


# --- What the processes need ------------------------------------------------------------------------


@dataclass
class Need:
    """Memory and processor of the processes of one kind."""

    processes: int = 0
    bytes: int = 0
    cpu: float = 0.0


def processes_of(names: Iterable[str], port: int) -> dict[str, Need]:
    """Measure the processes of these learners, and the hub and proxy at `port`. What may not be read is left out.

    Memory is PSS: what several processes share is divided among them.
    """
    tick = os.sysconf("SC_CLK_TCK")
    marks = {f"JUPYTERHUB_USER={name}".encode() for name in names}
    found: dict[str, Need] = {}
    hub = ""
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            kind = next((kind for kind, part in KINDS.items() if part in command), "")
            if kind and not marks & set((folder / "environ").read_bytes().split(b"\0")):
                continue
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            if "configurable-http-proxy" in command and f"--port {port} " in command + " ":
                kind, hub = "proxy", stat[1]
            if not kind:
                continue
            _add(found, kind, folder, stat, tick)
        except (OSError, ValueError):
            continue
    if hub:
        try:
            folder = Path("/proc") / hub
            _add(found, "hub", folder, (folder / "stat").read_text().rpartition(")")[2].split(), tick)
        except (OSError, ValueError):
            pass
    return found


def _add(found: dict[str, Need], kind: str, folder: Path, stat: list[str], tick: int) -> None:
    memory = re.search(r"^Pss: +(\d+) kB", (folder / "smaps_rollup").read_text(), re.MULTILINE)
    need = found.setdefault(kind, Need())
    need.processes += 1
    need.bytes += int(memory[1]) * 1024 if memory else 0
    # A kernel's ended children belong to the lesson; the hub's are the servers, which are counted themselves.
    need.cpu += sum(int(part) for part in (stat[11:15] if kind == "kernel" else stat[11:13])) / tick


def in_all(needs: Mapping[str, Need], *kinds: str) -> float:
    """The processor seconds of some kinds of processes together."""
    return sum(need.cpu for kind, need in needs.items() if kind in kinds)


# --- The report -------------------------------------------------------------------------------------


def describe_learners(learners: list[Learner], lesson: str) -> list[str]:
    """A line for each learner, and one with the verdict."""
    lines = [f"{'learner':<12}{'server':>9}{'kernel':>9}{'lesson':>9}  result"]
    for learner in learners:
        times = "".join(
            f"{learner.seconds[phase]:>7.1f} s" if phase in learner.seconds else f"{'-':>9}"
            for phase in ("server", "kernel", "lesson")
        )
        ports = ", ".join(map(str, sorted(learner.ports))) or "none seen"
        result = (
            f"FAILED: {learner.failure}" if learner.failure else f"{learner.cells} cells, practice server at {ports}"
        )
        lines.append(f"{learner.name:<12}{times}  {result}")
    passed = [learner for learner in learners if not learner.failure]
    lines.append(f"{len(passed)} of {len(learners)} learners ran lesson {lesson} to its end.")
    if passed:
        medians = (
            f"{phase} {statistics.median(learner.seconds[phase] for learner in passed):.1f} s"
            for phase in ("server", "kernel", "lesson")
        )
        lines.append(f"Median: {', '.join(medians)}.")
    return lines


def describe_needs(states: list[dict[str, Need]], learners: int, minutes: float) -> list[str]:
    """What was measured, and what follows for larger classes.

    The states are those before the class, with all servers, with all kernels, and after the lesson.
    """
    before, after_server, after_kernel, after_lesson = states
    lines = ["", f"Measured with {learners} learners:  processes, memory of one (PSS), processor seconds so far"]
    for kind in (*KINDS, "hub", "proxy"):
        need = after_lesson.get(kind)
        if need:
            each = need.bytes / need.processes / MEGABYTE
            lines.append(f"  {kind:<16}{need.processes:>4}{each:>8.0f} MB{need.cpu:>9.1f} s")
    central = sum(need.bytes for kind, need in after_lesson.items() if kind not in KINDS) / MEGABYTE
    server = after_lesson["server"].bytes / learners / MEGABYTE if "server" in after_lesson else 0.0
    notebook = sum(after_lesson[kind].bytes for kind in KINDS if kind in after_lesson) / learners / MEGABYTE - server
    everything = (*KINDS, "hub", "proxy")
    to_server = (in_all(after_server, *everything) - in_all(before, *everything)) / learners
    to_kernel = (in_all(after_kernel, *everything) - in_all(after_server, *everything)) / learners
    of_lesson = (in_all(after_lesson, *everything) - in_all(after_kernel, *everything)) / learners
    lines += [
        f"Processor seconds of one learner: {to_server:.1f} until the server is there, {to_kernel:.1f} for a kernel, "
        f"{of_lesson:.1f} for the lesson's cells.",
        "",
        "Computed from it: a server's own system is not included.",
        f"{'learners':>10}{'memory, 1 notebook':>20}{'2 notebooks':>13}{'4 notebooks':>13}"
        f"{'cores to start in a minute':>28}{'cores on average':>18}",
    ]
    for size in SIZES:
        memory = [(central + size * (server + count * notebook)) / 1000 for count in (1, 2, 4)]
        lines.append(
            f"{size:>10}{memory[0]:>17.1f} GB{memory[1]:>10.1f} GB{memory[2]:>10.1f} GB"
            f"{size * (to_server + to_kernel) / 60:>28.1f}{size * of_lesson / (minutes * 60):>18.1f}"
        )
    return lines


# --- The rehearsal ----------------------------------------------------------------------------------


async def phase(name: str, learners: list[Learner], step: Callable[[Learner], Awaitable[None]], arrive: float) -> None:
    """Let all learners who have not failed take one step, beginning within `arrive` seconds of one another."""

    async def one(place: int, learner: Learner) -> None:
        await asyncio.sleep(arrive * place / len(learners))
        began = time.monotonic()
        try:
            async with asyncio.timeout(None if name == "lesson" else READY_TIMEOUT):
                await step(learner)
        except TimeoutError:
            learner.failure = f"no answer in time ({name})"
        except (Failed, aiohttp.ClientError, TypeError) as error:  # a TypeError is a websocket that was closed
            learner.failure = f"{error or type(error).__name__}"
        learner.seconds[name] = time.monotonic() - began

    await asyncio.gather(*(one(place, learner) for place, learner in enumerate(learners) if not learner.failure))


async def rehearse(options: argparse.Namespace, names: list[str], password: str) -> int:
    """Run the rehearsal and print its report; the exit code is 0 if every learner came through."""
    hub = options.hub.rstrip("/")
    address = URL(hub)
    sessions = [
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=None))
        for _ in names
    ]
    learners = [Learner(hub, name, password, session) for name, session in zip(names, sessions, strict=True)]
    states = [processes_of(names, address.port or 0)]
    cells: dict[str, list[tuple[str, bool]]] = {}

    async def open_lesson(learner: Learner) -> None:
        cells[learner.name] = await learner.open_lesson(options.lesson)

    async def run(learner: Learner) -> None:
        await learner.run(cells[learner.name], options.think)

    try:
        for name, step, arrive in (
            ("server", Learner.open_server, options.arrive),
            ("kernel", open_lesson, 0.0),
            ("lesson", run, options.arrive),
        ):
            await phase(name, learners, step, arrive)
            states.append(processes_of(names, address.port or 0))
        if not options.keep:
            await asyncio.gather(*(learner.leave() for learner in learners), return_exceptions=True)
    finally:
        for session in sessions:
            await session.close()
    print("\n".join(describe_learners(learners, options.lesson)))
    if any(learner.failure for learner in learners):
        return 1
    if "server" in states[-1]:
        print("\n".join(describe_needs(states, len(learners), learners[0].minutes)))
    else:
        print("Memory and processor were not measured: run this on the server, as root or as the hub's account.")
    return 0


def main(arguments: list[str]) -> int:
    """Read the command line and run the rehearsal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hub", help="the address that learners open, such as http://127.0.0.1:8000")
    parser.add_argument("--learners", type=int, default=12, help="how many (12)")
    parser.add_argument("--names", type=Path, help="a file with names, one a line, in place of try01, try02, ...")
    parser.add_argument("--lesson", default="03", help="two digits (03)")
    parser.add_argument("--arrive", type=float, default=0.0, help="seconds over which they arrive (0: all at once)")
    parser.add_argument("--think", type=float, default=0.0, help="seconds that each waits before each cell (0)")
    parser.add_argument("--keep", action="store_true", help="leave the servers running")
    options = parser.parse_args(arguments)
    names = [f"try{place:02}" for place in range(1, options.learners + 1)]
    if options.names:
        lines = options.names.read_text(encoding="utf-8").splitlines()
        names = [line.strip() for line in lines if line.strip() and not line.startswith("#")][: options.learners]
    if not names:
        parser.error("there is nobody to try it with: give --learners 1 or more, or a file with names")
    password = os.environ.get("AWAITSEE_CLASS_PASSWORD") or getpass.getpass("The class's password: ")
    try:
        return asyncio.run(rehearse(options, names, password))
    except KeyboardInterrupt:
        print("\nStopped; learners' servers may still run.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
