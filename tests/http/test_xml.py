"""XML at the door: what can be said in JSON can be said in XML, both ways, and refusals come in it too."""

import subprocess
import sys
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.access.types import TYPES
from fhir_server.fhir.json import Resource
from fhir_server.fhir.json import decode as decode_json
from fhir_server.rest.xml.decode import decode
from fhir_server.rest.xml.encode import encode
from tests.http.resources import imported
from tests.minimal import minimal
from tests.world import Party, Reply, World

XML = "application/fhir+xml"
JSON = "application/fhir+json"
XMLNS = 'xmlns="http://hl7.org/fhir"'
DIV = "<div xmlns=\"http://www.w3.org/1999/xhtml\">Zwart &amp; <b class='x'>wit</b><br/> &#160;</div>"
COMPONENTS = [
    {"code": {"text": "a\n\tb"}, "valueQuantity": {"value": decode_json(b"1.00")}},
    {"code": {"text": '<&"> 🌷'}, "valueQuantity": {"value": decode_json(b"0.000001000")}},
    {"code": {"_text": {"extension": [{"url": "https://samen.example/x", "valueBoolean": False}]}}, "valueInteger": 0},
]


@pytest.fixture
def place(hosp: Party) -> str:
    """A Patient of the hospital."""
    made = hosp.post(minimal("Patient", name=[{"family": "Peeters", "given": ["An", "Mia"]}]))
    return f"Patient/{made.body['id']}"


def in_xml(reply: Reply) -> Resource:
    """The resource of an answer that must be XML."""
    assert reply.headers["Content-Type"] == "application/fhir+xml; charset=utf-8"
    ElementTree.fromstring(reply.raw)
    return decode(reply.raw)


def send(party: Party, method: str, place: str, resource: Resource, **headers: str) -> Reply:
    """Send a resource in XML, and ask for XML."""
    return party.ask(method, place, encode(resource), Content_Type=XML, Accept=XML, **headers)


@pytest.mark.parametrize("type_name", sorted(TYPES.keys() - {"AuditEvent"}))
def test_every_type_goes_in_and_comes_out(world: World, type_name: str) -> None:
    made = send(world.operator, "POST", type_name, imported(type_name))
    assert made.status == 201, made.raw
    place = f"{type_name}/{in_xml(made)['id']}"

    assert in_xml(made) == world.operator.read(place) == in_xml(world.operator.get(place, Accept=XML))


def test_the_audit_is_read_in_xml(world: World, hosp: Party) -> None:
    case = world.case(hosp, world.party())
    [event] = world.custodian.get(f"AuditEvent?patient={case.patient}&_count=1").entries

    assert in_xml(world.custodian.get(f"AuditEvent/{event['id']}", Accept=XML)) == event


def test_digits_characters_siblings_and_narrative_arrive_whole(hosp: Party, place: str) -> None:
    told = minimal("Observation", subject={"reference": place}, component=COMPONENTS, text=None)
    told["text"] = {"status": "generated", "div": DIV}

    made = send(hosp, "POST", "Observation", told)
    assert made.status == 201, made.raw
    stored = hosp.get(f"Observation/{in_xml(made)['id']}")

    assert stored.body["component"] == COMPONENTS
    assert stored.body["text"]["div"] == DIV
    assert b'"value":1.00' in stored.raw
    assert b'"value":0.000001000' in stored.raw
    assert DIV.encode() in made.raw
    assert b'<value value="1.00"/>' in made.raw


def test_what_was_read_is_written_back_with_a_change(hosp: Party, place: str) -> None:
    read = in_xml(hosp.get(place, Accept=XML))

    changed = send(hosp, "PUT", place, {**read, "gender": "female"}, If_Match='W/"1"')

    assert changed.status == 200, changed.raw
    assert in_xml(changed)["gender"] == "female"
    assert hosp.read(place)["meta"]["versionId"] == "2"
    assert send(hosp, "PUT", place, read, If_Match='W/"1"').status == 412


def test_the_same_content_in_xml_makes_no_new_version(hosp: Party, place: str) -> None:
    same = send(hosp, "PUT", place, in_xml(hosp.get(place, Accept=XML)))

    assert same.status == 200, same.raw
    assert hosp.read(place)["meta"]["versionId"] == "1"


