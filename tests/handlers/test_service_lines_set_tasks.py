import pytest
from support.builders import deal, entered, field_changed, task

from amo_bridge.dates.due import Due
from amo_bridge.rules.actions import ChangeTask, CreateTask, FinishTask, Skip
from amo_bridge.rules.service_lines import ServicesSection
from handlers.service_lines_set_tasks import ServiceLinesSetTasks, service_lines_set_tasks

TIMING = "Реализация / Тайминг"
CONTENT = "Реализация / Подготовка контента"
ONE = "Бузова Ольга:\n— Instagram: Размещение фото"
TWO = f"{ONE}\n— YouTube: Интеграция"
SERVICES = ServicesSection.model_validate(
    {
        "field": "Услуги",
        "platforms": {"Instagram": {"responsible": "Дмитрий Титов"}, "YouTube": {"responsible": "pr"}, "VK": {}},
    }
)


def options(**changed):
    facts = {
        "services": SERVICES,
        "stages": [TIMING],
        "per_line": [{"text": "Согласовать тайминг: {ФИО}, {Площадка}, {Услуга}", "due": "2 d"}],
    }
    return ServiceLinesSetTasks.model_validate(facts | changed)


def with_services(text, on=TIMING, **changed):
    return deal(on, fields={"Услуги": text} if text else {}, **changed)


def set_before(text, opts=None, **changed):
    """The open tasks that the rule set when the deal came with these services."""
    said = service_lines_set_tasks(entered(TIMING), with_services(text), opts or options())
    return tuple(
        task(one.slot, id=100 + number, text=one.text, **changed) for number, one in enumerate(said)
    )  # fmt: skip


def texts(said):
    return [action.text for action in said]


def changed(old, new):
    return field_changed("Услуги", new, old)


def test_every_line_gets_a_task_for_whoever_answers_for_the_platform():
    said = service_lines_set_tasks(entered(TIMING), with_services(TWO), options())
    assert [(one.text, one.to, one.due) for one in said] == [
        ("Согласовать тайминг: Бузова Ольга, Instagram, Размещение фото", "Дмитрий Титов", Due.parse("2 d")),
        ("Согласовать тайминг: Бузова Ольга, YouTube, Интеграция", "pr", Due.parse("2 d")),
    ]


@pytest.mark.parametrize("platform", ["VK", "Неизвестная площадка"])
def test_a_platform_that_nobody_answers_for_is_the_managers(platform):
    said = service_lines_set_tasks(entered(TIMING), with_services(f"Бузова:\n— {platform}: Пост"), options())
    assert [one.to for one in said] == ["manager"]


def test_every_blogger_gets_a_task_of_his_own():
    opts = options(
        per_blogger=[{"text": "Согласовать и подписать документы: {ФИО}", "to": "manager", "due": "2 d"}], per_line=[]
    )
    said = service_lines_set_tasks(entered(TIMING), with_services(f"{TWO}\n\nГудков Саша:\n— VK: Пост"), opts)
    assert texts(said) == [
        "Согласовать и подписать документы: Бузова Ольга",
        "Согласовать и подписать документы: Гудков Саша",
    ]


