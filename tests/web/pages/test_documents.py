"""Documents by month: what is done about which month for which client, on the page and in the file (C14)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.api_client import Program
from support.pages import NOWHERE, Pages, Visit, words_of

from amo_bridge.config.loader import load
from amo_bridge.reports.violations import Month
from amo_bridge.storage.tables import made, task_history, tasks
from amo_bridge.web.auth.users import Role

EXAMPLE = Path(__file__).parents[3] / "examples" / "client_department.toml"
RULE = "regular_round.closing_documents"
NOW = datetime.now(UTC)
LAST = Month.containing(NOW.date()).previous
SEND, GET, SIGN = (f"Закрывающие документы: {one}" for one in ("отправить", "получить", "проверить печати и подписи"))
EVERY_STATE = {SEND: "done", GET: "late", SIGN: "open"}


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """The client department's pages, its amoCRM nowhere."""
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE.read_text("utf-8").replace("https://example.amocrm.ru", NOWHERE), "utf-8")
    there = Pages.of(load(path, {}))
    there.meet_account()
    yield there
    there.office.store.close()


@pytest.fixture
def viewer(pages: Pages) -> Visit:
    return pages.visit(Role.VIEWER)


def set_tasks(pages: Pages, deal: int, states: dict[str, str], month: Month = LAST, first: int = 1) -> None:
    """The tasks of a month as the rule set them; «long ago» and «deleted» have left the copy of the tasks."""
    key = pages.account.key
    with pages.office.store.write() as connection:
        for number, (text, state) in enumerate(states.items(), first):
            slot = f"документы@{month}" + (f".{number - first}" if number > first else "")
            row = {"account": key, "rule": RULE, "deal_id": deal, "slot": slot, "kind": "create_task", "at": 0.0}
            connection.execute(made.insert(), {**row, "entity_id": number, "text": f"{text} (март 2026)"})
            due = NOW + timedelta(days=1 if state == "open" else -1)
            if state in ("done", "late", "open"):
                task = {
                    "account": key, "task_id": number, "entity_type": "deal", "entity_id": deal, "created_by": 0,
                    "responsible_user_id": 1, "task_type_id": 1, "text": text, "is_completed": state == "done",
                    "due_at": due.timestamp(), "created_at": 0.0, "updated_at": NOW.timestamp(),
                    "completed_at": NOW.timestamp() if state == "done" else None,
                }  # fmt: skip
                connection.execute(tasks.insert(), task)
            if state == "deleted":
                told = {"account": key, "task_id": number, "since": NOW.timestamp(), "created_at": 0.0,
                        "due_at": due.timestamp(), "responsible_user_id": 1, "state": "deleted"}  # fmt: skip
                connection.execute(task_history.insert(), told)


def test_each_client_and_what_became_of_its_documents(pages: Pages, viewer: Visit) -> None:
    pages.know_deal("Ромашка", id=7)
    pages.know_deal("Лютик", id=8)
    set_tasks(pages, 7, EVERY_STATE)
    set_tasks(pages, 8, dict.fromkeys(EVERY_STATE, "done"), first=11)
    page = viewer.get("/documents")
    words = words_of(page)
    assert all(text in words for text in (SEND, GET, SIGN))
    assert "март 2026" not in words.replace(f"{LAST}", ""), "the month is said once, above"
    row = words.partition("Ромашка")[2].partition("Лютик")[0]
    assert [word for word in row.split() if word in ("сделано", "просрочено", "ждёт")] == [
        "сделано", "просрочено", "ждёт",
    ]  # fmt: skip
    assert words.index("Ромашка") < words.index("Лютик"), "what is not done yet comes first"
    assert 'href="/deals/7"' in page.text


@pytest.mark.parametrize(("state", "word"), [("long ago", "сделано"), ("deleted", "удалено")])
def test_what_has_left_the_copy_of_the_tasks(pages: Pages, viewer: Visit, state: str, word: str) -> None:
    set_tasks(pages, 7, {SEND: state})
    assert word in words_of(viewer.get("/documents"))


def test_another_month_and_the_file(pages: Pages, viewer: Visit) -> None:
    pages.know_deal("=1+1", id=7)
    earlier = LAST.previous
    set_tasks(pages, 7, {SEND: "done"}, earlier)
    assert "За этот месяц задач нет" in words_of(viewer.get("/documents"))
    assert SEND in words_of(viewer.get(f"/documents?month={earlier}"))
    told = viewer.get(f"/documents.csv?month={earlier}").data.decode("utf-8-sig").splitlines()
    assert told[0] == "Сделка;Название;Что;Состояние"
    assert told[1].startswith(f"7;'=1+1;{SEND};сделано ")
    assert viewer.get("/documents?month=нет").status_code == 200


def test_a_program_reads_them_too(pages: Pages) -> None:
    pages.know_deal("Ромашка", id=7)
    pages.know_deal("Лютик", id=8)
    set_tasks(pages, 7, EVERY_STATE)
    set_tasks(pages, 8, {SEND: "done"}, LAST.previous, first=11)
    program = Program(pages, Role.VIEWER)
    told = program.get("/reports/documents")
    assert told["month"] == str(LAST)
    (rule,) = told["rules"]
    (deal,) = rule["deals"]
    assert (rule["rule"], deal["deal_id"], deal["deal_name"], deal["is_done"]) == (RULE, 7, "Ромашка", False)
    assert {task["what"]: task["state"] for task in deal["tasks"]} == EVERY_STATE
    (earlier,) = program.get(f"/reports/documents?month={LAST.previous}")["rules"]
    assert [(one["deal_id"], one["is_done"]) for one in earlier["deals"]] == [(8, True)]
    assert program.get("/reports/documents?month=2020-01")["rules"] == []


def test_the_menu_has_it_where_a_rule_is_by_month(pages: Pages, viewer: Visit) -> None:
    assert "Документы" in words_of(viewer.get("/"))


def test_a_config_without_such_rules_says_so(tmp_path: Path) -> None:
    other = Pages.in_folder(tmp_path / "agency")
    other.meet_account()
    visit = other.visit(Role.VIEWER)
    assert "Правил по месяцам в настройке нет" in words_of(visit.get("/documents"))
    other.office.store.close()
