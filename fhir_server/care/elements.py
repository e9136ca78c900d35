"""Which elements of a coordination resource each party may change, and which the server keeps itself.

The party check comes first, also when nothing changes; then every changed element is judged, and all findings are told
at once. An element that stands in no row was said when the resource was created and does not change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fhir_server.care.differences import changed_elements
from fhir_server.care.parties import AUTHOR, CUSTODIAN, MEMBER, OWNER, REQUESTER, SUBJECT, Directory, party_of
from fhir_server.care.task_states import TERMINAL
from fhir_server.fhir.change import Change
from fhir_server.fhir.errors import Forbidden, InvalidResource, InvalidWorkflow
from fhir_server.fhir.json import Resource
from fhir_server.fhir.outcome import Issue


@dataclass(frozen=True)
class ElementRule:
    """The elements of one type: by role, what the server keeps, what is only appended to.

    `drafted` replaces `changed` while the resource is a draft, `ended` once it is in one of `terminal`. Whether a
    status may follow another is the transition tables' matter.
    """

    changed: Mapping[str, frozenset[str]]
    server_owned: frozenset[str] = frozenset()
    appended: frozenset[str] = frozenset({"note"})
    drafted: Mapping[str, frozenset[str]] | None = None
    ended: Mapping[str, frozenset[str]] | None = None
    terminal: frozenset[str] = field(default_factory=frozenset)
    appended_when_ended: frozenset[str] = frozenset()

    def elements(self, status: str | None, moves: bool) -> Mapping[str, frozenset[str]]:
        """What each role may change while the resource has `status`; the reason of an end only when it `moves` on."""
        if status == "draft" and self.drafted is not None:
            return self.drafted
        if status not in self.terminal or self.ended is None:
            return self.changed
        kept = frozenset() if moves else _WITH_THE_STATUS
        return {role: elements - kept for role, elements in self.ended.items()}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WITH_THE_STATUS = frozenset({"statusReason"})
_TO_ERROR = _words("status statusReason lastModified note")
_NARRATIVE = _words("text language")
_PLAN_CONTENT = _NARRATIVE | _words("goal addresses note title description category supportingInfo activity.detail")
_TEAM_CONTENT = _NARRATIVE | _words("name note telecom reasonCode reasonReference category")
_GOAL_CONTENT = _NARRATIVE | _words(
    "lifecycleStatus achievementStatus category priority description startDate startCodeableConcept target statusDate "
    "statusReason addresses note outcomeCode outcomeReference"
)
_CONSENT_CONTENT = _NARRATIVE | _words(
    "status provision dateTime performer organization sourceAttachment sourceReference policy policyRule verification"
)
_TASK_OF_REQUESTER = _NARRATIVE | _words("status statusReason note priority restriction description lastModified")
_ORDER_CONTENT = _NARRATIVE | _words(
    "status note priority category doNotPerform code orderDetail quantityQuantity quantityRatio quantityRange "
    "occurrenceDateTime occurrencePeriod occurrenceTiming asNeededBoolean asNeededCodeableConcept performerType "
    "performer locationCode locationReference reasonCode reasonReference insurance supportingInfo specimen bodySite "
    "patientInstruction relevantHistory encounter extension"
)

ELEMENTS: Mapping[str, ElementRule] = MappingProxyType(
    {
        "Task": ElementRule(
            changed={
                REQUESTER: _TASK_OF_REQUESTER,
                OWNER: _words(
                    "status statusReason businessStatus executionPeriod lastModified note output location "
                    "relevantHistory owner"
                ),
                CUSTODIAN: _TO_ERROR,
            },
            drafted={
                REQUESTER: _TASK_OF_REQUESTER
                | _words("owner input code focus performerType reasonCode reasonReference location executionPeriod"),
                OWNER: frozenset(),
                CUSTODIAN: _TO_ERROR,
            },
            ended={
                REQUESTER: _TO_ERROR,
                OWNER: _TO_ERROR | _words("output relevantHistory"),
                CUSTODIAN: _TO_ERROR,
            },
            terminal=TERMINAL,
            appended_when_ended=frozenset({"output"}),
            server_owned=_words("basedOn"),
        ),
        "ServiceRequest": ElementRule(
            changed={REQUESTER: _words("status note extension")},
            drafted={REQUESTER: _ORDER_CONTENT},
        ),
        "CarePlan": ElementRule(
            changed={MEMBER: _PLAN_CONTENT, CUSTODIAN: _PLAN_CONTENT | _words("status period")},
            server_owned=_words(
                "subject careTeam activity.reference author intent instantiatesCanonical basedOn partOf replaces "
                "created"
            ),
        ),
        "CareTeam": ElementRule(
            changed={CUSTODIAN: _TEAM_CONTENT},
            server_owned=_words("participant subject managingOrganization status period encounter"),
        ),
        "Goal": ElementRule(changed={MEMBER: _GOAL_CONTENT, CUSTODIAN: _GOAL_CONTENT, AUTHOR: _GOAL_CONTENT}),
        "Consent": ElementRule(
            changed={SUBJECT: _CONSENT_CONTENT, AUTHOR: _CONSENT_CONTENT, CUSTODIAN: _CONSENT_CONTENT},
            # A withdrawn or refused consent is not revived: what is agreed anew is recorded anew.
            ended={SUBJECT: frozenset(), AUTHOR: frozenset(), CUSTODIAN: frozenset()},
            terminal=_words("inactive rejected entered-in-error"),
        ),
    }
)


def check_elements(change: Change, roles: frozenset[str], directory: Directory) -> None:
    """Refuse an update that touches what `roles` may not change; creates and other types pass.

    Raises Forbidden for whoever has no part in the resource (`element-party`) and for an element that belongs to
    another role (`element-role`); InvalidWorkflow for an element that the server keeps (`server-owned`), that never
    changes (`fixed-element`), that is only appended to (`append-only`), or a Task that leaves its party (`task-owner`).
    """
    rule = ELEMENTS.get(change.type)
    if rule is None or change.before is None or change.after is None:
        return
    before, after = change.before, change.after
    changed = changed_elements(before, after)
    by_role = rule.elements(before.get("status"), "status" in changed)
    _check_party(change.type, by_role, roles)
    own = frozenset[str]().union(*(by_role.get(role, frozenset()) for role in roles))
    if "text" not in after and not own.isdisjoint(changed):
        own |= {"text"}  # whoever changes what the narrative told may leave it out, so that it tells nothing untrue
    refused = [
        _forbidden(change.type, element, by_role, roles) for element in changed if _others(element, by_role, own)
    ]
    if refused:
        raise Forbidden(issues=refused)
    broken = [_fixed(change.type, element, rule) for element in changed if element not in own]
    broken += _rewritten(change.type, rule, before, after, changed)
    if broken:
        raise InvalidWorkflow(issues=broken)
    if change.type == "Task" and "owner" in changed and before.get("status") != "draft":
        _check_same_party(before, after, directory)


def _check_party(type_name: str, by_role: Mapping[str, frozenset[str]], roles: frozenset[str]) -> None:
    if not roles & by_role.keys():
        raise Forbidden(
            f"You have no part in this {type_name} that lets you change it; the {_or(by_role)} may.",
            type_name,
            "element-party",
        )


def _others(element: str, by_role: Mapping[str, frozenset[str]], own: frozenset[str]) -> bool:
    return element not in own and any(element in elements for elements in by_role.values())


def _forbidden(type_name: str, element: str, by_role: Mapping[str, frozenset[str]], roles: frozenset[str]) -> Issue:
    may = _or(role for role, elements in by_role.items() if element in elements)
    acting = _or(role for role in by_role if role in roles)
    return Issue(
        "forbidden",
        f"`{element}` of a {type_name} is changed by the {may}, not by the {acting}.",
        f"{type_name}.{element}",
        "element-role",
    )


def _fixed(type_name: str, element: str, rule: ElementRule) -> Issue:
    path = f"{type_name}.{element}"
    if element in rule.server_owned:
        return Issue(
            "business-rule",
            f"`{element}` is kept by the server, which derives it from Tasks, orders and consents; leave it as it was.",
            path,
            "server-owned",
        )
    return Issue(
        "business-rule",
        f"`{element}` does not change in this state of the {type_name}; leave it as it was.",
        path,
        "fixed-element",
    )


def _rewritten(
    type_name: str, rule: ElementRule, before: Resource, after: Resource, changed: tuple[str, ...]
) -> list[Issue]:
    ended = before.get("status") in rule.terminal
    appended = rule.appended | (rule.appended_when_ended if ended else frozenset())
    return [
        Issue(
            "business-rule",
            f"What `{element}` says already stays as it is; add a further entry at the end.",
            f"{type_name}.{element}",
            "append-only",
        )
        for element in changed
        if element in appended and after.get(element, [])[: len(before.get(element, []))] != before.get(element, [])
    ]


def _check_same_party(before: Resource, after: Resource, directory: Directory) -> None:
    try:
        if party_of(before, "owner", directory) == party_of(after, "owner", directory):
            return
    except InvalidResource as error:
        raise InvalidWorkflow(issues=error.issues) from error
    raise InvalidWorkflow(
        "A Task is handed on only within the organisation that owns it; for another one, end it and ask anew.",
        "Task.owner",
        "task-owner",
    )


def _or(roles: Any) -> str:
    return " or ".join(roles)
