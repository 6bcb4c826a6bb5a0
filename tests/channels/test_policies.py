"""Rules of working in the CRM by a button: who is told of a new version, whose press counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.daily_office import HEAD, IVAN, MARIA, NUMBERS
from support.fakes import NOON, user
from support.policy_office import TITLE, PolicyAgency

from amo_bridge.channels.policies import OLDER
from amo_bridge.config.channels import MailSection
from amo_bridge.engine.policies import Policies
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.storage.database import Store

OLD, NEW = "- Звонить в день заявки", "- Звонить в течение часа"


@pytest.fixture
def agency(store: Store, tmp_path: Path) -> Iterator[PolicyAgency]:
    stand_ins = StandIns(["telegram", "max"], live=False)
    with serving(stand_ins):
        made = PolicyAgency(store, tmp_path, stand_ins, people=[IVAN])
        made.publish(OLD)
        made.at(NOON)
        yield made


def sent(agency: PolicyAgency) -> list[dict[str, Any]]:
    return agency.telegram.sent


def test_everybody_named_is_told_once(agency: PolicyAgency) -> None:
    agency.policies_section["people"] = [IVAN, MARIA]
    for _ in range(3):
        agency.after(minutes=1)
        agency.begin()
    assert [one["chat_id"] for one in sent(agency)] == [NUMBERS[IVAN], NUMBERS[MARIA]]
    message = sent(agency)[0]
    assert message["text"] == (
        f"<b>Правила работы в CRM</b>\n«{TITLE}»: новые правила. Прочитайте и подтвердите до 26.11.2026.\n"
        '<a href="https://bridge.example/policies/1">Открыть</a>'
    )
    assert list(message["buttons"]) == ["Прочитано"]


def test_a_person_whom_no_notice_reaches_gets_a_task(agency: PolicyAgency) -> None:
    agency.policies_section["people"] = [MARIA]
    agency.ways[MARIA] = {}
    for _ in range(3):
        agency.after(minutes=1)
    told = [body for kind, body in agency.put if kind == "create_task"]
    assert [one["responsible_user_id"] for one in told] == [user(MARIA)]
    assert told[0]["text"] == (
        f"«{TITLE}»: новые правила. Прочитайте и подтвердите до 26.11.2026. https://bridge.example/policies/1"
    )


@pytest.mark.parametrize("way", ["telegram", "max"])
def test_a_press_acknowledges_and_the_message_says_so(agency: PolicyAgency, way: Any) -> None:
    agency.policies_section["people"] = [IVAN, MARIA]
    agency.ways[MARIA] = {way: NUMBERS[MARIA]}
    agency.after(minutes=5)
    agency.press(MARIA, way=way)
    agency.press(MARIA, "rd:2", key="again", way=way)
    assert agency.answers == ["Отмечено: прочитано", f"Уже отмечено: {MARIA}, {'MAX' if way == 'max' else 'Telegram'}"]
    (one,) = agency.asked(MARIA)
    assert one.read_at == agency.clock.now()
    bot: Any = agency.telegram if way == "telegram" else agency.max
    assert f"Прочитано 23.11 в 12:05: {one.read_by}." in bot.sent[-1]["text"]
    assert bot.sent[-1]["buttons"] == {}
    assert agency.asked(IVAN)[0].read_at is None


@pytest.mark.parametrize(
    ("who", "data", "answer"),
    [
        (HEAD, "", f"Это сообщение — для {IVAN}: ничего не изменено"),
        ("кто-то", "", "Мост вас не знает: ваш номер 99 не вписан в [people]"),
        (IVAN, "rd:99", "Эта кнопка больше не действует"),
        (IVAN, "rd:1:1", "Эта кнопка больше не действует"),
        (IVAN, "dr:1:1", "Эта кнопка больше не действует"),
    ],
)
def test_no_other_press_counts(agency: PolicyAgency, who: str, data: str, answer: str) -> None:
    agency.press(who, data)
    assert agency.answers == [answer]
    assert agency.asked(IVAN)[0].read_at is None


def test_a_newer_version_ends_the_older_message_and_shows_what_changed(agency: PolicyAgency) -> None:
    old = next(iter(sent(agency)[0]["buttons"].values()))
    agency.press(IVAN, old)
    agency.publish(NEW)
    agency.after(minutes=1)
    assert f"Что изменилось:\n-{OLD}\n+{NEW}" in sent(agency)[1]["text"]
    agency.publish(f"{NEW}\n- И писать")
    agency.after(minutes=1)
    assert OLDER in sent(agency)[1]["text"]
    assert (sent(agency)[1]["buttons"], len(sent(agency))) == ({}, 3)
    assert f"-{OLD}\n+{NEW}\n+- И писать" in sent(agency)[2]["text"], "since the version that was read"
    agency.press(IVAN, "rd:2", key="old")
    assert agency.answers[-1] == OLDER


def test_what_is_read_on_the_page_or_withdrawn_asks_no_more(agency: PolicyAgency) -> None:
    agency.policies_section["people"] = [IVAN, MARIA]
    agency.after(minutes=1)
    assert agency.read(IVAN) == "done"
    agency.after(minutes=1)
    assert "Иван Петров, login." in sent(agency)[0]["text"]
    agency.press(IVAN, "rd:1")
    assert agency.answers == ["Уже отмечено: Иван Петров, login"]
    with agency.store.write() as connection:
        Policies(agency.store, agency.clock).withdraw(connection, 1)
    agency.after(minutes=1)
    assert sent(agency)[1]["text"].count("Отвечать больше не нужно.") == 1
    agency.press(MARIA, "rd:2")
    assert agency.answers[-1] == "Эти правила больше не действуют"


@pytest.mark.parametrize("way", ["telegram", "mail"])
@pytest.mark.parametrize("cause", ["out of force", "no longer named"])
def test_what_is_asked_for_again_is_asked_by_a_new_message(agency: PolicyAgency, cause: str, way: str) -> None:
    agency.ways[MARIA] = {way: NUMBERS[MARIA] if way == "telegram" else "maria@agency.ru"}
    agency.sections["mail"] = MailSection.model_validate({"from": "bridge@agency.ru", "host": "127.0.0.1"})
    agency.policies_section["people"] = [MARIA]
    for _ in range(2):
        agency.after(minutes=1)
    if cause == "out of force":
        with agency.store.write() as connection:
            Policies(agency.store, agency.clock).withdraw(connection, 1)
    else:
        agency.policies_section["people"] = [IVAN]
    agency.after(minutes=1)
    agency.policies_section["people"] = [MARIA]
    agency.clock.advance(timedelta(days=1))
    agency.publish(OLD)
    for _ in range(3):
        agency.after(minutes=1)
        agency.begin()
    if way == "mail":
        assert [text[-11:] for _, text in agency.notices] == ["26.11.2026.", "27.11.2026."]
        return
    first, second = [one for one in sent(agency) if one["chat_id"] == NUMBERS[MARIA]]
    assert ("Отвечать больше не нужно." in first["text"], first["buttons"]) == (True, {})
    assert "до 27.11.2026" in second["text"]
    agency.press(MARIA, next(iter(second["buttons"].values())))
    assert agency.answers == ["Отмечено: прочитано"]


def test_a_dead_messenger_is_tried_again(agency: PolicyAgency) -> None:
    agency.policies_section["people"] = [MARIA]
    agency.stand_ins.faults.add("limited", vendor="telegram", count=None)  # type: ignore[union-attr]
    agency.after(minutes=1)
    assert (len(sent(agency)), agency.buttons.is_put_off) == (1, True)
    agency.stand_ins.faults.clear()  # type: ignore[union-attr]
    agency.at(agency.clock.now() + timedelta(minutes=2))
    agency.at(agency.clock.now() + timedelta(minutes=2))
    assert sent(agency)[-1]["chat_id"] == NUMBERS[MARIA]
