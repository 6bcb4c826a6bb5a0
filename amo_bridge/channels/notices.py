"""The port for notices to our own people, each by the first of the person's ways that works.

What one rule has to say to one person about many deals at a time is one notice with a list: a mass change or an import
must not ring a hundred times. So a notice that is not urgent waits until the events that came with its own are judged,
``MAX_WAIT_SECONDS`` at most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from amo_bridge.channels.attachments import DealFiles
from amo_bridge.channels.letter import Letter, LetterService, message_id
from amo_bridge.channels.mail import usable
from amo_bridge.channels.messengers import Messenger, length
from amo_bridge.channels.port import Job, Later, LostAnswer, NotSent, Outcome, Port, Sent
from amo_bridge.clock import Clock
from amo_bridge.config.channels import MailSection, Way
from amo_bridge.engine.effects import Channel
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.people import Reach, ReachablePerson
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import (
    ChannelBusy,
    ChannelDown,
    ChannelError,
    ChannelRefused,
    ChannelUncertain,
    CrmError,
)
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.text.templates import Rendered
from amo_bridge.text.typography import nested_quotes

PHONE = "{Телефон}"
NAMES: Mapping[Way, str] = {"telegram": "Telegram", "max": "MAX", "mail": "почта"}
# A way that is down is not tried for every notice of a round anew: each try may take half a minute.
LEFT_ALONE = timedelta(minutes=1)
LONGEST_SUBJECT = 100
# A mass change of some thousand deals is judged in less.
MAX_WAIT_SECONDS = 120.0
MAX_LISTED = 200


@dataclass(frozen=True)
class Notice:
    """What one person is told at once. ``key``: of the (first) row of the outbox; ``deals``: about how many."""

    key: str
    about: str
    text: str
    url: str
    deals: int = 1
    deal_id: int = 0
    attach: Mapping[str, Any] | None = None
    """The file of the deal that is to go along, as a rule names it."""
    html: str | None = None
    """The same for mail programs, where somebody has drawn it."""

    @classmethod
    def of(cls, rows: Sequence[Sendable]) -> Notice:
        """One notice for all of these rows of one rule to one person."""
        first = rows[0].body
        told = list(dict.fromkeys((row.body["about"], row.body["text"], row.body["url"]) for row in rows))
        if len(told) == 1:
            key, deal_id, attach = rows[0].key, rows[0].deal_id, first.get("attach")
            return cls(key, *told[0], deal_id=deal_id, attach=attach, html=first.get("html"))
        says = {_without_name(text, about) for about, text, _ in told}
        if len(says) == 1:
            (common,) = says
            lines = [f"{about} — {url}" if url else about for about, _, url in told]
            head = [common[:1].upper() + common[1:], ""]
        else:
            lines = [f"{_with_name(text, about)}{f' — {url}' if url else ''}" for about, text, url in told]
            head = []
        more = [f"… и ещё {len(lines) - MAX_LISTED}"] if len(lines) > MAX_LISTED else []
        numbered = [f"{number}. {line}" for number, line in enumerate(lines[:MAX_LISTED], 1)]
        return cls(rows[0].key, f"Сделок: {len(told)}", "\n".join((*head, *numbered, *more)), "", len(told))


def _without_name(text: str, about: str) -> str:
    """What a text says of any deal: without the deal's name at its beginning."""
    for name in (about, nested_quotes(about)):
        if name and text.startswith(name):
            return text[len(name) :].lstrip(" :,.—–-")
    return text


def _with_name(text: str, about: str) -> str:
    return text if not about or _without_name(text, about) != text else f"{about}: {text}"


