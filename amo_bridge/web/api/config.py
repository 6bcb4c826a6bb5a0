"""``/config``: the file's text, its mistakes, the difference of a change; saved and put back."""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

from flask import abort
from flask_babel import lazy_gettext as _l

from amo_bridge.config.diagnostics import place_of
from amo_bridge.config.files import difference
from amo_bridge.errors import ConfigError
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Shape, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services import config as config_service
from amo_bridge.web.services.config import CONFIG_BYTES, Unfit, problems_of, version_before, versions_before


class Problem(Shape):
    """What is wrong, in Russian. ``line``: of the text; null where it is of none."""

    words: str
    line: int | None


class ConfigBackup(Shape):
    """A version that was replaced then; ``who`` did it, ``words``: what was done by that (Russian); both empty where
    nobody wrote it down."""

    name: str
    at: datetime
    who: str
    words: str


class Config(Shape):
    """The file as it is. ``mark`` tells its versions apart; ``mark_in_force``: the one the bridge works by, another one
    while the file has ``problems``. ``needs_restart``: what will count only after a restart. ``backups``: newest first.
    """

    file: str
    text: str
    mark: str
    mark_in_force: str
    problems: list[Problem]
    needs_restart: list[str]
    backups: list[ConfigBackup]


class ConfigText(Shape):
    """All of the file that is to be."""

    text: str


class ConfigEdit(ConfigText):
    """``mark``: of the version that it is an edit of."""

    mark: str


class ConfigMark(Shape):
    """``mark``: of the version that is to be replaced."""

    mark: str


class ConfigReview(Shape):
    """``difference``: lines that begin with «+», «-» or a space; «…» between places that are far apart. With problems
    it can't be saved."""

    difference: list[str]
    problems: list[Problem]


class ConfigVersion(Shape):
    """A version before, and all of its text."""

    name: str
    at: datetime
    text: str


@api.endpoint(Endpoint("config_config", "/config", "GET", Role.ADMIN, _l("Файл настройки и что в нём не так"), Config))
def config() -> Config:
    return _config(current_account())


@api.endpoint(
    Endpoint(
        "config_check",
        "/config/check",
        "POST",
        Role.ADMIN,
        _l("Что изменит новый текст настройки и что в нём не так"),
        ConfigReview,
        takes=ConfigText,
        most_bytes=CONFIG_BYTES,
    )
)
def check(told: ConfigText) -> ConfigReview:
    here, text = current_account(), _unix(told.text)
    return ConfigReview(difference=difference(here.file.read().text, text), problems=_problems(problems_of(here, text)))


@api.endpoint(
    Endpoint(
        "config_save",
        "/config",
        "PUT",
        Role.ADMIN,
        _l("Записать настройку; действует сразу"),
        Config,
        takes=ConfigEdit,
        most_bytes=CONFIG_BYTES,
    )
)
def save(told: ConfigEdit) -> Config:
    here = current_account()
    try:
        config_service.save(here, _unix(told.text), told.mark)
    except ConfigError as error:
        _refuse(error)
    return _config(here)


@api.endpoint(
    Endpoint(
        "config_backup", "/config/backups/<name>", "GET", Role.ADMIN, _l("Прежняя версия настройки"), ConfigVersion
    )
)
def backup(name: str) -> ConfigVersion:
    try:
        found, text = version_before(current_account(), name)
    except ConfigError as error:
        abort(refusal(404, str(error)))
    return ConfigVersion(name=found.name, at=found.at, text=text)


@api.endpoint(
    Endpoint(
        "config_restore",
        "/config/backups/<name>/restore",
        "POST",
        Role.ADMIN,
        _l("Вернуть прежнюю версию настройки; действует сразу"),
        Config,
        takes=ConfigMark,
    )
)
def restore(name: str, told: ConfigMark) -> Config:
    here = current_account()
    try:
        found, text = version_before(here, name)
    except ConfigError as error:
        abort(refusal(404, str(error)))
    try:
        config_service.save(here, text, told.mark, found)
    except ConfigError as error:
        _refuse(error)
    return _config(here)


def _config(here: AccountView) -> Config:
    # What was written a moment ago is judged before it is told about.
    state = here.bridge.watch.look()
    file = here.file.read()
    return Config(
        file=here.config.path.name,
        text=file.text,
        mark=file.mark,
        mark_in_force=here.bridge.watch.mark_in_force,
        problems=_problems(state.problems),
        needs_restart=list(state.needs_restart),
        backups=[
            ConfigBackup(name=one.backup.name, at=one.backup.at, who=one.who, words=one.words)
            for one in versions_before(here)
        ],
    )


def _refuse(error: ConfigError) -> NoReturn:
    abort(refusal(422 if isinstance(error, Unfit) else 409, "; ".join(error.problems)))


def _problems(found: list[str] | tuple[str, ...]) -> list[Problem]:
    return [Problem(words=words, line=place_of(words)[1]) for words in found]


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")
