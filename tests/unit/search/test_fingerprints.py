"""What resources are indexed by has a mark, which is another one as soon as they must be indexed anew."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from fhir_server.definitions.parameter_rows import SERVED
from fhir_server.definitions.search_parameters import SearchParameter, parameter_from, shipped_parameters_of
from fhir_server.fhir.json import Resource, encode
from fhir_server.search import fingerprints
from fhir_server.search.extract import Extraction
from fhir_server.search.fingerprints import FORM, mark_of, rows_of, shipped_mark_of
from fhir_server.search.sounds import keys_of
from tests.unit.search.test_sounds import ALIKE, UNLIKE

KEPT = {
    1: "9dec4fd3dcf08b1c",
    2: "cee14461b17f6064",
    3: "cee14461b17f6064",
    4: "7624e54b09e1f061",
    5: "7624e54b09e1f061",
    6: "d80760c978916e89",
    7: "d80760c978916e89",
}
"""A digest of what each form keeps of the values below. A new digest needs a new form, so that a database that holds
the old one is indexed anew: count `FORM` up and record the digest that the test tells."""

KEYS = dict.fromkeys(range(3, 8), "b91eb049454c7bcb")
"""The same of how names sound."""

CODING = {"system": "http://s", "code": "Ab|c", "display": "Some Wörds"}
MG = {"value": Decimal("5.40"), "unit": "milligram", "system": "http://unitsofmeasure.org", "code": "mg"}
BOUNDS = {"repeat": {"boundsPeriod": {"end": "2026-04"}}}
VALUES: Mapping[str, list[Any]] = {
    "Address": [{"line": ["Veldstraat 1"], "city": "Gènt", "postalCode": "9000"}],
    "Age": [MG],
    "boolean": [True],
    "canonical": ["http://a/b|1.2", "http://a/b"],
    "code": ["Ab"],
    "CodeableConcept": [{"coding": [CODING, {"code": "x"}], "text": "Other-Words"}],
    "Coding": [CODING, {"system": "http://s"}],
    "ContactPoint": [{"system": "phone", "value": "+32 (0)9 123.45"}, {"value": "A@b.be"}],
    "Count": [MG],
    "date": ["2026-03-01", "2026", "no date"],
    "dateTime": ["2026-03-01T10:00:00+14:00", "2026-03-01T10:00:00.123Z"],
    "decimal": [Decimal("0.30"), Decimal("-1E+2")],
    "Distance": [MG],
    "Duration": [{**MG, "comparator": "<"}],
    "existence": [True, False],
    "HumanName": [{"family": "Carreño Quiñones", "given": ["Élodie", "An"], "prefix": ["Dr."]}],
    "id": ["A.b-1"],
    "Identifier": [{"system": "http://i", "value": "Q,7", "type": {"coding": [CODING], "text": "Number"}}],
    "instant": ["2026-03-01T10:00:00.123Z"],
    "integer": [0, 7],
    "markdown": ["Some *text*"],
    "Money": [{"value": Decimal("2.50"), "currency": "EUR"}],
    "oid": ["urn:oid:1.2"],
    "Period": [{"start": "2026-03-01"}, {"end": "2026-03-01"}, {}, {"start": "2026", "end": "2025"}],
    "positiveInt": [1],
    "Quantity": [MG, {"value": 5}, {**MG, "comparator": ">="}],
    "Range": [{"low": MG}, {"low": MG, "high": {**MG, "value": 8}}],
    "Reference": [
        {"reference": "Patient/1/_history/2"},
        {"reference": "https://there.example/Patient/1"},
        {"reference": "#p"},
        {"identifier": {"system": "http://i", "value": "7"}, "display": "She"},
    ],
    "SimpleQuantity": [MG],
    "string": ["Straße - İpek Σίσυφος", "ﬁne"],
    "Timing": [{"event": ["2026-03-08", "2026-03-01"]}, BOUNDS],
    "unsignedInt": [0],
    "uri": ["http://a/b|1", "urn:x"],
    "url": ["http://a/b"],
    "uuid": ["urn:uuid:1"],
    "#Location.position": [{"latitude": Decimal("51.05"), "longitude": Decimal("3.72")}],
}


def looked_at() -> Iterator[tuple[Resource, SearchParameter]]:
    """Each value of each datatype, and each parameter that looks for it: one value, or several."""
    for kind, datatypes in sorted(SERVED.items()):
        for datatype in sorted(datatypes):
            path = {"type": kind, "paths": [f"at:{datatype}"]}
            for value in VALUES[datatype]:
                one = {"resourceType": "Flag", "at": value, "url": "http://a/b", "version": "2"}
                yield one, parameter_from("code", {**path, "single": True})
            yield {"resourceType": "Flag", "at": VALUES[datatype]}, parameter_from("code", path)


def test_what_keeps_values_in_another_form_counts_the_form_up() -> None:
    kept = hashlib.sha256()
    for resource, parameter in looked_at():
        kept.update(encode(Extraction("Flag", [parameter]).values_of(resource)))

    assert KEPT.get(FORM) == kept.hexdigest()[:16], f"FORM {FORM} now keeps {kept.hexdigest()[:16]}"


def test_names_that_sound_alike_in_another_way_count_the_form_up() -> None:
    words = [*ALIKE, *(word for names in UNLIKE for word in names)]
    keys = hashlib.sha256("\n".join(f"{word} {' '.join(keys_of(word))}" for word in words).encode()).hexdigest()[:16]

    assert KEYS.get(FORM) == keys, f"FORM {FORM} now has {keys}"


@pytest.fixture
def fresh() -> Iterator[None]:
    """What is kept of the tables is forgotten before and after."""
    for each in (rows_of, shipped_mark_of):
        each.cache_clear()
    yield
    for each in (rows_of, shipped_mark_of):
        each.cache_clear()


def ship(monkeypatch: pytest.MonkeyPatch, type_name: str, changed: Mapping[str, SearchParameter]) -> None:
    """Let a type have other parameters, and no other type: a server of other tests may be storing its audit."""
    parameters = {type_name: MappingProxyType(changed)}
    monkeypatch.setattr(
        fingerprints, "shipped_parameters_of", lambda name: parameters.get(name) or shipped_parameters_of(name)
    )
    rows_of.cache_clear()


def test_another_form_or_parameter_has_another_mark(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = dict(shipped_parameters_of("Task"))
    before, rows = mark_of("Task", []), dict(rows_of("Task"))

    def other(**parameters: SearchParameter) -> str:
        ship(monkeypatch, "Task", {**shipped, **parameters})
        shipped_mark_of.cache_clear()
        return mark_of("Task", [])

    assert other() == before
    assert other(status=replace(shipped["status"], targets=("X",))) == before
    assert other(status=replace(shipped["status"], paths=shipped["priority"].paths)) != before
    assert {code for code, row in rows_of("Task").items() if rows[code] != row} == {"status"}
    assert other(more=shipped["status"]) != before
    assert mark_of("Task", ["b", "a"]) == mark_of("Task", ["a", "b"]) != mark_of("Task", ["a"])


def test_an_age_waits_for_the_dates_that_it_is_counted_from(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped, rows = dict(shipped_parameters_of("Patient")), dict(rows_of("Patient"))
    changed = {**shipped, "birthdate": replace(shipped["birthdate"], paths=shipped["death-date"].paths)}
    ship(monkeypatch, "Patient", changed)

    assert {code for code, row in rows_of("Patient").items() if rows[code] != row} == {"age", "birthdate"}
