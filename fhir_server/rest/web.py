"""A Flask application that knows which addresses are FHIR's: there one rule takes every path."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from flask import Flask, Request
from werkzeug.routing import Map, MapAdapter, Rule


class Web(Flask):
    """Flask; what lies below `fhir_path`, which ends in a slash, goes to its one rule without a look at the others."""

    fhir_path = ""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """The adapter that matches the request's address."""
        if request is None or not self.fhir_path or not request.path.startswith(self.fhir_path):
            return super().create_url_adapter(request)
        return _OneRule(self.url_map, request, self._fhir_rule, request.path[len(self.fhir_path) :])

    @cached_property
    def _fhir_rule(self) -> Rule:
        return next(rule for rule in self.url_map.iter_rules() if rule.rule == f"{self.fhir_path}<anything:path>")


class _OneRule(MapAdapter):
    """An address that one rule takes, for the methods that the rule has; nothing there is led elsewhere."""

    def __init__(self, url_map: Map, request: Request, rule: Rule, rest: str) -> None:
        super().__init__(url_map, "", request.root_path, "", request.scheme, request.path, request.method)
        self._rule = rule
        self._rest = rest

    def match(self, *asked: Any, **how: Any) -> tuple[Any, Mapping[str, Any]]:
        """The rule with the rest of the path, as Flask asks for it; whatever else is asked, by all rules."""
        if (
            not asked
            and how == {"return_rule": True}
            and self._rest
            and self.default_method in (self._rule.methods or ())
        ):
            return self._rule, {"path": self._rest}
        return super().match(*asked, **how)
