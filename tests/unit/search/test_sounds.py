"""Names that sound alike have one key, those that do not have others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.search.sounds import LONGEST_RUN, groups_of, key_of, keys_of, words_of

# fmt: off
ALIKE = [
    *("Janssens Jansens Janssen", "Dupont Dupond", "Meyer Maier Meier Mayer Meijer", "Peeters Peters Pieters"),
    *("De-Smet Desmet De-Smedt Desmedt", "Thijs Tys Thys Tijs", "Renault Renaud Renaux", "Schmidt Schmitt Schmid"),
    *("Schulz Schultz Schulze", "Müller Mueller Muller", "Hendrickx Hendriks Hendrix Hendericks", "Claes Klaas Claeys"),
    *("De-Jonghe De-Jong Dejonghe", "Lefevre Lefebvre Lefèvre", "Declercq De-Clerck", "D'Hondt Dhondt Dhont"),
    *("Bauwens Bouwens", "Stephan Stefaan Stéphane", "Catherine Katrien Kathrin", "Christine Kristien Kristin"),
    *("Philippe Filip Phillip", "Sophie Sofie Sofia", "Jacques Jaques Jack", "Georges George Georg", "Marc Mark"),
    *("Mohammed Mohamed Muhammad", "François Francois", "Michaux Michaud Michaut", "Hermans Herremans Hermann"),
    *("Vandenbroucke Van-den-Broecke Vandenbroeck", "Franz Frans Frantz", "Seghers Segers Zegers", "Cools Kools"),
    *("Wouters Wauters", "Martens Mertens Maertens", "Köhler Koehler", "Cuypers Kuijpers", "Elisabeth Elizabeth"),
    *("Stevens Stephens", "Lawrence Laurence", "Weiss Weiß", "Abd-al-Raḥmān ʿAbdalrahman"),
    *("Иванов иванов", "O'Neill Oneil"),
]
UNLIKE = [
    *(("Meyer", "Marie"), ("Meyer", "De Moor"), ("Hans", "An"), ("Jans", "Jan"), ("Peeters", "Bieters")),
    *(("Claes", "Cools"), ("Marie", "Moreau"), ("White", "Wood"), ("Dubois", "Dupont"), ("Janssens", "Jonckheere")),
    *(("Willems", "Wouters"), ("Martin", "Maton"), ("Иванов", "Петров"), ("李", "王"), ("123", "124"), ("An", "Anna")),
    ("Koen", "Gan"),
]
# fmt: on
WORDS = st.text(alphabet="abcdeghijklmnopqrstuvwxyz éçñßöĳŒ'-ʿµ李ʹ1½", max_size=12)


@pytest.mark.parametrize("names", ALIKE)
def test_names_that_sound_alike_have_a_key_in_common(names: str) -> None:
    first, *others = names.split()
    for other in others:
        assert set(keys_of(first)) & {key_of("".join(words_of(other)))}, other


@pytest.mark.parametrize(("one", "other"), UNLIKE)
def test_names_that_sound_unlike_have_none_in_common(one: str, other: str) -> None:
    assert set(keys_of(one)).isdisjoint(keys_of(other))


@given(WORDS)
def test_a_name_has_a_key_as_soon_as_it_has_a_word_however_it_is_written(name: str) -> None:
    assert all(keys_of(name))
    assert bool(keys_of(name)) == bool(words_of(name))
    assert keys_of(name.upper()) == keys_of(name.upper().lower())


@given(st.lists(st.sampled_from(["de", "smet", "van", "den", "berghe", "an"]), min_size=1, max_size=6))
def test_words_are_taken_together_in_every_way(words: list[str]) -> None:
    groups = groups_of(tuple(words))

    assert tuple(map(key_of, words)) in groups
    assert all(set(group) <= set(keys_of(" ".join(words))) for group in groups)
    assert (len(words) <= LONGEST_RUN) == ((key_of("".join(words)),) in groups)


def test_a_long_name_has_few_keys() -> None:
    assert len(keys_of("Algemeen Ziekenhuis Sint-Jan " * 1000)) < 150
