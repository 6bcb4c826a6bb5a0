"""The next letter of a series is due → it is sent, unless the client has answered.

A series (``[series."прогрев"]``) is started by another rule (``start_series``). It ends when its letters are all sent,
when the deal is not on the stage any more on which the series was started, or when the client has called or written
since. Does nothing but end the series then; does nothing at all if the config has shortened the series meanwhile.
Covers A11, A66, A110 («прогрев»).
"""

from __future__ import annotations

from typing import Annotated

from amo_bridge.events import SeriesLetterDue
from amo_bridge.rules import AllSeries, Deal, FromSection, Options, PersonName, SendLetter, Skip, StopSeries, handler


class SeriesSendsLetters(Options):
    series: Annotated[AllSeries, FromSection("series")]
    no_address: PersonName | None = PersonName("manager")


@handler(on=SeriesLetterDue, options=SeriesSendsLetters, needs={"touches"}, sends={"mail"})
def series_sends_letters(
    event: SeriesLetterDue, deal: Deal, options: SeriesSendsLetters
) -> Skip | SendLetter | StopSeries:
    spec = options.series.of(event.series)
    if spec is None or event.number >= len(spec.letters):
        return Skip("такого письма в серии больше нет")
    if because := _reason_to_end(event, deal):
        return StopSeries(deal_id=deal.id, series=event.series, because=because)
    letter = spec.letters[event.number]
    return SendLetter(
        deal_id=deal.id,
        template=letter.template,
        service=False,
        thread=f"{event.series} {event.run}",
        no_address=options.no_address,
        attach=tuple(one.for_letter(deal) for one in letter.attach),
    )


def _reason_to_end(event: SeriesLetterDue, deal: Deal) -> str:
    """Why the client is to get no more of these letters; empty if he is."""
    if deal.stage.key != event.stage:
        return "сделка ушла с этапа, на котором серия началась"
    return "клиент ответил" if deal.touches.since(event.started_at).by_client() else ""
