"""What changed between two deliveries, said to its producer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from layers.quality.wording import CHANGES, decimal, percent, whole
from layers.values import Text


def change_sentence(change: Mapping[str, Any], column: Callable[[str], str]) -> Text:
    """Say what changed and by how much.

    Parameters
    ----------
    change
        :meth:`layers.quality.drift.Change.document`.
    column
        Names the delivery's columns behind a field.
    """
    what, name = change["what"], CHANGES[change["what"]]
    before, after = change["before"], change["after"]
    if what in {"located", "rejected", "filled"}:
        about = f" {column(change['about'])}" if what == "filled" else ""
        return Text(
            fr=f"{name.fr}{about} : {percent(before).fr} auparavant, {percent(after).fr} maintenant",
            en=f"{name.en}{about}: {percent(before).en} before, {percent(after).en} now",
        )
    if what == "vanished":
        return Text(
            fr=f"{name.fr} : {change['about']}, {percent(before).fr} des lignes auparavant",
            en=f"{name.en}: {change['about']}, {percent(before).en} of rows before",
        )
    if what == "new":
        return Text(
            fr=f"{name.fr} : {change['about']}, {percent(after).fr} des lignes",
            en=f"{name.en}: {change['about']}, {percent(after).en} of rows",
        )
    if what in {"volume", "rows"}:
        write = decimal if what == "volume" else whole
        return Text(
            fr=f"{name.fr} : {write(before).fr} auparavant, {write(after).fr} maintenant",
            en=f"{name.en}: {write(before).en} before, {write(after).en} now",
        )
    share = percent(change["distance"])
    return Text(fr=f"{name.fr} : {share.fr} des lignes déplacées", en=f"{name.en}: {share.en} of rows moved")


_QUESTIONS: Mapping[str, tuple[str, str]] = {
    "hours": ("le service ou la saisie ont-ils changé ?", "did the service or the way of recording change?"),
    "weekdays": ("le service ou la saisie ont-ils changé ?", "did the service or the way of recording change?"),
    "classes": ("est-ce la réalité, ou une autre façon de classer ?", "is it reality, or another way to classify?"),
    "codes": ("est-ce la réalité, ou une autre façon de coder ?", "is it reality, or another way to code?"),
    "precision": ("le géocodage a-t-il changé ?", "did geocoding change?"),
    "intervals": ("la saisie des dates de fin a-t-elle changé ?", "did the recording of ends change?"),
    "provenance": ("l’activité des agents a-t-elle changé ?", "did the activity of officers change?"),
    "located": ("les coordonnées sont-elles encore exportées ?", "are coordinates still exported?"),
    "rejected": ("l’export a-t-il changé de forme ?", "did the export change its form?"),
    "filled": ("la colonne est-elle encore exportée ?", "is the column still exported?"),
    "vanished": ("le code a-t-il été renommé ou abandonné ?", "was the code renamed or given up?"),
    "new": ("que désigne-t-il ?", "what does it stand for?"),
    "volume": ("l’export est-il entier ?", "is the export whole?"),
    "rows": (
        "un envoi complet ne diminue pas ainsi ; l’export est-il entier ?",
        "a complete delivery does not shrink like this; is the export whole?",
    ),
}


def change_recommendation(change: Mapping[str, Any], column: Callable[[str], str]) -> Text:
    """Say what changed, and ask what its producer alone can know."""
    sentence = change_sentence(change, column)
    fr, en = _QUESTIONS[change["what"]]
    shift = change["detail"].get("shift_hours")
    if shift:
        amount = f"{shift:+d} h"
        fr = f"la journée entière est décalée d’environ {amount} : fuseau horaire (UTC ou heure locale) à vérifier"
        en = f"the whole day is shifted by about {amount}: check the time zone (UTC or local time)"
    end = "." if shift else ""
    return Text(
        fr=f"Depuis l’envoi précédent, {_lowered(sentence.fr)} : {fr}{end}",
        en=f"Since the previous delivery, {_lowered(sentence.en)}: {en}{end}",
    )


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
