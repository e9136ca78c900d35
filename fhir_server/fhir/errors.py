"""Why a request is refused.

FhirError
├── MalformedRequest    the request itself cannot be understood          400
├── Unauthenticated     no token, or one that proves nothing             401
├── Forbidden           readable, but this actor may not do this         403
├── TooCostly           the search would examine too much                403
├── NotFound            absent, or not readable: the same to a stranger  404
│   ├── UnknownType     a resource type that is not stored here          404
│   └── UnknownAddress  an address that nobody has                       404
├── MethodNotAllowed    the address exists, not with this method         405
├── NotAcceptable       no format that we speak was accepted             406
├── StillReferred       others refer to what was to be deleted           409
├── IdTaken             another resource has the id already            409
├── Gone                deleted, told to those who could read it         410
├── LengthRequired      the body may have broken off                     411
├── VersionConflict     somebody changed the resource since it was read  412
│   └── MultipleMatches a condition matches more than one resource       412
├── TooLarge            the body, or what would be stored                413
├── UnsupportedMedia    the body is not in a format that we read         415
├── InvalidResource     structure, references or invariants              422
│   └── InvalidWorkflow a rule of care coordination                      422
├── NotYetIndexed       a search parameter that is being indexed         503
└── Unavailable         the store or the audit store does not answer     503

An error carries issues; the one table of statuses is `interactions/statuses.py`.
"""

from collections.abc import Iterable

from fhir_server.fhir.outcome import Issue


class FhirError(Exception):
    """A refusal; `issues` says what is wrong, where, and what would be right."""

    code = "exception"

    def __init__(
        self,
        diagnostics: str = "",
        path: str | None = None,
        rule: str | None = None,
        *,
        issues: list[Issue] | None = None,
    ) -> None:
        self.issues = issues if issues is not None else [Issue(self.code, diagnostics, path, rule)]
        super().__init__("; ".join(issue.diagnostics for issue in self.issues))

    def below(self, prefix: str) -> "FhirError":
        """The same error seen from a Bundle entry."""
        return type(self)(issues=[issue.below(prefix) for issue in self.issues])


class MalformedRequest(FhirError):
    """The request itself cannot be understood."""

    code = "invalid"


class Unauthenticated(FhirError):
    """No token, or one that proves nothing."""

    code = "login"


class Forbidden(FhirError):
    """The actor may read this, but not do this to it."""

    code = "forbidden"


class NotFound(FhirError):
    """Absent, or not readable by this actor: one constant answer, so that a stranger learns nothing."""

    code = "not-found"

    def __init__(self, *, issues: list[Issue] | None = None) -> None:
        super().__init__("There is no such resource, or you may not read it.", issues=issues)


class UnknownType(NotFound):
    """The resource type is not one that this server stores."""

    code = "not-supported"

    def __init__(self, type_name: str = "", known: Iterable[str] = (), *, issues: list[Issue] | None = None) -> None:
        told = f"This server stores no resources of the type {type_name!r}; it stores {', '.join(sorted(known))}."
        super().__init__(issues=issues or [Issue("not-supported", told)])


class UnknownAddress(NotFound):
    """There is no such address at all, whoever asks; the message says what may be wrong with it."""

    def __init__(self, told: str = "", *, issues: list[Issue] | None = None) -> None:
        super().__init__(issues=issues or [Issue(self.code, told, rule="address")])


class Gone(FhirError):
    """Deleted; only those who could read it are told so."""

    code = "deleted"


class MethodNotAllowed(FhirError):
    """The address exists, but not with this method."""

    code = "not-supported"


class NotAcceptable(FhirError):
    """No format that this server speaks was accepted."""

    code = "not-supported"


class LengthRequired(FhirError):
    """The body says neither how long it is nor where it ends, and may have broken off."""

    code = "required"


class StillReferred(FhirError):
    """Other resources refer to what was to be deleted."""

    code = "conflict"


class IdTaken(FhirError):
    """What was to be created has the id of a resource that is there, and was not meant."""

    code = "duplicate"


class VersionConflict(FhirError):
    """Somebody else changed the resource since this version was read."""

    code = "conflict"


class MultipleMatches(VersionConflict):
    """The condition of a conditional interaction matches more than one resource."""

    code = "multiple-matches"


class TooLarge(FhirError):
    """The body, or what would be stored, is over the limit."""

    code = "too-long"


class UnsupportedMedia(FhirError):
    """The body is not in a format that this server reads."""

    code = "not-supported"


class InvalidResource(FhirError):
    """Structure, references or invariants are broken; nothing was stored."""

    code = "invalid"


class InvalidWorkflow(InvalidResource):
    """A rule of care coordination is broken; nothing was stored."""

    code = "business-rule"


class TooCostly(FhirError):
    """The search would examine too much; the message says how to narrow it."""

    code = "too-costly"


class NotYetIndexed(FhirError):
    """A search parameter was defined a while ago, and not all that is stored is indexed by it yet."""

    code = "transient"


class Unavailable(FhirError):
    """The store, or the audit store, does not answer; nothing was done."""

    code = "transient"
