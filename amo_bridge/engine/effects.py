"""Effects: actions in amoCRM's ids, ready for the outbox.

One effect is one change of one thing, in amoCRM or past it. ``payload`` is JSON; it holds all that is needed to send
the effect, to look for it when its answer was lost, and to see that it is not needed any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel

from amo_bridge.crm.records import DealRecord, TaskRecord
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.rules.handler import OutsideChannel
from amo_bridge.rules.letters import LetterSpec
from amo_bridge.rules.options import AudienceSpec, EscalationSpec, FolderSpec, NoticeSpec, ViolationSpec
from amo_bridge.text.typography import action_words

if TYPE_CHECKING:
    # ``amo-bridge check`` asks for the channels' names without the database's libraries and amoCRM's client.
    from sqlalchemy import ColumnElement, FromClause

    from amo_bridge.crm.writes import CrmKind

OutsideKind = Literal[
    "send_letter", "notify", "join_audience", "leave_audience", "send_sms",
    "start_auto_dial", "stop_auto_dial", "start_series", "stop_series", "record_violation", "store_file",
    "answer_client",
]  # fmt: skip
Kind: TypeAlias = "CrmKind | OutsideKind"
"""Stored names. Those of writes into amoCRM are rows of ``crm/writes.WRITE_KINDS``."""

Channel = Literal["crm"] | OutsideChannel
"""Effects of different channels don't wait for each other: a dead mail server holds up letters and nothing else."""


@dataclass(frozen=True)
class ChannelKind:
    """All that is known of a way out past amoCRM, whichever vendor serves it; a new one is a row of ``CHANNEL_KINDS``.

    ``label``: its Russian name on pages and in the journal. ``effects``: what goes by it. ``options``: the shapes of
    options that want it; ``action_keys``: the keys of ``actions`` that want it.
    """

    name: Channel
    label: str
    effects: tuple[OutsideKind, ...]
    options: tuple[type[BaseModel], ...] = ()
    action_keys: tuple[str, ...] = ()


CHANNEL_KINDS: Mapping[Channel, ChannelKind] = {
    kind.name: kind
    for kind in (
        # A series sends its letters by mail.
        ChannelKind("mail", "почта", ("send_letter",), options=(LetterSpec,), action_keys=("start_series",)),
        ChannelKind("notices", "уведомления", ("notify",), options=(NoticeSpec, EscalationSpec)),
        ChannelKind("audiences", "аудитории", ("join_audience", "leave_audience"), options=(AudienceSpec,)),
        ChannelKind("sms", "SMS", ("send_sms",), action_keys=("sms",)),
        ChannelKind("dial", "автодозвон", ("start_auto_dial", "stop_auto_dial"), action_keys=("auto_dial",)),
        ChannelKind("series", "серии писем", ("start_series", "stop_series")),
        ChannelKind("ledger", "учёт нарушений", ("record_violation",), options=(ViolationSpec,)),
        ChannelKind("storage", "хранилище документов", ("store_file",), options=(FolderSpec,)),
        ChannelKind("chats", "ответы клиентам", ("answer_client",)),
    )
}
OUTSIDE: Mapping[str, Channel] = {effect: kind.name for kind in CHANNEL_KINDS.values() for effect in kind.effects}
"""Kind of effect → channel, of what goes past amoCRM's API."""

NEW_URL, NEW_ID = "{new.url}", "{new.id}"
"""Stand in a payload for the address and the id of the deal that is created before."""


NO_DEAL = 0
"""Stands in the outbox for the deal of what is on nobody's card."""

UNDONE = "undone"
"""The payload key that says: a person takes back what a rule did, and nothing follows from it."""


@dataclass(frozen=True)
class Effect:
    """One change, as the outbox stores it.

    ``words``: what it does, in Russian, for the journal. ``body``: the object for amoCRM's API or a port.
    ``slot``: the rule's own mark. ``once``: made once per rule, deal and slot, whatever happens to the deal.
    ``expects``: for a patch of a deal, the (pipeline, status) it was decided on; if the deal has left, it is dropped.
    ``before``: for a patch, what it changes as it was then; what people have changed since is left to them.
    ``rolls_back``: entering the stage is no event. ``then``: to be done after this one exists. ``not_before``: when the
    cause happened (Unix seconds, amoCRM's clock). ``extra``: more keys of the payload.
    """

    kind: Kind
    deal_id: int
    body: Mapping[str, Any]
    words: str
    slot: str = ""
    once: bool = False
    expects: tuple[int, int] | None = None
    before: Mapping[str, Any] | None = None
    rolls_back: bool = False
    then: tuple[Effect, ...] = ()
    not_before: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", action_words(self.words))

    @property
    def all_words(self) -> list[str]:
        """Its words and those of what is done after it."""
        return [self.words, *(words for follow in self.then for words in follow.all_words)]

    def payload(self) -> dict[str, Any]:
        """What the outbox stores."""
        return {
            "body": dict(self.body),
            "words": self.words,
            "slot": self.slot,
            "expects": list(self.expects) if self.expects else None,
            "rolls_back": self.rolls_back,
            "not_before": self.not_before,
            **({} if self.before is None else {"before": dict(self.before)}),
            **self.extra,
        }


def in_channel(channel: Channel, rows: FromClause) -> ColumnElement[bool]:
    """Of ``rows``, which are table ``outbox`` or an alias of it, those that this channel sends: their kind tells."""
    if channel == "crm":
        return rows.c.kind.not_in(list(OUTSIDE))
    return rows.c.kind.in_(CHANNEL_KINDS[channel].effects)


# --- parts of a patch -------------------------------------------------------------------------------------------------

GUARDED: Mapping[str, Mapping[str, str]] = {
    "patch_deal": {
        "responsible_user_id": "ответственный изменён человеком",
        "name": "название изменено человеком",
        "price": "бюджет изменён человеком",
    },
    "change_task": {
        "text": "текст задачи изменён человеком",
        "complete_till": "срок задачи изменён человеком",
        "responsible_user_id": "исполнитель задачи изменён человеком",
        "task_type_id": "тип задачи изменён человеком",
    },
}
"""Kind of write → attribute → the words for the journal. Custom fields are guarded besides."""


def patched_parts(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What a patch wants of each part that is guarded: an attribute's name or a custom field's id → its value."""
    attributes = {name: body[name] for name in GUARDED.get(kind, ()) if name in body}
    fields = body.get("custom_fields_values") or ()
    return attributes | {str(one["field_id"]): one["values"] or [] for one in fields}


def part_now(record: DealRecord | TaskRecord, part: str) -> Any:
    """A part of a card as a read shows it."""
    if part.isdigit():
        return list(record.fields.get(int(part), ())) if isinstance(record, DealRecord) else []
    value = getattr(record, part)
    return int(value.timestamp()) if isinstance(value, datetime) else value


def state_before(record: DealRecord | TaskRecord, body: Mapping[str, Any], kind: str = "patch_deal") -> dict[str, Any]:
    """What a patch is about to change, as it is now; stored with the patch, to see later whether it still is so."""
    return {part: part_now(record, part) for part in patched_parts(kind, body)}
