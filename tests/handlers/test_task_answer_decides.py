import pytest
from support.builders import answered, deal, task

from amo_bridge.rules.actions import AddNote, CreateTask, FinishTask, MoveDeal, Skip
from handlers.task_answer_decides import TaskAnswerDecides, task_answer_decides

OFFER = "Продажи / Согласование КП"
SEND = {"text": "Отправить КП клиенту и согласовать", "to": "manager", "due": "1 d"}
AGAIN = {"text": "Согласовать КП. Ответьте «Согласовано» или «Не согласовано»", "to": "head", "due": "1 d"}
REDO = [
    {"text": "Переделать КП", "to": "pr", "due": "2 d"},
    {"text": "Описать правки в комментарии к сделке", "to": "head", "due": "1 d"},
]


def options(**changed):
    rule = {
        "task": "Согласовать КП",
        "stages": [OFFER],
        "answers": [{"words": ["Согласовано"], "task": SEND}, {"words": ["Не согласовано"], "task": REDO}],
        "ask_again": AGAIN,
    }
    return TaskAnswerDecides.model_validate(rule | changed)


def said(event, now=None, **changed):
    return task_answer_decides(event, now or deal(OFFER), options(**changed))


def tasks(actions):
    return [(action.text, action.to) for action in actions if isinstance(action, CreateTask)]


@pytest.mark.parametrize("result", ["Согласовано", " согласовано. ", "Согласованно", "1) Согласовано"])
def test_approved(result):
    assert tasks(said(answered(result))) == [("Отправить КП клиенту и согласовать", "manager")]


@pytest.mark.parametrize("result", ["Не согласовано", "НЕ СОГЛАСОВАНО!", "несогласовано"])
def test_refused(result):
    assert tasks(said(answered(result))) == [
        ("Переделать КП", "pr"),
        ("Описать правки в комментарии к сделке", "head"),
    ]


@pytest.mark.parametrize("result", [None, "", "ок", "Посмотрю завтра"])
def test_anything_else_is_asked_again(result):
    assert tasks(said(answered(result))) == [(AGAIN["text"], "head")]


def test_the_task_that_asks_again_is_answered_as_well():
    assert tasks(said(answered("Согласовано", AGAIN["text"]))) == [(SEND["text"], "manager")]


def test_the_comment_is_kept_with_the_name_of_who_wrote_it():
    found = said(answered("Не согласовано: слишком дорого", user_is=("Елена Орлова", "head")))
    (note,) = [action for action in found if isinstance(action, AddNote)]
    assert note.text == "Елена Орлова: «Не согласовано» по задаче «Согласовать КП». Комментарий: слишком дорого"


def test_without_a_comment_there_is_no_note():
    assert not any(isinstance(action, AddNote) for action in said(answered("Не согласовано")))


def test_two_tasks_with_one_answer_set_tasks_of_their_own():
    first, second = (said(answered("Не согласовано", task_id=number)) for number in (55, 56))
    slots = {action.slot for action in [*first, *second]}
    assert len(slots) == 4


def test_an_answer_may_move_the_deal():
    stay = [{"words": ["Продлевает"], "move_to": "Продажи / Утвержденный проект"}]
    assert said(answered("продлевает"), answers=stay) == [MoveDeal(deal_id=7, to="Продажи / Утвержденный проект")]


def test_when_the_answer_comes_after_all_the_repeated_task_is_closed():
    (again,) = said(answered(None))
    now = deal(OFFER, own_tasks=(task(slot=again.slot, id=77), task(slot="54.again", id=78)))
    closed, *rest = said(answered("Согласовано"), now)
    assert closed == FinishTask(deal_id=7, task_id=77, result="Ответ получен: «Согласовано»")
    assert tasks(rest) == [(SEND["text"], "manager")]


@pytest.mark.parametrize(
    ("event", "now", "changed", "reason"),
    [
        pytest.param(answered("Согласовано", "Позвонить"), deal(OFFER), {}, "не та", id="другая задача"),
        pytest.param(answered("Согласовано", "Согласовать КПЭ"), deal(OFFER), {}, "не та", id="похожая задача"),
        pytest.param(answered("Согласовано"), deal("Продажи / Отложенные"), {}, "не ждёт", id="сделка ушла"),
        pytest.param(answered("Согласовано"), deal(OFFER), {"when": {"tag": "vip"}}, "условие", id="условие"),
        pytest.param(answered("ок"), deal(OFFER), {"ask_again": None}, "не из ожидаемых", id="не переспрашивать"),
        pytest.param(answered(None), deal(OFFER), {"ask_again": None}, "ответа в результате", id="пустой ответ"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    nothing = said(event, now, **changed)
    assert isinstance(nothing, Skip)
    assert reason in nothing.reason


FEW = {"answers": [{"under": 5, "task": SEND}, {"at_least": 5, "note": "достаточно"}]}


@pytest.mark.parametrize(
    ("result", "found"),
    [
        ("4 в день", SEND["text"]),
        ("всего 4,5", SEND["text"]),
        ("0", SEND["text"]),
        ("5", "достаточно"),
        ("около 12 в день", "достаточно"),
        ("3-4 в день", AGAIN["text"]),
        ("Direct 3, WhatsApp 2", AGAIN["text"]),
        ("мало", AGAIN["text"]),
        (None, AGAIN["text"]),
    ],
)
def test_an_answer_may_be_one_number(result, found):
    (action,) = said(answered(result), **FEW)
    assert action.text == found


def test_when_the_number_comes_after_all_the_repeated_task_is_closed():
    now = deal(OFFER, own_tasks=(task(slot="55.again", id=77),))
    closed, _ = said(answered("12"), now, **FEW)
    assert closed == FinishTask(deal_id=7, task_id=77, result="Ответ получен: «12»")


@pytest.mark.parametrize("answer", [{}, {"words": ["Да"], "under": 5}, {"under": 5, "at_least": 3}])
def test_what_is_awaited_is_words_or_a_number(answer):
    with pytest.raises(ValueError, match="какой ответ"):
        options(answers=[answer | {"note": "да"}])


def test_an_answer_that_asks_for_nothing_is_refused_in_the_config():
    with pytest.raises(ValueError, match="нечего делать"):
        options(answers=[{"words": ["Согласовано"]}])
