"""A guard for what nbval 0.11 lets pass.

nbval looks only at the outputs that a kernel publishes. A cell whose reply says `error` without an error output, a cell
that never replies, and a cell tagged `raises-exception` that did not raise all count as passed there. Here they fail.
It also runs cells with their history stored, as JupyterLab does: otherwise a trailing `;` does not hide a result.
"""

from __future__ import annotations

from typing import Any

import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell

# A guard that patches a library has to know the library: see CONTRIBUTING.md before you raise this version.
WRITTEN_FOR = "0.11.0"

_replies: dict[int, dict[str, Any]] = {}


def _await_reply(self: RunningKernel, msg_id: str, timeout: float | None = None) -> None:
    """Wait for the reply to `msg_id` and keep it; raises `queue.Empty` at the timeout."""
    _replies.pop(id(self), None)
    while True:
        message = self.get_message(stream="shell", timeout=timeout)
        if message["parent_header"].get("msg_id") == msg_id:
            _replies[id(self)] = message["content"]
            return


def _execute_cell_input(self: RunningKernel, cell_input: str, allow_stdin: bool | None = None) -> str:
    identifier: str = self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)
    return identifier


def complaint(reply: dict[str, Any] | None, *, should_raise: bool) -> str:
    """Say what is wrong with a cell that nbval would let pass, or return an empty string."""
    if reply is None:
        return "the kernel never replied: the cell hangs"
    raised = reply.get("status") == "error"
    if should_raise and not raised:
        return "the cell is tagged raises-exception and did not raise"
    if raised and not should_raise:
        return f"the cell raised {reply.get('ename')}: {reply.get('evalue')}, and published no error output"
    return ""


_runtest = IPyNbCell.runtest


def _guarded_runtest(self: IPyNbCell) -> None:
    _runtest(self)
    wrong = complaint(_replies.get(id(self.parent.kernel)), should_raise=bool(self.options["check_exception"]))
    if wrong:
        self.raise_cell_error(wrong)


def pytest_configure(config: pytest.Config) -> None:
    """Put the guard in place when nbval is going to run."""
    if getattr(config.option, "nbval", False) or getattr(config.option, "nbval_lax", False):
        RunningKernel.await_reply = _await_reply
        RunningKernel.execute_cell_input = _execute_cell_input
        IPyNbCell.runtest = _guarded_runtest
