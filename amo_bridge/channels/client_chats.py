"""Answers to clients from the deal, by the messenger by which the client has written last.

A client is known to a bot by his own message alone: his number there stands in the enquiry that it became. An answer
goes out once. What came of it is written on the deal's card, whatever it is; what nobody can tell is left to a person.

A community of VK is written to by plain requests. Its errors come with HTTP 200, as ``{"error": {"error_code",
"error_msg"}}``; ``random_id`` keeps a message that is sent again from arriving twice (VK API, messages.send).
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from html import escape
from typing import Any

from sqlalchemy import or_, select

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.channels.max_bot import MaxBot
from amo_bridge.channels.port import Job, LostAnswer, NotSent, Outcome, Port, Sent
from amo_bridge.channels.recipients import Recipient, recipients
from amo_bridge.channels.telegram import Bot
from amo_bridge.channels.vendors import CHAT_SOURCES
from amo_bridge.clock import Clock
from amo_bridge.config.intake import INTAKE_TOKENS, IntakeSection
from amo_bridge.config.loader import secret
from amo_bridge.crm.client import CrmClient
from amo_bridge.engine.deal_view import DEAL_GONE
from amo_bridge.engine.effects import Channel, Effect
from amo_bridge.engine.outbox import Sendable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import enquiries, made
from amo_bridge.text.typography import nested_quotes

# Every messenger takes so much in one message.
LONGEST_ANSWER = 3500
SHORT = 80
LOOKED_THROUGH = 50
ELSEWHERE: Mapping[str, str] = {"viber": "Viber", "messenger": "Messenger", "jivo": "Jivo"}
"""Where clients write, too, and whither the bridge does not write."""
NUMBERS: Mapping[str, str] = {"telegram": "telegram_id", "max": "max_id"}
_VK_PERSON = re.compile(r"https://vk\.com/id(\d+)")
UNKNOWN_CLIENT = (
    "мост не знает, в каком мессенджере клиент: обращений от него из Telegram, MAX или ВКонтакте нет. Позвоните ему или"
    " напишите письмо; написать первым бот не может, клиент должен написать ему сам"
)
ADVICE: tuple[tuple[str, str], ...] = (
    (r"blocked by the user|chat\.denied|deactivated", "клиент остановил бота: свяжитесь с ним иначе"),
    (r"chat not found|chat\.not\.found|dialog\.not", "клиент боту не писал или удалил чат: свяжитесь с ним иначе"),
    (r"901|902|900", "клиент не разрешил сообществу писать ему: свяжитесь с ним иначе"),
    (r"too long|914", "сообщение слишком длинное: разделите его на части"),
)
"""What a refusal looks like → what it means, and what to do (Russian)."""


@dataclass(frozen=True)
class ClientChat:
    """Where a client is to be written to. ``person``: his number there."""

    source: str
    person: int


class ClientBots:
    """The bots for clients of one config. Everything that asks a vendor raises ChannelError, ConfigError."""

    def __init__(self, intake: IntakeSection | None, environment: Mapping[str, str]) -> None:
        self._intake = intake
        self._environment = environment

    def problem(self, source: str) -> str:
        """Why nothing can be sent by it (Russian); empty if it can."""
        if self._intake is None or self._intake.of(source) is None:
            return f"раздела [intake.{source}] в настройке больше нет: подключите его снова или ответьте сами"
        if not secret(self._environment, INTAKE_TOKENS[source]):
            return f"нет токена бота: задайте {INTAKE_TOKENS[source]} и напишите ещё раз"
        return ""

    def send(self, chat: ClientChat, text: str, mark: int) -> None:
        """``mark``: the message's own number, the same when it is sent again."""
        assert self._intake is not None
        variable = INTAKE_TOKENS[chat.source]
        token = secret(self._environment, variable)
        if chat.source == "telegram":
            assert self._intake.telegram is not None
            Bot(self._intake.telegram, token, variable=variable).send(chat.person, escape(text, quote=False))
        elif chat.source == "max":
            assert self._intake.max is not None
            MaxBot(self._intake.max, token, variable=variable).send(chat.person, text)
        else:
            assert self._intake.vk is not None
            VkCommunity(self._intake.vk.api, token, variable=variable).send(chat.person, text, mark)


