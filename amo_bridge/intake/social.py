"""Social networks: VK communities, VK Ads, Meta."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from urllib.parse import urlencode

from amo_bridge.channels.http_client import HttpClient
from amo_bridge.channels.vk_ads import MOSCOW
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelRefused
from amo_bridge.intake.contacts import mails_in_text, note, person_in, phones_in, phones_in_text
from amo_bridge.intake.model import Enquiry, EnquiryFile, NoEnquiry, Outcome, Outcomes, digest
from amo_bridge.intake.request import (
    UnreadableBody,
    VendorRequest,
    VendorSettings,
    Verdict,
    any_json,
    as_text,
    body_signature,
    content_type,
    decode,
    integer,
    json_of,
    object_at,
    objects,
    text_at,
    verdict,
)
from amo_bridge.text.addresses import mails_in

# --- Meta's Graph API with a page's token -----------------------------------------------------------------------------

GRAPH_VERSION = "v25.0"
GRAPH_TOKEN = "AMO_BRIDGE_INTAKE_META_TOKEN"
_DEAD_TOKEN, _NO_RIGHT, _GONE = (102, 190), (3, 10, *range(200, 300)), (100, 33)
_BUSY = (1, 2, 4, 17, 32, 613, *range(80000, 80015))
# Meta says no time; its limits are counted by the hour.
BUSY_SECONDS = 300.0


class GraphRefused(ChannelRefused):
    """Graph knows no such object, or the token may not see it."""


class GraphPage:
    """One page. ``secret``: of the app, by which a request proves that the token is in its own hands."""

    def __init__(self, api: str, token: str, secret: str) -> None:
        self._token = token
        self._secret = secret
        self._http = HttpClient("Meta", api, token)

    def read(self, node: str, **given: str) -> Mapping[str, Any]:
        """An object. Raises ChannelError; GraphRefused where there is none."""
        return self._answer("GET", f"/{GRAPH_VERSION}/{node}?{urlencode(self._signed(given))}")

    def write(self, node: str, **given: str) -> Mapping[str, Any]:
        """Change an object. Raises ChannelError."""
        return self._answer("POST", f"/{GRAPH_VERSION}/{node}", self._signed(given))

    def _signed(self, given: Mapping[str, str]) -> dict[str, str]:
        proof = hmac.new(self._secret.encode(), self._token.encode(), hashlib.sha256).hexdigest()
        return {**given, "access_token": self._token, **({"appsecret_proof": proof} if self._secret else {})}

    def _answer(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        response = self._http.request(method, path, form=form)
        try:
            told = response.json()
        except ValueError as error:
            raise self._http.unreadable(error) from None
        complaint = object_at(told, "error")
        if complaint or not response.ok:
            raise _refusal(complaint, response.status_code)
        return told if isinstance(told, dict) else {}


def _refusal(error: Mapping[str, Any], status: int) -> ChannelDown | ChannelBusy | ChannelRefused:
    """By the code of the error: the status is often 400, whatever it was."""
    code, subcode = integer(error.get("code")), integer(error.get("error_subcode"))
    words = f"{code or status} {text_at(error, 'message')}".strip()
    if code in _DEAD_TOKEN:
        where = f"выпустите токен страницы заново и впишите его в {GRAPH_TOKEN}"
        return ChannelDown(f"Meta: токен страницы не действует ({words}): {where}")
    if code in _NO_RIGHT:
        rights = "leads_retrieval, pages_manage_metadata, pages_show_list, pages_read_engagement, ads_management"
        return ChannelDown(f"Meta: у токена страницы нет прав ({words}): нужны {rights}")
    if code in _BUSY or status == 429 or status >= 500:
        return ChannelBusy(f"Meta просит подождать: {words}", retry_after=BUSY_SECONDS)
    if (code, subcode) == _GONE:
        return GraphRefused(f"Meta такого не знает, или у токена нет на это прав: {words}")
    return ChannelRefused(f"Meta: {words}")


# --- requests ---------------------------------------------------------------------------------------------------------

# VK community, Callback API: messages and lead forms. Answered «ok», or VK repeats and switches the server off.
#
# A message holds neither name nor phone; ``users.get`` by the id of its profile gives the name.

VK = "vk"
VK_SECRET, VK_CONFIRMATION = "vk_secret", "vk_confirmation"
# Above it an id is a talk of several people (VK API, peer_id).
_VK_CHATS = 2_000_000_000
_VK_KINDS = {
    "first_name": "first", "last_name": "last", "patronymic_name": "middle",
    "phone_number": "phone", "email": "email",
}  # fmt: skip
_VK_ATTACHMENTS = {
    "photo": "фотография", "video": "видео", "audio": "аудио", "doc": "документ", "sticker": "стикер",
    "audio_message": "голосовое сообщение", "link": "ссылка", "wall": "запись со стены", "market": "товар",
    "gift": "подарок", "graffiti": "граффити", "story": "история", "poll": "опрос", "geo": "место",
}  # fmt: skip


def prove_vk(request: VendorRequest, settings: VendorSettings) -> Verdict:
    """``secret`` and ``group_id`` of the body.

    A confirmation may have no secret, but must have a string to answer.
    """
    document = json_of(request)
    if settings.group is not None and integer(document.get("group_id")) != settings.group:
        return "wrong"
    secret = settings.secrets.get(VK_SECRET, "")
    if document.get("type") == "confirmation":
        if not settings.secrets.get(VK_CONFIRMATION, ""):
            return "closed"
        return verdict(text_at(document, "secret"), secret) if secret and "secret" in document else "proven"
    return verdict(text_at(document, "secret"), secret)


def check_vk(request: VendorRequest, settings: VendorSettings) -> str | None:
    """The string that VK's cabinet shows, exactly."""
    try:
        document = json_of(request)
    except UnreadableBody:
        return None
    return settings.secrets.get(VK_CONFIRMATION, "") if document.get("type") == "confirmation" else None


