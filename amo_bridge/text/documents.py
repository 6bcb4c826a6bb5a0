"""Templates of documents: Word files filled in with the data of deal, client and company.

Words stand in them as in letters: «{{ сделка.бюджет | деньги }}», «{{ компания.поле["ИНН"] }}». A word that means
nothing and a place that stays empty are both told, all at once, and nothing is made; what may be empty stands within
«{% if … %}». docxtpl is an extra: ``pip install 'amo-bridge[documents]'``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError, Undefined, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from amo_bridge.text.names import nearest, normalise
from amo_bridge.text.templates import FIELD, PLACEHOLDERS, WORDS, BadTemplate, enclosed

if TYPE_CHECKING:
    from docxtpl import DocxTemplate

NEEDED = "для документов нужен ещё один пакет: pip install 'amo-bridge[documents]'"
AGENCY = "агентство"
DOCUMENT_WORDS = (WORDS | {"компания", "документ", AGENCY}) - {"отписка"}
SUFFIX = ".docx"
_TAG = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_SHOWN = re.compile(r"<w:t(?: [^>]*)?>([^<]*)</w:t>")
_PARAGRAPH = re.compile(r"</w:p>")


# What no XML may hold; people paste it from Word.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Card(Mapping[str, Any]):
    """What a template may ask of one thing. ``title``: its name for people (Russian). ``known``: all names that it
    could hold; without it only those of ``values``."""

    def __init__(self, title: str, values: Mapping[str, Any], known: Mapping[str, str] | None = None) -> None:
        self._title = title
        self._values = {normalise(name): value for name, value in values.items()}
        self._known = {normalise(name): name for name in values} if known is None else known

    def __getitem__(self, name: str) -> Any:
        value = self._values.get(normalise(name))
        if value in (None, ""):
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def lack(self, name: str) -> str:
        """Why there is nothing of this name (Russian)."""
        if normalise(name) in self._known:
            return f"не заполнено: {self._title}, «{self._known[normalise(name)]}»"
        close = nearest(name, self._known.values())
        return f"{self._title}: «{name}» ничего не значит" + (f"; может быть, «{close}»?" if close else "")


def _money(value: object) -> object:
    """«50 000,00»."""
    amount = _amount(value)
    return value if amount is None else f"{amount:,.2f}".replace(",", "\u00a0").replace(".", ",")


CURRENCIES: Mapping[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = {
    "рубль": (("рубль", "рубля", "рублей"), ("копейка", "копейки", "копеек")),
    "тенге": (("тенге", "тенге", "тенге"), ("тиын", "тиына", "тиынов")),
}
"""One, few and many of the money and of its hundredth."""


def _in_words(value: object, currency: str = "рубль") -> object:
    """«Пятьдесят тысяч рублей 00 копеек»."""
    amount = _amount(value)
    if amount is None:
        return value
    if currency not in CURRENCIES:
        raise BadTemplate(f"прописью мост пишет {', '.join(CURRENCIES)}, а не «{currency}»")
    money, hundredth = CURRENCIES[currency]
    whole, rest = int(amount), int(amount * 100) % 100
    words = f"{number_in_words(whole)} {_form(whole, *money)}"
    return f"{words[:1].upper()}{words[1:]} {rest:02} {_form(rest, *hundredth)}"


def _amount(value: object) -> Decimal | None:
    if isinstance(value, Undefined):
        return None
    text = re.sub(r"[\s\u00a0]", "", str(value)).replace(",", ".")
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise BadTemplate(f"«{value}» — не сумма") from None
    if not amount.is_finite() or not 0 <= amount < 10**12 - 1:
        raise BadTemplate(f"«{value}» — не сумма, которую можно написать словами")
    # Figures and words must be of the same sum.
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


_UNITS = (
    "", "один", "два", "три", "четыре", "пять", "шесть", "семь", "восемь", "девять", "десять", "одиннадцать",
    "двенадцать", "тринадцать", "четырнадцать", "пятнадцать", "шестнадцать", "семнадцать", "восемнадцать",
    "девятнадцать",
)  # fmt: skip
_TENS = (
    "", "", "двадцать", "тридцать", "сорок", "пятьдесят", "шестьдесят", "семьдесят", "восемьдесят", "девяносто",
)  # fmt: skip
_HUNDREDS = (
    "", "сто", "двести", "триста", "четыреста", "пятьсот", "шестьсот", "семьсот", "восемьсот", "девятьсот",
)  # fmt: skip
_GROUPS = (
    (10**9, ("миллиард", "миллиарда", "миллиардов")), (10**6, ("миллион", "миллиона", "миллионов")),
    (10**3, ("тысяча", "тысячи", "тысяч")),
)  # fmt: skip


def number_in_words(number: int) -> str:
    """A number below 10¹² in Russian, masculine: «двадцать одна тысяча пять»."""
    if number == 0:
        return "ноль"
    words: list[str] = []
    for size, forms in _GROUPS:
        count, number = divmod(number, size)
        if count:
            words += [*_below_thousand(count, is_feminine=size == 10**3), _form(count, *forms)]
    return " ".join([*words, *_below_thousand(number, is_feminine=False)])


def _below_thousand(number: int, *, is_feminine: bool) -> list[str]:
    hundreds, rest = divmod(number, 100)
    tens, units = divmod(rest, 10) if rest >= 20 else (0, rest)
    unit = _UNITS[units]
    if is_feminine:
        unit = {"один": "одна", "два": "две"}.get(unit, unit)
    return [word for word in (_HUNDREDS[hundreds], _TENS[tens], unit) if word]


def _form(number: int, one: str, few: str, many: str) -> str:
    if number % 100 in range(11, 15):
        return many
    return one if number % 10 == 1 else few if number % 10 in (2, 3, 4) else many


FILTERS = {"деньги": _money, "прописью": _in_words}


def _printable(value: object) -> object:
    return _UNPRINTABLE.sub(" ", value) if isinstance(value, str) else value


def _environment(lacks: list[str]) -> ImmutableSandboxedEnvironment:
    """``lacks`` takes what was asked for in vain."""

    class Lack(Undefined):
        """A place that would stay empty."""

        def __str__(self) -> str:
            asked, name = self._undefined_obj, str(self._undefined_name)
            lacks.append(asked.lack(name) if isinstance(asked, Card) else f"«{name}» ничего не значит")
            return ""

    environment = ImmutableSandboxedEnvironment(undefined=Lack, autoescape=True, finalize=_printable)
    environment.filters.update(FILTERS)
    return environment


class DocumentTemplates:
    """``folder``: of the letters' templates. «счёт» is the file «счёт.docx» there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def render(self, name: str, facts: Mapping[str, Any]) -> bytes:
        """The filled document. Raises BadTemplate with all that is missing."""
        if left := self.placeholders_of(name):
            raise BadTemplate(f"шаблон документа «{name}» не дописан: {'; '.join(left)}")
        template, lacks = self._opened(name), list[str]()
        try:
            template.render(dict(facts), jinja_env=_environment(lacks))
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, SyntaxError) as error:
            raise BadTemplate(f"шаблон документа «{name}»: {error}") from error
        if lacks:
            told = "; ".join(dict.fromkeys(lacks))
            raise BadTemplate(f"документ «{name}» не сделан — {told}. Заполните это в карточке и повторите письмо")
        out = BytesIO()
        template.save(out)
        return out.getvalue()

    def problems_of(self, name: str) -> list[str]:
        """What can be told to be wrong with a template before there is anything to fill in (Russian)."""
        try:
            found = []
            for source in self._sources(name):
                unknown = find_undeclared_variables(_environment([]).parse(source)) - DOCUMENT_WORDS
                for word in sorted(unknown):
                    close = nearest(word, DOCUMENT_WORDS)
                    hint = f"; может быть, «{close}»?" if close else ""
                    found.append(f"в шаблоне документа «{name}» «{word}» ничего не значит{hint}")
        except BadTemplate as error:
            return [str(error)]
        except TemplateError as error:
            return [f"шаблон документа «{name}»: Jinja не понимает: {error}"]
        return list(dict.fromkeys(found))

    def field_names_of(self, name: str) -> dict[str, list[str]]:
        """«» (the deal), «клиент», «компания» → the fields that the template asks for by name; «агентство» → what of
        the agency."""
        found: dict[str, list[str]] = {}
        for source in self._sources(name):
            for of, name_asked in _asked_in(_environment([]).parse(source)):
                if isinstance(of, nodes.Name) and of.name == AGENCY:
                    found.setdefault(AGENCY, []).append(name_asked)
                elif isinstance(of, nodes.Name) and of.name == FIELD:
                    found.setdefault("", []).append(name_asked)
                elif isinstance(of, nodes.Getattr) and of.attr == FIELD and isinstance(of.node, nodes.Name):
                    found.setdefault(of.node.name, []).append(name_asked)
        return found

    def placeholders_of(self, name: str) -> list[str]:
        """What is still to be filled in by the agency, in the template's own words (Russian); raises BadTemplate."""
        found = []
        for source in self._sources(name):
            for paragraph in _PARAGRAPH.split(source):
                shown = _TAG.sub("", "".join(_SHOWN.findall(paragraph)))
                found += [f"«{' '.join(match[0].split())}»" for one in PLACEHOLDERS for match in one.finditer(shown)]
        return list(dict.fromkeys(found))

    def _opened(self, name: str) -> DocxTemplate:
        try:
            from docxtpl import DocxTemplate
        except ImportError:
            raise BadTemplate(NEEDED) from None

        class Template(DocxTemplate):  # type: ignore[misc]
            def patch_xml(self, src_xml: str) -> str:
                # Word makes «…» of quotation marks that are typed in Russian.
                patched = str(super().patch_xml(src_xml))
                return _TAG.sub(lambda tag: tag[0].replace("«", '"').replace("»", '"'), patched)

        try:
            path = enclosed(self.folder, f"{name}{SUFFIX}")
            content = path.read_bytes()
        except (OSError, ValueError) as error:
            there = sorted(one.stem for one in self.folder.glob(f"*{SUFFIX}") if not one.name.startswith("~"))
            hint = f"; есть: {', '.join(there)}" if there else ""
            raise BadTemplate(
                f"шаблона документа «{name}» нет: нужен файл {self.folder / name}{SUFFIX}{hint}"
            ) from error
        try:
            template = Template(BytesIO(content))
            template.init_docx()
        except Exception as error:  # whatever python-docx and lxml say of a file that is no document
            raise BadTemplate(f"файл {name}{SUFFIX} — не документ Word (.docx): {error}") from error
        return template

    def _sources(self, name: str) -> list[str]:
        """The document's parts in which Jinja may stand: the body, headers and footers."""
        template = self._opened(name)
        parts = [template.get_xml()]
        for uri in (template.HEADER_URI, template.FOOTER_URI):
            parts += [template.get_part_xml(part) for _, part in template.get_headers_footers(uri)]
        return [template.patch_xml(xml) for xml in parts]


def _asked_in(template: nodes.Template) -> Iterator[tuple[nodes.Node, str]]:
    """(of what, «ИНН») of each «поле["ИНН"]» and «поле.ИНН»; what is known only when it is filled is left out."""
    for item in template.find_all(nodes.Getitem):
        if isinstance(item.arg, nodes.Const):
            yield item.node, str(item.arg.value)
    for attribute in template.find_all(nodes.Getattr):
        yield attribute.node, attribute.attr
