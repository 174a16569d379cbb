"""Whose code is it: the user's or a library's; and what to call a task or a function in a figure.

One `ChatOpenAI.ainvoke` makes three tasks of its own and a graph of three nodes ten or more. A figure that shows them
all is unreadable, so a task counts as the user's when its coroutine is the user's code or when the user's code made it,
and otherwise folds into the task that it was made from.
"""

from __future__ import annotations

import asyncio
import functools
import re
import sys
import sysconfig
from collections.abc import Callable, Iterable
from inspect import CO_VARARGS
from pathlib import Path
from types import CodeType, CoroutineType, FrameType
from typing import Any, Literal, NamedTuple

Owner = Literal["user", "library", "transparent"]

_OWN = Path(__file__).resolve().parent
_DESK = str(_OWN.parent / "desk.py")
_PACKAGE = tuple(f"{_OWN.parent}{sep}" for sep in ("/", "\\"))
_STANDARD = tuple({f"{sysconfig.get_paths()[key]}{sep}" for key in ("stdlib", "platstdlib") for sep in ("/", "\\")})
# These only pass work on: who calls them is who made the task.
_TRANSPARENT = (
    f"{Path(sysconfig.get_paths()['stdlib']) / 'asyncio'}",
    f"{Path(sysconfig.get_paths()['stdlib']) / 'concurrent'}",
    str(_OWN),
)
_TRANSPARENT_PACKAGES = re.compile(r"[\\/](?:site|dist)-packages[\\/](?:anyio|tqdm)[\\/]")
_INSTALLED = re.compile(r"[\\/](?:site|dist)-packages[\\/]")
# Here LangChain and LangGraph start several pieces of the user's work at once: the items of a batch, the branches of a
# RunnableParallel, the calls of a ToolNode. What they gather elsewhere is housekeeping.
_FAN_OUT_FILES = re.compile(r"[\\/](?:langchain_core[\\/]runnables|langgraph[\\/]prebuilt)[\\/]")
_FAN_OUT_CALLS = frozenset({"gather", "as_completed", "__init__"})
_LANGGRAPH = re.compile(r"[\\/]langgraph[\\/]")
_LANGCHAIN = re.compile(r"[\\/](?:langchain\w*|langgraph)[\\/]")
# Library functions that LangChain sends to a thread although they do no work for the user there.
_CHORES = frozenset({"_create_chat_result"})

_SUBGRAPH = "|"
"""In the place of a checkpoint it stands between a node and what runs inside it."""

_GRAPH_CALLS = frozenset({"ainvoke", "abatch"})
_UNNAMED_GRAPH = "LangGraph"

_MAX_ARGUMENT = 32
_MAX_LOOKED_AT = 400
_MAX_FRAMES = 60
_LOCALS_ARE_COPIED = sys.version_info < (3, 13)


@functools.lru_cache(maxsize=4096)
def owner_of(filename: str) -> Owner:
    """Tell whose code a file holds; `transparent` code only passes on what its caller wants done."""
    if filename == _DESK:
        return "user"
    if filename.startswith(_TRANSPARENT) or _TRANSPARENT_PACKAGES.search(filename):
        return "transparent"
    if filename.startswith(("<frozen", *_STANDARD, *_PACKAGE)) or _INSTALLED.search(filename):
        return "library"
    return "user"


class Origin(NamedTuple):
    """What is known about a task at the moment it is made."""

    label: str
    internal: bool
    superstep: int | None = None
    """In which of a graph's supersteps it runs, where it is a node of LangGraph's."""


def origin_of(coroutine: object, maker: FrameType | None) -> Origin:
    """Return the label of a task about to be made from `coroutine`, and whether it is a library's own business.

    `maker` is the frame that called for the task.
    """
    code: CodeType | None = getattr(coroutine, "cr_code", None)
    if code is not None and owner_of(code.co_filename) == "user":
        return Origin(_label(coroutine, code), False, _superstep(_inline_node(_first_opaque(maker)[1])))
    arguments = _arguments(coroutine)
    inner = _carried(coroutine, arguments)
    if inner is not None and owner_of(inner.cr_code.co_filename) == "user":
        return Origin(_label(inner, inner.cr_code), False)
    via, source = _first_opaque(maker)
    if code is asyncio.to_thread.__code__ and source is not None and owner_of(source.f_code.co_filename) == "user":
        # Named after what runs in the thread, so that both share a lane.
        return Origin(handed_over(arguments["func"], tuple(arguments.get("args", ())), source).label, False)
    about: Any = inner or coroutine
    if source is not None and owner_of(source.f_code.co_filename) == "user":
        return Origin(_label(about, getattr(about, "cr_code", None)), False)
    if code is not None and code.co_name == "arun_with_retry" and _LANGGRAPH.search(code.co_filename):
        return _origin_of_node(arguments.get("task"))
    node = _inline_node(source)
    if node is not None:
        return _origin_of_node(node)
    if source is not None and via in _FAN_OUT_CALLS and _FAN_OUT_FILES.search(source.f_code.co_filename):
        return Origin(_piece_label(coroutine, inner, arguments), False)
    return Origin(_qualified(coroutine, arguments), True)


