"""What went wrong, in FHIR's words.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fhir_server.fhir.json import Resource


@dataclass(frozen=True)
class Issue:
    """One finding: FHIR's issue code, a sentence, the element path (`Task.owner`), the rule that was broken."""

    code: str
    diagnostics: str
    path: str | None = None
    rule: str | None = None
    severity: str = "error"

    def below(self, prefix: str) -> "Issue":
        """The same issue seen from a Bundle: its path starts at the entry, as in `Bundle.entry[2].resource.status`."""
        path = f"{prefix}.{self.path.partition('.')[2]}".rstrip(".") if self.path else prefix
        return Issue(self.code, self.diagnostics, path, self.rule, self.severity)


def operation_outcome(issues: Iterable[Issue]) -> Resource:
    """The OperationOutcome that tells `issues`."""
    return {"resourceType": "OperationOutcome", "issue": [_as_element(issue) for issue in issues]}


def _as_element(issue: Issue) -> Resource:
    element: Resource = {"severity": issue.severity, "code": issue.code}
    if issue.rule:
        element["details"] = {"coding": [{"system": "https://samen.example/fhir/CodeSystem/rule", "code": issue.rule}]}
    element["diagnostics"] = issue.diagnostics
    if issue.path:
        element["expression"] = [issue.path]
    return element
