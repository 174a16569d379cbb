"""What the checks of lesson 20 must find, and what they must let pass."""

from tests.answers import right, wrong

NODES = """
async def research(state: Brief) -> Brief:
    return {"findings": await search(state["topic"])}

async def write(state: Brief) -> Brief:
    return {"text": await ask(f"Write about {state['topic']}. Findings: {state['findings']}")}

def mail_of(state: Brief) -> dict:
    return {"to": "editor@desk.example", "subject": state["topic"], "text": state["text"]}

def brief_graph() -> StateGraph:
    return StateGraph(Brief).add_sequence([research, write, send_mail]).add_edge(START, "research")
"""

ANSWERS = [
    wrong(
        "20.1",
        "in one node",
        "one text for each of the two threads; saw 4 sent",
        """
def approval_graph(send):
    async def offer(state: Brief) -> Brief:
        await send(state["text"])
        return {"mail": interrupt("Good enough?")}

    return StateGraph(Brief).add_node("offer", offer).add_edge(START, "offer")
""",
    ),
    wrong(
        "20.1",
        "sent after the verdict",
        "the text is out by then; saw 0 sent",
        """
def approval_graph(send):
    async def offer(state: Brief) -> Brief:
        verdict = interrupt("Good enough?")
        await send(state["text"])
        return {"mail": verdict}

    return StateGraph(Brief).add_node("offer", offer).add_edge(START, "offer")
""",
    ),
    wrong(
        "20.1",
        "remembered in a variable",
        "one text for each of the two threads; saw 4 sent",
        """
def approval_graph(send):
    sent = set()

    async def offer(state: Brief) -> Brief:
        if state["text"] not in sent:
            sent.add(state["text"])
            await send(state["text"])
        return {"mail": interrupt("Good enough?")}

    return StateGraph(Brief).add_node("offer", offer).add_edge(START, "offer")
""",
    ),
    wrong(
        "20.1",
        "remembered in a global variable",
        "one text for each of the two threads; saw 1 sent",
        """
known = set()

def approval_graph(send):
    async def offer(state: Brief) -> Brief:
        if state["text"] not in known:
            known.add(state["text"])
            await send(state["text"])
        return {"mail": interrupt("Good enough?")}

    return StateGraph(Brief).add_node("offer", offer).add_edge(START, "offer")
""",
    ),
    wrong(
        "20.1",
        "never asks",
        "it asks the question; saw []",
        """
def approval_graph(send):
    async def offer(state: Brief) -> Brief:
        await send(state["text"])
        return {"mail": "yes"}

    return StateGraph(Brief).add_node("offer", offer).add_edge(START, "offer")
""",
    ),
    wrong(
        "20.1",
        "interrupt swallowed",
        "it asks the question; saw []",
        """
def approval_graph(send):
    async def send_text(state: Brief) -> None:
        await send(state["text"])

    async def ask_editor(state: Brief) -> Brief:
        try:
            return {"mail": interrupt("Good enough?")}
        except Exception:
            return {"mail": "yes"}

    return StateGraph(Brief).add_sequence([send_text, ask_editor]).add_edge(START, "send_text")
""",
    ),
    right(
        "20.1",
        "a task",
        """
def approval_graph(send):
    @task
    async def send_once(text: str) -> None:
        await send(text)

    async def offer(state: Brief) -> Brief:
        await send_once(state["text"])
        return {"mail": interrupt("Good enough?")}

    return StateGraph(Brief).add_node("offer", offer).add_edge(START, "offer")
""",
    ),
    right(
        "20.1",
        "task(send)",
        """
def approval_graph(send):
    async def offer(state: Brief) -> Brief:
        await task(send)(state["text"])
        return {"mail": interrupt("Good enough?")}

    return StateGraph(Brief).add_node("offer", offer).add_edge(START, "offer")
""",
    ),
    wrong(
        "20.2",
        "no key",
        "the connection breaks when the mail is out: one mail; saw 2 mails",
        NODES
        + """
async def send_mail(state: Brief) -> Brief:
    (await client.post("/mail", json=mail_of(state))).raise_for_status()
    return {"mail": "sent"}
""",
    ),
    wrong(
        "20.2",
        "a random key in the node that sends",
        "the connection breaks when the mail is out: one mail; saw 2 mails",
        NODES
        + """
import uuid

async def send_mail(state: Brief) -> Brief:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    (await client.post("/mail", json=mail_of(state), headers=key)).raise_for_status()
    return {"mail": "sent"}
""",
    ),
    wrong(
        "20.2",
        "the topic as key",
        "one mail; saw 0 mails",
        NODES
        + """
async def send_mail(state: Brief) -> Brief:
    key = {"Idempotency-Key": state["topic"]}
    (await client.post("/mail", json=mail_of(state), headers=key)).raise_for_status()
    return {"mail": "sent"}
""",
    ),
    wrong(
        "20.2",
        "believes that it was sent",
        "the run raises; saw",
        NODES
        + """
async def send_mail(state: Brief, config: RunnableConfig) -> Brief:
    key = {"Idempotency-Key": config["configurable"]["thread_id"]}
    try:
        (await client.post("/mail", json=mail_of(state), headers=key)).raise_for_status()
    except httpx.HTTPError:
        pass
    return {"mail": "sent"}
""",
    ),
    wrong(
        "20.2",
        "does not look at the status",
        "the mail service refuses: the run raises; saw",
        NODES
        + """
async def send_mail(state: Brief, config: RunnableConfig) -> Brief:
    key = {"Idempotency-Key": config["configurable"]["thread_id"]}
    await client.post("/mail", json=mail_of(state), headers=key)
    return {"mail": "sent"}
""",
    ),
    wrong(
        "20.2",
        "all in one node",
        "nothing is repeated but the mail; saw {'/search': 2, 'model': 2, '/mail': 2}",
        NODES
        + """
async def do_all(state: Brief, config: RunnableConfig) -> Brief:
    state = state | await research(state)
    state = state | await write(state)
    key = {"Idempotency-Key": config["configurable"]["thread_id"]}
    (await client.post("/mail", json=mail_of(state), headers=key)).raise_for_status()
    return state | {"mail": "sent"}

def brief_graph():
    return StateGraph(Brief).add_node("do_all", do_all).add_edge(START, "do_all")
""",
    ),
    wrong(
        "20.2",
        "a task without a key",
        "the connection breaks when the mail is out: one mail; saw 2 mails",
        NODES
        + """
@task
async def send_once(mail: dict) -> None:
    (await client.post("/mail", json=mail)).raise_for_status()

async def send_mail(state: Brief) -> Brief:
    await send_once(mail_of(state))
    return {"mail": "sent"}
""",
    ),
    right(
        "20.2",
        "a random key from a node before",
        """
import uuid

class Keyed(Brief, total=False):
    key: str

def brief_graph():
    async def research(state: Keyed) -> Keyed:
        return {"findings": await search(state["topic"])}

    async def write(state: Keyed) -> Keyed:
        text = await ask(f"Write about {state['topic']}. Findings: {state['findings']}")
        return {"text": text, "key": str(uuid.uuid4())}

    async def send_mail(state: Keyed) -> Keyed:
        mail = {"to": "editor@desk.example", "subject": state["topic"], "text": state["text"]}
        response = await client.post("/mail", json=mail, headers={"Idempotency-Key": state["key"]})
        response.raise_for_status()
        return {"mail": "sent"}

    return StateGraph(Keyed).add_sequence([research, write, send_mail]).add_edge(START, "research")
""",
    ),
    right(
        "20.2",
        "one node of three tasks, with a key",
        """
def brief_graph():
    @task
    async def send_once(mail: dict, key: str) -> None:
        (await client.post("/mail", json=mail, headers={"Idempotency-Key": key})).raise_for_status()

    async def do_all(state: Brief, config: RunnableConfig) -> Brief:
        findings = await task(search)(state["topic"])
        text = await task(ask)(f"Write about {state['topic']}. Findings: {findings}")
        mail = {"to": "editor@desk.example", "subject": state["topic"], "text": text}
        await send_once(mail, config["configurable"]["thread_id"])
        return {"findings": findings, "text": text, "mail": "sent"}

    return StateGraph(Brief).add_node("do_all", do_all).add_edge(START, "do_all")
""",
    ),
    wrong(
        "20.3",
        "the default",
        "ask_model, 400: 1 request; saw 2",
        """
def worth_retrying(error):
    return RetryPolicy().retry_on(error)
""",
    ),
    wrong(
        "20.3",
        "everything",
        "divide, ok: 1 request; saw 2",
        """
def worth_retrying(error):
    return True
""",
    ),
    wrong(
        "20.3",
        "no timeouts",
        "look_up_in_time, hang: 2 requests; saw 1",
        """
def worth_retrying(error):
    if isinstance(error, (httpx.TransportError, APIConnectionError)):
        return True
    response = getattr(error, "response", None)
    return response is not None and (response.status_code in (408, 429) or response.status_code >= 500)
""",
    ),
    wrong(
        "20.3",
        "the model's errors only",
        "look_up, 429: 2 requests; saw 1",
        """
def worth_retrying(error):
    if isinstance(error, (TimeoutError, httpx.TransportError, APIConnectionError)):
        return True
    status = getattr(error, "status_code", 0)
    return status in (408, 429) or status >= 500
""",
    ),
    wrong(
        "20.3",
        "every status",
        "look_up, 404: 1 request; saw 2",
        """
def worth_retrying(error):
    kinds = (TimeoutError, httpx.TransportError, APIConnectionError)
    return isinstance(error, kinds) or hasattr(error, "response")
""",
    ),
    wrong(
        "20.3",
        "a response that is not there",
        "ask_model, drop: 2 requests; saw 1",
        """
def worth_retrying(error):
    return error.response.status_code in (408, 429) or error.response.status_code >= 500
""",
    ),
    right(
        "20.3",
        "by classes",
        """
import openai

def worth_retrying(error):
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (408, 429) or error.response.status_code >= 500
    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 429) or error.status_code >= 500
    return isinstance(error, (TimeoutError, httpx.TransportError, openai.APIConnectionError))
""",
    ),
    right(
        "20.3",
        "match",
        """
import openai

def worth_retrying(error):
    match error:
        case TimeoutError() | httpx.TransportError() | openai.APIConnectionError():
            return True
        case httpx.HTTPStatusError() | openai.APIStatusError():
            return error.response.status_code in {408, 429} or error.response.status_code // 100 == 5
    return False
""",
    ),
    wrong(
        "20.4",
        "as given",
        "what was approved, once, in order; saw ['open a ticket', 'open a ticket'",
        """
def plan_graph(perform):
    async def act(state: Plan) -> Plan:
        done = []
        for action in state["actions"]:
            if interrupt(action) == "yes":
                done.append(await perform(action))
        return {"done": done}

    return StateGraph(Plan).add_node("act", act).add_edge(START, "act")
""",
    ),
    wrong(
        "20.4",
        "one question for all",
        "a question for each, in order; saw [['open a ticket'",
        """
def plan_graph(perform):
    async def act(state: Plan) -> Plan:
        answer = interrupt(state["actions"])
        return {"done": [await perform(action) for action in state["actions"] if answer == "yes"]}

    return StateGraph(Plan).add_node("act", act).add_edge(START, "act")
""",
    ),
    wrong(
        "20.4",
        "tasks, but at once",
        "nothing is done before the last answer; saw [0, 1, 1]",
        """
def plan_graph(perform):
    async def act(state: Plan) -> Plan:
        done = []
        for action in state["actions"]:
            if interrupt(action) == "yes":
                done.append(await task(perform)(action))
        return {"done": done}

    return StateGraph(Plan).add_node("act", act).add_edge(START, "act")
""",
    ),
    wrong(
        "20.4",
        "the same action only once",
        "what was approved, once, in order; saw ['mail the client']",
        """
def plan_graph(perform):
    async def act(state: Plan) -> Plan:
        approved = {action: interrupt(action) == "yes" for action in state["actions"]}
        return {"done": [await perform(action) for action, yes in approved.items() if yes]}

    return StateGraph(Plan).add_node("act", act).add_edge(START, "act")
""",
    ),
    wrong(
        "20.4",
        "does what was refused",
        "what was approved, once, in order; saw ['open a ticket', 'mail the client', 'book a room']",
        """
def plan_graph(perform):
    async def act(state: Plan) -> Plan:
        approved = [action for action in state["actions"] if interrupt(action)]
        return {"done": [await perform(action) for action in approved]}

    return StateGraph(Plan).add_node("act", act).add_edge(START, "act")
""",
    ),
    right(
        "20.4",
        "two nodes",
        """
class Approved(Plan, total=False):
    approved: list[str]

def plan_graph(perform):
    async def approve_all(state: Approved) -> Approved:
        answers = [interrupt(action) for action in state["actions"]]
        return {"approved": [action for action, answer in zip(state["actions"], answers) if answer == "yes"]}

    async def act(state: Approved) -> Approved:
        return {"done": [await perform(action) for action in state["approved"]]}

    return StateGraph(Approved).add_sequence([approve_all, act]).add_edge(START, "approve_all")
""",
    ),
    right(
        "20.4",
        "two loops and tasks",
        """
def plan_graph(perform):
    async def act(state: Plan) -> Plan:
        approved = []
        for action in state["actions"]:
            if interrupt(action) == "yes":
                approved.append(action)
        done = []
        for action in approved:
            done.append(await task(perform)(action))
        return {"done": done}

    return StateGraph(Plan).add_node("act", act).add_edge(START, "act")
""",
    ),
]
