"""The five questions of lesson 00 on the practice server and on the real small model, one by one and together.

    python benchmarks/five_questions.py [--write]

Needs the real model (`make model`). Prints the figures that lesson 00 quotes; with `--write` draws the picture that it
shows, `docs/images/five_questions_real_model.png`. Take it on a machine that does nothing else, and put the date into
the text.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from awaitsee import compare, local_model, observe, practice_server
from awaitsee.desk import QUESTIONS
from awaitsee.observe import Observation

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "five_questions_real_model.png"
TOKENS = 60
"""The length of every answer, so that all of them are the same work."""


async def ask_all(llm: ChatOpenAI, together: bool) -> list[str]:
    """Ask the five questions and return the answers."""

    async def ask(question: str) -> str:
        return (await llm.ainvoke(question)).text

    if together:
        return list(await asyncio.gather(*(ask(question) for question in QUESTIONS)))
    return [await ask(question) for question in QUESTIONS]


async def record(llm: ChatOpenAI) -> tuple[Observation, Observation]:
    """Return a run one by one and a run together, after one call that warms everything up."""
    await llm.ainvoke("Hello")
    return await observe(ask_all(llm, together=False)), await observe(ask_all(llm, together=True))


def main() -> None:
    """Measure, print, and draw if that is wanted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="draw the picture")
    options = parser.parse_args()
    server = practice_server(latency=1.0)
    local = local_model()
    if local is None:
        return
    practice = ChatOpenAI(model=server.model)
    real = ChatOpenAI(
        model=local.model,
        base_url=f"{local.url}/v1",
        api_key=SecretStr("local"),
        temperature=0,
        max_completion_tokens=TOKENS,
    )
    runs: dict[str, Observation] = {}
    for name, llm in (("practice server", practice), ("real model", real)):
        one_by_one, together = asyncio.run(record(llm))
        runs[f"{name}, one by one"], runs[f"{name}, together"] = one_by_one, together
        print(f"{name}: {one_by_one.elapsed:.2f} s one by one, {together.elapsed:.2f} s together")
    for answer in runs["real model, one by one"].result or []:
        print("-", " ".join(answer.split()))
    if options.write:
        compare(runs, "The same five questions, on the practice server and on a real model").save(PICTURE)


if __name__ == "__main__":
    main()
