"""Texts by form: call scripts, letters, series, texts of tasks; tried on a deal before saving."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from itertools import count, takewhile

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from amo_bridge.config.files import difference
from amo_bridge.errors import ChannelError, ChannelUncertain, ConfigError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.scripts import ScriptSource, SourceStep, source_of
from amo_bridge.text.template_check import LONGEST_TEMPLATE, Checked
from amo_bridge.web.accounts import AccountView
from amo_bridge.web.auth.guard import open_to
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import current_account, user
from amo_bridge.web.error_pages import error_response
from amo_bridge.web.pages import Menu
from amo_bridge.web.pages.config import review
from amo_bridge.web.services import config_texts
from amo_bridge.web.services.deals import FoundDeal, find_deals, listed
from amo_bridge.web.services.rule_lists import lists_of
from amo_bridge.web.services.scripts import INPUTS, ScriptService
from amo_bridge.web.services.texts import (
    MOST_BYTES,
    PARTS,
    TEXT,
    Kind,
    TextFile,
    folder_of,
    is_fit_name,
    name_hint,
    names_of,
    no_folder,
    text_file,
)
from amo_bridge.web.services.texts import listed as listed_texts

routes = Blueprint("texts", __name__)
MENU = Menu(_l("Тексты"), "texts.show", place=24, role=Role.HEAD)
MOST_STEPS, MOST_ROWS, MOST_DEALS = 60, 20, 8
LONGEST_TITLE, LONGEST_WORDS = 500, 200
WORDS = (
    "клиент.имя", "клиент.полное_имя", "сделка.название", "сделка.этап", "сделка.бюджет", "менеджер.имя",
    "менеджер.почта",
)  # fmt: skip
"""What a template may say of a deal, besides its fields."""


@dataclass
class Edit:
    """A text as the page has it, saved or not. ``marks``: of the versions that it is an edit of. ``as_text``: a script
    is shown as its file, not step by step."""

    file: TextFile
    parts: dict[str, str]
    marks: dict[str, str]
    as_text: bool = True
    deal: str = ""
    to: str = ""
    is_new: bool = False
    found: list[FoundDeal] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        return self.file.kind

    @property
    def source(self) -> ScriptSource:
        return source_of(self.parts[TEXT])

    def saved(self) -> dict[str, str]:
        """What stands in the files; nothing for a text that has no name yet."""
        if not self.file.name:
            return dict.fromkeys(self.parts, "")
        return {ending: one.text for ending, one in self.file.parts.items()}

    @property
    def is_unsaved(self) -> bool:
        saved = self.saved()
        return any(self.parts[ending].strip() != saved[ending].strip() for ending in self.parts)


@routes.errorhandler(ConfigError)
def unreadable(error: ConfigError) -> Response:
    """A file of texts, or the config, that can't be read: the rest of the pages is as it was."""
    return error_response(409, _("Файл не открыть"), " ".join(error.problems))


@routes.get("/texts")
@open_to(Role.HEAD)
def show() -> str:
    here = current_account()
    wanted = request.args.get("q", "").strip()[:100]
    folders = {kind: folder_of(here, kind) for kind in PARTS}
    return render_template(
        "texts/show.html",
        scripts=[one for one in listed_texts(here, "scripts") if _has(wanted, one.name, one.title)],
        letters=[one for one in listed_texts(here, "letters") if _has(wanted, one.name, one.title)],
        why_not={kind: no_folder(kind) for kind, folder in folders.items() if folder is None},
        series=here.config.channels.series.named,
        rule_texts=[one for one in config_texts.rule_texts(here.config) if _has(wanted, one.rule.called, one.text)],
        q=wanted,
        may_all=user().may(Role.ADMIN),
    )


@routes.get("/texts/scripts/new")
@open_to(Role.HEAD)
def new_script() -> str | Response:
    return _new(current_account(), "scripts")


@routes.get("/texts/letters/new")
@open_to(Role.ADMIN)
def new_letter() -> str | Response:
    return _new(current_account(), "letters")


@routes.post("/texts/scripts/new")
@open_to(Role.HEAD, most_bytes=MOST_BYTES)
def make_script() -> str | Response | tuple[str, int]:
    return _made(current_account(), "scripts")


@routes.post("/texts/letters/new")
@open_to(Role.ADMIN, most_bytes=MOST_BYTES)
def make_letter() -> str | Response | tuple[str, int]:
    return _made(current_account(), "letters")


