"""The school's managers at work with webinar clients: W4 to W11, over HTTP, by the shipped example."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.local_crm import LocalCrm, served
from support.running_bridge import RunningBridge, wait_until
from support.webinar_samples import ACCOUNT, LONG, school_config

from amo_bridge.config.model import Absence, Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.engine.dead_letters import DeadLetters
from amo_bridge.rules.option_types import UserName
from amo_bridge.runtime.worker import NAMES
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.accounts import known_key
from amo_bridge.storage.database import AccountStore

SUPPORT = "Дарья Зимина"
HEAD, NATALIA, SERGEY = "Марина Котова", "Наталья Белова", "Сергей Лукин"
THINKS, MISSED = "Вебинары / Думает (поговорили)", "Вебинары / Недозвонились до клиента"
EUROPE = "Вебинары / Недозвонились до клиента. Европа"
REPEAT = "Вебинары / Отправлен на повтор вебинара"
WON, LOST = "Вебинары / Успешно реализовано", "Вебинары / Закрыто и не реализовано"
GIST = "Записать в примечание суть разговора"
WEEK = 7 * 24 * 3600


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The school's amoCRM."""
    with served(load_world(ACCOUNT)) as crm:
        yield crm


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path) -> Config:
    return school_config(sandbox.url, tmp_path / "data")


class School:
    """The school's people; after each deed the bridge is let finish what follows from it."""

    def __init__(self, office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm) -> None:
        self.office = office
        self._bridge = bridge
        self._sandbox = sandbox

    def settle(self) -> None:
        self._bridge.settle(self._sandbox)
        self._sandbox.later()

    def client(self, phone: str = "+79165554433", owner: str = HEAD, on: str = LONG) -> int:
        """A client's deal, as an import would leave it."""
        asked = {"name": "Анна", "custom_fields_values": [{"field_code": "PHONE", "values": [{"value": phone}]}]}
        made = self.office._ask("POST", "/api/v4/contacts", [asked], HEAD)
        deal = self.office.new_deal(owner, "anna@example.ru, Анна", on, made["_embedded"]["contacts"][0]["id"], 10_000)
        self.settle()
        return deal

    def patch(self, person: str, deal: int, **body: Any) -> None:
        self.office._ask("PATCH", f"/api/v4/leads/{deal}", body, person)
        self.settle()

    def take(self, person: str, deal: int) -> None:
        self.patch(person, deal, responsible_user_id=self.office.users[person])

    def move(self, person: str, deal: int, stage: str, **more: Any) -> None:
        self.office.move(person, deal, stage, **more)
        self.settle()

    def call(self, person: str, deal: int, seconds: int = 0) -> None:
        params = {"uniq": f"{deal}-{self.office.now()}", "duration": seconds, "phone": "+79165554433", "source": "pbx",
                  "call_status": 4 if seconds else 6, "call_result": ""}  # fmt: skip
        self._note(person, deal, "call_out", params)

    def exchange_calls(self, person: str, phone: str) -> str:
        """A missed call as a telephone exchange logs it: amoCRM decides on whose card. Returns what card that is."""
        call = {"direction": "outbound", "duration": 0, "source": "pbx", "phone": phone, "call_status": 6,
                "created_by": self.office.users[person], "responsible_user_id": self.office.users[person]}  # fmt: skip
        logged = self.office._ask("POST", "/api/v4/calls", [call], person)
        self.settle()
        return str(logged["_embedded"]["calls"][0]["entity_type"])

    def write(self, person: str, deal: int, text: str) -> None:
        self._note(person, deal, "common", {"text": text})

    def _note(self, person: str, deal: int, kind: str, params: dict[str, Any]) -> None:
        self.office._ask("POST", f"/api/v4/leads/{deal}/notes", [{"note_type": kind, "params": params}], person)
        self.settle()

    def work_with(self, bridge: RunningBridge) -> None:
        self._bridge = bridge

    def switch_off(self, name: str) -> None:
        users = self.office.users
        self._sandbox.control("POST", "ui/deactivate_user", {"user_id": users[HEAD], "target_id": users[name]})
        self._sandbox.forget_requests()
        # It does so every now and then; the worker judges nothing meanwhile.
        self._bridge.bridge.request_job(NAMES)
        wait_until(lambda: "GET /api/v4/users" in self._sandbox.requests(), "the bridge reads who works here")
        self.settle()

    def told_to(self, name: str, deal: int) -> list[str]:
        """The explanations that somebody was given."""
        return [row["text"] for row in self.office.tasks(deal) if row["who"] == name and "возвращён" in row["text"]]

    def owner(self, deal: int) -> str:
        names = {user: name for name, user in self.office.users.items()}
        return names[self.office.deal(deal)["responsible_user_id"]]

    def tags(self, deal: int) -> list[str]:
        return sorted(tag["name"] for tag in self.office.deal(deal)["_embedded"]["tags"])

    def open_tasks(self, deal: int) -> dict[str, str]:
        return {row["text"]: row["who"] for row in self.office.tasks(deal) if not row["is_completed"]}

    def reason(self, deal: int) -> str:
        return str(self.office.deal(deal)["_embedded"]["loss_reason"][0]["name"])


