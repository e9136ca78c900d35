"""Searches over HTTP: what they find, how pages follow each other, what is refused."""

import uuid
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.minimal import minimal
from tests.world import Party, Reply, World


def observation(patient: str, code: str = "a", **elements: Any) -> dict[str, Any]:
    """A small Observation."""
    coded = {"coding": [{"system": "urn:codes", "code": code}]}
    return minimal(
        "Observation", references={"Patient": patient}, subject={"reference": patient}, code=coded, **elements
    )


def ids(reply: Reply, mode: str = "match") -> list[str]:
    """The ids of the entries of a mode."""
    assert reply.status == 200, reply.body
    return [e["resource"]["id"] for e in reply.body.get("entry", []) if e["search"]["mode"] == mode]


def following(party: Party, reply: Reply) -> Reply | None:
    """The next page, asked by the address that the server gave."""
    urls = [link["url"] for link in reply.body["link"] if link["relation"] == "next"]
    if not urls:
        return None
    parts = urlsplit(urls[0])
    return party.get(f"{parts.path.rpartition('/')[2]}?{parts.query}")


def pages(party: Party, place: str) -> list[list[str]]:
    """The ids of each page to the end."""
    found, reply = [], party.get(place)
    while reply is not None:
        found.append(ids(reply))
        reply = following(party, reply)  # type: ignore[assignment]
    return found


def test_each_kind_of_parameter_finds_what_it_names(hosp: Party, patient: str) -> None:
    unique = uuid.uuid4().hex
    names = [{"family": f"Müller-{unique}", "given": ["Élodie"]}]
    identifier = [{"system": "urn:ids", "value": unique}]
    person = hosp.post(minimal("Patient", name=names, identifier=identifier, birthDate="1961-04-05")).body["id"]
    seen = hosp.post(observation(f"Patient/{person}", unique, effectiveDateTime="2026-03-04T10:00:00Z")).body["id"]
    form = hosp.post(minimal("Questionnaire", url=f"https://samen.example/{unique}", status="active")).body["id"]

    assert ids(hosp.get(f"Patient?identifier=urn:ids|{unique}")) == [person]
    assert ids(hosp.get(f"Patient?identifier=urn:others|{unique}")) == []
    assert ids(hosp.get(f"Patient?name=muller-{unique}")) == [person]
    assert ids(hosp.get(f"Patient?family:exact=Muller-{unique}")) == []
    assert ids(hosp.get(f"Patient?identifier={unique}&birthdate=1961-04")) == [person]
    assert ids(hosp.get(f"Patient?identifier={unique}&birthdate=lt1961-04-05")) == []
    assert ids(hosp.get(f"Observation?patient={person}")) == [seen]
    assert ids(hosp.get(f"Observation?subject=Patient/{person}&code=urn:codes|{unique}&date=ge2026-03")) == [seen]
    assert ids(hosp.get(f"Observation?patient={person}&status:not=final")) == []
    assert ids(hosp.get(f"Questionnaire?url=https://samen.example/{unique}")) == [form]
    assert ids(hosp.get(f"Patient?identifier={unique}&_lastUpdated=ge2026-01-01")) == [person]
    assert ids(hosp.get(f"Patient?identifier={unique}&_lastUpdated=lt2020-01-01")) == []


@pytest.mark.parametrize(
    "name", ["_id", "_lastUpdated", "general-practitioner:Organization._id", "_has:Observation:patient:_lastUpdated"]
)
def test_no_resource_lacks_what_the_server_gives_it(hosp: Party, name: str) -> None:
    unique = uuid.uuid4().hex
    doctor = {"reference": hosp.reference}
    person = hosp.post(minimal("Patient", identifier=[{"value": unique}], generalPractitioner=[doctor])).body["id"]
    hosp.post(observation(f"Patient/{person}"))

    for more in ("", "&_contained=both", "&_sort=family"):
        assert ids(hosp.get(f"Patient?identifier={unique}&{name}:missing=false{more}")) == [person]
        assert ids(hosp.get(f"Patient?identifier={unique}&{name}:missing=true{more}")) == []


def test_pages_hold_everything_once(hosp: Party, patient: str) -> None:
    made = [hosp.post(observation(patient)).body["id"] for _ in range(11)]

    found = pages(hosp, f"Observation?patient={patient}&_count=3")

    assert [len(page) for page in found] == [3, 3, 3, 2]
    assert sorted(id for page in found for id in page) == sorted(made)


