"""The command line: `awaitsee` or `python -m awaitsee`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Await and See.",
)
model = typer.Typer(no_args_is_help=True, help="The real small model of lesson 13, which is optional.")
app.add_typer(model, name="model")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> None:
    """Open your copy of the course in JupyterLab, as `make lab` does.  --port N  --no-browser"""
    from .course import NoCourse, start_script

    try:
        code: int = start_script().main(["lab", *context.args])
    except NoCourse as refusal:
        typer.echo(refusal, err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(code)


@app.command()
def serve(
    latency: Annotated[float, typer.Option(help="Seconds to the first token.")] = 1.0,
    jitter: Annotated[float, typer.Option(help="Sigma of the lognormal factor on the latency.")] = 0.0,
    tokens_per_second: Annotated[float | None, typer.Option(help="Speed of the answers; all at once if none.")] = None,
    capacity: Annotated[int | None, typer.Option(help="Requests worked on at once; the others queue.")] = None,
    requests_per_minute: Annotated[float | None, typer.Option(help="Beyond it a request gets a 429.")] = None,
    tokens_per_minute: Annotated[float | None, typer.Option(help="The same for tokens.")] = None,
    seed: Annotated[int, typer.Option(help="Start of all random draws.")] = 0,
) -> None:
    """Run the practice server for a program of your own, until Ctrl-C."""
    from .practice.handle import PracticeServerError
    from .serve import serve

    try:
        for line in serve(
            latency=latency,
            jitter=jitter,
            tokens_per_second=tokens_per_second,
            capacity=capacity,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            seed=seed,
        ):
            print(line, flush=True)
    except (ValueError, PracticeServerError) as refusal:
        typer.echo(refusal, err=True)
        raise typer.Exit(1) from None


@app.command()
def doctor() -> None:
    """Check what a lesson needs, one line each, and say what to do where something is missing."""
    from .checkup import findings, verdict

    found = []
    for finding in findings():
        typer.echo(finding)
        found.append(finding)
    typer.echo(verdict(found))
    raise typer.Exit(0 if all(finding.well for finding in found) else 1)


@app.command()
def progress() -> None:
    """Show which exercises are done, tried and open, and about how many minutes are left."""
    from . import overview
    from . import progress as kept

    lessons = overview.lessons()
    typer.echo(overview.describe(lessons, kept.read()))
    raise typer.Exit(0 if lessons else 1)


@app.command()
def reset(
    lesson: Annotated[str, typer.Argument(help="Its number, such as 06, or its notebook's name: 06_semaphores.")] = "",
    notebook: Annotated[bool, typer.Option("--lesson", help="The lesson's notebook instead of its exercises.")] = False,
) -> None:
    """Lay the exercises of a lesson out afresh. What you wrote is kept beside them, dated.

    Save first what is open in JupyterLab.
    """
    from .course import NoCourse
    from .reset import CannotReset, reset

    try:
        if not lesson:
            raise CannotReset("Name a lesson, such as 06 or 06_semaphores.")
        typer.echo(reset(lesson, lesson=notebook))
    except (CannotReset, NoCourse) as refusal:
        typer.echo(refusal, err=True)
        raise typer.Exit(1) from None


@app.command()
def check(
    folder: Annotated[Path | None, typer.Argument(help="The folder of submitted exercise notebooks.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the table to this file.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many are run at once; not more than cores.")] = 2,
    timeout: Annotated[float, typer.Option(min=5, help="Seconds that one submission may take.")] = 120,
    memory: Annotated[int, typer.Option(min=200, help="Megabytes that one submission may take.")] = 1500,
) -> None:
    """Check a folder of submitted exercises, each in a process of its own, and print a table.

    docs/grading.md says what is run and what is not protected.
    """
    from .course import COURSE
    from .grading.check import CannotCheck
    from .grading.command import run

    try:
        if folder is None:
            raise CannotCheck("Name the folder of submitted notebooks, such as handed_in.")
        run(folder, COURSE, csv=csv, jobs=jobs, timeout=timeout, memory=memory)
    except CannotCheck as refusal:
        typer.echo(refusal, err=True)
        raise typer.Exit(1) from None


@app.command()
def slides(
    lessons: Annotated[list[str] | None, typer.Argument(help="Numbers or names: 03, 03_gather.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every lesson.")] = False,
    live: Annotated[bool, typer.Option("--live", help="A copy to type in instead of a deck: my/live/.")] = False,
    output: Annotated[Path | None, typer.Option(help="The deck's file; by default in my/slides/.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the deck in the browser.")] = False,
) -> None:
    """Make a lesson's slides: one HTML file that needs no network. docs/presenting.md has the keys."""
    from .slides.command import CannotMake, make

    try:
        for line in make(lessons or [], every=every, live=live, output=output, show=show):
            typer.echo(line)
    except CannotMake as refusal:
        typer.echo(refusal, err=True)
        raise typer.Exit(1) from None


@model.command()
def install() -> None:
    """Install it into this environment: 130 MB, no account, no key."""
    from .model_install import InstallFailed, install

    try:
        install()
    except InstallFailed as failure:
        typer.echo(failure, err=True)
        raise typer.Exit(1) from None
    typer.echo("The real model is installed: lesson 13 measures it; with AWAITSEE_PROVIDER=local cells talk to it.")


@model.command()
def status() -> None:
    """Tell whether it is installed."""
    from .practice.local_model import INSTALL, is_installed

    installed = is_installed()
    typer.echo("The real model is installed." if installed else f"The real model is not installed. {INSTALL}.")
    raise typer.Exit(0 if installed else 1)


def main() -> None:
    """Run the command line."""
    app(prog_name="awaitsee")
