"""W8: whose phone is abroad is written to."""

from __future__ import annotations

from typing import Any

import pytest
from support.builders import NOON, deal, entered

from amo_bridge.events import ResponsibleChanged
from amo_bridge.rules.actions import AddTags, Notify, Skip
from amo_bridge.rules.deal import Contact
from handlers.foreign_client_is_written_to import ForeignClientIsWrittenTo, foreign_client_is_written_to

STAGE = "Вебинары / Был на вебинаре более часа"


def judged(*phones: str, event: Any = None, options: dict[str, Any] | None = None, **changed: Any) -> Any:
    people = (Contact(id=5, is_main=True, phones=phones), Contact(id=6, phones=("+79161234567",)))
    told = deal(STAGE, contacts=people, **changed)
    return foreign_client_is_written_to(
        event or entered(STAGE), told, ForeignClientIsWrittenTo.model_validate(options or {})
    )  # fmt: skip


@pytest.mark.parametrize("phone", ["+380501234567", "+77771234567", "+491701234567"])
def test_the_manager_is_told_to_write(phone: str) -> None:
    tag, notice = judged(phone)
    assert tag == AddTags(deal_id=7, tags=("писать, не звонить",))
    assert isinstance(notice, Notify)
    assert notice.text.startswith("Ромашка: телефон клиента не российский")


def test_a_new_manager_is_told_although_the_tag_is_there() -> None:
    event = ResponsibleChanged(at=NOON, deal_id=7, old=1, new=2)
    (notice,) = judged("+77771234567", event=event, tags=("писать, не звонить",))
    assert isinstance(notice, Notify)


@pytest.mark.parametrize(
    ("phones", "changed", "why"),
    [
        (("+79161234567",), {}, "есть номер своей страны"),
        (("+380501234567", "+79161234567"), {}, "есть номер своей страны"),
        ((), {}, "нет телефона"),
        (("+380501234567",), {"tags": ("писать, не звонить",)}, "уже сказано"),
        (("+380501234567",), {"options": {"stages": ["Продажи / Новый клиент"]}}, "не говорится"),
        (("+77771234567",), {"options": {"home": "KZ"}}, "есть номер своей страны"),
    ],
)
def test_nothing_to_say(phones: tuple[str, ...], changed: dict[str, Any], why: str) -> None:
    said = judged(*phones, **changed)
    assert isinstance(said, Skip)
    assert why in said.reason
