"""A stand-in for Telegram's server, a real HTTP one, built from the Bot API's documentation
(core.telegram.org/bots/api, making-requests, sendMessage, getUpdates, ResponseParameters)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from threading import Thread
from typing import Any

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.serving import make_server

TOKEN = "123456789:AAtest-token-of-thirty-five-characters"


@dataclass
class Telegram:
    """``answers``: what it says to the next messages instead of taking them: (error_code, description, parameters);
    None: takes it.
    ``blocked``: chats that have blocked the bot."""

    url: str = ""
    answers: list[tuple[int, str, dict[str, Any]] | None] = field(default_factory=list)
    blocked: set[int] = field(default_factory=set)
    updates: list[dict[str, Any]] = field(default_factory=list)
    sent: list[tuple[int, str]] = field(default_factory=list)
    files: list[tuple[int, str, str, bytes, str]] = field(default_factory=list)
    """What came with a file: (chat, sendPhoto's or sendDocument's key, file name, content, caption)."""
    no_photos: bool = False

    def app(self) -> Flask:
        app = Flask("telegram")

        @app.post("/bot<token>/<method>")
        def api(token: str, method: str) -> ResponseReturnValue:
            if token != TOKEN:
                return _no(401, "Unauthorized")
            methods = {
                "getMe": self._me, "sendMessage": self._send, "getUpdates": self._updates,
                "sendPhoto": lambda: self._send_file("photo"), "sendDocument": lambda: self._send_file("document"),
            }  # fmt: skip
            return methods[method]()

        return app

    def _me(self) -> ResponseReturnValue:
        return jsonify(ok=True, result={"id": 1, "is_bot": True, "first_name": "Мост", "username": "bridge_bot"})

    def _updates(self) -> ResponseReturnValue:
        return jsonify(ok=True, result=self.updates)

    def _send_file(self, kind: str) -> ResponseReturnValue:
        if said := self.answers.pop(0) if self.answers else None:
            code, description, parameters = said
            return _no(code, description, **parameters)
        chat_id, caption = int(request.form["chat_id"]), request.form.get("caption", "")
        if chat_id in self.blocked:
            return _no(403, "Forbidden: bot was blocked by the user")
        if len(_after_parsing(caption).encode("utf-16-le")) // 2 > 1024:
            return _no(400, "Bad Request: message caption is too long")
        if kind == "photo" and self.no_photos:
            return _no(400, "Bad Request: PHOTO_INVALID_DIMENSIONS")
        sent = request.files[kind]
        self.files.append((chat_id, kind, sent.filename or "", sent.read(), caption))
        return jsonify(ok=True, result={"message_id": len(self.files), "chat": {"id": chat_id}})

    def _send(self) -> ResponseReturnValue:
        body = request.get_json()
        if said := self.answers.pop(0) if self.answers else None:
            code, description, parameters = said
            return _no(code, description, **parameters)
        if body["chat_id"] in self.blocked:
            return _no(403, "Forbidden: bot was blocked by the user")
        text = _after_parsing(body["text"]) if body.get("parse_mode") == "HTML" else body["text"]
        if not text:
            return _no(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            return _no(400, "Bad Request: message is too long")
        self.sent.append((body["chat_id"], body["text"]))
        return jsonify(ok=True, result={"message_id": len(self.sent), "chat": {"id": body["chat_id"]}})


def _no(code: int, description: str, **parameters: Any) -> ResponseReturnValue:
    more = {"parameters": parameters} if parameters else {}
    return jsonify(ok=False, error_code=code, description=description, **more), code


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data


def _after_parsing(html: str) -> str:
    parser = _Text()
    parser.feed(html)
    parser.close()
    return parser.text


@contextmanager
def telegram_server() -> Iterator[Telegram]:
    telegram = Telegram()
    server = make_server("127.0.0.1", 0, telegram.app(), threaded=True)
    telegram.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield telegram
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
