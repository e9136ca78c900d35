"""`_list` of a history: the versions of what a List refers to, as far as its reader may see list and versions."""

import pytest

from tests.http.test_histories import changed, group, pages, told
from tests.minimal import minimal
from tests.world import Party, World


def listing(party: Party, *references: str) -> str:
    """The id of a new List of these."""
    entries = [{"item": {"reference": each}} for each in references]
    return str(party.post(minimal("List", entry=entries)).body["id"])


def test_a_history_tells_of_what_a_list_refers_to(hosp: Party) -> None:
    one, two = changed(hosp)
    three = group(hosp)
    patient = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    assert hosp.change(three, quantity=1).status == 200
    listed = listing(hosp, two, f"{three}/_history/1", patient)

    of_type = [("POST", three, "1"), ("PUT", two, "2"), ("POST", two, "1")]
    assert pages(hosp, f"Group/_history?_list={listed}") == of_type
    assert pages(hosp, f"Group/_history?_list={listed}&_count=1") == of_type
    assert pages(hosp, f"_history?_list={listed}&_count=2") == [("POST", patient, "1"), *of_type]
    assert pages(hosp, f"{two}/_history?_list={listed}&_count=1") == [("PUT", two, "2"), ("POST", two, "1")]
    assert pages(hosp, f"{three}/_history?_list={listed}&_count=1") == [("POST", three, "1")]
    assert pages(hosp, f"Task/_history?_list={listed}") == pages(hosp, f"Group/{one[6:]}/_history?_list={listed}") == []
    assert pages(hosp, f"Group/_history?_list={listing(hosp, f'{three}/_history/2')}") == [("PUT", three, "2")]
    assert pages(hosp, f"Group/_history?_list={listing(hosp, f'{three}/_history/{9**30}')}") == []


def test_a_list_that_is_hidden_or_not_there_refers_to_nothing(world: World, hosp: Party) -> None:
    hidden, gone = listing(world.hospital(), hosp.reference), listing(hosp, hosp.reference)
    assert told(hosp.get(f"{hosp.reference}/_history?_list={gone}"))
    assert hosp.ask("DELETE", f"List/{gone}").status == 204

    for id in (hidden, gone, "never-there"):
        for place in ("_history", "Organization/_history", f"{hosp.reference}/_history"):
            assert told(hosp.get(f"{place}?_list={id}")) == [], (id, place)


def test_a_list_shows_nothing_of_what_is_hidden(world: World, hosp: Party) -> None:
    home = world.party()
    case = world.case(hosp, home)
    for status in ("received", "accepted", "in-progress"):
        assert home.move(case.task, status).status == 200
    place = f"Condition/_history?_list={listing(home, case.condition, f'{case.condition}/_history/1')}"
    assert told(home.get(place)) == [("POST", case.condition, "1")]

    assert home.move(case.task, "completed").status == 200

    assert told(home.get(place)) == []


def test_to_go_by_a_list_needs_the_scope_to_search_lists(world: World, hosp: Party) -> None:
    narrow = world.party("system/Group.rs", organization=hosp.reference)

    refused = narrow.get(f"Group/_history?_list={listing(hosp, group(hosp))}")

    assert (refused.status, refused.rules) == (403, {"scope"})


@pytest.mark.parametrize("place", ["_history", "Group/_history", "{group}/_history"])
@pytest.mark.parametrize("id", ["$current-problems", "List/7", "a,b", ""])
def test_a_list_that_has_no_id_is_refused(hosp: Party, place: str, id: str) -> None:
    assert hosp.get(f"{place.format(group=group(hosp))}?_list={id}").status == 400


def test_the_next_page_belongs_to_the_list_that_was_asked_for(hosp: Party) -> None:
    _, two = changed(hosp)
    [one, other] = (listing(hosp, two) for _ in range(2))
    reply = hosp.get(f"Group/_history?_list={one}&_count=1")
    [onward] = [link["url"].split("/fhir/", 1)[1] for link in reply.body["link"] if link["relation"] == "next"]

    assert hosp.get(onward).status == 200
    assert hosp.get(onward.replace(one, other)).status == hosp.get(onward.replace(f"_list={one}&", "")).status == 400
