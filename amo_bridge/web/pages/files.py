"""Files of a deal in the document storage: the list, and each file, for people who are logged in."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, redirect, render_template, send_file
from flask_babel import gettext as _
from sqlalchemy import Row
from werkzeug.wrappers import Response

from amo_bridge.channels.storage import listed_files, stored_at
from amo_bridge.channels.vendors import document_services
from amo_bridge.errors import ChannelError, ConfigError
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account
from amo_bridge.web.error_pages import error_response

routes = Blueprint("files", __name__)


@routes.get("/deals/<int:deal_id>/files")
@open_to(Role.VIEWER)
def show(deal_id: int) -> str:
    files = _listed(current_account(), deal_id)
    return render_template("deal/files.html", deal_id=deal_id, files=files, stored_at=stored_at)


@routes.get("/deals/<int:deal_id>/files/<int:file_id>")
@open_to(Role.VIEWER)
def download(deal_id: int, file_id: int) -> Response:
    here = current_account()
    file = next((one for one in _listed(here, deal_id) if one.id == file_id), None)
    if file is None:
        return error_response(404, _("Такого файла нет"), _("Проверьте ссылку: её берут из списка файлов сделки."))
    if file.url:
        return redirect(file.url)
    try:
        service = document_services(here.config, here.bridge.environment).get(file.vendor)
        if service is None:
            why = _("Раздела [%(name)s] в настройке больше нет.", name=file.vendor)
            return error_response(404, _("Хранилище этого файла отключено"), why)
        there = service.open(deal_id, file.ref, file.name)
    except (ChannelError, ConfigError) as error:
        return error_response(404, _("Файл не открывается"), str(error))
    if not isinstance(there, Path):
        return redirect(there)
    # Clients' files are nobody's pages: they are saved, never shown in the bridge's own name.
    sent = send_file(there, mimetype="application/octet-stream", as_attachment=True, download_name=file.name)
    sent.headers["Cache-Control"] = "no-store"
    return sent


def _listed(here: AccountView, deal_id: int) -> list[Row[object]]:
    return listed_files(here.account_store, deal_id) if here.is_known else []
