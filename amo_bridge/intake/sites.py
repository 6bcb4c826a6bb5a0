"""Forms of sites: plain HTML, Contact Form 7, any form by a map of the config, Elementor, Tilda."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from amo_bridge.intake.contacts import Person, cookies_of, note, person_in, utm_of
from amo_bridge.intake.model import Enquiry, EnquiryFile, NoEnquiry, Outcomes, digest
from amo_bridge.intake.request import (
    PATH_SECRET,
    FormFields,
    UnreadableBody,
    VendorRequest,
    VendorSettings,
    Verdict,
    any_is,
    any_value_is,
    fields_of,
    integer,
    subtree,
)

# Forms of sites: plain HTML, Contact Form 7, and any form or JSON by a map of the config.
#
# None of them numbers its enquiries, so the key is made of the form, the contacts, the words and the minute.

SITE = "site"
FORM_WORD = "form_token"
WITHOUT_WORDS = "Заявка без слов"
EMPTY = "форма пустая: ни контактов, ни слов"
TRAP = "заполнена ловушка для роботов"
TOO_QUICK = "форма отправлена быстрее, чем её можно заполнить"
MAPPED = ("name", "phone", "email", "text", "page", "roistat_visit", "key")
"""What ``fields`` of the config may name."""


def of_html(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """A form of a site of the agency's own, urlencoded or multipart."""
    fields = fields_of(request)
    if is_trapped(fields, settings):
        return [NoEnquiry(TRAP)]
    if _is_too_quick(fields, request, settings):
        return [NoEnquiry(TOO_QUICK)]
    enquiry = enquiry_of_form(
        fields,
        request,
        settings,
        without=(*settings.honeypot, settings.began_field),
        form=fields.get("form_id", "form", "formname", "form_name"),
    )
    return [enquiry or NoEnquiry(EMPTY)]


