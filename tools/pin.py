"""Writes requirements.txt: the tested set, every version pinned, as installed in the environment that runs this.

The set is the closure of the direct dependencies in pyproject.toml (all groups) over the metadata of the installed
packages, worked out for every tested Python on Linux, macOS and Windows. What only some of them need gets a marker.
Run it with the oldest tested Python, in an environment made by `pip install -U --editable ".[course,dev]"`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"

HEADER = """\
# The tested set: every package that the course and its checks need, pinned, for {pythons} on Linux, macOS
# and Windows.
# Written by tools/pin.py from pyproject.toml and what is installed; made anew as "Upgrading" in CONTRIBUTING.md says.
# No host stands in here: pip takes the packages from where it is set up to look. CUDA packages are left out on purpose:
# nothing here computes on a GPU, and start.py takes the CPU build of torch where it can be had.
"""

PLATFORMS = {
    "linux": {"os_name": "posix", "platform_system": "Linux", "platform_machine": "x86_64"},
    "darwin": {"os_name": "posix", "platform_system": "Darwin", "platform_machine": "arm64"},
    "win32": {"os_name": "nt", "platform_system": "Windows", "platform_machine": "AMD64"},
}
# Where a wheel for a package that this machine does not need can be looked up.
WHEEL_TAGS = {"linux": "manylinux_2_28_x86_64", "darwin": "macosx_14_0_arm64", "win32": "win_amd64"}

Place = tuple[str, str]  # sys_platform, python_version


def tested_pythons(project: dict[str, object]) -> list[str]:
    """The versions in pyproject's classifiers, oldest first, for example `["3.11", "3.12"]`."""
    prefix = "Programming Language :: Python :: 3."
    classifiers = project["classifiers"]
    assert isinstance(classifiers, list)
    minors = sorted(int(line.removeprefix(prefix)) for line in classifiers if line.startswith(prefix))
    return [f"3.{minor}" for minor in minors]


def direct_requirements(project: dict[str, object]) -> list[Requirement]:
    """The direct dependencies of the package and of every optional group."""
    groups = project["optional-dependencies"]
    dependencies = project["dependencies"]
    assert isinstance(groups, dict)
    assert isinstance(dependencies, list)
    return [Requirement(line) for lines in (dependencies, *groups.values()) for line in lines]


def environment(place: Place) -> dict[str, str]:
    """Marker values for a platform and a Python version."""
    platform, python = place
    values = {key: str(value) for key, value in default_environment().items()}
    values |= {"sys_platform": platform, "python_version": python, "python_full_version": f"{python}.0"}
    return values | PLATFORMS[platform]


def closure(roots: Iterable[Requirement], place: Place) -> set[str]:
    """Canonical names of everything that `roots` need in one place. A package not installed here counts as a leaf."""
    values = environment(place)
    waiting = [(requirement, "") for requirement in roots]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, asked_by = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate(values | {"extra": asked_by}):
            continue
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                lines = metadata.distribution(name).requires or []
            except metadata.PackageNotFoundError:
                continue
            waiting += [(Requirement(line), extra) for line in lines]
    return {name for name, _ in seen}


def marker(needed: set[Place], everywhere: set[Place]) -> str:
    """The shortest marker for the places that need a package; empty for all of them. Raises ValueError if none fits."""
    if needed == everywhere:
        return ""
    platforms = sorted({platform for platform, _ in needed})
    pythons = sorted({python for _, python in needed}, key=lambda version: int(version.split(".")[1]))
    all_platforms = {platform for platform, _ in everywhere}
    if needed != {(platform, python) for platform in platforms for python in pythons}:
        raise ValueError(f"no simple marker for {sorted(needed)}")
    parts = []
    if set(platforms) != all_platforms:
        missing = sorted(all_platforms - set(platforms))
        parts.append(f'sys_platform == "{platforms[0]}"' if len(platforms) == 1 else f'sys_platform != "{missing[0]}"')
    if set(pythons) != {python for _, python in everywhere}:
        parts.append(" or ".join(f'python_version == "{python}"' for python in pythons))
        if len(pythons) > 1 and len(parts) > 1:
            parts[-1] = f"({parts[-1]})"
    return " and ".join(parts)


def complaints(roots: Iterable[Requirement], names: Iterable[str], pythons: Iterable[str]) -> list[str]:
    """What speaks against pinning the installed versions: out of bounds, or not for the first release of a Python."""
    found = []
    bounds = {canonicalize_name(root.name): root.specifier for root in roots}
    for name in names:
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if not bounds.get(canonicalize_name(name), SpecifierSet()).contains(distribution.version, prereleases=True):
            found.append(f"{name} {distribution.version} is out of pyproject's bounds")
        (needs,) = distribution.metadata.get_all("Requires-Python") or [""]
        if not all(SpecifierSet(needs).contains(f"{python}.0") for python in pythons):
            found.append(
                f"{name} {distribution.version} needs Python {needs}: give it an upper bound in pyproject.toml"
            )
    return found


def version_elsewhere(name: str, place: Place) -> str:
    """The newest version of a package that is not installed here, as pip would take it in another place."""
    platform, python = place
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed"]
    command += ["--only-binary", ":all:", "--target", "unused", "--platform", WHEEL_TAGS[platform]]
    command += ["--python-version", python, "--report", "-", name]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return str(report["install"][0]["metadata"]["version"])


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pythons = tested_pythons(project)
    if f"{sys.version_info.major}.{sys.version_info.minor}" != pythons[0]:
        raise SystemExit(f"Run this with Python {pythons[0]}, the oldest tested one: newer versions drop it first.")
    roots = direct_requirements(project)
    places = {(platform, python) for platform in PLATFORMS for python in pythons}
    needed: dict[str, set[Place]] = {}
    for place in places:
        for name in closure(roots, place):
            needed.setdefault(name, set()).add(place)

    problems = complaints(roots, sorted(needed), pythons)
    if problems:
        raise SystemExit("\n".join(problems))

    lines = []
    for name in sorted(needed):
        try:
            version = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            version = version_elsewhere(name, min(needed[name]))
        condition = marker(needed[name], places)
        lines.append(f"{name}=={version}" + (f" ; {condition}" if condition else ""))
    header = HEADER.format(pythons=f"Python {pythons[0]} to {pythons[-1]}")
    REQUIREMENTS.write_text(header + "\n" + "\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{REQUIREMENTS.name}: {len(lines)} packages pinned")


if __name__ == "__main__":
    main()
