"""Searches of the contract, asked of MongoDB."""

from collections.abc import Callable, Sequence
from datetime import datetime

from fhir_server.search.grant import Grant, GrantsFor
from fhir_server.search.query import Query
from fhir_server.store.mongo.answering import Answering
from fhir_server.store.mongo.circles.documents import circle_from
from fhir_server.store.mongo.connection import asking
from fhir_server.store.mongo.contained import is_contained
from fhir_server.store.mongo.search import going_through, searching, several
from fhir_server.store.values import Circle, Match, Page, Stored


class SearchReading(Answering):
    """Pages, and what searches go through; each ends within the time of searches."""

    def search(
        self,
        query: Query,
        grants: Sequence[Grant],
        moment: datetime,
        grants_for: GrantsFor | None = None,
    ) -> Page[Stored]:
        """The query AND any grant, decided inside the database; `grants_for(type)` judges what is included."""
        # What a match refers to was known to whoever wrote it.
        self._before_asking(query.type, *(each.type for each in query.includes if each.reverse))
        with asking(self._seconds):
            return searching.search(
                self._database,
                query,
                grants,
                moment,
                secret=self._secret,
                grants_for=grants_for,
                session=self._session,
                max_time_ms=self._search_ms,
            )

    def search_about(
        self,
        patient: str,
        query: Query,
        grants_from: Callable[[Sequence[Circle]], Sequence[Grant]],
        moment: datetime,
    ) -> Page[Match] | None:
        """The page by the circles that were seen last, when the same question finds that they are still the same.

        None when they are others by now, or were never seen.
        """
        circles = (
            self._seen_circles.about(patient) if self._seen_circles is not None and self._session is None else None
        )
        if self._seen_circles is None or circles is None:
            return None
        self._before_asking(query.type)
        questions = self._asked_together()
        with asking(self._seconds):
            found = searching.search_beside_circles(
                self._database, questions, query, grants_from(circles), moment, patient, secret=self._secret
            )
        if found is None:
            return None
        page, documents = found
        there = sorted(map(circle_from, documents), key=lambda circle: circle.plan)
        if there != circles:
            self._seen_circles.keep(patient, there)
            return None
        return page

    def search_several(
        self,
        asked: Sequence[tuple[Query, Sequence[Grant]]],
        moment: datetime,
        grants_for: GrantsFor | None = None,
    ) -> Page[Stored]:
        """What several queries of different types ask, each with its grants, as one page and what they include."""
        sought = [each.type for each in asked[0][0].includes if each.reverse]
        self._before_asking(*(query.type for query, _ in asked), *sought)
        with asking(self._seconds):
            return several.search_several(
                self._database,
                asked,
                moment,
                secret=self._secret,
                grants_for=grants_for,
                session=self._session,
                max_time_ms=self._search_ms,
            )

    def linked(
        self, query: Query, grants: Sequence[Grant], moment: datetime, *, parameter: str | None, limit: int
    ) -> list[str]:
        """`Type/id` of what the query AND any grant find, or of what these refer to by `parameter`.

        Raises TooCostly when more than `limit` are found.
        """
        self._before_asking(query.type)
        with asking(self._seconds):
            return going_through.linked(
                self._database,
                query,
                grants,
                moment,
                parameter=parameter,
                limit=limit,
                session=self._session,
                max_time_ms=self._search_ms,
            )

    def contains(self, type_name: str, contained: str) -> bool:
        """Whether some resource of the type contains one of the other type, whoever may read it."""
        with asking(self._seconds):
            return is_contained(self._database, type_name, contained, self._session)

    def plans_beside(self, query: Query, patient: str, limit: int) -> list[str]:
        """The plans of what the query finds that is about somebody else, whoever may read it."""
        with asking(self._seconds):
            return going_through.plans_beside(
                self._database, query, patient, limit, session=self._session, max_time_ms=self._search_ms
            )

    def lying_in(
        self,
        plan: str,
        type_name: str,
        grants: Sequence[Grant],
        moment: datetime,
        *,
        after: str | None = None,
        since: datetime | None = None,
        count: int,
    ) -> list[Stored]:
        """At most `count` current resources of a type that lie in the plan AND any grant admits, by id: those behind
        the id `after`, updated since then."""
        self._before_asking(type_name)
        with asking(self._seconds):
            collection = self._collection(type_name)
            page = going_through.Slice(plan, after, since, count)
            return going_through.lying_in(
                collection, page, grants, moment, session=self._session, max_time_ms=self._search_ms
            )
