"""Tasks go to Megaplan once, under the client's project, whatever happens between the two steps; state and comments
come back once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import jsonify
from sqlalchemy import insert, select, update
from support.fakes import ACCOUNT, BRIEF, NOON, agency, clock, record, rule_engine

from amo_bridge.channels.megaplan import A_PAGE, Megaplan, MegaplanJob
from amo_bridge.config.other_crms import MegaplanSection
from amo_bridge.crm.account import Field
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelDown, ChannelError, ChannelUncertain
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.standins import megaplan as standin
from amo_bridge.standins.megaplan import MegaplanStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import megaplan_tasks, outbox, tasks

FIELD = Field(991, "Проект в Мегаплане", None, "numeric", (), "leads")
TEXT = "Медиаплан: посчитать кампанию"


class Office:
    def __init__(self, store: Store, stand_ins: StandIns) -> None:
        self.store, self.stand_ins = AccountStore(store, ACCOUNT), stand_ins
        made = stand_ins["megaplan"]
        assert isinstance(made, MegaplanStandIn)
        self.there, self.hands, self.told, self.dry_run = made, clock(), list[str](), False
        self.section = MegaplanSection.model_validate(
            {
                "api": f"{stand_ins.url}/megaplan",
                "login": made.username,
                "head": "9",
                "tasks": [
                    {"begins": ["Медиаплан"], "responsible": "7"},
                    {"begins": ["Запуск"], "responsible": "8", "is_global": True},
                ],
            }
        )
        self.job = self.restarted()
        self.deal(7, "5")
        self.round()

    def restarted(self) -> MegaplanJob:
        """As after a kill."""
        client = Megaplan(self.section, self.there.password, monotonic=lambda: self.hands.now().timestamp())
        tell = lambda text, about: self.told.append(text)  # noqa: E731
        job = MegaplanJob(client, self.section, self.store, self.engine, self.hands, self.hands, tell)
        job.recover()
        return job

    def engine(self) -> RuleEngine:
        engine = rule_engine()
        account = replace(agency(), all_fields=(*agency().all_fields, FIELD))
        bridge = engine.config.bridge.model_copy(update={"dry_run": self.dry_run})
        return replace(engine, account=account, config=replace(engine.config, bridge=bridge))

    def deal(self, number: int, project: str) -> None:
        known = replace(record(BRIEF, number), fields={FIELD.id: (project,)} if project else {})
        with self.store.write() as connection:
            Mirror(self.store).put(connection, [MirroredDeal(known, NOON)], NOON)

    def task(self, number: int, text: str = TEXT, deal: int = 7, *, minutes: int = 1) -> None:
        at = (self.hands.now() + timedelta(minutes=minutes)).timestamp()
        row = {
            "account": ACCOUNT, "task_id": number, "entity_type": "deal", "entity_id": deal, "created_by": 0,
            "responsible_user_id": 1, "task_type_id": 1, "text": text, "is_completed": False,
            "due_at": at + 86400, "created_at": at, "updated_at": at,
        }  # fmt: skip
        with self.store.write() as connection:
            connection.execute(insert(tasks).values(row))

    def finish(self, number: int) -> None:
        with self.store.write() as connection:
            connection.execute(update(tasks).where(tasks.c.task_id == number).values(is_completed=True))

    def round(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            with suppress(ChannelError):
                self.job.send()
            self.hands.advance(timedelta(minutes=1))
            self.stand_ins.timeline.advance(60)

    def job_error(self) -> str:
        """What the next round says is wrong, once nothing is put off; empty if nothing."""
        self.hands.advance(timedelta(minutes=15))
        try:
            self.job.send()
        except ChannelError as error:
            return str(error)
        return ""

    def states(self) -> list[str]:
        with self.store.read() as connection:
            return list(connection.execute(select(megaplan_tasks.c.state).order_by(megaplan_tasks.c.id)).scalars())

    def planned(self) -> list[tuple[str, Any]]:
        with self.store.read() as connection:
            rows = connection.execute(select(outbox.c.kind, outbox.c.payload).order_by(outbox.c.id)).all()
            return [(row.kind, json.loads(row.payload)["body"]) for row in rows]

    @property
    def only(self) -> dict[str, Any]:
        (made,) = self.there.tasks.values()
        return made


@pytest.fixture
def office(store: Store) -> Iterator[Office]:
    stand_ins = StandIns(["megaplan"], live=False)
    with serving(stand_ins):
        yield Office(store, stand_ins)


def test_a_task_is_made_under_the_clients_project(office: Office) -> None:
    office.task(31)
    office.task(32, "Позвонить")
    office.round(3)
    made = office.only
    assert (made["name"], made["responsible"]["id"], made["parent"]["id"]) == (TEXT, "7", "5")
    assert "/leads/detail/7" in made["subject"]
    assert "auditors" not in made
    assert office.states() == ["linked"]


def test_the_head_audits_a_global_task(office: Office) -> None:
    office.task(31, "Запуск кампании")
    office.round(2)
    assert [one["id"] for one in office.only["auditors"]] == ["9"]


def test_tasks_of_before_it_was_connected_stay_here(office: Office) -> None:
    office.task(31, minutes=-60)
    office.round(3)
    assert office.there.tasks == {}


def test_without_a_project_it_waits_and_a_person_is_told(office: Office) -> None:
    office.deal(8, "")
    office.task(31, deal=8)
    office.round(2)
    assert "поле «Проект в Мегаплане» не число в сделках: 8" in office.told[0]
    assert office.there.tasks == {}
    office.deal(8, "5")
    office.round(2)
    assert len(office.there.tasks) == 1


@pytest.mark.parametrize("kind", ["limited", "unauthorised", "broken", "lost_answer", "refuse_before"])
@pytest.mark.parametrize("path", ["*access_token", "*v3/task", "*v3/task/1*"])
def test_whatever_happens_one_task_is_made_and_linked(office: Office, kind: str, path: str) -> None:
    office.job = office.restarted()
    office.task(31)
    office.stand_ins.faults.add(kind, path=path, count=2)
    office.round(120)
    assert office.states() == ["linked"]
    assert office.only["parent"]["id"] == "5"


def test_an_answer_without_the_state_is_no_task_that_is_gone(office: Office) -> None:
    office.task(31)
    office.round(3)
    status = office.only.pop("status")
    office.round(30)
    assert office.states() == ["linked"]
    assert "не ответил как надо" in office.job_error()
    office.only["status"] = status
    office.round(30)
    office.only["status"] = "done"
    office.round(30)
    assert office.states() == ["done"]


@pytest.mark.parametrize("status", [403, 500])
def test_an_error_with_http_200_ends_nothing(office: Office, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    office.task(31)
    office.round(3)
    with monkeypatch.context() as patch:
        patch.setattr(standin, "_answer", lambda *_: jsonify(meta={"status": status, "errors": []}, data=None))
        if status == 500:
            # Done all the same: it is looked for before it is made again.
            office.task(32, "Медиаплан: второй")
        office.round(30)
        assert "gone" not in office.states()
    office.round(90)
    assert set(office.states()) == {"linked"}
    assert len(office.there.tasks) == len(office.states())


def killed(office: Office, method: str, *, after: bool) -> None:
    """The process dies in the middle of this call, before it or after Megaplan has done it."""
    real = getattr(office.job._megaplan, method)

    def dies(*told: Any) -> Any:
        if after:
            real(*told)
        raise KeyboardInterrupt

    setattr(office.job._megaplan, method, dies)
    with pytest.raises(KeyboardInterrupt):
        office.job.send()
    office.job = office.restarted()


@pytest.mark.parametrize("after", [False, True], ids=["before it was sent", "after it was done"])
@pytest.mark.parametrize("method", ["create", "put_into_project"])
def test_killed_anywhere_it_is_made_once(office: Office, method: str, *, after: bool) -> None:
    office.task(31)
    killed(office, method, after=after)
    office.round(5)
    assert office.states() == ["linked"]
    assert office.only["parent"]["id"] == "5"


def test_a_lost_task_is_found_among_many(office: Office) -> None:
    for number in range(120):
        office.there.tasks[number + 1] = {"id": str(number + 1), "name": "Чужая", "subject": "", "status": "assigned"}
    office.task(31)
    killed(office, "create", after=True)
    office.round(5)
    assert (len(office.there.tasks), office.states()) == (121, ["linked"])


def test_a_refused_task_does_not_hold_up_the_others(office: Office) -> None:
    office.deal(8, "404")
    office.task(31, deal=8)
    office.task(32)
    office.round(3)
    assert office.states() == ["made", "linked"]
    assert "не принял задачу сделки 8" in office.told[0]
    office.there.projects.append("404")
    office.round(70)
    assert (office.states(), len(office.there.tasks)) == (["linked", "linked"], 2)


@pytest.mark.parametrize("error", [ChannelDown("403: нет прав"), ChannelUncertain("502")])
def test_one_that_gets_no_answer_does_not_hold_up_the_others(
    office: Office, monkeypatch: pytest.MonkeyPatch, error: ChannelError
) -> None:
    megaplan = office.job._megaplan
    put, first = megaplan.put_into_project, list[str]()

    def refuse_the_first(number: str, project: str) -> None:
        first.append(number)
        if number == first[0]:
            raise error
        put(number, project)

    monkeypatch.setattr(megaplan, "put_into_project", refuse_the_first)
    office.task(31)
    office.task(32)
    office.round(3)
    assert office.states() == ["made", "linked"]


def test_what_is_finished_here_first_is_not_made_there(office: Office) -> None:
    office.there.projects.clear()
    office.deal(7, "")
    office.task(31)
    office.round()
    office.deal(7, "5")
    office.finish(31)
    office.round(3)
    assert office.there.tasks == {}


def test_comments_become_notes_once_and_the_end_finishes_the_task(office: Office) -> None:
    office.task(31)
    office.round(2)
    number = int(office.only["id"])
    office.there.say(number, "Дмитрий", "Считаю")
    office.round(12)
    office.there.say(number, "Дмитрий", "Готово: 120 000")
    office.there.tasks[number]["status"] = "done"
    office.round(12)
    notes = [body["params"]["text"] for kind, body in office.planned() if kind == "add_note"]
    ends = [body for kind, body in office.planned() if kind == "change_task"]
    assert notes == ["Megaplan, Дмитрий: Считаю", "Megaplan, Дмитрий: Готово: 120 000"]
    result = {"text": "Выполнена в Мегаплане: Готово: 120 000"}
    assert ends == [{"id": 31, "is_completed": True, "result": result}]
    assert office.states() == ["done"]


def test_a_talk_longer_than_a_page_is_read_to_its_end(office: Office) -> None:
    office.task(31)
    office.round(2)
    number = int(office.only["id"])
    for place in range(A_PAGE + 3):
        office.there.say(number, "Дмитрий", f"Вариант {place}")
    office.round(12)
    notes = [body["params"]["text"] for kind, body in office.planned() if kind == "add_note"]
    assert notes == [f"Megaplan, Дмитрий: Вариант {place}" for place in range(A_PAGE + 3)]


def test_a_kill_before_comments_are_kept_repeats_none(office: Office) -> None:
    office.task(31)
    office.round(2)
    office.there.say(int(office.only["id"]), "Дмитрий", "Считаю")
    office.hands.advance(timedelta(minutes=6))
    killed(office, "comments", after=True)
    office.round(20)
    assert len(office.planned()) == 1


@pytest.mark.parametrize("how", ["finished here", "deleted there"])
def test_what_is_over_is_asked_about_no_more(office: Office, how: str) -> None:
    office.task(31)
    office.round(2)
    if how == "finished here":
        office.finish(31)
    else:
        office.there.tasks.clear()
    office.round(12)
    assert (office.states(), office.planned()) == (["gone"], [])


def test_a_dry_run_makes_nothing(office: Office) -> None:
    office.dry_run = True
    office.task(31)
    office.round(5)
    assert office.there.tasks == {}


def test_check_and_a_wrong_password(office: Office) -> None:
    assert Megaplan(office.section, office.there.password).check() == "Megaplan пускает"
    with pytest.raises(ChannelDown, match="проверьте login и AMO_BRIDGE_MEGAPLAN_PASSWORD"):
        Megaplan(office.section, "wrong").check()