def _origin_of_node(node: Any) -> Origin:
    """Return the origin of a graph's node; `__start__`, which works out the first edges, is the graph's own affair."""
    name = str(getattr(node, "name", "node"))
    own = name.startswith("__")
    return Origin(name, own, None if own else _superstep(node))


def _superstep(node: Any) -> int | None:
    """Return the number of the superstep that a node of the outermost graph runs in, from the node or its config."""
    config = getattr(node, "config", node)
    metadata = config.get("metadata", {}) if isinstance(config, dict) else {}
    step, place = metadata.get("langgraph_step"), metadata.get("langgraph_checkpoint_ns", "")
    return step if isinstance(step, int) and _SUBGRAPH not in place else None


def _inline_node(frame: FrameType | None) -> Any:
    """Return the graph's node that is about to run, if it has no task yet, else None.

    LangGraph runs a node that is alone in its superstep in the graph's own task, and only its function in a new one.
    """
    while frame is not None and _LANGGRAPH.search(frame.f_code.co_filename):
        if frame.f_code.co_name == "arun_with_retry":
            caller = frame.f_back
            inline = caller is not None and bool(_LANGGRAPH.search(caller.f_code.co_filename))
            return frame.f_locals.get("task") if inline else None
        frame = frame.f_back
    return None


def _first_opaque(frame: FrameType | None) -> tuple[str, FrameType | None]:
    """Return the nearest frame that is not transparent, and the name of the function that it called."""
    via = ""
    for _ in range(_MAX_FRAMES):
        if frame is None or owner_of(frame.f_code.co_filename) != "transparent":
            return via, frame
        via = frame.f_code.co_name
        if via == "_run":
            # Below a callback that the loop ran, the stack belongs to whoever started the loop.
            break
        frame = frame.f_back
    return via, None


def _arguments(coroutine: object) -> dict[str, Any]:
    frame: FrameType | None = getattr(coroutine, "cr_frame", None)
    if frame is None:
        return {}
    code = frame.f_code
    values = frame.f_locals
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & CO_VARARGS)
    arguments = {name: values[name] for name in code.co_varnames[:count] if name in values}
    if _LOCALS_ARE_COPIED:
        # The copy stays with the frame and would keep alive what the coroutine lets go of.
        values.clear()
    return arguments


def _carried(coroutine: object, arguments: dict[str, Any], depth: int = 3) -> CoroutineType[Any, Any, Any] | None:
    """Return the coroutine that a library's wrapper was handed: what it is really about."""
    for name, value in arguments.items():
        inner = getattr(value, "_coro", None) if name == "self" and type(value).__name__ == "TaskHandle" else value
        if isinstance(inner, CoroutineType) and inner is not coroutine:
            if owner_of(inner.cr_code.co_filename) == "user" or depth == 1:
                return inner
            return _carried(inner, _arguments(inner), depth - 1) or inner
    return None


def _label(coroutine: object, code: CodeType | None) -> str:
    if code is None or not code.co_argcount + code.co_kwonlyargcount:
        return _tail(getattr(coroutine, "__qualname__", type(coroutine).__name__))
    arguments = _arguments(coroutine)
    if code.co_name in _GRAPH_CALLS and _LANGGRAPH.search(code.co_filename):
        named = getattr(arguments.get("self"), "name", "")
        return named if isinstance(named, str) and named not in ("", _UNNAMED_GRAPH) else "graph"
    name = _qualified(coroutine, arguments)
    shown = _short(arguments.values())
    return f"{name}({shown})" if shown else name


def _piece_label(coroutine: object, inner: object | None, arguments: dict[str, Any]) -> str:
    key, call = arguments.get("key"), arguments.get("call")
    if isinstance(key, str):
        return key
    if isinstance(call, dict) and "name" in call:
        return str(call["name"])
    about: Any = inner or coroutine
    label = _label(about, getattr(about, "cr_code", None))
    bound = _closure(about).get("self")
    return f"{type(bound).__name__}.{label}" if bound is not None and "." not in label else label


def _closure(coroutine: object) -> dict[str, Any]:
    frame: FrameType | None = getattr(coroutine, "cr_frame", None)
    if frame is None:
        return {}
    return {name: frame.f_locals[name] for name in frame.f_code.co_freevars if name in frame.f_locals}


def _qualified(coroutine: object, arguments: dict[str, Any]) -> str:
    """Return `ChatOpenAI.ainvoke` for a method that `ChatOpenAI` inherits from a class of another name."""
    name = _tail(getattr(coroutine, "__qualname__", type(coroutine).__name__))
    if "self" in arguments and "." in name:
        return f"{type(arguments['self']).__name__}.{name.rpartition('.')[2]}"
    return name


def _tail(qualname: str) -> str:
    return qualname.rpartition("<locals>.")[2] if "<" in qualname else qualname


