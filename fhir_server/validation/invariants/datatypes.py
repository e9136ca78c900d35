"""Invariants of datatypes. https://hl7.org/fhir/R4/datatypes.html"""

from fhir_server.validation.invariants.words import UCUM, Fields, Invariant, Invariants, all_of, choice, has, in_order

_MEALS = frozenset({"C", "CM", "CD", "CV"})


def _comparable(low: Fields, high: Fields) -> bool:
    return all(low.get(name) == high.get(name) for name in ("system", "code")) and (
        "code" in low or low.get("unit") == high.get("unit")
    )


def _low_to_high(value: Fields) -> bool:
    low, high = value.get("low", {}), value.get("high", {})
    if "value" not in low or "value" not in high or not _comparable(low, high):
        return True
    return bool(low["value"] <= high["value"])


def _both_or_extension(ratio: Fields) -> bool:
    return ("numerator" in ratio) == ("denominator" in ratio) and ("numerator" in ratio or "extension" in ratio)


def _has_needed(trigger: Fields) -> bool:
    kind = trigger.get("type", "")
    if kind == "named-event":
        return has(trigger, "name")
    if kind == "periodic":
        return choice(trigger, "timing") is not None
    return "data" in trigger if kind.startswith("data-") else True


def _ucum_unit(quantity: Fields) -> bool:
    """dis-1 and its like: a value needs a code, and the system can only be UCUM."""
    return (has(quantity, "code") or not has(quantity, "value")) and quantity.get("system", UCUM) == UCUM


def _needs(key: str, given: str, needed: str) -> Invariant:
    return Invariant(
        key, f"{given} needs {needed} beside it.", lambda element: not has(element, given) or has(element, needed)
    )


def _path_or_search(key: str) -> Invariant:
    text = "Either path or searchParam must be given, and not both."
    return Invariant(key, text, lambda f: has(f, "path") != has(f, "searchParam"))


_QTY_3 = _needs("qty-3", "code", "system")

INVARIANTS: Invariants = {
    "Extension": (
        Invariant(
            "ext-1",
            "An extension must have either a value or extensions of its own, and not both.",
            lambda e: ("extension" in e) != (choice(e, "value") is not None),
        ),
    ),
    "Period": (
        Invariant("per-1", "The start must not be after the end.", lambda p: in_order(p.get("start"), p.get("end"))),
    ),
    "Range": (Invariant("rng-2", "low must not be greater than high.", _low_to_high),),
    "Ratio": (
        Invariant("rat-1", "numerator and denominator must be given together, or an extension.", _both_or_extension),
    ),
    "Quantity": (_QTY_3,),
    "SimpleQuantity": (_QTY_3,),
    "Age": (
        _QTY_3,
        Invariant(
            "age-1",
            "An age must be positive, with a UCUM code.",
            lambda q: _ucum_unit(q) and q.get("value", 1) > 0,
        ),
    ),
    "Count": (
        _QTY_3,
        Invariant(
            "cnt-3",
            "A count must be a whole number with the UCUM code 1.",
            lambda q: _ucum_unit(q) and q.get("code", "1") == "1" and "." not in str(q.get("value", "")),
        ),
    ),
    "Distance": (_QTY_3, Invariant("dis-1", "A distance must have a UCUM code.", _ucum_unit)),
    "Duration": (
        _QTY_3,
        Invariant(
            "drt-1",
            "A duration with a code must have a value and the system UCUM.",
            lambda q: not has(q, "code") or (q.get("system") == UCUM and has(q, "value")),
        ),
    ),
    "ContactPoint": (_needs("cpt-2", "value", "system"),),
    "Attachment": (_needs("att-1", "data", "contentType"),),
    "Expression": (
        Invariant(
            "exp-1",
            "An expression or a reference to one must be given.",
            lambda e: has(e, "expression") or has(e, "reference"),
        ),
    ),
    "DataRequirement.codeFilter": (_path_or_search("drq-1"),),
    "DataRequirement.dateFilter": (_path_or_search("drq-2"),),
    "TriggerDefinition": (
        Invariant(
            "trd-1",
            "Either data or a timing may be given, not both.",
            lambda t: "data" not in t or choice(t, "timing") is None,
        ),
        _needs("trd-2", "condition", "data"),
        Invariant(
            "trd-3",
            "A named event needs a name, a periodic one a timing, a data event data.",
            _has_needed,
        ),
    ),
    "Timing.repeat": (
        _needs("tim-1", "duration", "durationUnit"),
        _needs("tim-2", "period", "periodUnit"),
        Invariant("tim-4", "The duration must not be negative.", lambda r: r.get("duration", 0) >= 0),
        Invariant("tim-5", "The period must not be negative.", lambda r: r.get("period", 0) >= 0),
        _needs("tim-6", "periodMax", "period"),
        _needs("tim-7", "durationMax", "duration"),
        _needs("tim-8", "countMax", "count"),
        Invariant(
            "tim-9",
            "An offset needs a when, and not a meal itself (C, CM, CD, CV).",
            lambda r: not has(r, "offset") or (has(r, "when") and _MEALS.isdisjoint(all_of(r, "when"))),
        ),
        Invariant(
            "tim-10",
            "Either timeOfDay or when may be given, not both.",
            lambda r: not (has(r, "timeOfDay") and has(r, "when")),
        ),
    ),
}
