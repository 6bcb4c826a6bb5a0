"""A deal's journal, and a step of it taken once more: asked first, then done, once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.local_crm import LocalCrm
from support.pages import Pages, Visit, words_of
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION

IVAN = "Иван Петров"
NEW = "Продажи / Новый клиент"
TASK = "Связаться и взять в работу"


def visitor(bridge: RunningBridge, role: Role) -> Visit:
    users = bridge.app.extensions[EXTENSION].users
    user = users.add(f"Анна {role}", role)
    visit = Visit(bridge.app.test_client())
    visit.become(users.sit_down(user.id))
    return visit


@pytest.fixture
def deal(bridge: RunningBridge, office: CrmUser, sandbox: LocalCrm) -> int:
    deal = office.new_deal(IVAN, "Ромашка", NEW, office.new_contact(IVAN, "Ольга"), 0)
    bridge.settle(sandbox)
    return deal


def step_that_acted(page: str) -> str:
    """The address at which the step of A10 is asked about."""
    (card,) = [card for card in page.split("<li ") if "A10" in card and "сделано" in card]
    found = re.search(r'action="(/deals/\d+/steps/\d+/judge)"', card)
    assert found is not None
    return found[1]


def test_what_came_and_what_each_rule_said(bridge: RunningBridge, deal: int) -> None:
    page = visitor(bridge, Role.VIEWER).get(f"/deals/{deal}")
    words = words_of(page)
    assert words.index("Ромашка") < words.index(NEW)
    assert f"задача «{TASK}»" in words
    assert "готово" in words
    silent = [int(number) for number in re.findall(r"(\d+) правил\w? ничего не сделал", words)]
    assert silent
    assert max(silent) <= sum(rule.enabled for rule in bridge.config.rules), "a rule asked twice is one rule"
    assert f'href="{bridge.config.account.url}/leads/detail/{deal}"' in page.text
    assert "Что сделали бы правила сейчас?" not in words, "that is the admin's"


def test_a_step_is_asked_about_and_then_done_once_however_often_one_presses(
    bridge: RunningBridge, deal: int, office: CrmUser, sandbox: LocalCrm
) -> None:
    (task,) = office.tasks(deal)
    admin = visitor(bridge, Role.ADMIN)
    path = step_that_acted(admin.get(f"/deals/{deal}").text)
    asked = admin.post(path, page=f"/deals/{deal}")
    assert f"задача «{TASK}»" in words_of(asked)
    assert office.tasks(deal) == [task], "asking changes nothing"
    hidden = dict(re.findall(r'name="(\w+)" value="([^"]*)"', asked.text))
    assert "Уже сделано" in words_of(asked)
    form = {"rule": hidden["rule"], "mark": hidden["mark"]}
    refused = admin.post(path.replace("judge", "carry-out"), form, page=f"/deals/{deal}")
    assert (refused.status_code, "второй раз — только нарочно" in words_of(refused)) == (409, True)
    form["once_more"] = hidden["once_more"]
    for _ in range(3):
        answer = admin.post(path.replace("judge", "carry-out"), form, page=f"/deals/{deal}")
        assert answer.status_code == 302
    bridge.settle(sandbox)
    assert [one["text"] for one in office.tasks(deal)] == [TASK, TASK]
    assert "повторено вручную, Анна admin" in words_of(admin.get(f"/deals/{deal}"))
    assert "повторено правило stage_creates_tasks.new_client" in words_of(admin.get("/audit"))


def test_a_rule_that_would_do_nothing_now_does_nothing(
    bridge: RunningBridge, deal: int, office: CrmUser, sandbox: LocalCrm
) -> None:
    admin = visitor(bridge, Role.ADMIN)
    path = step_that_acted(admin.get(f"/deals/{deal}").text).replace("judge", "carry-out")
    answer = admin.post(path, {"rule": "stage_needs_fields.meeting_date", "mark": "x"}, page=f"/deals/{deal}")
    assert answer.status_code == 409
    assert "сейчас ничего не сделало бы" in words_of(answer)
    answer = admin.post(path, {"rule": "no.such", "mark": "x"}, page=f"/deals/{deal}")
    assert "этого события не ждёт или выключено" in words_of(answer)
    bridge.settle(sandbox)
    assert len(office.tasks(deal)) == 1


def test_a_dry_rule_stays_dry(
    start_bridge: Callable[..., RunningBridge], config: Config, office: CrmUser, sandbox: LocalCrm
) -> None:
    dry = replace(config, bridge=config.bridge.model_copy(update={"dry_run": True}))
    bridge = start_bridge(dry).wait_ready()
    deal = office.new_deal(IVAN, "Ромашка", NEW, office.new_contact(IVAN, "Ольга"), 0)
    bridge.settle(sandbox)
    admin = visitor(bridge, Role.ADMIN)
    page = admin.get(f"/deals/{deal}")
    found = re.findall(r'action="(/deals/\d+/steps/\d+/judge)"', page.text)
    wait_until(lambda: found, "the page has steps")
    for path in found:
        form = {"rule": "stage_creates_tasks.new_client", "mark": "x"}
        assert admin.post(path.replace("judge", "carry-out"), form, page=f"/deals/{deal}").status_code == 409
    bridge.settle(sandbox)
    assert office.tasks(deal) == []


def test_a_step_of_another_deal_is_not_there(bridge: RunningBridge, deal: int) -> None:
    admin = visitor(bridge, Role.ADMIN)
    path = step_that_acted(admin.get(f"/deals/{deal}").text).replace(str(deal), "7")
    answer = admin.post(path, page=f"/deals/{deal}")
    assert answer.status_code == 409
    assert "этого события в базе уже нет" in words_of(answer)


def test_only_the_admin_takes_a_step_again(bridge: RunningBridge, deal: int) -> None:
    path = step_that_acted(visitor(bridge, Role.ADMIN).get(f"/deals/{deal}").text)
    for role in (Role.VIEWER, Role.WEBINAR):
        assert visitor(bridge, role).post(path, page="/").status_code == 403


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ("30000001", "/deals/30000001"),
        (" 30000001 ", "/deals/30000001"),
        ("https://agency.amocrm.ru/leads/detail/30000001?tab=1", "/deals/30000001"),
        ("№ 30000001", "/deals/30000001"),
        ("no. 30000001", "/deals/30000001"),
        ("Сделка 30000001", "/deals/30000001"),
    ],
)
def test_a_deal_is_found_by_its_number_or_its_address(viewer: Visit, told: str, where: str) -> None:
    assert viewer.get("/deals/", query_string={"deal": told}).location == where


def test_a_deal_that_the_journal_does_not_know(pages: Pages, viewer: Visit) -> None:
    answer = viewer.get("/deals/7")
    assert answer.status_code == 404
    assert "Мост не знает сделки 7" in words_of(answer)
    assert "/leads/detail/7" not in answer.text


def test_what_people_wrote_is_shown_as_they_wrote_it(bridge: RunningBridge, office: CrmUser, sandbox: LocalCrm) -> None:
    name = "<script>alert(1)</script>"
    deal = office.new_deal(IVAN, name, NEW, office.new_contact(IVAN, "Ольга"), 0)
    bridge.settle(sandbox)
    page = visitor(bridge, Role.VIEWER).get(f"/deals/{deal}")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