class ClientChatPort(Port):
    channel: Channel = "chats"
    # VK is asked again under the same number; of the others nobody can tell.
    lost_answer: LostAnswer = "find"
    # Whoever has asked for it is waiting for what came of it.
    gives_up_after = timedelta(minutes=30)

    def __init__(
        self,
        bots: ClientBots,
        store: AccountStore,
        client: CrmClient,
        rule_engine: Callable[[], RuleEngine],
        account_clock: Clock,
    ) -> None:
        self._bots = bots
        self._store = store
        self._client = client
        self._rule_engine = rule_engine
        self._account_clock = account_clock

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        found = recipients(rows, self._client, self._rule_engine())
        return {row.id: self._planned(row, found[row.id]) for row in rows}

    def given_up(self, row: Sendable, why: str, *, is_known: bool) -> tuple[Effect, ...]:
        if is_known:
            return self._note(row, f"Ответ клиенту НЕ ушёл ({_short(row)}): {why}")
        words = "посмотрите в самой переписке; нет его там — повторите на странице «Не выполнено» или напишите ещё раз"
        return self._note(row, f"Неизвестно, ушёл ли ответ клиенту ({_short(row)}): {why}. Что делать: {words}")

    def find_lost(self, row: Sendable) -> Sent | None:
        found = recipients([row], self._client, self._rule_engine())[row.id]
        contact = found.contact if isinstance(found, Recipient) else None
        chat = self._chat_of(row, contact.id if contact else None)
        if not isinstance(chat, ClientChat) or chat.source != "vk":
            raise ChannelRefused("у мессенджера не спросить, дошло ли")
        outcome = self._send(row, chat)
        if isinstance(outcome, Sent):
            return outcome
        assert isinstance(outcome, NotSent)
        raise ChannelRefused(outcome.why)

    def _planned(self, row: Sendable, found: Recipient | NotSent) -> Outcome | Job:
        if isinstance(found, NotSent):
            return found if found.why == DEAL_GONE else self._refused(row, found.why)
        if self._is_own_note(row.body.get("note_id")):
            return NotSent("это примечание самого моста")
        text = row.body["text"]
        if len(text.encode("utf-16-le", "surrogatepass")) // 2 > LONGEST_ANSWER:
            return self._refused(row, f"ответ длиннее {LONGEST_ANSWER} знаков: разделите его на части")
        chat = self._chat_of(row, found.contact.id if found.contact else None)
        if isinstance(chat, str):
            return self._refused(row, chat)
        if problem := self._bots.problem(chat.source):
            return self._refused(row, f"{CHAT_SOURCES[chat.source]}: {problem}")
        return partial(self._send, row, chat)

    def _send(self, row: Sendable, chat: ClientChat) -> Outcome:
        try:
            self._bots.send(chat, row.body["text"], self._mark(row))
        except ChannelDown as error:
            # The other messengers go on.
            raise ChannelBusy(str(error), retry_after=error.retry_after) from error
        except ChannelRefused as error:
            return self._refused(row, _in_words(str(error)))
        name = CHAT_SOURCES[chat.source]
        return Sent(name, then=self._note(row, f"Ответ клиенту ушёл в {name}: {_short(row)}"))

    def _refused(self, row: Sendable, why: str) -> NotSent:
        return NotSent(why, then=self._note(row, f"Ответ клиенту НЕ ушёл ({_short(row)}): {why}"))

    def _note(self, row: Sendable, text: str) -> tuple[Effect, ...]:
        now = self._account_clock.now().timestamp()
        body = {"entity_id": row.deal_id, "note_type": "common", "params": {"text": text}}
        return (
            Effect("add_note", row.deal_id, body, f"примечание «{text}»", not_before=now),
        )  # fmt: skip

    def _mark(self, row: Sendable) -> int:
        return zlib.crc32(f"{self._store.account_id}|{row.id}|{row.key}".encode()) & 0x7FFFFFFF or 1

    def _is_own_note(self, note_id: int | None) -> bool:
        own = (self._store.owns(made), made.c.kind == "add_note", made.c.entity_id == note_id)
        with self._store.read() as connection:
            return note_id is not None and connection.execute(select(made.c.id).where(*own)).first() is not None

    def _chat_of(self, row: Sendable, main_contact_id: int | None = None) -> ClientChat | str:
        """Where to write, by what the client had written last when the answer was asked for, however often it is tried;
        or why nowhere (Russian)."""
        contact_id = row.body.get("contact_id") or main_contact_id
        of_client = [enquiries.c.deal_id == row.deal_id]
        if contact_id is not None:
            # Of somebody else on the deal nobody wants the messenger.
            of_client = [enquiries.c.contact_id == contact_id, enquiries.c.deal_id == row.deal_id]
        query = (
            select(enquiries.c.source, enquiries.c.body, enquiries.c.contact_id)
            .where(self._store.owns(enquiries), enquiries.c.kind == "enquiry", or_(*of_client))
            .where(enquiries.c.source.in_((*CHAT_SOURCES, *ELSEWHERE)), enquiries.c.received_at <= row.created_at)
            .order_by(enquiries.c.id.desc())
            .limit(LOOKED_THROUGH)
        )
        with self._store.read() as connection:
            known = connection.execute(query).all()
        elsewhere = ""
        for enquiry in known:
            if contact_id is not None and enquiry.contact_id not in (None, contact_id):
                continue
            if (person := _person_in(enquiry.source, json.loads(enquiry.body))) is not None:
                return ClientChat(enquiry.source, person)
            elsewhere = elsewhere or ELSEWHERE.get(enquiry.source, "")
        if elsewhere:
            return f"клиент писал через {elsewhere}, а туда мост не пишет: ответьте ему в самом {elsewhere}"
        return UNKNOWN_CLIENT


