"""A client gets what it was given or less, never more."""

import pytest

from fhir_server.auth.scopes import covers, is_scope


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("system/*.cruds", "system/*.cruds"),
        ("system/*.cruds", "system/Task.rs"),
        ("system/Task.crus", "system/Task.u"),
        ("samen/import", "samen/import"),
    ],
)
def test_the_same_or_a_narrower_scope_is_covered(granted: str, asked: str) -> None:
    assert covers([granted], asked)


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("system/Task.rs", "system/Task.cruds"),
        ("system/Task.rs", "system/Patient.rs"),
        ("system/Task.cruds", "system/*.r"),
        ("system/*.cruds", "samen/import"),
        ("system/*.cruds", "samen/operate"),
        ("samen/import", "samen/operate"),
        ("system/*.cruds", "user/*.cruds"),
        ("nonsense", "nonsense"),
        ("system/*.cruds", "system/Task.sr"),
        ("system/*.cruds", "system/Task.rs?status=draft"),
    ],
)
def test_a_wider_or_unknown_scope_is_not_covered(granted: str, asked: str) -> None:
    assert not covers([granted], asked)


@pytest.mark.parametrize("scope", ["system/*.", "system/*.rw", "system/task.r", "patient/*.r", "samen/all", "", "*"])
def test_what_is_not_understood_is_no_scope(scope: str) -> None:
    assert not is_scope(scope)
