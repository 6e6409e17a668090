"""What the server answers when it cannot do what was asked: OGC exceptions, in the reader's language."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

from layers.city import Text

Language = Literal["fr", "en"]


class OgcError(Exception):
    """An answer other than success.

    Parameters
    ----------
    status
        HTTP status.
    code
        Short code for programs (``InvalidParameterValue``, ``NotFound`` …).
    text
        What was wrong and what is expected, for people. It never tells anything internal.
    headers
        Headers of the answer (``Allow`` for 405 …).
    """

    def __init__(self, status: HTTPStatus, code: str, text: Text, headers: dict[str, str] | None = None) -> None:
        super().__init__(text.en)
        self.status = status
        self.code = code
        self.text = text
        self.headers = dict(headers or {})

    def document(self, language: Language) -> dict[str, Any]:
        """Return the OGC exception document: ``code``, ``description``, and the status for people who read it."""
        return {
            "code": self.code,
            "type": f"http://www.opengis.net/def/exceptions/ogcapi/1.0/{self.code}",
            "status": int(self.status),
            "description": self.text[language],
        }


def bad_parameter(name: str, fr: str, en: str) -> OgcError:
    """400: the value of one query parameter cannot be understood or is not supported."""
    text = Text(fr=f"Paramètre « {name} » : {fr}", en=f"Parameter '{name}': {en}")
    return OgcError(HTTPStatus.BAD_REQUEST, "InvalidParameterValue", text)


def not_found(fr: str, en: str) -> OgcError:
    """404: no such resource, for this profile."""
    return OgcError(HTTPStatus.NOT_FOUND, "NotFound", Text(fr=fr, en=en))


def no_collection() -> OgcError:
    """404 for a collection; the id is not echoed."""
    return not_found("cette collection n’existe pas.", "there is no such collection.")


def no_run() -> OgcError:
    """503: nothing has been published yet."""
    return OgcError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "NoRun",
        Text(
            fr="Rien n’est encore publié : lancez « calanque build », la page répondra dès que le résultat sera prêt.",
            en="Nothing is published yet: run 'calanque build'; this address will answer as soon as it is done.",
        ),
        {"Retry-After": "30"},
    )
