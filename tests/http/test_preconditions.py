"""If-Match, If-None-Match, If-Modified-Since, If-None-Exist: every form that HTTP and R4 allow, and what is refused."""

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from fhir_server.fhir.actor import IMPORT, OPERATE
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource
from tests.minimal import minimal
from tests.world import EVERYTHING, Party, World

EARLY, LATE = "Mon, 01 Jan 2001 00:00:00 GMT", "Mon, 01 Jan 2035 00:00:00 GMT"


@contextmanager
def clock_at(world: World, moment: datetime) -> Iterator[None]:
    """The server's clock stands still."""
    services = world.parts.services
    object.__setattr__(services, "clock", lambda: moment)
    try:
        yield
    finally:
        object.__setattr__(services, "clock", now)


def past_second() -> datetime:
    """A second that is long over: what is told ahead of time would stay the newest for other tests of this database."""
    return now().replace(microsecond=0) - timedelta(seconds=10)


def identified(type_name: str, value: str, **more: object) -> Resource:
    return minimal(type_name, identifier=[{"system": "urn:pre", "value": value}], **more)


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"])
def test_a_date_is_understood_in_each_of_the_three_forms_of_http(hosp: Party, form: str) -> None:
    made = hosp.post(minimal("Patient"))
    place = f"Patient/{made.body['id']}"
    written = parsedate_to_datetime(made.headers["Last-Modified"])

    at_once = hosp.get(place, If_Modified_Since=written.strftime(form))
    before = hosp.get(place, If_Modified_Since=(written - timedelta(seconds=1)).strftime(form))

    assert (at_once.status, at_once.raw, before.status) == (304, b"", 200)


def test_what_is_no_date_of_http_asks_nothing(hosp: Party) -> None:
    place = f"Patient/{hosp.post(minimal('Patient')).body['id']}"

    for stated in ("yesterday", datetime.now(UTC).isoformat(), "2999", f"{LATE},{EARLY}", f"{EARLY}, {LATE}"):
        assert hosp.get(place, If_Modified_Since=stated).status == 200, stated
        assert hosp.change(place, active=True).status == 200
        changed = hosp.put({**hosp.read(place), "gender": "female"}, If_Unmodified_Since=stated)
        assert changed.status == 200, stated


def test_a_version_is_known_by_any_etag_of_a_list(hosp: Party) -> None:
    place = f"Patient/{hosp.post(minimal('Patient')).body['id']}"

    for stated in ('W/"1"', '"1"', '"7", W/"1"', "*"):
        for method in ("GET", "HEAD"):
            reply = hosp.ask(method, place, If_None_Match=stated)
            assert (reply.status, reply.headers["ETag"]) == (304, 'W/"1"'), stated
    for stated in ('"x"', 'W/"2"', '"11"', '"x,1"', '"1,x"', '"x,1,y", "2"', '"1', 'x, "1"'):
        assert hosp.get(place, If_None_Match=stated).status == 200, stated


def test_a_past_version_is_not_sent_again_to_who_has_it(hosp: Party) -> None:
    made = hosp.post(minimal("Patient"))
    place = f"Patient/{made.body['id']}"
    assert hosp.change(place, active=True).status == 200

    for method in ("GET", "HEAD"):
        by_version = hosp.ask(method, f"{place}/_history/1", If_None_Match='W/"1"')
        by_time = hosp.ask(method, f"{place}/_history/1", If_Modified_Since=made.headers["Last-Modified"])
        for reply in (by_version, by_time):
            assert (reply.status, reply.raw, reply.headers["ETag"]) == (304, b"", 'W/"1"')
        assert hosp.ask(method, f"{place}/_history/1", If_None_Match='W/"2"').status == 200
        assert hosp.ask(method, f"{place}/_history/2", If_None_Match='W/"1"').status == 200


@pytest.mark.parametrize("stated", ['W/"1"', '"1"', "1", '"9", W/"1"', "*", ' W/"1" ', 'W/"1",', ', ,"a,b" , "1"'])
def test_a_change_may_name_its_version_in_every_form(hosp: Party, stated: str) -> None:
    patient = hosp.post(minimal("Patient")).body

    assert hosp.put({**patient, "active": True}, If_Match=stated).status == 200


