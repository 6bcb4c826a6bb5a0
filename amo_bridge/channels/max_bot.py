"""MAX's Bot API by plain requests: messages, files, buttons, and what each kind of refusal means.

The token goes in a header. Errors are ``{"code": …, "message": …}`` with their HTTP status: 401 «verify.token», 403
«chat.denied» (the person has stopped the bot), 404 «chat.not.found» (he has never opened it), 400 «proto.payload»,
429 «too.many.requests»; some methods say no with ``{"success": false}`` in a 200 (dev.max.ru, docs-api; codes by
clients' code). A person is written to by ``user_id``, a group, whose number is below 0, by ``chat_id``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import quote

from amo_bridge.channels.http_client import TIMEOUT, TOO_MANY, HttpClient, Multipart
from amo_bridge.channels.messengers import Button, Chat, Messenger, cut
from amo_bridge.config.channels import MAX_TOKEN
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.text.names import is_picture

if TYPE_CHECKING:
    from requests import Response

# dev.max.ru, POST /messages: «до 4000 символов».
MOST = 4000
# Room for the deal's name and the link, which stand around a text.
FOR_TEXT = 3500
LARGEST_FILE = 50 << 20
NOT_READY = "attachment.not.ready"
REPEAT_SECONDS = 3.0
MOST_CHATS = 100


class MaxAddress(Protocol):
    """Where MAX's API is: the section of the bot for people, or of the one for clients."""

    @property
    def api(self) -> str: ...
    @property
    def ca(self) -> str | None: ...