def test_bundles_are_sent_and_answered_in_xml(hosp: Party) -> None:
    patient = minimal("Patient", active=True)
    condition = minimal("Condition", subject={"reference": "urn:uuid:3b2b5c8e-0d0e-4d5c-9d6a-0c1a2b3c4d5e"})
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": condition["subject"]["reference"],
                "resource": patient,
                "request": {"method": "POST", "url": "Patient"},
            },
            {"resource": condition, "request": {"method": "POST", "url": "Condition"}},
        ],
    }

    done = send(hosp, "POST", "", bundle)

    assert done.status == 200, done.raw
    answered = in_xml(done)
    assert [entry["response"]["status"] for entry in answered["entry"]] == ["201 Created", "201 Created"]
    found = in_xml(hosp.get("Condition?_include=Condition:subject", Accept=XML))
    assert found == hosp.get("Condition?_include=Condition:subject").body
    assert [entry["resource"]["resourceType"] for entry in found["entry"]] == ["Condition", "Patient"]


MISREAD = {
    "in the resource": ("<entry>{}<resource><Patient><colour value='red'/></Patient></resource>{}</entry>", "422"),
    "text in it": ("<entry>{}<resource><Patient>red</Patient></resource>{}</entry>", "422"),
    "no resource in it": ("<entry>{}<resource></resource>{}</entry>", "422"),
    "of no type": ("<entry>{}<resource><Colour/></resource>{}</entry>", "422"),
    "around it": ("<entry>{}<resource><Patient/></resource>{}<colour value='red'/></entry>", "400"),
    "an attribute": ("<entry colour='red'>{}<resource><Patient/></resource>{}</entry>", "400"),
    "too many": ("<entry>{}<resource><Patient>" + "<x/>" * 60 + "</Patient></resource>{}</entry>", "422"),
}


@pytest.mark.parametrize("wrong", MISREAD)
@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_what_r4_does_not_have_refuses_its_entry_of_a_batch_and_all_of_a_transaction(
    hosp: Party, place: str, kind: str, wrong: str
) -> None:
    misread, status = MISREAD[wrong]
    id = place[8:]
    right = f"<entry><resource><Patient><id value='{id}'/><active value='false'/></Patient></resource><request>"
    right += f"<method value='PUT'/><url value='{place}'/></request></entry>"
    post = "<request><method value='POST'/><url value='Patient'/></request>"
    read = f"<entry><request><method value='GET'/><url value='{place}'/></request></entry>"
    body = f"<Bundle {XMLNS}><type value='{kind}'/>{misread.format('', post)}{right}{read}</Bundle>"

    reply = hosp.ask("POST", "", body.encode(), Content_Type=XML)

    if kind == "transaction":
        assert reply.status == 422, reply.body
        assert "active" not in hosp.read(place)
        return
    assert reply.status == 200, reply.body
    assert [entry["response"]["status"][:3] for entry in reply.body["entry"]] == [status, "200", "200"]
    issues = reply.body["entry"][0]["response"]["outcome"]["issue"]
    assert 0 < len(issues) <= 50
    assert all(issue["expression"][0].startswith("Bundle.entry[0]") for issue in issues), issues
    assert hosp.read(place)["active"] is False


def test_what_r4_does_not_have_in_a_batch_outside_of_its_entries_refuses_it(hosp: Party) -> None:
    body = f"<Bundle {XMLNS}><type value='batch'/><colour value='red'/></Bundle>"

    assert hosp.ask("POST", "", body.encode(), Content_Type=XML).paths == {"Bundle"}


@pytest.mark.parametrize("asked", ["", "/_history", "/_history/1"])
def test_histories_and_versions_come_in_xml(hosp: Party, place: str, asked: str) -> None:
    assert in_xml(hosp.get(place + asked, Accept=XML)) == hosp.get(place + asked).body


def test_a_search_that_is_posted_is_answered_in_xml(hosp: Party, place: str) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    answered = hosp.ask("POST", "Patient/_search", f"_id={place[8:]}".encode(), Accept=XML, **form)

    assert [entry["resource"]["id"] for entry in in_xml(answered)["entry"]] == [place[8:]]

    body = f"_format=xml&_pretty=true&_id={place[8:]}".encode()
    in_form = hosp.ask("POST", "Patient/_search", body, Accept=JSON, **form)
    assert [entry["resource"]["id"] for entry in in_xml(in_form)["entry"]] == [place[8:]]
    assert b"\n  <" in in_form.raw
    assert hosp.ask("POST", "Patient/_search", b"_format=ttl", **form).status == 406