def failures(bridge: RunningBridge) -> list[str]:
    store = bridge.bridge.resources.store
    key = known_key(store, bridge.config.account.url)
    assert key is not None
    return [one.error for one in DeadLetters(AccountStore(store, key), bridge.bridge.clock).all()]


@pytest.fixture
def school(office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm) -> School:
    return School(office, bridge, sandbox)


def test_nobody_s_client_is_taken_and_a_colleague_s_is_given_back(school: School) -> None:
    deal = school.client()
    school.take(NATALIA, deal)
    assert (school.owner(deal), school.tags(deal)) == (NATALIA, ["Наталья"])
    school.take(SERGEY, deal)
    assert (school.owner(deal), school.tags(deal)) == (NATALIA, ["Наталья"])
    ((text, who),) = school.open_tasks(deal).items()
    assert who == SERGEY
    assert "за клиента отвечает Наталья Белова" in text


@pytest.mark.parametrize("person", [HEAD, NATALIA], ids=["the head takes him back", "the manager gives him back"])
def test_a_client_who_is_nobody_s_again_is_nobody_s_by_his_tags(school: School, person: str) -> None:
    deal = school.client()
    school.take(NATALIA, deal)
    school.patch(person, deal, responsible_user_id=school.office.users[HEAD])
    assert (school.owner(deal), school.tags(deal), school.open_tasks(deal)) == (HEAD, ["Наталья"], {})
    school.take(SERGEY, deal)
    assert (school.owner(deal), school.tags(deal)) == (SERGEY, ["Наталья", "Сергей"])


def test_the_clients_of_a_manager_who_left_may_be_taken(school: School, bridge: RunningBridge) -> None:
    """What she had is the head's now, and from the head anybody may take a client; her open task binds nobody."""
    deal = school.client(owner=NATALIA)
    school.office.new_task(NATALIA, deal, "Позвонить в четверг")
    school.switch_off(NATALIA)
    school.take(SERGEY, deal)
    assert (school.owner(deal), school.tags(deal)) == (SERGEY, ["Сергей"])
    assert school.told_to(SERGEY, deal) == []
    assert failures(bridge) == []


def test_a_client_of_the_head_with_a_task_of_somebody_who_left_may_be_taken(school: School) -> None:
    deal = school.client()
    school.office.new_task(NATALIA, deal, "Позвонить в четверг")
    school.settle()
    school.take(SERGEY, deal)
    assert (school.owner(deal), len(school.told_to(SERGEY, deal))) == (HEAD, 1), "as long as she works here"
    school.switch_off(NATALIA)
    school.take(SERGEY, deal)
    assert (school.owner(deal), school.tags(deal)) == (SERGEY, ["Сергей"])


