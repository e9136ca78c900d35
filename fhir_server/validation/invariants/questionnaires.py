"""Invariants of Questionnaire and QuestionnaireResponse. https://hl7.org/fhir/R4/questionnaire.html"""

from collections.abc import Callable, Iterator

from fhir_server.validation.invariants.words import Fields, Invariant, Invariants, distinct, has, has_any

_WITH_LENGTH = frozenset({"boolean", "decimal", "integer", "string", "text", "url", "open-choice"})
_WITH_OPTIONS = frozenset(
    {"choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity"}
)


def _link_ids(holder: Fields) -> Iterator[str]:
    for item in holder.get("item", ()):
        if "linkId" in item:
            yield item["linkId"]
        yield from _link_ids(item)


def _groups_have_items(item: Fields) -> bool:
    if item.get("type") == "group":
        return "item" in item
    return item.get("type") != "display" or "item" not in item


def _absent(*names: str, when: Callable[[Fields], bool]) -> Callable[[Fields], bool]:
    """The elements must be absent `when` the item is of a certain kind."""
    return lambda item: not (when(item) and has_any(item, *names))


def _is_display(item: Fields) -> bool:
    return item.get("type") == "display"


INVARIANTS: Invariants = {
    "Questionnaire": (Invariant("que-2", "Each linkId must be unique.", lambda q: distinct(_link_ids(q))),),
    "Questionnaire.item": (
        Invariant("que-1", "A group must have items, and a display must not.", _groups_have_items),
        Invariant("que-3", "A display has no code.", _absent("code", when=_is_display)),
        Invariant(
            "que-4",
            "Either answerOption or answerValueSet may be given, not both.",
            lambda item: not (has(item, "answerOption") and has(item, "answerValueSet")),
        ),
        Invariant(
            "que-5",
            "Only choices, numbers, dates, times, strings and quantities have answer options.",
            _absent("answerOption", "answerValueSet", when=lambda item: item.get("type") not in _WITH_OPTIONS),
        ),
        Invariant(
            "que-6", "A display is neither required nor repeated.", _absent("required", "repeats", when=_is_display)
        ),
        Invariant(
            "que-8",
            "A group or display has no initial value.",
            _absent("initial", when=lambda item: item.get("type") in ("group", "display")),
        ),
        Invariant("que-9", "A display is not readOnly.", _absent("readOnly", when=_is_display)),
        Invariant(
            "que-10",
            "maxLength goes with a simple question only.",
            _absent("maxLength", when=lambda item: item.get("type") not in _WITH_LENGTH),
        ),
        Invariant(
            "que-11",
            "With answer options, mark one of them as initially selected instead of giving an initial value.",
            lambda item: not (has(item, "answerOption") and has(item, "initial")),
        ),
        Invariant(
            "que-12",
            "More than one condition needs an enableBehavior.",  # what R4 says in words; its FHIRPath counts to two
            lambda item: len(item.get("enableWhen", ())) <= 1 or has(item, "enableBehavior"),
        ),
        Invariant(
            "que-13",
            "Only a repeating item may have several initial values.",
            lambda item: item.get("repeats") is True or len(item.get("initial", ())) <= 1,
        ),
    ),
    "Questionnaire.item.enableWhen": (
        Invariant(
            "que-7",
            "The operator exists compares with a boolean.",
            lambda when: when.get("operator") != "exists" or has(when, "answerBoolean"),
        ),
    ),
    "QuestionnaireResponse.item": (
        Invariant(
            "qrs-1",
            "Items stand below the answers, or in the item when it has none.",
            lambda item: not ("answer" in item and "item" in item),
        ),
    ),
}
