"""``amo-bridge init``: a config from an account and a regulation, with a question for every doubt."""

from __future__ import annotations

import os
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from amo_bridge.cli.click_ru import Command, Declined, Mistake, Stop
from amo_bridge.cli.common import YES, console, waiting
from amo_bridge.config.loader import secret
from amo_bridge.config.model import is_local
from amo_bridge.crm.responses import describe
from amo_bridge.errors import BridgeError, ConfigError, why_not
from amo_bridge.runtime.connection import CLIENT_ID, CLIENT_SECRET, TOKEN
from amo_bridge.start.access import ADDRESS, PUBLIC, Access, AccountAccess, allowance, full_address
from amo_bridge.start.draft import Choice, Draft
from amo_bridge.start.matching import Finding, Kind
from amo_bridge.start.regulations import REGULATIONS, Regulation, regulation
from amo_bridge.start.steps import Saved, Start, check_folder, first_rehearsal
from amo_bridge.text.names import same_name

NONE = "нет такого"
NO = ("нет", "н", "no", "n")
MOST_TOLD = 12
MOST_LISTED = 20
MANY: Mapping[Kind, str] = {
    "pipelines": "воронки",
    "users": "сотрудники",
    "stages": "этапы",
    "fields": "поля сделки",
    "contact_fields": "поля контакта",
    "types": "типы задач",
    "reasons": "причины отказа",
    "choices": "варианты списков",
}


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path), default=Path(), metavar="[ПАПКА]")
@click.option("--address", metavar="АДРЕС", help="Адрес аккаунта: shop, shop.amocrm.ru, http://127.0.0.1:8090.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="ФАЙЛ",
    help="Файл с долгосрочным токеном; без ключа — AMO_BRIDGE_TOKEN, или спросит.",
)
@click.option(
    "--code",
    metavar="КОД",
    help="Вместо токена: код из окна интеграции (20 минут); ключи — в AMO_BRIDGE_CLIENT_ID и AMO_BRIDGE_CLIENT_SECRET.",
)
@click.option("--public-url", metavar="АДРЕС", help="Адрес моста из интернета, https; можно вписать потом.")
@click.option(
    "--regulation",
    "name",
    type=click.Choice([one.name for one in REGULATIONS]),
    metavar="ИМЯ",
    help=f"Регламент: {', '.join(one.name for one in REGULATIONS)}.",
)
@click.option("--part", "parts", multiple=True, metavar="ЧАСТЬ", help="Только эта часть регламента; можно несколько.")
@click.option(
    "--answers",
    "answers_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="ФАЙЛ",
    help="Ответы заранее, TOML: docs/start.md.",
)
@click.option("--create/--no-create", default=None, help="Создать в аккаунте, чего не хватает; без ключа спросит.")
@click.option("--rehearse/--no-rehearse", "is_rehearsed", default=None, help="Показать репетицию; без ключа спросит.")
@click.option(
    "--yes",
    "is_silent",
    is_flag=True,
    help="Ничего не спрашивать: однозначное взять, о чём спросил бы — «нет такого», в аккаунте ничего не создавать.",
)
@click.option("--force", is_flag=True, help="Записать, хотя настройка уже есть; прежняя останется в config-backups.")
def init(
    folder: Path,
    address: str | None,
    token_file: Path | None,
    code: str | None,
    public_url: str | None,
    name: str | None,
    parts: tuple[str, ...],
    answers_file: Path | None,
    create: bool | None,
    is_rehearsed: bool | None,
    is_silent: bool,
    force: bool,
) -> None:
    """Начать: аккаунт, регламент, свои имена — и готовая настройка, вхолостую.

    Спрашивает адрес, токен и регламент, сверяет его этапы, поля и людей с аккаунтом и записывает config.toml, который
    проходит amo-bridge check. Чего в аккаунте нет, предлагает создать или оставляет выключенным и говорит почему.

    Код выхода: 0 — записано; 1 — не вышло; 2 — не хватает ключа или ответы не подходят.
    """
    asking = Asking(console(), is_silent=is_silent)
    start: Start | None = None
    try:
        check_folder(folder, replace=force)
        told = _answers(answers_file)
        access = _access(asking, folder, address, token_file, code, public_url, told)
        start = _connected(access, folder, asking)
        chosen = _regulation(asking, name or told.get("regulation"))
        choice = _choice(asking, chosen, access.access, parts or tuple(told.get("parts", ())))
        _match(start, choice, dict(told.get("names", {})), asking)
        draft = _with_created(start, asking, create if create is not None else told.get("create"))
        saved = start.save(draft, replace=force)
    except (click.Abort, KeyboardInterrupt, EOFError) as error:
        why = "" if sys.stdin.isatty() else ". Отвечать некому: ответы дают --answers и --yes (docs/start.md)"
        raise Declined(f"\nНичего не записано{_though_created(start)}{why}") from error
    except (BridgeError, ConfigError) as error:
        raise Stop(describe(error) + _though_created(start)) from error
    _tell(draft, saved, asking)
    _rehearse(start, draft, asking, is_rehearsed)
    _next_steps(saved, draft, access, asking)


