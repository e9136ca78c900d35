"""What is asked is understood whole, or refused with the names of what there is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhir_server.definitions.search_parameters import Own, parameters_of, using
from fhir_server.fhir.errors import MalformedRequest, UnknownType
from fhir_server.search.parse import parse
from fhir_server.search.query import Clause, Include, Moment, Query, Sort, Target, Text, Token
from fhir_server.search.repeated import parse_again

BASE_URL = "https://here.example/fhir"


def asked(type_name: str, *pairs: tuple[str, str], **how: int | bool) -> Query:
    return parse(type_name, pairs, base_url=BASE_URL, **how)  # type: ignore[arg-type]


def test_a_query_keeps_clauses_in_their_order_and_values_as_alternatives() -> None:
    query = asked("Task", ("status", "requested,accepted"), ("owner", "Organization/1"), ("due", "lt2026-03"))
    assert query.clauses == (
        Clause("status", "token", (Token(None, "requested"), Token(None, "accepted"))),
        Clause("owner", "reference", (Target("Organization/1"),)),
        Clause("due", "date", (Moment("lt", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)),)),
    )


def test_a_modifier_is_kept_when_it_changes_the_comparison() -> None:
    query = asked("Patient", ("name:exact", "An"), ("gender:not", "male"), ("general-practitioner:Organization", "1"))
    assert query.clauses == (
        Clause("name", "string", (Text("An", "an"),), "exact"),
        Clause("gender", "token", (Token(None, "male"),), "not"),
        Clause("general-practitioner", "reference", (Target("Organization/1"),)),
    )


def test_the_controls_say_how_to_answer() -> None:
    query = asked(
        "Task",
        ("_sort", "due,-_lastUpdated"),
        ("_count", "7"),
        ("_include", "Task:focus"),
        ("_include", "Task:patient:Patient"),
        ("_total", "accurate"),
        ("_cursor", "abc"),
        ("_format", "json"),
        ("_pretty", "true"),
    )
    assert query == Query(
        "Task",
        sort=(Sort("due"), Sort("_lastUpdated", descending=True)),
        count=7,
        includes=(Include("Task", "focus"), Include("Task", "patient", "Patient")),
        total="accurate",
        cursor="abc",
    )


@pytest.mark.parametrize(("count", "given"), [("1", 1), ("100", 100), ("101", 100), ("999999999", 100)])
def test_a_page_is_never_larger_than_the_server_allows(count: str, given: int) -> None:
    assert asked("Task", ("_count", count), max_count=100).count == given


def test_a_page_has_the_default_size_unless_asked() -> None:
    assert asked("Task", default_count=20).count == 20
    assert asked("Task", default_count=20, max_count=10).count == 10


@pytest.mark.parametrize("pair", [("_summary", "count"), ("_count", "0")])
def test_a_count_alone_can_be_asked(pair: tuple[str, str]) -> None:
    assert asked("Task", pair).summary == "count"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("foo", "1", r"Task has no search parameter 'foo'; it has .*authored-on.*status"),
        ("patient.colour", "x", r"nothing that 'patient' refers to has a search parameter 'colour'"),
        ("status.name", "x", r"Task has no chain 'status.name'; chains begin with based-on, .*subject"),
        ("_has:Observation:patient:code", "x", r"no parameter 'patient' of Observation refers to Task"),
        ("_has:Task:part-of:colour", "x", r"Task has no search parameter 'colour'"),
        ("_has:Colour:x:y", "x", r"there is no type 'Colour' here"),
        ("_list", "$current-tasks", r"There is no list '\$current-tasks'; there are \$current-problems, "),
        ("_list", "a b", r"'_list' takes the id of a List"),
        ("_revinclude", "Observation:patient", r"No 'Observation:patient' refers to Task; it can be Observation:focus"),
        ("_revinclude", "Colour", r"'_revinclude' takes TYPE:REFERENCE"),
        ("_include:iterate", "Colour:focus", r"cannot include 'Colour:focus'"),
        ("_include", "Task:status", r"cannot include 'Task:status'; it can include Task:based-on"),
        ("_include", "CarePlan:care-team", r"A search of Task cannot include 'CarePlan:care-team'"),
        ("_include", "Task:owner:Task", r"Task:owner does not refer to 'Task', but to CareTeam, "),
        ("_include", "Task:owner:Device:x", r"cannot include 'Task:owner:Device:x'"),
        ("_sort", "nothing", r"Task cannot be sorted by 'nothing'; it can by _id, _lastUpdated, "),
        ("_sort", "owner:missing", r"cannot be sorted by 'owner:missing'"),
        ("_sort", "", r"cannot be sorted by ''"),
        ("_total", "some", r"'_total' takes none, estimate, accurate"),
        ("_summary", "short", r"'_summary' takes true, text, data, count, false"),
        ("_elements", "id,colour,period.end", r"elements of Task itself, not 'colour', 'period\.end'"),
        ("_contained", "maybe", r"'_contained' takes true, false, both"),
    ],
)
def test_what_is_not_served_is_refused_and_left_out_when_lenient(name: str, text: str, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says) as refusal:
        asked("Task", (name, text))
    lenient = asked("Task", ("status", "draft"), (name, text), lenient=True)

    assert [issue.code for issue in refusal.value.issues] == ["not-supported"]
    assert lenient == asked("Task", ("status", "draft"))
    assert lenient.skipped == ((name, text),)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("status:text", "x", r"'status' has no modifier ':text'; it takes :missing, :not, :in, :not-in\."),
        ("owner:not", "x", r"'owner' has no modifier ':not'; it takes :missing, :identifier, :above, :below, a target"),
        ("owner:Task", "x", r"'owner' has no modifier ':Task'"),
        ("status:", "draft", r"'status' has no modifier ':'; it takes :missing"),
        ("patient.gender:", "other", r"'gender' has no modifier ':'"),
        ("status:missing:x", "true", r"no modifier ':missing:x'"),
        ("_id:exact", "1", r"'_id' has no modifier ':exact'; it takes :missing, :not\."),
        ("_lastUpdated:not", "2026", r"it takes :missing\."),
        ("due:exact", "2026", r"'due' has no modifier ':exact'; it takes :missing\."),
        ("patient:Task.status", "x", r"'patient' does not refer to 'Task' here"),
        ("_list:not", "42", r"'_list' has no modifier ':not'"),
        ("_text:exact", "x", r"'_text' has no modifier ':exact'"),
        ("_filter:not", "status eq draft", r"'_filter' has no modifier ':not'"),
        ("_sort:desc", "status", r"'_sort' has no modifier ':desc'"),
        ("_include:all", "Task:focus", r"'_include' has no modifier ':all'"),
        ("_has:Observation:focus:status:text", "final", r"'status' has no modifier ':text'"),
        ("patient.gender:text", "x", r"'gender' has no modifier ':text'"),
    ],
)
def test_a_modifier_that_is_not_served_is_refused_even_when_lenient(name: str, text: str, says: str) -> None:
    """Left out, the search would find more than was asked for."""
    for lenient in (False, True):
        with pytest.raises(MalformedRequest, match=says) as refusal:
            asked("Task", ("status", "draft"), (name, text), lenient=lenient)
        assert [issue.code for issue in refusal.value.issues] == ["not-supported"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("status", "", r"'status' needs a value between its commas"),
        ("status", "a,,b", r"'status' needs a value between its commas"),
        ("status", "a|b|c", r"is no token for 'status'"),
        pytest.param("status", ",".join(["draft"] * 10_001), r"more than 10000 values", id="too-many-values"),
        ("status", "|", r"is no token for 'status'"),
        ("status", "http://hl7.org/fhir/task-status|", r"The codes of 'status' state no system"),
        ("status", r"a\b", r"'\\b' is no escape"),
        ("code:in", "ValueSet/", r"'code:in' takes one value set, by its url or as ValueSet/id, not 'ValueSet/'"),
        ("code:in", "|1", r"'code:in' takes one value set"),
        ("status:missing", "yes", r"'status:missing' takes true or false, not 'yes'"),
        ("owner", "Task/1", r"'owner' refers to CareTeam, .*not to 'Task/1'"),
        ("owner:Device", "Organization/1", r"'owner' refers to Device, not to 'Organization/1'"),
        ("owner", "a b", r"is no reference for 'owner'; write Type/id, an id or a url"),
        ("owner", "#x", r"is no reference for 'owner'"),
        ("owner:identifier", "|", r"is no identifier for 'owner'"),
        ("due", "tomorrow", r"'due': 'tomorrow' is no date; write a date such as"),
        ("due", "xx2026", r"'due': 'xx2026' is no date"),
        ("due", "２０２０", r"'due': '２０２０' is no date; write a date such as"),
        ("due", "2020-01-01T10:00:75Z", r"'2020-01-01T10:00:75Z' is not a date, dateTime or instant; write a date"),
        ("due", "2020-01-01T10:00:00+25:00", r"\+25:00' is not a date, dateTime or instant; write a date"),
        ("due", "2026-02-30", r"'2026-02-30' is not a date that exists"),
        ("due", "lt", r"'lt' is no date"),
        ("identifier", "a\x00b", r"holds a character that no text may have"),
        ("identifier", "a\ud800", r"holds a character that no text may have"),
        ("_sort", "due,-due", r"'_sort' takes each parameter once"),
        ("_count", "-1", r"'_count' takes a whole number of at most 9 digits, for what a page holds, not '-1'"),
        ("_count", "1000000000", r"'_count' takes a whole number of at most 9 digits"),
        ("_count", "ten", r"'_count' takes a whole number"),
        ("_count", "١", r"'_count' takes a whole number"),
        ("_count", "1" * 5000, r"'_count' takes a whole number"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_even_when_lenient(name: str, text: str, says: str) -> None:
    for lenient in (False, True):
        with pytest.raises(MalformedRequest, match=says):
            asked("Task", (name, text), lenient=lenient)


def test_a_string_without_a_letter_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="has no letter or digit that 'name' could be searched by"):
        asked("Patient", ("name", "..."))


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(MalformedRequest) as refusal:
        asked("Task", ("foo", "1"), ("due", "x"), ("_sort", "bar"), ("_count", "1"), ("_count", "2"))
    assert [issue.code for issue in refusal.value.issues] == ["not-supported", "invalid", "not-supported", "invalid"]


def test_a_control_may_be_given_once() -> None:
    with pytest.raises(MalformedRequest, match="'_total' may be given once"):
        asked("Task", ("_total", "none"), ("_total", "accurate"))


def test_a_repeated_sort_is_one_sort() -> None:
    assert asked("Task", ("_sort", "due"), ("_sort", "-status")).sort == asked("Task", ("_sort", "due,-status")).sort
    with pytest.raises(MalformedRequest, match="takes each parameter once"):
        asked("Task", ("_sort", "due"), ("_sort", "-due"))


@pytest.mark.parametrize("type_name", ["Nothing", "Resource", "Bundle", ""])
def test_a_type_that_is_not_stored_cannot_be_searched(type_name: str) -> None:
    with pytest.raises(UnknownType):
        asked(type_name)


def test_a_date_is_approximate_by_a_tenth_of_its_distance_from_now() -> None:
    moment = datetime(2026, 5, 11, tzinfo=UTC)
    query = parse("Task", [("due", "ap2026-05-01")], base_url=BASE_URL, moment=moment)
    assert query.clauses[0].values == (
        Moment("ap", datetime(2026, 4, 30, tzinfo=UTC), datetime(2026, 5, 3, tzinfo=UTC)),
    )


@pytest.mark.parametrize(
    ("type_name", "asked", "another"),
    [
        ("Patient", ("age", "ge60"), ("age", "ge61")),
        ("Patient", ("birthdate", "ap1950"), ("birthdate", "ap1951")),
        ("Patient", ("_filter", "birthdate ap 1950"), ("_filter", "birthdate ap 1951")),
        ("Patient", ("_has:Observation:patient:date", "ap2020"), ("_has:Observation:patient:date", "ap2021")),
        ("Observation", ("patient.age", "lt60"), ("patient.age", "gt60")),
    ],
)
def test_what_is_counted_from_the_day_of_the_search_is_the_same_question_on_the_next(
    type_name: str, asked: tuple[str, str], another: tuple[str, str]
) -> None:
    today = datetime(2026, 5, 11, tzinfo=UTC)

    [first, second, other] = [
        parse(type_name, [pair], base_url=BASE_URL, moment=moment)
        for pair, moment in ((asked, today), (asked, today + timedelta(days=1)), (another, today))
    ]

    assert first != second
    assert first.question == second.question
    assert first.question != other.question


def test_a_date_near_the_end_of_time_can_be_approximate() -> None:
    moment = datetime(2026, 5, 11, tzinfo=UTC)
    for date in ("0001", "9999-12-31"):
        assert parse("Task", [("due", f"ap{date}")], base_url=BASE_URL, moment=moment).clauses


def test_what_is_asked_again_is_parsed_once() -> None:
    first, again = (parse_again("Task", [("status", "requested")], base_url=BASE_URL) for _ in range(2))
    assert first is again
    assert first == asked("Task", ("status", "requested"))


@pytest.mark.parametrize(
    "differs",
    [
        {"base_url": "https://there.example/fhir"},
        {"moment": datetime(2026, 3, 1, tzinfo=UTC)},
        {"patient": "1"},
        {"max_count": 3},
        {"full_text": frozenset({"Task"})},
    ],
    ids=lambda differs: next(iter(differs)),
)
def test_what_is_asked_in_another_way_is_parsed_anew(differs: dict[str, Any]) -> None:
    pairs = [("owner", "https://there.example/fhir/Organization/1"), ("due", "ap2026-02-01")]
    how: dict[str, Any] = {"base_url": BASE_URL, "moment": datetime(2026, 2, 1, tzinfo=UTC)}
    first = parse_again("Task", pairs, **how)

    other = parse_again("Task", pairs, **{**how, **differs})

    assert other is not first
    assert other == parse("Task", pairs, **{**how, **differs})


def test_an_operators_parameter_counts_from_its_first_moment_to_its_last() -> None:
    pairs = [("mine", "1")]
    shipped = parameters_of("Task")["status"]
    with pytest.raises(MalformedRequest, match="mine"):
        parse_again("Task", pairs, base_url=BASE_URL)
    with using(Own({"Task": (replace(shipped, code="mine"),)})):
        assert parse_again("Task", pairs, base_url=BASE_URL).clauses[0].parameter == "mine"
    with pytest.raises(MalformedRequest, match="mine"):
        parse_again("Task", pairs, base_url=BASE_URL)
