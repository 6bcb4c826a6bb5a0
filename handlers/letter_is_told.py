"""A client's letter came to the shared mailbox → whoever answers for the deal is told, with the letter's subject.

A letter on a contact's card is told on each of his open deals. Does nothing about calls and messages, or on another
stage than the rule is for.
Covers W12.
"""

from __future__ import annotations

from amo_bridge.events import ClientAnswered
from amo_bridge.rules import Deal, NoticeSpec, Notify, Options, Skip, StageName, handler


class LetterIsTold(Options):
    stages: tuple[StageName, ...] = ()
    notify: NoticeSpec


@handler(on=ClientAnswered, options=LetterIsTold)
def letter_is_told(event: ClientAnswered, deal: Deal, options: LetterIsTold) -> Skip | Notify:
    if event.by != "mail":
        return Skip("клиент не писал, а звонил или ответил в чате")
    if options.stages and not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» о письмах не говорится")
    return options.notify.for_deal(deal, f". Тема: «{event.text}»" if event.text else "")
