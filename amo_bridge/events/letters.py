"""Letters written by machines: bounces and auto-replies are told apart from a client's own words.

Out-of-office replies and bounces are no answers. amoCRM shows no headers (Auto-Submitted, Return-Path), only sender,
subject and how the letter begins, so a letter may also be *doubtful*: somebody has to read it. What people may rely on
stands in docs/what-counts.md.
"""

from __future__ import annotations

import re
from email.utils import parseaddr

_MACHINES = re.compile(
    r"mailer[-_.]?daemon|mail[-_.]?daemon|daemon|postmaster|bounces?(?:[-+_.=].*)?|no[-_.]?reply.*|"
    r"(?:do[-_.]?)?not[-_.]?reply.*|auto[-_.]?(?:reply|respond|responder|mailer|answer)|mail[-_.]?delivery.*|"
    r"delivery[-_.]?(?:status|failure|notification).*"
)
_REPLY_MARK = re.compile(r"(?:re|fwd?|aw|wg|sv|ответ|отв|на)\s*(?:\[\d+\])?\s*:")
_AUTOMATIC_WORDS = (
    r"авто[- ]?ответ|автоматическ\w+ (?:ответ|сообщени|уведомлени|письмо)|"
    r"auto(?:matic|mated|matisch\w*)?[- _]?(?:re(?:ply|sponse|sponder)|answer|message|antwort)|autosvar|"
    r"réponse automatique|respuesta automática|risposta automatica|abwesenheits(?:notiz|nachricht)"
)
_AUTOMATIC = re.compile(_AUTOMATIC_WORDS)
# Somebody may also write about autoresponders.
_SAYS_SO = re.compile(
    rf"(?:^|это |this is (?:an? )?)(?:{_AUTOMATIC_WORDS})|не отвечайте на это (?:письмо|сообщение)|"
    r"do not reply to this"
)
_BOUNCE = re.compile(
    r"undeliver(?:ed|able)|mail delivery|delivery (?:status notification|failure|has failed)|"
    r"returned (?:mail|to sender)|failure notice|message (?:not|could not be) delivered|"
    r"(?:сообщение|письмо|почта) не ?доставлен|не ?доставлено:|"
    r"недоставленн\w+ (?:сообщени|письм|почт)|ошибка доставки|уведомление о (?:доставке|состоянии)|"
    r"возврат (?:письма|почты)|(?:отчет|подтверждение) о (?:доставке|прочтении)|подтверждение прочтения"
)
_RECEIPT = re.compile(r"(?:read|прочитано|прочтено|delivered|доставлено|auto|авто)\s*:")
_AWAY = re.compile(
    r"(?:я |нахожусь |буду )?(?:в|на) (?:ежегодн\w+ |декретн\w+ )?отпуске|отсутству[юе]|нет на (?:рабочем )?месте|"
    r"вне офиса|не в офисе|на больничном|в командировке|out[- ]of[- ](?:the[- ])?office|\booo\b|away from (?:the|my) "
    r"(?:office|desk|mail|e-mail|email)|on (?:annual |parental |sick |maternity )?(?:leave|vacation|holiday)"
)
_BACK = re.compile(
    r"вернусь|возвращ|по возвращени|отвечу|смогу ответить|ограничен|срочн|замеща|обращайтесь|"
    r"will (?:reply|respond|get back|return|be back)|return(?:ing)? (?:on|to)|back on|upon my return|urgent|"
    r"limited access"
)


def why_machine(sender: str, subject: str, summary: str) -> str:
    """Why this letter is a machine's, in Russian, for the journal; empty if it is not known to be one. ``sender``:
    ``<>`` is nobody, empty is not known."""
    address = parseaddr(sender)[1] or sender.strip().strip("<>")
    if sender and not address:
        return "письмо без отправителя: так приходят возвраты почты"
    if _MACHINES.fullmatch(address.partition("@")[0].casefold()):
        return f"письмо почтовой программы, а не клиента: {address}"
    title = _own_title(subject)
    if _AUTOMATIC.search(title) or _AWAY.match(title):
        return f"автоответ, а не клиент: «{subject}»"
    if _BOUNCE.search(title) or _RECEIPT.match(title):
        return f"уведомление почты, а не клиент: «{subject}»"
    return "автоответ, а не клиент: так сказано в письме" if _SAYS_SO.search(_plain(summary)) else ""


def why_doubtful(sender: str, subject: str, summary: str) -> str:
    """Why nobody but a person can tell whether the client wrote this, in Russian; empty if there is no doubt."""
    beginning = _plain(summary)
    if not sender:
        return "amoCRM не говорит, кто прислал это письмо"
    if not subject.strip() and not beginning:
        return "у письма нет ни темы, ни текста"
    if _AWAY.search(_own_title(subject)) or (_AWAY.search(beginning) and _BACK.search(beginning)):
        return "письмо похоже на автоответ"
    return ""


def _own_title(subject: str) -> str:
    """The subject, if its writer has put it there himself; empty if it only repeats ours («Re: …»)."""
    title = _plain(subject)
    return "" if _REPLY_MARK.match(title) else title


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("ё", "е").split())
