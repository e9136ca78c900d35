"""After each step of a long conversation all readings of everybody agree with a model.

A failure names its seed and its step; the same seed says the same things again.
"""

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest

from fhir_server.fhir.json import Resource
from tests.http.conversation import Conversation
from tests.http.conversation_model import CHART, SYSTEM, TYPES, Past, same
from tests.world import Party, World

STEPS = 18
SORTS = ("", "&_sort=-_id", "&_sort=_lastUpdated", "&_sort=-_lastUpdated", "&_sort=identifier,-_id")


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_said_everybody_reads_what_it_may_and_nothing_else(world: World, seed: int) -> None:
    talk = Conversation(world, random.Random(seed))

    for step in range(STEPS):
        [act] = talk.chance.choices([talk.write, talk.write_in_vain, talk.move], [5, 2, 1])
        act()
        reader = talk.chance.choice(list(talk.parties))
        try:
            _compare(talk, reader)
        except AssertionError as error:
            error.add_note(f"seed {seed}, step {step}, {act.__name__}, read by {reader}")
            raise


def _compare(talk: Conversation, who: str) -> None:
    party, chance = talk.parties[who], talk.chance
    for reference in chance.sample(list(talk.model.kept), min(len(talk.model.kept), 5)):
        _compare_one(talk, party, who, reference)
    for type_name in chance.sample(TYPES, 2):
        _compare_search(talk, party, who, type_name)
        _compare_history(talk, party, who, type_name)
    for circle in talk.model.circles:
        _compare_everything(talk, party, who, circle.person)


def _compare_one(talk: Conversation, party: Party, who: str, reference: str) -> None:
    """A read, a version, the versions."""
    model, kept = talk.model, talk.model.kept[reference]
    reply, history = party.get(reference), party.get(f"{reference}/_history")
    if not model.knows(who, reference):
        assert (reply.status, history.status) == (404, 404), reference
        return
    assert reply.status == (200 if model.reads(who, reference) else 410), reference
    assert kept.now.said is None or same(reply.body, kept.now.said), reference
    shown = [version for version in reversed(kept.versions) if model.reads_version(who, kept, version)]
    _agree([(reference, version) for version in shown], history.body.get("entry", []))
    asked = talk.chance.choice(kept.versions)
    expected = 404 if asked not in shown else 410 if asked.said is None else 200
    assert party.get(f"{reference}/_history/{asked.number}").status == expected, (reference, asked)


def _compare_search(talk: Conversation, party: Party, who: str, type_name: str) -> None:
    """All pages with their total, there and back; what is included is read as well."""
    readable, chance = set(talk.model.readable(who, type_name)), talk.chance
    visits = {reference for reference in readable if _visit(talk, reference) in talk.model.readable(who, "Encounter")}
    include = f"&_include={type_name}:encounter" if type_name in {"Observation", "Flag"} else ""
    place = f"{type_name}?_tag={SYSTEM}|{talk.run}&_total=accurate&_count={chance.choice([1, 3, 50])}"

    pages = list(_pages(party, f"{place}{chance.choice(SORTS)}{include}"))

    shown = [each for page in pages for each in _listed(page, "match")]
    assert (len(shown), set(shown)) == (len(set(shown)), readable), type_name
    assert {page["total"] for page in pages} == {len(readable)}, type_name
    brought = {each for page in pages for each in _listed(page, "include")}
    assert brought == ({_visit(talk, each) for each in visits} if include else set()), type_name
    for page, following in pairwise(pages):
        back = {link["relation"]: link["url"] for link in following["link"]}["previous"]
        assert _listed(party.get(_from(back)).body, "match") == _listed(page, "match")


def _compare_history(talk: Conversation, party: Party, who: str, type_name: str) -> None:
    place = f"{type_name}/_history?_since={talk.begun}&_count={talk.chance.choice([2, 50])}"
    told = [entry for page in _pages(party, place) for entry in page.get("entry", [])]
    _agree(
        list(talk.model.history(who, type_name)),
        [entry for entry in told if _reference(entry) in talk.model.kept],
    )


def _compare_everything(talk: Conversation, party: Party, who: str, person: str) -> None:
    place = f"{person}/$everything?_count={talk.chance.choice([3, 50])}"
    if not talk.model.reads_person(who, person):
        assert party.get(place).status == 404
        return
    shown = [each for page in _pages(party, place) for each in _listed(page, "match")]
    assert len(shown) == len(set(shown))
    about = {each for each in talk.model.readable(who, *CHART) if talk.model.kept[each].person == person}
    assert set(shown) & set(talk.model.kept) == about


def _agree(expected: list[tuple[str, Past]], told: list[Resource]) -> None:
    """The entries of a history are these versions, newest first, each with its method, status and content."""
    versions = {(reference, version.number): version for reference, version in expected}
    found = [(_reference(entry), int(entry["response"]["etag"].strip('W/"'))) for entry in told]
    assert (len(found), set(found)) == (len(versions), set(versions))
    times = [entry["response"]["lastModified"] for entry in told]
    assert times == sorted(times, reverse=True)
    for key, entry in zip(found, told, strict=True):
        version = versions[key]
        assert (entry["request"]["method"], entry["response"]["status"][:3]) == (version.method, version.status), key
        assert ("resource" in entry) == (version.said is not None), key
        assert version.said is None or same(entry["resource"], version.said), key


def _pages(party: Party, place: str) -> Iterator[Resource]:
    onward: str | None = place
    while onward:
        reply = party.get(onward)
        assert reply.status == 200, (onward, reply.body)
        yield reply.body
        links = {link["relation"]: link["url"] for link in reply.body["link"]}
        onward = _from(links["next"]) if "next" in links else None


def _listed(page: Resource, mode: str) -> list[str]:
    return [_reference(entry) for entry in page.get("entry", []) if entry["search"]["mode"] == mode]


def _reference(entry: Resource) -> str:
    return "/".join(entry["fullUrl"].split("/")[-2:])


def _from(url: str) -> str:
    return url.partition("/fhir/")[2]


def _visit(talk: Conversation, reference: str) -> str:
    return str((talk.model.kept[reference].now.said or {}).get("encounter", {}).get("reference"))
