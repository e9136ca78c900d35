"""Bundles spliced from stored bytes: no resource is parsed on the way out.

https://hl7.org/fhir/R4/bundle.html
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote_plus

from fhir_server.fhir.dates import instant
from fhir_server.fhir.json import Resource, encode
from fhir_server.fhir.outcome import Issue, operation_outcome
from fhir_server.fhir.short_texts import kept_of_short
from fhir_server.interactions.conditions import etag
from fhir_server.store.values import Page, Shown, Stored

_METHOD_STATUS = {"POST": "201 Created", "PUT": "200 OK", "PATCH": "200 OK", "DELETE": "204 No Content"}


def searchset(
    base_url: str,
    place: str,
    parameters: Sequence[tuple[str, str]],
    page: Page[Shown],
    *,
    matches: bool = True,
    skipped: Sequence[tuple[str, str]] = (),
) -> bytes:
    """The searchset Bundle of a page: its links, the total when it was asked, entries with their mode.

    `place` is where it was searched, "" for the base. `skipped` are the parameters that a lenient search left out; an
    OperationOutcome at the end names them.
    """
    asked = _address(base_url, place, parameters)
    links = [{"relation": "self", "url": asked}]
    if matches and (page.next or page.previous):
        without = [pair for pair in parameters if pair[0] != "_cursor"]
        links += _ways(asked if len(without) == len(parameters) else _address(base_url, place, without), page)
    head: Resource = {"resourceType": "Bundle", "type": "searchset"}
    if page.total is not None:
        head["total"] = page.total
    head["link"] = links
    entries = _entries(base_url, page.matches, b'"search":{"mode":"match"}') if matches else []
    entries += _entries(base_url, page.included, b'"search":{"mode":"include"}')
    if skipped:
        entries.append(_outcome(skipped))
    return _spliced(head, entries)


def history_page(
    base_url: str,
    place: str,
    versions: Sequence[Stored],
    own: Sequence[tuple[str, str]],
    following: Sequence[tuple[str, str]] | None,
) -> bytes:
    """The history Bundle of a page of versions, newest first; a deletion is an entry without a resource.

    `own` are the parameters of this page, `following` those of the next one when there is one.
    """
    links = [{"relation": "self", "url": _address(base_url, place, own)}]
    if following is not None:
        links.append({"relation": "next", "url": _address(base_url, place, following)})
    head: Resource = {"resourceType": "Bundle", "type": "history", "link": links}
    entries = [entry for version in versions for entry in _entries(base_url, [version], _history_part(version))]
    return _spliced(head, entries)


def response_bundle(kind: str, entries: Iterable[Resource]) -> bytes:
    """A batch-response or transaction-response; of one version that comes twice, the first has the fullUrl (bdl-7)."""
    told, known = list(entries), set[tuple[str, Any]]()
    for position, entry in enumerate(told):
        if "fullUrl" in entry:
            version = (entry["fullUrl"], entry["resource"].get("meta", {}).get("versionId"))
            if version in known:
                told[position] = {name: value for name, value in entry.items() if name != "fullUrl"}
            known.add(version)
    return encode({"resourceType": "Bundle", "type": kind, **({"entry": told} if told else {})})


def _history_part(version: Stored) -> bytes:
    url = version.type if version.method == "POST" else version.reference
    request = {"method": version.method, "url": url}
    response = {
        "status": "201 Created" if version.creates else _METHOD_STATUS[version.method],
        "etag": etag(version.version),
        "lastModified": instant(version.last_updated),
    }
    return b'"request":' + encode(request) + b',"response":' + encode(response)


def _entries(base_url: str, shown: Iterable[Shown], rest: bytes) -> list[bytes]:
    """An entry for each, which ends with `rest`; types and ids are written as they are, nothing in them is escaped."""
    begin = b'{"fullUrl":' + encode(f"{base_url}/")[:-1]
    return [
        b"%b%b/%b%b%b,%b}"
        % (
            begin,
            stored.type.encode(),
            stored.id.encode(),
            b'"' if stored.deleted else b'","resource":',
            stored.body if not stored.deleted else b"",
            rest,
        )
        for stored in shown
    ]


def _outcome(skipped: Sequence[tuple[str, str]]) -> bytes:
    left_out = dict.fromkeys(f"{name} ({text}) was left out of the search." for name, text in skipped)
    told = [Issue("not-supported", each, severity="warning") for each in left_out]
    return encode({"resource": operation_outcome(told), "search": {"mode": "outcome"}})


def _spliced(head: Resource, entries: Sequence[bytes]) -> bytes:
    opened = encode(head)[:-1]
    if not entries:
        return opened + b"}"
    return opened + b',"entry":[' + b",".join(entries) + b"]}"


def _ways(first: str, page: Page[Shown]) -> Iterator[dict[str, str]]:
    """The links from a page to the one at the address `first`, and to those around it."""
    yield {"relation": "first", "url": first}
    joint = "&" if "?" in first else "?"
    for relation, cursor in (("next", page.next), ("previous", page.previous)):
        if cursor:
            # Written in characters that an address takes as they are.
            yield {"relation": relation, "url": f"{first}{joint}_cursor={cursor}"}


def _address(base_url: str, place: str, parameters: Sequence[tuple[str, str]]) -> str:
    asked = "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in parameters])
    return f"{base_url}/{place}".rstrip("/") + (f"?{asked}" if asked else "")


# The same few words, and the people who are asked about all day.
_quoted: Callable[[str], str] = kept_of_short(quote_plus, longest=99, most=2048)
