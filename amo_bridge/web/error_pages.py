"""Error pages: what went wrong and what to do; the unforeseen gets a number that is logged too."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Any, cast

from flask import Flask, g, jsonify, make_response, render_template, request, session
from flask.sessions import NullSession
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response

from amo_bridge.errors import ConfigError, StoreUnavailable
from amo_bridge.logs import log
from amo_bridge.web.accounts import ChoiceNeeded, NoSuchAccount, NotMet
from amo_bridge.web.auth.rate_limit import TooManyTries
from amo_bridge.web.context import accounts, visible
from amo_bridge.web.forms import role_names


def install(app: Flask) -> None:
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(TooManyTries, _too_often)
    app.register_error_handler(Exception, _unforeseen)
    app.register_error_handler(StoreUnavailable, _no_store)
    app.register_error_handler(ConfigError, _no_key)
    app.register_error_handler(NotMet, _not_met)
    app.register_error_handler(NoSuchAccount, _no_such_account)
    app.register_error_handler(ChoiceNeeded, _which_account)


def error_response(status: int, title: str, text: str, **more: Any) -> Response:
    """An error as a page; for programs as JSON; for a part of a page as a line that the page shows."""
    if _is_program():
        answer = jsonify(error=title, detail=text, **{key: more[key] for key in ("reference",) if key in more})
    elif "HX-Request" in request.headers:
        answer = make_response(render_template("errors/line.html", title=title, text=text, **more))
        # Whatever was to be changed stays as it is.
        answer.headers["HX-Retarget"] = "#notices"
        answer.headers["HX-Reswap"] = "innerHTML"
    elif isinstance(session, NullSession):
        # Nothing can be signed, so no page with a form on it can be shown.
        answer = make_response(render_template("errors/bare.html", title=title, text=text))
    else:
        answer = make_response(render_template("errors/page.html", title=title, text=text, status=status, **more))
    answer.status_code = status
    return answer


def _is_program() -> bool:
    return request.path.startswith("/api/v1/")


def _refused(error: HTTPException) -> Response:
    status = error.code or 500
    if error.response is not None:
        # A view has made its own answer: abort(response).
        return cast(Response, error.response)
    title, text = _words().get(status) or (HTTPStatus(status).phrase, error.description or "")
    if status == 403 and (needed := g.get("needed_role")) is not None:
        text = _("Для этой страницы нужна роль «%(role)s». Её даёт администратор.", role=role_names()[needed])
    answer = error_response(status, title, text)
    if isinstance(error, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return answer


def _words() -> dict[int, tuple[str, str]]:
    return {
        400: (_("Запрос не понят"), _("Вернитесь назад и попробуйте ещё раз.")),
        401: (_("Нужен токен"), _("Передайте его в заголовке Authorization: Bearer …")),
        403: (_("Нет доступа"), _("Эта страница вам не открыта. Доступ даёт администратор.")),
        404: (_("Страницы нет"), _("Проверьте адрес или начните с обзора.")),
        405: (_("Так сюда обратиться нельзя"), _("Вернитесь назад и попробуйте ещё раз.")),
        413: (_("Слишком много данных"), _("Форма или файл больше, чем принимает эта страница.")),
        500: (_("Что-то сломалось"), _("Ошибка записана. Попробуйте ещё раз.")),
    }


def _stale_form(error: CSRFError) -> Response:
    log.warning("form without its token", path=request.path, reason=error.description)
    text = _("Форма открыта слишком давно или не на этой странице. Обновите страницу и отправьте её снова.")
    return error_response(400, _("Форма устарела"), text)


def _too_often(error: TooManyTries) -> Response:
    minutes = -(-error.seconds // 60)
    when = ngettext("Попробуйте снова через %(num)s минуту.", "Попробуйте снова через %(num)s минут.", minutes)
    answer = error_response(429, _("Слишком много попыток"), when)
    answer.headers["Retry-After"] = str(error.seconds)
    return answer


def _unforeseen(error: Exception) -> Response:
    """The log gets everything, the page a number to find it by."""
    reference = secrets.token_hex(4)
    log.error("page failed", reference=reference, path=request.path, endpoint=request.endpoint, exc_info=error)
    text = _("Ошибка записана в журнал моста. Если она повторится, сообщите администратору этот номер.")
    return error_response(500, _("Что-то сломалось"), text, reference=reference)


def _no_store(error: StoreUnavailable) -> Response:
    log.error("page without store", path=request.path, error=str(error))
    answer = error_response(
        503, _("База не отвечает"), _("Мост не может прочитать свои данные. Обновите страницу чуть позже.")
    )
    answer.headers["Retry-After"] = "10"
    return answer


def _no_key(error: ConfigError) -> Response:
    log.error("page without key", problems=error.problems)
    return error_response(503, _("Страницы не настроены"), " ".join(error.problems))


def _not_met(error: NotMet) -> Response:
    text = _("Мост ещё не познакомился с аккаунтом amoCRM: подключите аккаунт или подождите, пока amoCRM ответит.")
    return error_response(503, _("Пока нечего показать"), text, leads_to_connect=True)


def _no_such_account(error: NoSuchAccount) -> Response:
    return error_response(
        404, _("Такого аккаунта здесь нет"), _("Выберите аккаунт из списка."), accounts=visible(accounts().names)
    )


def _which_account(error: ChoiceNeeded) -> Response:
    title, text = _("Какой аккаунт?"), _("В этой установке их несколько.")
    if _is_program():
        # It can't choose from a list, and must not take the list for what it has asked for.
        where = _("Их адреса для программ — в ответе /api/v1/accounts.")
        return error_response(404, title, f"{text} {where}")
    answer = error_response(300, title, text, accounts=visible(accounts().names), path=request.full_path.rstrip("?"))
    answer.status_code = 200 if request.method == "GET" else 404
    return answer