@routes.get("/texts/scripts/<name>")
@open_to(Role.HEAD)
def script(name: str) -> str:
    return _page(_opened(_file("scripts", name)))


@routes.get("/texts/letters/<path:name>")
@open_to(Role.ADMIN)
def letter(name: str) -> str:
    return _page(_opened(_file("letters", name)))


@routes.post("/texts/scripts/<name>")
@open_to(Role.HEAD, most_bytes=MOST_BYTES)
def change_script(name: str) -> str | Response | tuple[str, int]:
    return _changed(_sent(_file_sent("scripts", name)))


@routes.post("/texts/letters/<path:name>")
@open_to(Role.ADMIN, most_bytes=MOST_BYTES)
def change_letter(name: str) -> str | Response | tuple[str, int]:
    return _changed(_sent(_file_sent("letters", name)))


# --- what stands in the config ----------------------------------------------------------------------------------------


@routes.get("/texts/series/<path:name>")
@open_to(Role.ADMIN)
def series(name: str) -> str:
    here = current_account()
    rows = config_texts.series_rows(here.file.read().text, name)
    return _series_page(here, name, rows if rows is not None else abort(404), is_new=False)


@routes.get("/texts/new-series")
@open_to(Role.ADMIN)
def new_series() -> str:
    return _series_page(current_account(), "", [config_texts.SeriesRow()], is_new=True)


@routes.post("/texts/series")
@open_to(Role.ADMIN)
def change_series() -> str | tuple[str, int]:
    """The rows of the form: one more, or what they would change in the config."""
    here = current_account()
    name = " ".join(request.form.get("name", "").split())[:100]
    is_new = "is_new" in request.form
    rows = [
        config_texts.SeriesRow(
            after=request.form.get(f"after.{n}", "").strip(),
            template=request.form.get(f"template.{n}", "").strip(),
            was=request.form.get(f"was.{n}", type=int),
        )
        # As many as there are: a row that is not read would leave the series.
        for n in takewhile(lambda n: f"after.{n}" in request.form, count())
    ]
    match request.form.get("do"):
        case "add":
            return _series_page(here, name, [*rows, config_texts.SeriesRow()], is_new=is_new)
        case "show":
            return _series_page(here, name, rows, is_new=is_new)
    file = here.file.read()
    if not is_new and request.form.get("seen") != config_texts.series_mark(file.text, name):
        problems = [str(_("Эта серия в настройке уже другая: откройте её заново"))]
        return _series_page(here, name, rows, is_new=is_new, problems=problems), 409
    try:
        text = config_texts.with_series(file.text, name, rows, is_new=is_new)
    except ConfigError as error:
        return _series_page(here, name, rows, is_new=is_new, problems=error.problems), 422
    form = {"action": url_for("texts.change_series"), "fields": _series_fields()}
    return review(here, text, file, back="/texts", rule_form=form)


def _series_fields() -> list[tuple[str, str]]:
    """The form as it was sent, to go on with."""
    return [(name, text) for name, text in request.form.items() if name not in ("csrf_token", "do")]


@routes.get("/texts/rules/<rule>/<int:number>")
@open_to(Role.ADMIN)
def rule_text(rule: str, number: int) -> str:
    here = current_account()
    return _rule_text_page(here, _rule_text(here, rule, number))


@routes.post("/texts/rules/<rule>/<int:number>")
@open_to(Role.ADMIN)
def change_rule_text(rule: str, number: int) -> str | tuple[str, int]:
    """Try the text on a deal, or show what it would change in the config."""
    here = current_account()
    known = _rule_text(here, rule, number)
    told = request.form.get("text", "").replace("\r\n", "\n").strip()[:LONGEST_TEMPLATE]
    if request.form.get("was", "").replace("\r\n", "\n") != known.text:
        problems = [str(_("Этот текст в настройке уже другой: откройте его заново"))]
        return _rule_text_page(here, known, told, problems=problems), 409
    if request.form.get("do") == "try":
        return _rule_text_page(here, known, told, is_tried=True)
    file = here.file.read()
    try:
        text = config_texts.with_rule_text(file.text, known, told)
    except ConfigError as error:
        return _rule_text_page(here, known, told, problems=error.problems), 422
    return review(here, text, file, back="/texts")


