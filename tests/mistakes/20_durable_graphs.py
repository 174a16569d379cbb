"""What the checks of lesson 20 must find, and what they must let pass."""

from tests.answers import right, wrong

NODES = """
async def research(state: Brief) -> Brief:
    return {"findings": await search(state["topic"])}

async def write(state: Brief) -> Brief:
    return {"text": await ask(f"Write about {state['topic']}. Findings: {state['findings']}")}

def mails_of(state: Brief) -> list[dict]:
    return [{"to": reader, "subject": state["topic"], "text": state["text"]} for reader in state["readers"]]

def key_of(config: RunnableConfig, mail: dict) -> dict:
    return {"Idempotency-Key": config["configurable"]["thread_id"] + mail["to"]}

def brief_graph() -> StateGraph:
    return StateGraph(Brief).add_sequence([research, write, send_mails]).add_edge(START, "research")
"""

ANSWERS = [
    wrong(
        "20.1",
        "in one node",
        "one text for each of the three threads; saw 6 sent",
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
        "one text for all",
        "one text for each of the three threads; saw 3 sent: ['One draft.', 'One draft.', 'One draft.']",
        """
def approval_graph(send):
    async def send_text(state: Brief) -> None:
        await send("One draft.")

    async def ask_editor(state: Brief) -> Brief:
        return {"mail": interrupt("Good enough?")}

    return StateGraph(Brief).add_sequence([send_text, ask_editor]).add_edge(START, "send_text")
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
        "one text for each of the three threads; saw 6 sent",
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
        "one text for each of the three threads; saw 2 sent",
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
    wrong(
        "20.2",
        "no key",
        "when the mail is out: one mail each; saw ['archive', 'client', 'client', 'editor', 'editor']",
        NODES
        + """
async def send_mails(state: Brief) -> Brief:
    for mail in mails_of(state):
        (await client.post("/mail", json=mail)).raise_for_status()
    return {"mail": "sent"}
""",
    ),
    wrong(
        "20.2",
        "the thread as key",
        "complete in the end; saw",
        NODES
        + """
async def send_mails(state: Brief, config: RunnableConfig) -> Brief:
    key = {"Idempotency-Key": config["configurable"]["thread_id"]}
    for mail in mails_of(state):
        (await client.post("/mail", json=mail, headers=key)).raise_for_status()
    return {"mail": "sent"}
""",
    ),
    wrong(
        "20.2",
        "the mail's text as key",
        "another thread with the same brief: one mail each; saw []",
        NODES
        + """
async def send_mails(state: Brief) -> Brief:
    for mail in mails_of(state):
        key = {"Idempotency-Key": mail["to"] + mail["subject"]}
        (await client.post("/mail", json=mail, headers=key)).raise_for_status()
    return {"mail": "sent"}
""",
    ),
    wrong(
        "20.2",
        "a random key in the node that sends",
        "a connection breaks when the mail is out: one mail each; saw ['archive', 'client', 'client'",
        NODES
        + """
import uuid

async def send_mails(state: Brief) -> Brief:
    for mail in mails_of(state):
        key = {"Idempotency-Key": str(uuid.uuid4())}
        (await client.post("/mail", json=mail, headers=key)).raise_for_status()
    return {"mail": "sent"}
""",
    ),
    wrong(
        "20.2",
        "believes that it was sent",
        "a connection breaks when the mail is out: the run raises; saw",
        NODES
        + """
async def send_mails(state: Brief, config: RunnableConfig) -> Brief:
    for mail in mails_of(state):
        try:
            (await client.post("/mail", json=mail, headers=key_of(config, mail))).raise_for_status()
        except httpx.HTTPError:
            pass
    return {"mail": "sent"}
""",
    ),
    wrong(
        "20.2",
        "does not look at the status",
        "the mail service refuses one: the run raises; saw",
        NODES
        + """
async def send_mails(state: Brief, config: RunnableConfig) -> Brief:
    for mail in mails_of(state):
        await client.post("/mail", json=mail, headers=key_of(config, mail))
    return {"mail": "sent"}
""",
    ),
    wrong(
        "20.2",
        "all in one node",
        "no search or answer is repeated; saw {'/search': 2, 'model': 2}",
        NODES
        + """
async def do_all(state: Brief, config: RunnableConfig) -> Brief:
    state = state | await research(state)
    state = state | await write(state)
    for mail in mails_of(state):
        (await client.post("/mail", json=mail, headers=key_of(config, mail))).raise_for_status()
    return state | {"mail": "sent"}

def brief_graph():
    return StateGraph(Brief).add_node("do_all", do_all).add_edge(START, "do_all")
""",
    ),
    wrong(
        "20.2",
        "gathered, and left to themselves",
        "nothing is left running; saw",
        NODES
        + """
async def send_mails(state: Brief, config: RunnableConfig) -> Brief:
    async def send(mail: dict) -> None:
        (await client.post("/mail", json=mail, headers=key_of(config, mail))).raise_for_status()

    await asyncio.gather(*(send(mail) for mail in mails_of(state)))
    return {"mail": "sent"}
""",
    ),
    right(
        "20.2",
        "random keys from a node before",
        """
import uuid

class Keyed(Brief, total=False):
    keys: dict[str, str]

def brief_graph():
    async def research(state: Keyed) -> Keyed:
        return {"findings": await search(state["topic"]), "keys": {r: str(uuid.uuid4()) for r in state["readers"]}}

    async def write(state: Keyed) -> Keyed:
        return {"text": await ask(f"Write about {state['topic']}. Findings: {state['findings']}")}

    async def send_mails(state: Keyed) -> Keyed:
        for reader in state["readers"]:
            mail = {"to": reader, "subject": state["topic"], "text": state["text"]}
            response = await client.post("/mail", json=mail, headers={"Idempotency-Key": state["keys"][reader]})
            response.raise_for_status()
        return {"mail": "sent"}

    return StateGraph(Keyed).add_sequence([research, write, send_mails]).add_edge(START, "research")
""",
    ),
    right(
        "20.2",
        "one node of tasks, with keys, in a group",
        NODES
        + """
def brief_graph():
    @task
    async def send_once(mail: dict, key: dict) -> None:
        (await client.post("/mail", json=mail, headers=key)).raise_for_status()

    async def do_all(state: Brief, config: RunnableConfig) -> Brief:
        state = state | {"findings": await task(search)(state["topic"])}
        state["text"] = await task(ask)(f"Write about {state['topic']}. Findings: {state['findings']}")
        async with asyncio.TaskGroup() as group:
            for mail in mails_of(state):
                group.create_task(send_one(send_once, mail, key_of(config, mail)))
        return state | {"mail": "sent"}

    async def send_one(send, mail: dict, key: dict) -> None:
        await send(mail, key)

    return StateGraph(Brief).add_node("do_all", do_all).add_edge(START, "do_all")
""",
    ),
    right(
        "20.2",
        "a branch for each reader",
        NODES
        + """
from langgraph.types import Send

async def to_each(state: Brief) -> list[Send]:
    return [Send("send_mail", state | {"readers": [reader]}) for reader in state["readers"]]

async def send_mail(state: Brief, config: RunnableConfig) -> None:
    [mail] = mails_of(state)
    async with asyncio.TaskGroup() as group:
        sent = group.create_task(client.post("/mail", json=mail, headers=key_of(config, mail)))
    sent.result().raise_for_status()

async def done(state: Brief) -> Brief:
    return {"mail": "sent"}

def brief_graph():
    graph = StateGraph(Brief).add_sequence([research, write]).add_edge(START, "research")
    graph.add_node(send_mail).add_node(done).add_conditional_edges("write", to_each, ["send_mail"])
    return graph.add_edge("send_mail", "done")
""",
    ),
    wrong(
        "20.3",
        "the default",
        "429: yes; saw False",
        """
def surely_not_sent(error):
    return RetryPolicy().retry_on(error)
""",
    ),
    wrong(
        "20.3",
        "the lesson's",
        "drop: no; saw True",
        """
def surely_not_sent(error):
    if isinstance(error, (TimeoutError, httpx.TransportError)):
        return True
    response = getattr(error, "response", None)
    return response is not None and (response.status_code in (408, 429) or response.status_code >= 500)
""",
    ),
    wrong(
        "20.3",
        "never",
        "503, in a node: requests and mails; saw (1, 0)",
        """
def surely_not_sent(error):
    return False
""",
    ),
    wrong(
        "20.3",
        "statuses only",
        "ConnectError: yes; saw False",
        """
def surely_not_sent(error):
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code in (429, 503)
""",
    ),
    wrong(
        "20.3",
        "every timeout",
        "hang: no; saw True",
        """
def surely_not_sent(error):
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in (429, 503)
    return isinstance(error, (httpx.TimeoutException, httpx.ConnectError))
""",
    ),
    wrong(
        "20.3",
        "every server error",
        "500: no; saw True",
        """
def surely_not_sent(error):
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, (httpx.PoolTimeout, httpx.ConnectTimeout, httpx.ConnectError))
""",
    ),
    wrong(
        "20.3",
        "a response that is not there",
        "PoolTimeout: yes; saw AttributeError",
        """
def surely_not_sent(error):
    refused = error.response.status_code in (429, 503)
    return refused or isinstance(error, (httpx.PoolTimeout, httpx.ConnectTimeout, httpx.ConnectError))
""",
    ),
    right(
        "20.3",
        "match",
        """
def surely_not_sent(error):
    match error:
        case httpx.PoolTimeout() | httpx.ConnectTimeout() | httpx.ConnectError():
            return True
        case httpx.HTTPStatusError(response=response):
            return response.status_code in {429, 503}
    return False
""",
    ),
    right(
        "20.3",
        "by names",
        """
def surely_not_sent(error):
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status in (429, 503) or type(error).__name__ in ("PoolTimeout", "ConnectTimeout", "ConnectError")
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