@pytest.mark.parametrize(
    ("event", "now", "more", "reason"),
    [
        pytest.param(entered(CONTENT), with_services(ONE, CONTENT), {}, "не ставят задач", id="другой этап"),
        pytest.param(entered(TIMING), with_services(ONE, CONTENT), {}, "уже ушла", id="сделка уже ушла"),
        pytest.param(field_changed("Бюджет", "5"), with_services(ONE), {}, "не услуги", id="другое поле"),
        pytest.param(changed(None, ONE), with_services(ONE, CONTENT), {}, "не ставят задач", id="не на этом этапе"),
        pytest.param(
            entered(TIMING), with_services(ONE), {"when": {"tag": "срочно"}}, "не выполнено условие", id="условие"
        ),
        pytest.param(
            entered(TIMING), with_services(TWO, own_tasks=set_before(TWO)), {}, "уже есть свои", id="задачи уже стоят"
        ),
        pytest.param(
            changed(ONE, "бузова ольга,  Instagram,  размещение фото"),
            with_services("бузова ольга,  Instagram,  размещение фото", own_tasks=set_before(ONE)),
            {},
            "уже есть свои",
            id="те же услуги иначе записаны",
        ),
        pytest.param(
            changed(ONE, f"{ONE} "),
            with_services(f"{ONE} ", own_tasks=set_before(ONE, is_completed=True)),
            {},
            "уже есть свои",
            id="задача выполнена",
        ),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, more, reason):
    said = service_lines_set_tasks(event, now, options(**more))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_a_line_that_is_added_gets_its_task_and_the_others_keep_theirs():
    said = service_lines_set_tasks(changed(ONE, TWO), with_services(TWO, own_tasks=set_before(ONE)), options())
    assert texts(said) == ["Согласовать тайминг: Бузова Ольга, YouTube, Интеграция"]


def test_a_line_that_is_taken_away_closes_its_task():
    said = service_lines_set_tasks(changed(TWO, ONE), with_services(ONE, own_tasks=set_before(TWO)), options())
    (closed,) = said
    assert isinstance(closed, FinishTask)
    assert closed.task_id == 101


def test_another_service_on_the_same_platform_changes_the_task():
    now = ONE.replace("Размещение фото", "Сторис")
    said = service_lines_set_tasks(changed(ONE, now), with_services(now, own_tasks=set_before(ONE)), options())
    assert said == [
        ChangeTask(deal_id=7, task_id=100, text="Согласовать тайминг: Бузова Ольга, Instagram, Сторис"),
    ]


def test_another_platform_is_another_persons_task():
    now = ONE.replace("Instagram", "YouTube")
    said = service_lines_set_tasks(changed(ONE, now), with_services(now, own_tasks=set_before(ONE)), options())
    assert [type(one) for one in said] == [CreateTask, FinishTask]


def test_words_that_a_person_added_to_a_task_are_his():
    (own,) = set_before(ONE)
    mine = task(own.slot, id=100, text=f"{own.text} (перенесли на среду)")
    said = service_lines_set_tasks(changed(ONE, TWO), with_services(TWO, own_tasks=(mine,)), options())
    assert texts(said) == ["Согласовать тайминг: Бузова Ольга, YouTube, Интеграция"]


def test_a_deal_that_comes_back_gets_new_tasks_for_what_was_finished():
    done = set_before(TWO, is_completed=True)
    said = service_lines_set_tasks(entered(TIMING), with_services(TWO, own_tasks=done), options())
    assert len(said) == 2


def test_two_equal_lines_are_one_piece_of_work():
    said = service_lines_set_tasks(entered(TIMING), with_services(f"{ONE}\n— instagram: размещение фото"), options())
    assert len(said) == 1


def test_what_can_not_be_read_is_told_and_the_rest_is_worked_on():
    said = service_lines_set_tasks(entered(TIMING), with_services(f"{ONE}\n— YouTube"), options())
    assert texts(said)[0].startswith("Согласовать тайминг: Бузова Ольга, Instagram")
    assert said[1].to == "manager"
    assert "не разобрано: «— YouTube»" in said[1].text


def test_the_complaint_closes_itself_when_the_field_is_right():
    wrong = f"{ONE}\n— YouTube"
    said = service_lines_set_tasks(changed(wrong, TWO), with_services(TWO, own_tasks=set_before(wrong)), options())
    assert [type(one) for one in said] == [CreateTask, FinishTask]
    assert said[1].task_id == 101


def test_a_deal_without_lines_is_told_once():
    said = service_lines_set_tasks(entered(TIMING), with_services(""), options())
    assert texts(said) == ["Заполнить поле «Услуги»: без него на этапе «Тайминг» нечего делать"]
    again = service_lines_set_tasks(entered(TIMING), with_services("", own_tasks=set_before("")), options())
    assert isinstance(again, Skip)
