"""Rules of working in the CRM: versions, who has to acknowledge them until when, reminders; on both stores."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.daily_office import HEAD, IVAN, MARIA
from support.fakes import NOON, user
from support.policy_office import TITLE, PolicyAgency

from amo_bridge.config.channels import MailSection
from amo_bridge.config.model import Absence
from amo_bridge.engine.policies import Policies
from amo_bridge.rules.option_types import UserName
from amo_bridge.storage.database import Store

OLD, NEW = "- Звонить в день заявки", "- Звонить в течение часа"


def moscow(day: int, hour: float) -> datetime:
    """Of November 2026; the 23rd is a Monday, and NOON is its noon."""
    return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=day - 1, hours=hour - 3)


@pytest.fixture
def agency(store: Store, tmp_path: Path) -> PolicyAgency:
    return PolicyAgency(store, tmp_path)


# --- versions ---------------------------------------------------------------------------------------------------------


def test_every_change_is_a_version_and_the_same_text_is_none(agency: PolicyAgency) -> None:
    assert agency.publish(OLD) == 1
    assert agency.publish(OLD) is None
    assert agency.publish(NEW, who="boris") == 1
    assert agency.publish(NEW, "Другое название") == 1
    versions = Policies(agency.store, agency.clock).versions(1)
    assert [(one.version, one.who, one.title, one.text) for one in versions] == [
        (3, "anna", "Другое название", NEW),
        (2, "boris", TITLE, NEW),
        (1, "anna", TITLE, OLD),
    ]


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        pytest.param("# Работа\n\n- Звонить\r\n", "Работа", "- Звонить", id="heading"),
        pytest.param("- Звонить", "сделки", "- Звонить", id="named by its file"),
        pytest.param("\ufeff## Работа\nЗвонить", "Работа", "Звонить", id="with a BOM"),
    ],
)
def test_a_file_is_a_text(agency: PolicyAgency, text: str, title: str, body: str) -> None:
    agency.policies_section["folder"] = "policies"
    agency.write(text)
    for _ in range(3):
        agency.after(minutes=1)
        agency.begin()
    found = agency.text
    assert (found.is_file, found.current.version, found.current.who) == (True, 1, "файл сделки.md")
    assert (found.current.title, found.current.text) == (title, body)


def test_a_changed_file_is_the_next_version_once_nobody_writes_it_any_more(agency: PolicyAgency) -> None:
    agency.policies_section["folder"] = "policies"
    agency.write(OLD)
    agency.after(minutes=1)
    agency.write(NEW, age=5)
    agency.after(seconds=10)
    assert agency.text.current.version == 1
    agency.after(minutes=1)
    assert (agency.text.current.version, agency.text.current.text) == (2, NEW)
    agency.write(OLD, "другие")
    agency.remove()
    for minutes, left in ((1, ["другие", "сделки"]), (14, ["другие", "сделки"]), (1, ["другие"])):
        agency.after(minutes=minutes)
        assert sorted(one.name for one in agency.texts) == left
    agency.write(NEW)
    agency.after(minutes=1)
    (back,) = [one for one in agency.texts if one.name == "сделки"]
    assert back.current.version == 2, "put back, it is the same version"


def test_what_can_not_be_read_is_told_and_holds_up_nothing_else(agency: PolicyAgency) -> None:
    agency.policies_section["folder"] = "policies"
    agency.after(minutes=1)
    assert "папки с правилами нет" in agency.told[0]
    agency.write(OLD)
    (agency.folder / "policies" / "битый.md").write_bytes(b"\xff\xfe\xff")
    agency.after(minutes=1)
    assert "правила не прочитать" in agency.told[1]
    assert "битый.md" in agency.told[1]
    assert agency.text.name == "сделки"
    (agency.folder / "policies" / "битый.md").unlink()
    (agency.folder / "policies").rename(agency.folder / "elsewhere")
    agency.after(minutes=1)
    assert len(agency.texts) == 1, "a folder that is away withdraws nothing"


def test_a_name_or_a_text_that_can_not_be_stored_is_told_and_holds_up_nothing_else(agency: PolicyAgency) -> None:
    agency.policies_section["folder"] = "policies"
    agency.write(OLD, "я-последний")
    agency.write("Звонить\0", "ноль")
    folder = os.fsencode(agency.folder / "policies")
    with open(folder + b"/\xef\xf0.md", "wb") as file:
        file.write(b"- text")
    os.utime(folder + b"/\xef\xf0.md", (0, 0))
    agency.after(minutes=1)
    assert agency.text.name == "я-последний"
    assert [text.partition(":")[2] for text in agency.told] == [
        " в тексте есть знак с кодом 0",
        " имя файла не в UTF-8",
    ]
    for text in agency.told:
        text.encode()


def test_an_emptied_folder_withdraws_nothing_and_is_told(agency: PolicyAgency) -> None:
    agency.policies_section |= {"folder": "policies", "people": [IVAN]}
    agency.write(OLD)
    agency.at(NOON)
    agency.remove()
    for _ in range(3):
        agency.after(minutes=20)
    assert "пуста или не читается" in agency.told[-1]
    assert agency.text.name == "сделки"
    agency.write(OLD)
    agency.after(minutes=1)
    (one,) = agency.asked(IVAN)
    assert (agency.text.current.version, one.term, one.due) == (1, 1, moscow(26, 19))


def test_without_a_folder_in_the_config_texts_of_files_are_withdrawn(agency: PolicyAgency) -> None:
    agency.policies_section["folder"] = "policies"
    agency.write(OLD)
    agency.at(NOON)
    agency.publish(NEW)
    del agency.policies_section["folder"]
    agency.after(minutes=1)
    assert [one.name for one in agency.texts] == ["page:1"]


# --- people -----------------------------------------------------------------------------------------------------------


def test_everybody_named_has_three_working_days(agency: PolicyAgency) -> None:
    agency.publish(OLD)
    agency.at(NOON)
    assert [one.person for one in (*agency.asked(IVAN), *agency.asked(MARIA))] == [IVAN, MARIA]
    (one,) = agency.asked(IVAN)
    assert (one.remind, one.due) == (moscow(25, 10), moscow(26, 19))
    agency.begin()
    agency.after(minutes=1)
    assert len(agency.asked(IVAN)) == 1


def test_a_weekend_does_not_count(agency: PolicyAgency) -> None:
    agency.clock.move_to(moscow(27, 12))
    agency.publish(OLD)
    agency.at(moscow(27, 12))
    (one,) = agency.asked(IVAN)
    assert (one.remind.day, one.due.day, one.due.month) == (1, 2, 12)


def test_somebody_who_is_named_later_has_his_own_time(agency: PolicyAgency) -> None:
    agency.policies_section["people"] = [IVAN]
    agency.publish(OLD)
    agency.at(NOON)
    agency.policies_section["people"] = [IVAN, MARIA]
    agency.at(moscow(25, 12))
    assert (agency.asked(IVAN)[0].due, agency.asked(MARIA)[0].due) == (moscow(26, 19), moscow(30, 19))


def test_reminded_once_then_the_head_is_told_and_it_is_entered(agency: PolicyAgency) -> None:
    agency.policies_section |= {"people": [IVAN], "violation": "S3"}
    agency.publish(OLD)
    for day, hour in ((23, 12), (24, 12), (25, 9.9)):
        agency.at(moscow(day, hour))
    assert agency.put == []
    for day, hour in ((25, 10), (25, 15), (26, 18.9)):
        agency.at(moscow(day, hour))
    remind = f"Вы ещё не ознакомились с правилами «{TITLE}». Сделайте это до 26.11.2026"
    assert agency.notices == [(user(IVAN), remind)]
    assert agency.put[0][1]["url"] == "https://bridge.example/policies/1"
    for day, hour in ((26, 19), (27, 12), (30, 12)):
        agency.at(moscow(day, hour))
    assert agency.notices[1:] == [(user(HEAD), f"{IVAN}: нет отметки, что правила «{TITLE}» прочитаны; срок прошёл")]
    (violation,) = [body for kind, body in agency.put if kind == "record_violation"]
    assert (violation["user_id"], violation["clause"], violation["penalty"]) == (user(IVAN), "S3", None)


@pytest.mark.parametrize("cause", ["out of force", "no longer named"])
def test_what_is_asked_for_again_begins_its_term_anew(agency: PolicyAgency, cause: str) -> None:
    agency.policies_section |= {"people": [IVAN], "violation": "S3"}
    agency.publish(OLD)
    for day, hour in ((23, 12), (25, 10), (26, 19)):
        agency.at(moscow(day, hour))
    assert len(agency.put) == 3, "reminded, escalated, entered"
    if cause == "out of force":
        with agency.store.write() as connection:
            Policies(agency.store, agency.clock).withdraw(connection, 1)
    else:
        agency.policies_section["people"] = [MARIA]
    agency.at(moscow(27, 11))
    agency.begin()
    agency.policies_section["people"] = [IVAN]
    agency.clock.move_to(moscow(30, 12))
    agency.publish(OLD)
    agency.at(moscow(30, 12))
    (one,) = agency.asked(IVAN)
    assert (one.version, one.term, one.due, one.reminded_at, one.escalated_at) == (1, 2, moscow(33, 19), None, None)
    assert len(agency.put) == 3
    for day, hour in ((32, 10), (33, 19)):
        agency.at(moscow(day, hour))
    assert [kind for kind, _ in agency.put[3:]] == ["notify", "notify", "record_violation"]


@pytest.mark.parametrize(
    ("first", "last", "reminded", "escalated"),
    [
        pytest.param(23, 29, moscow(31, 10), moscow(32, 19), id="the whole term"),
        pytest.param(25, 25, moscow(26, 10), moscow(27, 19), id="a day of it"),
        pytest.param(26, 30, moscow(25, 10), moscow(31, 19), id="after the reminder"),
        pytest.param(18, 20, moscow(25, 10), moscow(26, 19), id="before"),
    ],
)
def test_days_away_do_not_count(
    agency: PolicyAgency, first: int, last: int, reminded: datetime, escalated: datetime
) -> None:
    agency.policies_section["people"] = [IVAN]
    away = {"from": moscow(first, 12).date(), "to": moscow(last, 12).date(), "deputy": MARIA}
    agency.absences = {UserName(IVAN): (Absence.model_validate(away),)}
    agency.publish(OLD)
    seen: list[datetime] = []
    moment = NOON
    while moment < moscow(36, 0):
        agency.at(moment)
        seen += [moment] * (len(agency.put) - len(seen))
        moment += timedelta(hours=1)
    assert seen == [reminded, escalated]


@pytest.mark.parametrize("moment", [moscow(28, 12), moscow(30, 0.1), moscow(30, 9.9)])
def test_nobody_is_reminded_on_a_day_off_or_before_the_opening(agency: PolicyAgency, moment: datetime) -> None:
    agency.policies_section["people"] = [IVAN]
    agency.publish(OLD)
    agency.at(NOON)
    agency.at(moment)
    assert agency.put == []
    agency.at(moscow(30, 10))
    assert len(agency.put) == 1


@pytest.mark.parametrize("change", ["read", "withdrawn", "no longer named", "away", "dry run", "newer version"])
def test_who_is_not_reminded(agency: PolicyAgency, change: str) -> None:
    agency.policies_section["people"] = [IVAN, MARIA]
    agency.publish(OLD)
    agency.at(NOON)
    assert agency.read(MARIA) == "done"
    if change == "read":
        assert (agency.read(IVAN), agency.read(IVAN)) == ("done", "already")
    elif change == "withdrawn":
        with agency.store.write() as connection:
            Policies(agency.store, agency.clock).withdraw(connection, 1)
    elif change == "no longer named":
        agency.policies_section["people"] = [MARIA]
    elif change == "away":
        away = {"from": date(2026, 11, 20), "to": date(2026, 12, 25), "deputy": MARIA}
        agency.absences = {UserName(IVAN): (Absence.model_validate(away),)}
    elif change == "dry run":
        agency.is_dry = True
    else:
        agency.clock.move_to(moscow(25, 9))
        agency.publish(NEW)
    agency.at(moscow(25, 11))
    agency.at(moscow(26, 19.5))
    assert agency.notices == []


def test_a_bridge_that_was_down_reminds_and_leaves_time(agency: PolicyAgency) -> None:
    agency.policies_section["people"] = [IVAN]
    agency.publish(OLD)
    agency.at(NOON)
    agency.at(moscow(30, 12))
    agency.after(minutes=5)
    ((whom, text),) = agency.notices
    assert (whom, text[-10:]) == (user(IVAN), "01.12.2026")
    agency.at(datetime(2026, 12, 1, 16, 1, tzinfo=UTC))
    assert [one for one, _ in agency.notices] == [user(IVAN), user(HEAD)]


def test_a_person_whom_no_notice_reaches_is_reminded_by_a_task(agency: PolicyAgency) -> None:
    agency.ways = {HEAD: {"telegram": 22}}
    agency.policies_section["people"] = [IVAN]
    agency.publish(OLD)
    for day, hour in ((23, 12), (25, 11), (25, 12)):
        agency.at(moscow(day, hour))
    ((kind, body),) = agency.put
    assert (kind, body["responsible_user_id"]) == ("create_task", user(IVAN))
    assert body["text"] == (
        f"Вы ещё не ознакомились с правилами «{TITLE}». Сделайте это до 26.11.2026 https://bridge.example/policies/1"
    )


def test_a_head_whom_no_notice_reaches_gets_a_task(agency: PolicyAgency) -> None:
    agency.ways = {IVAN: {"telegram": 22}}
    agency.policies_section["people"] = [IVAN]
    agency.publish(OLD)
    for day, hour in ((23, 12), (25, 11), (26, 19.5)):
        agency.at(moscow(day, hour))
    kind, body = agency.put[-1]
    assert (kind, body["responsible_user_id"]) == ("create_task", user(HEAD))
    assert body["text"].endswith("https://bridge.example/policies/1")


def test_what_is_told_shows_the_change(agency: PolicyAgency) -> None:
    """Through the buttons' fall-back, for somebody without a messenger."""
    agency.ways = {IVAN: {"mail": "ivan@agency.ru"}}
    agency.sections["mail"] = MailSection.model_validate({"from": "bridge@agency.ru", "host": "127.0.0.1"})
    agency.policies_section["people"] = [IVAN]
    agency.publish(OLD)
    agency.at(NOON)
    agency.buttons.send()
    agency.read(IVAN)
    agency.publish(NEW)
    agency.after(minutes=1)
    agency.buttons.send()
    agency.after(minutes=1)
    agency.buttons.send()
    first, second = (text for _, text in agency.notices)
    assert first == f"«{TITLE}»: новые правила. Прочитайте и подтвердите до 26.11.2026."
    changed = f"«{TITLE}»: правила изменились (версия 2, anna). Прочитайте и подтвердите до 26.11.2026."
    assert second == f"{changed}\n\nЧто изменилось:\n-{OLD}\n+{NEW}"


def test_nothing_is_asked_before_there_is_anything(agency: PolicyAgency) -> None:
    agency.at(NOON)
    found: list[Any] = [*agency.texts, *agency.put]
    assert found == []
