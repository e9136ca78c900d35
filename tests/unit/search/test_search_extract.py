"""What is stored beside a resource, so that it can be found and sorted."""

from collections.abc import Iterator

from fhir_server.definitions.search_parameters import parameter_from
from fhir_server.fhir.json import Resource
from fhir_server.search.elements import values_of
from fhir_server.search.extract import search_values
from fhir_server.search.keys import FIRST_MOMENT, FIRST_TEXT, LAST_MOMENT, LAST_TEXT

TASK = {
    "resourceType": "Task",
    "id": "1",
    "meta": {"tag": [{"system": "http://t", "code": "X|y"}]},
    "status": "requested",
    "intent": "order",
    "basedOn": [{"reference": "CarePlan/1/_history/2"}],
    "for": {"reference": "Patient/1"},
    "owner": {"identifier": {"system": "http://kbo", "value": "0123"}},
    "restriction": {"period": {"end": "1970-01-02"}},
}
DAY = 86_400_000_000


def test_the_terms_are_every_form_in_which_a_value_can_be_asked() -> None:
    assert sorted(search_values(TASK)["t"]) == [
        r"_tag=http://t|",
        r"_tag=http://t|x\|y",
        r"_tag=x\|y",
        "based-on=CarePlan/1",
        "based-on=CarePlan/1/_history/2",
        "intent=|order",
        "owner:identifier=0123",
        "owner:identifier=http://kbo|",
        "owner:identifier=http://kbo|0123",
        "patient=Patient/1",
        "status=|requested",
        "subject=Patient/1",
    ]


def test_a_date_is_stored_as_a_range_of_microseconds() -> None:
    values = search_values(TASK)
    assert values["d"] == {"due": [{"lo": DAY, "hi": 2 * DAY}]}
    assert values["k"]["due"] == {"lo": DAY, "hi": DAY}


def test_what_is_missing_has_keys_that_come_last_both_ways() -> None:
    keys = search_values(TASK)["k"]
    assert keys["priority"] == {"lo": LAST_TEXT, "hi": FIRST_TEXT}
    assert keys["authored-on"] == {"lo": LAST_MOMENT, "hi": FIRST_MOMENT}


def test_a_name_is_stored_by_its_parts_and_sorted_by_family_name() -> None:
    names = [{"family": "Zimmer", "given": ["An"]}, {"text": "Ábel"}]
    values = search_values({"resourceType": "Patient", "id": "1", "name": names})
    assert values["s"]["name"] == {
        "f": ["zimmer an", "an zimmer", "zimmer", "an", "abel"],
        "x": ["Zimmer An", "An Zimmer", "Zimmer", "An", "Ábel"],
    }
    assert values["k"]["name"] == {"lo": "abel", "hi": "zimmer an"}


def test_a_value_that_repeats_is_sorted_by_its_least_and_its_greatest() -> None:
    goal = {
        "resourceType": "Goal",
        "id": "1",
        "target": [{"dueDate": "1970-01-03"}, {"dueDate": "1970-01-01"}, {"dueDate": "1970-01-02"}],
    }
    assert search_values(goal)["k"]["target-date"] == {"lo": 0, "hi": 2 * DAY}


def test_parameters_that_have_a_value_are_named() -> None:
    assert sorted(search_values(TASK)["has"]) == [
        "_tag",
        "based-on",
        "due",
        "intent",
        "owner",
        "patient",
        "status",
        "subject",
    ]


def test_a_long_text_is_searched_by_its_beginning() -> None:
    described = {"resourceType": "ValueSet", "id": "1", "description": "x" * 1_000_000, "url": "http://" + "y" * 5_000}
    values = search_values(described)
    assert values["s"]["description"] == {"f": ["x" * 1000], "x": ["x" * 1000]}
    assert max(map(len, values["t"])) < 1_100


def test_what_validation_would_refuse_is_no_reason_to_fail() -> None:
    odd = {
        "resourceType": "Observation",
        "id": "1",
        "code": "text",
        "subject": "Patient/1",
        "effectiveDateTime": "yesterday",
        "effectivePeriod": {"start": "2026", "end": "2025"},
        "identifier": [None, {"value": 5}],
    }
    values = search_values(odd)
    assert (values["t"], values["d"]) == ([], {"date": []})


def test_a_where_meets_an_element_that_may_be_repeated_and_stands_there_once() -> None:
    names = [
        {"given": ["Sarah"], "family": "Abels"},
        {"given": ["Sarah", "Ann"], "family": "Maes"},
        {"family": "Claes"},
    ]
    asked = parameter_from("own", {"type": "string", "paths": ["name[given=Sarah].family:string"]})

    assert values_of({"resourceType": "RelatedPerson", "name": names}, asked) == [("string", "Abels")]


class Counted(list[Resource]):
    """A list that counts how often somebody goes through it."""

    passes = 0

    def __iter__(self) -> Iterator[Resource]:
        Counted.passes += 1
        return super().__iter__()


def test_what_is_contained_is_not_gone_through_for_each_reference_to_it() -> None:
    contained = Counted({"resourceType": "Patient", "id": f"p{number}"} for number in range(500))
    targets = [{"reference": f"#{each['id']}"} for each in contained]
    before = Counted.passes

    values = search_values({"resourceType": "Provenance", "target": targets, "contained": contained})

    assert "patient" in values["has"]
    assert Counted.passes - before < 20