def _though_created(start: Start | None) -> str:
    if start is None or not start.has_created:
        return ""
    return ". В аккаунте созданное осталось: начните снова, дважды не создастся ничего"


class Asking:
    """Questions on a screen, with numbered lists. ``count``: how many were asked."""

    def __init__(self, screen: Console, *, is_silent: bool) -> None:
        self.screen = screen
        self.is_silent = is_silent
        self.count = 0
        self._begun = time.monotonic()

    @property
    def spent(self) -> str:
        """How many questions and how long (Russian)."""
        minutes, seconds = divmod(round(time.monotonic() - self._begun), 60)
        return f"Вопросов было {self.count}, прошло {f'{minutes} мин ' if minutes else ''}{seconds} с"

    def text(self, question: str, key: str, *, is_secret: bool = False) -> str:
        """An answer in words. Raises Mistake where nobody may be asked."""
        if self.is_silent:
            raise Mistake(f"без вопросов (--yes) нужен ключ {key}")
        self.count += 1
        while True:
            told = str(click.prompt(question, hide_input=is_secret, default="", show_default=False)).strip()
            if told:
                return told

    def agrees(self, question: str, *, otherwise: bool = False) -> bool:
        """``otherwise``: what counts where nobody may be asked. Nothing typed is a no; Ctrl+C is none, it stops."""
        if self.is_silent:
            return otherwise
        self.count += 1
        while True:
            told = str(click.prompt(f"{question} (да/нет)", default="нет", show_default=False)).strip().casefold()
            if told in YES or told in NO:
                return told in YES
            self.screen.print("Нужно «да» или «нет»")

    def one_of(self, question: str, labels: Sequence[str]) -> int:
        """The place in the list, from 0; the last one is always shown. A name may be typed as well as its number."""
        self.count += 1
        self.screen.print(question)
        hidden = len(labels) - MOST_LISTED
        for place, label in enumerate(labels, 1):
            if hidden <= 0 or place < MOST_LISTED or place == len(labels):
                self.screen.print(f"  {place:>2}. {label}")
        if hidden > 0:
            self.screen.print(f"  … и ещё {hidden}: введите имя")
        while True:
            told = str(click.prompt("Номер", default="", show_default=False)).strip()
            if told.isdecimal() and 1 <= int(told) <= len(labels):
                return int(told) - 1
            for place, label in enumerate(labels):
                if told and same_name(told, label):
                    return place
            self.screen.print(f"Нужен номер от 1 до {len(labels)} или имя из списка")

    def several_of(self, question: str, labels: Sequence[str]) -> list[int]:
        """Places in the list; nothing typed is all of them."""
        self.count += 1
        self.screen.print(question)
        for place, label in enumerate(labels, 1):
            self.screen.print(f"  {place:>2}. {label}")
        while True:
            told = str(click.prompt("Номера через запятую [все]", default="", show_default=False)).replace(" ", "")
            if not told:
                return list(range(len(labels)))
            numbers = told.split(",")
            if all(one.isdecimal() and 1 <= int(one) <= len(labels) for one in numbers):
                return sorted({int(one) - 1 for one in numbers})
            self.screen.print(f"Нужны номера от 1 до {len(labels)} через запятую")


# --- the account ------------------------------------------------------------------------------------------------------


