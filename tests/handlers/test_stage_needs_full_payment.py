"""W9: won only when it is paid in full."""

from __future__ import annotations

from typing import Any

import pytest
from support.builders import deal, entered

from amo_bridge.rules.actions import RollBack, Skip
from handlers.stage_needs_full_payment import StageNeedsFullPayment, stage_needs_full_payment

WON = "Вебинары / Успешно реализовано"


def judged(paid: str | None, price: int = 10_000, event: Any = None, on: str = WON, **changed: Any) -> Any:
    told = {"entering": [WON], "paid_field": "Оплачено"} | changed
    fields = {"Оплачено": paid} if paid is not None else {}
    return stage_needs_full_payment(
        event or entered(WON, user_is=("Иван Петров", "manager")),
        deal(on, price=price, fields=fields),
        StageNeedsFullPayment.model_validate(told),
    )


@pytest.mark.parametrize(
    ("paid", "price", "needs"),
    [
        (None, 10_000, "дождитесь полной оплаты и запишите её: сейчас 0 из 10000: «Оплачено»"),
        ("9999", 10_000, "дождитесь полной оплаты и запишите её: сейчас 9999 из 10000: «Оплачено»"),
        ("скоро", 10_000, "дождитесь полной оплаты и запишите её: сейчас 0 из 10000: «Оплачено»"),
        ("10000", 0, "заполните: «Бюджет»"),
    ],
)
def test_it_is_put_back(paid: str | None, price: int, needs: str) -> None:
    said = judged(paid, price)
    assert isinstance(said, RollBack)
    assert said.needs == needs


@pytest.mark.parametrize("paid", ["10000", "10 000", "10000,5", "12000"])
def test_paid_in_full_it_passes(paid: str) -> None:
    assert judged(paid) == Skip("оплачено полностью")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"on": "Продажи / Новый клиент", "event": entered("Продажи / Новый клиент")}, "не проверяет"),
        ({"may_pass": ["manager"]}, "этому человеку можно"),
        ({"when": {"tag": "рассрочка"}}, "не выполнено условие"),
        ({"on": "Вебинары / Перенос звонка"}, "уже ушла"),
    ],
)
def test_it_is_not_looked_at(changed: dict[str, Any], why: str) -> None:
    said = judged(None, **changed)
    assert isinstance(said, Skip)
    assert why in said.reason
