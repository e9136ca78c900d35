"""Invariants of Measure and MeasureReport."""

from fhir_server.validation.invariants.words import Invariant, Invariants, has, has_any

INVARIANTS: Invariants = {
    "Measure": (
        Invariant(
            "mea-1",
            "A stratifier must have either components or a code, description or criteria.",
            lambda measure: all(
                has_any(stratifier, "code", "description", "criteria") != ("component" in stratifier)
                for group in measure.get("group", ())
                for stratifier in group.get("stratifier", ())
            ),
        ),
    ),
    "MeasureReport": (
        Invariant(
            "mrp-1",
            "A report of the type data-collection has no groups.",
            lambda report: report.get("type") != "data-collection" or "group" not in report,
        ),
        Invariant(
            "mrp-2",
            "A stratum must have either a value or components.",
            lambda report: all(
                has(stratum, "value") != ("component" in stratum)
                for group in report.get("group", ())
                for stratifier in group.get("stratifier", ())
                for stratum in stratifier.get("stratum", ())
            ),
        ),
    ),
}
