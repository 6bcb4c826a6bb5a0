"""The port for notices to our own people: one person, one notice, by the first of his ways that works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from amo_bridge.channels.mail import usable
from amo_bridge.channels.port import Job, Later, LostAnswer, NotSent, Outcome, Port, Sent
from amo_bridge.channels.smtp import Letter, MailServer, message_id
from amo_bridge.channels.telegram import Bot, messages
from amo_bridge.clock import Clock
from amo_bridge.config.channels import MailSection, Way
from amo_bridge.engine.effects import Channel
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.people import Reach, ReachablePerson
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.text.templates import Rendered

NAMES: Mapping[Way, str] = {"telegram": "Telegram", "mail": "почта"}
# A way that is down is not tried for every notice of a round anew: each try may take half a minute.
LEFT_ALONE = timedelta(minutes=1)
LONGEST_SUBJECT = 100


class NoticePort(Port):
    channel: Channel = "notices"
    # People are told what there is to tell; a notice that waits for the morning holds up nobody else's.
    in_order = False
    # Twice is better than never, for our own people.
    lost_answer: LostAnswer = "repeat"

    def __init__(
        self,
        mail: MailSection | None,
        server: MailServer | None,
        bot: Bot | None,
        rule_engine: Callable[[], RuleEngine],
        account_id: int,
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        self._mail = mail
        self._server = server
        self._bot = bot
        self._rule_engine = rule_engine
        self._key = account_id
        self._clock = clock
        self._account_clock = account_clock
        self._down_until: dict[Way, datetime] = {}
        self._by: Mapping[Way, Callable[[Sendable, ReachablePerson], None]] = {
            "telegram": self._by_telegram,
            "mail": self._by_mail,
        }

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        rule_engine = self._rule_engine()
        reach = Reach(rule_engine.config.channels, rule_engine.account)
        return {row.id: self._planned(row, reach) for row in rows}

    def rest(self) -> None:
        if self._server:
            self._server.leave()

    def _planned(self, row: Sendable, reach: Reach) -> Outcome | Job:
        person = reach.person(row.body["user_id"])
        if person is None:
            return NotSent("такого пользователя в аккаунте больше нет")
        name = person.user.name
        if not person.ways:
            return NotSent(f'никуда не отправлено: у «{name}» нет ни Telegram, ни почты ([people."{name}"])')
        if not row.body["urgent"] and (until := reach.quiet_until(person, self._account_clock.now())):
            return Later(until, f"тихие часы у «{name}»")
        return partial(self._send, row, person)

    def _send(self, row: Sendable, person: ReachablePerson) -> Outcome:
        failures: list[ChannelError] = []
        for way in person.ways:
            try:
                self._try(way, row, person)
            except ChannelError as error:
                failures.append(error)
            else:
                return Sent(f"{NAMES[way]}: {person.user.name}")
        raise _together(failures)

    def _try(self, way: Way, row: Sendable, person: ReachablePerson) -> None:
        now = self._clock.now()
        if (until := self._down_until.get(way)) and now < until:
            raise ChannelBusy(f"{NAMES[way]}: канал не отвечал только что")
        try:
            self._by[way](row, person)
        except ChannelDown:
            self._down_until[way] = now + LEFT_ALONE
            raise

    def _by_telegram(self, row: Sendable, person: ReachablePerson) -> None:
        assert self._bot is not None
        assert person.telegram is not None
        for html in messages(row.body["about"], row.body["text"], row.body["url"]):
            self._bot.send(person.telegram, html)

    def _by_mail(self, row: Sendable, person: ReachablePerson) -> None:
        assert self._mail is not None
        assert self._server is not None
        address = usable(person.address)
        if address is None:
            raise ChannelRefused(f"почта: адрес у «{person.user.name}» записан с ошибкой")
        body = row.body
        letter = Letter(
            sender=self._mail.sender,
            to_name=person.user.name,
            to_address=address,
            content=Rendered(_subject(body["about"], body["text"]), f"{body['text']}\n\n{body['url']}\n"),
            message_id=message_id(self._key, row.key, self._mail.sender_address),
            at=self._account_clock.now(),
            is_notice=True,
        )
        self._server.send(letter.sender, letter.to_address, letter.to_bytes())


def _subject(about: str, text: str) -> str:
    line = " ".join(f"{about}: {text}".split())
    return line if len(line) <= LONGEST_SUBJECT else line[: LONGEST_SUBJECT - 1].rstrip() + "…"


def _together(failures: Sequence[ChannelError]) -> ChannelError:
    """All ways have failed: the most hopeful of them says what is to be done, all of them are told."""
    words = "; ".join(str(error) for error in failures)
    if any(isinstance(error, ChannelUncertain) for error in failures):
        return ChannelUncertain(words)
    hopeful = [error for error in failures if not isinstance(error, ChannelRefused)]
    if not hopeful:
        return ChannelRefused(words)
    waits = [error.retry_after for error in hopeful if error.retry_after is not None]
    return ChannelBusy(words, retry_after=min(waits) if waits and len(waits) == len(hopeful) else None)
