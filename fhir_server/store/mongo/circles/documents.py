"""How circles lie in MongoDB: one document for each plan, whose `_id` is the plan's id."""

from datetime import datetime

from fhir_server.store.mongo.documents import Document, readers_from, readers_kept
from fhir_server.store.values import Circle


def circle_document(circle: Circle) -> Document:
    """The document of a circle; its `_id` is the plan's id."""
    return {
        "_id": circle.plan,
        "patient": circle.patient,
        "programme": circle.programme,
        "author": circle.author,
        "custodian": circle.custodian,
        "team": circle.team,
        "members": readers_kept(circle.members),
        "pending": list(circle.pending),
        "former": readers_kept(circle.former),
        "offered": readers_kept(circle.offered),
        "open": circle.open,
    }


def circle_from(document: Document) -> Circle:
    """The circle that a document tells of."""
    return Circle(
        plan=document["_id"],
        patient=document["patient"],
        programme=document["programme"],
        author=document["author"],
        custodian=document["custodian"],
        team=document["team"],
        members=readers_from(document["members"]),
        pending=tuple(document["pending"]),
        former=readers_from(document["former"]),
        offered=readers_from(document.get("offered", [])),
        open=document["open"],
    )


def keeping(moment: datetime) -> Document:
    """The expression of `Circle.keeper` for the document of a circle."""
    admits = [{"$eq": ["$$this.p", "$custodian"]}, {"$lte": ["$$this.f", moment]}, {"$gt": ["$$this.u", moment]}]
    admitted_now = {"$anyElementTrue": [{"$map": {"input": "$members", "in": {"$and": admits}}}]}
    return {"$cond": [admitted_now, "$custodian", "$_id"]}
