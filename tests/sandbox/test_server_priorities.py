"""What a client of amoCRM must be able to rely on, in plain requests, kind by kind and write by write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from support.sandbox_http import Receiver, ServedSandbox, receiver, served_sandbox

API = "/api/v4"
DUE = 2_000_000_000
CARDS = ("lead", "contact", "company")
EVERYTHING = [
    *(f"{act}_{card}" for act in ("add", "update", "delete", "restore", "responsible", "note") for card in CARDS),
    *(f"{act}_task" for act in ("add", "update", "delete", "responsible")),
    *(f"{act}_unsorted" for act in ("add", "update", "delete")),
    "status_lead",
]


@pytest.fixture(scope="module")
def hooked() -> Iterator[Receiver]:
    with receiver() as taken:
        yield taken


@pytest.fixture(scope="module")
def sandbox(hooked: Receiver) -> Iterator[ServedSandbox]:
    """One account for all tests here: each makes what it needs and looks only at that."""
    with served_sandbox() as served:
        served.control("POST", "limits", {"enabled": False})
        served.subscribe(hooked.url, *EVERYTHING)
        yield served


@pytest.fixture
def fresh() -> Iterator[ServedSandbox]:
    with served_sandbox() as served:
        served.control("POST", "limits", {"enabled": False})
        yield served


def add(sandbox: ServedSandbox, path: str, *bodies: dict[str, Any]) -> list[int]:
    answer = sandbox.call("POST", f"{API}/{path}", list(bodies))
    assert answer.status_code == 200, answer.text
    return [int(item["id"]) for item in answer.json()["_embedded"][path.split("/")[-1]]]


def body_of(path: str, sandbox: ServedSandbox) -> dict[str, Any]:
    """The least that can be added under ``path``."""
    if path == "tasks":
        return {"text": "Позвонить", "complete_till": DUE}
    if path.endswith("notes"):
        return {"note_type": "common", "params": {"text": "да"}, "entity_id": add(sandbox, "leads", {"name": "n"})[0]}
    return {"name": "имя"}


# --- how answers look --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("GET", "account", None, 200, "application/hal+json"),
        ("POST", "leads", [{"name": "a"}], 200, "application/hal+json"),
        ("POST", "leads/custom_fields", [{"name": "f", "type": "text"}], 201, "application/hal+json"),
        ("GET", "leads/1", None, 204, None),
        ("GET", "leads?page=1000", None, 204, None),
        ("GET", "leads/notes/1", None, 204, None),
        ("POST", "leads", [{"price": "5"}], 400, "application/problem+json"),
        ("POST", "leads", [], 400, "application/problem+json"),
        ("GET", "no/such", None, 404, "application/problem+json"),
        ("DELETE", "leads/1", None, 405, "application/problem+json"),
        ("POST", "tasks", [{}] * 251, 422, "application/problem+json"),
    ],
)
def test_every_answer_says_what_it_is_and_has_a_request_id(
    sandbox: ServedSandbox, method: str, path: str, body: Any, status: int, kind: str | None
) -> None:
    answer = sandbox.call(method, f"{API}/{path}", body)
    assert (answer.status_code, answer.headers.get("Content-Type")) == (status, kind)
    assert answer.headers["X-Request-Id"]
    if status == 204:
        assert answer.content == b""
    elif kind == "application/problem+json":
        assert {"title", "type", "status", "detail"} <= answer.json().keys()
        assert (answer.json()["status"], answer.json()["type"]) == (status, f"https://httpstatus.es/{status}")


def test_the_date_of_an_answer_is_the_accounts_time(fresh: ServedSandbox) -> None:
    fresh.control("POST", "clock", {"freeze": True, "set": 1_900_000_000})
    fresh.control("POST", "faults", {"kind": "status", "status": 502, "path": f"{API}/users"})
    for path in (
        f"{API}/account",
        f"{API}/no/such",
        "/oauth2/account/current/subdomain",
        "/drive/v1.0/files",
        f"{API}/users",
    ):
        dates = fresh.call("GET", path).raw.headers.getlist("Date")
        assert dates == ["Sun, 17 Mar 2030 17:46:40 GMT"], path


# --- lists -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["leads", "contacts", "companies", "tasks", "leads/notes"])
def test_pages_of_every_kind(fresh: ServedSandbox, path: str) -> None:
    name = path.split("/")[-1]
    known = fresh.call("GET", f"{API}/{path}")
    before = len(known.json()["_embedded"][name]) if known.content else 0
    add(fresh, path, *[body_of(path, fresh)] * (60 - before))

    first = fresh.call("GET", f"{API}/{path}").json()
    assert (first["_page"], len(first["_embedded"][name]), "_total_items" in first) == (1, 50, False)
    second = fresh.raw("GET", first["_links"]["next"]["href"]).json()
    assert (second["_page"], len(second["_embedded"][name]), "next" in second["_links"]) == (2, 10, False)
    assert fresh.call("GET", f"{API}/{path}?page=3").status_code == 204
    add(fresh, path, *[body_of(path, fresh)] * 200)
    assert len(fresh.call("GET", f"{API}/{path}?limit=1000").json()["_embedded"][name]) == 250


@pytest.mark.parametrize("path", ["leads/custom_fields", "users", "leads/pipelines", "webhooks"])
def test_lists_that_tell_how_long_they_are(sandbox: ServedSandbox, path: str) -> None:
    listed = sandbox.call("GET", f"{API}/{path}?limit=250").json()
    assert listed["_total_items"] == len(listed["_embedded"][path.split("/")[-1]]) > 0


# --- writes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "added", "changed"),
    [
        ("leads", {"id", "request_id", "_links"}, {"id", "updated_at", "_links"}),
        ("contacts", {"id", "request_id", "_links"}, {"id", "updated_at", "_links"}),
        ("companies", {"id", "request_id", "_links"}, {"id", "updated_at", "_links"}),
        ("tasks", {"id", "request_id", "_links"}, {"id", "updated_at", "request_id", "_links"}),
    ],
)
def test_writes_answer_with_the_least(sandbox: ServedSandbox, path: str, added: set[str], changed: set[str]) -> None:
    bodies = [body_of(path, sandbox), {**body_of(path, sandbox), "request_id": "мой"}]
    made = sandbox.call("POST", f"{API}/{path}", bodies).json()
    items = made["_embedded"][path]
    assert made.keys() == {"_links", "_embedded"}
    assert [item.keys() for item in items] == [added, added]
    assert [item["request_id"] for item in items] == ["0", "мой"]
    patch = {"text": "Написать"} if path == "tasks" else {"name": "иначе"}
    (item,) = sandbox.call("PATCH", f"{API}/{path}", [{"id": items[0]["id"], **patch}]).json()["_embedded"][path]
    alone = sandbox.call("PATCH", f"{API}/{path}/{items[1]['id']}", patch).json()
    assert item.keys() == alone.keys() == changed


@pytest.mark.parametrize("path", ["leads", "contacts", "companies", "tasks", "leads/notes"])
def test_one_wrong_object_stops_every_kind_of_batch(sandbox: ServedSandbox, path: str) -> None:
    kind = path.split("/")[-1]
    kept = len(sandbox.world.table(kind))
    wrong = {**body_of(path, sandbox), "responsible_user_id": 1, "created_by": 1}
    answer = sandbox.call("POST", f"{API}/{path}", [body_of(path, sandbox), wrong])
    assert (answer.status_code, answer.json()["detail"]) == (400, "Request validation failed")
    (refused,) = answer.json()["validation-errors"]
    assert refused["request_id"] == "1"
    assert {error["code"] for error in refused["errors"]} == {"NotSupportedChoice"}
    assert {"responsible_user_id", "created_by"} >= {error["path"] for error in refused["errors"]}
    assert len(sandbox.world.table(kind)) == kept


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("leads", "price status_id pipeline_id loss_reason_id source_id closed_at score labor_cost"),
        ("contacts", "first_name last_name"),
        ("companies", ""),
    ],
)
def test_what_a_card_shows(sandbox: ServedSandbox, path: str, own: str) -> None:
    card = sandbox.call("GET", f"{API}/{path}/{add(sandbox, path, {'name': 'имя'})[0]}").json()
    common = (
        "id name responsible_user_id group_id created_by updated_by created_at updated_at is_deleted closest_task_at"
        " custom_fields_values account_id _links _embedded"
    )
    assert card.keys() == {*common.split(), *own.split()}
    assert card["custom_fields_values"] is None
    assert set(card["_embedded"]) == {"tags"} | ({"companies"} if path != "companies" else set())


# --- who asks too often ------------------------------------------------------------------------------------------


def test_from_429_to_a_block_and_out_of_it(fresh: ServedSandbox) -> None:
    fresh.control("POST", "limits", {"enabled": True, "per_second": 0, "block_after": 2})
    answers = [fresh.call("GET", f"{API}/account") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 403, 403]
    assert answers[0].json().keys() == {"retry_after", "title", "type", "status", "detail"}
    assert answers[2].headers["Content-Type"] == "text/html"
    assert "nginx" in answers[2].text
    fresh.control("POST", "limits", {"per_second": 7})
    assert fresh.call("GET", f"{API}/account").status_code == 200


# --- write → events → webhooks -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A deal with its contact and a task on it, and calls to change them."""

    sandbox: ServedSandbox
    lead: int
    contact: int
    task: int
    field: int

    def patch(self, path: str, body: dict[str, Any]) -> None:
        answer = self.sandbox.call("PATCH", f"{API}/{path}", body)
        assert answer.status_code == 200, answer.text

    def deal(self, **body: Any) -> None:
        self.patch(f"leads/{self.lead}", body)

    def post(self, path: str, body: Any) -> Any:
        answer = self.sandbox.call("POST", path if path.startswith("/") else f"{API}/{path}", body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def ui(self, act: str, **body: Any) -> None:
        self.post(f"/sandbox/ui/{act}", {"user_id": self.sandbox.user("Иван Петров"), **body})

    def note(self, note_type: str, **params: Any) -> None:
        self.post(f"leads/{self.lead}/notes", [{"note_type": note_type, "params": params}])

    def form(self) -> str:
        form = {"form_id": str(self.lead), "form_name": "Заявка", "form_page": "http://site.example", "ip": "127.0.0.1"}
        body = {
            "source_uid": f"site-{self.lead}",
            "source_name": "Сайт",
            "pipeline_id": self.sandbox.stage("Продажи", "Новый клиент")["pipeline_id"],
            "metadata": {**form, "form_sent_at": 1_700_000_000},
            "_embedded": {"leads": [{"name": "С сайта"}]},
        }
        return str(self.post("leads/unsorted/forms", [body])["_embedded"]["unsorted"][0]["uid"])


@pytest.fixture
def scene(sandbox: ServedSandbox) -> Scene:
    (lead,) = add(sandbox, "leads", {"name": "Сделка", "price": 5, "tags_to_add": [{"name": "старый"}]})
    (contact,) = add(sandbox, "contacts", {"name": "Анна"})
    task = {"text": "Позвонить", "complete_till": DUE, "entity_id": lead, "entity_type": "leads"}
    fields = sandbox.world.table("custom_fields/leads").values()
    field = next(one["id"] for one in fields if one["name"] == "Основной продукт")
    return Scene(sandbox, lead, contact, add(sandbox, "tasks", task)[0], field)


def act(scene: Scene, sandbox: ServedSandbox, hooked: Receiver, do: Callable[[], Any]) -> tuple[list[str], list[str]]:
    """What ``do`` left in the events list, oldest first, and which webhooks it sent."""
    sandbox.flush()
    last = sandbox.call("GET", f"{API}/events?limit=1").json()["_embedded"]["events"][0]["id"]
    sent = len(hooked.hooks)
    do()
    sandbox.flush()
    newest_first = sandbox.call("GET", f"{API}/events?limit=100").json()["_embedded"]["events"]
    events = [event["type"] for event in newest_first if event["id"] > last]
    return events[::-1], hooked.roots()[sent:]


Row = tuple[Callable[[Scene], Any], list[str], list[str]]
ROWS: dict[str, Row] = {
    "new lead": (lambda s: s.post("leads", [{"name": "a"}]), ["lead_added"], ["leads[add]"]),
    "name": (lambda s: s.deal(name="b"), ["name_field_changed"], ["leads[update]"]),
    "price": (lambda s: s.deal(price=6), ["sale_field_changed"], ["leads[update]"]),
    "field": (
        lambda s: s.deal(custom_fields_values=[{"field_id": s.field, "values": [{"value": "Чай"}]}]),
        ["custom_field_{field}_value_changed"],
        ["leads[update]"],
    ),
    "stage": (
        lambda s: s.deal(**s.sandbox.stage("Продажи", "Бриф получен")),
        ["lead_status_changed"],
        ["leads[status]", "leads[update]"],
    ),
    "responsible": (
        lambda s: s.deal(responsible_user_id=s.sandbox.user("Иван Петров")),
        ["entity_responsible_changed"],
        ["leads[responsible]", "leads[update]"],
    ),
    "tags": (
        lambda s: s.deal(tags_to_add=[{"name": "новый"}], tags_to_delete=[{"name": "старый"}]),
        ["entity_tag_added", "entity_tag_deleted"],
        ["leads[update]"],
    ),
    "nothing": (lambda s: s.deal(name="Сделка", price=5), [], []),
    "delete": (lambda s: s.ui("delete_lead", lead_id=s.lead), ["lead_deleted"], ["leads[delete]"]),
    "new contact": (lambda s: s.post("contacts", [{"name": "a"}]), ["contact_added"], ["contacts[add]"]),
    "new company": (lambda s: s.post("companies", [{"name": "a"}]), ["company_added"], ["contacts[add]"]),
    "contact": (
        lambda s: s.patch(f"contacts/{s.contact}", {"name": "Инна"}),
        ["name_field_changed"],
        ["contacts[update]"],
    ),
    "contact's responsible": (
        lambda s: s.patch(f"contacts/{s.contact}", {"responsible_user_id": s.sandbox.user("Иван Петров")}),
        ["entity_responsible_changed"],
        ["contacts[update]"],
    ),
    "link": (
        lambda s: s.post(f"leads/{s.lead}/link", [{"to_entity_id": s.contact, "to_entity_type": "contacts"}]),
        ["contact_linked", "entity_linked"],
        ["contacts[update]"],
    ),
    "new task": (
        lambda s: s.post("tasks", [{"text": "a", "complete_till": DUE}]),
        ["task_added"],
        ["task[add]"],
    ),
    "task's text": (lambda s: s.patch(f"tasks/{s.task}", {"text": "b"}), ["task_text_changed"], ["task[update]"]),
    "task's deadline": (
        lambda s: s.patch(f"tasks/{s.task}", {"complete_till": DUE + 60}),
        ["task_deadline_changed"],
        ["task[update]"],
    ),
    "task's type": (lambda s: s.patch(f"tasks/{s.task}", {"task_type_id": 2}), ["task_type_changed"], ["task[update]"]),
    "task's responsible": (
        lambda s: s.patch(f"tasks/{s.task}", {"responsible_user_id": s.sandbox.user("Иван Петров")}),
        ["entity_responsible_changed"],
        ["task[update]"],
    ),
    "completed by the API": (
        lambda s: s.patch(f"tasks/{s.task}", {"is_completed": True, "result": {"text": "да"}}),
        ["task_completed", "task_result_added"],
        ["task[update]"],
    ),
    "completed in the list of tasks": (
        lambda s: s.ui("complete_task", task_id=s.task, text="да"),
        ["task_completed", "task_result_added"],
        ["task[update]", "task[update]"],
    ),
    "task deleted": (lambda s: s.ui("delete_task", task_id=s.task), ["task_deleted"], ["task[delete]"]),
    "note": (lambda s: s.note("common", text="да"), ["common_note_added"], ["leads[note]"]),
    "call": (
        lambda s: s.note("call_out", phone="+79161112233", duration=5, source="ats"),
        ["outgoing_call"],
        ["leads[note]"],
    ),
    "file with a comment": (
        lambda s: s.ui("attach_file", entity_type="leads", entity_id=s.lead, file_name="бриф.docx", comment="вот"),
        ["attachment_note_added", "common_note_added"],
        ["leads[note]", "leads[note]"],
    ),
    "letter": (
        lambda s: s.ui("incoming_mail", entity_type="leads", entity_id=s.lead, from_email="anna@client.example"),
        ["incoming_mail"],
        [],
    ),
    "form": (lambda s: s.form(), ["lead_added"], ["unsorted[add]"]),
}


@pytest.mark.parametrize("row", ROWS)
def test_each_write_has_its_events_and_its_webhooks(
    sandbox: ServedSandbox, hooked: Receiver, scene: Scene, row: str
) -> None:
    do, events, hooks = ROWS[row]
    seen = act(scene, sandbox, hooked, lambda: do(scene))
    assert seen == ([event.format(field=scene.field) for event in events], hooks)


def test_what_was_deleted_comes_back(sandbox: ServedSandbox, hooked: Receiver, scene: Scene) -> None:
    scene.ui("delete_lead", lead_id=scene.lead)
    seen = act(scene, sandbox, hooked, lambda: scene.ui("restore_lead", lead_id=scene.lead))
    assert seen == (["lead_restored"], ["leads[restore]"])


def test_unlinking(sandbox: ServedSandbox, hooked: Receiver, scene: Scene) -> None:
    link = [{"to_entity_id": scene.contact, "to_entity_type": "contacts"}]
    scene.post(f"leads/{scene.lead}/link", link)
    seen = act(scene, sandbox, hooked, lambda: scene.post(f"leads/{scene.lead}/unlink", link))
    assert seen == (["contact_unlinked", "entity_unlinked"], ["contacts[update]"])


def test_accepting_and_declining_an_incoming_lead(sandbox: ServedSandbox, hooked: Receiver, scene: Scene) -> None:
    first, user = scene.form(), {"user_id": sandbox.user("Иван Петров")}
    stage = {"status_id": sandbox.stage("Продажи", "Бриф получен")["status_id"]}
    events, hooks = act(scene, sandbox, hooked, lambda: scene.post(f"leads/unsorted/{first}/accept", {**user, **stage}))
    assert "lead_status_changed" in events
    assert {"unsorted[delete]", "leads[status]", "leads[update]"} <= set(hooks)
    (form,) = [sent for sent in hooked.forms() if sent.get("unsorted[delete][0][uid]") == first]
    assert form["unsorted[delete][0][action]"] == "accept"
    second = scene.form()
    path = f"{API}/leads/unsorted/{second}/decline"
    events, hooks = act(scene, sandbox, hooked, lambda: sandbox.call("DELETE", path, user))
    assert "lead_deleted" in events
    assert "unsorted[delete]" in hooks
    assert sandbox.call("POST", f"{API}/leads/unsorted/{second}/accept", {**user, **stage}).status_code == 404


# --- what a webhook leaves out -----------------------------------------------------------------------------------


def test_a_nameless_free_lead_has_an_empty_name_and_no_price(
    sandbox: ServedSandbox, hooked: Receiver, scene: Scene
) -> None:
    act(scene, sandbox, hooked, lambda: scene.post("leads", [{"request_id": "x"}]))
    form = hooked.forms()[-1]
    assert form["leads[add][0][name]"] == ""
    assert not [key for key in form if "price" in key or "custom_fields" in key or "tags" in key]


def test_a_task_says_its_times_in_utc_and_a_note_in_moscow_time(
    sandbox: ServedSandbox, hooked: Receiver, scene: Scene
) -> None:
    act(
        scene,
        sandbox,
        hooked,
        lambda: scene.post("tasks", [{"text": "a", "complete_till": DUE, "created_at": 1_700_000_000}]),
    )
    act(
        scene,
        sandbox,
        hooked,
        lambda: scene.post(
            f"leads/{scene.lead}/notes", [{"note_type": "common", "params": {"text": "a"}, "created_at": 1_700_000_000}]
        ),
    )
    task, note = hooked.forms()[-2:]
    assert task["task[add][0][date_create]"] == "2023-11-14 22:13:20"
    assert task["task[add][0][complete_before]"] == str(DUE)
    assert note["leads[note][0][note][date_create]"] == "2023-11-15 01:13:20"