@pytest.mark.parametrize(
    ("stated", "status", "rule"),
    [
        ('W/"2"', 412, "version-stale"),
        ('"2", "3"', 412, "version-stale"),
        ('W/"99999999999"', 412, "version-stale"),
        ('"abc"', 412, "version-stale"),
        ('"a,1,b"', 412, "version-stale"),
        ('"1,"', 412, "version-stale"),
        ("abc", 400, None),
        ('"1', 400, None),
        ('"1" "2"', 400, None),
        ('a,"1"', 400, None),
        ('w/"1"', 400, None),
        (" , ", 400, None),
        ("", 400, None),
    ],
)
def test_any_other_version_refuses_the_change(hosp: Party, stated: str, status: int, rule: str | None) -> None:
    patient = hosp.post(minimal("Patient")).body
    patch = [{"op": "add", "path": "/active", "value": True}]

    changed = hosp.put({**patient, "active": True}, If_Match=stated)
    patched = hosp.ask(
        "PATCH", f"Patient/{patient['id']}", patch, Content_Type="application/json-patch+json", If_Match=stated
    )

    assert (changed.status, patched.status) == (status, status)
    assert changed.rules == patched.rules == ({rule} if rule else set())
    assert hosp.read(f"Patient/{patient['id']}")["meta"]["versionId"] == "1"


def test_any_version_is_no_version_for_what_is_changed_on_one(world: World, hosp: Party) -> None:
    case = world.case(hosp, world.party())
    goal = hosp.post(
        minimal("Goal", subject={"reference": case.patient}, description={"text": "walk"}, lifecycleStatus="active")
    )
    assert goal.status == 201, goal.body
    unsaid = {**goal.body, "meta": {"tag": [{"system": "urn:pre", "code": "a"}]}}

    assert hosp.put(unsaid, If_Match="*").rules == {"version-required"}
    assert hosp.put(unsaid, If_Match=goal.headers["ETag"]).status == 200


def test_what_was_deleted_has_no_version_that_any_would_match(hosp: Party) -> None:
    made = hosp.post(minimal("List")).body
    hosp.ask("DELETE", f"List/{made['id']}")
    again = {name: value for name, value in made.items() if name != "meta"}

    assert hosp.put(again, If_Match="*").rules == {"version-stale"}
    assert hosp.put(again, If_Match='"1"').rules == {"version-stale"}
    assert hosp.put(again, If_None_Match="*").status == 201


def test_a_write_that_must_be_the_first_changes_nothing(hosp: Party) -> None:
    made = hosp.post(minimal("List")).body
    place, patch = f"List/{made['id']}", [{"op": "add", "path": "/title", "value": "b"}]
    as_patch = {"Content_Type": "application/json-patch+json"}

    for stated in ("*", 'W/"1"'):
        for reply in (
            hosp.put({**made, "title": "b"}, If_None_Match=stated),
            hosp.ask("PATCH", place, patch, If_None_Match=stated, **as_patch),
            hosp.ask("DELETE", place, If_None_Match=stated),
            hosp.transact(
                {
                    "resourceType": "Bundle",
                    "type": "transaction",
                    "entry": [{"resource": made, "request": {"method": "PUT", "url": place, "ifNoneMatch": stated}}],
                }
            ),
        ):
            assert (reply.status, reply.rules) == (412, {"version-exists"}), stated
    for stated in ("", '1"', "abc", '*, "7"'):
        assert hosp.put({**made, "title": "b"}, If_None_Match=stated).status == 400, stated
    assert hosp.put({**made, "title": "b"}, If_None_Match='W/"7", "x,1"').status == 200


def test_the_operator_creates_under_an_id_that_must_be_free(world: World) -> None:
    flag = {**minimal("Patient"), "id": f"free-{uuid.uuid4().hex}"}

    assert world.operator.put(flag, If_None_Match="*").status == 201
    assert world.operator.put({**flag, "active": True}, If_None_Match="*").status == 412


def test_a_condition_may_begin_with_its_own_type_here_and_with_no_other(world: World, hosp: Party) -> None:
    value = uuid.uuid4().hex
    made = hosp.post(identified("Group", value))

    for place in ("", "?", "Group?", "/Group?", f"{world.parts.services.base_url}/Group?"):
        stated = f"{place}identifier=urn:pre|{value}"
        assert hosp.post(identified("Group", value), If_None_Exist=stated).body["id"] == made.body["id"], stated
    elsewhere = ("https://other.example/Group?", "//other.example/Group?", "Group/Group?")
    for place in ("Patient?", f"{world.parts.services.base_url}/Patient?", *elsewhere):
        stated = f"{place}identifier=urn:pre|{value}"
        refused = hosp.post(identified("Group", value), If_None_Exist=stated)
        assert (refused.status, refused.rules) == (400, {"condition"}), stated


