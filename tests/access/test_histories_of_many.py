"""Histories of a type and of the system show each kind of actor what a vread shows, and nothing else."""

import base64

import pytest

from tests.access.actors import KINDS, NOBODY
from tests.access.circle import Matrix, made, walk
from tests.access.oracle import expected, may_see
from tests.access.samples import in_turn
from tests.access.test_searches import following, pages
from tests.http.scenarios.test_a_plans_and_teams import LUC
from tests.minimal import minimal
from tests.world import Reply

MOST_READ = 8


def versions_in(reply: Reply) -> list[str]:
    """`Type/id/_history/version` of each entry."""
    return [
        "/".join(entry["fullUrl"].split("/")[-2:]) + "/_history/" + entry["response"]["etag"].strip('W/"')
        for entry in reply.body.get("entry", [])
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_history_of_a_type_shows_what_a_vread_shows(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs
    for name in in_turn(kind):
        reply = party.get(f"{name}/_history?_count=500")

        assert reply.status == expected("history-type", kind, name), name
        if kind != NOBODY:
            shown = versions_in(reply)
            about = [each for each in shown if each.startswith(f"{refs[name]}/")]
            # A custodian's audit fills more than a page; what it tells is test_audit_events' to say.
            if name != "AuditEvent" or not may_see(kind, name):
                assert bool(about) is may_see(kind, name), name
            for each in shown[:MOST_READ]:
                assert party.get(each).status in {200, 410}, each


@pytest.mark.parametrize("kind", KINDS)
def test_the_history_of_the_system_shows_what_a_vread_shows(matrix: Matrix, kind: str) -> None:
    party, refs = matrix.parties[kind], matrix.circle(kind).refs

    reply = party.get("_history?_count=500")

    assert reply.status == expected("history-system", kind, "")
    if kind != NOBODY:
        shown = versions_in(reply)
        hidden = {reference for name, reference in refs.items() if not may_see(kind, name)}
        assert not {each.partition("/_history")[0] for each in shown} & hidden
        for each in shown[: 3 * MOST_READ]:
            assert party.get(each).status in {200, 410}, each


def test_a_link_to_the_next_page_names_nothing_that_is_hidden(matrix: Matrix) -> None:
    """A page that looked at many hidden versions ends on one of them; its cursor does not say on which."""
    world = matrix.world
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home, LUC)
    walk(home, case.task, "accepted")
    about = {"subject": {"reference": case.patient}}
    written = [made(hosp, minimal("Flag", **about)) for _ in range(14)]
    secret = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]}
    for each in written[1:]:
        assert hosp.change(each, meta={**hosp.read(each)["meta"], **secret}).status == 200

    pages_seen = pages(home, "Flag/_history?_count=1")

    onward = filter(None, map(following, pages_seen))
    cursors = [base64.urlsafe_b64decode(place.partition("_cursor=")[2] + "==") for place in onward]
    assert [version for page in pages_seen for version in versions_in(page)] == [f"{written[0]}/_history/1"]
    assert cursors, "it all fitted on one page"
    ids = [each.partition("/")[2].encode() for each in written]
    assert not [id for id in ids if any(id in cursor for cursor in cursors)]
