"""`%load_ext awaitsee`: make a Jupyter kernel fit for teaching async.

How ipykernel 7 and IPython 9 run a cell, as far as it matters here. One asyncio loop turns in the main thread. A cell
without `await` runs inside the step that handles its message, with Python's own SIGINT handler: the stop button
raises KeyboardInterrupt in it, and all is well. A cell with `await` becomes a task of its own
(`shell.run_cell_async`), and for as long as it lives `IPythonKernel._cancel_on_sigint` handles SIGINT: it puts a
callback on the loop which cancels the task. These things go wrong with cells of the second kind:

- **The reply** (`repair_reply`). It is made from two notes on the shell: the last traceback, and whether displaying
  the result failed. A cell without `await` clears them first, the other kind does not. So the first failure of a
  kernel can end without a reply, because there is no such attribute, and the cell stays `[*]` for ever; and once a
  result could not be displayed, every following cell with `await` counts as failed.
- **Exception groups** (`repair_groups`). `InteractiveShell.showtraceback` cannot draw them and prints Python's
  traceback to stderr. There is no `error` message then, and whatever looks for one (nbval, a saved notebook) sees a
  success.
- **A cancellation that nobody received** (`repair_end`). A task that is cancelled after its last `await` ends as
  cancelled, though its coroutine returned: the result is lost, and the reply with it. TaskGroup does this on Python
  3.13.
- **Garbage while a cell is parsed** (`repair_parse`, Python 3.11). If the collector runs in that moment and throws away
  a failed task, asyncio's complaint about it parses code too, and Python takes that for an error of its own:
  `SystemError: AST constructor recursion depth mismatch` (CPython issue 106905). It passes ipykernel by, so the cell is
  never answered and stays `[*]`.
- **Pauses of the collector** (`repair_pauses`). Python's garbage collector now and then looks through everything that
  the imported libraries hold, hundred thousands of objects. It takes a few tenths of a second, and whoever happens to
  run then stands in the figure as having held the loop. What was there when a cell with large imports ended is not
  looked at again.
- **Cells behind a failed one** (`repair_queue`). Run All sends every cell at once, and a failure sets those aside that
  have arrived by then. ipykernel 7 sets nothing aside that is still on its way, though its option
  `stop_on_error_timeout` promises so: on a busy machine the cells behind a failed one run on, without what it was to
  make.
- **The stop button while the cell waits** (`repair_stop`). The handler uses `call_soon`, which does not wake a loop
  that sleeps in `select`: the cancellation is delivered when something else wakes it.
- **The stop button while the cell holds the loop** (`repair_stop`). The handler raises nothing, and the loop does not
  get to the callback.

Each repair is made only where it is needed, as far as that can be seen, and taken back by `%unload_ext awaitsee`.
Where there is no kernel (IPython in a terminal) nothing is done. On Windows the stop button reaches the same handler
by way of `interrupt_main`; it wakes a waiting cell, and breaks into a held loop at the next bytecode, so not into a
`time.sleep`. A cell in a subshell, which is another thread, cannot be stopped, with the extension or without.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import io
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from awaitsee import magic
from awaitsee.interrupt import Stopped, Stopper
from awaitsee.tracebacks import format_error, format_place, has_group

if TYPE_CHECKING:
    from ipykernel.zmqshell import ZMQInteractiveShell as Shell
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

Undo = Callable[[], None]

_MANY_MODULES = 200
"""A library that is large enough for the collector to need a while for it brings more modules than this."""

_ON_THE_WAY = 0.3
"""Seconds that a cell of the same Run All may take to arrive. A reader needs longer to see that a cell failed."""

_loaded: weakref.WeakKeyDictionary[InteractiveShell, list[Undo]] = weakref.WeakKeyDictionary()


def load(shell: InteractiveShell) -> None:
    """Make the repairs that the kernel of `shell` needs. A second call changes nothing."""
    if shell in _loaded or getattr(shell, "kernel", None) is None:
        return
    _loaded[shell] = undo = [magic.register(shell)]
    for needed, repair in _REPAIRS:
        if needed(cast("Shell", shell)):
            undo.append(repair(cast("Shell", shell)))


def unload(shell: InteractiveShell) -> None:
    """Take back what `load` did. Without it, this changes nothing."""
    for undo in reversed(_loaded.pop(shell, [])):
        undo()


def needs_reply(shell: Shell) -> bool:
    """Tell whether a cell with `await` is answered from the notes of an earlier one."""
    from IPython.core.interactiveshell import InteractiveShell

    kind = type(shell)
    return kind.run_cell is not InteractiveShell.run_cell and kind.run_cell_async is InteractiveShell.run_cell_async


def repair_reply(shell: Shell) -> Undo:
    """Clear the notes that the reply is made from before every cell."""

    def forget() -> None:
        shell._last_traceback = None
        shell._last_traceback_during_displayhook = False

    return _register(shell, "pre_execute", forget)


def needs_groups(shell: Shell) -> bool:
    """Tell whether an exception group would be printed instead of sent as an error. Tries it, without being seen."""
    group = ExceptionGroup("probe", [ValueError("probe")])
    sent: list[object] = []

    class Probe:
        call_pdb = False

        def __getattr__(self, name: str) -> Any:
            return getattr(shell, name)

        def _get_exc_info(self, exc_tuple: Any = None) -> Any:
            return type(group), group, None

        def _showtraceback(self, *args: object) -> None:
            sent.append(args)

    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(AttributeError):
        type(shell).showtraceback(Probe())  # type: ignore[arg-type]
    return not sent


def repair_groups(shell: Shell) -> Undo:
    """Send exception groups as errors. `%tb`, `%debug` and `sys.last_exc` work as they do for other exceptions."""
    # set_custom_exc would not do: it is one slot, which may be taken, and it does not see an exception whose cause or
    # context is a group, nor %tb.
    plain = shell.showtraceback

    def showtraceback(exc_tuple: Any = None, *args: Any, **options: Any) -> None:
        error = exc_tuple[1] if exc_tuple else sys.exc_info()[1] or getattr(sys, "last_value", None)
        if not _mentions_group(error) or isinstance(error, SyntaxError) or options.get("exception_only"):
            plain(exc_tuple, *args, **options)
            return
        kind, error, trace = _remember_error(shell, exc_tuple)
        if hasattr(error, "_render_traceback_"):
            lines = error._render_traceback_()
        elif has_group(error):
            lines = format_error(shell, error, trace)
        else:
            lines = shell.InteractiveTB.structured_traceback(kind, error, trace, tb_offset=options.get("tb_offset"))
        _send_error(shell, error, lines)
        if shell.call_pdb:
            shell.debugger(force=True)  # type: ignore[no-untyped-call]

    return _replace(shell, "showtraceback", showtraceback)


def _mentions_group(error: BaseException | None) -> bool:
    """Tell whether IPython would print `error` to stderr: it follows the context even where `from None` hides it."""
    while error is not None and not isinstance(error, BaseExceptionGroup):
        error = error.__context__
    return error is not None


def needs_end(shell: Shell) -> bool:
    """Tell whether the kernel makes a task of what the repair replaces."""
    return hasattr(shell, "run_cell_async")


def repair_end(shell: Shell) -> Undo:
    """Deliver a cancellation that came after the last `await` of a cell, so that the cell ends with a result."""
    plain = shell.run_cell_async

    # ipykernel reads the signature to know what it may pass.
    @functools.wraps(plain)
    async def run_cell_async(*args: Any, **options: Any) -> ExecutionResult:
        result = await plain(*args, **options)
        task = asyncio.current_task()
        # A cell without `await` gets here too, in the kernel's task, and must not wait.
        own_task = task is not None and getattr(task.get_coro(), "cr_frame", None) is sys._getframe()
        if task is not None and own_task and getattr(task, "_must_cancel", False):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError as error:
                # Before 3.13, `asyncio.timeout` may leave a cancellation behind that it has already taken back.
                if result.success and task.cancelling():
                    error.args = error.args or ("this cell's task was cancelled after its last await",)
                    result.error_in_exec = error
                    _send_error(shell, error, format_place(shell, [], f"CancelledError: {error}"))
        return result

    return _replace(shell, "run_cell_async", run_cell_async)


def needs_parse(shell: Shell) -> bool:
    """Tell whether this Python gets confused when code is parsed while code is parsed."""
    return sys.version_info < (3, 12)


def repair_parse(shell: Shell) -> Undo:
    """Collect no garbage while a cell is parsed."""
    plain = shell.compile.ast_parse

    @functools.wraps(plain)
    def ast_parse(*args: Any, **options: Any) -> Any:
        enabled = gc.isenabled()
        gc.disable()
        try:
            return plain(*args, **options)
        finally:
            if enabled:
                gc.enable()

    return _replace(shell.compile, "ast_parse", ast_parse)


def needs_pauses(shell: Shell) -> bool:
    """Tell whether nobody has told the collector yet what not to look at."""
    return not gc.get_freeze_count()


def repair_pauses(shell: Shell) -> Undo:
    """Tell the collector, after each cell that imported a lot, to pass over what there is."""
    known = len(sys.modules)

    def freeze() -> None:
        nonlocal known
        if len(sys.modules) > known + _MANY_MODULES:
            known = len(sys.modules)
            gc.freeze()

    unregister = _register(shell, "post_execute", freeze)

    def undo() -> None:
        unregister()
        gc.unfreeze()

    return undo


def needs_queue(shell: Shell) -> bool:
    """Tell whether the kernel ends the setting aside by a message of its own, which it posts at once."""
    kernel = shell.kernel
    return hasattr(kernel, "_post_dummy_stop_aborting_message") and bool(getattr(kernel, "shell_channel_thread", None))


def repair_queue(shell: Shell) -> Undo:
    """After a failure, set aside what arrives within the time that a message may be on its way."""
    kernel = shell.kernel
    plain = kernel._post_dummy_stop_aborting_message

    # It is called in the thread that receives, and so is what it puts off.
    def post_later(subshell: str | None) -> None:
        kernel.shell_channel_thread.io_loop.call_later(_ON_THE_WAY, plain, subshell)

    return _replace(kernel, "_post_dummy_stop_aborting_message", post_later)


def needs_stop(shell: Shell) -> bool:
    """Tell whether the kernel has the method that the repair replaces."""
    # Whether upstream has mended the button cannot be seen from inside a running cell; the tests see it.
    return hasattr(shell.kernel, "_cancel_on_sigint")


def repair_stop(shell: Shell) -> Undo:
    """Let the stop button end a cell that waits and a cell that holds the loop, with a short message."""
    button = _StopButton(shell)
    undo = contextlib.ExitStack()
    undo.callback(_replace(shell.kernel, "_cancel_on_sigint", button.stop_on_sigint))
    undo.callback(_replace(shell, "showtraceback", button.showtraceback))
    undo.callback(_register(shell, "post_run_cell", button.post_run_cell))
    return undo.close


class _StopButton:
    """What SIGINT does to the running `await` cell, and what the reader of the notebook sees of it."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._plain_showtraceback = shell.showtraceback
        self._stopper: Stopper | None = None
        self._shown: KeyboardInterrupt | None = None

    @contextlib.contextmanager
    def stop_on_sigint(self, cell: asyncio.Task[Any]) -> Iterator[None]:
        """Stand in for `IPythonKernel._cancel_on_sigint`, entered for the life of a cell's task."""
        self._shown = None
        try:
            with Stopper(cell, on_sigint=True, on_failure=_advise_restart) as self._stopper:
                yield
        finally:
            self._stopper = None

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **options: Any) -> None:
        """Show the end of a stopped cell in a few lines, and everything else as before."""
        stopper = self._stopper
        error = exc_tuple[1] if exc_tuple else sys.exc_info()[1]
        if stopper is None or not stopper.calls or not _came_from_stopping(error):
            self._plain_showtraceback(exc_tuple, *args, **options)
            return
        _, error, _ = _remember_error(self._shell, exc_tuple)
        if stopper.held_at is None:
            self._shown = KeyboardInterrupt("stopped while this line waited")
            stack = traceback.extract_tb(_first_leaf(error).__traceback__)
        else:
            self._shown = KeyboardInterrupt("stopped while this line held the event loop")
            stack = stopper.held_at
        lines = format_place(self._shell, stack, f"KeyboardInterrupt: {self._shown}")
        _send_error(self._shell, self._shown, lines)

    def post_run_cell(self, result: ExecutionResult | None) -> None:
        """Make the reply to the cell say what the error message said."""
        if self._shown is not None and result is not None:
            result.error_in_exec = self._shown
        self._shown = None


