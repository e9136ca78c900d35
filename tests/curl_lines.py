"""The curl lines of the documents as requests, so that tests perform what the pages say."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

_QUOTED_OR_BROKEN = re.compile(r"('[^']*')|\\\n")


@dataclass(frozen=True)
class Asked:
    """What a curl line sends; the headers are named as `world.Party.ask` takes them, without Authorization."""

    method: str
    url: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


def asked_by(line: str, base: str, files: Mapping[str, bytes] | None = None) -> Asked:
    """The request of `curl ... "$BASE/..."`; every line authenticates with `Authorization: Bearer $TOKEN`.

    `files` are those that `-d @name` sends.
    """
    method, url, body, headers = "", "", None, dict[str, str]()
    words = iter(shlex.split(line.replace("$BASE", base).replace("\\$", "$"))[1:])
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-I":
            method = "HEAD"
        elif word == "-d":
            given = next(words)
            body = (files or {})[given[1:]] if given.startswith("@") else given.encode()
        elif word == "--data-urlencode":
            name, _, value = next(words).partition("=")
            body = urlencode({name: value}).encode()
            headers["Content_Type"] = "application/x-www-form-urlencoded"
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name.replace("-", "_")] = value
        else:
            url = word
    assert headers.pop("Authorization") == "Bearer $TOKEN"
    method = method or ("GET" if body is None else "POST")
    return Asked(method, url.removeprefix(f"{base}/"), body, headers)


def commands_of(page: str) -> list[str]:
    """The curl commands of a page, each whole: what is indented further than `curl` goes on with it.

    As in a shell, a backslash at the end of a line joins it to the next, but within single quotes, where it stays.
    """
    found: list[str] = []
    goes_on = False
    for line in page.splitlines():
        begins = line.startswith("    curl ")
        if begins:
            found.append(line.strip())
        elif goes_on and line.startswith("     "):
            found[-1] += f"\n{line.strip()}"
        goes_on = begins or (goes_on and line.startswith("     "))
    return [_QUOTED_OR_BROKEN.sub(lambda match: match[1] or " ", command) for command in found]