def of_vk(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """By ``type``."""
    document = json_of(request)
    body, event = object_at(document, "object"), text_at(document, "event_id")
    match text_at(document, "type"):
        case "message_new":
            return [_vk_message(body, event, settings)]
        case "lead_forms_new":
            return [_vk_lead(body, event, settings)]
        case kind:
            return [NoEnquiry(f"событие «{kind}» VK не обращение", key=event)]


def _vk_message(body: dict[str, Any], event: str, settings: VendorSettings) -> Outcome:
    """API 5.103 and newer: the message stands in ``message``; before it the object was the message."""
    message = object_at(body, "message") or body
    sender = integer(message.get("from_id") or message.get("user_id"))
    peer = integer(message.get("peer_id") or sender)
    text = text_at(message, "text") or text_at(message, "body")
    key = event or f"message:{peer}:{text_at(message, 'conversation_message_id') or text_at(message, 'id')}"
    profile = f"https://vk.com/id{sender}"
    ref = text_at(message, "ref") or None
    if integer(message.get("out")) == 1:
        return NoEnquiry("сообщение от самого сообщества", key=key)
    if peer > _VK_CHATS:
        return NoEnquiry("беседа, а не личное сообщение", key=key)
    if sender <= 0:
        return NoEnquiry("пишет сообщество, а не человек", key=key)
    if _vk_is_start(message):
        return NoEnquiry("нажата кнопка «Начать»: не обращение", key=key, link_param=ref, profile=profile)
    attachments = [_vk_attachment(item) for item in objects(message.get("attachments"))]
    forwarded = [
        f"Пересланное: {words}" for item in objects(message.get("fwd_messages")) if (words := text_at(item, "text"))
    ]
    if message.get("geo"):
        forwarded.append("Вложение: место на карте")
    words = note([text, *forwarded, *(f"Вложение: {what}" for what, _ in attachments)])
    return Enquiry(
        source=VK,
        key=key,
        phones=phones_in_text(text, settings.home),
        emails=mails_in_text(text),
        text=words or "Сообщение без слов",
        files=tuple(file for _, file in attachments if file),
        profile=profile,
        link_param=ref,
        extra={"ref_source": source} if (source := text_at(message, "ref_source")) else {},
    )


def _vk_is_start(message: dict[str, Any]) -> bool:
    payload = message.get("payload")
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            return False
    return isinstance(payload, dict) and payload.get("command") == "start"


def _vk_attachment(item: dict[str, Any]) -> tuple[str, EnquiryFile | None]:
    kind = text_at(item, "type")
    inner = object_at(item, kind)
    title, url = text_at(inner, "title"), text_at(inner, "url") or text_at(inner, "link_mp3")
    words = " ".join(part for part in [_VK_ATTACHMENTS.get(kind, kind or "неизвестное"), title] if part)
    return (f"{words} ({url})" if url else words), EnquiryFile(title or kind, url) if url and kind == "doc" else None


def _vk_lead(body: dict[str, Any], event: str, settings: VendorSettings) -> Outcome:
    fields: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for answer in objects(body.get("answers")):
        key, question = text_at(answer, "key"), text_at(answer, "question")
        title = question or key
        title = title if title not in fields else f"{title} ({key})"
        fields[title] = _vk_answer(answer.get("answer"))
        if kind := _VK_KINDS.get(key):
            kinds[title] = kind
    person = person_in(fields, settings, kinds=kinds)
    user, number = integer(body.get("user_id")), text_at(body, "lead_id")
    form = text_at(body, "form_name")
    return Enquiry(
        source=VK,
        key=f"lead:{number}" if number else event or f"lead:{digest(*fields.values())}",
        name=person.name,
        phones=person.phones,
        emails=person.emails,
        text=note([f"Форма «{form}»" if form else "Лид-форма", *person.lines]),
        profile=f"https://vk.com/id{user}" if user > 0 else None,
        extra={key: text_at(body, key) for key in ("form_id", "ad_id") if text_at(body, key)},
    )


def _vk_answer(value: Any) -> str:
    """A text; or ``{key, value}``, or a list of such."""
    if isinstance(value, list):
        return ", ".join(part for item in value if (part := _vk_answer(item)))
    if isinstance(value, dict):
        return as_text(value.get("value")) or as_text(value.get("key"))
    return as_text(value)


# VK Ads lead forms: its webhook, the list that is polled, and the CSV of the cabinet. It signs nothing.
#
# The CSV has no numbers of leads: one is known there by its time and its person (``is_same_lead``).

VK_ADS = "vkads"
_AD_IDS = ("form_id", "ad_plan_id", "ad_group_id", "banner_id")
_CSV_TIME = "время лида"
_CSV_IDS = {
    "id кампании": "ad_plan_id",
    "id объявления": "banner_id",
    "id группы": "ad_group_id",
    "id формы": "form_id",
}
_CSV_LEAD = ("id лида", "lead id", "id")
_CREATED = "created_at"
_LEAD_NUMBER = re.compile(r"lead:\d{1,20}")
_MOMENT = re.compile(
    r"(?:(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)|(?P<d2>\d\d)\.(?P<m2>\d\d)\.(?P<y2>\d{4}))[ T,]+"
    r"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?:\.\d+)?\s*(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?"
)
_AD_CONTACTS = {"birth_date": "Дата рождения", "city": "Город"}


def lead_moment(text: str) -> datetime | None:
    """When a form was filled: webhooks say the zone, the list and the CSV mean Moscow (integrations.md 4.2)."""
    found = _MOMENT.match(text.strip())
    if found is None:
        return None
    named = found.groupdict()
    year, month, day = (int(named[part] or named[f"{part}2"]) for part in "ymd")
    hour, minute, second = (int(named[part] or 0) for part in ("hour", "minute", "second"))
    shift = named["zone"] or ""
    zone: tzinfo = MOSCOW if not shift else UTC
    try:
        if shift.startswith(("+", "-")):
            east = timedelta(hours=int(shift[1:3]), minutes=int(shift[-2:]))
            zone = timezone(east if shift[0] == "+" else -east)
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _created(text: str) -> dict[str, str]:
    """The lead's time in UTC, as exactly as it was told."""
    moment = lead_moment(text)
    if moment is None:
        return {}
    is_exact = re.search(r":\d\d:\d\d", text) is not None
    return {_CREATED: moment.strftime("%Y-%m-%dT%H:%M:%S" if is_exact else "%Y-%m-%dT%H:%M")}


def is_same_lead(one: Enquiry, other: Enquiry) -> bool:
    """Of two leads of one person: are they one, once with its number and once without it? Without a time nobody can
    tell."""
    if _LEAD_NUMBER.fullmatch(one.key) and _LEAD_NUMBER.fullmatch(other.key):
        return one.key == other.key
    times = sorted((one.extra.get(_CREATED, ""), other.extra.get(_CREATED, "")), key=len)
    return bool(times[0]) and times[1].startswith(times[0])


def of_vk_ads(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """A webhook brings one lead, a list or a CSV many, oldest first."""
    body = request.body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if body[:1] not in (b"{", b"[") and "json" not in content_type(request)[0] and body:
        return _ads_csv(request, settings)
    document = any_json(request)
    if isinstance(document, dict) and "items" not in document:
        return [_ads_webhook(document, settings)]
    items = objects(document.get("items") if isinstance(document, dict) else document)
    leads = sorted(items, key=lambda lead: (text_at(lead, "created_at")[:19], text_at(lead, "id")))
    return [_ads_lead(lead, settings) for lead in leads] or [NoEnquiry("лидов нет")]


def _ads_webhook(document: dict[str, Any], settings: VendorSettings) -> Outcome:
    resource = text_at(document, "resource")
    key = text_at(document, "id")
    if resource and "LEAD" not in resource.upper():
        return NoEnquiry(f"VK Реклама сообщает о «{resource}», а не о лиде", key=key)
    lead = object_at(document, "data") or (document if "contact_info" in document or "answers" in document else {})
    if not lead:
        return NoEnquiry("в событии VK Рекламы нет самого лида: его принесёт опрос", key=key)
    return _ads_lead({"id": document.get("resource_id"), **lead} if resource else lead, settings)


def _ads_lead(lead: dict[str, Any], settings: VendorSettings) -> Outcome:
    number = text_at(lead, "id")
    key = f"lead:{number}" if number else f"lead:{digest(str(lead))}"
    if settings.forms and integer(lead.get("form_id")) not in settings.forms:
        return NoEnquiry(f"лид формы {text_at(lead, 'form_id')}: её нет в [intake.vkads] forms", key=key)
    contact = object_at(lead, "contact_info")
    answers = [line for answer in objects(lead.get("answers")) if (line := _ads_answer(answer))]
    more = [f"{words}: {text_at(contact, key)}" for key, words in _AD_CONTACTS.items() if text_at(contact, key)]
    names = [text_at(contact, "first_name"), text_at(contact, "last_name")]
    phone, form = text_at(contact, "phone"), text_at(lead, "form_name")
    return Enquiry(
        source=VK_ADS,
        key=key,
        name=" ".join(name for name in names if name) or None,
        phones=phones_in(phone, settings.home) if phone else (),
        emails=mails_in(text_at(contact, "email")),
        text=note([f"Форма «{form}»" if form else "Лид-форма VK Рекламы", *answers, *more]),
        profile=text_at(contact, "social_media_profile") or None,
        extra={name: text_at(lead, name) for name in _AD_IDS if text_at(lead, name)}
        | _created(text_at(lead, "created_at")),
    )


def _ads_answer(answer: dict[str, Any]) -> str:
    options = [text_at(option, "text") for option in objects(answer.get("answer_options"))]
    words = text_at(answer, "answer_text") or ", ".join(option for option in options if option)
    question = text_at(answer, "question_text")
    return f"{question}: {words}" if question and words else words


def _ads_csv(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """«Время лида», «ID Кампании», «ID Объявления», then the form's own questions. Raises UnreadableBody."""
    text = decode(request.body, content_type(request)[1]).replace("\r\n", "\n").replace("\r", "\n")
    heading = text.split("\n", 1)[0]
    delimiter = max(";,\t", key=heading.count)
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise UnreadableBody("выгрузка лидов не читается") from error
    headings = {name.strip().casefold() for name in heading.replace('"', "").split(delimiter)}
    if not headings & {_CSV_TIME, *_CSV_IDS, *_CSV_LEAD}:
        raise UnreadableBody("в теле ни JSON, ни выгрузка лидов VK Рекламы")
    found = [_ads_row({key: value for key, value in row.items() if isinstance(value, str)}, settings) for row in rows]
    return found or [NoEnquiry("лидов в выгрузке нет")]


def _ads_row(row: dict[str, str], settings: VendorSettings) -> Outcome:
    folded = {key.strip().casefold(): value.strip() for key, value in row.items()}
    service = {_CSV_TIME, *_CSV_IDS, *_CSV_LEAD}
    person = person_in({key.strip(): value for key, value in row.items()}, settings, without=service)
    if not (person.name or person.phones or person.emails or person.lines):
        return NoEnquiry("пустая строка выгрузки")
    number = next((folded[name] for name in _CSV_LEAD if folded.get(name)), "")
    return Enquiry(
        source=VK_ADS,
        key=f"lead:{number}" if number else f"lead:{digest(*folded.values())}",
        name=person.name,
        phones=person.phones,
        emails=person.emails,
        text=note(["Лид-форма VK Рекламы", *person.lines]),
        extra={what: folded[name] for name, what in _CSV_IDS.items() if folded.get(name)}
        | _created(folded.get(_CSV_TIME, "")),
    )


# Meta: lead ads and Messenger, both by the same signed webhook. Off unless the config says otherwise.
#
# A lead's event holds no answers: they are fetched by its number.

META, MESSENGER = "meta", "messenger"
META_SECRET, META_VERIFY = "meta_app_secret", "meta_verify_token"
META_LAW = (
    "В России Meta запрещена: с 1 сентября 2025 года реклама в Instagram и Facebook — нарушение и для заказчика, и для "
    "того, кто её размещает. Включайте, только если это разрешает право вашей страны; решает юрист, а не мост."
)
_META_KINDS = {
    "full_name": "name", "first_name": "first", "last_name": "last", "email": "email", "work_email": "email",
    "phone_number": "phone", "work_phone_number": "phone", "phone": "phone",
}  # fmt: skip
_TEST_LEAD = "<test lead:"
_META_ATTACHMENTS = {
    "image": "изображение", "video": "видео", "audio": "голосовое сообщение", "file": "файл", "fallback": "ссылка",
    "location": "место на карте", "template": "шаблон",
}  # fmt: skip
_meta_signed = body_signature("X-Hub-Signature-256", META_SECRET, "sha256=")


def prove_meta(request: VendorRequest, settings: VendorSettings) -> Verdict:
    """The signature of the raw bytes; of the check at set-up the token that we chose."""
    if request.method == "GET":
        return verdict(request.arguments.get("hub.verify_token", ""), settings.secrets.get(META_VERIFY, ""))
    return _meta_signed(request, settings)


def check_meta(request: VendorRequest, settings: VendorSettings) -> str | None:
    """``hub.challenge`` is repeated as it is."""
    arguments = request.arguments
    if request.method != "GET":
        return None
    return arguments.get("hub.challenge", "") if arguments.get("hub.mode") == "subscribe" else ""


def of_meta(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """Many entries and many changes may come in one request; or one answer of Graph."""
    document = json_of(request)
    if "field_data" in document:
        return [meta_answers(document, settings)]
    found: list[Outcome] = []
    for entry in objects(document.get("entry")):
        for change in objects(entry.get("changes")):
            found.append(_meta_change(change))
        for event in [*objects(entry.get("messaging")), *objects(entry.get("standby"))]:
            found.append(_messenger_event(event, settings))
    return found or [NoEnquiry("в событии Meta нет ни лидов, ни сообщений")]


def _meta_change(change: dict[str, Any]) -> Outcome:
    field, value = text_at(change, "field"), object_at(change, "value")
    number = text_at(value, "leadgen_id")
    if field != "leadgen" or not number:
        return NoEnquiry(f"изменение «{field}» Meta не обращение")
    return Enquiry(
        source=META,
        key=f"leadgen:{number}",
        text=f"Лид-форма Meta, ответы лида {number} запрашиваются отдельно",
        fetch=f"GET /{GRAPH_VERSION}/{number}",
        extra={key: as_text(value[key]) for key in ("form_id", "ad_id", "page_id") if as_text(value.get(key))},
    )


def meta_answers(document: dict[str, Any], settings: VendorSettings) -> Enquiry | NoEnquiry:
    """``GET /{leadgen_id}``: the names of own questions are the questions, with «_» for blanks."""
    number = text_at(document, "id")
    fields: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for answer in objects(document.get("field_data")):
        name = text_at(answer, "name")
        values = answer.get("values")
        value = ", ".join(as_text(item) for item in values if as_text(item)) if isinstance(values, list) else ""
        title = name if name in _META_KINDS else name.replace("_", " ")
        fields[title] = value
        if kind := _META_KINDS.get(name):
            kinds[title] = kind
    if any(_TEST_LEAD in value for value in fields.values()):
        return NoEnquiry("пробный лид Meta", key=f"leadgen:{number}")
    person = person_in(fields, settings, kinds=kinds)
    named = [f"{words}: {text_at(document, key)}" for key, words in _META_CAMPAIGN.items() if text_at(document, key)]
    return Enquiry(
        source=META,
        key=f"leadgen:{number}",
        name=person.name,
        phones=person.phones,
        emails=person.emails,
        text=note(["Лид-форма Meta", *person.lines, *named]),
        extra={key: text_at(document, key) for key in ("form_id", "ad_id") if text_at(document, key)},
    )


_META_CAMPAIGN = {"campaign_name": "Кампания", "ad_name": "Объявление"}


def _messenger_event(event: dict[str, Any], settings: VendorSettings) -> Outcome:
    sender = text_at(event, "sender", "id")
    if isinstance(event.get("postback"), dict):
        postback = event["postback"]
        ref = text_at(postback, "referral", "ref") or None
        title = text_at(postback, "title")
        return NoEnquiry(
            f"нажата кнопка «{title}»: не обращение", key=text_at(postback, "mid"), link_param=ref, profile=sender
        )
    if not isinstance(event.get("message"), dict):
        ref = text_at(event, "referral", "ref") or None
        kind = next((name for name in event if name not in ("sender", "recipient", "timestamp")), "пустое")
        key = f"{kind}:{sender}:{text_at(event, 'timestamp')}"
        return NoEnquiry(f"событие «{kind}» Messenger не обращение", key=key, link_param=ref)
    message = event["message"]
    key = text_at(message, "mid") or f"message:{sender}:{text_at(event, 'timestamp')}"
    if message.get("is_echo"):
        return NoEnquiry("сообщение от самой страницы", key=key)
    text = text_at(message, "text")
    files: list[EnquiryFile] = []
    lines = [text]
    for item in objects(message.get("attachments")):
        kind, url = text_at(item, "type"), text_at(item, "payload", "url")
        lines.append(f"Вложение: {_META_ATTACHMENTS.get(kind, kind)}")
        files += [EnquiryFile(_META_ATTACHMENTS.get(kind, kind), url)] if url else []
    return Enquiry(
        source=MESSENGER,
        key=key,
        phones=phones_in_text(text, settings.home),
        emails=mails_in_text(text),
        text=note(lines) or "Сообщение без слов",
        files=tuple(files),
        fetch=f"GET /{GRAPH_VERSION}/{sender}" if sender else None,
        link_param=text_at(message, "referral", "ref") or None,
        extra={"psid": sender} if sender else {},
    )