def test_another_deal_of_a_manager_who_left_keeps_nobody_from_the_client(school: School) -> None:
    deal = school.client()
    client = school.office.deal(deal)["_embedded"]["contacts"][0]["id"]
    school.office.new_deal(NATALIA, "Второй курс", THINKS, client, 10_000)
    school.settle()
    school.switch_off(NATALIA)
    school.take(SERGEY, deal)
    assert school.owner(deal) == SERGEY


def test_a_client_taken_from_the_deputy_of_who_left_goes_back_to_the_deputy(
    school: School, start_bridge: Callable[[Config], RunningBridge], config: Config, bridge: RunningBridge
) -> None:
    deal = school.client(owner=NATALIA)
    bridge.stop()
    day = school.office.now().date()
    away = Absence.model_validate({"from": str(day), "to": str(day + timedelta(days=90)), "deputy": SUPPORT})
    running = start_bridge(replace(config, absences={UserName(NATALIA): (away,)})).wait_ready()
    school.work_with(running)
    school.switch_off(NATALIA)
    school.take(SERGEY, deal)
    assert school.owner(deal) == SUPPORT
    assert len(school.told_to(SERGEY, deal)) == 1
    assert failures(running) == []


def test_a_client_who_thinks_has_a_task(school: School) -> None:
    deal = school.client(owner=NATALIA)
    school.move(NATALIA, deal, THINKS)
    assert school.open_tasks(deal) == {"Связаться с клиентом, как договорились": NATALIA}
    till = int(school.office.now().timestamp()) + 2 * WEEK
    own = {"text": "Позвонить в четверг", "complete_till": till, "entity_id": deal, "entity_type": "leads",
           "responsible_user_id": school.office.users[NATALIA]}  # fmt: skip
    school.office._ask("POST", "/api/v4/tasks", [own], NATALIA)
    school.settle()
    assert school.open_tasks(deal) == {"Позвонить в четверг": NATALIA}
    (moved,) = [row for row in school.office.tasks(deal) if row["text"] == "Позвонить в четверг"]
    assert moved["complete_till"] <= till - WEEK


def test_the_third_missed_call_closes_the_deal(school: School) -> None:
    deal = school.client(owner=NATALIA)
    school.call(NATALIA, deal)
    assert school.office.stage_of(deal) == MISSED
    assert "Перезвонить клиенту" in school.open_tasks(deal)
    school.call(NATALIA, deal)
    assert school.office.stage_of(deal) == MISSED
    school.call(NATALIA, deal)
    assert (school.office.stage_of(deal), school.reason(deal)) == (LOST, "Не дозвонились более 3 раз")
    assert school.open_tasks(deal) == {}


def test_after_a_talk_nobody_is_to_be_called_again(school: School) -> None:
    deal = school.client(owner=NATALIA)
    school.call(NATALIA, deal)
    school.call(NATALIA, deal, seconds=95)
    assert school.open_tasks(deal) == {GIST: NATALIA}
    assert school.office.stage_of(deal) == MISSED


def test_on_a_closed_deal_the_bridge_leaves_nothing_to_do_but_the_gist(school: School) -> None:
    deal = school.client(owner=NATALIA)
    school.move(NATALIA, deal, THINKS)
    school.call(NATALIA, deal, seconds=95)
    assert set(school.open_tasks(deal)) == {"Связаться с клиентом, как договорились", GIST}
    school.move(NATALIA, deal, LOST, loss_reason_id=school.office.reasons["Не одобрена рассрочка"])
    assert school.office.stage_of(deal) == LOST
    assert school.open_tasks(deal) == {GIST: NATALIA}


