"""Build the notebooks from their text sources.

`lessons/NN_name.md` becomes `notebooks/NN_name.ipynb`; `lessons/NN_name.exercises.md` becomes `solutions/NN_name.ipynb`
and, with the solutions cut out, `exercises/NN_name.ipynb`. All are executed and committed with their outputs.

A source that has not changed runs no kernel; only its notebooks' lines with links (tools/navigation.py) follow the
course. One that is run again keeps each committed output that still says the same (compared as nbval compares:
sanitised text, pictures by their text), so a rebuild without a change gives no diff.

    python tools/build.py [STEM ...]            what changed, or only the lessons whose names start so
    python tools/build.py --force [STEM ...]    run the kernels even where nothing changed
    python tools/build.py --fresh [STEM ...]    and take the new outputs and pictures even where they say the same
    python tools/build.py --check               run nothing; exit 1 and name each notebook that its source does not give
"""

from __future__ import annotations

import argparse
import configparser
import copy
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # as a script it would find the modules of its own folder only

from tools import navigation  # noqa: E402

CELL_TIMEOUT = 60
CHANGING = "nbval-ignore-output"
SOLUTION_ONLY = "solution"
# Between the marks, `### GIVEN` may part the solution from code to repair, commented out, which the learner gets.
SOLUTION = re.compile(
    r"^(?P<indent>[ \t]*)### BEGIN SOLUTION[^\n]*\n.*?"
    r"(?:^[ \t]*### GIVEN[^\n]*\n(?P<given>.*?))?"
    r"^[ \t]*### END SOLUTION[^\n]*\n?",
    re.MULTILINE | re.DOTALL,
)
GIVEN = re.compile(r"^[ \t]*### GIVEN[^\n]*\n.*?(?=^[ \t]*### END SOLUTION)", re.MULTILINE | re.DOTALL)
CODE_CELL = re.compile(
    r"(?P<head>^```\{code-cell\}[^\n]*\n(?::[^\n]*\n)*\n?)(?P<code>.*?)^```", re.MULTILINE | re.DOTALL
)
STUB = "{indent}# Your code here, in place of the next line.\n{indent}raise YourTurn\n"
REPAIR = "{indent}raise YourTurn  # Delete this line, then repair the rest.\n"
# A key or a provider in the author's environment must not reach an output that is committed.
PRIVATE_VARIABLES = re.compile(r"^(AWAITSEE|OPENAI|ANTHROPIC|OLLAMA|LANGSMITH|LANGCHAIN|HF)_")
QUIET = {"LANGSMITH_TRACING": "false", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

Sanitize = Callable[[str], str]


def read_sanitizer(path: Path) -> Sanitize:
    """Return a function that replaces what may differ, by the rules that nbval reads from the same file."""
    rules = configparser.RawConfigParser()
    rules.read(path, encoding="utf-8")
    patterns = [(re.compile(rules[name]["regex"]), rules[name]["replace"]) for name in rules.sections()]

    def sanitize(text: str) -> str:
        for pattern, replacement in patterns:
            text = pattern.sub(replacement, text)
        return text

    return sanitize


def format_source(path: Path) -> bool:
    """Format the code cells of a source with ruff, as the notebooks have to be; return whether that changed it."""
    text = path.read_text(encoding="utf-8")
    blocks = [block["code"] for block in CODE_CELL.finditer(text)]
    notebook = new_notebook(cells=[new_code_cell(code.rstrip("\n")) for code in blocks])
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.ipynb"
        nbformat.write(notebook, draft)
        command = [
            sys.executable,
            "-m",
            "ruff",
            "format",
            "--quiet",
            "--config",
            str(ROOT / "pyproject.toml"),
            str(draft),
        ]
        subprocess.run(command, check=True)
        formatted = iter([cell.source + "\n" for cell in nbformat.read(draft, as_version=4).cells])
    new = CODE_CELL.sub(lambda block: f"{block['head']}{next(formatted)}```", text)
    if new != text:
        path.write_text(new, encoding="utf-8", newline="\n")
    return new != text


def read_source(path: Path) -> NotebookNode:
    """Read a MyST source into a notebook with stable cell ids and only the metadata that belongs into a commit."""
    notebook: NotebookNode = jupytext.reads(path.read_text(encoding="utf-8"), fmt="md:myst")
    course = dict(notebook.metadata.get("awaitsee", {}))
    notebook.metadata = NotebookNode(
        awaitsee=course,
        kernelspec={"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    give_stable_ids(notebook)
    return notebook


def give_stable_ids(notebook: NotebookNode) -> None:
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha1((cell.cell_type + cell.source).encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def cut_solutions(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without the cells tagged `solution` and with a stub in place of each marked solution."""
    exercise = copy.deepcopy(notebook)
    exercise.cells = [cell for cell in exercise.cells if SOLUTION_ONLY not in tags(cell)]
    for cell in exercise.cells:
        if cell.cell_type == "code":
            cell.source = SOLUTION.sub(stub, cell.source + "\n").rstrip("\n")
    give_stable_ids(exercise)
    return exercise


def stub(solution: re.Match[str]) -> str:
    """Return what a learner finds in place of a marked solution."""
    if solution["given"] is None:
        return STUB.format(indent=solution["indent"])
    given = re.sub(r"^([ \t]*)# ?", r"\1", solution["given"], flags=re.MULTILINE)
    return REPAIR.format(indent=solution["indent"]) + re.sub(r"^[ \t]+$", "", given, flags=re.MULTILINE)


def keep_solutions(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without the code that was given to be repaired."""
    solved = copy.deepcopy(notebook)
    for cell in solved.cells:
        if cell.cell_type == "code":
            cell.source = GIVEN.sub("", cell.source)
    give_stable_ids(solved)
    return solved


def tags(cell: NotebookNode) -> list[str]:
    found: list[str] = cell.metadata.get("tags", [])
    return found


def source_digest(notebook: NotebookNode) -> str:
    """Return a digest of all that decides what a run gives: the cells, their metadata and the notebook's."""
    parts = [json.dumps(notebook.metadata.get("awaitsee", {}), sort_keys=True)]
    parts += [
        f"{cell.cell_type}\n{cell.source}\n{json.dumps(cell.metadata, sort_keys=True)}"
        for cell in notebook.cells
        if not navigation.is_navigation(cell)
    ]
    return hashlib.sha1("\0".join(parts).encode()).hexdigest()


def products(source: Path, root: Path) -> Iterator[tuple[Path, NotebookNode]]:
    """Yield each notebook that a source gives, not yet executed, and where it goes."""
    notebook = read_source(source)
    if source.name.endswith(".exercises.md"):
        stem = source.name.removesuffix(".exercises.md")
        made = {"solutions": keep_solutions(notebook), "exercises": cut_solutions(notebook)}
    else:
        stem = source.stem
        made = {"notebooks": notebook}
    course = navigation.places(source.parent)
    for folder, product in made.items():
        yield root / folder / f"{stem}.ipynb", navigation.add(product, folder, stem, course)


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run every cell in a new kernel, top to bottom, in `folder`.

    Raises CellExecutionError when a cell fails that is not tagged `raises-exception`.
    """
    environment = {key: value for key, value in os.environ.items() if not PRIVATE_VARIABLES.match(key)} | QUIET
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_TIMEOUT,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    # What the kernel itself logs, such as its remark about TCP encryption, is not the author's business.
    client.execute(env=environment, stderr=subprocess.DEVNULL)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [without_private_paths(output) for output in merge_streams(cell.outputs)]


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join what was printed to one stream: the kernel flushes by the clock, so its pieces are random."""
    merged: list[NotebookNode] = []
    streams: dict[str, NotebookNode] = {}
    for output in outputs:
        if output.output_type == "stream" and output.name in streams:
            streams[output.name].text += output.text
            continue
        if output.output_type == "stream":
            streams[output.name] = output
        merged.append(output)
    return merged


def without_private_paths(output: NotebookNode) -> NotebookNode:
    """Shorten the paths of the author's machine, which mean nothing to a reader."""
    places = [
        (re.escape(str(ROOT)), "."),
        (re.escape(sys.prefix), "."),
        (re.escape(sys.base_prefix), "python"),
        (re.escape(str(Path.home())), "~"),
    ]

    def shorten(value: Any) -> Any:
        if isinstance(value, str):
            for place, short in places:
                value = re.sub(place, short, value)
            return re.sub(r"~?(?:/[\w.-]+)+/(?=lib/python3\.\d+/|ipykernel_\d+/)", "", value)
        if isinstance(value, list):
            return [shorten(item) for item in value]
        return value

    for field in ("text", "evalue", "traceback"):
        if field in output:
            output[field] = shorten(output[field])
    for kind in ("text/plain", "text/html"):
        if kind in output.get("data", {}):
            output.data[kind] = shorten(output.data[kind])
    return output


def says_the_same(old: list[NotebookNode], new: list[NotebookNode], sanitize: Sanitize) -> bool:
    """Tell whether two cells' outputs are equal as nbval sees them."""
    return [essence(output, sanitize) for output in old] == [essence(output, sanitize) for output in new]


def essence(output: NotebookNode, sanitize: Sanitize) -> tuple[object, ...]:
    if output.output_type == "stream":
        return ("stream", output.name, sanitize(output.text))
    if output.output_type == "error":
        return ("error", output.ename, sanitize(output.evalue))
    data = output.get("data", {})
    words = {
        kind: sanitize(value)
        for kind, value in data.items()
        if isinstance(value, str) and not kind.startswith("image/")
    }
    return (output.output_type, sorted(data), sorted(words.items()))


def keep_outputs(notebook: NotebookNode, old: NotebookNode, sanitize: Sanitize) -> None:
    """Take over the committed output of each cell that changes by nature or still says the same."""
    committed = {cell["id"]: cell for cell in old.cells if cell.cell_type == "code"}
    for cell in notebook.cells:
        before = committed.get(cell["id"])
        if cell.cell_type != "code" or before is None or before.execution_count is None:
            continue
        if CHANGING in tags(cell) or says_the_same(before.outputs, cell.outputs, sanitize):
            cell.outputs = before.outputs


def build(notebook: NotebookNode, target: Path, *, force: bool, fresh: bool, sanitize: Sanitize) -> str:
    """Write one notebook; return what was done: `unchanged`, `linked`, `kept` or `executed`."""
    digest = source_digest(notebook)
    notebook.metadata["awaitsee"]["source"] = digest
    old = nbformat.read(target, as_version=4) if target.exists() else None
    if old and not (force or fresh) and old.metadata.get("awaitsee", {}).get("source") == digest:
        return relink(old, notebook, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    execute(notebook, target.parent)
    if old and not fresh:
        keep_outputs(notebook, old, sanitize)
    nbformat.validate(notebook)
    text = nbformat.writes(notebook) + "\n"
    if old and target.read_text(encoding="utf-8") == text:
        return "kept"
    target.write_text(text, encoding="utf-8", newline="\n")
    return "executed"


def relink(old: NotebookNode, wanted: NotebookNode, target: Path) -> str:
    """Bring the lines with links of a notebook up to date whose source did not change; nothing is run."""
    navigation.renew(old, wanted)
    text = nbformat.writes(old) + "\n"
    if target.read_text(encoding="utf-8") == text:
        return "unchanged"
    target.write_text(text, encoding="utf-8", newline="\n")
    return "linked"


def differences(source: Path, root: Path) -> Iterator[str]:
    """Yield a sentence for each built notebook that does not hold, cell by cell, what its source gives."""
    for target, wanted in products(source, root):
        name = target.relative_to(root).as_posix()
        if not target.exists():
            yield f"{name} is missing: run `make build`."
            continue
        found = nbformat.read(target, as_version=4)
        if len(found.cells) != len(wanted.cells):
            yield f"{name} has {len(found.cells)} cells, its source gives {len(wanted.cells)}: run `make build`."
            continue
        for number, (have, want) in enumerate(zip(found.cells, wanted.cells, strict=True)):
            if any(have.get(key) != want.get(key) for key in ("id", "cell_type", "source", "metadata")):
                yield f"{name} cell {number} differs from its source: run `make build`, and edit only lessons/."
                break
        course = {key: value for key, value in found.metadata.get("awaitsee", {}).items() if key != "source"}
        if course != wanted.metadata["awaitsee"]:
            yield f"{name} has other metadata than its source: run `make build`."


def orphans(root: Path) -> Iterator[str]:
    """Yield a sentence for each built notebook that no source gives."""
    given = {target for source in sources(root) for target, _ in products(source, root)}
    for folder in ("notebooks", "exercises", "solutions"):
        for target in sorted((root / folder).glob("*.ipynb")):
            if target not in given:
                yield f"{target.relative_to(root).as_posix()} has no source in lessons/: delete it or write the source."


def sources(root: Path) -> list[Path]:
    return sorted((root / "lessons").glob("[0-9][0-9]_*.md"))


def check(root: Path) -> list[str]:
    """Return a sentence for each difference between the sources and what is committed; runs no kernel."""
    found = [sentence for source in sources(root) for sentence in differences(source, root)]
    return found + list(orphans(root))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build notebooks/, exercises/ and solutions/ from lessons/.")
    parser.add_argument("stems", nargs="*", metavar="STEM", help="only lessons whose file names start so, such as 03")
    parser.add_argument("--force", action="store_true", help="run the kernels even where nothing changed")
    parser.add_argument(
        "--fresh", action="store_true", help="take new outputs and pictures even where they say the same"
    )
    parser.add_argument("--check", action="store_true", help="run nothing; fail where a source and its notebook differ")
    options = parser.parse_args(arguments)
    if options.check:
        sentences = check(ROOT)
        print("\n".join(sentences) or "Every notebook is what its source gives.")
        return 1 if sentences else 0
    sanitize = read_sanitizer(ROOT / "tests" / "nbval_sanitize.cfg")
    chosen = [source for source in sources(ROOT) if not options.stems or source.name.startswith(tuple(options.stems))]
    if not chosen:
        print("No lesson's file name starts so: see lessons/.", file=sys.stderr)
        return 1
    failed = False
    for source in chosen:
        if format_source(source):
            print(f"{source.relative_to(ROOT).as_posix()}: formatted")
        for target, notebook in products(source, ROOT):
            began = time.perf_counter()
            name = target.relative_to(ROOT).as_posix()
            try:
                how = build(notebook, target, force=options.force, fresh=options.fresh, sanitize=sanitize)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                failed = True
                print(f"{name}: not written, a cell failed.\n{error}", file=sys.stderr)
                continue
            print(f"{name}: {how} in {time.perf_counter() - began:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
