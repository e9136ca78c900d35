"""A narrative formats text and cannot act."""

import pytest

from fhir_server.validation.narrative import check_xhtml

XMLNS = 'xmlns="http://www.w3.org/1999/xhtml"'


def div(content: str) -> str:
    return f"<div {XMLNS}>{content}</div>"


@pytest.mark.parametrize(
    "narrative",
    [
        div("Some text"),
        div("<p class='x'>é &amp; &#160; <b>bold</b><br/></p>"),
        div("<img src='#photo' alt='x'/>"),
        div("<p>&#160;</p>"),
        div("<img src='data:image/png;base64,AAAA'/>"),
        div("<a href='https://samen.example/x'>x</a><a href='Patient/1'>y</a><a name='z'/>"),
        div("<table style='border: 1px solid; background: url(line.png)'><tr><td colspan='2'>x</td></tr></table>"),
        f"<div {XMLNS} xml:lang='nl' lang='nl'><!-- a comment -->x</div>",
        '<h:div xmlns:h="http://www.w3.org/1999/xhtml"><h:p>x</h:p></h:div>',
        f"<div {XMLNS}>\n<ul><li>x</li></ul>\n</div>\n",
    ],
)
def test_formatted_text_is_a_narrative(narrative: str) -> None:
    assert check_xhtml(narrative, []) == ()


@pytest.mark.parametrize(
    "narrative",
    [
        div("<script>alert(1)</script>"),
        div("<SCRIPT>alert(1)</SCRIPT>"),
        div("<p onclick='alert(1)'>x</p>"),
        div("<iframe src='x'/>x"),
        div("<form action='x'>x</form>"),
        div("<object data='x'>x</object>"),
        div("<style>p {}</style>x"),
        div("<a href='javascript:alert(1)'>x</a>"),
        div("<a href=' JaVa&#10;Script:alert(1)'>x</a>"),
        div("<a href='data:text/html,x'>x</a>"),
        div("<img src='vbscript:x'/>"),
        div("<img src='data:image/svg+xml,x'/>"),
        div("<p style='width: expression(alert(1))'>x</p>"),
        div("<p style='background: url(https://elsewhere.example/x.png)'>x</p>"),
        div("<p style='background: url( \"//elsewhere.example/x.png\")'>x</p>"),
        div("<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>x"),
        div("<p>" * 100 + "x" + "</p>" * 100),
        "<div>no namespace</div>",
        f"<p {XMLNS}>no div</p>",
        "<?xml version='1.0'?><?php x ?>" + div("x"),
        "<!DOCTYPE div [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>]>" + div("&b;"),
    ],
)
def test_what_may_act_is_refused(narrative: str) -> None:
    (found,) = check_xhtml(narrative, [])

    assert (found.code, found.rule) == ("invariant", "txt-1")


@pytest.mark.parametrize("narrative", [div(" \t\n&#13;"), div("<br/>"), div("<img alt='x'/>")])
def test_narrative_says_something(narrative: str) -> None:
    (found,) = check_xhtml(narrative, [])

    assert (found.code, found.rule) == ("invariant", "txt-2")


def test_a_byte_order_mark_is_no_part_of_a_narrative() -> None:
    (found,) = check_xhtml("\ufeff" + div("x"), [])

    assert (found.code, found.rule) == ("invariant", "txt-1")


@pytest.mark.parametrize("narrative", ["text", "", "<div", div("<p>x"), div("&nbsp;"), div("x") * 2, "\ud800", 1, None])
def test_what_is_not_well_formed_is_refused(narrative: object) -> None:
    (found,) = check_xhtml(narrative, [])

    assert found.code == "structure"
