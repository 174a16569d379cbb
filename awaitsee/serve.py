"""`awaitsee serve`: the practice server for a program of your own, in a terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

LOOK = 0.2
"""Seconds between two looks at whether the server still lives."""


def serve(**settings: Any) -> Iterator[str]:
    """Run the practice server with the settings of `practice_server` until Ctrl-C; yield what to tell.

    Raises:
        ValueError: A setting makes no sense.
        PracticeServerError: The server could not be started, or it died.
    """
    from awaitsee.practice.handle import PracticeServer, PracticeServerError, practice_server

    os.environ.pop("AWAITSEE_PROVIDER", None)
    server = practice_server(**settings)
    assert isinstance(server, PracticeServer)
    try:
        yield "For your program, in its own terminal:"
        form = '  $env:{} = "{}"' if os.name == "nt" else "  export {}={}"
        yield from (form.format(name, value) for name, value in server.variables.items())
        yield "Ctrl-C ends the server and says what was asked of it."
        while server.running:
            time.sleep(LOOK)
        raise PracticeServerError("The practice server has died: start it again.")
    except KeyboardInterrupt:
        yield f"\n{server.bill()}, at most {server.peak} in flight."
    finally:
        server.close()