def test_the_statement_comes_in_xml_and_declares_it(hosp: Party) -> None:
    statement = in_xml(hosp.get("metadata", Accept=XML))

    assert {JSON, XML, "json", "xml"} == set(statement["format"])
    assert [resource["type"] for resource in statement["rest"][0]["resource"]] == sorted(TYPES)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (XML, XML),
        ("application/xml", "application/xml"),
        ("text/xml;charset=utf-8", "text/xml"),
        ("APPLICATION/FHIR+XML; fhirVersion=4.0", XML),
        ("text/turtle, application/xml;q=0.1", "application/xml"),
        (f"{JSON};q=0.5, {XML}", XML),
        (f"{XML};q=0.5, {JSON}", JSON),
        (f"{XML}, {JSON}", XML),
        (f"{JSON}, {XML}", JSON),
        (f"{XML}, */*", XML),
        (f"{XML};q=0.2, */*;q=0.1", XML),
        (f"{JSON};q=0, */*", XML),
        ("*/*", JSON),
        ("application/*;q=0.3", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        (f"{XML};q=nan", XML),
        ("", JSON),
    ],
)
def test_the_answer_is_in_the_format_that_is_liked_best(hosp: Party, place: str, accept: str, expected: str) -> None:
    reply = hosp.get(place, Accept=accept)

    assert (reply.status, reply.headers["Content-Type"]) == (200, f"{expected}; charset=utf-8")
    assert "Accept" in reply.headers["Vary"].split(", ")


@pytest.mark.parametrize("accept", [f"{XML};q=0", "text/plain", "application/xhtml+xml", "*/*;q=0.0", ",", "text/*"])
def test_nothing_is_sent_to_whom_accepts_nothing_of_it(hosp: Party, place: str, accept: str) -> None:
    refused = hosp.get(place, Accept=accept)

    assert (refused.status, refused.rules) == (406, {"format"})


@pytest.mark.parametrize(
    "asked", ["xml", "text/xml", "application/xml", "application/fhir%2Bxml", "application/fhir+xml"]
)
def test_format_counts_before_accept(hosp: Party, place: str, asked: str) -> None:
    assert in_xml(hosp.get(f"{place}?_format={asked}", Accept=JSON))["id"] == place[8:]
    assert hosp.get(f"{place}?_format=json", Accept=XML).headers["Content-Type"].startswith(JSON)


def test_pretty_is_the_same_in_lines(hosp: Party, place: str) -> None:
    plain, pretty = hosp.get(f"{place}?_format=xml"), hosp.get(f"{place}?_format=xml&_pretty=true")

    assert in_xml(pretty) == in_xml(plain)
    assert pretty.raw.count(b"\n  <") > 3
    assert plain.raw.count(b"\n") == 0


def test_head_and_preferences_hold_in_xml(hosp: Party, place: str) -> None:
    got, head = hosp.get(place, Accept=XML), hosp.ask("HEAD", place, Accept=XML)
    assert (head.status, head.raw) == (200, b"")
    for name in ("ETag", "Last-Modified", "Content-Type", "Content-Length"):
        assert head.headers[name] == got.headers[name]
    assert hosp.get(place, Accept=XML, If_None_Match='W/"1"').status == 304

    told = send(hosp, "POST", "Patient", minimal("Patient"), Prefer="return=OperationOutcome")
    assert in_xml(told)["issue"][0]["severity"] == "information"
    assert send(hosp, "POST", "Patient", minimal("Patient"), Prefer="return=minimal").raw == b""


