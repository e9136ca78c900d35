"""Passwords are kept as argon2id, and nobody learns from the time taken whether a user exists."""

from unittest.mock import patch

import pytest
from argon2 import PasswordHasher

from fhir_server.auth import passwords
from fhir_server.auth.passwords import hash_password, is_password, needs_new_hash


def test_a_password_is_known_by_its_hash() -> None:
    kept = hash_password("correct horse battery")
    assert kept.startswith("$argon2id$")
    assert "horse" not in kept
    assert is_password("correct horse battery", kept)
    assert not is_password("correct horse batterz", kept)


def test_two_people_with_one_password_have_two_hashes() -> None:
    assert hash_password("correct horse battery") != hash_password("correct horse battery")


def test_a_letter_may_be_typed_in_two_ways() -> None:
    assert is_password("caf\u00e9 caf\u00e9 caf\u00e9", hash_password("cafe\u0301 cafe\u0301 cafe\u0301"))


def test_an_unknown_user_costs_the_same_work_and_is_nobody() -> None:
    with patch.object(passwords, "_HASHER", wraps=passwords._HASHER) as hasher:
        assert not is_password("correct horse battery", None)
    (checked, _), _ = hasher.verify.call_args
    assert checked.split("$")[3] == hash_password("correct horse battery").split("$")[3]


@pytest.mark.parametrize("password", ["", "short", "elevenchars", "x" * 1025])
def test_a_password_of_a_wrong_length_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match="12 to 1024 characters"):
        hash_password(password)


@pytest.mark.parametrize("kept", ["", "plain", "$argon2id$v=19$broken"])
def test_a_broken_hash_admits_nobody(kept: str) -> None:
    assert not is_password("correct horse battery", kept)


def test_a_hash_of_weaker_parameters_is_to_be_replaced() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse battery")
    assert needs_new_hash(weak)
    assert not needs_new_hash(hash_password("correct horse battery"))
