"""``/deals/…/scripts``: what to say, with the deal's data filled in."""

from __future__ import annotations

from typing import Literal

from flask import abort
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from amo_bridge.text.templates import BadTemplate
from amo_bridge.web.api import api
from amo_bridge.web.api.endpoint import Endpoint, Error, Shape, refusal
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.services.deals import ScriptService


class ScriptNames(Shape):
    """As they stand in addresses."""

    deal_id: int
    names: list[str]


class ScriptBlock(Shape):
    """A heading has one line, a list has several, each an item."""

    kind: Literal["heading", "list", "text"]
    lines: list[str]


class FilledScript(Shape):
    """What to say, with the deal's own data."""

    name: str
    title: str
    blocks: list[ScriptBlock]


@api.endpoint(
    Endpoint("scripts_scripts", "/deals/<int:deal_id>/scripts", "GET", Role.VIEWER, _l("Скрипты звонков"), ScriptNames)
)
def scripts(deal_id: int) -> ScriptNames:
    return ScriptNames(deal_id=deal_id, names=ScriptService.at(current_account(), deal_id).names)


@api.endpoint(
    Endpoint(
        "scripts_one",
        "/deals/<int:deal_id>/scripts/<name>",
        "GET",
        Role.VIEWER,
        _l("Скрипт с данными сделки"),
        FilledScript,
        says_no={"409": Error},
    )
)
def one(deal_id: int, name: str) -> FilledScript:
    try:
        script = ScriptService.at(current_account(), deal_id).filled(name)
    except KeyError:
        abort(404)
    except BadTemplate as error:
        abort(refusal(409, _("В скрипте ошибка: %(why)s", why=str(error))))
    blocks = [ScriptBlock(kind=block.kind, lines=list(block.lines)) for block in script.blocks]
    return FilledScript(name=name, title=script.title, blocks=blocks)
