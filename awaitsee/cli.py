"""The command line: `awaitsee` or `python -m awaitsee`."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Await and See.")
model = typer.Typer(no_args_is_help=True, help="The real small model of lesson 13, which is optional.")
app.add_typer(model, name="model")


@app.command()
def doctor() -> None:
    """Check that this is the environment that the course was tested with."""
    from .doctor import check_setup, complaints

    check_setup()
    raise typer.Exit(1 if complaints() else 0)


@app.command()
def progress() -> None:
    """Show which exercises are done, tried and open, and about how many minutes are left."""
    from . import overview
    from . import progress as kept

    lessons = overview.lessons()
    typer.echo(overview.describe(lessons, kept.read()))
    raise typer.Exit(0 if lessons else 1)


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