def test_what_says_how_to_answer_is_no_part_of_a_condition(world: World, hosp: Party) -> None:
    """As HAPI's client writes it, which adds to a condition what it adds to every address."""
    value, base = uuid.uuid4().hex, world.parts.services.base_url
    form = "_format=json&_pretty=true&_summary=true"

    first = hosp.post(identified("Group", value), If_None_Exist=f"{base}/Group?{form}&identifier=urn%3Apre%7C{value}")
    second = hosp.post(identified("Group", value), If_None_Exist=f"identifier=urn:pre|{value}&_format=xml")

    assert (first.status, second.status) == (201, 200)
    assert first.body["id"] == second.body["id"]
    refused = hosp.post(identified("Group", value), If_None_Exist=f"{base}/Group?{form}")
    assert (refused.status, refused.rules) == (400, {"if-none-exist"})


@pytest.mark.parametrize("second", ["identifier={}", "?identifier={}", "Group?identifier={}", " code:not={}", "_id={}"])
def test_two_conditions_of_a_create_are_refused(world: World, hosp: Party, second: str) -> None:
    """Two headers of one name come as one, with a comma between."""
    value = uuid.uuid4().hex
    made = hosp.post(identified("Group", value)).body["id"]

    for base in ("", f"{world.parts.services.base_url}/Group?"):
        stated = f"{base}identifier=urn:pre|{value},{second.format('urn:pre|other')}"
        refused = hosp.post(identified("Group", value), If_None_Exist=stated)
        assert (refused.status, refused.rules) == (400, {"if-none-exist"}), stated
        assert "is stated once" in refused.issues[0]["diagnostics"]
    assert [each["id"] for each in hosp.get(f"Group?identifier=urn:pre|{value}").entries] == [made]


@pytest.mark.parametrize(
    "other", ["urn:pre|b", "c2Vjb25k=,dGhpcmQ=", "https://x.example/ids?identifier=1", "colour=red"]
)
def test_alternatives_in_a_condition_are_no_second_condition(hosp: Party, other: str) -> None:
    value = uuid.uuid4().hex
    made = hosp.post(identified("Group", value)).body["id"]

    reply = hosp.post(identified("Group", value), If_None_Exist=f"identifier=urn:pre|{value},{other}")
    escaped = hosp.post(identified("Group", value), If_None_Exist=f"identifier={value}\\,identifier=x")

    assert (reply.status, reply.body["id"], escaped.status) == (200, made, 201)


def test_a_question_mark_in_a_value_begins_no_condition(hosp: Party) -> None:
    value = f"{uuid.uuid4().hex}?identifier=other"
    hosp.post(identified("Group", "other"))

    first = hosp.post(identified("Group", value), If_None_Exist=f"identifier=urn:pre|{value}")
    second = hosp.post(identified("Group", value), If_None_Exist=f"identifier=urn:pre|{value}")

    assert (first.status, second.status) == (201, 200)
    assert first.body["id"] == second.body["id"]


def test_an_update_whose_condition_matches_nothing_has_no_version_to_match(hosp: Party) -> None:
    value = uuid.uuid4().hex
    place = f"Group?identifier=urn:pre|{value}"

    for stated in ('W/"1"', "*"):
        reply = hosp.ask("PUT", place, identified("Group", value), If_Match=stated)
        assert (reply.status, reply.rules) == (412, {"version-stale"})
    assert hosp.get(place).entries == []


def test_a_deletion_may_be_repeated_by_who_lost_its_answer(world: World, hosp: Party) -> None:
    made = hosp.post(minimal("List")).body
    place = f"List/{made['id']}"
    deleted = hosp.ask("DELETE", place)

    again = hosp.ask("DELETE", place)

    assert (deleted.status, again.status, again.headers["ETag"]) == (204, 204, deleted.headers["ETag"])
    entry = {"request": {"method": "DELETE", "url": place}}
    for kind in ("batch", "transaction"):
        [told] = hosp.transact({"resourceType": "Bundle", "type": kind, "entry": [entry]}).body["entry"]
        assert told["response"]["status"] == "204 No Content"
        assert told["response"]["etag"] == deleted.headers["ETag"]
    assert hosp.ask("DELETE", place, If_Match=deleted.headers["ETag"]).status == 204
    assert hosp.ask("DELETE", place, If_Match='W/"1"').status == 412
    assert len(hosp.get(f"{place}/_history").body["entry"]) == 2
    assert world.party().ask("DELETE", place).status == 404
    assert hosp.ask("DELETE", "List/never-there").status == 404


def test_what_the_operator_deleted_is_not_deleted_again_by_who_may_not(world: World, hosp: Party) -> None:
    place = f"Practitioner/{world.operator.post(minimal('Practitioner')).body['id']}"
    assert world.operator.ask("DELETE", place).status == 204
    assert hosp.get(place).status == 410

    assert hosp.ask("DELETE", place).status == 403
    assert world.operator.ask("DELETE", place).status == 204


