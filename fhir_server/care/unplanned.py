"""Orders, consents and goals that lie in no plan yet: their author's own, and still what they say they are."""

from collections.abc import Collection

from fhir_server.care import order_states
from fhir_server.care.asking import check_requester
from fhir_server.care.elements import check_elements
from fhir_server.care.parties import AUTHOR, REQUESTER, Directory
from fhir_server.fhir.change import Change

_OWN = frozenset({AUTHOR, REQUESTER})


def check_unplanned(change: Change, acting: Collection[str], directory: Directory) -> None:
    """Refuse what an author may not do with its own: asking in another's name, changing an order that was sent.

    Only the author reads what lies in no plan, so whoever comes here is the author.
    """
    if change.after is None:
        return
    check_elements(change, _OWN, directory)
    if change.type == "ServiceRequest":
        check_requester(change.after, acting, directory)
        earlier = change.before["status"] if change.before else None
        order_states.check_move(earlier, change.after["status"], _OWN)
