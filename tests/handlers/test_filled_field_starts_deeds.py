from datetime import date

import pytest
from support.builders import deal, field_changed, task

from amo_bridge.rules.actions import CreateTask, MoveDeal, SetFields, Skip
from handlers.filled_field_starts_deeds import FilledFieldStartsDeeds, filled_field_starts_deeds

NOTICE = "Продажи / Получение брифа"
PAID = "Дата оплаты"
TASK = {"text": "Проверить оплату", "to": "manager", "due": "1 working day"}
CHANGED = field_changed(PAID, "28.11.2026")


def options(**changed):
    do = {"set_fields": {"Дата начала обслуживания": "{Дата оплаты}"}, "move_to": "Продажи / Бриф получен"}
    return FilledFieldStartsDeeds.model_validate({"fields": [PAID], "stages": [NOTICE], "do": do} | changed)


def paid(**changed):
    return deal(NOTICE, **({"fields": {PAID: date(2026, 11, 28)}} | changed))


def test_the_date_is_taken_over_as_a_date_and_the_deal_moves():
    assert filled_field_starts_deeds(CHANGED, paid(), options()) == [
        SetFields(deal_id=7, values={"Дата начала обслуживания": date(2026, 11, 28)}),
        MoveDeal(deal_id=7, to="Продажи / Бриф получен"),
    ]


@pytest.mark.parametrize(
    ("event", "now", "changed", "reason"),
    [
        pytest.param(field_changed("Бюджет", "5"), paid(), {}, "не это поле", id="другое поле"),
        pytest.param(field_changed(PAID, None), paid(fields={}), {}, "пусто", id="очищено"),
        pytest.param(CHANGED, paid(fields={}), {}, "пусто", id="с тех пор очищено"),
        pytest.param(CHANGED, deal(fields={PAID: date(2026, 11, 28)}), {}, "не запускает", id="другой этап"),
        pytest.param(CHANGED, paid(), {"when": {"tag": "vip"}}, "не выполнено условие", id="условие"),
        pytest.param(CHANGED, paid(own_tasks=(task(slot=PAID),)), {"do": {"task": TASK}}, "ещё открыта", id="открыта"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(event, now, changed, reason):
    said = filled_field_starts_deeds(event, now, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_another_date_after_the_task_is_done_sets_another():
    now = paid(own_tasks=(task(slot=PAID, is_completed=True),))
    (said,) = filled_field_starts_deeds(CHANGED, now, options(do={"task": TASK}))
    assert isinstance(said, CreateTask)
