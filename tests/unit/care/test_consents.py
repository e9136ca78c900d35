"""What a consent permits and refuses, who may record one, and who may let in more than one did."""

from typing import Any

import pytest
from als_case import HOME, HOSP, OUT, at, consent, directory

from fhir_server.care.consents import check_recorder, check_widening, consent_state, permitted, refused
from fhir_server.care.intervals import ALWAYS, covers
from fhir_server.care.moves import Move
from fhir_server.care.provisions import EVERYONE, decisions
from fhir_server.fhir.errors import Forbidden
from fhir_server.fhir.json import Resource

DENIED = {"type": "deny", "actor": [{"reference": {"reference": HOME}}]}
NAMED = {"reference": {"reference": HOME}}
UNTIL = {"end": "2026-12-31"}
PERMITTED = {"type": "permit", "actor": [NAMED]}
UNKNOWN = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}
MODIFIER = [{"url": "http://example.org/not", "valueBoolean": True}]
V3 = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
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


def ruled(code: str, **provision: Any) -> Resource:
    """A consent under a policy of HL7 v3."""
    return {**consent(**provision), "policyRule": {"coding": [{"system": V3, "code": code}]}}


# Each is active and about privacy, and permits the whole chart to everybody but for what is added here.
DOUBTFUL: dict[str, Resource] = {
    "for a purpose": consent(type="permit", purpose=[{"code": "HRESCH"}]),
    "of an action": consent(type="permit", action=[{"coding": [{"code": "collect"}]}]),
    "a type that nobody knows": consent(_type=UNKNOWN),
    "rules that are not understood": {**consent(type="permit"), "implicitRules": "http://example.org/rules"},
    "a modifier": {**consent(type="permit"), "modifierExtension": MODIFIER},
    "a modifier of the provision": consent(type="permit", modifierExtension=MODIFIER),
    "a modifier of an actor": consent(type="permit", actor=[{**NAMED, "modifierExtension": MODIFIER}]),
    "opted out": ruled("OPTOUT"),
    "opted out, with an actor": ruled("OPTOUT", actor=[NAMED]),
    "opted out with exceptions": ruled("OPTOUTE", provision=[PERMITTED]),
    "opted in with restrictions": ruled("OPTINR"),
    "no consent": ruled("NOCONSENT"),
    "verified to be wrong": {**consent(type="permit"), "verification": [{"verified": False}, {"verified": False}]},
    "nobody knows if verified": {**consent(type="permit"), "verification": [{"_verified": UNKNOWN}]},
    "a permit for one within": consent(provision=[PERMITTED]),
    "a permit for one within a permit": consent(type="permit", provision=[PERMITTED]),
}


@pytest.mark.parametrize("doubt", DOUBTFUL)
def test_a_consent_in_doubt_permits_nothing_and_refuses_nobody(doubt: str) -> None:
    said = DOUBTFUL[doubt]

    assert decisions(said, directory) == {}
    assert not refused([said], [], HOME, directory, at(500))
    assert not refused([{**said, "status": "rejected"}], [], HOME, directory, at(500))


@pytest.mark.parametrize("doubt", DOUBTFUL)
def test_doubt_makes_no_denial_weaker(doubt: str) -> None:
    said = DOUBTFUL[doubt]
    provision = said.get("provision", {})
    everybody = {**said, "provision": {**provision, "type": "deny"}}
    named = {**said, "provision": {**provision, "provision": [*provision.get("provision", []), DENIED]}}

    assert decisions(everybody, directory)[EVERYONE] == "deny"
    assert decisions(named, directory) == {HOME: "deny"}
    assert refused([everybody], [], HOME, directory, at(500))
    assert refused([named], [], HOME, directory, at(500))


@pytest.mark.parametrize(
    "said",
    [
        consent(),
        ruled("OPTIN"),
        ruled("OPTOUT", type="permit"),
        consent(type="permit", _type=UNKNOWN),
        {**consent(), "verification": [{"verified": False}, {"verified": True}]},
    ],
)
def test_a_consent_without_doubt_permits_everybody(said: Resource) -> None:
    assert decisions(said, directory) == {EVERYONE: "permit"}


def test_a_denial_within_a_permit_that_is_nested_keeps_out_whom_it_names() -> None:
    said = consent(type="permit", provision=[{"type": "permit", "provision": [DENIED]}])

    assert decisions(said, directory) == {HOME: "deny"}
    assert not refused([said], [], HOME, directory, at(500))


def test_what_a_denial_excepts_from_itself_lets_nobody_in() -> None:
    said = consent(type="permit", provision=[{**DENIED, "provision": [PERMITTED]}])

    assert decisions(said, directory) == {EVERYONE: "permit", HOME: "deny"}


@pytest.mark.parametrize("said", [DOUBTFUL["opted out"], {**DOUBTFUL["opted out"], "status": "inactive"}])
def test_a_permit_logged_before_the_doubt_was_known_does_not_go_on(said: Resource) -> None:
    logged = Move("Consent/consent", "consent", None, "permit", at(0), None, EVERYONE, False, 1, HOSP)

    assert permitted([consent_state(said, [logged], directory)], HOME) == ()
    assert permitted([consent_state(consent(), [logged], directory)], HOME) != ()


@pytest.mark.parametrize(
    ("said", "always"),
    [
        (consent(period={"start": "0001-01-01T00:00:00+01:00", "end": "9999-12-31T23:59:59-05:00"}), True),
        (consent(period={"start": "9999-12-31T23:59:59-05:00"}), False),
        (consent(period={"end": "0001-01-01T00:00:00+01:00"}), False),
    ],
)
def test_a_period_to_the_ends_of_the_calendar_is_one(said: Resource, always: bool) -> None:
    state = consent_state({**said, "dateTime": "0001-01-01T00:00:00+14:00"}, [], directory)

    assert (permitted([state], HOME) == ALWAYS) is always
    assert covers(permitted([state], HOME), at(500)) is always


def test_a_consent_that_is_recorded_at_the_end_of_time_permits_nothing_before() -> None:
    state = consent_state({**consent(), "dateTime": "9999-12-31T23:59:59-05:00"}, [], directory)

    assert not covers(permitted([state], HOME), at(500))
