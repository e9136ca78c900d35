"""Dates, numbers, quantities and places are compared as ranges, with every prefix, over HTTP of the real database."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from urllib.parse import quote

import pytest

from fhir_server.fhir import dates
from fhir_server.fhir.json import Resource
from fhir_server.store.mongo.indexing.indexes import keyed
from tests.http.finding import finds, stored
from tests.http.test_searching import ids, observation
from tests.minimal import minimal
from tests.world import Party, World

UCUM = "http://unitsofmeasure.org"


# --- Dates: partial on both sides, ranges on both sides, time zones, ne, ap.

DAY, MONTH, YEAR = "2026-03-05", "2026-03", "2026"
MARCH = {"start": "2026-03-01", "end": "2026-03-31"}
EVENING = "2026-03-05T23:30:00-02:00"  # the sixth in UTC


@pytest.mark.parametrize(
    ("when", "found", "not_found"),
    [
        ({"effectiveDateTime": DAY}, [DAY, MONTH, YEAR, "ge2026-03-05", "le2026-03"], ["2026-03-05T10:00:00Z"]),
        ({"effectiveDateTime": MONTH}, [MONTH, YEAR, "gt2026-03-05", "lt2026-03-05"], [DAY, "sa2026-03-05"]),
        ({"effectiveDateTime": YEAR}, [YEAR, "ge2026", "ap2026-06"], [MONTH, "eb2026-12-31", "sa2026-01-01"]),
        ({"effectivePeriod": MARCH}, [MONTH, "ge2026-03-15", "le2026-03-15", "sa2026-02"], [DAY, "gt2026-03-31"]),
        ({"effectivePeriod": {"start": DAY}}, ["gt2099", "ge2026", "sa2026-03-04"], ["eb2099", YEAR]),
        ({"effectivePeriod": {"end": DAY}}, ["lt1900", "le2026", "eb2026-03-06"], ["sa1900", YEAR]),
        ({"effectiveDateTime": EVENING}, ["2026-03-06", "2026-03-06T01:30:00Z", EVENING], [DAY, "lt2026-03-06"]),
        ({"effectiveDateTime": EVENING}, ["2026-03-06T02:30:00+01:00"], ["2026-03-05T23:30:00Z"]),
    ],
)
def test_dates_are_compared_as_ranges_in_universal_time(
    hosp: Party, patient: str, when: Resource, found: list[str], not_found: list[str]
) -> None:
    made = stored(hosp, observation(patient, **when))

    assert [each for each in found if not finds(hosp, made, "date", each)] == []
    assert [each for each in not_found if finds(hosp, made, "date", each)] == []


DAYS = {
    "2026-03-10": (69, 70),
    "2026-02": (32, 60),
    "2026-03": (60, 91),
    "2026": (1, 366),
    "2025": (-364, 1),
    "2027": (366, 731),
}
EVER = 10**6
PERIODS = {
    ("2026-03-01", "2026-03-31"): (60, 91),
    ("2026-02-15", "2026-03-15"): (46, 75),
    ("2026-03-10", "2026-03-10"): (69, 70),
    ("2025-12", "2027-01"): (-30, 397),
    ("2026-03-10", None): (69, EVER),
    (None, "2026-03-10"): (-EVER, 70),
}
"""The days of the year that a date or a period takes, from the first up to before the last."""

PREFIXES: Mapping[str, Callable[[int, int, int, int], bool]] = {
    "eq": lambda lo, hi, start, end: start <= lo and hi <= end,
    "ne": lambda lo, hi, start, end: not (start <= lo and hi <= end),
    "gt": lambda lo, hi, start, end: hi > end,
    "lt": lambda lo, hi, start, end: lo < start,
    "ge": lambda lo, hi, start, end: hi > end or (start <= lo and hi <= end),
    "le": lambda lo, hi, start, end: lo < start or (start <= lo and hi <= end),
    "sa": lambda lo, hi, start, end: lo >= end,
    "eb": lambda lo, hi, start, end: hi <= start,
}


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("period", PERIODS)
def test_a_period_meets_each_prefix_of_each_date_as_r4_says(
    hosp: Party, patient: str, period: tuple[str | None, str | None], indexed: bool
) -> None:
    stated = {name: day for name, day in zip(("start", "end"), period, strict=True) if day}
    subject = {"subject": {"reference": patient}}
    by_index = minimal("Encounter", references={"Patient": patient}, period=stated, **subject)
    made = stored(hosp, by_index if indexed else minimal("DocumentReference", context={"period": stated}, **subject))
    code = "date" if indexed else "period"
    asked = [(prefix, date) for prefix in PREFIXES for date in DAYS]

    found = {each for each in asked if finds(hosp, made, code, "".join(each))}

    assert (code in keyed(made["resourceType"])) is indexed
    assert found == {(prefix, date) for prefix, date in asked if PREFIXES[prefix](*PERIODS[period], *DAYS[date])}


@pytest.mark.parametrize(
    ("asked", "found"),
    [(f"ne{DAY}", False), ("ne2026-03-06", True), ("ne2026-03", False), (f"ne{DAY}T10:00:00Z", True), ("ne2025", True)],
)
def test_ne_finds_what_is_not_wholly_within(hosp: Party, patient: str, asked: str, found: bool) -> None:
    made = stored(hosp, observation(patient, effectiveDateTime=DAY))

    assert finds(hosp, made, "date", asked) is found


def test_ne_does_not_find_what_has_no_date(hosp: Party, patient: str) -> None:
    assert not finds(hosp, stored(hosp, observation(patient)), "date", "ne2026")


def test_ap_is_wider_the_further_away_the_date_is(hosp: Party, patient: str) -> None:
    year = dates.now().year
    near = stored(hosp, observation(patient, effectiveDateTime=f"{year - 1}-01-01"))
    far = stored(hosp, observation(patient, effectiveDateTime=f"{year - 50}-01-01"))

    assert finds(hosp, far, "date", f"ap{year - 53}")
    assert not finds(hosp, near, "date", f"ap{year - 4}")


# --- Quantities: with and without a unit, by UCUM.


@pytest.mark.parametrize(
    ("value", "found", "not_found"),
    [
        (("5.40", "mg"), ["5.4", "5.40", f"5.4|{UCUM}|mg", f"0.0054|{UCUM}|g", "5.4||mg"], ["5.5", f"5.4|{UCUM}|g"]),
        (("0.0054", "g"), [f"5.4|{UCUM}|mg", f"lt6|{UCUM}|mg"], ["5.4||mg", f"5.4|{UCUM}|mmol"]),
        (("37", "Cel"), [f"98.6|{UCUM}|[degF]", f"310.15|{UCUM}|K"], [f"37|{UCUM}|K"]),
        (("16.0", "kPa"), [f"120|{UCUM}|mm[Hg]", f"ap118|{UCUM}|mm[Hg]"], [f"gt125|{UCUM}|mm[Hg]"]),
        (("72", "{beats}/min"), [f"72|{UCUM}|/min", "72||{beats}/min"], ["72||bpm"]),
    ],
)
def test_quantities_of_one_kind_are_compared_in_common_units(
    hosp: Party, patient: str, value: tuple[str, str], found: list[str], not_found: list[str]
) -> None:
    amount = {"value": Decimal(value[0]), "system": UCUM, "code": value[1]}
    made = stored(hosp, observation(patient, valueQuantity=amount))

    assert [each for each in found if not finds(hosp, made, "value-quantity", each)] == []
    assert [each for each in not_found if finds(hosp, made, "value-quantity", each)] == []


def test_a_quantity_without_a_unit_is_found_by_its_number_alone(hosp: Party, patient: str) -> None:
    made = stored(hosp, observation(patient, valueQuantity={"value": 5}))

    asked = ("5", f"5|{UCUM}|mg", "5||mg")
    assert [finds(hosp, made, "value-quantity", each) for each in asked] == [True, False, False]


# --- Numbers and quantities: each prefix, of points and of ranges.

NUMBERS = ["0.2", "0.30", "0.4", "0.29", "0.31", "3e-1"]
WITHIN = {
    "eq": {"0.2": (0.15, 0.25), "0.30": (0.295, 0.305), "0.4": (0.35, 0.45), "0.29": (0.285, 0.295),
           "0.31": (0.305, 0.315), "3e-1": (0.25, 0.35)},
    "ap": {"0.2": (0.15, 0.25), "0.30": (0.27, 0.33), "0.4": (0.35, 0.45), "0.29": (0.261, 0.319),
           "0.31": (0.279, 0.341), "3e-1": (0.25, 0.35)},
}  # fmt: skip
"""What a number stands for by its digits, and with a tenth of it at least."""

STORED = {"point": (0.3, 0.3), "range": (0.25, 0.35), "from": (0.3, 10.0**9), "to": (-(10.0**9), 0.3)}
NUMBER_PREFIXES: Mapping[str, Callable[[float, float, str], bool]] = {
    "eq": lambda lo, hi, asked: WITHIN["eq"][asked][0] <= lo and hi < WITHIN["eq"][asked][1],
    "ne": lambda lo, hi, asked: not (WITHIN["eq"][asked][0] <= lo and hi < WITHIN["eq"][asked][1]),
    "ap": lambda lo, hi, asked: lo <= WITHIN["ap"][asked][1] and hi >= WITHIN["ap"][asked][0],
    "gt": lambda lo, hi, asked: hi > float(asked),
    "lt": lambda lo, hi, asked: lo < float(asked),
    "ge": lambda lo, hi, asked: hi >= float(asked),
    "le": lambda lo, hi, asked: lo <= float(asked),
    "sa": lambda lo, hi, asked: lo > float(asked),
    "eb": lambda lo, hi, asked: hi < float(asked),
}


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("code", ["probability", "onset-age"])
def test_a_number_and_a_quantity_meet_each_prefix_as_r4_says(hosp: Party, patient: str, kind: str, code: str) -> None:
    unit = {"system": UCUM, "code": "%" if code == "probability" else "a"}
    ends = {name: {"value": each, **unit} for name, each in zip(("low", "high"), STORED[kind], strict=True)}
    ends = {name: end for name, end in ends.items() if abs(end["value"]) < 10**9}
    about = {"references": {"Patient": patient}, "subject": {"reference": patient}}
    if code == "probability":
        probability = {"probabilityDecimal": 0.3} if kind == "point" else {"probabilityRange": ends}
        made = stored(hosp, minimal("RiskAssessment", **about, prediction=[probability]))
    else:
        onset = {"onsetAge": {"value": 0.3, **unit}} if kind == "point" else {"onsetRange": ends}
        made = stored(hosp, minimal("Condition", **about, **onset))
    asked = [(prefix, number) for prefix in NUMBER_PREFIXES for number in NUMBERS]

    found = {each for each in asked if finds(hosp, made, code, "".join(each))}

    assert found == {(prefix, number) for prefix, number in asked if NUMBER_PREFIXES[prefix](*STORED[kind], number)}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("51.0|3.7", "here near"),  # within 50 km
        ("51.0|3.7|60", "here near far"),
        ("51.0|3.7|60|km", "here near far"),
        ("51.0|3.7|60|m", "here"),
        ("51.0|3.7|30|mi", "here near"),
        ("51.0|3.7|35|mi", "here near far"),
        ("51.5|3.7|1|km", "far"),
        ("-51.0|3.7|60|km", ""),
        ("51.0|-176.3|60|km", ""),
        ("51.5|3.7|1|km,51.0|3.7|1|km", "here far"),
    ],
)
def test_near_is_as_far_as_it_says(world: World, asked: str, found: str) -> None:
    tag = {"system": "urn:tags", "code": f"near-{dates.now().timestamp()}"}
    degrees = {"here": 0.0, "near": 0.4, "far": 0.5}  # of 111 km each
    placed = {
        stored(
            world.operator,
            minimal(
                "Location",
                meta={"tag": [tag]},
                position={"longitude": Decimal("3.7"), "latitude": Decimal(str(51.0 + north))},
            ),
        )["id"]: name
        for name, north in degrees.items()
    }

    reply = world.operator.get(f"Location?_tag={tag['code']}&near={quote(asked, safe='')}&_sort=near")

    assert sorted(placed[id] for id in ids(reply)) == sorted(found.split())
