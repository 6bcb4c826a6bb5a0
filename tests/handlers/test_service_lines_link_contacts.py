import pytest
from support.builders import deal, field_changed, task

from amo_bridge.rules.actions import CreateTask, FinishTask, LinkContacts, Skip
from amo_bridge.rules.deal import NamedBlogger
from amo_bridge.rules.service_lines import Blogger, ServicesSection
from handlers.service_lines_link_contacts import ServiceLinesLinkContacts, service_lines_link_contacts

PROJECT = "Продажи / Утвержденный проект"
SERVICES = ServicesSection.model_validate({"field": "Услуги", "platforms": {"Instagram": {}}})
BUZOVA, GUDKOV = NamedBlogger(name="Бузова Ольга", contact_ids=(21,)), NamedBlogger(name="Гудков", contact_ids=(22,))
UNKNOWN, NAMESAKES = NamedBlogger(name="Ким Мария"), NamedBlogger(name="Ким Мария", contact_ids=(31, 32))


def said(*bloggers, event=None, options=None, **of_deal):
    now = deal(PROJECT, bloggers=bloggers, **of_deal)
    opts = ServiceLinesLinkContacts.model_validate({"services": SERVICES, **(options or {})})
    return service_lines_link_contacts(event or field_changed("Услуги", "…"), now, opts)


def told(**changed):
    return task(Blogger("Ким Мария").mark, id=70, **changed)


def test_the_bloggers_are_linked_the_linked_ones_left_alone():
    assert said(BUZOVA, GUDKOV, contact_ids=(11, 21)) == [LinkContacts(deal_id=7, contact_ids=(22,))]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        pytest.param({"event": field_changed("Бюджет", "5")}, "не услуги", id="другое поле"),
        pytest.param({"options": {"stages": ["Продажи / Новый клиент"]}}, "не прикрепляются", id="другой этап"),
        pytest.param({"contact_ids": (21,)}, "уже прикреплены", id="уже прикреплён"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(how, reason):
    found = said(BUZOVA, **how)
    assert isinstance(found, Skip)
    assert reason in found.reason


@pytest.mark.parametrize(("who", "words"), [(UNKNOWN, "среди контактов его нет"), (NAMESAKES, "их несколько")])
def test_who_is_not_clear_is_told_of_by_a_task(who, words):
    link, asked = said(BUZOVA, who)
    assert link == LinkContacts(deal_id=7, contact_ids=(21,))
    assert isinstance(asked, CreateTask)
    assert "«Ким Мария»" in asked.text
    assert words in asked.text


@pytest.mark.parametrize("is_completed", [False, True])
def test_it_is_told_once(is_completed):
    assert isinstance(said(UNKNOWN, own_tasks=(told(is_completed=is_completed),)), Skip)


@pytest.mark.parametrize("now", [(NamedBlogger(name="Ким Мария", contact_ids=(31,)),), ()])
def test_the_task_closes_itself_when_it_is_clear_or_the_blogger_is_gone(now):
    closed = said(*now, own_tasks=(told(),))[-1]
    assert isinstance(closed, FinishTask)
    assert closed.task_id == 70