def _came_from_stopping(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_came_from_stopping(part) for part in error.exceptions)
    return isinstance(error, Stopped | asyncio.CancelledError)


def _first_leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _advise_restart() -> None:
    print("This cell does not react to being stopped. To end it, restart the kernel.", file=sys.stderr, flush=True)


def _remember_error(shell: Shell, exc_tuple: Any) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """Return the error to show, after setting `sys.last_value` and its like, from which `%tb` and `%debug` work."""
    remembered: tuple[type[BaseException], BaseException, TracebackType | None]
    remembered = shell._get_exc_info(exc_tuple)  # type: ignore[no-untyped-call]
    return remembered


def _send_error(shell: Shell, error: BaseException, lines: list[str]) -> None:
    shell._showtraceback(type(error), error, lines)  # type: ignore[no-untyped-call]


def _register(shell: Shell, event: str, callback: Callable[..., None]) -> Undo:
    shell.events.register(event, callback)
    return functools.partial(shell.events.unregister, event, callback)


def _replace(owner: object, name: str, value: object) -> Undo:
    """Set an attribute of this one object. The returned function takes it back, unless somebody replaced it since."""
    attributes = vars(owner)
    had, before = name in attributes, attributes.get(name)
    setattr(owner, name, value)

    def undo() -> None:
        if attributes.get(name) is not value:
            return
        if had:
            setattr(owner, name, before)
        else:
            delattr(owner, name)

    return undo


_REPAIRS: list[tuple[Callable[[Shell], bool], Callable[[Shell], Undo]]] = [
    (needs_reply, repair_reply),
    (needs_groups, repair_groups),
    (needs_end, repair_end),
    (needs_parse, repair_parse),
    (needs_pauses, repair_pauses),
    (needs_queue, repair_queue),
    (needs_stop, repair_stop),
]
