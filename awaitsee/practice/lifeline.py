"""What a server in a child process does to live exactly as long as its parent. `child` is the parent's side."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

PARENT_CHECK = 1.0
"""Seconds between two looks at whether the parent still lives."""


def live_with_parent() -> None:
    """End this process when its standard input closes or, on POSIX, its parent is gone, and not before.

    A notebook's stop button signals the whole process group; it is not meant for a server. There is nothing to save at
    the end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def read_to_the_end() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    def look_at_parent(parent: int) -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK)
        os._exit(0)

    threading.Thread(target=read_to_the_end, daemon=True).start()
    if os.name == "posix":
        # a fork of the parent may hold the other end of the pipe open for longer than the parent lives
        threading.Thread(target=look_at_parent, args=(os.getppid(),), daemon=True).start()