class NoticePort(Port):
    channel: Channel = "notices"
    # People are told what there is to tell; a notice that waits for the morning holds up nobody else's.
    in_order = False
    # All that is ready, so that what belongs together is seen together.
    batch_size = 5000
    # Twice is better than never, for our own people.
    lost_answer: LostAnswer = "repeat"

    def __init__(
        self,
        mail: MailSection | None,
        server: LetterService | None,
        bots: Mapping[Way, Messenger],
        rule_engine: Callable[[], RuleEngine],
        account_id: int,
        clock: Clock,
        account_clock: Clock,
        *,
        more_may_come: Callable[[], bool] = lambda: False,
        files: DealFiles | None = None,
    ) -> None:
        """``more_may_come``: are there events that are not judged yet?"""
        self._files = files
        self._more_may_come = more_may_come
        self._mail = mail
        self._server = server
        self._bots = bots
        self._rule_engine = rule_engine
        self._key = account_id
        self._clock = clock
        self._account_clock = account_clock
        self._down_until: dict[Way, datetime] = {}
        self._went: dict[tuple[str, Way, int], set[tuple[int, str]]] = {}
        """Notice and chat → the messages, by number, that went out before one that has to be tried again."""

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        rule_engine = self._rule_engine()
        reach = Reach(rule_engine.config.channels, rule_engine.account)
        planned: dict[int, Outcome | Job] = {}
        together: dict[tuple[str, int, bool, int], list[Sendable]] = {}
        people: dict[int, ReachablePerson] = {}
        for row in self._with_phones(rows):
            found = self._recipient(row, reach)
            if isinstance(found, ReachablePerson):
                people[row.body["user_id"]] = found
                # With a file of its own it is told by itself.
                alone = row.deal_id if row.body.get("attach") else 0
                together.setdefault((row.rule, row.body["user_id"], row.body["urgent"], alone), []).append(row)
            else:
                planned[row.id] = found
        more_may_come = self._more_may_come() if together else False
        for (_, user_id, is_urgent, _), same in together.items():
            if is_urgent or not more_may_come or self._has_waited(same):
                planned |= dict.fromkeys((row.id for row in same), self._job(same, people[user_id]))
        return planned

    def _with_phones(self, rows: Sequence[Sendable]) -> list[Sendable]:
        """With the clients' phones in their texts. While amoCRM can't be asked, those that need one wait."""
        wanting = [row for row in rows if PHONE in row.body["text"]]
        if not wanting:
            return list(rows)
        try:
            phones = self._files.phones(wanting) if self._files else {}
        except CrmError as error:
            log.warning("notices wait for clients' phones", error=str(error))
            return [row for row in rows if PHONE not in row.body["text"]]
        filled = []
        for row in rows:
            text = row.body["text"].replace(PHONE, phones.get(row.id) or "телефона нет")
            filled.append(row.with_body({**row.body, "text": text}) if row in wanting else row)
        return filled

    def _has_waited(self, rows: Sequence[Sendable]) -> bool:
        return self._clock.now().timestamp() - min(row.created_at for row in rows) >= MAX_WAIT_SECONDS

    def rest(self) -> None:
        if self._server:
            self._server.leave()

    def _recipient(self, row: Sendable, reach: Reach) -> Outcome | ReachablePerson:
        person = reach.person(row.body["user_id"])
        if person is None:
            return NotSent("такого пользователя в аккаунте больше нет")
        name = person.user.name
        if not person.user.is_active:
            return NotSent(f"«{name}» в amoCRM отключён: ему больше не пишут")
        if not person.ways:
            return NotSent(f'никуда не отправлено: у «{name}» нет ни Telegram, ни MAX, ни почты ([people."{name}"])')
        if not row.body["urgent"] and (until := reach.quiet_until(person, self._account_clock.now())):
            return Later(until, f"тихие часы у «{name}»")
        return person

    def _job(self, rows: Sequence[Sendable], person: ReachablePerson) -> Job:
        """Sends one notice for all of these rows when the first of them is to go; the others have its outcome."""
        notice = Notice.of(rows)
        outcomes: list[Outcome | ChannelError] = []

        def send() -> Outcome:
            if not outcomes:
                try:
                    outcomes.append(self._send(notice, person))
                except ChannelError as error:
                    outcomes.append(error)
            if isinstance(outcomes[0], ChannelError):
                raise outcomes[0]
            return outcomes[0]

        return send

    def _send(self, notice: Notice, person: ReachablePerson) -> Outcome:
        failures: list[ChannelError] = []
        for way in person.ways:
            try:
                missing = self._try(way, notice, person)
            except ChannelError as error:
                failures.append(error)
            else:
                self._went.pop((notice.key, way, person.chat(way) or 0), None)
                others = f", одним уведомлением о сделках: {notice.deals}" if notice.deals > 1 else ""
                return Sent(f"{NAMES[way]}: {person.user.name}{others}{missing and f'; {missing}'}")
        raise _together(failures)

    def _try(self, way: Way, notice: Notice, person: ReachablePerson) -> str:
        """What did not go out though the rest did (Russian); empty: all did. Raises ChannelError."""
        now = self._clock.now()
        if (until := self._down_until.get(way)) and now < until:
            raise ChannelBusy(f"{NAMES[way]}: канал не отвечал только что")
        try:
            return self._by_mail(notice, person) if way == "mail" else self._by_messenger(way, notice, person)
        except ChannelDown:
            self._down_until[way] = now + LEFT_ALONE
            raise

    def _by_messenger(self, way: Way, notice: Notice, person: ReachablePerson) -> str:
        chat_id, bot = person.chat(way), self._bots[way]
        assert chat_id is not None
        key = (notice.key, way, chat_id)
        went = self._went.pop(key, set())
        try:
            if notice.attach is not None:
                return self._send_with_file(bot, notice, notice.attach, chat_id, went)
            self._send_texts(bot, notice, notice.text, chat_id, went)
        except ChannelRefused as error:
            if not went:
                raise
            return f"дошло не всё: {error}"
        except ChannelError:
            # The notice is tried again, without what went out.
            if went:
                self._went[key] = went
            raise
        return ""

    def _send_texts(
        self, bot: Messenger, notice: Notice, text: str, chat_id: int, went: set[tuple[int, str]], first: int = 0
    ) -> None:
        """``went``: what went out of this notice already. ``first``: which message of the notice the first one is."""
        for number, message in enumerate(bot.texts(notice.about, text, notice.url), first):
            if (number, message) not in went:
                bot.send(chat_id, message)
                went.add((number, message))

    def _send_with_file(
        self, bot: Messenger, notice: Notice, attach: Mapping[str, Any], chat_id: int, went: set[tuple[int, str]]
    ) -> str:
        """The file with the text under it, or after the text if that is long; why the file did not go along (Russian),
        which the person is told, too."""
        texts = bot.texts(notice.about, notice.text, notice.url)
        is_short = len(texts) == 1 and length(texts[0]) <= bot.longest_caption
        try:
            if self._files is None:
                raise ChannelRefused("мост не связан с amoCRM")
            with self._files.newest(notice.deal_id, attach) as found:
                if not is_short:
                    self._send_texts(bot, notice, notice.text, chat_id, went)
                bot.send_file(chat_id, found.name, found.file, found.size, texts[0] if is_short else "")
                return ""
        except ChannelRefused as error:
            why = f"файл не приложен: {error}"
        note = f"{why[:1].upper()}{why[1:]}."
        if is_short or not went:
            self._send_texts(bot, notice, f"{notice.text}\n\n{note}", chat_id, went)
        else:
            self._send_texts(bot, notice, notice.text, chat_id, went)
            self._send_texts(bot, notice, note, chat_id, went, first=len(texts))
        return why

    def _by_mail(self, notice: Notice, person: ReachablePerson) -> str:
        assert self._mail is not None
        assert self._server is not None
        address = usable(person.address)
        if address is None:
            raise ChannelRefused(f"почта: адрес у «{person.user.name}» записан с ошибкой")
        text = f"{notice.text}\n\nФайл — в карточке сделки." if notice.attach is not None else notice.text
        letter = Letter(
            sender=self._mail.sender,
            to_name=person.user.name,
            to_address=address,
            content=Rendered(
                _subject(notice.about, notice.text), f"{text}\n\n{notice.url}".rstrip() + "\n", notice.html
            ),
            message_id=message_id(self._key, notice.key, self._mail.sender_address),
            at=self._account_clock.now(),
            is_notice=True,
        )
        self._server.deliver(letter)
        return ""


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
