"""Which letters a machine wrote in the client's name, and of which only a person can tell."""

from __future__ import annotations

import pytest

from amo_bridge.events.letters import why_doubtful, why_machine

ANNA = "anna@client.test"
LIVING, MACHINE, DOUBT = "living", "machine", "doubt"


@pytest.mark.parametrize(
    ("sender", "subject", "summary", "kind"),
    [
        (ANNA, "Re: Предложение", "Да, интересно, позвоните", LIVING),
        (ANNA, "Ответ: предложение", "Берём", LIVING),
        (ANNA, "", "Позвоните мне", LIVING),
        (ANNA, "Заказ не доставлен", "Где курьер?", LIVING),
        (ANNA, "Re: Настройка автоответов", "Нам нужен автоответ в чате", LIVING),
        (ANNA, "Re: Скидки в отпуске", "Хочу", LIVING),
        (ANNA, "Re: Предложение", "Вчера вернулась из командировки, давайте созвонимся", LIVING),
        ("nora.reply@client.test", "Re: КП", "Согласны", LIVING),
        (ANNA, "Автоответ: Re: Предложение", "Я в отпуске до 15 числа", MACHINE),
        (ANNA, "Автоматический ответ: Предложение", "", MACHINE),
        (ANNA, "Automatic reply: Offer", "I am out of the office", MACHINE),
        (ANNA, "Out of Office: Offer", "", MACHINE),
        (ANNA, "Нет на месте: Предложение", "", MACHINE),
        (ANNA, "Я в отпуске", "", MACHINE),
        (ANNA, "Abwesenheitsnotiz: Angebot", "", MACHINE),
        (ANNA, "Прочитано: КП", "", MACHINE),
        (ANNA, "Re: Предложение", "Здравствуйте! Это автоматический ответ.", MACHINE),
        (ANNA, "Re: Предложение", "Автоответ. Меня нет", MACHINE),
        (ANNA, "Re: Offer", "This is an automated reply.", MACHINE),
        (ANNA, "Undelivered Mail Returned to Sender", "", MACHINE),
        (ANNA, "Delivery Status Notification (Failure)", "", MACHINE),
        (ANNA, "Сообщение не доставлено", "", MACHINE),
        ("MAILER-DAEMON@mx.client.test", "Re: КП", "…", MACHINE),
        ("Mail Delivery Subsystem <mailer-daemon@googlemail.com>", "…", "…", MACHINE),
        ("postmaster@client.test", "…", "…", MACHINE),
        ("bounce-17+anna=client.test@mail.test", "…", "…", MACHINE),
        ("no-reply@client.test", "…", "…", MACHINE),
        ("noreply.sales@client.test", "…", "…", MACHINE),
        ("<>", "Re: КП", "Да", MACHINE),
        ("", "Re: КП", "Да", DOUBT),
        (ANNA, "", "", DOUBT),
        (ANNA, "Re: Предложение", "Я в отпуске до 15 числа, отвечу по возвращении.", DOUBT),
        (ANNA, "Re: Offer", "I am out of the office and will reply on Monday.", DOUBT),
    ],
)
def test_who_wrote_it(sender: str, subject: str, summary: str, kind: str) -> None:
    machine, doubt = why_machine(sender, subject, summary), why_doubtful(sender, subject, summary)
    assert (MACHINE if machine else DOUBT if doubt else LIVING) == kind
