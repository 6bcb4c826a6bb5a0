"""Sources, and the lead that one of them brought."""

from __future__ import annotations

from support.sandbox_account import SandboxAccount

NUMBER = {"name": "Номер", "external_id": "+7 912 100 00 00"}


def test_an_external_id_is_unique_and_stays(account: SandboxAccount) -> None:
    source = account.post("sources", [NUMBER]).json["_embedded"]["sources"][0]
    assert source["pipeline_id"] == account.pipeline()
    assert account.post("sources", [NUMBER]).errors == [("external_id", "NotUnique")]
    assert account.post("sources", [{**NUMBER, "external_id": "x" * 37}]).errors == [("external_id", "TooLong")]
    changed = account.patch(f"sources/{source['id']}", {"name": "Другой", "external_id": "новый"}).json
    assert (changed["name"], changed["external_id"]) == ("Другой", NUMBER["external_id"])
    assert account.get("sources?filter[external_id]=нет").status == 204
    assert account.call("DELETE", "sources", [{"id": source["id"]}]).status == 204
    assert account.call("DELETE", f"sources/{source['id']}").status == 404


def test_a_lead_names_its_source(account: SandboxAccount) -> None:
    source = account.post("sources", [NUMBER]).json["_embedded"]["sources"][0]
    lead_id = account.add_lead(_embedded={"source": {"external_id": NUMBER["external_id"], "type": "widget"}})
    lead = account.lead(lead_id, "source")
    assert (lead["source_id"], lead["_embedded"]["source"]) == (source["id"], {"id": source["id"], "name": "Номер"})
    answer = account.post("leads", [{"_embedded": {"source": {"external_id": "нет"}}}])
    assert answer.errors == [("_embedded.source.external_id", "NotSupportedChoice")]