def _rule_text(here: AccountView, rule: str, number: int) -> config_texts.RuleText:
    found = [one for one in config_texts.rule_texts(here.config) if one.rule.name == rule]
    return next((one for one in found if one.number == number), None) or abort(404)


def _rule_text_page(
    here: AccountView,
    known: config_texts.RuleText,
    told: str | None = None,
    *,
    problems: list[str] | None = None,
    is_tried: bool = False,
) -> str:
    text = known.text if told is None else told
    words = request.form.get("deal", "")[:200]
    deal, found = _deal(here, words)
    tried, why = None, ""
    if is_tried:
        tried, why = config_texts.filled(known, text, deal.deal if deal else None)
    return render_template(
        "texts/rule_text.html",
        known=known,
        text=text,
        problems=[*(problems or []), *([why] if why else [])],
        tried=tried,
        deal=deal,
        words=words,
        found=found,
        fields=lists_of(here).names.get("поле", ()),
    )


def _series_page(
    here: AccountView,
    name: str,
    rows: list[config_texts.SeriesRow],
    *,
    is_new: bool,
    problems: list[str] | None = None,
) -> str:
    seen = (
        request.form.get("seen") if request.method == "POST" else config_texts.series_mark(here.file.read().text, name)
    )
    return render_template(
        "texts/series.html",
        name=name,
        seen=seen or "",
        rows=rows,
        is_new=is_new,
        problems=problems or [],
        comes_to=lambda phrase: config_texts.comes_to(here, phrase),
        templates=names_of(here, "letters"),
        most=MOST_ROWS,
    )


# --- scripts and letters ----------------------------------------------------------------------------------------------


def _file(kind: Kind, name: str) -> TextFile:
    return text_file(current_account(), kind, name) or abort(404)


def _file_sent(kind: Kind, name: str) -> TextFile:
    """What a form edits; the file may have gone meanwhile, and what was typed is not lost with it."""
    here = current_account()
    is_edit = f"mark{TEXT}" in request.form and request.form.get("do") != "remove"
    if is_edit and is_fit_name(kind, name) and folder_of(here, kind) is not None:
        return TextFile(here, kind, name)
    return _file(kind, name)


def _opened(file: TextFile) -> Edit:
    parts = file.parts
    edit = Edit(file, {e: one.text for e, one in parts.items()}, {e: one.mark for e, one in parts.items()})
    edit.as_text = file.kind == "letters" or "as" in request.args
    edit.deal = request.args.get("deal", "")[:200]
    return edit


def _new(here: AccountView, kind: Kind) -> str | Response:
    if folder_of(here, kind) is None:
        flash(no_folder(kind))
        return redirect(url_for("texts.show"))
    text = "Тема: \n\n# Поздороваться\n\n" if kind == "scripts" else "Тема: \n\nЗдравствуйте!\n"
    parts = {ending: text if ending == TEXT else "" for ending in PARTS[kind]}
    marks = dict.fromkeys(PARTS[kind], "")
    return _page(Edit(TextFile(here, kind, ""), parts, marks, as_text=kind == "letters", is_new=True))


def _made(here: AccountView, kind: Kind) -> str | Response | tuple[str, int]:
    if folder_of(here, kind) is None:
        flash(no_folder(kind))
        return redirect(url_for("texts.show"))
    name = " ".join(request.form.get("name", "").split())[:100]
    edit = _sent(TextFile(here, kind, name))
    edit.is_new = True
    if not is_fit_name(kind, name):
        # Of such a name nothing is looked for on the disk.
        edit.file = TextFile(here, kind, "")
        is_asked = request.form.get("do") in ("save", "check", "send")
        return _page(edit, problems=[name_hint(kind)] if is_asked else [], name=name), 422 if is_asked else 200
    if edit.file.is_there:
        return _page(edit, problems=[_("Текст с таким именем уже есть")], name=name), 409
    return _changed(edit)


def _sent(file: TextFile) -> Edit:
    """What the form says, a button's work done."""
    form = request.form
    as_text = file.kind == "letters" or form.get("shape") != "steps"
    parts = {ending: form.get(f"text{ending}", "").replace("\r\n", "\n") for ending in PARTS[file.kind]}
    if not as_text:
        parts[TEXT] = _source_sent(form).as_text()
    if form.get("do") in ("steps", "text"):
        as_text = form.get("do") == "text"
    return Edit(
        file,
        parts,
        {ending: form.get(f"mark{ending}", "") for ending in PARTS[file.kind]},
        as_text=as_text,
        deal=form.get("pick") or form.get("deal", "")[:200],
        to=form.get("to", "")[:200],
    )


