"""Await and See: run async Python and see what happened. See the notebooks for how it is used.

The names below are loaded when they are first used, so that `import awaitsee` costs next to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from awaitsee.exercise import YourTurn, exercise
    from awaitsee.observe import Observation, observe
    from awaitsee.observe.chart import chart, raster
    from awaitsee.observe.heatmap import heatmap
    from awaitsee.observe.simulation import Deadlock, OutOfTime, Simulation, SimulationError, Stuck, simulate
    from awaitsee.observe.timeline import compare
    from awaitsee.practice import Fault, LocalModel, PracticeServer, local_model, practice_server

__version__ = "0.1.0"

__all__ = [
    "Deadlock",
    "Fault",
    "LocalModel",
    "Observation",
    "OutOfTime",
    "PracticeServer",
    "Simulation",
    "SimulationError",
    "Stuck",
    "YourTurn",
    "chart",
    "compare",
    "exercise",
    "heatmap",
    "local_model",
    "observe",
    "practice_server",
    "raster",
    "simulate",
]

_HOMES = {
    "Fault": "awaitsee.practice",
    "LocalModel": "awaitsee.practice",
    "Observation": "awaitsee.observe",
    "PracticeServer": "awaitsee.practice",
    "YourTurn": "awaitsee.exercise",
    "chart": "awaitsee.observe.chart",
    "compare": "awaitsee.observe.timeline",
    "exercise": "awaitsee.exercise",
    "heatmap": "awaitsee.observe.heatmap",
    "local_model": "awaitsee.practice",
    "observe": "awaitsee.observe",
    "practice_server": "awaitsee.practice",
    "raster": "awaitsee.observe.chart",
    "simulate": "awaitsee.observe.simulation",
    **dict.fromkeys(("Deadlock", "OutOfTime", "Simulation", "SimulationError", "Stuck"), "awaitsee.observe.simulation"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package, in which a public name beats the submodule of the same name.

    The import system sets a submodule as an attribute of its package, so whoever imports `awaitsee.observe.timeline`
    first would turn `awaitsee.observe` from the function into the module.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _HOMES.get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make this kernel fit for teaching async: what `%load_ext awaitsee` calls."""
    from awaitsee import kernel

    kernel.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Leave the kernel as it was: what `%unload_ext awaitsee` calls."""
    from awaitsee import kernel

    kernel.unload(shell)
