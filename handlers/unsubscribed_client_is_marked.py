"""A client unsubscribes, complains of spam, or has no such address → his deal is tagged, his series of letters ends.

He follows the link in a letter, or a mail service tells of him (``[intake.unisender_go]``). The address gets no
advertising from that moment on (one that is not there gets nothing), whether this rule is on or not. Does nothing more
than once for a letter: the link may be followed again and again.
Covers A11, A122 (who wants no more letters gets none).
"""

from __future__ import annotations

from amo_bridge.events import ClientUnsubscribed
from amo_bridge.rules import (
    Action,
    AddNote,
    AddTags,
    CustomFieldName,
    Deal,
    Options,
    SetFields,
    StopSeries,
    TagName,
    Text,
    handler,
)

NOTES = {
    "complaint": "Клиент пожаловался на письмо как на спам: рассылок ему больше нет",
    "bounce": "Письмо клиенту вернулось: такого адреса нет. Мост больше не пишет на него — узнайте другой",
}
REASONS = {"complaint": "клиент пожаловался на спам", "bounce": "адреса клиента нет"}


class UnsubscribedClientIsMarked(Options):
    tag: TagName = TagName("Отписан")
    field: CustomFieldName | None = None
    note: Text | None = Text("Клиент отписался от рассылок по ссылке в письме")


@handler(on=ClientUnsubscribed, options=UnsubscribedClientIsMarked)
def unsubscribed_client_is_marked(
    event: ClientUnsubscribed, deal: Deal, options: UnsubscribedClientIsMarked
) -> list[Action]:
    because = REASONS.get(event.cause, "клиент отписался")
    actions: list[Action] = [StopSeries(deal_id=deal.id, because=because)]
    if not deal.has_tag(options.tag):
        actions.append(AddTags(deal_id=deal.id, tags=(options.tag,)))
    if options.field and not deal.has(options.field):
        actions.append(SetFields(deal_id=deal.id, values={options.field: True}))
    if options.note:
        text = NOTES.get(event.cause) or options.note.for_deal(deal)
        actions.append(AddNote(deal_id=deal.id, text=text))
    return actions
