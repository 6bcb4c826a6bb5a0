"""Contact data in free forms: phones, addresses, names, advertising marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from urllib.parse import parse_qsl, unquote, urlsplit

from amo_bridge.intake.model import NOTHING, EnquiryFile
from amo_bridge.intake.request import VendorSettings
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.addresses import e164, mails_in, numbers_in

_WORDS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-zа-яё])(?=[A-ZА-ЯЁ])")
_PHONE_WORDS = {
    *("phone", "tel", "telephone", "mobile", "cell", "phonenumber", "whatsapp", "viber", "fone"),
    *("телефон", "телефона", "телефоны", "тел", "моб", "мобильный", "сотовый", "ватсап", "вотсап", "вацап"),
}
_MAIL_WORDS = {"email", "mail", "имейл", "почта", "емейл", "емайл", "эл"}
_NAME_WORDS = {
    *("name", "fullname", "fio", "username", "contactname", "yourname", "имя", "фио", "зовут", "обращаться"),
    *("имени", "представьтесь", "nom"),
}
_FIRST_WORDS = {"firstname", "fname"}
_MIDDLE_WORDS = {"patronymic", "middlename", "отчество", "patronymicname"}
_LAST_WORDS = {"lastname", "lname", "surname", "фамилия"}
# «Название компании», «form_name», «Имя файла»: names of things.
_THINGS = {
    *("company", "organization", "organisation", "brand", "form", "file", "domain", "site", "product", "page"),
    *("event", "project", "campaign", "channel", "shop", "ad", "adset", "компании", "компания", "организации"),
    *("фирмы", "бренда", "файла", "сайта", "товара", "страницы", "домена", "проекта", "канала", "формы"),
}
# A long number under such a name is no phone.
_NUMBERS = {
    *("бюджет", "сумма", "цена", "стоимость", "инн", "огрн", "бик", "счет", "счёт", "снилс", "паспорт", "дата"),
    *("budget", "amount", "price", "sum", "inn", "date", "id", "order", "card", "index", "индекс"),
    *(
        "time",
        "время",
        "timestamp",
        "заказ",
        "заказа",
        "договора",
        "счета",
        "счёта",
        "invoice",
        "подписчиков",
        "просмотров",
        "ip",
    ),
}
_LOOKS_LIKE_PHONE = re.compile(r"\+?[\d\s().–-]{10,24}")
# Two numbers with a blank between them are found by their usual length.
_RUSSIAN_PHONE = re.compile(r"(?:\+7|\b[78])[\s(-]*\d{3}[\s)-]*\d{3}[\s-]*\d{2}[\s-]*\d{2}\b")
_LEAST_DIGITS = 5
_LETTERS = re.compile(r"[^\W\d_]{3}")
_UTM = re.compile(r"(?i)^(?:.*\W)?(utm_[a-z]+)\W?$")
_ROISTAT = {"roistat", "roistat_visit", "roistatvisit", "roistat visit"}
_PAGE = {
    *(
        "page",
        "url",
        "page_url",
        "page url",
        "pageurl",
        "_url",
        "referer",
        "referrer",
        "http_referer",
        "tildaspec-referer",
    ),
    *("url страницы", "адрес страницы", "страница", "page-url", "source_url"),
}
# What programs add for themselves; nobody's words, and an address of a person's machine.
_SERVICE = {
    *("user agent", "user_agent", "useragent", "remote ip", "remote_ip", "ip", "_remote_ip", "_user_agent"),
    *("ip_addr", "powered by", "powered_by", "credit", "пользовательский агент", "агент пользователя"),
    *("удаленный ip", "удалённый ip", "ip-адрес", "работает на", "создано", "cookies", "formid", "form_id", "formname"),
    *("form_name", "tranid", "_charset_", "csrf", "csrf_token", "_wpnonce", "_wpcf7", "_wpcf7_version"),
    *("_wpcf7_locale", "_wpcf7_unit_tag", "_wpcf7_container_post", "g-recaptcha-response", "smart-token"),
    *("h-captcha-response", "_wpcf7_recaptcha_response", "form_fields", "referer_title", "queried_id", "post_id"),
    *("action", "honeypot", "tildaspec-formname", "tildaspec-cookie", "tildaspec-elemid", "tildaspec-version-lib"),
    *(
        "tildaspec-tildacaptcha",
        "tildaspec-phone-part[]",
        "_invalid_fields",
        "_site_url",
        "_site_title",
        "_site_domain",
    ),
    *(
        "_site_admin_email",
        "_post_id",
        "_post_name",
        "_post_url",
        "_post_author",
        "_post_author_email",
        "_serial_number",
    ),
    *("_user_login", "_user_email", "_user_url", "_user_first_name", "_user_last_name", "_user_nickname", "_format"),
    *("_user_display_name", "_date", "_time", "_site_description"),
}


@dataclass(frozen=True)
class Person:
    """What the fields say. ``lines``: «key: value» for all that is nothing else."""

    name: str | None = None
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    utm: Mapping[str, str] = field(default_factory=dict)
    roistat_visit: str | None = None
    page: str | None = None


def person_in(
    fields: Mapping[str, str],
    settings: VendorSettings,
    *,
    without: Iterable[str] = (),
    kinds: Mapping[str, str] = NOTHING,
) -> Person:
    """Sort the fields.

    ``without``: keys that are told elsewhere. ``kinds``: what the vendor says a field is (tel, email, name). The map of
    the config comes before both, and both before guessing.
    """
    left_out = {key.casefold() for key in without}
    mapped = {key.casefold(): what for what, key in settings.fields.items()}
    names: dict[str, str] = {}
    phones: list[str] = []
    emails: list[str] = []
    lines: list[str] = []
    utm: dict[str, str] = {}
    roistat = page = ""
    for key, value in fields.items():
        folded, value = key.casefold().strip(), value.strip()
        if not value or folded in left_out:
            continue
        what = mapped.get(folded) or kinds.get(key) or _kind(key, folded, value)
        if what == "utm" and (mark := _UTM.match(key)):
            utm[mark[1].lower()] = value
        elif what == "roistat_visit":
            roistat = roistat or value
        elif what == "page":
            page = page or value
        elif what in ("phone", "tel"):
            found = phones_in(value, settings.home)
            phones += found
            # «Звоните 8 900 … после шести»: the words are not lost.
            if not found or _LETTERS.search(value):
                lines.append(f"{key}: {value}")
        elif what == "email":
            found = mails_in(value)
            emails += found
            if not found:
                lines.append(f"{key}: {value}")
        elif what in ("name", "first", "middle", "last"):
            names.setdefault(what, " ".join(value.split()))
        elif what == "text":
            lines.append(value)
        elif what != "service":
            lines.append(f"{key}: {value}")
    words = "\n".join(lines)
    phones = phones or list(phones_in_text(words, settings.home))
    emails = emails or list(mails_in_text(words))
    marks = utm_of(page)
    return Person(
        name=_full_name(names),
        phones=tuple(dict.fromkeys(phones)),
        emails=tuple(dict.fromkeys(emails)),
        lines=tuple(lines),
        utm={**marks, **utm},
        roistat_visit=roistat or roistat_of(page) or None,
        page=page or None,
    )


def phones_in(value: str, home: str) -> tuple[str, ...]:
    """The phones of a field that is meant for one, in E.164.

    What is no number of this country and has no code, as it was written.
    """
    if found := numbers_in(value, home):
        return found
    parts = _RUSSIAN_PHONE.findall(value)
    several = numbers_in(",".join(parts), home) if len(parts) > 1 else ()
    if matched := several or phones_in_text(value, home):
        return matched
    is_one = sum(char.isdigit() for char in value) >= _LEAST_DIGITS and not mails_in(value)
    return (" ".join(value.split()),) if is_one else ()


def phones_in_text(text: str, home: str) -> tuple[str, ...]:
    """The phones that somebody wrote among other words, in E.164."""
    # Only here: with the first text that somebody wrote.
    from phonenumbers import PhoneNumberMatcher

    found = (e164(match.raw_string, home) for match in PhoneNumberMatcher(text, home))
    return tuple(dict.fromkeys(number for number in found if number))


_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def mails_in_text(text: str) -> tuple[str, ...]:
    """The addresses that somebody wrote among other words."""
    return tuple(dict.fromkeys(address for match in _MAIL.findall(text) for address in mails_in(match.rstrip("."))))


def utm_of(url: str) -> dict[str, str]:
    """The advertising marks of a page's address."""
    marks = (pair for pair in _query(url) if pair[0].casefold().startswith("utm_") and pair[1])
    return {key.casefold(): value for key, value in marks}


