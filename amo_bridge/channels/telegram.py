"""The Bot API by plain requests: the methods that are needed, and what each kind of refusal means.

Answers are ``{"ok": true, "result": …}`` or ``{"ok": false, "error_code": …, "description": …, "parameters": {…}}``
(Bot API, making-requests). The token is a part of the address, so no error may show the address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from amo_bridge.channels.http_client import TIMEOUT, TOO_MANY, HttpClient, Multipart
from amo_bridge.channels.messengers import Button, Chat, Messenger, cut
from amo_bridge.config.channels import TELEGRAM_TOKEN
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain

if TYPE_CHECKING:
    from requests import Response

WRONG_TOKEN = (401, 404)
# Bot API, sendPhoto and sendDocument.
LARGEST_PHOTO, LARGEST_DOCUMENT = 10 << 20, 50 << 20
LONGEST_CAPTION = 1024
PHOTOS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
NO_PHOTO = ("PHOTO_", "IMAGE_PROCESS_FAILED", "wrong type of the web page content", "too big for a photo")
"""Of a picture that is too wide or broken: it may still go as a document."""


class BotAddress(Protocol):
    """Where the Bot API is: the section of the bot for people, or of the one for clients."""

    @property
    def api(self) -> str: ...
    @property
    def proxy(self) -> str | None: ...


# Said of an edit that changes nothing, and of a press that is answered too late (Bot API): neither is a failure.
NOT_MODIFIED, TOO_LATE = "message is not modified", "query is too old"


class Bot(Messenger):
    """``variable``: where the token stands, for who has to mend it."""

    largest_file = LARGEST_DOCUMENT
    longest_caption = LONGEST_CAPTION

    def __init__(
        self,
        section: BotAddress,
        token: str,
        *,
        variable: str = TELEGRAM_TOKEN,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._token = token
        self._variable = variable
        self._http = HttpClient("Telegram", f"{section.api}/bot{token}", token, proxy=section.proxy, timeout=timeout)

    @property
    def has_token(self) -> bool:
        return bool(self._token)

    def check(self) -> str:
        """Ask the bot's name; what to say of it (Russian). Raises ChannelError."""
        return f"бот Telegram @{self.name()} на связи"

    def name(self) -> str:
        """The bot's own name (getMe). Raises ChannelError."""
        return str(self._ask("getMe", {}).get("username", ""))

    def texts(self, about: str, text: str, url: str) -> list[str]:
        return messages(about, text, url)

    def send(self, chat_id: int, text: str, buttons: Sequence[Button] = ()) -> str:
        """One message of at most 4096 characters, in Telegram's HTML. Raises ChannelError."""
        message: dict[str, Any] = {
            "chat_id": chat_id,
            "text": text,
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
        sent = self._ask("sendMessage", message | _keyboard(buttons))
        return str(sent.get("message_id", "")) if isinstance(sent, Mapping) else ""

    def edit(self, chat_id: int, message: str, text: str, buttons: Sequence[Button] = ()) -> None:
        body: dict[str, Any] = {
            "chat_id": chat_id,
            "message_id": int(message),
            "text": text,
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
        self._ask_unless(NOT_MODIFIED, "editMessageText", body | _keyboard(buttons))

    def answer_press(self, press: str, words: str) -> None:
        self._ask_unless(TOO_LATE, "answerCallbackQuery", {"callback_query_id": press, "text": words})

    def send_file(self, chat_id: int, name: str, file: BinaryIO, size: int, caption: str = "") -> None:
        """A picture, or a document where Telegram takes no picture of its kind; ``caption``: HTML of at most 1024
        characters. Raises ChannelError; ChannelRefused for a file that is too large."""
        if size > LARGEST_DOCUMENT:
            raise ChannelRefused(f"Telegram: файл больше {LARGEST_DOCUMENT >> 20} МБ")
        if name.casefold().endswith(PHOTOS) and size <= LARGEST_PHOTO:
            try:
                return self._send_file("sendPhoto", "photo", chat_id, name, file, caption)
            except ChannelRefused as error:
                if not any(word in str(error) for word in NO_PHOTO):
                    raise
        return self._send_file("sendDocument", "document", chat_id, name, file, caption)

    def _send_file(self, method: str, kind: str, chat_id: int, name: str, file: BinaryIO, caption: str) -> None:
        fields = {"chat_id": str(chat_id)} | ({"caption": caption, "parse_mode": "HTML"} if caption else {})
        form = Multipart(fields, kind, name, file)
        self._read(self._http.request("POST", f"/{method}", content=form, headers={"Content-Type": form.content_type}))

    def chats(self) -> list[Chat]:
        """Who has written to the bot within the last day (getUpdates keeps no more), newest last. Nothing is marked as
        read. Raises ChannelError."""
        updates = self._ask("getUpdates", {"timeout": 0, "allowed_updates": ["message", "my_chat_member"]})
        found: dict[int, Chat] = {}
        for update in updates if isinstance(updates, list) else []:
            if chat := _chat_in(update):
                found.pop(chat.id, None)
                found[chat.id] = chat
        return list(found.values())

    def _ask_unless(self, harmless: str, method: str, body: Mapping[str, Any]) -> None:
        try:
            self._ask(method, body)
        except ChannelRefused as error:
            if harmless not in str(error):
                raise

    def _ask(self, method: str, body: Mapping[str, Any]) -> Any:
        return self._read(self._http.request("POST", f"/{method}", body))

    def _read(self, answer: Response) -> Any:
        try:
            told = answer.json()
        except ValueError as error:
            raise self._http.unreadable(error) from None
        if isinstance(told, Mapping) and told.get("ok") is True:
            return told.get("result")
        raise self._refusal(answer.status_code, told if isinstance(told, Mapping) else {})

    def _refusal(self, status: int, told: Mapping[str, Any]) -> ChannelError:
        code = told.get("error_code", status)
        words = f"Telegram: {code} {told.get('description', '')}".strip()
        more = told.get("parameters")
        more = more if isinstance(more, Mapping) else {}
        if code in WRONG_TOKEN:
            return ChannelDown(f"Telegram не знает такого бота, проверьте {self._variable}: {code}")
        if code == TOO_MANY:
            after = more.get("retry_after")
            return ChannelBusy(words, retry_after=float(after) if isinstance(after, int | float) else None)
        if code >= 500:
            return ChannelUncertain(words)
        if "migrate_to_chat_id" in more:
            words += f"; у группы теперь другой номер: {more['migrate_to_chat_id']}"
        return ChannelRefused(words)


def _keyboard(buttons: Sequence[Button]) -> dict[str, Any]:
    if not buttons:
        return {}
    row = [{"text": button.label, "callback_data": button.data} for button in buttons]
    return {"reply_markup": {"inline_keyboard": [row]}}


def _chat_in(update: Any) -> Chat | None:
    told = update.get("message") or update.get("my_chat_member") or {} if isinstance(update, Mapping) else {}
    chat = told.get("chat") or {}
    if not isinstance(chat.get("id"), int):
        return None
    names = [chat.get("title"), chat.get("first_name"), chat.get("last_name")]
    login = f"@{chat['username']}" if chat.get("username") else ""
    name = " ".join([*(str(one) for one in names if one), login]).strip()
    return Chat(chat["id"], name, str(chat.get("type", "")), str(told.get("text", "")))


# Texts for Telegram: escaped, and cut where a message would be too long.

# «1-4096 characters after entities parsing» (Bot API, sendMessage), counted in UTF-16 units.
MOST = 4096
# Room for the deal's name in bold and the link, which stand around a text.
FOR_TEXT = 3500
DEAL_PATH = "/leads/detail/"


def messages(about: str, text: str, url: str) -> list[str]:
    """The messages that tell it, in Telegram's HTML: what it is about in bold at the top, the link at the end."""
    parts = cut(text, FOR_TEXT)
    head = f"<b>{escape(cut(about, 250)[0])}</b>\n" if about else ""
    label = "Открыть сделку" if DEAL_PATH in url else "Открыть"
    tail = f'\n<a href="{escape(url)}">{label}</a>' if url else ""
    told = [escape(part, quote=False) for part in parts]
    told[0] = head + told[0]
    told[-1] += tail
    return told