def _source_sent(form: Mapping[str, str]) -> ScriptSource:
    steps = [_step_sent(form, n) for n in range(MOST_STEPS) if f"title.{n}" in form]
    what, _sep, number = form.get("do", "").partition(".")
    if number.isdecimal() and int(number) < len(steps):
        place = int(number)
        if what == "drop":
            del steps[place]
        elif what == "up" and place:
            steps[place - 1], steps[place] = steps[place], steps[place - 1]
    if what == "add":
        steps.append(SourceStep(title=str(_("Новый шаг"))))
    return ScriptSource(_one_line(form.get("title", "")), steps[:MOST_STEPS])


def _step_sent(form: Mapping[str, str], n: int) -> SourceStep:
    rows = range(MOST_ROWS)
    answers = [(_asked(form, f"answer.{n}.{m}"), _asked(form, f"leads.{n}.{m}")) for m in rows]
    # An answer without words is told of, not lost.
    return SourceStep(
        title=_one_line(form.get(f"title.{n}", "")),
        body=form.get(f"body.{n}", "").replace("\r\n", "\n").strip("\n"),
        answers=[(words, step) for words, step in answers if words or step],
        fields=[name for m in rows if (name := _asked(form, f"field.{n}.{m}"))],
        notes=[words for m in rows if (words := _asked(form, f"note.{n}.{m}"))],
        level=max(1, min(6, int(level) if (level := form.get(f"level.{n}", "1")).isdecimal() else 1)),
    )


def _fits_form(source: ScriptSource) -> bool:
    """Has the constructor's form room for all of it? What it has none for would be lost."""
    return (
        len(source.title) <= LONGEST_TITLE
        and len(source.steps) <= MOST_STEPS
        and all(
            len(step.title) <= LONGEST_TITLE
            and max(len(step.answers), len(step.fields), len(step.notes)) < MOST_ROWS
            and all(len(part) <= LONGEST_WORDS for pair in step.answers for part in pair)
            and all(len(part) <= LONGEST_WORDS for part in (*step.fields, *step.notes))
            for step in source.steps
        )
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_TITLE]


def _asked(form: Mapping[str, str], name: str) -> str:
    """Of a line in square brackets: they and braces would end it."""
    return _one_line("".join(" " if sign in "[]{}" else sign for sign in form.get(name, "")))[:LONGEST_WORDS]


def _changed(edit: Edit) -> str | Response | tuple[str, int]:
    """A button of the form."""
    match request.form.get("do", "check"):
        case "save":
            return _saved(edit)
        case "remove":
            return _removed(edit)
        case "send":
            return _sent_to_oneself(edit)
        case "restore":
            return _restored(edit)
        case "check":
            return _checked(edit)
    return _page(edit)


def _saved(edit: Edit) -> str | Response | tuple[str, int]:
    try:
        is_changed = edit.file.save(edit.parts, edit.marks)
    except ConfigError as error:
        checked = edit.file.check(edit.parts)
        if checked.findings:
            return _page(edit, checked=checked), 422
        # With the present marks the next saving is over what the page has shown.
        now = edit.file.parts
        edit.marks = {ending: one.mark for ending, one in now.items()}
        return _page(edit, problems=error.problems, is_late=True), 409
    flash(_("Сохранено. Мост уже берёт новый текст.") if is_changed else _("Ничего не изменилось."))
    return redirect(_address(edit))


def _removed(edit: Edit) -> Response | tuple[str, int]:
    try:
        edit.file.remove(edit.marks)
    except ConfigError as error:
        return _page(edit, problems=error.problems), 409
    flash(_("Удалено: %(name)s. Файл с тем же именем вернёт и его прежние версии.", name=edit.file.name))
    return redirect(url_for("texts.show"))


def _restored(edit: Edit) -> str | tuple[str, int]:
    """A version before is put into the form: it is looked at, then saved as any other edit."""
    try:
        part, text = edit.file.version(request.form.get("version", ""))
    except ConfigError as error:
        return _page(edit, problems=error.problems), 404
    now = edit.file.parts
    edit = Edit(edit.file, {e: one.text for e, one in now.items()}, {e: one.mark for e, one in now.items()})
    edit.parts[part] = text
    return _page(edit, checked=edit.file.check(edit.parts), is_restored=True)


