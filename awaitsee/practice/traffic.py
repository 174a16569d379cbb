"""How the practice server behaves as a busy place: time, capacity, rate limits, faults, and the journal of it all.

What is billed: the tokens of the request once it has a slot; those of a stream as they are written; those of an answer
that is not streamed when it is complete, so nothing if the client leaves before. A refusal (a wrong request, a rate
limit, a fault with a status), a hang and a connection that drops before the first byte cost nothing.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from time import perf_counter
from typing import Any

from ..journal import RUN_HEADER, TASK_HEADER
from .settings import Fault, FaultKind, Settings
from .wire import Limit

BURST_SECONDS = 1.0
"""How much may come at once under a rate limit: one second's worth of it, and at least one request.

Providers enforce a limit per minute over much shorter spans too; this makes it visible without a minute of waiting.
"""
SLOW_TAIL_FACTOR = 10
"""How many times slower than the first half a slow tail is, where the server has a speed."""
SLOW_TAIL_TOKENS_PER_SECOND = 5.0
"""The speed of a slow tail where it has none."""
JOURNAL_SIZE = 100_000
"""Older requests are forgotten beyond this many; the bill still holds them."""


@dataclass(slots=True)
class Entry:
    """One request in the journal, as it goes on. Times are seconds on the server's `time.perf_counter()`."""

    number: int
    path: str
    arrived: float
    run: str
    task: str
    model: str = ""
    started: float | None = None
    first_byte: float | None = None
    finished: float | None = None
    status: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    aborted: bool = False
    fault: str = ""

    def record(self) -> dict[str, Any]:
        """Return it as JSON can hold it, with the fields of `awaitsee.journal.Request`."""
        return {name: getattr(self, name) for name in _ENTRY_FIELDS}


_ENTRY_FIELDS = tuple(known.name for known in fields(Entry))


@dataclass(slots=True)
class Ledger:
    """Running totals of what was billed."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def record(self) -> dict[str, int]:
        return {"requests": self.requests, "input_tokens": self.input_tokens, "output_tokens": self.output_tokens}


@dataclass(slots=True)
class Journal:
    """What happened since the last reset. A request stays with the journal that it arrived in."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=JOURNAL_SIZE))
    ledger: Ledger = field(default_factory=Ledger)
    in_flight: int = 0
    peak: int = 0


