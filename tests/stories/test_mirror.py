"""What the bridge keeps beside the deals agrees with amoCRM, by hooks and without them, and costs next to nothing."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from support.local_crm import TOKEN, LocalCrm
from support.running_bridge import RunningBridge, wait_until
from support.task_mirror import TaskMirror

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.mirror.contacts import ContactIndex
from amo_bridge.mirror.touches import TouchLog
from amo_bridge.runtime.worker import EVERY_SECONDS, RECONCILE
from amo_bridge.storage.accounts import RECONCILED_AT, TOUCHES_FILLED, Cursors, known_key
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import cursors

NEW, MEETING = "Продажи / Новый клиент", "Продажи / Встреча назначена"
IVAN = "Иван Петров"


class Watched:
    """An account with a bridge: what people do in it, and what the bridge's copies say."""

    def __init__(self, bridge: RunningBridge, crm: LocalCrm, office: CrmUser) -> None:
        self.bridge, self.crm, self.office = bridge, crm, office
        self.user = office.users[IVAN]
        store, url = bridge._store, bridge.config.account.url
        key = known_key(store, url)
        assert key is not None
        self.store, self.key = store, key
        self.tasks, self.index = TaskMirror(AccountStore(store, key)), ContactIndex(AccountStore(store, key))
        # A gate of the example may put the deal back: what the bridge does itself is no touch.
        self.touches = TouchLog(AccountStore(store, key), self._bridges_user())
        wait_until(self._is_filled, "the first reading is done")

    def _bridges_user(self) -> int:
        answer = requests.get(
            f"{self.crm.url}/api/v4/account", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
        )
        return int(answer.json()["current_user_id"])

    def _is_filled(self) -> bool:
        with self.store.read() as connection:
            names = {row.name for row in connection.execute(cursors.select())}
        return {"tasks_filled", "contacts_filled", TOUCHES_FILLED} <= names

    def post(self, path: str, body: Any, method: str = "POST") -> int:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Sandbox-Person": str(self.user)}
        answer = requests.request(method, f"{self.crm.url}/api/v4/{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        (rows,) = answer.json()["_embedded"].values()
        return int(rows[0]["id"])

    def ui(self, what: str, **told: Any) -> Any:
        return self.crm.control("POST", f"ui/{what}", {"user_id": self.user, **told})

    def contact(self, name: str, phone: str) -> int:
        values = [{"field_code": "PHONE", "values": [{"value": phone, "enum_code": "MOB"}]}]
        return self.post("contacts", [{"name": name, "custom_fields_values": values}])

    def task(self, text: str, deal: int, **more: Any) -> int:
        body = {"text": text, "complete_till": 1_900_000_000, "entity_type": "leads", "entity_id": deal}
        return self.post("tasks", [body | more])

    def catch_up(self) -> None:
        looked = Cursors(AccountStore(self.store, self.key))
        before = looked.read(RECONCILED_AT)
        worker = self.bridge.bridge._worker
        assert worker is not None
        worker.request_job(RECONCILE)
        wait_until(lambda: looked.read(RECONCILED_AT) != before, "the bridge has looked")
        self.bridge.settle(self.crm)

    def in_amocrm(self) -> dict[int, tuple[str, int, int]]:
        rows = [row for row in self.crm.world.table("tasks").values() if not row["is_completed"]]
        return {row["id"]: (row["text"], row["complete_till"], row["responsible_user_id"]) for row in rows}

    def in_mirror(self) -> dict[int, tuple[str, int, int]]:
        tasks = self.tasks.open_tasks()
        return {one.id: (one.text, int(one.due.timestamp()), one.responsible_user_id) for one in tasks}


@pytest.fixture
def watched(bridge: RunningBridge, sandbox: LocalCrm, office: CrmUser) -> Watched:
    return Watched(bridge, sandbox, office)


def live(watched: Watched) -> tuple[int, int]:
    """A day's work on one deal; the deal and its contact."""
    anna = watched.contact("Иванова Анна", "8 (916) 123-45-67")
    deal = watched.office.new_deal(IVAN, "Ромашка", NEW, anna, 100)
    watched.crm.later()
    kept, moved, done, gone = (watched.task(text, deal) for text in ("Остаётся", "Двигают", "Делают", "Удаляют"))
    watched.task("У контакта", anna, entity_type="contacts")
    watched.crm.later()
    watched.post("tasks", [{"id": moved, "complete_till": 1_900_000_600}], "PATCH")
    watched.crm.later()
    watched.post("tasks", [{"id": moved, "text": "Подвинута"}], "PATCH")
    watched.post("tasks", [{"id": done, "is_completed": True, "result": {"text": "да"}}], "PATCH")
    watched.ui("delete_task", task_id=gone)
    watched.crm.later()
    call = {"phone": "+79161234567", "duration": 95, "source": "АТС", "uniq": "u1"}
    watched.post(f"leads/{deal}/notes", [{"note_type": "call_out", "params": call}])
    letter = {"entity_type": "leads", "entity_id": deal, "from_email": "anna@client.example", "user_id": 0}
    watched.ui("incoming_mail", **letter, subject="Re: Бриф", summary="Добрый день! Бриф пришлём завтра")
    # Neither subject nor text: somebody has to read it, and until then it is no touch.
    watched.ui("incoming_mail", **letter)
    watched.ui("incoming_message", contact_id=anna, lead_id=deal, text="привет", user_id=0)
    watched.crm.later()
    watched.office.fill(IVAN, deal, "Дата первой встречи", 1_900_000_000)
    watched.office.move(IVAN, deal, MEETING)
    watched.crm.later()
    watched.post("contacts", [{"id": anna, "last_name": "Петрова"}], "PATCH")
    assert kept
    return deal, anna


def agrees(watched: Watched, deal: int, anna: int) -> None:
    assert watched.in_mirror() == watched.in_amocrm()
    (contact,) = watched.index.by_phones(["+7 916 123-45-67"])["+7 916 123-45-67"]
    assert (contact.id, contact.deal_ids, contact.surname) == (anna, (deal,), "Петрова")
    touches = [(one.kind, one.direction, one.user_id) for one in watched.touches.on([("deal", deal)])[("deal", deal)]]
    assert sorted(touches, key=str) == sorted(
        [
            ("task", "", watched.user),
            ("call", "out", watched.user),
            ("mail", "in", None),
            ("chat", "in", None),
            ("move", "", watched.user),
        ],
        key=str,
    )


@pytest.mark.parametrize(
    "weather",
    [
        pytest.param([], id="hooks come"),
        pytest.param([{"kind": "hook_drop"}], id="no hook comes"),
        pytest.param([{"kind": "hook_drop", "probability": 0.5, "seed": 4}], id="every other hook comes"),
        pytest.param(
            [{"kind": "hook_duplicate"}, {"kind": "hook_reorder", "probability": 0.5, "seed": 7}],
            id="mixed up",
        ),
    ],
)
def test_the_copies_agree_with_amocrm_whatever_becomes_of_the_hooks(
    watched: Watched, weather: list[dict[str, Any]], request: pytest.FixtureRequest
) -> None:
    for fault in weather:
        watched.crm.fault(**fault)
    deal, anna = live(watched)
    watched.bridge.settle(watched.crm)
    watched.crm.good_weather()
    watched.catch_up()
    agrees(watched, deal, anna)
    # Events, however many rules listen to each.
    heard = {(entry.event_id, entry.what) for entry in watched.bridge.journal(deal)}
    assert len([what for _, what in heard if what.startswith("клиент ответил")]) == 3
    assert len([what for _, what in heard if "задача выполнена" in what]) == 1
    # Set and deleted while nobody told of it: on whose card it was, nobody knows any more.
    was_seen = "no hook comes" not in request.node.name
    assert len([what for _, what in heard if "задача удалена" in what]) == was_seen
    watched.catch_up()
    assert {(entry.event_id, entry.what) for entry in watched.bridge.journal(deal)} == heard


def test_an_idle_bridge_asks_less_than_once_a_minute(watched: Watched) -> None:
    live(watched)
    watched.bridge.settle(watched.crm)
    watched.crm.later(600)
    watched.catch_up()
    watched.crm.forget_requests()
    watched.catch_up()
    wait_until(lambda: "GET /api/v4/webhooks" in watched.crm.requests(), "the look is over")
    lists = ("leads", "contacts", "events", "webhooks")
    assert watched.crm.requests() == {f"GET /api/v4/{name}": 1 for name in lists}
    assert len(lists) / (EVERY_SECONDS[RECONCILE] / 60) <= 1
