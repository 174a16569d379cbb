"""What can be set on the practice server: how it behaves, and what goes wrong on purpose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

FaultKind = Literal[
    400, 401, 404, 429, 500, 503, 529, "quota", "hang", "drop", "drop_midstream", "truncate", "slow", "slow_tail", "ok"
]
FAULT_KINDS: tuple[int | str, ...] = get_args(FaultKind)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong on purpose.

    `kind` is a status (400, 401, 404, 429, 500, 503, 529), `"quota"` (the account's quota or credit is used up, so that
    no retry helps: 429 from OpenAI and Ollama, 400 from Anthropic, 402 elsewhere), `"hang"` (no answer, ever),
    `"drop"` (the connection breaks before the first byte), `"drop_midstream"` (it breaks half-way through the answer),
    `"truncate"` (the answer ends half-way as if it were complete), `"slow"` (the answer comes `after` seconds later
    than others), `"slow_tail"` (its second half comes slowly), or `"ok"` (nothing goes wrong).

    With neither `when` nor `probability` it belongs to the plan: the plan's faults hit the next requests in order of
    arrival, each the next `times` requests (default 1); `"ok"` lets requests through in between. With `when` it hits
    every request whose text contains it, upper or lower case; a `when` that starts with `/` is compared with the start
    of the path instead. With `probability` it hits that share of the requests; which ones depends on the server's seed
    and on their text, not on the order of arrival. Both together mean both, and `times` limits how many are hit. The
    plan goes before the rest; among the rest the first that fits wins.

    `after` is the time in seconds between getting a slot and the fault; for the faults half-way, the extra pause at
    that point. `retry_after`, in seconds, is what a 429, 503 or 529 tells the client.

    Raises:
        ValueError: A field makes no sense; the message says which.
    """

    kind: FaultKind
    after: float = field(default=0.0, kw_only=True)
    when: str | None = field(default=None, kw_only=True)
    probability: float | None = field(default=None, kw_only=True)
    times: int | None = field(default=None, kw_only=True)
    retry_after: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.kind, bool) or self.kind not in FAULT_KINDS:
            kinds = ", ".join(repr(kind) for kind in FAULT_KINDS)
            raise ValueError(f"A fault cannot be of kind {self.kind!r}: use one of {kinds}.")
        _seconds("a fault's after", self.after)
        _seconds("a fault's retry_after", self.retry_after)
        if self.when is not None and (not isinstance(self.when, str) or not self.when):
            raise ValueError(f"A fault's when must be the text to look for, not {self.when!r}.")
        if self.probability is not None and not (_is_number(self.probability) and 0 <= self.probability <= 1):
            raise ValueError(f"A fault's probability must lie between 0 and 1, not {self.probability!r}.")
        if self.times is not None and not (_is_integer(self.times) and self.times >= 1):
            raise ValueError(f"A fault's times must be a whole number from 1 on, not {self.times!r}.")

    @property
    def planned(self) -> bool:
        """Whether it waits for its turn in the plan."""
        return self.when is None and self.probability is None

    def fits(self, path: str, text: str) -> bool:
        """Tell whether `when` allows it to hit this request; `text` is in lower case."""
        if self.when is None:
            return True
        if self.when.startswith("/"):
            return path.startswith(self.when)
        return self.when.lower() in text


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured.

    Capacity and the two rate limits hold for the model's routes (chat, embeddings, models); search, weather, handbook
    and pages have latency, jitter and faults only.
    """

    latency: float | Mapping[str, float] = 0.0
    """Seconds from getting a slot to the first token; or seconds by start of the path, where the longest that fits wins
    and a path without any gets 0. An answer that is not streamed comes after latency + tokens / tokens_per_second."""
    jitter: float = 0.0
    """Sigma of the lognormal factor on the latency, whose median stays what it is; 0 means exact."""
    tokens_per_second: float | None = None
    """Speed of the answers; `None` means all at once."""
    capacity: int | None = None
    """How many requests are worked on at once, the others queue in order of arrival; `None` means any number."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Counts the tokens of request and answer when the request comes in."""
    faults: tuple[Fault, ...] = ()
    seed: int = 0

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """Return these settings with some of them replaced.

        Faults may be given as dictionaries.

        Raises:
            ValueError: A setting is unknown or makes no sense; the message says which and what to give.
        """
        names = [known.name for known in fields(self)]
        for name in changes:
            if name not in names:
                raise ValueError(f"There is no setting {name!r}: use {', '.join(names)}.")
        checked = {name: _CHECKS[name](name, value) for name, value in changes.items()}
        return replace(self, **checked)

    def latency_of(self, path: str) -> float:
        """Return the seconds to the first token for a path, without jitter."""
        if not isinstance(self.latency, Mapping):
            return self.latency
        fitting = [prefix for prefix in self.latency if path.startswith(prefix)]
        return self.latency[max(fitting, key=len)] if fitting else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        return asdict(self)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _seconds(name: str, value: object) -> float:
    if not isinstance(value, int | float) or not _is_number(value) or value < 0:
        raise ValueError(f"{_capital(name)} must be a number of seconds from 0 on, not {value!r}.")
    return float(value)


def _capital(name: str) -> str:
    return name[0].upper() + name[1:] if " " in name else name


def _latency(name: str, value: object) -> float | dict[str, float]:
    if not isinstance(value, Mapping):
        return _seconds(name, value)
    for prefix in value:
        if not isinstance(prefix, str) or not prefix.startswith("/"):
            raise ValueError(f"{name} takes paths such as '/v1' or '/search' as keys, not {prefix!r}.")
    return {prefix: _seconds(f"{name}[{prefix!r}]", seconds) for prefix, seconds in value.items()}


def _rate(name: str, value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not _is_number(value) or value <= 0:
        raise ValueError(f"{name} must be a number above 0, or None for no limit, not {value!r}.")
    return float(value)


def _capacity(name: str, value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or not _is_integer(value) or value < 1:
        raise ValueError(f"{name} must be a whole number from 1 on, or None for no limit, not {value!r}.")
    return value


def _faults(name: str, value: object) -> tuple[Fault, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} must be a list such as [Fault(500)], not {value!r}.")
    return tuple(_fault(entry) for entry in value)


def _fault(value: object) -> Fault:
    if isinstance(value, Fault):
        return value
    if isinstance(value, Mapping) and "kind" in value:
        unknown = set(value) - {known.name for known in fields(Fault)}
        if not unknown:
            return Fault(**value)
    raise ValueError(f"faults takes Fault objects such as Fault(500, when='deadlock'), not {value!r}.")


def _seed(name: str, value: object) -> int:
    if not isinstance(value, int) or not _is_integer(value):
        raise ValueError(f"{name} must be a whole number, not {value!r}.")
    return value


_CHECKS: dict[str, Any] = {
    "latency": _latency,
    "jitter": lambda name, value: _seconds(name, value),
    "tokens_per_second": _rate,
    "capacity": _capacity,
    "requests_per_minute": _rate,
    "tokens_per_minute": _rate,
    "faults": _faults,
    "seed": _seed,
}
