"""`data/questions.jsonl`: the questions by which retrieval is measured."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from awaitsee.practice import knowledge
from awaitsee.practice.material import data_folder

LINES = (data_folder() / "questions.jsonl").read_text(encoding="utf-8").splitlines()
QUESTIONS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
ANSWERABLE = [entry for entry in QUESTIONS if entry["page"]]
SECTIONS = {(passage.page, passage.heading) for passage in knowledge.handbook().passages}


def test_there_are_enough_of_both_kinds() -> None:
    assert len(ANSWERABLE) >= 60
    assert len(QUESTIONS) - len(ANSWERABLE) >= 10
    assert len({entry["question"] for entry in QUESTIONS}) == len(QUESTIONS)


def test_each_answer_is_a_section_of_the_handbook() -> None:
    assert not [entry for entry in ANSWERABLE if (entry["page"], entry["heading"]) not in SECTIONS]
    assert all(entry["heading"] is None for entry in QUESTIONS if not entry["page"])


def test_every_page_is_asked_for() -> None:
    asked = Counter(entry["page"] for entry in ANSWERABLE)
    assert asked.keys() == {passage.page for passage in knowledge.handbook().passages}


def test_no_question_is_a_heading() -> None:
    headings = {heading for _, heading in SECTIONS}
    assert not [entry for entry in QUESTIONS if entry["question"] in headings]


def test_the_handbook_has_no_answer_to_the_unanswerable() -> None:
    """By the practice model's own measure; what a retriever with embeddings finds is measured in benchmarks/."""
    answered = [entry["question"] for entry in QUESTIONS if not entry["page"] and knowledge.answer(entry["question"])]
    assert len(answered) <= 2, answered
