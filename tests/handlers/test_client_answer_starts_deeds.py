from dataclasses import replace

import pytest
from support.builders import NOON, deal, stage, task

from amo_bridge.events import ClientAnswered
from amo_bridge.rules.actions import CreateTask, MoveDeal, Skip
from amo_bridge.rules.deal import Missing, OtherDeal
from handlers.client_answer_starts_deeds import ClientAnswerStartsDeeds, client_answer_starts_deeds

LOST = "Работа с потерянными / Потерянные"
BACK = "Продажи / Получение брифа"
TASK = {"text": "Клиент откликнулся: связаться", "to": "manager", "due": "1 working hour"}
ANSWER = ClientAnswered(at=NOON, deal_id=7, by="mail", source="mail:1", text="Re: Предложение")
ON_CONTACT = replace(ANSWER, on_contact=True, contact_id=70)


def said(now, event=ANSWER, **changed):
    rule = {"stages": [LOST], "do": {"task": TASK, "move_to": BACK}} | changed
    if isinstance(now.other_deals, Missing):
        now = replace(now, other_deals=())
    return client_answer_starts_deeds(event, now, ClientAnswerStartsDeeds.model_validate(rule))


def other(number, on=LOST, *, newer):
    return OtherDeal(
        id=number, name=f"Сделка {number}", url=f"https://a.ru/{number}", stage=stage(on), created_at=NOON,
        responsible_user_id=102, is_newer=newer,
    )  # fmt: skip


def test_the_manager_gets_a_task_and_the_deal_goes_back():
    asked, moved = said(deal(LOST))
    assert isinstance(asked, CreateTask)
    assert (asked.text, asked.to) == (TASK["text"], "manager")
    assert moved == MoveDeal(deal_id=7, to=BACK)


@pytest.mark.parametrize(
    ("now", "changed", "reason"),
    [
        pytest.param(deal(BACK), {}, "не ждут", id="уже вернулась"),
        pytest.param(deal(LOST), {"kinds": ["call", "chat"]}, "не тем способом", id="письмом, а ждут звонка"),
        pytest.param(deal(LOST), {"with_files": True}, "нет файлов", id="без файлов"),
        pytest.param(deal(LOST), {"when": {"tag": "дорого"}}, "условие", id="условие"),
        pytest.param(deal(LOST, own_tasks=(task(slot="answered"),)), {"do": {"task": TASK}}, "открыта", id="открыта"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(now, changed, reason):
    nothing = said(now, **changed)
    assert isinstance(nothing, Skip)
    assert reason in nothing.reason


def test_a_second_message_after_the_task_is_done_sets_another():
    now = deal(LOST, own_tasks=(task(slot="answered", is_completed=True),))
    assert any(isinstance(action, CreateTask) for action in said(now))


def test_a_letter_with_a_file_is_what_is_awaited():
    letter = replace(ANSWER, files=1)
    assert said(deal(LOST), letter, with_files=True, do={"move_to": BACK}) == [MoveDeal(deal_id=7, to=BACK)]


OLDER, NEWER = other(6, newer=False), other(8, newer=True)


@pytest.mark.parametrize(
    ("event", "others", "deals", "acts"),
    [
        pytest.param(ON_CONTACT, (OLDER,), "newest", True, id="the newest of two"),
        pytest.param(ON_CONTACT, (NEWER,), "newest", False, id="an older one"),
        pytest.param(ON_CONTACT, (NEWER,), "each", True, id="each, if so configured"),
        pytest.param(ON_CONTACT, (other(8, BACK, newer=True),), "newest", True, id="the newer one waits for nothing"),
        pytest.param(ANSWER, (NEWER,), "newest", True, id="amoCRM knows which deal it is"),
    ],
)
def test_an_answer_on_the_client_s_card_is_about_his_newest_deal(event, others, deals, acts):
    made = said(deal(LOST, other_deals=others), event, deals=deals)
    assert made == Skip("этот ответ — о более новой сделке клиента") if not acts else len(made) == 2


def test_a_task_may_ask_which_deal_it_is_about():
    (asked,) = said(deal(LOST, other_deals=(OLDER,)), ON_CONTACT, deals="ask")
    assert "эта и «Сделка 6» https://a.ru/6" in asked.text
    assert len(said(deal(LOST, other_deals=()), ON_CONTACT, deals="ask")) == 2


@pytest.mark.parametrize("event", [ANSWER, ON_CONTACT])
def test_a_client_with_an_open_sale_is_not_brought_back(event):
    sale = other(9, BACK, newer=True)
    (asked,) = said(deal(LOST, other_deals=(sale,)), event, unless_open_in=["Продажи"])
    assert (asked.deal_id, asked.to, asked.slot) == (9, 102, "answered.on.9")
    assert asked.text.startswith("Клиент откликнулся: связаться (ответ по другой его сделке: «Ромашка»")
    told = (task(slot=asked.slot),)
    again = deal(LOST, other_deals=(sale,), own_tasks=told)
    assert said(again, event, unless_open_in=["Продажи"]) == Skip("задача об ответе клиента ещё открыта")
    # That sale is over, and its task is still open: it stands neither for the next sale nor for this deal.
    later = deal(LOST, other_deals=(other(10, BACK, newer=True),), own_tasks=told)
    assert [one.deal_id for one in said(later, event, unless_open_in=["Продажи"])] == [10]
    alone = deal(LOST, own_tasks=told)
    assert len(said(alone, event, unless_open_in=["Продажи"])) == 2


@pytest.mark.parametrize("on", ["Продажи / Успешно реализовано", "Реализация / Тайминг"])
def test_another_deal_that_is_no_open_sale_is_in_nobody_s_way(on):
    assert len(said(deal(LOST, other_deals=(other(9, on, newer=True),)), unless_open_in=["Продажи"])) == 2


@pytest.mark.parametrize(
    ("subject", "acts"), [("Анкета", True), ("Re: анкета салона", True), ("Логотип", False), ("", False)]
)
def test_the_letter_s_subject_may_be_asked_for(subject, acts):
    wanted = {"subject": ["анкета"], "do": {"move_to": BACK}}
    made = said(deal(LOST), replace(ANSWER, text=subject), **wanted)
    assert made == (
        [MoveDeal(deal_id=7, to=BACK)] if acts else Skip(f"тема письма «{subject}» не та, которой ждёт правило")
    )
    (asked,) = said(deal(LOST), replace(ANSWER, text="Логотип"), **wanted, otherwise={"task": TASK})
    assert (type(asked), asked.slot) == (CreateTask, "answered.otherwise")


@pytest.mark.parametrize(("names", "acts"), [(("логотип.png", "Анкета.docx"), True), (("логотип.png",), False)])
def test_the_name_of_a_file_is_as_good_as_the_subject(names, acts):
    wanted = {"subject": ["анкета"], "do": {"move_to": BACK}}
    made = said(deal(LOST), replace(ANSWER, text="Re: бриф", files=len(names), file_names=names), **wanted)
    assert isinstance(made, list) is acts


def test_what_may_be_an_automatic_reply_moves_nothing_and_is_read_by_a_person():
    (asked,) = said(deal(LOST), replace(ANSWER, doubt="письмо похоже на автоответ"))
    assert (type(asked), asked.slot) == (CreateTask, "answered.doubt")
    assert "письмо похоже на автоответ" in asked.text
    assert "откликнулся" not in asked.text