def _checked(edit: Edit) -> str | tuple[str, int]:
    deal, edit.found = _deal(edit.file.here, edit.deal)
    checked = edit.file.check(edit.parts, deal)
    return _page(edit, checked=checked, deal=deal), 422 if checked.findings else 200


def _sent_to_oneself(edit: Edit) -> str | tuple[str, int]:
    deal, edit.found = _deal(edit.file.here, edit.deal)
    if edit.kind != "letters":
        abort(404)
    if deal is None:
        return _page(edit, problems=[_("Выберите сделку, данными которой заполнить письмо")]), 422
    checked = edit.file.check(edit.parts, deal)
    if checked.rendered is None:
        return _page(edit, checked=checked, deal=deal), 422
    try:
        words = edit.file.send(edit.parts, deal, edit.to)
    except ChannelUncertain as error:
        return _page(edit, checked=checked, deal=deal, problems=[_("Неизвестно, ушло ли: %(why)s", why=str(error))])
    except ChannelError as error:
        return _page(edit, checked=checked, deal=deal, problems=[_("Не вышло: %(why)s", why=str(error))]), 409
    except ConfigError as error:
        return _page(edit, checked=checked, deal=deal, problems=error.problems), 409
    return _page(edit, checked=checked, deal=deal, sent=words)


def _deal(here: AccountView, words: str) -> tuple[ScriptService | None, list[FoundDeal]]:
    """The deal that is meant, or those that may be."""
    words = words.strip()
    if not words or not here.is_known:
        return None, []
    found = find_deals(here, words, MOST_DEALS)
    if len(found) == 1:
        return ScriptService.known(here, found[0]), []
    return None, listed(here, found, words)


def _page(
    edit: Edit,
    *,
    checked: Checked | None = None,
    deal: ScriptService | None = None,
    problems: list[str] | None = None,
    name: str = "",
    **more: object,
) -> str:
    here, lists = edit.file.here, lists_of(edit.file.here)
    if not edit.as_text and (len(edit.parts[TEXT]) > LONGEST_TEMPLATE or not _fits_form(edit.source)):
        edit.as_text = True
    saved = edit.saved()
    changes = {ending: difference(saved[ending], text) for ending, text in edit.parts.items()}
    known = here.crm_account
    own = here.person_of(user().login)
    return render_template(
        "texts/edit.html",
        edit=edit,
        name=name or edit.file.name,
        source=None if edit.as_text else edit.source,
        checked=checked,
        excerpts=list(_excerpts(edit, checked)) if checked else [],
        deal=deal,
        problems=problems or [],
        changes={ending: lines for ending, lines in changes.items() if lines} if checked or "is_late" in more else {},
        versions=edit.file.versions() if edit.file.name else [],
        fields=lists.names.get("поле", ()),
        fillable=[one.name for one in known.fields() if one.type in INPUTS] if known else [],
        words=WORDS,
        own_address=edit.to or (own.email if own else "") or "",
        longest=LONGEST_TEMPLATE,
        most_steps=MOST_STEPS,
        may_preview=here.is_known,
        **{"sent": "", "is_late": False, "is_restored": False, **more},
    )


def _excerpts(edit: Edit, checked: Checked) -> Iterator[tuple[str, int | None, str, str]]:
    """(part, line, what stands there, what is wrong) of each finding."""
    for one in checked.findings:
        ending = next((e for e in edit.parts if one.file == f"{edit.file.name}{e}"), "")
        lines = edit.parts.get(ending, "").split("\n")
        stands = lines[one.line - 1] if one.line and one.line <= len(lines) else ""
        yield ending, one.line, stands.strip()[:200], one.words if ending else f"{one.file}: {one.words}"


def _address(edit: Edit) -> str:
    endpoint = "texts.script" if edit.kind == "scripts" else "texts.letter"
    values = {"name": edit.file.name}
    if edit.kind == "scripts" and edit.as_text:
        values["as"] = "text"
    if edit.deal:
        values["deal"] = edit.deal
    return url_for(endpoint, **values)  # type: ignore[arg-type]


def _has(wanted: str, *texts: str) -> bool:
    return not wanted or any(wanted.casefold() in text.casefold() for text in texts)