@dataclass(slots=True)
class Visit:
    """One request on its way through the server."""

    entry: Entry
    journal: Journal
    number: int
    """Order of arrival since the server started, from 1; no reset begins it anew."""
    planned: Fault | None
    ledgers: tuple[Ledger, ...]
    complete: float
    """When all of it was here, body included."""
    in_flight: bool = False
    has_slot: bool = False
    done: bool = False
    """Everything that was to be sent has been sent."""

    def seconds_until(self, when: float) -> float:
        """Return the seconds until `when` seconds after it got its slot; negative when that is past."""
        return (self.entry.started or 0.0) + when - perf_counter()

    async def until(self, when: float) -> None:
        """Wait until `when` seconds after it got its slot, however long the work up to here took."""
        if (seconds := self.seconds_until(when)) > 0:
            await asyncio.sleep(seconds)

    def bill(self, *, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Count tokens that were read or written."""
        accounts: tuple[Entry | Ledger, ...] = (self.entry, *self.ledgers)
        for account in accounts:
            account.input_tokens += input_tokens
            account.output_tokens += output_tokens


@dataclass(frozen=True, slots=True)
class Fate:
    """What the server will do with a request once it has a slot."""

    fault: Fault | None
    latency: float
    """Seconds to the first token."""
    tokens_per_second: float | None

    @property
    def cut(self) -> FaultKind | None:
        """`drop_midstream` or `truncate` where the answer ends half-way."""
        kind = self.fault.kind if self.fault is not None else None
        return kind if kind in ("drop_midstream", "truncate") else None

    def token_time(self, tokens: int, total: int) -> float:
        """Return how many seconds after the first token `tokens` of `total` are written."""
        per_token = 1 / self.tokens_per_second if self.tokens_per_second else 0.0
        half = total // 2
        if self.fault is None or self.fault.kind != "slow_tail" or tokens <= half:
            return tokens * per_token
        slow = per_token * SLOW_TAIL_FACTOR or 1 / SLOW_TAIL_TOKENS_PER_SECOND
        return half * per_token + self.fault.after + (tokens - half) * slow


class Slots:
    """A number of slots, given out in order of arrival; the number may change at any time."""

    def __init__(self, capacity: int | None) -> None:
        self._capacity = capacity
        self._taken = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    def resize(self, capacity: int | None) -> None:
        """Change the number; nobody who holds a slot loses it."""
        self._capacity = capacity
        self._hand_out()

    async def take(self) -> bool:
        """Wait for a slot, behind everybody who waits already; return whether there was a wait."""
        if self._free() and not self._queue:
            self._taken += 1
            return False
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # the slot may have come in the same turn of the loop as the cancellation
            if waiter.done() and not waiter.cancelled():
                self.give_back()
            raise
        return True

    def give_back(self) -> None:
        """Return a slot, which goes to the first in the queue."""
        self._taken -= 1
        self._hand_out()

    def _free(self) -> bool:
        return self._capacity is None or self._taken < self._capacity

    def _hand_out(self) -> None:
        while self._queue and self._free():
            waiter = self._queue.popleft()
            if not waiter.done():
                self._taken += 1
                waiter.set_result(None)


class Bucket:
    """A token bucket that refills all the time.

    What costs more than the whole bucket gets in when it is full, and leaves it in debt.
    """

    def __init__(self, unit: str, per_minute: float) -> None:
        self.unit = unit
        self.per_minute = per_minute
        self._rate = per_minute / 60
        self._size = max(1.0, self._rate * BURST_SECONDS)
        self._level = self._size
        self._at = perf_counter()

    def wait(self, cost: float, now: float) -> float:
        """Return the seconds until `cost` would get in: 0 when it would now."""
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now
        missing = min(cost, self._size) - self._level
        # who waited as long as told must not fail by the last bit of a sum of floats
        return missing / self._rate if missing > 1e-6 else 0.0

    def take(self, cost: float) -> None:
        """Take `cost` out, after `wait` said 0."""
        self._level -= cost

    def limit(self) -> Limit:
        """Return how things stand."""
        remaining = max(0, math.floor(self._level + 1e-6))
        return Limit(self.unit, round(self.per_minute), remaining, (self._size - self._level) / self._rate)


class RateLimited(Exception):
    """A request came too early for a rate limit."""

    def __init__(self, limit: Limit, wait: float) -> None:
        super().__init__(f"{limit.per_minute} {limit.unit} per minute: wait {wait:.3g} s")
        self.limit = limit
        self.wait = wait
        """Seconds until it would get in."""


class Traffic:
    """The one place that decides what happens to a request and when, and that writes it down."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.journal = Journal()
        self.lifetime = Ledger()
        self._arrivals = 0
        self._slots = Slots(None)
        self._rewind()

    def configure(self, changes: Mapping[str, Any], *, whole: bool = False) -> None:
        """Change settings at once, also for requests that wait in the queue.

        With `whole`, everything that is not mentioned goes back to its default. A new list of faults and a new seed
        begin from the start; a new rate limit begins with a full bucket.

        Raises:
            ValueError: A setting is unknown or makes no sense; nothing was changed then.
        """
        self.settings = (Settings() if whole else self.settings).changed(changes)
        self._slots.resize(self.settings.capacity)
        if whole or changes.keys() & {"faults", "seed"}:
            self._rewind_faults()
        if whole or changes.keys() & {"requests_per_minute", "tokens_per_minute"}:
            self._fill_buckets()

    def reset(self) -> None:
        """Begin the experiment again: journal, peak, bill, plan of faults, random draws and buckets. Settings stay."""
        self.journal = Journal()
        self._rewind()

    def arrive(self, path: str, headers: Mapping[str, str]) -> Visit:
        """Write down a request that just came in, and give it the plan's next fault."""
        entry = Entry(
            number=self.journal.ledger.requests + 1,
            path=path,
            arrived=perf_counter(),
            run=headers.get(RUN_HEADER, ""),
            task=headers.get(TASK_HEADER, ""),
        )
        self.journal.entries.append(entry)
        self._arrivals += 1
        ledgers = (self.journal.ledger, self.lifetime)
        for ledger in ledgers:
            ledger.requests += 1
        return Visit(entry, self.journal, self._arrivals, next(self._plan, None), ledgers, entry.arrived)

    def fate(self, visit: Visit, text: str, delay: float) -> Fate:
        """Decide what will happen to a request with this text: its fault, and its latency plus `delay`."""
        settings, path = self.settings, visit.entry.path
        latency = settings.latency_of(path)
        chance = None
        if settings.jitter or any(rule.probability is not None for _, rule in self._rules):
            # drawn from what was asked and how often, so that the order of arrival, which is a race, changes nothing
            asked = f"{path}\n{text}"
            self._asked[asked] += 1
            chance = random.Random(f"{settings.seed}/{self._asked[asked]}/{asked}")
            latency *= math.exp(settings.jitter * chance.gauss(0, 1))
        fault = visit.planned or self._rule_for(path, text.lower(), chance)
        if fault is not None and fault.kind == "ok":
            fault = None
        if fault is not None:
            visit.entry.fault = str(fault.kind)
            if fault.kind == "slow":
                latency, fault = latency + fault.after, None
        return Fate(fault, latency + delay, settings.tokens_per_second)

    def admit(self, tokens: int) -> None:
        """Count a request against the rate limits.

        Raises:
            RateLimited: It must come back later; nothing was counted then.
        """
        if not self._buckets:
            return
        now = perf_counter()
        costs = [(bucket, 1 if bucket.unit == "requests" else tokens) for bucket in self._buckets]
        waits = [(bucket.wait(cost, now), bucket) for bucket, cost in costs]
        longest, bucket = max(waits, key=lambda found: found[0])
        if longest > 0:
            raise RateLimited(bucket.limit(), longest)
        for bucket, cost in costs:
            bucket.take(cost)

    def limits(self) -> list[Limit]:
        """Return the rate limits as they stand."""
        return [bucket.limit() for bucket in self._buckets]

    async def enter(self, visit: Visit, *, metered: bool) -> None:
        """Wait for a slot if the request needs one; from here on it counts as in flight."""
        journal = visit.journal
        journal.in_flight += 1
        journal.peak = max(journal.peak, journal.in_flight)
        visit.in_flight = True
        waited = False
        if metered:
            waited = await self._slots.take()
            visit.has_slot = True
        # the time that it took to work out the answer is no part of the latency
        visit.entry.started = perf_counter() if waited else visit.complete

    def leave(self, visit: Visit) -> None:
        """Close the request's entry and free what it held; a second call does nothing."""
        if visit.entry.finished is None:
            visit.entry.finished = perf_counter()
        if visit.in_flight:
            visit.in_flight = False
            visit.journal.in_flight -= 1
        if visit.has_slot:
            visit.has_slot = False
            self._slots.give_back()

    def _rewind(self) -> None:
        self._rewind_faults()
        self._fill_buckets()

    def _rewind_faults(self) -> None:
        faults = self.settings.faults
        self._plan = _one_by_one(fault for fault in faults if fault.planned)
        self._rules = [(index, fault) for index, fault in enumerate(faults) if not fault.planned]
        self._hits: Counter[int] = Counter()
        self._asked: Counter[str] = Counter()

    def _fill_buckets(self) -> None:
        rates = {"requests": self.settings.requests_per_minute, "tokens": self.settings.tokens_per_minute}
        self._buckets = [Bucket(unit, rate) for unit, rate in rates.items() if rate is not None]

    def _rule_for(self, path: str, text: str, chance: random.Random | None) -> Fault | None:
        for index, rule in self._rules:
            drawn = chance.random() if chance is not None and rule.probability is not None else 0.0
            if rule.times is not None and self._hits[index] >= rule.times:
                continue
            if rule.fits(path, text) and (rule.probability is None or drawn < rule.probability):
                self._hits[index] += 1
                return rule
        return None


def retry_headers(seconds: float) -> dict[str, str]:
    """Return the headers that say when to come back: exact in milliseconds, and rounded up to whole seconds."""
    return {"retry-after": str(math.ceil(seconds)), "retry-after-ms": str(math.ceil(seconds * 1000))}


def _one_by_one(faults: Iterable[Fault]) -> Iterator[Fault]:
    for fault in list(faults):
        for _ in range(fault.times or 1):
            yield fault