class MaxBot(Messenger):
    """``variable``: where the token stands, for who has to mend it."""

    largest_file = LARGEST_FILE
    longest_caption = FOR_TEXT

    def __init__(
        self,
        section: MaxAddress,
        token: str,
        *,
        variable: str = MAX_TOKEN,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._token = token
        self._variable = variable
        proxy = getattr(section, "proxy", None)
        headers = {"Authorization": token}
        self._http = HttpClient(
            "MAX", section.api, token, headers=headers, proxy=proxy, ca=section.ca, timeout=timeout
        )  # fmt: skip
        # Files go to another host, which must not see the token (POST /uploads).
        self._files = HttpClient("MAX", "", token, proxy=proxy, ca=section.ca, timeout=timeout)

    @property
    def has_token(self) -> bool:
        return bool(self._token)

    def check(self) -> str:
        """Ask the bot's name; what to say of it (Russian). Raises ChannelError."""
        return f"бот MAX {self.name()} на связи"

    def name(self) -> str:
        """The bot's own name (GET /me). Raises ChannelError."""
        me = self._ask("GET", "/me")
        return f"@{me['username']}" if me.get("username") else str(me.get("name") or me.get("first_name") or "")

    def texts(self, about: str, text: str, url: str) -> list[str]:
        return plain_messages(about, text, url)

    def send(self, chat_id: int, text: str, buttons: Sequence[Button] = ()) -> str:
        """One message of at most 4000 characters. Raises ChannelError."""
        return self._send(chat_id, {"text": text, **_keyboard(buttons)})

    def send_file(self, chat_id: int, name: str, file: BinaryIO, size: int, caption: str = "") -> None:
        if size > LARGEST_FILE:
            raise ChannelRefused(f"MAX: файл больше {LARGEST_FILE >> 20} МБ")
        kind = "image" if is_picture(name) else "file"
        attachment = {"type": kind, "payload": {"token": self._upload(kind, name, file)}}
        self._send(chat_id, {"text": caption or None, "attachments": [attachment]})

    def edit(self, chat_id: int, message: str, text: str, buttons: Sequence[Button] = ()) -> None:
        body = {"text": text, "attachments": [], **_keyboard(buttons)}
        self._succeed(self._ask("PUT", f"/messages?message_id={quote(message, safe='')}", body))

    def answer_press(self, press: str, words: str) -> None:
        self._succeed(self._ask("POST", f"/answers?callback_id={quote(press, safe='')}", {"notification": words}))

    def chats(self) -> list[Chat]:
        """The groups in which the bot is, and who has written to it lately (that only as long as no webhook is set).
        Raises ChannelError."""
        groups = self._ask("GET", f"/chats?count={MOST_CHATS}").get("chats")
        found = [
            Chat(group["chat_id"], str(group.get("title") or ""), "chat", "")
            for group in groups or ()
            if isinstance(group, Mapping) and isinstance(group.get("chat_id"), int)
        ]
        updates = self._ask("GET", f"/updates?limit={MOST_CHATS}&timeout=0&types=message_created,bot_started")
        people = {chat.id: chat for one in updates.get("updates") or () if (chat := _person_in(one))}
        return [*found, *people.values()]

    def _send(self, chat_id: int, body: Mapping[str, Any]) -> str:
        whom = f"user_id={chat_id}" if chat_id >= 0 else f"chat_id={chat_id}"
        sent = self._ask("POST", f"/messages?{whom}", body)
        message = sent.get("message")
        told = message.get("body") if isinstance(message, Mapping) else None
        if not isinstance(told, Mapping) or not told.get("mid"):
            raise ChannelUncertain("MAX не сказал номер сообщения")
        return str(told["mid"])

    def _upload(self, kind: str, name: str, file: BinaryIO) -> str:
        """The token of a file that is there. Nobody sees it before it is sent, so a lost answer does no harm."""
        place = self._ask("POST", f"/uploads?type={kind}")
        form = Multipart({}, "data", name, file)
        response = self._files.request(
            "POST", str(place.get("url", "")), content=form, headers={"Content-Type": form.content_type}
        )
        told = self._read(response)
        photos = told.get("photos")
        named = next(iter(photos.values()), None) if isinstance(photos, Mapping) else told
        token = named.get("token") if isinstance(named, Mapping) else None
        token = token or place.get("token")
        if not token:
            raise ChannelRefused("MAX не взял файл: на загрузку не ответил номером")
        return str(token)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        return self._read(self._http.request(method, path, body))

    def _read(self, response: Response) -> Mapping[str, Any]:
        try:
            told = response.json()
        except ValueError as error:
            raise self._http.unreadable(error) from None
        if not isinstance(told, Mapping):
            raise ChannelUncertain("MAX не ответил как надо: в ответе нет объекта")
        if response.ok:
            return told
        raise self._refusal(response.status_code, told)

    def _succeed(self, told: Mapping[str, Any]) -> None:
        if told.get("success") is False:
            raise ChannelRefused(f"MAX: {told.get('message') or 'отказ без объяснения'}")

    def _refusal(self, status: int, told: Mapping[str, Any]) -> ChannelError:
        code, message = str(told.get("code") or ""), str(told.get("message") or "")
        words = f"MAX: {status} {code} {message}".strip()
        if status == 401:
            return ChannelDown(f"MAX не узнаёт бота, проверьте {self._variable}: {status} {code}")
        if status == TOO_MANY:
            return ChannelBusy(words)
        if code == NOT_READY:
            return ChannelBusy(words, retry_after=REPEAT_SECONDS)
        return ChannelUncertain(words) if status >= 500 else ChannelRefused(words)


def _keyboard(buttons: Sequence[Button]) -> dict[str, Any]:
    if not buttons:
        return {}
    row = [{"type": "callback", "text": button.label, "payload": button.data} for button in buttons]
    return {"attachments": [{"type": "inline_keyboard", "payload": {"buttons": [row]}}]}


def _person_in(update: Any) -> Chat | None:
    if not isinstance(update, Mapping):
        return None
    message = update.get("message")
    message = message if isinstance(message, Mapping) else {}
    recipient, body = message.get("recipient") or {}, message.get("body") or {}
    user = update.get("user") or message.get("sender") or {}
    number = user.get("user_id")
    if not isinstance(number, int) or recipient.get("chat_type", "dialog") != "dialog":
        return None
    names = " ".join(str(user[part]) for part in ("first_name", "last_name") if user.get(part))
    return Chat(number, names or str(user.get("name") or ""), "private", str(body.get("text") or ""))


def plain_messages(about: str, text: str, url: str) -> list[str]:
    """The messages that tell it, without marks: what it is about at the top, the link at the end."""
    told = cut(text, FOR_TEXT)
    told[0] = f"{cut(about, 250)[0]}\n{told[0]}" if about else told[0]
    told[-1] += f"\n{url}" if url else ""
    return told
