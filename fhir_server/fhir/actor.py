"""Who acts."""

from dataclasses import dataclass, field

IMPORT = "samen/import"
OPEN_PLANS = "samen/open-plans"
OPERATE = "samen/operate"
CLEARED = "samen/restricted"


@dataclass(frozen=True)
class Actor:
    """Whoever an access token or a sign-in session speaks for.

    `organization` and `person` are references such as `Organization/7` and `Practitioner/3`; at least one is given.
    """

    organization: str | None = None
    person: str | None = None
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = field(default_factory=frozenset)
    client_id: str | None = None

    @property
    def parties(self) -> tuple[str, ...]:
        """The party keys that this actor may act for: its person first, then its organisation."""
        return tuple(key for key in (self.person, self.organization) if key)

    @property
    def author(self) -> str:
        """The party that owns what this actor writes: its organisation, or the person who acts alone."""
        author = self.organization or self.person
        if author is None:
            raise ValueError("an actor acts for an organisation or a person")
        return author

    @property
    def imports(self) -> bool:
        """True for the operator's audited import scope."""
        return IMPORT in self.scopes

    @property
    def chooses_ids(self) -> bool:
        """True when the actor may create under an id of its own by PUT.

        The import scope alone does not: whether an id is free would tell what others have.
        """
        return self.imports and OPERATE in self.scopes
