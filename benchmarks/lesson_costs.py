"""What each lesson asks of the model: requests and tokens of its notebook, run from top to bottom.

    python benchmarks/lesson_costs.py [--write] [NN ...]

Prints them with the dollars at gpt-4o-mini's price. With `--write` they go into `data/lesson_costs.json`, from which
the estimate for a real provider is made; the figures for lessons that are not named stay as they are.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from awaitsee.practice.costs import FILE, Use, measured
from awaitsee.practice.providers import OPENAI_MODEL, OPENAI_PRICES

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"

COUNT = """
from awaitsee.practice import PracticeServer as _Server

_asked = []

def _counted(reset):
    def count_and_reset(self):
        _asked.extend(request for request in self.journal if request.model)
        reset(self)
    return count_and_reset

_Server.reset = _counted(_Server.reset)
"""
TELL = """
import json as _json
from awaitsee.practice import handle as _handle

if _handle._current is not None:
    _handle._current.reset()
print(_json.dumps({
    "requests": len(_asked),
    "input_tokens": sum(request.input_tokens for request in _asked),
    "output_tokens": sum(request.output_tokens for request in _asked),
}))
"""


def use_of(path: Path) -> Use:
    """Run a notebook and return what it asked of the practice model."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(COUNT))
    notebook.cells.append(nbformat.v4.new_code_cell(TELL))
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOKS)}}
    ).execute()
    return Use(**json.loads(notebook.cells[-1].outputs[-1].text))


def main() -> None:
    """Measure the lessons that were named, or all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help=f"put the figures into {FILE.name}")
    parser.add_argument("lessons", nargs="*", metavar="NN")
    options = parser.parse_args()
    uses = measured()
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        lesson = path.name[:2]
        if not options.lessons or lesson in options.lessons:
            uses[lesson] = use_of(path)
            print(f"{lesson}: {uses[lesson]}, ${uses[lesson].dollars(OPENAI_PRICES[OPENAI_MODEL]):.3f}", flush=True)
    if options.write:
        content = {lesson: asdict(use) for lesson, use in sorted(uses.items())}
        FILE.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