@pytest.mark.parametrize(
    "sort", ["_id", "-_id", "_lastUpdated", "-_lastUpdated", "date", "-date", "status,-date", "code,-subject"]
)
def test_pages_lose_and_repeat_nothing_while_others_write(hosp: Party, patient: str, sort: str) -> None:
    made = {
        hosp.post(observation(patient, "ab"[n % 2], effectiveDateTime=f"2026-0{1 + n % 3}-01")).body["id"]
        for n in range(7)
    }
    reply: Reply | None = hosp.get(f"Observation?patient={patient}&_count=2&_sort={sort}")
    found: list[str] = []
    while reply is not None:
        found += ids(reply)
        hosp.post(observation(patient, "c", effectiveDateTime="2026-02-15"))
        reply = following(hosp, reply) if len(found) < 40 else None

    assert made <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("sort", ["", "&_sort=date", "&_sort=-date"])
def test_pages_hold_what_stays_though_others_change_and_delete(hosp: Party, patient: str, sort: str) -> None:
    made = [
        hosp.post(minimal("List", subject={"reference": patient}, date=f"2026-03-{1 + n % 4:02}")).body["id"]
        for n in range(9)
    ]
    reply: Reply | None = hosp.get(f"List?patient={patient}&_count=2{sort}")
    found: list[str] = []
    deleted: list[str] = []
    while reply is not None:
        found += ids(reply)
        unseen = [each for each in made if each not in found + deleted]
        assert hosp.change(f"List/{found[0]}", title=f"changed {len(found)}").status == 200
        if len(unseen) > 2:
            assert hosp.change(f"List/{unseen[0]}", title="changed before it was seen").status == 200
            assert hosp.ask("DELETE", f"List/{unseen[1]}").status == 204
            deleted.append(unseen[1])
        reply = following(hosp, reply)

    assert deleted
    assert sorted(found) == sorted(set(made) - set(deleted))


def test_sorted_as_asked(hosp: Party, patient: str) -> None:
    dates = ["2026-02-01", "2026-01-01", "2026-03-01"]
    made = {day: hosp.post(observation(patient, effectiveDateTime=day)).body["id"] for day in dates}

    up = ids(hosp.get(f"Observation?patient={patient}&_sort=date"))
    down = ids(hosp.get(f"Observation?patient={patient}&_sort=-date"))

    assert up == [made[day] for day in sorted(dates)] == down[::-1]


def test_included_resources_come_with_their_matches(hosp: Party, patient: str) -> None:
    seen = hosp.post(observation(patient)).body["id"]

    reply = hosp.get(f"Observation?_id={seen}&_include=Observation:subject")

    assert (ids(reply), ids(reply, "include")) == ([seen], [patient.split("/")[1]])


def test_the_total_is_counted_when_asked(hosp: Party, patient: str) -> None:
    for _ in range(3):
        hosp.post(observation(patient))

    asked = hosp.get(f"Observation?patient={patient}&_total=accurate&_count=1").body
    counted = hosp.get(f"Observation?patient={patient}&_summary=count").body

    assert asked["total"] == counted["total"] == 3
    assert "entry" not in counted
    assert "total" not in hosp.get(f"Observation?patient={patient}").body


def test_a_posted_search_is_the_same(hosp: Party, patient: str) -> None:
    seen = hosp.post(observation(patient)).body["id"]
    form = {"Content_Type": "application/x-www-form-urlencoded"}

    in_body = hosp.ask("POST", "Observation/_search", f"patient={quote(patient)}".encode(), **form)
    in_both = hosp.ask("POST", f"Observation/_search?patient={patient}", b"code=urn:codes|a", **form)

    assert ids(in_body) == ids(in_both) == [seen]


def test_the_self_link_says_what_was_asked(world: World, hosp: Party, patient: str) -> None:
    reply = hosp.get(f"Observation?patient={patient}&_count=5&_format=json")

    base = world.parts.services.base_url
    assert reply.body["link"] == [
        {"relation": "self", "url": f"{base}/Observation?patient={quote(patient, safe='')}&_count=5&_format=json"}
    ]


def test_an_unknown_parameter_is_refused_with_those_that_exist(hosp: Party) -> None:
    reply = hosp.get("Observation?colour=red&patient=x&shape=round")

    assert reply.status == 400
    told = [issue["diagnostics"] for issue in reply.issues]
    assert ["'colour'" in told[0], "'shape'" in told[1], "code-value" in told[0] or "code," in told[0]] == [True] * 3


def test_a_lenient_search_leaves_out_what_it_does_not_know_and_says_so(hosp: Party, patient: str) -> None:
    seen = hosp.post(observation(patient)).body["id"]

    reply = hosp.get(f"Observation?patient={patient}&colour=red", Prefer="handling=lenient")

    assert ids(reply) == [seen]
    [told] = [e["resource"] for e in reply.body["entry"] if e["search"]["mode"] == "outcome"]
    assert (told["issue"][0]["severity"], "colour" in told["issue"][0]["diagnostics"]) == ("warning", True)
    assert "colour" not in reply.body["link"][0]["url"]