def test_refusals_come_in_xml(world: World, hosp: Party, place: str) -> None:
    refusals = [
        (401, world.nobody().get(place, Accept=XML)),
        (404, hosp.get("Patient/nobody", Accept=XML)),
        (404, hosp.get("Robot", Accept=XML)),
        (405, hosp.ask("DELETE", "metadata", Accept=XML)),
        (400, hosp.get("Patient?colour=red&_format=xml")),
        (400, hosp.get("Patient?_format=xml&name=%FF", Accept=XML)),
        (412, hosp.put(hosp.read(place), If_Match='W/"7"', Accept=XML)),
        (415, hosp.ask("POST", "Patient", b"x", Content_Type="text/turtle", Accept=XML)),
        (422, hosp.ask("POST", "Patient", {"resourceType": "Patient", "colour": "red"}, Accept=XML)),
    ]
    # Broken percent-encoding hides what was asked for: the refusal is in JSON.
    for status, reply in refusals:
        assert reply.status == status
        if b"encoding" not in reply.raw:
            outcome = in_xml(reply)
            assert outcome["resourceType"] == "OperationOutcome"
            assert outcome["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("body", "status", "rule"),
    [
        (f'<!DOCTYPE P [<!ENTITY a "ha">]><Patient {XMLNS}><language value="&a;"/></Patient>', 400, "xml"),
        (f'<!DOCTYPE P [<!ENTITY a SYSTEM "file:///etc/passwd">]><Patient {XMLNS}>&a;</Patient>', 400, "xml"),
        (f"<?xml-stylesheet href='x'?><Patient {XMLNS}/>", 400, "xml"),
        ("<Patient/>", 400, "xml"),
        (f"<Patient {XMLNS}>", 400, "xml"),
        ("", 400, "xml"),
        ("   ", 400, "xml"),
        ('{"resourceType": "Patient"}', 400, "xml"),
        (f"<Patient {XMLNS}>{'<extension>' * 1000}", 400, "xml"),
        (f"<Patient {XMLNS}><colour value='red'/></Patient>", 422, None),
        (f"<Patient {XMLNS}><active value='yes'/></Patient>", 422, None),
        (f"<Patient {XMLNS}><active value=''/></Patient>", 422, None),
        (f"<Patient {XMLNS}><name/></Patient>", 422, None),
        (f"<Patient {XMLNS}>words</Patient>", 422, None),
        (f"<Robot {XMLNS}/>", 422, None),
        (f"<Practitioner {XMLNS}/>", 422, None),
    ],
)
def test_hostile_and_mistaken_xml_is_refused(hosp: Party, body: str, status: int, rule: str | None) -> None:
    refused = hosp.ask("POST", "Patient", body.encode(), Content_Type=XML)

    assert refused.status == status, refused.body
    assert rule is None or refused.rules == {rule}
    assert hosp.get("Patient?_summary=count").body["total"] == 0


def test_an_error_in_xml_has_the_path_and_the_words_that_it_has_in_json(hosp: Party) -> None:
    wrong = minimal("Patient", birthDate="yesterday", gender="?")

    in_json = hosp.post(wrong).issues
    told = in_xml(send(hosp, "POST", "Patient", wrong))["issue"]

    assert sorted(issue["expression"] for issue in told) == [["Patient.birthDate"], ["Patient.gender"]]
    assert all(issue in in_json for issue in told)


@pytest.mark.parametrize("content_type", [XML, "application/xml", "text/xml", "application/fhir+xml; charset=UTF-8"])
def test_xml_is_read_under_its_names(hosp: Party, content_type: str) -> None:
    body = encode(minimal("Patient"))

    assert hosp.ask("POST", "Patient", body, Content_Type=content_type).status == 201
    assert (
        hosp.ask("POST", "Patient", body, Content_Type=f"{content_type.partition(';')[0]}; charset=latin1").status
        == 415
    )


def test_a_body_over_the_limit_is_refused(world: World, hosp: Party) -> None:
    limit = world.parts.settings.max_body
    body = f'<Patient {XMLNS}><language value="'.encode() + b"a" * limit + b'"/></Patient>'

    assert hosp.ask("POST", "Patient", body, Content_Type=XML).status == 413


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    body=st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: f"<Patient {XMLNS}>{text}".encode("utf-8", "replace"))
)
def test_any_bytes_are_refused(hosp: Party, body: bytes) -> None:
    assert 400 <= hosp.ask("POST", "Patient", body, Content_Type=XML).status < 500


def test_who_speaks_json_never_loads_the_codec() -> None:
    question = "import sys, fhir_server.app; print([name for name in sys.modules if 'rest.xml' in name])"

    asked = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, timeout=60, check=True)

    assert asked.stdout.strip() == "[]"