def _answers(path: Path | None) -> dict[str, Any]:
    """What the file says beforehand. Raises Stop, Mistake."""
    if path is None:
        return {}
    try:
        told = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Stop(f"файл {path} не читается: {why_not(error)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Stop(f"файл {path} — не TOML: {error}") from error
    if unknown := [key for key in told if key not in ANSWERS]:
        raise Mistake(f"{path}: такого ключа нет: {', '.join(unknown)}; есть: {', '.join(ANSWERS)}")
    for key, value in told.items():
        is_right, words = ANSWERS[key]
        if not is_right(value):
            raise Mistake(f"{path}: {key} — {words}")
    return told


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(values: object) -> bool:
    return isinstance(values, list) and all(map(_is_text, values))


def _are_names(names: object) -> bool:
    return isinstance(names, dict) and all(map(_is_text, names.values()))


ANSWERS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "address": (_is_text, "текст в кавычках"),
    "public_url": (_is_text, "текст в кавычках"),
    "regulation": (_is_text, "имя регламента в кавычках"),
    "parts": (_are_texts, "список в квадратных скобках, каждая часть в кавычках"),
    "create": (lambda value: isinstance(value, bool), "true или false, без кавычек"),
    "names": (_are_names, 'раздел: "имя в регламенте" = "имя в аккаунте"; нет такого — ""'),
}
"""Key of the file of answers → what it must be, in code and in words."""


def _access(
    asking: Asking,
    folder: Path,
    address: str | None,
    token_file: Path | None,
    code: str | None,
    public_url: str | None,
    told: Mapping[str, Any],
) -> AccountAccess:
    given = address or told.get("address") or os.environ.get(ADDRESS, "").strip()
    where = full_address(given or asking.text("Адрес аккаунта amoCRM (shop.amocrm.ru)", "--address"))
    public = (public_url or told.get("public_url") or os.environ.get(PUBLIC, "")).strip().rstrip("/")
    return AccountAccess(_secrets(asking, where, public, token_file, code), folder / "config.toml", os.environ)


def _secrets(asking: Asking, address: str, public_url: str, token_file: Path | None, code: str | None) -> Access:
    if code is not None:
        client_id, client_secret = secret(os.environ, CLIENT_ID), secret(os.environ, CLIENT_SECRET)
        client_id = client_id or asking.text("ID интеграции", CLIENT_ID)
        client_secret = client_secret or asking.text("Секретный ключ интеграции", CLIENT_SECRET, is_secret=True)
        return Access(address, "", client_id, client_secret, code, public_url)
    if token_file is not None:
        try:
            token = token_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = why_not(error) if isinstance(error, OSError) else "это не текст"
            raise Stop(f"файл с токеном {token_file} не читается: {why}") from error
        if not token:
            raise Stop(f"файл с токеном {token_file} пуст")
        return Access(address, token, public_url=public_url)
    if secret(os.environ, TOKEN):
        return Access(address, public_url=public_url)
    question = "Долгосрочный токен (docs/connect-account.md; при вводе не виден)"
    return Access(address, asking.text(question, "--token-file", is_secret=True), public_url=public_url)


def _connected(access: AccountAccess, folder: Path, asking: Asking) -> Start:
    with waiting("читаем аккаунт"):
        account = access.connect()
        allowed = list(allowance(account, access.client()))
    asking.screen.print(f"Аккаунт «{account.name}» ({access.access.address}), часовой пояс {account.timezone}")
    for is_well, words in allowed:
        asking.screen.print(f"  {'✓' if is_well else '!'} {words}")
    today = datetime.now().astimezone().date()
    return Start(folder / "config.toml", access, account, os.environ, today)


# --- the regulation ---------------------------------------------------------------------------------------------------


def _regulation(asking: Asking, name: object) -> Regulation:
    if name:
        found = regulation(str(name))
        if found is None:
            raise Mistake(f"регламента «{name}» нет; есть: {', '.join(one.name for one in REGULATIONS)}")
        return found
    if asking.is_silent:
        raise Mistake("без вопросов (--yes) нужен ключ --regulation")
    labels = [f"{one.title}: {one.says}" for one in REGULATIONS]
    return REGULATIONS[asking.one_of("По какому регламенту работать?", labels)]


