"""The practice server's mail: sent once for each key, and counted where it was really sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from awaitsee.practice import Fault, PracticeServer

MAIL = {"to": "desk@example.org", "subject": "The brief", "text": "Tasks overlap while they wait."}


def post(server: PracticeServer, mail: Any = None, key: str = "") -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return httpx.post(f"{server.url}/mail", json=MAIL if mail is None else mail, headers=headers)


def test_without_a_key_each_request_sends_a_mail(server: PracticeServer) -> None:
    answers = [post(server), post(server)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.json() for answer in answers] == [
        {"id": "mail_1", "duplicate": False},
        {"id": "mail_2", "duplicate": False},
    ]
    assert [(mail.to, mail.subject, mail.text, mail.key) for mail in server.outbox] == [(*MAIL.values(), "")] * 2


def test_with_the_same_key_it_is_sent_once(server: PracticeServer) -> None:
    answers = [post(server, key="thread-1:send"), post(server, key="thread-1:send"), post(server, key="thread-2:send")]
    assert [(answer.status_code, answer.json()["duplicate"]) for answer in answers] == [
        (202, False),
        (200, True),
        (202, False),
    ]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert [mail.key for mail in server.outbox] == ["thread-1:send", "thread-2:send"]
    assert len(server.journal) == 3


def test_requests_at_once_with_the_same_key_send_one(server: PracticeServer) -> None:
    server.configure(latency=0.05)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(server, key="once"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    assert len(server.outbox) == 1


def test_a_key_for_another_mail_is_refused(server: PracticeServer) -> None:
    post(server, key="k")
    answer = post(server, {**MAIL, "text": "Another text."}, key="k")
    assert answer.status_code == 422
    assert answer.json() == {"error": "The idempotency key 'k' was used for another mail."}
    assert len(server.outbox) == 1


@pytest.mark.parametrize("kind", ["drop", "truncate", "drop_midstream"])
def test_where_the_answer_is_lost_the_mail_is_sent_all_the_same(server: PracticeServer, kind: Any) -> None:
    server.configure(faults=[Fault(kind, when="/mail", times=1)])
    try:
        post(server, key="k").json()
    except (httpx.TransportError, ValueError):
        pass
    else:
        pytest.fail("the answer came whole")
    assert len(server.outbox) == 1
    assert post(server, key="k").json() == {"id": "mail_1", "duplicate": True}


@pytest.mark.parametrize("kind", [500, 503, 429, "quota"])
def test_where_it_is_refused_nothing_is_sent(server: PracticeServer, kind: Any) -> None:
    server.configure(faults=[Fault(kind, when="/mail", times=1)])
    assert post(server).status_code >= 400
    assert server.outbox == []
    assert post(server).status_code == 202


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"to": "a@example.org", "subject": "s"}, "'text' must be some text"),
        ({**MAIL, "to": " "}, "'to' must be some text"),
        ({**MAIL, "subject": 3}, "'subject' must be some text"),
        ({**MAIL, "cc": "b@example.org"}, "A mail has no 'cc'"),
        ([MAIL], "The body must be a JSON object"),
    ],
)
def test_what_is_no_mail_is_refused(server: PracticeServer, body: Any, sentence: str) -> None:
    answer = post(server, body)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert server.outbox == []


def test_a_reset_empties_the_outbox_and_forgets_the_keys(server: PracticeServer) -> None:
    post(server, key="k")
    server.reset()
    assert server.outbox == []
    assert post(server, {**MAIL, "text": "Another text."}, key="k").status_code == 202