def test_missed_calls_on_the_client_s_own_card_count(school: School) -> None:
    """With two open deals amoCRM writes the call to the contact: only the one on a stage for callers moves."""
    phone = "+79165554499"
    deal = school.client(phone=phone, owner=NATALIA)
    client = school.office.deal(deal)["_embedded"]["contacts"][0]["id"]
    other = school.office.new_deal(NATALIA, "Второй курс", REPEAT, client, 10_000)
    school.settle()
    assert school.exchange_calls(NATALIA, phone) == "contact"
    assert school.office.stage_of(deal) == MISSED
    assert "Перезвонить клиенту" in school.open_tasks(deal)
    for _ in range(2):
        assert school.exchange_calls(NATALIA, phone) == "contact"
    assert (school.office.stage_of(deal), school.reason(deal)) == (LOST, "Не дозвонились более 3 раз")
    assert school.office.stage_of(other) == REPEAT


def test_a_client_abroad_is_written_to(school: School) -> None:
    deal = school.client(phone="+77771234567", owner=NATALIA)
    assert school.tags(deal) == ["писать, не звонить"]
    school.call(NATALIA, deal)
    assert school.office.stage_of(deal) == EUROPE
    assert school.open_tasks(deal) == {"Написать клиенту на почту или в мессенджер": NATALIA}


def test_success_only_with_the_full_payment(school: School) -> None:
    deal = school.client(owner=NATALIA)
    school.move(NATALIA, deal, WON)
    assert school.office.stage_of(deal) == LONG
    assert any("дождитесь полной оплаты" in text for text in school.open_tasks(deal))
    school.office.fill(NATALIA, deal, "Оплачено", "10000")
    school.settle()
    school.move(NATALIA, deal, WON)
    assert school.office.stage_of(deal) == WON
    assert school.open_tasks(deal) == {}


def test_a_loss_needs_its_reason_and_some_reasons_a_note(school: School) -> None:
    deal = school.client(owner=NATALIA)
    school.move(NATALIA, deal, LOST)
    assert school.office.stage_of(deal) == LONG
    expensive = {"loss_reason_id": school.office.reasons["Дорого"]}
    school.move(NATALIA, deal, LOST, **expensive)
    assert school.office.stage_of(deal) == LONG
    assert any("напишите примечание" in text for text in school.open_tasks(deal))
    school.write(NATALIA, deal, "Говорит, что дорого, возражение отработали")
    school.office.new_task(NATALIA, deal, "Вернуться к разговору через год")
    school.move(NATALIA, deal, LOST, **expensive)
    assert school.office.stage_of(deal) == LOST
    assert school.open_tasks(deal) == {"Вернуться к разговору через год": NATALIA}


def test_after_a_talk_its_gist_is_written_down(school: School) -> None:
    deal = school.client(owner=NATALIA)
    school.call(NATALIA, deal, seconds=95)
    assert school.open_tasks(deal) == {GIST: NATALIA}
    school.write(NATALIA, deal, "Думает до четверга, советуется с мужем")
    assert school.open_tasks(deal) == {}


def test_one_missed_call_that_a_widget_notes_three_times_is_one_try(school: School) -> None:
    deal = school.client(owner=NATALIA)
    params = {"uniq": "8f52d38a-17", "duration": 0, "phone": "+79165554433", "source": "pbx", "call_status": 6}
    for _ in range(3):
        school._note(NATALIA, deal, "call_out", params)
    assert (school.office.stage_of(deal), school.open_tasks(deal)) == (MISSED, {"Перезвонить клиенту": NATALIA})
    contact = school.office.deal(deal)["_embedded"]["contacts"][0]["id"]
    note = {"note_type": "call_out", "params": params | {"uniq": ""}}
    school.office._ask("POST", f"/api/v4/contacts/{contact}/notes", [note], NATALIA)
    school.settle()
    assert school.office.stage_of(deal) == MISSED


@pytest.mark.parametrize("facts", [{"call_status": 1}, {"call_status": 7}, {"call_result": "Voicemail"}])
def test_half_a_minute_of_ringing_is_no_talk(school: School, facts: dict[str, Any]) -> None:
    deal = school.client(owner=NATALIA)
    school._note(NATALIA, deal, "call_out", {"duration": 45, "phone": "+79165554433", "source": "pbx"} | facts)
    assert (school.office.stage_of(deal), GIST in school.open_tasks(deal)) == (MISSED, False)