def _choice(asking: Asking, chosen: Regulation, access: Access, parts: tuple[str, ...]) -> Choice:
    titles = [one.title for one in chosen.parts]
    if unknown := [part for part in parts if part not in titles]:
        raise Mistake(f"части «{unknown[0]}» в регламенте нет; есть: {', '.join(titles)}")
    if not parts and len(titles) > 1 and not asking.is_silent:
        labels = [f"{one.title} — правил: {one.rules}" for one in chosen.parts]
        parts = tuple(titles[place] for place in asking.several_of("Какие части регламента взять?", labels))
    return Choice(chosen, access.address, parts or None, access.public_url)


# --- names ------------------------------------------------------------------------------------------------------------


def _match(start: Start, choice: Choice, told: Mapping[str, str], asking: Asking) -> None:
    """Every name of the regulation finds its own in the account, or none."""
    # What the file says counts, though the account may have that very name.
    matching = start.choose(choice, asked=told)
    keys = {need.key for need in matching.needs}
    if unknown := [key for key in told if key not in keys]:
        raise Mistake(f"[names]: в регламенте нет «{unknown[0]}»; ключи — вида «этап Воронка / Этап»")
    exact = sum(one.state == "exact" for one in matching.findings())
    if matching.needs:
        asking.screen.print(f"Регламенту нужно имён: {len(matching.needs)}; так же в аккаунте названо {exact}")
    while found := matching.open_round():
        left = []
        for one in found:
            if one.need.key in told:
                _answer(matching.answer, one, told[one.need.key] or None)
            else:
                left.append(one)
        _ask_about(left, matching.answer, start, asking)
    if unused := [key for key, value in told.items() if value and key not in matching.answers]:
        raise Mistake(f"[names] «{unused[0]}»: выбирать не из чего: того, в чём это стоит, в аккаунте нет")


Answer = Callable[[Finding, "str | None"], None]


def _answer(answer: Answer, finding: Finding, value: str | None) -> None:
    try:
        answer(finding, value)
    except ValueError as error:
        choices = ", ".join(one.value for one in finding.candidates)
        raise Mistake(f"[names] «{finding.need.key}»: {error}; есть: {choices}") from error


def _ask_about(found: Sequence[Finding], answer: Answer, start: Start, asking: Asking) -> None:
    meant = [one for one in found if one.state == "meaning"]
    if meant and _agrees_to(meant, asking):
        for one in meant:
            answer(one, one.found)
        meant = []
    for one in [*meant, *(one for one in found if one.state != "meaning" and one.is_asked)]:
        answer(one, None if asking.is_silent else _asked(one, start, asking))
    _ask_about_the_rest([one for one in found if one.state != "meaning" and not one.is_asked], answer, start, asking)


def _agrees_to(meant: Sequence[Finding], asking: Asking) -> bool:
    asking.screen.print("По смыслу, хотя названо иначе:")
    for one in meant:
        asking.screen.print(f"  {one.need.words} → «{_label(one)}»")
    return asking.agrees("Всё верно?", otherwise=True)


def _asked(finding: Finding, start: Start, asking: Asking) -> str | None:
    labels = [*(one.label for one in finding.candidates), NONE]
    place = asking.one_of(f"{_question(finding, start)}?", labels)
    return None if place == len(labels) - 1 else finding.candidates[place].value


def _question(finding: Finding, start: Start) -> str:
    need = finding.need
    if need.kind != "users":
        return f"В регламенте — {need.words}. Что это в вашем аккаунте"
    return f"Кто у вас {start.about_person(need.name)}"


def _ask_about_the_rest(found: Sequence[Finding], answer: Answer, start: Start, asking: Asking) -> None:
    """Nothing looks like them: most likely they are not there, but people may know better."""
    kinds = dict.fromkeys(one.need.kind for one in found)
    for kind in kinds:
        group = [one for one in found if one.need.kind == kind]
        names = ", ".join(f"«{one.need.name}»" for one in group)
        asks = False
        if not asking.is_silent:
            asking.screen.print(f"Похожего не нашлось, {MANY[kind]}: {names}")
            asks = asking.agrees("Они есть под другими именами, указать какими?")
        for one in group:
            answer(one, _asked(one, start, asking) if asks else None)


