"""A port that does as it is told, for tests of what goes out past amoCRM."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from amo_bridge.channels.port import Job, LostAnswer, Outcome, Port, Sent
from amo_bridge.channels.sender import ChannelSender as OutboxLane
from amo_bridge.clock import Clock
from amo_bridge.engine.effects import Channel, Effect, Kind
from amo_bridge.engine.outbox import Sendable
from amo_bridge.storage.database import AccountStore, Store
from support.fakes import ACCOUNT, at, clock, queue

Answer = Outcome | Exception


class ScriptedPort(Port):
    """``answers``: what becomes of what is sent, one after the other; when they are used up, all is sent.
    ``at_once``: what needs no sending, by the text of the effect. ``found``: what the vendor says of lost answers."""

    def __init__(
        self,
        *answers: Answer,
        at_once: Mapping[str, Outcome] | None = None,
        channel: Channel = "notices",
        lost_answer: LostAnswer = "leave",
        found: Sequence[Sent | Exception | None] = (),
        in_order: bool = True,
        is_far: bool = False,
    ) -> None:
        self.channel = channel
        self.in_order = in_order
        self.is_far = is_far
        self.lost_answer = lost_answer
        self.found = list(found)
        self.looked_for: list[str] = []
        self.answers = list(answers)
        self.at_once = dict(at_once or {})
        self.while_sending: Callable[[], None] = lambda: None
        self.planned: list[list[str]] = []
        self.sent: list[str] = []
        self.kept: list[str] = []
        self.rests = 0

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        self.planned.append([row.body["text"] for row in rows])
        return {row.id: self.at_once.get(row.body["text"]) or self._job(row) for row in rows}

    def _job(self, row: Sendable) -> Job:
        def send() -> Outcome:
            self.while_sending()
            answer = self.answers.pop(0) if self.answers else Sent("кому надо")
            if isinstance(answer, Exception):
                raise answer
            self.sent.append(row.body["text"])
            return answer

        return send

    def find_lost(self, row: Sendable) -> Sent | None:
        self.looked_for.append(row.body["text"])
        answer = self.found.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        self.kept.append(row.body["text"])

    def rest(self) -> None:
        self.rests += 1


def lane(store: Store, port: Port, hands: Clock | None = None, account_hands: Clock | None = None) -> OutboxLane:
    hands = hands or clock()
    return OutboxLane(AccountStore(store, ACCOUNT), port, hands, account_hands or hands)


def notice(text: str = "Клиент ждёт", deal_id: int = 7, kind: Kind = "notify") -> Effect:
    return Effect(kind, deal_id, {"text": text}, f"уведомление «{text}»", not_before=at(0).timestamp())


def notices(store: Store, *texts: str) -> None:
    """One for each text, about deals 7, 8, 9 …"""
    for number, text in enumerate(texts):
        queue(store, notice(text, 7 + number), event_key=f"event {text}")


def no_document(*_: object) -> Any:
    """Instead of what makes documents, where no letter wants one."""
    raise AssertionError("nobody wants a document")