def _person_in(source: str, body: Mapping[str, Any]) -> int | None:
    """The client's number at a messenger, as the enquiry has it (intake/model.to_json)."""
    if source == "vk":
        found = _VK_PERSON.fullmatch(str(body.get("profile") or ""))
        return int(found[1]) if found else None
    number = str((body.get("extra") or {}).get(NUMBERS.get(source, ""), ""))
    return int(number) if number.isdecimal() else None


def _in_words(error: str) -> str:
    """A refusal with what it means."""
    meaning = next((words for pattern, words in ADVICE if re.search(pattern, error)), "ответьте клиенту иначе")
    return f"{meaning} ({error})"


def _short(row: Sendable) -> str:
    text = " ".join(nested_quotes(row.body["text"]).split())
    return f"«{text if len(text) <= SHORT else text[:SHORT].rstrip() + '…'}»"


VK_VERSION = "5.199"
# VK API, «Коды ошибок».
DEAD_TOKEN, NO_RIGHT, TOO_OFTEN, ITS_OWN_FAULT = (5, 27, 28), (7, 15), (6, 9, 29), (1, 10)


class VkCommunity:
    """``variable``: where the token stands, for who has to mend it."""

    def __init__(self, api: str, token: str, *, variable: str) -> None:
        self._token = token
        self._variable = variable
        self._http = HttpClient("ВКонтакте", api, token)

    def check(self) -> str:
        """What to say when the token lets us in (Russian). Raises ChannelError."""
        self._call("groups.getTokenPermissions")
        return "токен сообщества ВКонтакте действует"

    def send(self, person: int, text: str, random_id: int) -> str:
        """One message of at most 4096 characters; its number. Raises ChannelError."""
        return str(self._call("messages.send", peer_id=str(person), message=text, random_id=str(random_id)))

    def _call(self, method: str, **given: str) -> Any:
        form = {"access_token": self._token, "v": VK_VERSION, **given}
        answer = self._http.ask("POST", f"/method/{method}", form=form)
        if not isinstance(answer, Mapping):
            raise ChannelUncertain("ВКонтакте не ответил как надо: в ответе нет объекта")
        if (error := answer.get("error")) is not None:
            raise self._refusal(error if isinstance(error, Mapping) else {})
        if "response" not in answer:
            raise ChannelUncertain("ВКонтакте не ответил как надо: в ответе нет response")
        return answer["response"]

    def _refusal(self, error: Mapping[str, Any]) -> ChannelError:
        code, message = error.get("error_code"), str(error.get("error_msg", ""))
        words = f"ВКонтакте: {code} {message}".strip()
        if code in DEAD_TOKEN:
            return ChannelDown(f"ВКонтакте не узнаёт токен сообщества, проверьте {self._variable}: {code}")
        if code in NO_RIGHT:
            return ChannelDown(f"у токена сообщества нет права «сообщения», проверьте {self._variable}: {words}")
        if code in TOO_OFTEN:
            return ChannelBusy(words)
        return ChannelUncertain(words) if code in ITS_OWN_FAULT else ChannelRefused(words)
