"""A real provider in place of the practice server. The practice server itself plays OpenAI and Anthropic here."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from awaitsee.practice import Fault, PracticeServer, ProviderError, RealProvider, costs, handle, practice_server
from awaitsee.practice.providers import OPENAI_MODEL, OPENAI_PRICES

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    import openai

ROOT = Path(__file__).resolve().parents[1]
CLEARED = (
    "AWAITSEE_MODEL",
    "AWAITSEE_PROVIDER",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "JPY_SESSION_NAME",
    "OLLAMA_HOST",
    "OPENAI_API_BASE",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
)


@pytest.fixture(scope="module")
def provider() -> Iterator[PracticeServer]:
    """A server that stands for the real thing, so it must not be the one that `practice_server()` knows."""
    server = PracticeServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def clean(provider: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in CLEARED:
        monkeypatch.delenv(name, raising=False)
    provider.configure(faults=[])
    provider.reset()
    yield
    if handle._current is not None:
        handle._current.close()


def use(monkeypatch: pytest.MonkeyPatch, provider: PracticeServer, name: str, key: str, model: str = "") -> None:
    monkeypatch.setenv("AWAITSEE_PROVIDER", name)
    monkeypatch.setenv("AWAITSEE_MODEL", model or provider.model)
    monkeypatch.setenv("OPENAI_BASE_URL" if name == "openai" else "ANTHROPIC_BASE_URL", base_url(provider, name))
    monkeypatch.setenv(f"{name.upper()}_API_KEY", key)


def base_url(provider: PracticeServer, name: str) -> str:
    return f"{provider.url}/v1" if name == "openai" else provider.url


def one_sentence(text: str) -> bool:
    return "\n" not in text and text.endswith(".") and ". " not in text.replace("e.g. ", "")


both = pytest.mark.parametrize("name", ["openai", "anthropic"])


@both
def test_without_a_key_it_says_what_to_set_and_what_it_would_cost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv("AWAITSEE_PROVIDER", name)
    with pytest.raises(ProviderError, match=f"set {name.upper()}_API_KEY") as caught:
        practice_server()
    assert one_sentence(str(caught.value))
    said = capsys.readouterr().out
    assert "calls, about $0." in said and OPENAI_MODEL in said


@both
def test_with_a_key_the_clients_reach_it(
    provider: PracticeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    use(monkeypatch, provider, name, "sk-secret")
    real = practice_server(latency=1.0)
    assert isinstance(real, RealProvider) and real.model == provider.model
    said = capsys.readouterr().out
    assert real.model in said and "calls, about" in said and "journal" in said
    assert "secret" not in said + repr(real)
    (tried,) = provider.journal
    assert tried.status == 200 and tried.output_tokens <= 16
    answer = openai.OpenAI().chat.completions.create(
        model=os.environ["AWAITSEE_MODEL"], messages=[{"role": "user", "content": "What is a task?"}]
    )
    assert "task" in (answer.choices[0].message.content or "")
    assert len(provider.journal) == 2
    assert practice_server() is real, "a second call makes no second test call"
    assert len(provider.journal) == 2
    monkeypatch.setenv("AWAITSEE_PROVIDER", "practice")
    assert isinstance(practice_server(), PracticeServer)


def test_a_closed_provider_is_not_used_again(provider: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, provider, "anthropic", "sk-x")
    first = practice_server()
    assert os.environ["OPENAI_API_KEY"] == "sk-x"
    first.close()
    assert "OPENAI_API_KEY" not in os.environ
    assert practice_server() is not first


def test_it_has_the_face_of_the_practice_server(
    provider: PracticeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, provider, "openai", "sk-x")
    real = practice_server()
    real.configure(latency=2.0)
    real.configure(latency=3.0)
    real.reset()
    assert capsys.readouterr().out.count("cannot be configured") == 1
    assert (real.journal, real.requests("x"), real.peak, real.bill().dollars) == ([], [], 0, 0)


@both
@pytest.mark.parametrize(
    ("key", "model", "fault", "sentence"),
    [
        ("wrong-key-1234", "", None, r"does not accept your key: set {0}_API_KEY"),
        ("sk-x", "gpt-nothing", None, r"has no model gpt-nothing for your key: set AWAITSEE_MODEL"),
        ("sk-x", "", "quota", r"has no quota left: look at its billing page"),
    ],
)
def test_what_the_provider_refuses_is_told_in_one_sentence(
    provider: PracticeServer,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    key: str,
    model: str,
    fault: Any,
    sentence: str,
) -> None:
    use(monkeypatch, provider, name, key, model)
    provider.configure(faults=[Fault(fault)] if fault else [])
    with pytest.raises(ProviderError, match=sentence.format(name.upper())) as caught:
        practice_server()
    assert one_sentence(str(caught.value)) and "1234" not in str(caught.value)
    assert len(provider.journal) == 1, "nothing is tried twice"


@pytest.mark.parametrize("kind", [429, 500, 503, 529])
def test_a_provider_that_is_busy_is_no_reason_to_stop(
    provider: PracticeServer, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    use(monkeypatch, provider, "openai", "sk-x")
    provider.configure(faults=[Fault(kind)])
    assert isinstance(practice_server(), RealProvider)


def test_other_refusals_are_passed_on(provider: PracticeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, provider, "openai", "sk-x")
    provider.configure(faults=[Fault(400)])
    with pytest.raises(ProviderError, match=r"refused the first call \(400\): Invalid request"):
        practice_server()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "file:///etc/passwd", "nonsense"])
def test_a_provider_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AWAITSEE_PROVIDER", "openai")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    with pytest.raises(ProviderError, match=r"cannot be reached at .*: look at your network"):
        practice_server()


def test_an_unknown_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWAITSEE_PROVIDER", "bard")
    with pytest.raises(ProviderError, match="cannot be 'bard': use practice, openai, anthropic, ollama or local"):
        practice_server()


def test_ollama_is_looked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AWAITSEE_PROVIDER", "ollama")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(ProviderError, match=r"ollama serve"):
            practice_server()

    class Shown(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
            self.send_response(200 if model == "qwen3" else 404)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Shown) as fake:
        threading.Thread(target=fake.serve_forever, daemon=True).start()
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{fake.server_port}")
        monkeypatch.setenv("AWAITSEE_MODEL", "phi9")
        with pytest.raises(ProviderError, match=r"has no model phi9: `ollama pull phi9` gets it"):
            practice_server()
        monkeypatch.setenv("AWAITSEE_MODEL", "qwen3")
        provider = practice_server()
        fake.shutdown()
    assert provider.model == "qwen3"
    assert os.environ["OPENAI_BASE_URL"] == f"http://127.0.0.1:{fake.server_port}/v1"
    assert "no cost" in capsys.readouterr().out


# --- what it would cost


def test_every_lesson_was_measured() -> None:
    assert set(costs.measured()) == {path.name[:2] for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_the_estimate_is_for_the_lesson_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    uses = costs.measured()
    price = OPENAI_PRICES[OPENAI_MODEL]
    dearest = max(uses.values(), key=lambda use: use.dollars(price))
    said = costs.estimate(OPENAI_MODEL, OPENAI_PRICES, OPENAI_MODEL)
    assert said.startswith(f"the lesson that asks most makes {dearest.requests} calls, about $0.")
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/me/course/my/notebooks/03_gather.ipynb")
    said = costs.estimate("gpt-9", OPENAI_PRICES, OPENAI_MODEL)
    assert said.startswith(f"lesson 03 makes {uses['03'].requests} calls, about")
    assert f"with {OPENAI_MODEL} (the price of gpt-9 is not known here)" in said


def test_an_answer_counts_with_the_length_of_a_real_one() -> None:
    use = costs.Use(requests=1000, input_tokens=1_000_000, output_tokens=10)
    price = OPENAI_PRICES[OPENAI_MODEL]
    assert use.dollars(price) == pytest.approx(price.input + 0.2 * price.output)


def test_nothing_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "FILE", tmp_path / "none.json")
    assert costs.measured(costs.FILE) == {}
