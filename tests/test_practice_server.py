"""The practice server's traffic: time, slots, limits, faults and the journal, seen through plain HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from awaitsee.journal import RUN_HEADER, TASK_HEADER, Request
from awaitsee.practice import Fault, PracticeServer
from awaitsee.practice.settings import Settings
from awaitsee.practice.traffic import Bucket, Slots, Traffic

if TYPE_CHECKING:  # made before the first test: tests/lazily.py
    import aiohttp

QUESTION = "What is a semaphore?"


def chat(server: PracticeServer, question: str = QUESTION, **more: Any) -> dict[str, Any]:
    return {"model": server.model, "messages": [{"role": "user", "content": question}], **more}


class Client:
    """Posts chat requests and returns status, headers and body."""

    def __init__(self, server: PracticeServer) -> None:
        self.server = server

    async def __aenter__(self) -> Client:
        self.session = aiohttp.ClientSession(
            self.server.url,
            headers={"authorization": "Bearer practice"},
            connector=aiohttp.TCPConnector(limit=0),
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.session.close()

    async def ask(self, question: str = QUESTION, **more: Any) -> tuple[int, Any, bytes]:
        body = chat(self.server, question, **more)
        async with self.session.post("/v1/chat/completions", json=body) as response:
            return response.status, response.headers, await response.read()

    async def get(self, path: str) -> tuple[int, Any, bytes]:
        async with self.session.get(path, allow_redirects=False) as response:
            return response.status, response.headers, await response.read()


def run(server: PracticeServer, body: Any) -> Any:
    async def main() -> Any:
        async with Client(server) as client:
            return await body(client)

    return asyncio.run(main())


def seconds(request: Request) -> float:
    assert request.finished is not None
    return request.finished - request.arrived


def wait_for(server: PracticeServer, condition: Any) -> list[Request]:
    """Return the journal once `condition` holds for it."""
    for _ in range(200):
        journal = server.journal
        if condition(journal):
            return journal
        time.sleep(0.01)
    raise AssertionError(f"the journal stayed {server.journal}")


# --- time


def test_latency_is_the_time_to_the_whole_answer(server: PracticeServer) -> None:
    server.configure(latency=0.2)
    run(server, lambda client: asyncio.gather(*(client.ask() for _ in range(10))))
    assert all(0.199 < seconds(request) < 0.4 for request in server.journal)
    assert server.peak == 10


def test_the_longest_fitting_path_decides_the_latency() -> None:
    settings = Settings().changed({"latency": {"/": 0.5, "/v1": 1, "/v1/embeddings": 0.1}})
    assert settings.latency_of("/v1/embeddings") == 0.1
    assert settings.latency_of("/v1/chat/completions") == 1
    assert settings.latency_of("/search") == 0.5
    assert Settings().changed({"latency": {"/v1": 1}}).latency_of("/search") == 0


def test_a_stream_has_its_first_token_after_the_latency_and_then_its_speed(server: PracticeServer) -> None:
    server.configure(latency=0.1, tokens_per_second=200)
    run(server, lambda client: client.ask(stream=True))
    streamed = server.journal[0]
    run(server, lambda client: client.ask())
    whole = server.journal[1]
    assert streamed.first_byte is not None and whole.first_byte is not None
    expected = 0.1 + streamed.output_tokens / 200
    assert 0.1 <= streamed.first_byte - streamed.arrived < 0.2
    assert expected - 0.005 <= seconds(streamed) < 2 * expected
    assert expected - 0.005 <= whole.first_byte - whole.arrived < 2 * expected


def test_jitter_depends_on_what_is_asked_and_not_on_the_order(server: PracticeServer) -> None:
    def drawn(order: list[str]) -> dict[str, float]:
        traffic = Traffic()
        traffic.configure({"latency": 1.0, "jitter": 0.5, "seed": 7})
        return {text: traffic.fate(traffic.arrive("/v1", {}), text, 0.0).latency for text in order}

    names = [str(number) for number in range(400)]
    there, back = drawn(names), drawn(names[::-1])
    assert there == back
    ordered = sorted(there.values())
    assert 0.8 < ordered[200] < 1.25
    assert ordered[-20] > 1.5


# --- slots


def test_capacity_queues_in_order_of_arrival(server: PracticeServer) -> None:
    server.configure(latency=0.05, capacity=2)

    async def one_after_another(client: Client) -> None:
        tasks = []
        for number in range(8):
            tasks.append(asyncio.create_task(client.ask(f"Question {number}?")))
            await asyncio.sleep(0.005)
        await asyncio.gather(*tasks)

    run(server, one_after_another)
    journal = server.journal
    started = [request.started or 0 for request in journal]
    assert started == sorted(started) and started[0] > 0
    events = sorted([(begun, 1) for begun in started] + [(request.finished or 0, -1) for request in journal])
    working = most = 0
    for _, change in events:
        working += change
        most = max(most, working)
    assert most == 2
    assert server.peak > 2
    assert max(seconds(request) for request in journal) > 2 * 0.05


def test_a_cancelled_waiter_leaves_the_queue() -> None:
    async def main() -> list[int]:
        slots, served = Slots(1), []

        async def visit(number: int) -> None:
            await slots.take()
            served.append(number)
            await asyncio.sleep(0.01)
            slots.give_back()

        tasks = [asyncio.create_task(visit(number)) for number in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(slots.take(), 1)
        return served

    assert asyncio.run(main()) == [0, 2, 3]


def test_a_slot_that_comes_together_with_a_cancellation_is_passed_on() -> None:
    async def main() -> None:
        slots = Slots(1)
        await slots.take()
        waiter = asyncio.create_task(slots.take())
        await asyncio.sleep(0)
        slots.give_back()
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        await asyncio.wait_for(slots.take(), 1)

    asyncio.run(main())


def test_more_capacity_takes_effect_on_those_who_wait(server: PracticeServer) -> None:
    server.configure(latency=0.3, capacity=1)

    async def body(client: Client) -> float:
        began = time.perf_counter()
        tasks = [asyncio.create_task(client.ask()) for _ in range(5)]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(server.configure, capacity=None)
        await asyncio.gather(*tasks)
        return time.perf_counter() - began

    assert run(server, body) < 5 * 0.3 / 2


# --- rate limits


def test_a_bucket_lets_in_exactly_when_it_said() -> None:
    bucket = Bucket("requests", 120)
    now = bucket._at
    for _ in range(2):
        assert bucket.wait(1, now) == 0
        bucket.take(1)
    wait = bucket.wait(1, now)
    assert wait == pytest.approx(0.5)
    assert bucket.wait(1, now + wait * 0.9) > 0
    assert bucket.wait(1, now + wait) == 0


def test_what_is_larger_than_the_bucket_gets_in_when_it_is_full_and_leaves_a_debt() -> None:
    bucket = Bucket("tokens", 600)
    now = bucket._at
    assert bucket.wait(100, now) == 0
    bucket.take(100)
    assert bucket.wait(1, now) == pytest.approx(9.1)
    assert bucket.limit().remaining == 0


def test_429_tells_the_truth_about_when_to_come_back(server: PracticeServer) -> None:
    server.configure(requests_per_minute=240)

    async def body(client: Client) -> tuple[list[int], int, Any]:
        first = [(await client.ask())[0] for _ in range(4)]
        status, headers, content = await client.ask()
        assert status == 429
        assert json.loads(content)["error"]["code"] == "rate_limit_exceeded"
        await asyncio.sleep(int(headers["retry-after-ms"]) / 1000)
        return first, (await client.ask())[0], headers

    first, after, headers = run(server, body)
    assert first == [200] * 4
    assert after == 200
    assert headers["retry-after"] == "1"
    assert 0 < int(headers["retry-after-ms"]) <= 250
    assert headers["x-ratelimit-limit-requests"] == "240"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"].endswith("s")
    refused = [request for request in server.journal if request.status == 429]
    assert [(request.fault, request.input_tokens, request.output_tokens) for request in refused] == [("", 0, 0)]


def test_tokens_per_minute_counts_request_and_answer(server: PracticeServer) -> None:
    run(server, lambda client: client.ask())
    tokens = server.bill().input_tokens + server.bill().output_tokens
    server.configure(tokens_per_minute=60 * 2 * tokens)
    statuses = run(server, lambda client: asyncio.gather(*(client.ask() for _ in range(4))))
    assert sorted(status for status, _, _ in statuses) == [200, 200, 429, 429]
    headers = next(headers for status, headers, _ in statuses if status == 429)
    assert headers["x-ratelimit-limit-tokens"] == str(120 * tokens)


def test_places_know_no_limits(server: PracticeServer) -> None:
    server.configure(requests_per_minute=60, capacity=1)
    answers = run(server, lambda client: asyncio.gather(*(client.get("/search?q=timeout") for _ in range(5))))
    assert [status for status, _, _ in answers] == [200] * 5


# --- faults


def test_a_plan_hits_the_next_requests_in_order(server: PracticeServer) -> None:
    server.configure(faults=[Fault(500), Fault("ok"), Fault(503, times=2)])

    async def body(client: Client) -> list[int]:
        return [(await client.ask())[0] for _ in range(5)]

    assert run(server, body) == [500, 200, 503, 503, 200]
    assert [request.fault for request in server.journal] == ["500", "", "503", "503", ""]
    server.reset()
    assert run(server, body)[0] == 500, "reset begins the plan again"


def test_when_hits_every_request_with_the_text(server: PracticeServer) -> None:
    server.configure(faults=[Fault(400, when="DEADLOCK"), Fault(503, when="/search", times=1)])

    async def body(client: Client) -> list[int]:
        questions = ["What is a deadlock?", "What is a search?", "How do I find a deadlock?"]
        asked = await asyncio.gather(*(client.ask(question) for question in questions))
        searched = [await client.get("/search?q=timeout"), await client.get("/search?q=timeout")]
        return [status for status, _, _ in [*asked, *searched]]

    assert run(server, body) == [400, 200, 400, 503, 200]


def test_probability_hits_its_share_and_the_same_ones_each_time() -> None:
    def hit(order: list[int]) -> set[int]:
        traffic = Traffic()
        traffic.configure({"faults": [Fault(500, probability=0.3)], "seed": 3})
        return {number for number in order if traffic.fate(traffic.arrive("/v1", {}), str(number), 0.0).fault}

    there, back = hit(list(range(1000))), hit(list(range(1000))[::-1])
    assert there == back
    assert 200 < len(there) < 400


def test_after_is_the_time_until_the_fault(server: PracticeServer) -> None:
    server.configure(latency=0.05, faults=[Fault(400, after=0.2)])
    status, _, _ = run(server, lambda client: client.ask())
    assert status == 400
    assert 0.199 < seconds(server.journal[0]) < 0.4


@pytest.mark.parametrize("status", [429, 503, 529])
def test_come_back_later_says_when(server: PracticeServer, status: Any) -> None:
    server.configure(faults=[Fault(status, retry_after=0.2)])
    got, headers, _ = run(server, lambda client: client.ask())
    assert (got, headers["retry-after"], headers["retry-after-ms"]) == (status, "1", "200")


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/v1/chat/completions", 429, "You exceeded your current quota"),
        ("/v1/messages", 400, "Your credit balance is too low"),
        ("/search?q=timeout", 402, "your quota is used up"),
    ],
)
def test_a_used_up_quota_is_refused_in_the_services_words(
    server: PracticeServer, path: str, status: int, sentence: str
) -> None:
    server.configure(faults=[Fault("quota")])

    async def body(client: Client) -> tuple[int, Any, bytes]:
        if path.startswith("/search"):
            return await client.get(path)
        headers = {"anthropic-version": "2023-06-01"}
        async with client.session.post(path, json=chat(server, max_tokens=50), headers=headers) as response:
            return response.status, response.headers, await response.read()

    got, headers, content = run(server, body)
    assert (got, "retry-after" in headers) == (status, False)
    assert sentence in content.decode()
    assert [(request.status, request.fault) for request in server.journal] == [(status, "quota")]


def test_drop_breaks_the_connection_before_a_byte(server: PracticeServer) -> None:
    server.configure(faults=[Fault("drop")])
    with pytest.raises(aiohttp.ServerDisconnectedError):
        run(server, lambda client: client.ask())
    (request,) = server.journal
    assert (request.status, request.first_byte, request.aborted, request.fault) == (0, None, False, "drop")
    assert request.finished is not None


@pytest.mark.parametrize("stream", [False, True])
def test_drop_midstream_breaks_it_after_half_of_the_answer(server: PracticeServer, stream: bool) -> None:
    server.configure(faults=[Fault("drop_midstream")])

    async def body(client: Client) -> bytes:
        received = b""
        async with client.session.post("/v1/chat/completions", json=chat(server, stream=stream)) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                async for chunk in response.content.iter_any():
                    received += chunk
        return received

    assert run(server, body)
    dropped = server.journal[0]
    _, _, whole = run(server, lambda client: client.ask(stream=stream))
    assert (dropped.status, dropped.aborted, dropped.fault) == (200, False, "drop_midstream")
    if stream:
        assert 0 < dropped.output_tokens < server.journal[1].output_tokens
        assert whole.endswith(b"data: [DONE]\n\n")
    else:
        json.loads(whole)


def test_truncate_ends_early_as_if_complete(server: PracticeServer) -> None:
    server.configure(faults=[Fault("truncate"), Fault("truncate")])
    _, _, streamed = run(server, lambda client: client.ask(stream=True))
    assert streamed.startswith(b"data: ") and b"[DONE]" not in streamed
    _, _, whole = run(server, lambda client: client.ask())
    with pytest.raises(json.JSONDecodeError):
        json.loads(whole)


def test_slow_tail_slows_the_second_half(server: PracticeServer) -> None:
    server.configure(tokens_per_second=1000, faults=[Fault("slow_tail")])

    async def body(client: Client) -> list[float]:
        times = []
        async with client.session.post("/v1/chat/completions", json=chat(server, stream=True)) as response:
            async for line in response.content:
                if line.startswith(b"data:"):
                    times.append(time.perf_counter())
        return times

    times = run(server, body)
    middle = times[len(times) // 2]
    assert times[-1] - middle > 3 * (middle - times[0])


def test_hang_never_answers_and_ends_with_its_client(server: PracticeServer) -> None:
    server.configure(faults=[Fault("hang")])

    async def body(client: Client) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.ask()

    run(server, body)
    (request,) = wait_for(server, lambda journal: journal[0].finished is not None)
    assert (request.status, request.aborted, request.fault) == (0, True, "hang")


# --- the journal


def test_the_journal_of_an_ordinary_request(server: PracticeServer) -> None:
    async def body(client: Client) -> Any:
        labels = {RUN_HEADER: "run 1", TASK_HEADER: "ask 3"}
        async with client.session.post("/v1/chat/completions", json=chat(server), headers=labels) as response:
            return await response.json()

    before = time.perf_counter()
    answer = run(server, body)
    after = time.perf_counter()
    run(server, lambda client: client.get("/weather?city=Paris"))
    request, other = server.journal
    assert (request.number, request.path, request.model) == (1, "/v1/chat/completions", server.model)
    assert (request.run, request.task, request.status) == ("run 1", "ask 3", 200)
    assert request.input_tokens == answer["usage"]["prompt_tokens"]
    assert request.output_tokens == answer["usage"]["completion_tokens"]
    assert not request.aborted and request.fault == ""
    times = [request.arrived, request.started or 0, request.first_byte or 0, request.finished or 0]
    assert times[0] > 0 and times == sorted(times)
    assert before <= times[0] and times[-1] <= after
    assert (other.path, other.model, other.run) == ("/weather", "", "")
    assert server.requests("run 1") == [request]


def test_a_request_in_flight_shows_its_tokens_so_far(server: PracticeServer) -> None:
    server.configure(tokens_per_second=50)

    async def body(client: Client) -> tuple[Request, Request]:
        task = asyncio.create_task(client.ask(stream=True))
        await asyncio.sleep(0.2)
        early = (await asyncio.to_thread(lambda: server.journal))[0]
        await task
        return early, server.journal[0]

    early, late = run(server, body)
    assert early.finished is None and early.status == 200
    assert 0 < early.output_tokens < late.output_tokens
    assert early.input_tokens == late.input_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_is_billed_after_the_client_went_away(server: PracticeServer, stream: bool) -> None:
    server.configure(latency=0.1, tokens_per_second=50)

    async def body(client: Client) -> None:
        task = asyncio.create_task(client.ask(stream=stream))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(server, body)
    (request,) = wait_for(server, lambda journal: journal[0].finished is not None)
    assert request.aborted
    assert request.input_tokens > 0
    assert (request.output_tokens > 0) == stream
    time.sleep(0.1)
    assert server.journal == [request]


def test_a_client_that_leaves_the_queue_was_never_started(server: PracticeServer) -> None:
    server.configure(latency=0.4, capacity=1)

    async def body(client: Client) -> None:
        first = asyncio.create_task(client.ask())
        await asyncio.sleep(0.05)
        second = asyncio.create_task(client.ask())
        await asyncio.sleep(0.05)
        second.cancel()
        await first

    run(server, body)
    _, second = wait_for(server, lambda journal: journal[1].finished is not None)
    assert second.aborted and second.started is None and second.input_tokens == 0


def test_reset_begins_again_and_leaves_the_settings(server: PracticeServer) -> None:
    server.configure(latency=0.05)
    run(server, lambda client: asyncio.gather(*(client.ask() for _ in range(3))))
    before = server.bill(lifetime=True)
    assert (server.peak, server.bill().requests) == (3, 3)
    server.reset()
    assert (server.peak, server.bill().requests, server.journal) == (0, 0, [])
    assert server.bill(lifetime=True) == before
    run(server, lambda client: client.ask())
    assert server.journal[0].number == 1
    assert seconds(server.journal[0]) >= 0.049


def test_a_request_from_before_a_reset_stays_out_of_the_new_journal(server: PracticeServer) -> None:
    server.configure(latency=0.2)

    async def body(client: Client) -> None:
        task = asyncio.create_task(client.ask())
        await asyncio.sleep(0.05)
        await asyncio.to_thread(server.reset)
        await task

    run(server, body)
    assert (server.journal, server.peak, server.bill().output_tokens) == ([], 0, 0)


def test_ids_are_unique_across_resets(server: PracticeServer) -> None:
    ids = []
    for _ in range(3):
        ids.append(json.loads(run(server, lambda client: client.ask())[2])["id"])
        server.reset()
    assert len(set(ids)) == 3


# --- control, errors and places


def test_control_needs_the_token_and_is_not_in_the_journal(server: PracticeServer) -> None:
    async def body(client: Client) -> list[int]:
        paths = ["/_practice/journal", "/_practice/configure", "/_practice/nothing"]
        return [(await client.get(path))[0] for path in paths]

    assert run(server, body) == [403, 403, 403]
    assert server.journal == []


def test_unknown_paths_and_methods(server: PracticeServer) -> None:
    async def body(client: Client) -> list[tuple[int, Any, Any]]:
        return [
            (status, json.loads(content), headers.get("allow"))
            for status, headers, content in [
                await client.get("/v1/nothing"),
                await client.get("/v1/chat/completions"),
                await client.get("/pages/no/such/page"),
            ]
        ]

    unknown, method, page = run(server, body)
    assert unknown[0] == 404 and "Invalid URL (GET /v1/nothing)" in unknown[1]["error"]["message"]
    assert method[0] == 405 and method[2] == "POST"
    assert page[0] == 404 and isinstance(page[1]["error"], str)
    assert [request.status for request in server.journal] == [404, 405, 404]


def test_the_places(server: PracticeServer) -> None:
    async def body(client: Client) -> list[tuple[int, Any, bytes]]:
        return [
            await client.get("/search?q=timeout&limit=2"),
            await client.get("/weather?city=Paris"),
            await client.get("/weather?city=Atlantis"),
            await client.get("/weather"),
            await client.get("/handbook?q=semaphore&limit=1"),
            await client.get("/handbook?q=semaphore&limit=many"),
            await client.get("/pages/"),
        ]

    search, weather, unknown, missing, handbook, many, page = run(server, body)
    assert 1 <= len(json.loads(search[2])["results"]) <= 2
    assert json.loads(weather[2])["city"] == "Paris"
    assert unknown[0] == 404 and "Atlantis" in json.loads(unknown[2])["error"]
    assert missing[0] == 400 and "city" in json.loads(missing[2])["error"]
    assert len(json.loads(handbook[2])["results"]) == 1
    assert many[0] == 400
    assert page[0] == 200 and page[1]["content-type"].startswith("text/html")


# --- settings


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"speed": 3}, "There is no setting 'speed'"),
        ({"latency": -1}, "latency must be a number of seconds from 0 on, not -1"),
        ({"latency": float("nan")}, "latency must be a number"),
        ({"latency": {"v1": 1}}, "latency takes paths such as '/v1'"),
        ({"capacity": 0}, "capacity must be a whole number from 1 on"),
        ({"capacity": True}, "capacity must be a whole number"),
        ({"requests_per_minute": 0}, "requests_per_minute must be a number above 0"),
        ({"faults": Fault(500)}, "faults must be a list"),
        ({"faults": [500]}, "faults takes Fault objects"),
        ({"seed": "x"}, "seed must be a whole number"),
    ],
)
def test_wrong_settings_change_nothing_and_say_why(
    server: PracticeServer, settings: dict[str, Any], sentence: str
) -> None:
    before = repr(server)
    with pytest.raises(ValueError, match=sentence):
        server.configure(latency=0.5, **settings) if "latency" not in settings else server.configure(**settings)
    assert repr(server) == before


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (418, {}),
        ("explode", {}),
        (True, {}),
        (500, {"after": -1}),
        (500, {"probability": 1.5}),
        (500, {"times": 0}),
        (500, {"when": ""}),
    ],
)
def test_wrong_faults_say_why(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fault"):
        Fault(kind, **options)
