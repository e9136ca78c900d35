"""Who may record a consent, and who may let in more than one did."""

import pytest
from als_case import HOME, consent, directory

from fhir_server.care.consents import check_recorder, check_widening
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
