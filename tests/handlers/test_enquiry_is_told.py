from datetime import UTC, datetime
from typing import Any

import pytest
from support.builders import deal

from amo_bridge.events import EnquiryOnDeal
from amo_bridge.rules.actions import Notify, SendLetter, SendSms, Skip
from handlers.enquiry_is_told import EnquiryIsTold, enquiry_is_told

NOON = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def event(**changed: Any) -> EnquiryOnDeal:
    facts: dict[str, Any] = {
        "at": NOON, "deal_id": 7, "enquiry_id": 5, "source": "vk", "title": "ВКонтакте", "who": "Анна",
        "text": "Сколько стоит?", "is_new": True, "utm": (("utm_source", "vk"),),
    }  # fmt: skip
    return EnquiryOnDeal(**(facts | changed))


def options(**changed: Any) -> EnquiryIsTold:
    return EnquiryIsTold.model_validate(changed)


def test_the_manager_is_told_who_asked_and_what() -> None:
    (told,) = enquiry_is_told(event(), deal(), options())
    assert told == Notify(deal_id=7, to=("manager",), text="Обращение (ВКонтакте), Анна: Сколько стоит?")


def test_a_long_message_is_told_whole() -> None:
    words = "Подскажите, " * 200 + "и ещё одно"
    (told,) = enquiry_is_told(event(text=words), deal(), options())
    assert isinstance(told, Notify)
    assert told.text.endswith(words)


def test_the_client_is_answered_by_letter_and_sms() -> None:
    done = enquiry_is_told(event(), deal(), options(to=None, letter={"template": "получили"}, sms="Мы ответим"))
    assert [type(one) for one in done] == [SendLetter, SendSms]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changed", "rule", "reason"),
    [
        pytest.param({}, {"sources": ["tilda"]}, "источник", id="другой источник"),
        pytest.param({}, {"utm": {"utm_source": "yandex"}}, "метка", id="другая метка"),
        pytest.param({"is_new": False}, {"which": "new"}, "только о новых", id="повторное"),
        pytest.param({}, {"which": "again"}, "только о повторных", id="новое"),
        pytest.param({"call": "missed"}, {"calls": "no"}, "звонки", id="звонок"),
    ],
)
def test_nothing_is_told_and_the_reason_is(changed: dict[str, Any], rule: dict[str, Any], reason: str) -> None:
    said = enquiry_is_told(event(**changed), deal(), options(**rule))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_a_rule_that_does_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="нечего делать"):
        options(to=None)