def of_cf7(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """Contact Form 7 by its plugin «CF7 to Webhook»: JSON by default, anything by the plugin's template."""
    fields = fields_of(request)
    if is_trapped(fields, settings):
        return [NoEnquiry(TRAP)]
    values, files = _linked_files(fields.values)
    fields = FormFields(values, (*fields.files, *files))
    enquiry = enquiry_of_form(fields, request, settings, form=fields.get("_wpcf7", "_post_title", "_url"))
    return [enquiry or NoEnquiry(EMPTY)]


def of_any(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """Any JSON or form.

    ``fields`` of the config says where what stands («client.phones.0» or «client[phones][0]»).
    """
    fields = fields_of(request)
    if is_trapped(fields, settings):
        return [NoEnquiry(TRAP)]
    bracketed = {what: _bracketed(path) for what, path in settings.fields.items()}
    by_map = replace(settings, fields={what: path for what, path in bracketed.items() if what != "key"})
    number = bracketed.get("key", "")
    without = (*settings.honeypot, number)
    enquiry = enquiry_of_form(fields, request, by_map, without=without, key=fields.values.get(number, "").strip())
    return [enquiry or NoEnquiry(EMPTY)]


def enquiry_of_form(
    fields: FormFields,
    request: VendorRequest,
    settings: VendorSettings,
    *,
    source: str = SITE,
    form: str = "",
    key: str = "",
    without: Iterable[str] = (),
    kinds: Mapping[str, str] | None = None,
    moment: str = "",
    more: Iterable[str] = (),
) -> Enquiry | None:
    """The enquiry; None if nobody and nothing is in it.

    ``moment``: the form's own time, else the minute it came.
    """
    words_of_proof = [word for word in settings.secrets.values() if word]
    values = {key: value for key, value in fields.values.items() if not any_is(value.strip(), words_of_proof)}
    person = person_in(values, settings, without=without, kinds=kinds or {})
    cookies = fields.get("cookies")
    utm, roistat = cookies_of(cookies) if cookies else ({}, "")
    words = note([*more, *person.lines], fields.files)
    if not (person.name or person.phones or person.emails or words):
        return None
    page = person.page or request.header("Referer") or None
    title = fields.get("formname", "form_name", "form[name]")
    text = note([words or WITHOUT_WORDS, f"Форма «{title}»" if title else "", f"Страница: {page}" if page else ""])
    marks = {**utm_of(page or ""), **utm, **person.utm}
    return Enquiry(
        source=source,
        key=key or key_of_form(person, form, words, moment or str(int(request.received_at // 60))),
        name=person.name,
        phones=person.phones,
        emails=person.emails,
        text=text,
        files=fields.files,
        utm=marks,
        roistat_visit=person.roistat_visit or roistat or None,
        page=page,
    )


def key_of_form(person: Person, form: str, text: str, moment: str) -> str:
    """The same for the same form sent twice within a minute."""
    return f"form:{digest(form, ','.join(person.phones), ','.join(person.emails), text, moment)}"


def is_trapped(fields: FormFields, settings: VendorSettings) -> bool:
    """Is a field filled that people don't see?"""
    return any(fields.get(name) for name in settings.honeypot)


def _is_too_quick(fields: FormFields, request: VendorRequest, settings: VendorSettings) -> bool:
    """Was it filled quicker than anybody can? Only what surely was counts.

    Browsers tell the time in milliseconds, people's clocks may be wrong.
    """
    opened = integer(fields.get(settings.began_field)) if settings.began_field else 0
    opened = opened // 1000 if opened > 100_000_000_000 else opened
    return bool(opened) and 0 <= request.received_at - opened < settings.least_seconds


def prove_form(request: VendorRequest, settings: VendorSettings) -> Verdict:
    """Builders of sites send a word of ours along: as a field, a header or in the address, under any name.

    Without such a word the secret address is the proof.
    """
    words = [word for name, word in settings.secrets.items() if word and name != PATH_SECRET]
    if not words:
        return "proven"
    places = [request.headers, request.arguments]
    with suppress(UnreadableBody):
        places.append(fields_of(request).values)
    found = [any([any_value_is(word, place) for place in places]) for word in words]
    return "proven" if all(found) else "wrong"


def from_own_site(request: VendorRequest, settings: VendorSettings) -> Verdict:
    """A browser says from which site a form was sent; who is no browser says nothing."""
    origin = request.header("Origin").strip().rstrip("/").casefold()
    if not settings.origins or not origin:
        return "proven"
    return "proven" if origin in {one.strip().rstrip("/").casefold() for one in settings.origins} else "wrong"


def check_form(request: VendorRequest, settings: VendorSettings) -> str | None:
    """No form has a set-up check; an empty GET is somebody who looks whether the address is alive."""
    is_look = request.method in ("GET", "HEAD") and not request.query and not request.body
    return "" if is_look else None


def _bracketed(path: str) -> str:
    first, *rest = path.split(".")
    return first + "".join(f"[{step}]" for step in rest)


def _linked_files(values: Mapping[str, str]) -> tuple[dict[str, str], list[EnquiryFile]]:
    """Files as links («file-brief»: «https://…/uploads/…») or as ``[{filename, content}]``."""
    left: dict[str, str] = {}
    files: list[EnquiryFile] = []
    for key, value in values.items():
        name, bracket, rest = key.partition("[")
        if bracket and rest.endswith("][filename]"):
            content = values.get(f"{name}[{rest.removesuffix('[filename]')}[content]", "")
            files.append(EnquiryFile(value, size=len(content) * 3 // 4 or None))
        elif bracket and rest.endswith("][content]"):
            continue
        elif name.startswith("file") and "://" in value:
            urls = [part.strip() for part in value.split(", ")]
            files += [EnquiryFile(unquote(urlsplit(url).path.rpartition("/")[2]) or name, url) for url in urls]
        else:
            left[key] = value
    return left, files


# Elementor Pro (WordPress): the webhook of a form, in its simple and its advanced shape.
#
# Whatever is not exactly 200 counts as a failure there, and the visitor sees a failed form. Nothing is repeated.

# The labels of what Elementor adds are in the site's language.
_ELEMENTOR_META = {
    **dict.fromkeys(("date", "дата"), "date"),
    **dict.fromkeys(("time", "время"), "time"),
    **dict.fromkeys(("page url", "page_url", "url страницы", "адрес страницы", "ссылка на страницу"), "page"),
    **dict.fromkeys(("powered by", "credit", "работает на", "при поддержке", "создано с помощью"), "service"),
    **dict.fromkeys(("user agent", "user_agent", "агент пользователя", "пользовательский агент"), "service"),
    **dict.fromkeys(("remote ip", "remote_ip", "удаленный ip", "удалённый ip", "ip-адрес", "ip адрес"), "service"),
}
_ELEMENTOR_TYPES = {"tel": "phone", "email": "email"}
_NO_LABEL = "No Label "


def of_elementor(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """The enquiry of a form."""
    fields = fields_of(request)
    if is_trapped(fields, settings):
        return [NoEnquiry(TRAP)]
    is_advanced = any(key.startswith("fields[") for key in fields.values)
    enquiry = (
        _elementor_advanced(fields, request, settings) if is_advanced else _elementor_simple(fields, request, settings)
    )
    return [enquiry or NoEnquiry(EMPTY)]


def _elementor_simple(fields: FormFields, request: VendorRequest, settings: VendorSettings) -> Enquiry | None:
    """«Простые данные»: the label of a field is its key."""
    meta = {
        _ELEMENTOR_META[key.casefold()]: value
        for key, value in fields.values.items()
        if key.casefold() in _ELEMENTOR_META
    }
    own = {
        key.removeprefix(_NO_LABEL): value
        for key, value in fields.values.items()
        if key.casefold() not in _ELEMENTOR_META
    }
    form = fields.get("form_id", "form_name")
    return _elementor_enquiry(FormFields(own, fields.files), meta, form, {}, request, settings)


def _elementor_advanced(fields: FormFields, request: VendorRequest, settings: VendorSettings) -> Enquiry | None:
    """Read «Расширенные данные».

    ``fields[<id>][title|value|type]``, ``meta[<id>][title|value]``, ``form[id|name]``. A field's type says more than
    its title.
    """
    values: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for number in _ids_in(fields, "fields"):
        one = subtree(fields.values, f"fields[{number}]")
        title = one.get("title") or number
        title = title if title not in values else f"{title} ({number})"
        values[title] = one.get("value") or one.get("raw_value") or ""
        if kind := _ELEMENTOR_TYPES.get(one.get("type", "")):
            kinds[title] = kind
    meta = {
        _ELEMENTOR_META.get(number, number): subtree(fields.values, f"meta[{number}]").get("value", "")
        for number in _ids_in(fields, "meta")
    }
    form = subtree(fields.values, "form")
    return _elementor_enquiry(
        FormFields(values, fields.files), meta, form.get("id") or form.get("name", ""), kinds, request, settings
    )


def _elementor_enquiry(
    fields: FormFields,
    meta: dict[str, str],
    form: str,
    kinds: dict[str, str],
    request: VendorRequest,
    settings: VendorSettings,
) -> Enquiry | None:
    page = {"page": meta["page"]} if meta.get("page") else {}
    moment = f"{meta.get('date', '')} {meta.get('time', '')}".strip()
    values = {**fields.values, **page}
    return enquiry_of_form(FormFields(values, fields.files), request, settings, form=form, kinds=kinds, moment=moment)


def _ids_in(fields: FormFields, root: str) -> list[str]:
    """The ids that stand in the first brackets behind ``root``."""
    inside = (key[len(root) + 1 :] for key in fields.values if key.startswith(f"{root}["))
    return list(dict.fromkeys(key.partition("]")[0] for key in inside))


# Tilda: forms and carts. Its key comes as a field, a header or in the address, under whatever name the cabinet has.

TILDA = "tilda"
TILDA_KEY = "tilda_key"


def check_tilda(request: VendorRequest, settings: VendorSettings) -> str | None:
    """Tilda posts ``test=test`` when a webhook is added."""
    try:
        fields = fields_of(request)
    except UnreadableBody:
        return None
    return "ok" if fields.values.get("test") == "test" and not fields.get("tranid", "phone", "email") else None


def of_tilda(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """The enquiry of a form or a cart."""
    fields = fields_of(request)
    if is_trapped(fields, settings):
        return [NoEnquiry(TRAP)]
    own = {key: value for key, value in fields.values.items() if key.partition("[")[0] != "payment"}
    transaction = fields.get("tranid")
    enquiry = enquiry_of_form(
        FormFields(own, fields.files), request, settings,
        source=TILDA, form=fields.get("formid"), key=transaction, more=_tilda_cart(fields),
    )  # fmt: skip
    return [enquiry or NoEnquiry(EMPTY, key=transaction)]


def _tilda_cart(fields: FormFields) -> Iterator[str]:
    """What was ordered, in words."""
    payment = subtree(fields.values, "payment")
    if not payment:
        return
    if order := payment.get("orderid"):
        yield f"Заказ {order}"
    number = 0
    while product := subtree(payment, f"products[{number}]"):
        number += 1
        chosen = [
            f"{one.get('option', '')}: {one.get('variant', '')}".strip(": ")
            for step in range(len(product))
            if (one := subtree(product, f"options[{step}]"))
        ]
        parts = [product.get("name", ""), f"({', '.join(chosen)})" if chosen else ""]
        count = f"× {product['quantity']}" if product.get("quantity") else ""
        price = f"= {product['amount']}" if product.get("amount") else ""
        yield " ".join(part for part in [*parts, count, price] if part)
    if not number and payment.get("products"):
        yield payment["products"]
    for key, words in (
        ("amount", "Сумма заказа"),
        ("promocode", "Промокод"),
        ("delivery", "Доставка"),
        ("sys", "Оплата через"),
        ("systranid", "Номер платежа"),
    ):
        if value := payment.get(key):
            yield f"{words}: {value}"
