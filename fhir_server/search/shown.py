"""What a search shows: resources of which types, and which of their elements.

https://hl7.org/fhir/R4/search.html#elements
"""

from collections.abc import Sequence

from fhir_server.definitions.structures import load
from fhir_server.definitions.summaries import spelt
from fhir_server.search.clauses import NotServed
from fhir_server.search.includes import EVERY_TYPE

_FEW = 3


def shown_types(searched: Sequence[str], contained: str | None) -> Sequence[str]:
    """The types of what a search of some types shows: with `_contained`, what contains them and may be of any."""
    return [*searched, *(each for each in EVERY_TYPE if each not in searched)] if contained else searched


def elements_named(shown: Sequence[str], text: str) -> tuple[str, ...]:
    """The elements that `_elements` names, each of one of the types: `value`, `value[x]` and `valueQuantity` are one.

    Raises NotServed, and lists what there is.
    """
    elements = {each.name for type_name in shown for each in load().elements(type_name)}
    written = {name: element for type_name in shown for name, element in spelt(type_name).items()}
    asked = [each.removesuffix("[x]") for each in text.split(",")]
    unknown = [each for each in asked if each not in elements and each not in written]
    if not unknown:
        return tuple(dict.fromkeys(each if each in elements else written[each] for each in asked))
    few = shown[:_FEW]
    told = f"'_elements' takes elements of {', '.join(few)} {'itself' if len(few) == 1 else 'themselves'}"
    there = sorted({each.name for type_name in few for each in load().elements(type_name)})
    have = "it has" if len(few) == 1 else "they have"
    raise NotServed(f"{told}, not {', '.join(map(repr, unknown))}; {have} {', '.join(there)}.")
