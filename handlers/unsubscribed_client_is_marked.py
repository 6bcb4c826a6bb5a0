"""A client unsubscribes by the link in a letter → his deal is tagged, and his series of letters ends.

His address gets no advertising from that moment on, whether this rule is on or not. Does nothing more than once: the
link may be followed again and again.
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


class UnsubscribedClientIsMarked(Options):
    tag: TagName = TagName("Отписан")
    field: CustomFieldName | None = None
    note: Text | None = Text("Клиент отписался от рассылок по ссылке в письме")


@handler(on=ClientUnsubscribed, options=UnsubscribedClientIsMarked)
def unsubscribed_client_is_marked(
    event: ClientUnsubscribed, deal: Deal, options: UnsubscribedClientIsMarked
) -> list[Action]:
    actions: list[Action] = [StopSeries(deal_id=deal.id, because="клиент отписался")]
    if not deal.has_tag(options.tag):
        actions.append(AddTags(deal_id=deal.id, tags=(options.tag,)))
    if options.field and not deal.has(options.field):
        actions.append(SetFields(deal_id=deal.id, values={options.field: True}))
    if options.note:
        actions.append(AddNote(deal_id=deal.id, text=options.note.for_deal(deal)))
    return actions
