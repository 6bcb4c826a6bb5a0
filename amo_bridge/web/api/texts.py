"""``/texts``: call scripts and letters: read, tried on a deal, written, put back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, NoReturn

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic import Field

from amo_bridge.errors import ChannelError, ConfigError
from amo_bridge.text.scripts import WORDS as ASK_WORDS
from amo_bridge.text.template_check import Checked
from amo_bridge.versioned_file import CHANGED_MEANWHILE
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Number, Shape, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services.scripts import ScriptService
from amo_bridge.web.services.texts import (
    HTML,
    LONGEST_ADDRESS,
    MOST_BYTES,
    TEXT,
    Kind,
    Listed,
    TextFile,
    folder_of,
    is_fit_name,
    listed,
    name_hint,
    no_folder,
)


class TextUse(Shape):
    """``title``: its first line; ``problem``: the first thing that is wrong with it, empty if nothing is; ``uses``: the
    rules and series that speak of it."""

    name: str
    title: str
    problem: str
    uses: list[str]


class TextList(Shape):
    """By name."""

    scripts: list[TextUse]
    letters: list[TextUse]


class TextVersion(Shape):
    """A version that was replaced then. ``part``: «text» or «html»."""

    name: str
    part: str
    at: datetime


class StoredText(Shape):
    """What stands in its files. ``mark`` tells a file's versions apart; empty: there is no such file. ``versions``:
    newest first."""

    name: str
    text: str
    html: str
    mark: str
    html_mark: str
    versions: list[TextVersion]


class WrittenText(Shape):
    """A letter or a script as it is to be; ``html``: a letter's second part, empty if there is none."""

    text: str
    html: str = ""


class TextTrial(WrittenText):
    """``deal``: whose data it is filled in with; null: it is only checked."""

    deal: Number | None = None


class TextEdit(WrittenText):
    """``mark``, ``html_mark``: of the versions that it is an edit of; empty for files that are not there yet."""

    mark: str = ""
    html_mark: str = ""


class LetterTrial(WrittenText):
    """``to``: an address of one's own; ``deal``: whose data the letter is filled in with."""

    deal: Number
    to: Annotated[str, Field(min_length=3, max_length=LONGEST_ADDRESS)]


class TextFinding(Shape):
    """What is wrong (Russian), in which file, on which line; null: on none."""

    file: str
    line: int | None
    words: str


class TextReview(Shape):
    """``subject``, ``text``, ``html``: filled in with the deal's data; empty without a deal, or while something is
    wrong."""

    findings: list[TextFinding]
    subject: str
    text: str
    html: str


class LetterSent(Shape):
    """What the mail server says (Russian)."""

    told: str


class TextMarks(Shape):
    """Of the versions that are to be taken away."""

    mark: str
    html_mark: str = ""


@api.endpoint(Endpoint("texts_list", "/texts", "GET", Role.HEAD, _l("Скрипты звонков и письма"), TextList))
def texts() -> TextList:
    return _list()


def _list() -> TextList:
    here = current_account()
    return TextList(scripts=_uses(listed(here, "scripts")), letters=_uses(listed(here, "letters")))


_VERSION = {"version": _l("Имя прежней версии: вместо нынешнего текста")}


@api.endpoint(
    Endpoint("texts_script", "/texts/scripts/<name>", "GET", Role.HEAD, _l("Файл скрипта"), StoredText, query=_VERSION)
)
def script(name: str) -> StoredText:
    return _stored(_there("scripts", name))


@api.endpoint(
    Endpoint(
        "texts_script_check",
        "/texts/scripts/<name>/check",
        "POST",
        Role.HEAD,
        _l("Что не так со скриптом и как он выйдет на сделке"),
        TextReview,
        takes=TextTrial,
        most_bytes=MOST_BYTES,
    )
)
def check_script(name: str, told: TextTrial) -> TextReview:
    return _review(_file("scripts", name), told)


@api.endpoint(
    Endpoint(
        "texts_script_save",
        "/texts/scripts/<name>",
        "PUT",
        Role.HEAD,
        _l("Записать скрипт; действует сразу"),
        StoredText,
        takes=TextEdit,
        most_bytes=MOST_BYTES,
    )
)
def save_script(name: str, told: TextEdit) -> StoredText:
    return _saved(_file("scripts", name), told)


@api.endpoint(
    Endpoint(
        "texts_script_remove",
        "/texts/scripts/<name>",
        "DELETE",
        Role.HEAD,
        _l("Удалить скрипт"),
        TextList,
        takes=TextMarks,
    )
)
def remove_script(name: str, told: TextMarks) -> TextList:
    return _removed(_there("scripts", name), told)


@api.endpoint(
    Endpoint(
        "texts_letter", "/texts/letters/<path:name>", "GET", Role.ADMIN, _l("Файлы письма"), StoredText, query=_VERSION
    )
)
def letter(name: str) -> StoredText:
    return _stored(_there("letters", name))


@api.endpoint(
    Endpoint(
        "texts_letter_check",
        "/texts/letters/<path:name>/check",
        "POST",
        Role.ADMIN,
        _l("Что не так с письмом и как оно выйдет на сделке"),
        TextReview,
        takes=TextTrial,
        most_bytes=MOST_BYTES,
    )
)
def check_letter(name: str, told: TextTrial) -> TextReview:
    return _review(_file("letters", name), told)


