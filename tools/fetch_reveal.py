"""Fetch reveal.js, which draws the decks of `awaitsee slides`, into awaitsee/slides/reveal/.

Takes the newest release of the npm package, or the one that is named, by `npm pack`, and keeps of it what a deck needs:
script, styles, the plugin for speaker notes, and the licence. `VERSION` says which release that is.

    python tools/fetch_reveal.py [VERSION]

Afterwards run tests/test_slides_browser.py, and `python tools/walk_slides.py` for all lessons.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1] / "awaitsee" / "slides" / "reveal"
KEPT = {
    "package/dist/reveal.js": "reveal.js",
    "package/dist/reveal.css": "reveal.css",
    "package/dist/reset.css": "reset.css",
    "package/dist/plugin/notes.js": "notes.js",
    "package/LICENSE": "LICENSE",
}
"""Where each file stands in the package, and its name here."""


class FetchFailed(Exception):
    """The package could not be had, or it is built in another way than before."""


def unpack(archive: Path, folder: Path) -> str:
    """Write the files that are kept, and VERSION, into a folder; return the version.

    Raises FetchFailed when a file is missing in the package; then nothing is written.
    """
    with tarfile.open(archive) as package:
        contents: dict[str, bytes] = {}
        for inside in ("package/package.json", *KEPT):
            try:
                stream = package.extractfile(inside)
            except KeyError:
                stream = None
            if stream is None:
                raise FetchFailed(f"{inside} is not in the package: look where this release has it, and mend KEPT.")
            contents[inside] = stream.read()
    version = str(json.loads(contents["package/package.json"])["version"])
    folder.mkdir(parents=True, exist_ok=True)
    for inside, name in KEPT.items():
        (folder / name).write_bytes(contents[inside].rstrip() + b"\n")
    (folder / "VERSION").write_text(f"reveal.js {version}\n", encoding="utf-8")
    return version


def main(arguments: list[str]) -> int:
    """Fetch the release that is named, or the newest; return the exit code."""
    npm = shutil.which("npm")
    if npm is None:
        print("npm is not here: install Node.js, then run this again.", file=sys.stderr)
        return 1
    wanted = "reveal.js" + (f"@{arguments[0]}" if arguments else "")
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run([npm, "pack", "--silent", wanted], cwd=folder, capture_output=True, text=True)
        archives = list(Path(folder).glob("*.tgz"))
        if packed.returncode or not archives:
            print(f"npm could not fetch {wanted}: {packed.stderr.strip()}", file=sys.stderr)
            return 1
        try:
            version = unpack(archives[0], HERE)
        except FetchFailed as failure:
            print(failure, file=sys.stderr)
            return 1
    print(f"reveal.js {version} is in {HERE.relative_to(HERE.parents[2])}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
