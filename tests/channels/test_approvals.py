"""Approvals by buttons: who is asked, whose press counts, and that the message says what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from support.fakes import ACCOUNT, BRIEF, NOON, ScriptedCrm, clock, record, rule_engine, user

from amo_bridge.channels.approvals import Approvals
from amo_bridge.channels.max_bot import MaxBot
from amo_bridge.channels.messengers import Messenger
from amo_bridge.channels.presses import ButtonJob, Press, StaffBots, keep_press
from amo_bridge.channels.telegram import Bot
from amo_bridge.config.channels import (
    ApprovalsSection,
    Channels,
    MaxBotSection,
    PersonSection,
    TelegramSection,
    Way,
)
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Outbox
from amo_bridge.engine.people import People
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.write_results import BY_USER
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.tasks import MirroredTask, TaskRows
from amo_bridge.rules.option_types import UserName
from amo_bridge.standins.bots import BotStandIn, MaxStandIn, TelegramStandIn
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import approvals, outbox

HEAD, MANAGER, OTHER = "Елена Орлова", "Иван Петров", "Мария Кузнецова"
NUMBERS = {HEAD: 11, MANAGER: 22, OTHER: 33}
DEAL, TASK = 7, 501
APPROVE = "Согласовать КП"


class Office:
    """The job with the stand-ins of the messengers, the mirror's tasks and amoCRM's."""

    def __init__(self, store: Store, stand_ins: StandIns) -> None:
        self.store, self.stand_ins = AccountStore(store, ACCOUNT), stand_ins
        self.hands = clock()
        self.crm: Any = ScriptedCrm(rows={"/api/v4/tasks": []})
        self.ways: dict[str, dict[str, Any]] = {name: {"telegram": number} for name, number in NUMBERS.items()}
        self.tags: tuple[str, ...] = ()
        self.is_dry = False
        url = stand_ins.url
        for name in ("telegram", "max"):
            bot = stand_ins[name]
            assert isinstance(bot, BotStandIn)
            bot.people |= {number: person for person, number in NUMBERS.items()}
            bot.webhook_url = f"{url}/nowhere"
        self.sections = {"telegram": TelegramSection(api=f"{url}/telegram"), "max": MaxBotSection(api=f"{url}/max")}
        bots: dict[Way, Messenger] = {
            "telegram": Bot(self.sections["telegram"], self.telegram.token),  # type: ignore[arg-type]
            "max": MaxBot(self.sections["max"], self.max.token),  # type: ignore[arg-type]
        }
        section = ApprovalsSection(tasks=(APPROVE,))
        staff_bots = StaffBots(bots, self.hands)
        subject = Approvals(section, staff_bots, self.store, self.crm, self.rule_engine, self.hands)
        self.job = ButtonJob([subject], staff_bots, self.store, self.rule_engine, self.hands)
        self.has_deal()

    @property
    def telegram(self) -> TelegramStandIn:
        bot = self.stand_ins["telegram"]
        assert isinstance(bot, TelegramStandIn)
        return bot

    @property
    def max(self) -> MaxStandIn:
        bot = self.stand_ins["max"]
        assert isinstance(bot, MaxStandIn)
        return bot

    def rule_engine(self) -> RuleEngine:
        engine = rule_engine()
        people = {UserName(name): PersonSection.model_validate(ways) for name, ways in self.ways.items()}
        channels = Channels(telegram=self.sections["telegram"], max=self.sections["max"], people=people)  # type: ignore[arg-type]
        bridge = engine.config.bridge.model_copy(update={"dry_run": self.is_dry})
        config = replace(engine.config, channels=channels, bridge=bridge)
        return replace(engine, config=config, people=People(engine.account, {"head": UserName(HEAD)}))

    def has_deal(self) -> None:
        deal = record(BRIEF, DEAL, name="Ромашка", tags=self.tags)
        with self.store.write() as connection:
            Mirror(self.store).put(connection, [MirroredDeal(deal, NOON)], NOON)

    def has_task(
        self, who: str = HEAD, text: str = APPROVE, *, done: bool = False, result: str = "", in_mirror: bool = True
    ) -> None:
        """amoCRM has it so, and the mirror knows it."""
        now = int(self.hands.now().timestamp())
        row = {
            "id": TASK, "text": text, "is_completed": done, "responsible_user_id": user(who), "entity_id": DEAL,
            "entity_type": "leads", "task_type_id": 1, "complete_till": now + 3600, "created_at": now,
            "updated_at": now, "created_by": 0, "updated_by": 0, "result": {"text": result} if result else [],
        }  # fmt: skip
        self.crm.rows["/api/v4/tasks"] = [row]
        if not in_mirror:
            return
        task = MirroredTask(
            id=TASK, entity_type="deal", entity_id=DEAL, responsible_user_id=user(who), task_type_id=1, text=text,
            due=NOON, created_at=NOON, updated_at=self.hands.now(), is_completed=done, result=result or None,
        )  # fmt: skip
        with self.store.write() as connection:
            TaskRows(ACCOUNT).put(connection, [task])

    def later(self, seconds: float = 10) -> None:
        self.hands.advance(timedelta(seconds=seconds))
        self.job.send()

    def press(
        self, who: str, label: str = "Согласовано", *, way: Way = "telegram", key: str = "", data: str = ""
    ) -> None:
        """As the webhook brings it."""
        bot: Any = self.stand_ins[way]
        sent = bot.sent[-1]
        press = Press(
            way=way,  # type: ignore[arg-type]
            person=NUMBERS.get(who, 99),
            chat_id=sent.get("chat_id", sent.get("user_id")),
            message=str(sent["id"]),
            press=f"press-{who}-{label}{key}",
            data=data or self.data[label],
        )
        with self.store.write() as connection:
            keep_press(connection, self.store, press.press, press, self.hands.now().timestamp())
        self.job.send()

    @property
    def data(self) -> dict[str, str]:
        number = self.rows()[0].id
        return {"Согласовано": f"ap:{number}:y", "Не согласовано": f"ap:{number}:n"}

    def rows(self) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(select(approvals).order_by(approvals.c.id)))

    @property
    def written(self) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            return [json.loads(one) for one in connection.execute(select(outbox.c.payload)).scalars()]

    @property
    def answers(self) -> list[str]:
        return [words for _, words in [*self.telegram.pressed, *self.max.pressed]]


@pytest.fixture
def office(store: Store) -> Iterator[Office]:
    stand_ins = StandIns(["telegram", "max"], live=False)
    with serving(stand_ins):
        yield Office(store, stand_ins)


# --- asking -----------------------------------------------------------------------------------------------------------


def test_who_is_to_do_the_task_is_asked_once(office: Office) -> None:
    office.has_task()
    office.later()
    (sent,) = office.telegram.sent
    assert sent["chat_id"] == NUMBERS[HEAD]
    assert sent["text"].startswith("<b>Ромашка</b>\nСогласовать КП")
    assert sent["text"].endswith(f'/leads/detail/{DEAL}">Открыть сделку</a>')
    assert list(sent["buttons"]) == ["Согласовано", "Не согласовано"]
    office.later()
    assert len(office.telegram.sent) == 1


def test_by_max_where_that_is_the_persons_way(office: Office) -> None:
    office.ways[HEAD] = {"max": NUMBERS[HEAD]}
    office.has_task()
    office.later()
    assert (len(office.max.sent), office.telegram.sent) == (1, [])
    office.press(HEAD, way="max")
    assert office.written[0]["body"]["result"] == {"text": "Согласовано"}
    assert office.answers == ["Согласовано: записывается в amoCRM"]
    assert "Согласовано — Елена Орлова" in office.max.sent[0]["text"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"text": "Позвонить"}, id="another task"),
        pytest.param({"done": True}, id="finished"),
        pytest.param({"tags": ("без робота",)}, id="opted out"),
        pytest.param({"ways": {}}, id="no messenger"),
        pytest.param({"ways": {"telegram": 11, "quiet": "00:00-23:59"}}, id="quiet hours"),
        pytest.param({"dry": True}, id="dry run"),
    ],
)
def test_nobody_is_asked(office: Office, change: dict[str, Any]) -> None:
    change = dict(change)
    office.tags, office.is_dry = change.pop("tags", ()), change.pop("dry", False)
    office.ways[HEAD] = change.pop("ways", office.ways[HEAD])
    office.has_deal()
    office.has_task(**change)
    office.later()
    assert (office.telegram.sent, office.max.sent, office.rows()) == ([], [], [])


def test_a_messenger_that_is_down_is_tried_again_and_one_that_refuses_is_told_of(office: Office) -> None:
    office.has_task()
    office.stand_ins.faults.add("limited", vendor="telegram")
    office.later()
    assert (office.telegram.sent, office.job.is_put_off) == ([], True)
    office.later(60)
    assert (len(office.telegram.sent), office.job.is_put_off) == (1, False)
    office.telegram.blocked.add(NUMBERS[MANAGER])
    office.has_task(MANAGER)
    office.later()
    office.later()
    assert [row.state for row in office.rows()] == ["closed", "refused"]
    told = [row.reason for row in Journal(office.store).of_deal(DEAL)]
    assert any("Иван Петров: «Согласовать КП» не отправлена с кнопками: Telegram: 403" in one for one in told)


def test_the_other_messenger_carries_what_a_dead_one_can_not(office: Office) -> None:
    office.ways[HEAD] = {"telegram": NUMBERS[HEAD], "max": NUMBERS[HEAD], "order": ["telegram", "max"]}
    office.has_task()
    office.stand_ins.faults.add("unauthorised", vendor="telegram", count=None)
    office.later()
    assert (len(office.max.sent), office.job.is_put_off) == (1, True)
    office.has_task(done=True, result="Согласовано")
    office.later()
    assert "Задача завершена в amoCRM" in office.max.sent[0]["text"], "and holds nothing up"


def test_one_outage_is_one_failure_however_many_tasks_wait(office: Office) -> None:
    office.has_task()
    office.stand_ins.faults.add("unauthorised", vendor="telegram")
    office.later()
    for number in range(2, 20):
        with office.store.write() as connection:
            row = MirroredTask(
                id=TASK + number, entity_type="deal", entity_id=DEAL, responsible_user_id=user(HEAD), task_type_id=1,
                text=APPROVE, due=NOON, created_at=NOON, updated_at=NOON, is_completed=False, result=None,
            )  # fmt: skip
            TaskRows(ACCOUNT).put(connection, [row])
    office.later(60)
    assert len(office.telegram.sent) == 19


def test_whoever_could_not_be_written_to_is_asked_again_the_next_day_or_when_he_gets_it_back(office: Office) -> None:
    office.telegram.blocked.add(NUMBERS[HEAD])
    office.has_task()
    office.later()
    office.telegram.blocked.clear()
    office.later(3600)
    assert office.telegram.sent == []
    office.later(86_400)
    assert len(office.telegram.sent) == 1
    office.telegram.blocked.add(NUMBERS[MANAGER])
    for who in (MANAGER, HEAD):
        office.has_task(who)
        office.later(60)
    office.telegram.blocked.clear()
    office.has_task(MANAGER)
    office.later(60)
    assert office.telegram.sent[-1]["chat_id"] == NUMBERS[MANAGER]


# --- pressing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["Согласовано", "Не согласовано"])
def test_a_press_finishes_the_task_in_the_persons_name(office: Office, label: str) -> None:
    office.has_task()
    office.later()
    office.press(HEAD, label)
    (effect,) = office.written
    assert effect["body"] == {"id": TASK, "is_completed": True, "result": {"text": label}}
    assert effect[BY_USER] == user(HEAD)
    assert office.answers == [f"{label}: записывается в amoCRM"]
    assert f"{label} — Елена Орлова. Записывается" in office.telegram.sent[0]["text"]
    assert office.telegram.sent[0]["buttons"] == {}
    office.has_task(done=True, result=label)
    office.later()
    assert office.telegram.sent[0]["text"].count(f"{label} — Елена Орлова. Записано в amoCRM.") == 1
    assert office.rows()[0].state == "closed"


def test_a_second_press_changes_nothing(office: Office) -> None:
    office.has_task()
    office.later()
    office.press(HEAD)
    office.press(HEAD, "Не согласовано")
    # The messenger delivers the first one again.
    office.press(HEAD)
    assert [one["body"]["result"]["text"] for one in office.written] == ["Согласовано"]
    assert office.answers == ["Согласовано: записывается в amoCRM", "Уже решено: Согласовано — Елена Орлова"]


def test_the_head_may_press_in_anothers_place(office: Office) -> None:
    office.has_task(MANAGER)
    office.later()
    office.press(HEAD)
    assert office.written[0][BY_USER] == user(HEAD)


@pytest.mark.parametrize(
    ("who", "answer"),
    [(OTHER, "Эту задачу решает Елена Орлова: ничего не изменено"), ("кто-то", "Мост вас не знает: ваш номер 99")],
)
def test_a_strangers_press_is_answered_and_nothing_is_done(office: Office, who: str, answer: str) -> None:
    office.has_task()
    office.later()
    office.press(who)
    assert office.answers[0].startswith(answer)
    assert (office.written, list(office.telegram.sent[0]["buttons"])) == ([], ["Согласовано", "Не согласовано"])


@pytest.mark.parametrize("data", ["ap:999:y", "ap:1", "ap:1:x", "other", "ap:-1:y", ""])
def test_a_button_that_is_none_of_ours_does_nothing(office: Office, data: str) -> None:
    office.has_task()
    office.later()
    office.press(HEAD, data=data or "нечто")
    assert (office.answers, office.written) == (["Эта кнопка больше не действует"], [])


@pytest.mark.parametrize("number", ["9" * 20, "²", "1" * 18])
def test_a_number_that_none_of_ours_has_holds_nothing_up(office: Office, number: str) -> None:
    office.has_task()
    office.later()
    office.press(HEAD, data=f"ap:{number}:y", key="odd")
    assert office.written == []
    office.press(HEAD)
    assert office.written[0]["body"]["result"] == {"text": "Согласовано"}


def test_a_press_that_waited_long_decides_nothing(office: Office) -> None:
    office.has_task()
    office.later()
    office.is_dry = True
    office.press(HEAD)
    office.is_dry = False
    office.later(2 * 3600)
    assert office.written == []
    told = [row.reason for row in Journal(office.store).of_deal(DEAL)]
    assert any("ждало больше часа и не засчитано" in one for one in told)
    office.press(HEAD, key="again")
    assert len(office.written) == 1


def test_a_press_of_a_bot_that_is_gone_holds_nothing_up(office: Office) -> None:
    office.ways[HEAD] = {"telegram": NUMBERS[HEAD], "max": NUMBERS[HEAD], "order": ["max", "telegram"]}
    office.has_task()
    office.later()
    office.job._bots = StaffBots({"telegram": office.job._bots["telegram"]}, office.hands)
    office.press(HEAD, way="max")
    assert (office.written, office.job._open_presses()) == ([], [])


def test_what_was_finished_in_amocrm_meanwhile_stays_so(office: Office) -> None:
    office.has_task()
    office.later()
    office.has_task(done=True, result="Не согласовано", in_mirror=False)
    office.press(HEAD)
    assert office.answers == ["Задача уже завершена, ничего не изменено"]
    assert office.written == []
    assert "Задача завершена в amoCRM: Не согласовано." in office.telegram.sent[0]["text"]


def test_what_was_handed_on_is_no_longer_his(office: Office) -> None:
    office.has_task(MANAGER)
    office.later()
    office.has_task(OTHER, in_mirror=False)
    office.press(MANAGER)
    assert office.answers == ["Задача передана: Мария Кузнецова"]
    assert (office.written, office.telegram.sent[0]["buttons"]) == ([], {})


# --- what became of it ------------------------------------------------------------------------------------------------


def test_a_message_follows_its_task(office: Office) -> None:
    office.has_task(MANAGER)
    office.later()
    office.has_task(OTHER)
    office.later()
    first, second = office.telegram.sent
    assert "Задача передана: Мария Кузнецова." in first["text"]
    assert (first["buttons"], second["chat_id"]) == ({}, NUMBERS[OTHER])
    office.has_task(MANAGER)
    office.later()
    assert office.telegram.sent[-1]["chat_id"] == NUMBERS[MANAGER], "whoever gets it back is asked again"
    office.has_task(MANAGER, done=True, result="Согласовано")
    office.later()
    assert "Задача завершена в amoCRM: Согласовано." in office.telegram.sent[-1]["text"]


def test_what_amocrm_would_not_have_is_said_under_the_message(office: Office) -> None:
    office.has_task()
    office.later()
    office.press(HEAD)
    with office.store.write() as connection:
        connection.execute(update(outbox).values(state="failed", error="задача заблокирована"))
    office.later()
    assert "Не вышло записать «Согласовано — Елена Орлова»: задача заблокирована." in office.telegram.sent[0]["text"]
    assert office.rows()[0].state == "refused"


def test_an_answer_that_was_lost_is_asked_again_and_both_messages_work(office: Office) -> None:
    office.has_task()
    office.stand_ins.faults.add("lost_answer", vendor="telegram")
    office.later()
    office.later(60)
    assert len(office.telegram.sent) == 2
    office.press(HEAD)
    assert len(office.written) == 1


def test_the_effect_is_sent_as_any_other(office: Office) -> None:
    office.has_task()
    office.later()
    office.press(HEAD)
    (row,) = Outbox(office.store, office.hands).take("ready", "crm", in_order=True)
    assert (row.kind, row.rule, row.deal_id, row.event_id) == ("change_task", "approvals", DEAL, None)
    assert datetime.fromtimestamp(row.payload["not_before"], UTC) == office.hands.now()
