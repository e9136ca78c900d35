"""`Prefer`: what a write returns, by itself and in a Bundle, and how strictly a search is taken."""

import pytest

from fhir_server.fhir.json import Resource
from fhir_server.validation.validator import Validator
from tests.minimal import minimal
from tests.world import Party, Reply


def bundle(kind: str, *entries: Resource) -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: Resource | None = None, **request: str) -> Resource:
    asked = {"request": {"method": method, "url": url, **request}}
    return {"resource": resource, **asked} if resource else asked


def said(reply: Reply) -> str:
    """What the one issue of an outcome says, which is good."""
    [issue] = reply.issues
    assert (issue["severity"], issue["code"]) == ("information", "informational")
    return str(issue["diagnostics"])


OUTCOME = "return=OperationOutcome"


def test_an_outcome_says_what_became_of_each_kind_of_write(hosp: Party) -> None:
    made = hosp.post(minimal("Group"), Prefer=OUTCOME)
    reference = made.headers["Location"].split("/fhir/")[1].partition("/_history/")[0]
    group = hosp.read(reference)
    changed = hosp.put({**group, "name": "a"}, Prefer=OUTCOME)
    again = hosp.put({**group, "name": "a"}, Prefer=OUTCOME)
    operations = [{"op": "replace", "path": "/name", "value": "b"}]
    patched = hosp.ask("PATCH", reference, operations, Content_Type="application/json-patch+json", Prefer=OUTCOME)
    found = hosp.post(minimal("Group"), If_None_Exist=f"_id={group['id']}", Prefer=OUTCOME)

    assert [reply.status for reply in (made, changed, again, patched, found)] == [201, 200, 200, 200, 200]
    assert said(made) == f"{reference} was created; version 1."
    assert said(changed) == f"{reference} was updated; version 2."
    assert said(again) == f"{reference} already had this content; version 2."
    assert said(patched) == f"{reference} was updated; version 3."
    assert said(found) == f"{reference} existed already; version 3."
    for reply in (made, changed, patched):
        assert reply.headers["ETag"]
        assert "Location" in reply.headers


def test_a_refusal_is_an_outcome_whatever_is_preferred(hosp: Party) -> None:
    for preference in (OUTCOME, "return=minimal", "return=representation"):
        refused = hosp.post(minimal("Patient", gender="x"), Prefer=preference)
        assert (refused.status, refused.issues[0]["severity"]) == (422, "error")


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_bundle_returns_in_its_entries_what_is_preferred(hosp: Party, kind: str) -> None:
    group = hosp.post(minimal("Group")).body
    sent = bundle(
        kind,
        entry("POST", "Patient", minimal("Patient", gender="other")),
        entry("PUT", f"Group/{group['id']}", {**group, "name": kind}),
        entry("GET", f"Group/{group['id']}"),
    )

    replies = {preference: hosp.ask("POST", "", sent, Prefer=preference) for preference in
               ("", "return=minimal", "return=representation", OUTCOME)}  # fmt: skip

    for preference, reply in replies.items():
        assert reply.status == 200, (preference, reply.body)
        assert Validator().check(reply.body) == []
        created, updated, read = reply.body["entry"]
        assert created["response"]["status"].startswith("201")
        assert read["resource"]["name"] == kind
        assert ("resource" in created, "resource" in updated) == (("representation" in preference),) * 2
        assert ("outcome" in created["response"], "outcome" in updated["response"]) == ((preference == OUTCOME),) * 2
    whole = replies["return=representation"].body["entry"][0]
    assert whole["resource"]["gender"] == "other"
    assert whole["response"]["location"].endswith(f"/Patient/{whole['resource']['id']}/_history/1")
    told = replies[OUTCOME].body["entry"][0]["response"]["outcome"]["issue"][0]["diagnostics"]
    assert told.endswith("was created; version 1.")


def test_a_delete_in_a_bundle_returns_nothing_of_what_went(hosp: Party) -> None:
    group = hosp.post(minimal("Group")).body

    reply = hosp.ask("POST", "", bundle("transaction", entry("DELETE", f"Group/{group['id']}")), Prefer=OUTCOME)

    [gone] = reply.body["entry"]
    assert gone.keys() == {"response"}
    assert gone["response"]["status"].startswith("204")


@pytest.mark.parametrize("preference", ["", "handling=strict", "handling=nonsense", "respond-async"])
def test_a_search_is_strict_unless_it_is_to_be_lenient(hosp: Party, preference: str) -> None:
    assert hosp.get("Patient?colour=red", Prefer=preference).status == 400
    assert hosp.get("Patient?_format=json&gender=other", Prefer=preference).status == 200


@pytest.mark.parametrize(
    "preference", ["handling=lenient", "return=minimal, handling=lenient", "handling=lenient; return=minimal"]
)
def test_a_lenient_search_says_what_it_left_out(hosp: Party, preference: str) -> None:
    assert hosp.post(minimal("Patient", gender="other")).status == 201

    reply = hosp.get("Patient?colour=red&gender=other", Prefer=preference)

    assert reply.status == 200
    modes = [each["search"]["mode"] for each in reply.body["entry"]]
    assert modes == ["match", "outcome"]
    outcome = reply.body["entry"][-1]["resource"]
    assert "colour" in outcome["issue"][0]["diagnostics"]
    assert "colour" not in next(link["url"] for link in reply.body["link"] if link["relation"] == "self")


def test_a_lenient_write_is_validated_all_the_same(hosp: Party) -> None:
    assert hosp.post(minimal("Patient", colour="red"), Prefer="handling=lenient").status == 422


def test_several_preferences_count_together(hosp: Party) -> None:
    reply = hosp.post(minimal("Patient"), Prefer="handling=strict; return=minimal")

    assert (reply.status, reply.raw) == (201, b"")
