"""XML says what JSON says: every digit, every order, every sibling, the narrative to the letter."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.fhir.json import Resource
from fhir_server.fhir.json import decode as decode_json
from fhir_server.rest.xml.decode import decode
from fhir_server.rest.xml.encode import encode
from tests.minimal import minimal

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
XMLNS = 'xmlns="http://hl7.org/fhir"'
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
URL = "https://samen.example/x"
# What XML 1.0 can write.
CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from(
    '\t\r\n&<>"'
)


def patient(**elements: Any) -> Resource:
    """A Patient with these elements."""
    return {"resourceType": "Patient", **elements}


def with_narrative(div: str) -> Resource:
    """A Patient that tells about itself."""
    return patient(text={"status": "generated", "div": div})


def extension(**value: Any) -> Resource:
    """An element that holds an extension."""
    return {"extension": [{"url": URL, **value}]}


def document(inner: str, root: str = "Patient") -> bytes:
    """An XML document of a resource."""
    return f"{HEAD}<{root} {XMLNS}>{inner}</{root}>".encode()


@pytest.mark.parametrize(
    ("inner", "resource"),
    [
        ('<id value="a"/><active value="true"/>', patient(id="a", active=True)),
        ('<name><given value="An"/><given value="Mia"/></name>', patient(name=[{"given": ["An", "Mia"]}])),
        (
            '<birthDate id="b" value="1960"><extension url="https://samen.example/x"><valueCode value="c"/></extension>'
            "</birthDate>",
            patient(birthDate="1960", _birthDate={"id": "b", **extension(valueCode="c")}),
        ),
        (
            '<birthDate><extension url="https://samen.example/x"><valueCode value="c"/></extension></birthDate>',
            patient(_birthDate=extension(valueCode="c")),
        ),
        (
            '<name id="n"><given value="An"/><given id="g" value="Mia"/></name>',
            patient(name=[{"id": "n", "given": ["An", "Mia"], "_given": [None, {"id": "g"}]}]),
        ),
        (
            '<name><given id="g" value="An"/><given value="Mia"/></name>',
            patient(name=[{"given": ["An", "Mia"], "_given": [{"id": "g"}, None]}]),
        ),
        (
            '<name><given><extension url="https://samen.example/x"><valueCode value="c"/></extension></given>'
            '<given value="Mia"/></name>',
            patient(name=[{"given": [None, "Mia"], "_given": [extension(valueCode="c"), None]}]),
        ),
        (
            '<name><given><extension url="https://samen.example/x"><valueCode value="c"/></extension></given></name>',
            patient(name=[{"_given": [extension(valueCode="c")]}]),
        ),
        (
            '<contained><Organization><id value="o"/><name value="Home"/></Organization></contained>'
            '<contained><Practitioner><id value="p"/></Practitioner></contained><active value="false"/>',
            patient(
                contained=[
                    {"resourceType": "Organization", "id": "o", "name": "Home"},
                    {"resourceType": "Practitioner", "id": "p"},
                ],
                active=False,
            ),
        ),
        ("", patient()),
    ],
)
def test_json_and_xml_say_the_same(inner: str, resource: Resource) -> None:
    spelt = document(inner) if inner else f"{HEAD}<Patient {XMLNS}/>".encode()

    assert encode(resource) == spelt
    assert decode(spelt) == resource


@pytest.mark.parametrize(
    "digits",
    ["1.00", "0.000001000", "-0.0", "123456789012345678901234567890.10", "100", "98765432109876543210", "1E+3", "1e-7"],
)
def test_decimals_keep_every_digit(digits: str) -> None:
    quantity = decode_json(f'{{"value":{digits}}}'.encode())
    observation = minimal("Observation", valueQuantity=quantity)

    read = decode(encode(observation))["valueQuantity"]["value"]

    assert (type(read), str(read)) == (type(quantity["value"]), str(quantity["value"]))


def test_values_have_their_json_types() -> None:
    inner = '<multipleBirthInteger value="2"/>'
    assert decode(document(inner)) == patient(multipleBirthInteger=2)
    parts = '<linkId value="1"/><answer><valueDecimal value="2"/></answer><answer><valueDecimal value="2.0"/></answer>'
    read = decode(document(f'<status value="completed"/><item>{parts}</item>', "QuestionnaireResponse"))
    first, second = read["item"][0]["answer"]
    assert type(first["valueDecimal"]) is int
    assert str(second["valueDecimal"]) == "2.0"
    assert type(second["valueDecimal"]) is Decimal


@pytest.mark.parametrize(
    ("name", "text"),
    [("active", "True"), ("active", ""), ("multipleBirthInteger", "two"), ("multipleBirthInteger", "01"),
     ("multipleBirthInteger", "9" * 5000), ("multipleBirthInteger", "[1]")],
)  # fmt: skip
def test_a_value_of_the_wrong_type_stays_text_for_validation_to_refuse(name: str, text: str) -> None:
    assert decode(document(f'<{name} value="{text}"/>')) == patient(**{name: text})


def test_elements_are_written_in_the_order_of_r4() -> None:
    told = {"gender": "female", "_birthDate": {"id": "b"}, "birthDate": "1960", "id": "a", "active": True}
    spelt = '<id value="a"/><active value="true"/><gender value="female"/><birthDate id="b" value="1960"/>'

    assert encode(patient(**told)) == document(spelt)


@pytest.mark.parametrize(
    "div",
    [
        f"<div {XHTML}>Zwarte &amp; witte<br/>regel<br />  <p class='a'>&#160;x &lt; y</p>\n\t</div>",
        f"<div {XHTML}/>",
        f"<div {XHTML}><!-- a remark --><div>in<div/>side</div> € 🌷 <![CDATA[a < b]]></div >",
        f'<div xml:lang="nl" {XHTML} lang="nl">x</div>',
        f"<div\n  {XHTML}\n>x</div>",
    ],
)
def test_a_narrative_is_kept_to_the_letter(div: str) -> None:
    assert decode(encode(with_narrative(div)))["text"]["div"] == div
    assert f'<text><status value="generated"/>{div}</text>'.encode() in encode(with_narrative(div))


@pytest.mark.parametrize(
    ("spelt", "div"),
    [
        (
            '<h:div xmlns:h="http://www.w3.org/1999/xhtml" class="a&quot;">x &amp; <h:b>y</h:b><h:br/></h:div>',
            f'<div {XHTML} class="a&quot;">x &amp; <b>y</b><br></br></div>',
        ),
        (
            f'<div {XHTML} xmlns:h="http://www.w3.org/1999/xhtml"><h:p xml:lang="nl">x</h:p></div>',
            f'<div {XHTML}><p xml:lang="nl">x</p></div>',
        ),
    ],
)
def test_a_narrative_with_prefixes_is_written_anew(spelt: str, div: str) -> None:
    read = decode(document(f'<text><status value="generated"/>{spelt}</text>'))

    assert read == with_narrative(div)


def test_a_narrative_that_inherits_its_namespace_is_written_anew() -> None:
    body = (
        f'<f:Patient xmlns:f="http://hl7.org/fhir" {XHTML}><f:text><f:status value="generated"/><div>x</div></f:text>'
        "</f:Patient>"
    )

    assert decode(body.encode()) == with_narrative(f"<div {XHTML}>x</div>")


def test_a_narrative_of_json_may_begin_with_an_xml_declaration() -> None:
    div = f"<div {XHTML}>x</div>"

    assert decode(encode(with_narrative(f'<?xml version="1.0"?>{div}'))) == with_narrative(div)


@given(st.text(CHARACTERS, min_size=1))
@settings(deadline=None)
def test_any_text_comes_back(text: str) -> None:
    told = patient(name=[{"text": text, "_text": extension(valueString=text)}], language=text)

    assert decode(encode(told)) == told
    assert decode(encode(told, pretty=True)) == told


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\ufffe", "\uffff"])
def test_characters_that_xml_cannot_write_are_replaced(character: str) -> None:
    assert decode(encode(patient(language=f"a{character}b")))["language"] == "a\ufffdb"


def test_pretty_is_the_same_in_lines() -> None:
    div = f"<div {XHTML}>\n one\n</div>"
    told = {**with_narrative(div), "contained": [{"resourceType": "Patient", "id": "c"}], "active": True}

    pretty = encode(told, pretty=True)

    assert decode(pretty) == told
    assert pretty.decode().splitlines() == [
        HEAD,
        f"<Patient {XMLNS}>",
        "  <text>",
        '    <status value="generated"/>',
        f"    <div {XHTML}>",
        " one",
        "</div>",
        "  </text>",
        "  <contained>",
        "    <Patient>",
        '      <id value="c"/>',
        "    </Patient>",
        "  </contained>",
        '  <active value="true"/>',
        "</Patient>",
    ]


@pytest.mark.parametrize("unknown", [{"nickname": "Mia"}, {"_name": [{"id": "x"}]}, {"name": [{"_id": {"id": "x"}}]}])
def test_what_r4_does_not_define_is_never_left_out_silently(unknown: Resource) -> None:
    with pytest.raises(ValueError, match="R4 defines no"):
        encode(patient(**unknown))