@pytest.mark.parametrize(
    "asked",
    [
        "patient=Patient/%ZZ",
        "patient=%FF",
        "patient=%",
        "patient=,",
        "code=a,,b",
        "code=a\\",
        "date=yesterday",
        "date=2026-13",
        "_count=-1",
        "_count=many",
        "_count=1&_count=2",
        "_sort=colour",
        "_include=Observation:colour",
        "_include=Patient:link",
        "_cursor=forged",
        "_total=some",
        "_summary=short",
        "_summary=text&_include=Observation:subject",
        "_summary=true&_elements=code",
        "_elements=colour",
        "_elements=,",
        "_contained=perhaps",
        "_filter=code",
        "_filter=code is 1",
        "_filter=colour eq 1",
        "_filter=(code eq 1",
        "subject.colour=x",
        "colour.name=x",
        "subject:Task.status=x",
        "subject:Colour.status=x",
        "code.name=x",
        "focus.status=x",
        "subject.=x",
        ".".join(["part-of"] * 9 + ["_id"]) + "=x",
        "_list=$current-problems",
        "_list=,",
        "code:below=a",
        "code=%00",
        "na%00me=x",
        "_revinclude=Provenance:colour",
        "_revinclude=Colour:target",
        "_revinclude=Task:owner",
        "_include=Patient:*",
        "_include:iterate=Colour:*",
        "_has:Observation:patient:code=1",
        "_has:Observation:derived-from:colour=1",
        "_has:Colour:patient:code=1",
        "_has:Observation=x",
        "_has=1",
        "&".join(["code=a"] * 1001),
    ],
)
def test_what_cannot_be_asked_is_refused(hosp: Party, asked: str) -> None:
    reply = hosp.get(f"Observation?{asked}")

    assert reply.status == 400, reply.body
    assert reply.issues[0]["diagnostics"]


def test_a_page_belongs_to_its_search_and_its_kind(hosp: Party, patient: str) -> None:
    for _ in range(2):
        hosp.post(observation(patient))
    urls = [link["url"] for link in hosp.get(f"Observation?patient={patient}&_count=1").body["link"]]
    cursor = urls[1].rpartition("_cursor=")[2]

    assert hosp.get(f"Observation?patient=Patient/other&_count=1&_cursor={cursor}").status == 400
    assert hosp.get(f"Condition?patient={patient}&_count=1&_cursor={cursor}").status == 400


def test_history_is_paged_newest_first(hosp: Party, patient: str) -> None:
    for active in (True, False, True, False):
        assert hosp.change(patient, active=active).status == 200

    first = hosp.get(f"{patient}/_history?_count=2")
    parts = urlsplit(next(link["url"] for link in first.body["link"] if link["relation"] == "next"))
    second = hosp.get(f"{patient}/_history?{parts.query}")

    assert [each["meta"]["versionId"] for each in first.entries + second.entries] == ["5", "4", "3", "2"]
    assert [entry["request"]["method"] for entry in first.body["entry"]] == ["PUT", "PUT"]


@pytest.mark.parametrize(
    "asked", ["_count=0", "_count=-1", "_count=x", "_before=" + "9" * 30, "_since=yesterday", "x=1"]
)
def test_a_history_refuses_what_it_does_not_have(hosp: Party, patient: str, asked: str) -> None:
    assert hosp.get(f"{patient}/_history?{asked}").status == 400


def test_words_are_searched_where_they_are_kept_and_refused_elsewhere(hosp: Party, patient: str) -> None:
    word = f"w{uuid.uuid4().hex}"
    about = {"references": {"Patient": patient}, "subject": {"reference": patient}}
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{word}</p></div>'
    narrated = hosp.post(minimal("Procedure", **about, text={"status": "generated", "div": div})).body["id"]
    noted = hosp.post(minimal("Procedure", **about, note=[{"text": f"see {word}"}])).body["id"]

    assert ids(hosp.get(f"Procedure?_text={word[:30]}")) == [narrated]
    assert sorted(ids(hosp.get(f"Procedure?_content={word}"))) == sorted([narrated, noted])
    assert ids(hosp.get(f"Procedure?_content=see {word}&patient={patient}&_sort=-date")) == [noted]
    refused = hosp.get(f"Observation?_content={word}")
    assert (refused.status, "SAMEN_FULL_TEXT" in refused.issues[0]["diagnostics"]) == (400, True)
    assert ids(hosp.get(f"Procedure?_text=(nothing OR {word}) NOT other")) == [narrated]
    assert ids(hosp.get(f"Procedure?_content={word} NOT see")) == [narrated]


