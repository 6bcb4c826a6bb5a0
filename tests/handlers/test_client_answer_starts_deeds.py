import pytest
from support.builders import NOON, deal, task

from amo_bridge.events import ClientAnswered
from amo_bridge.rules.actions import CreateTask, MoveDeal, Skip
from handlers.client_answer_starts_deeds import ClientAnswerStartsDeeds, client_answer_starts_deeds

LOST = "Работа с потерянными / Потерянные"
BACK = "Продажи / Получение брифа"
TASK = {"text": "Клиент откликнулся: связаться", "to": "manager", "due": "1 working hour"}
ANSWER = ClientAnswered(at=NOON, deal_id=7, by="mail", source="mail:1")


def said(now, **changed):
    rule = {"stages": [LOST], "do": {"task": TASK, "move_to": BACK}} | changed
    return client_answer_starts_deeds(ANSWER, now, ClientAnswerStartsDeeds.model_validate(rule))


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
    rule = ClientAnswerStartsDeeds.model_validate(
        {"stages": [LOST], "kinds": ["mail"], "with_files": True, "do": {"move_to": BACK}}
    )
    letter = ClientAnswered(at=NOON, deal_id=7, by="mail", source="mail:1", files=1)
    assert client_answer_starts_deeds(letter, deal(LOST), rule) == [MoveDeal(deal_id=7, to=BACK)]
