"""Who may record a consent, and who may let in more than one did."""

import pytest
from als_case import HOME, OUT, at, consent, directory

from fhir_server.care.consents import check_recorder, check_widening, refused
from fhir_server.fhir.errors import Forbidden
from fhir_server.fhir.json import Resource

DENIED = {"type": "deny", "actor": [{"reference": {"reference": HOME}}]}
NAMED = {"reference": {"reference": HOME}}
UNTIL = {"end": "2026-12-31"}
RECORDER = frozenset({"author"})


@pytest.mark.parametrize("roles", [{"owner"}, {"requester"}, set()])
def test_who_waits_to_be_let_in_records_no_consent(roles: set[str]) -> None:
    with pytest.raises(Forbidden):
        check_recorder(frozenset(roles))


@pytest.mark.parametrize("role", ["subject", "author", "custodian", "member"])
def test_the_person_and_those_who_take_part_record_consents(role: str) -> None:
    check_recorder(frozenset({role, "owner"}))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (consent(status="proposed"), consent()),
        (consent(type="deny"), consent(type="permit")),
        (consent(provision=[DENIED]), consent()),
        (consent(actor=[NAMED]), consent()),
        (consent(period=UNTIL), consent()),
        (consent(type="deny"), consent(status="inactive", type="deny")),
    ],
)
def test_whoever_only_recorded_a_consent_does_not_widen_it(before: Resource, after: Resource) -> None:
    with pytest.raises(Forbidden, match="narrow or withdraw"):
        check_widening(before, after, RECORDER, directory)

    for role in ("subject", "custodian", "member"):
        check_widening(before, after, frozenset({role}), directory)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (consent(), consent(status="inactive")),
        (consent(), consent(provision=[DENIED])),
        (consent(), consent(type="deny")),
        (consent(), {**consent(), "dateTime": "2026-01-01"}),
    ],
)
def test_whoever_recorded_a_consent_may_narrow_or_withdraw_it(before: Resource, after: Resource) -> None:
    check_widening(before, after, RECORDER, directory)


@pytest.mark.parametrize(
    "said",
    [
        [consent(type="deny")],
        [consent(provision=[DENIED])],
        [consent(), consent("second", provision=[DENIED])],
        [consent(status="rejected")],
        [consent(status="rejected", actor=[NAMED])],
    ],
)
def test_a_denial_or_a_rejected_consent_refuses(said: list[Resource]) -> None:
    assert refused(said, [], HOME, directory, at(500))


@pytest.mark.parametrize(
    "said",
    [
        [],
        [consent()],
        [consent(status="inactive")],
        [consent(status="proposed", type="deny")],
        [consent(status="entered-in-error", type="deny")],
        [consent(provision=[{"type": "deny"}])],
        [consent(provision=[{"type": "deny", "actor": [{"reference": {"reference": "PractitionerRole/nobody"}}]}])],
        [consent(provision=[{"type": "deny", "actor": [{"reference": {"reference": OUT}}]}])],
        [consent(status="rejected", actor=[{"reference": {"reference": OUT}}])],
        [consent(status="rejected"), consent("second")],
        [consent(status="rejected"), consent("second", period={"start": "2027-01-01"})],
        [{**consent(status="rejected"), "scope": {"coding": [{"code": "research"}]}}],
    ],
)
def test_a_withdrawal_a_doubt_or_a_no_to_others_refuses_nobody(said: list[Resource]) -> None:
    assert not refused(said, [], HOME, directory, at(500))
