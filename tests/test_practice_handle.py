"""The handle: one server for a process, gone with it, and an environment that is given back."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from awaitsee import journal
from awaitsee.practice import (
    Fault,
    PracticeServer,
    PracticeServerError,
    handle,
    practice_server,
)

VARIABLES = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")
posix = pytest.mark.skipif(os.name != "posix", reason="signals and fork")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*VARIABLES, "OLLAMA_HOST", "AWAITSEE_MODEL", "AWAITSEE_PROVIDER", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield
    if handle._current is not None:
        handle._current.close()


def start(**settings: Any) -> PracticeServer:
    server = practice_server(**settings)
    assert isinstance(server, PracticeServer)
    return server


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v1/models", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def gone(url: str) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if not answers(url):
            return True
        time.sleep(0.05)
    return False


def python(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


SCRIPT = "from awaitsee.practice import practice_server; server = practice_server(); print(server.url, flush=True); "


# --- one server for a process


def test_it_prints_one_line_and_is_reused(capsys: pytest.CaptureFixture[str]) -> None:
    first = start(latency=0.3)
    said = capsys.readouterr().out
    assert said == f"Practice server at {first.url} (this machine only; no key, no cost).\n"
    assert answers(first.url)
    second = start(capacity=3)
    assert second is first
    assert capsys.readouterr().out == ""
    assert repr(second) == f"PracticeServer({first.url}, model={first.model}, capacity=3)"


def test_a_second_call_clears_the_journal_and_the_settings() -> None:
    server = start(faults=[Fault(500, when="/v1")])
    answers(server.url)
    assert len(server.journal) == 1
    start()
    assert server.journal == []
    answers(server.url)
    assert [request.fault for request in server.journal] == [""]


def test_it_is_known_to_the_recorder() -> None:
    server = start()
    port = int(server.url.rpartition(":")[2])
    assert server in journal.sources()
    assert journal.is_journalled("127.0.0.1", port)
    server.close()
    assert server not in journal.sources()


def test_two_processes_have_a_server_each() -> None:
    server = start()
    other = python(SCRIPT + "input()")
    assert line_of(other).startswith("Practice server at ")
    url = line_of(other)
    assert url != server.url and answers(url) and answers(server.url)
    assert len(server.journal) == 1
    other.communicate("\n", timeout=20)
    assert gone(url)
    assert answers(server.url)


def test_wrong_settings_start_nothing() -> None:
    with pytest.raises(ValueError, match="capacity must be a whole number"):
        practice_server(capacity=0)
    assert handle._current is None


# --- gone with its process


def test_it_is_gone_after_the_end_of_its_process() -> None:
    process = python(SCRIPT)
    line_of(process)
    url = line_of(process)
    process.wait(20)
    assert gone(url)


@posix
def test_it_is_gone_after_the_process_was_killed() -> None:
    process = python(SCRIPT + "input()")
    line_of(process)
    url = line_of(process)
    assert answers(url)
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    assert gone(url)


@posix
def test_it_is_gone_even_if_a_fork_holds_the_pipe_open() -> None:
    process = python(
        SCRIPT + "import os, time\nif os.fork() == 0:\n os.close(1); time.sleep(20)\nelse:\n"
        " time.sleep(0.2); os.kill(os.getpid(), 9)"
    )
    line_of(process)
    url = line_of(process)
    process.wait(20)
    assert gone(url)


@posix
def test_the_stop_button_does_not_reach_it() -> None:
    server = start()
    assert server._child is not None
    os.kill(server._child.pid, signal.SIGINT)
    time.sleep(0.2)
    assert server.running and answers(server.url)


def _in_fork(url: str, results: Any) -> None:
    server = practice_server()
    results.put((server.url != url, answers(server.url), answers(url)))
    server.close()


@posix
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_gets_its_own_and_leaves_this_one() -> None:
    server = start()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=_in_fork, args=(server.url, results))
    process.start()
    assert results.get(timeout=20) == (True, True, True)
    process.join(20)
    assert server.running and server.journal


# --- a server that died, and the end


def test_a_dead_server_is_noticed_and_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    server = start()
    old = server.url
    assert server._child is not None
    server._child._process.kill()
    server._child._process.wait()
    assert "not running" in repr(server)
    for call in (lambda: server.journal, lambda: server.configure(latency=1), server.reset, server.bill):
        with pytest.raises(PracticeServerError, match="does not answer: call practice_server"):
            call()
    capsys.readouterr()
    again = start()
    assert again is server and server.running and server.journal == []
    assert capsys.readouterr().out == f"The practice server had stopped; a new one runs at {server.url}.\n"
    assert server.url == old, "clients that know the old address go on working"
    assert os.environ["OPENAI_BASE_URL"] == f"{server.url}/v1"


def test_close_gives_the_environment_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a real key")
    monkeypatch.setenv("NO_PROXY", "example.org")
    server = start()
    assert os.environ["OPENAI_API_KEY"] == "practice"
    assert os.environ["OPENAI_BASE_URL"] == f"{server.url}/v1"
    assert os.environ["OLLAMA_HOST"] == server.url
    assert os.environ["AWAITSEE_MODEL"] == server.model
    assert os.environ["NO_PROXY"] == "example.org,127.0.0.1"
    start()
    monkeypatch.setenv("OLLAMA_HOST", "set by the learner")
    server.close()
    server.close()
    assert os.environ["OPENAI_API_KEY"] == "a real key"
    assert os.environ["NO_PROXY"] == "example.org"
    assert os.environ["OLLAMA_HOST"] == "set by the learner"
    assert "OPENAI_BASE_URL" not in os.environ
    assert not answers(server.url)
    with pytest.raises(PracticeServerError, match="was closed"):
        _ = server.journal


def test_a_server_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(PracticeServerError, match=r"could not start: ."):
        practice_server()


def test_a_file_of_the_learner_does_not_get_into_the_server(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queue.py").write_text("raise RuntimeError('not the real queue')")
    monkeypatch.chdir(tmp_path)
    assert answers(start().url)


def test_the_clock_is_this_process_s() -> None:
    server = start()
    before = time.perf_counter()
    answers(server.url)
    after = time.perf_counter()
    (request,) = server.journal
    assert before <= request.arrived <= (request.finished or 0) <= after


def test_importing_it_is_light() -> None:
    code = "import sys, awaitsee.practice; print([name for name in ('aiohttp', 'openai') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