def _short(values: Iterable[Any]) -> str:
    """Return the first plain argument as it would be written, shortened; or the coroutine that was passed in."""
    for value in values:
        kind = type(value)
        if kind is int:
            return repr(value)
        if kind is str:
            # Of a whole document only the beginning is looked at.
            text = " ".join(value[:_MAX_LOOKED_AT].split())
            return repr(text if len(text) <= _MAX_ARGUMENT else f"{text[: _MAX_ARGUMENT - 1]}…")
        if kind is CoroutineType:
            return _label(value, value.cr_code)
    return ""


class Handed(NamedTuple):
    """What is known about a function at the moment it is handed to a worker thread."""

    label: str
    internal: bool
    superstep: int | None = None


def handed_over(
    function: Callable[..., Any], arguments: tuple[Any, ...], maker: FrameType | None, in_users_task: bool = False
) -> Handed:
    """Return the label of a function about to run in a worker thread, and whether it is a library's own business.

    `in_users_task` decides where no code but asyncio's hands it over, as in a task made of `asyncio.to_thread(...)`.
    """
    function, arguments = _unwrapped(function, arguments)
    code: CodeType | None = getattr(function, "__code__", None)
    _, source = _first_opaque(maker)
    hand = source
    while hand is not None and hand.f_code.co_name == "run_in_executor" and _LANGCHAIN.search(hand.f_code.co_filename):
        hand = hand.f_back
    if hand is not None and _LANGGRAPH.search(hand.f_code.co_filename):
        node = getattr(hand.f_locals.get("self"), "name", None)
        if isinstance(node, str):
            return Handed(node, False, _superstep(hand.f_locals.get("config")))
    bound = getattr(function, "__self__", None)
    name = _tail(getattr(function, "__qualname__", type(function).__name__))
    tool = getattr(bound, "name", None)
    if isinstance(tool, str) and code is not None and _LANGCHAIN.search(code.co_filename):
        return Handed(tool, internal=False)
    if code is not None and bound is not None and "." in name and not isinstance(bound, type):
        name = f"{type(bound).__name__}.{name.rpartition('.')[2]}"
    shown = _short(arguments)
    label = f"{name}({shown})" if shown else name
    if any(item is not None and owner_of(item.co_filename) == "user" for item in (code, source and source.f_code)):
        return Handed(label, internal=False)
    if source is None and in_users_task:
        return Handed(label, internal=False)
    for_the_user = (
        source is not None
        and bool(_LANGCHAIN.search(source.f_code.co_filename))
        and name.rpartition(".")[2] not in _CHORES
    )
    return Handed(label, internal=not for_the_user)


def _unwrapped(function: Any, arguments: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Take off `partial`, `Context.run` and LangChain's wrapper, which are in everything that goes to a thread."""
    for _ in range(8):
        if isinstance(function, functools.partial):
            function, arguments = function.func, (*function.args, *arguments)
        elif (
            getattr(function, "__name__", "") == "run"
            and type(getattr(function, "__self__", None)).__name__ == "Context"
        ):
            function, arguments = arguments[0], arguments[1:]
        elif getattr(function, "__qualname__", "") == "run_in_executor.<locals>.wrapper":
            cells = _cells(function)
            function, arguments = cells["func"], tuple(cells["args"])
        elif getattr(function, "__qualname__", "") == "RunnableLambda._ainvoke.<locals>.func":
            function = _cells(function)["self"].func
        else:
            break
    return function, arguments


def _cells(function: Any) -> dict[str, Any]:
    pairs = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: cell.cell_contents for name, cell in pairs}


def users_line(frame: FrameType | None) -> tuple[str, int] | None:
    """Return file and line of the user's innermost code in what the loop is running, else of the innermost code.

    None when `frame` is not inside something that the loop runs.
    """
    innermost: tuple[str, int] | None = None
    found: tuple[str, int] | None = None
    while frame is not None:
        owner = owner_of(frame.f_code.co_filename)
        if owner == "transparent" and frame.f_code.co_name == "_run":
            return found or innermost
        place = frame.f_code.co_filename, frame.f_lineno
        innermost = innermost or place
        if owner == "user":
            found = found or place
        frame = frame.f_back
    return None


def place_in(coroutine: object) -> tuple[str, int] | None:
    """Return where the user's innermost code in a chain of awaiting coroutines stands, or where it begins."""
    place: tuple[str, int] | None = None
    while coroutine is not None:
        code: CodeType | None = getattr(coroutine, "cr_code", None)
        if code is None:
            break
        frame: FrameType | None = getattr(coroutine, "cr_frame", None)
        if place is None or owner_of(code.co_filename) == "user":
            place = code.co_filename, code.co_firstlineno if frame is None else frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", None)
    return place


def shown_file(filename: str) -> str:
    """Return `cell 12` for the code of a notebook's cell, else the file's name without its folders."""
    # Where a notebook runs, IPython is there to ask; elsewhere it is not worth an import.
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_ipython() if get_ipython is not None else None
    number = getattr(getattr(shell, "compile", None), "_filename_map", {}).get(filename)
    return f"cell {number}" if number is not None else re.split(r"[\\/]", filename)[-1]