def test_who_creates_by_put_is_not_refused_for_another_who_was_first(world: World) -> None:
    id, together = f"put-{uuid.uuid4().hex[:12]}", threading.Barrier(8)
    parties = [world.party(EVERYTHING, IMPORT, OPERATE, organization="Organization/operator") for _ in range(8)]

    def put(party: Party, name: str) -> int:
        together.wait(30)
        return party.put({"resourceType": "Organization", "id": id, "name": name}).status

    with ThreadPoolExecutor(8) as pool:
        told = [each.result(60) for each in [pool.submit(put, party, str(n)) for n, party in enumerate(parties)]]

    assert sorted(told) == [200] * 7 + [201]
    assert world.operator.read(f"Organization/{id}")["meta"]["versionId"] == "8"


def test_a_date_does_not_say_which_of_two_versions_within_one_second_is_known(world: World, hosp: Party) -> None:
    second = past_second()
    with clock_at(world, second + timedelta(milliseconds=100)):
        place = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    known = hosp.get(place).headers["Last-Modified"]

    assert hosp.get(place, If_Modified_Since=known).status == 304
    with clock_at(world, second + timedelta(milliseconds=700)):
        assert hosp.change(place, active=True).status == 200
    assert hosp.get(place).headers["Last-Modified"] == known
    assert hosp.get(place, If_Modified_Since=known).status == 200
    with clock_at(world, second + timedelta(milliseconds=1700)):
        assert hosp.change(place, active=False).status == 200
    assert hosp.get(place, If_Modified_Since=hosp.get(place).headers["Last-Modified"]).status == 304


def test_an_entry_of_a_bundle_tells_two_versions_within_one_second_apart(world: World, hosp: Party) -> None:
    second = past_second()
    with clock_at(world, second + timedelta(milliseconds=700)):
        place = f"Patient/{hosp.post(minimal('Patient')).body['id']}"

    def status(millisecond: int) -> str:
        since = instant(second + timedelta(milliseconds=millisecond))
        asked = {"request": {"method": "GET", "url": place, "ifModifiedSince": since}}
        reply = hosp.transact({"resourceType": "Bundle", "type": "batch", "entry": [asked]})
        return str(reply.body["entry"][0]["response"]["status"])

    assert [status(699), status(700), status(701)] == ["200 OK", "304 Not Modified", "304 Not Modified"]


def test_a_version_is_later_than_the_one_before_it_whatever_the_clock_says(world: World, hosp: Party) -> None:
    place = f"Patient/{hosp.post(minimal('Patient')).body['id']}"
    began = now()

    with clock_at(world, began - timedelta(hours=1)):
        for active in (True, False):
            assert hosp.change(place, active=active).status == 200

    entries = hosp.get(f"{place}/_history").body["entry"]
    times = [entry["response"]["lastModified"] for entry in entries]
    assert [entry["resource"]["meta"]["lastUpdated"] for entry in entries] == times == sorted(set(times), reverse=True)
    assert times[-1] < times[0] < instant(began + timedelta(seconds=1))


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"])
def test_a_write_is_refused_on_what_was_modified_since(hosp: Party, form: str) -> None:
    made = hosp.post(minimal("List")).body
    place, known = f"List/{made['id']}", hosp.get(f"List/{made['id']}").headers["Last-Modified"]
    before = (parsedate_to_datetime(known) - timedelta(seconds=1)).strftime(form)
    patch = [{"op": "add", "path": "/title", "value": "t"}]

    for reply in (
        hosp.ask("PUT", place, {**made, "title": "t"}, If_Unmodified_Since=before),
        hosp.ask("PATCH", place, patch, Content_Type="application/json-patch+json", If_Unmodified_Since=before),
        hosp.ask("DELETE", place, If_Unmodified_Since=before),
        hosp.ask("DELETE", f"List?_id={made['id']}", If_Unmodified_Since=before),
    ):
        assert (reply.status, reply.rules) == (412, {"version-stale"})
    assert hosp.read(place) == made
    assert hosp.ask("DELETE", place, If_Unmodified_Since=known).status == 204


def test_if_match_counts_before_a_date_and_what_is_no_date_asks_nothing(hosp: Party) -> None:
    made = hosp.post(minimal("List")).body
    place, long_ago = f"List/{made['id']}", "Thu, 01 Jan 1970 00:00:00 GMT"

    written = hosp.ask("PUT", place, {**made, "title": "a"}, If_Match='W/"1"', If_Unmodified_Since=long_ago)

    assert written.status == 200
    assert hosp.ask("PUT", place, {**made, "title": "b"}, If_Unmodified_Since="yesterday").status == 200