def roistat_of(url: str) -> str:
    """The number of the visit that Roistat put into a page's address; empty if there is none."""
    return next((value for key, value in _query(url) if key.casefold() in _ROISTAT), "")


def cookies_of(text: str) -> tuple[dict[str, str], str]:
    """The advertising marks and the Roistat visit of Tilda's ``COOKIES``.

    All else in it is the visitor's own.
    """
    utm: dict[str, str] = {}
    roistat = ""
    for part in text.split(";"):
        key, _, value = part.strip().partition("=")
        if key == "TILDAUTM":
            for mark in unquote(value).split("|||"):
                name, _, marked = mark.partition("=")
                if name.startswith("utm_") and marked:
                    utm[name] = unquote(marked)
        elif key == "roistat_visit":
            roistat = unquote(value)
    return utm, roistat


def note(lines: Iterable[str], files: Iterable[EnquiryFile] = ()) -> str:
    """The words of a note: lines, then the files by name."""
    words = [line for line in lines if line.strip()]
    return "\n".join([*words, *(f"Файл: {file}" for file in files)])


def _query(url: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(urlsplit(url).query)
    except ValueError:
        return []


def _kind(key: str, folded: str, value: str) -> str:
    """What a field is, by its key, then by its value."""
    words = {word for word in _WORDS.findall(_CAMEL.sub(" ", key).casefold().replace("-mail", "mail"))}
    joined = folded.replace("-", "_")
    if folded in _ROISTAT:
        return "roistat_visit"
    if _UTM.match(key):
        return "utm"
    if folded in _PAGE and (value.startswith(("http://", "https://", "/")) or folded == "page"):
        return "page"
    if folded in _SERVICE or joined in _SERVICE:
        return "service"
    if words & _PHONE_WORDS and any(char.isdigit() for char in value):
        return "phone"
    if "@" in value and mails_in(value) and len(value.split()) <= 2 * len(mails_in(value)) and _is_only_mails(value):
        return "email"
    if words & _MAIL_WORDS and mails_in(value):
        return "email"
    if (name := _part_of_name(words)) and "@" not in value and "://" not in value:
        return "phone" if e164(value) else name
    if _LOOKS_LIKE_PHONE.fullmatch(value) and not words & _NUMBERS and e164(value):
        return "phone"
    return ""


def _is_only_mails(value: str) -> bool:
    return not re.sub(r"[,;<>\s]|\S+@\S+", "", value)


def _part_of_name(words: set[str]) -> str:
    if words & _THINGS:
        return ""
    is_name = bool(words & _NAME_WORDS)
    if words & _LAST_WORDS and words & {"имя", "фио"}:
        return "name"
    if words & _MIDDLE_WORDS:
        return "middle"
    if words & _LAST_WORDS or (is_name and words & {"last", "family"}):
        return "last"
    if words & _FIRST_WORDS or (is_name and "first" in words):
        return "first"
    return "name" if is_name else ""


def _full_name(names: Mapping[str, str]) -> str | None:
    """«Имя Отчество Фамилия» of parts; a lone «name» beside a surname is the first name."""
    first = names.get("first") or names.get("name")
    parts = (
        [first, names.get("middle"), names.get("last")]
        if "last" in names or "middle" in names
        else [names.get("name") or names.get("first")]
    )
    full = " ".join(part for part in parts if part)
    return full or None