def _label(finding: Finding) -> str:
    return next((one.label for one in finding.candidates if one.value == finding.found), str(finding.found))


# --- what is not there ------------------------------------------------------------------------------------------------


def _with_created(start: Start, asking: Asking, create: bool | None) -> Draft:
    """The draft, after what the account lacks was created, or not."""
    found = start.lacking()
    if not found.steps:
        return start.draft()
    asking.screen.print("В аккаунте не хватает, и мост может это создать:")
    for step in found.steps:
        asking.screen.print(f"  + {step}")
    for words in found.warnings:
        asking.screen.print(f"  ! {words}")
    agreed = create if create is not None else asking.agrees("Создать сейчас? Иначе правила с этим будут выключены")
    if not agreed:
        return start.draft()
    with waiting("создаём"):
        left = start.create()
    asking.screen.print(f"Создано: {len(found.steps)}")
    for words in left:
        asking.screen.print(f"  • руками: {words}")
    return start.draft()


# --- the result -------------------------------------------------------------------------------------------------------


def _tell(draft: Draft, saved: Saved, asking: Asking) -> None:
    say = asking.screen.print
    say(f"Записано: {saved.path}{' (прежний файл — в config-backups)' if saved.is_replaced else ''}")
    if saved.copied:
        folders = dict.fromkeys(one.relative_to(saved.path.parent).parts[0] for one in saved.copied)
        say(f"Рядом положено: {', '.join(f'{one}/' for one in folders)} (файлов: {len(saved.copied)})")
    for words in saved.left_out:
        say(f"Скрипт не положен: {words}")
    say(f"Правил включено: {draft.rules}; всё вхолостую (dry_run = true): в amoCRM мост ничего не изменит")
    if draft.off:
        say(f"Выключено: {len(draft.off)} (почему — в файле, off_reason)")
        for one in draft.off[:MOST_TOLD]:
            say(f"  − {f'{one.clause} {one.name}'.strip()}: {one.why}")
        if len(draft.off) > MOST_TOLD:
            say(f"  … и ещё {len(draft.off) - MOST_TOLD}")
    for trimmed in draft.trimmed:
        say(f"  ± {trimmed.name}: без — {', '.join(trimmed.without)}")


def _rehearse(start: Start, draft: Draft, asking: Asking, is_wanted: bool | None) -> None:
    if not draft.rules:
        return
    if is_wanted is None:
        try:
            is_wanted = asking.agrees("Показать, что правила сделали бы за две недели (репетиция на копии аккаунта)?")
        except click.Abort:
            # The config is written: who is not there to answer has it all the same.
            asking.screen.print()
            return
    if not is_wanted:
        return
    try:
        with waiting("репетиция"):
            played = first_rehearsal(draft.config, start.access.client())
    except (BridgeError, ConfigError) as error:
        asking.screen.print(
            f"Репетиция не вышла: {describe(error)}. Настройка записана; повторить — amo-bridge rehearse"
        )
        return
    except KeyboardInterrupt:
        asking.screen.print("Репетиция прервана; настройка записана")
        return
    asking.screen.print(played.words)
    if played.rows:
        table = Table("Когда", "Сделка", "Правило", "Что сделает", show_lines=True)
        for row in played.rows:
            table.add_row(*row)
        asking.screen.print(table)


def _next_steps(saved: Saved, draft: Draft, access: AccountAccess, asking: Asking) -> None:
    say = asking.screen.print
    folder = saved.path.parent
    say(f"{asking.spent}. Дальше:")
    if folder.resolve() != Path.cwd():
        say(f"  cd {folder}")
    say("  amo-bridge check       # сверить ещё раз, когда поправите файл")
    say("  amo-bridge serve       # мост; напечатает ссылку для первого администратора страниц")
    say("  amo-bridge rehearse    # вся репетиция, на месяц")
    if access.is_given:
        say(f"Токен — из {TOKEN}: эта переменная нужна мосту и дальше")
    if not access.access.public_url and not is_local(access.access.address):
        say(
            "Вебхукам нужен адрес моста из интернета: впишите public_url в config.toml (docs/connect-account.md, шаг 3)"
        )