@pytest.mark.parametrize(
    ("duration", "talked"), [("00:04:49", True), (35.6, True), ("долго", False)], ids=["a clock", "a fraction", "?"]
)
def test_the_length_of_a_call_is_read_or_unknown_and_never_nothing(
    school: School, bridge: RunningBridge, sandbox: LocalCrm, duration: object, talked: bool
) -> None:
    """As an older integration has written it: amoCRM itself takes only whole numbers now."""
    deal = school.client(owner=NATALIA)
    lost = sandbox.fault("hook_drop", setting="note_*")
    note = {"note_type": "call_out", "params": {"duration": 1, "phone": "+79165554433", "source": "pbx"}}
    made = school.office._ask("POST", f"/api/v4/leads/{deal}/notes", [note], NATALIA)["_embedded"]["notes"][0]["id"]
    sandbox.world.table("notes")[made]["params"]["duration"] = duration
    school.settle()
    assert sandbox.struck(lost)
    for _ in range(2):
        bridge.settle_at(sandbox, advance=360)
    wait_until(lambda: any("исходящий звонок" in entry.what for entry in bridge.journal(deal)), "the call is found")
    school.settle()
    assert school.office.stage_of(deal) == LONG, "nobody can tell that it was missed"
    assert (GIST in school.open_tasks(deal)) == talked
    told = "".join(entry.reason for entry in bridge.journal(deal))
    assert ("длина звонка не читается" in told) != talked


def test_a_client_with_whom_a_colleague_works_elsewhere_is_given_back(school: School) -> None:
    deal = school.client()
    contact = school.office.deal(deal)["_embedded"]["contacts"][0]["id"]
    other = school.office.new_deal(NATALIA, "Второй вебинар", THINKS, contact, 1)
    school.settle()
    school.take(SERGEY, deal)
    assert school.owner(deal) == HEAD
    assert any("её ведёт Наталья Белова: «Второй вебинар»" in text for text in school.open_tasks(deal))
    school.patch(HEAD, other, responsible_user_id=school.office.users[HEAD])
    school.take(SERGEY, deal)
    assert school.owner(deal) == SERGEY


def test_a_colleague_s_task_on_the_client_s_own_card_counts(school: School) -> None:
    deal = school.client()
    contact = school.office.deal(deal)["_embedded"]["contacts"][0]["id"]
    task = {"text": "Поздравить", "complete_till": int(school.office.now().timestamp()) + WEEK, "entity_id": contact,
            "entity_type": "contacts", "responsible_user_id": school.office.users[NATALIA]}  # fmt: skip
    school.office._ask("POST", "/api/v4/tasks", [task], NATALIA)
    school.settle()
    school.take(SERGEY, deal)
    assert school.owner(deal) == HEAD
    assert any("на карточке клиента открыта задача другого менеджера: «Поздравить»" in text
               for text in school.open_tasks(deal))  # fmt: skip


def test_the_explanation_of_a_put_back_waits_until_it_is_done(
    school: School, sandbox: LocalCrm, bridge: RunningBridge
) -> None:
    deal = school.client()
    school.take(NATALIA, deal)
    ill = sandbox.fault("status", status=503, method="PATCH", path="/api/v4/leads*")
    taken = {"responsible_user_id": school.office.users[SERGEY]}
    school.office._ask("PATCH", f"/api/v4/leads/{deal}", taken, SERGEY)
    wait_until(lambda: sandbox.struck(ill) > 1, "the put-back is tried again and again")
    assert (school.owner(deal), school.open_tasks(deal)) == (SERGEY, {}), "nobody is told what is not so"
    sandbox.good_weather()
    school.settle()
    assert school.owner(deal) == NATALIA
    ((text, who),) = school.open_tasks(deal).items()
    assert (text.startswith("Клиент возвращён прежнему ответственному"), who) == (True, SERGEY)