@api.endpoint(
    Endpoint(
        "texts_letter_save",
        "/texts/letters/<path:name>",
        "PUT",
        Role.ADMIN,
        _l("Записать письмо; действует сразу"),
        StoredText,
        takes=TextEdit,
        most_bytes=MOST_BYTES,
    )
)
def save_letter(name: str, told: TextEdit) -> StoredText:
    return _saved(_file("letters", name), told)


@api.endpoint(
    Endpoint(
        "texts_letter_remove",
        "/texts/letters/<path:name>",
        "DELETE",
        Role.ADMIN,
        _l("Удалить письмо"),
        TextList,
        takes=TextMarks,
    )
)
def remove_letter(name: str, told: TextMarks) -> TextList:
    return _removed(_there("letters", name), told)


@api.endpoint(
    Endpoint(
        "texts_letter_send",
        "/texts/letters/<path:name>/send",
        "POST",
        Role.ADMIN,
        _l("Послать пробное письмо себе"),
        LetterSent,
        takes=LetterTrial,
        most_bytes=MOST_BYTES,
    )
)
def send_letter(name: str, told: LetterTrial) -> LetterSent:
    deal = _deal(told.deal)
    try:
        return LetterSent(told=_file("letters", name).send(_parts("letters", told), deal, told.to))
    except ChannelError as error:
        abort(refusal(409, str(error)))
    except ConfigError as error:
        abort(refusal(422, "; ".join(error.problems)))


def _uses(found: list[Listed]) -> list[TextUse]:
    return [TextUse(name=one.name, title=one.title, problem=one.problem, uses=list(one.uses)) for one in found]


def _file(kind: Kind, name: str) -> TextFile:
    """One that is there, or may be made."""
    here = current_account()
    if folder_of(here, kind) is None:
        abort(refusal(409, no_folder(kind)))
    found = TextFile(here, kind, name)
    if not found.is_there and not is_fit_name(kind, name):
        abort(refusal(422, name_hint(kind)))
    return found


def _there(kind: Kind, name: str) -> TextFile:
    found = TextFile(current_account(), kind, name)
    return found if found.is_there else abort(404)


def _parts(kind: Kind, told: WrittenText) -> dict[str, str]:
    if kind == "scripts" and told.html:
        abort(refusal(422, _("У скрипта нет части HTML")))
    return {TEXT: told.text, **({HTML: told.html} if kind == "letters" else {})}


def _deal(number: int) -> ScriptService:
    here = current_account()
    found = ScriptService.known(here, number) if here.is_known else None
    return found or abort(refusal(422, _("Мост не знает сделки %(n)s", n=number)))


def _review(file: TextFile, told: TextTrial) -> TextReview:
    deal = None if told.deal is None else _deal(told.deal)
    return _reviewed(file.check(_parts(file.kind, told), deal))


def _reviewed(found: Checked) -> TextReview:
    made = found.rendered
    return TextReview(
        findings=[TextFinding(file=one.file, line=one.line, words=one.words) for one in found.findings],
        subject=made.subject if made else "",
        text=_text_of(found) if made else "",
        html=(made.html or "") if made else "",
    )


def _text_of(found: Checked) -> str:
    """A script's asking lines as they stand in its file."""
    if found.script is None:
        return found.rendered.text if found.rendered else ""
    lines = []
    for block in found.script.blocks:
        if block.kind == "heading":
            lines.append(f"# {block.lines[0]}")
        elif block.kind == "list":
            lines += [f"- {line}" for line in block.lines]
        elif block.kind == "text":
            lines += block.lines
        else:
            lines.append(f"[{ASK_WORDS[block.kind]}: {' → '.join(block.lines)}]")
    return "\n".join(lines)


def _stored(file: TextFile) -> StoredText:
    parts: Mapping[str, str] = {}
    try:
        now = file.parts
        if name := request.args.get("version"):
            part, text = file.version(name)
            parts = {part: text}
    except ConfigError as error:
        abort(refusal(404, "; ".join(error.problems)))
    html = now.get(HTML)
    return StoredText(
        name=file.name,
        text=parts.get(TEXT, now[TEXT].text),
        html=parts.get(HTML, html.text if html else ""),
        mark=now[TEXT].mark,
        html_mark=html.mark if html else "",
        versions=[
            TextVersion(name=one.backup.name, part="html" if one.part == HTML else "text", at=one.backup.at)
            for one in file.versions()
        ],
    )


def _saved(file: TextFile, told: TextEdit) -> StoredText:
    try:
        file.save(_parts(file.kind, told), {TEXT: told.mark, HTML: told.html_mark})
    except ConfigError as error:
        _refuse(error)
    return _stored(file)


def _removed(file: TextFile, told: TextMarks) -> TextList:
    try:
        file.remove({TEXT: told.mark, HTML: told.html_mark})
    except ConfigError as error:
        abort(refusal(409, "; ".join(error.problems)))
    return _list()


def _refuse(error: ConfigError) -> NoReturn:
    is_late = CHANGED_MEANWHILE in error.problems
    abort(refusal(409 if is_late else 422, "; ".join(error.problems)))