def test_phrases_are_found_where_their_words_stand_in_a_row(hosp: Party, patient: str, world: World) -> None:
    word = f"w{uuid.uuid4().hex}"
    about = {"references": {"Patient": patient}, "subject": {"reference": patient}}

    def told(text: str, **elements: Any) -> str:
        div = f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'
        narrative = {"text": {"status": "generated", "div": div}, **elements}
        return str(hosp.post(minimal("Procedure", **about, **narrative)).body["id"])

    row = told(f"<p>The <b>{word}</b>, ramps and all</p>")
    turned = told(f"<p>Ramps and {word}</p>")
    apart = told(f"<p>{word}</p><p>ramp</p>")
    noted = told("<p>none</p>", note=[{"text": f"{word.upper()} ramp"}])

    assert ids(hosp.get(f'Procedure?_text="{word} ramp"')) == [row]
    assert sorted(ids(hosp.get(f'Procedure?_content="{word} ramp"'))) == sorted([row, noted])
    assert ids(hosp.get(f'Procedure?_text={word} NOT "{word} ramp" NOT "and {word}"')) == [apart]
    either = hosp.get(f'Procedure?_text="{word} ramps and all","ramps and {word}"&patient={patient}&_total=accurate')
    assert (sorted(ids(either)), either.body["total"]) == (sorted([row, turned]), 2)
    assert ids(hosp.get(f'Procedure?_text="{word} ramp"&_filter=status ne completed and not (_id eq {row})')) == []
    assert ids(world.party().get(f'Procedure?_text="{word} ramp"')) == []
    refused = hosp.get(f'Procedure?_text="{word} ramp')
    assert (refused.status, "a quote is not closed" in refused.issues[0]["diagnostics"]) == (400, True)


def test_words_are_a_condition_of_a_filter_like_any_other(hosp: Party, patient: str, world: World) -> None:
    word = f"w{uuid.uuid4().hex}"
    about = {"references": {"Patient": patient}, "subject": {"reference": patient}}
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{word} ramp</p></div>'
    narrated = hosp.post(minimal("Procedure", **about, text={"status": "generated", "div": div})).body["id"]
    noted = hosp.post(minimal("Procedure", **about, note=[{"text": f"ramp, {word}"}])).body["id"]
    follows = hosp.post(minimal("Procedure", **about, partOf=[{"reference": f"Procedure/{noted}"}])).body["id"]

    def found(expression: str, party: Party = hosp) -> set[str]:
        return set(ids(party.get(f"Procedure?patient={patient}&_filter={quote(expression)}")))

    assert found(f"_text co {word}") == {narrated}
    assert found(f'_content co "ramp {word[:30]}"') == {narrated, noted}
    assert found(f'_content co "\\"{word} ramp\\""') == {narrated}
    assert found(f"_content co {word} and not (_text co {word})") == {noted}
    assert found(f"_text co {word} or part-of:Procedure._content co {word}") == {narrated, follows}
    assert found(f"part-of._text co {word}") == set()
    assert found(f"part-of:Procedure[_content co {word}].status pr true") == {follows}
    assert found(f"_text co {word} or part-of:Procedure._content co {word}", world.party()) == set()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("Procedure?_filter=_text eq ramp", "at character 1: '_text' asks for words and has no 'eq'; it has co"),
        ("Procedure?_filter=_content pr true", "at character 1: '_content' asks for words and has no 'pr'"),
        ('Procedure?_filter=_text co "ramp OR"', "a word should stand on each side"),
        (
            "Observation?_filter=status eq final or _content co ramp",
            "at character 20: '_content': this server keeps no",
        ),
        ("?_type=Procedure,Observation&_filter=_text co ramp", "keeps no words of Observation"),
        ("Procedure?_filter=_text.status eq ramp", "no search parameter '_text'"),
        ("Procedure?_filter=_text[status eq done].status eq ramp", "no search parameter '_text'"),
    ],
)
def test_a_filter_refuses_words_that_are_not_kept_or_asked_otherwise(hosp: Party, asked: str, told: str) -> None:
    reply = hosp.get(asked)
    assert reply.status == 400, reply.body
    assert told in reply.issues[0]["diagnostics"]


def test_words_that_are_hidden_find_nothing(hosp: Party, patient: str, world: World) -> None:
    word = f"w{uuid.uuid4().hex}"
    about = {"references": {"Patient": patient}, "subject": {"reference": patient}}
    assert hosp.post(minimal("Procedure", **about, note=[{"text": word}])).status == 201

    other = world.party()

    assert ids(hosp.get(f"Procedure?_content={word}&_total=accurate")) != []
    hidden = other.get(f"Procedure?_content={word}&_total=accurate")
    assert (ids(hidden), hidden.body["total"]) == ([], 0)
