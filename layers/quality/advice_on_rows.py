"""Advice on what rows hold: refusals, missing positions, unknown codes, personal values, duplicates, empty columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from layers.declared_sources import Source
from layers.quality.advice import ROWS, Document, Level, Recommendation, columns_of
from layers.quality.reasons import REASONS, reason_text
from layers.quality.wording import PERSONAL, counted, date_form, listed, percent, whole
from layers.values import Text

_FEW_ROWS: Final = 5
_FEW_SHARE: Final = 0.001
_FEW_REASONS: Final = 3
"""Reasons of fewer rows than five or one in a thousand are named together, when there are three of them or more."""
_UNLOCATED_SHARE: Final = 0.001
_EMPTY_SHARE: Final = 0.5
_SHOWN_LABELS: Final = 8
_EQUAL_ROWS: Final = (("ligne en tout point égale", "lignes en tout point égales"), ("row equal", "rows equal"))
_CLOSE_RECORDS: Final = (("enregistrement proche", "enregistrements proches"), ("record close", "records close"))
_EMPTY_BY_NATURE: Final = frozenset(
    {"ended_at", "ends_at", "in_service_to", "other_name", "observed_until", "precision_m"}
)


def refused_rows(document: Document, source: Source) -> Iterator[Recommendation]:
    """Refused rows: one sentence for each reason that weighs, one for all the rest."""
    refused = [reject for reject in document["rejects"] if reject["last"]]
    least = max(_FEW_ROWS, _FEW_SHARE * document["last"]["rows"])
    few = [reject for reject in refused if reject["last"] < least]
    if len(few) < _FEW_REASONS:
        few = []
    for reject in refused:
        if reject not in few:
            yield _refusal(reject, source)
    if few:
        number = sum(reject["last"] for reject in few)
        names = [reason_text(reject["reason"]) for reject in few]
        rows = counted(number, ("faute isolée", "fautes isolées"), ("single fault", "single faults"))
        text = Text(
            fr=f"{rows.fr} : {listed([n.fr.lower() for n in names], _SHOWN_LABELS).fr}. À faire : corriger les lignes "
            "citées plus bas et les renvoyer.",
            en=f"{rows.en}: {listed([n.en.lower() for n in names], _SHOWN_LABELS).en}. To do: correct the rows named "
            "below and send them again.",
        )
        evidence = {"rows": number, "reasons": {reject["reason"]: reject["last"] for reject in few}}
        yield Recommendation("single_faults", "correct", text, number, evidence)


def _refusal(reject: Mapping[str, Any], source: Source) -> Recommendation:
    reason, number = reject["reason"], reject["last"]
    title = reason_text(reason)
    advice = REASONS[reason][1] if reason in REASONS else Text(fr="vérifier ces lignes", en="check these rows")
    fields = sorted({str(row["field"]) for row in reject["rows"] if row["field"] is not None})
    where = ", ".join(columns_of(name, source) for name in fields)
    seen, expected = _forms(reject, fields, source)
    rows = counted(number, *ROWS)
    text = Text(
        fr=f"{title.fr} : {rows.fr}{f' ({where})' if where else ''}. À faire : {advice.fr}{seen.fr}{expected.fr}.",
        en=f"{title.en}: {rows.en}{f' ({where})' if where else ''}. To do: {advice.en}{seen.en}{expected.en}.",
    )
    evidence = {"reason": reason, "rows": number, "first_rows": [row["row"] for row in reject["rows"]]}
    return Recommendation("refused_rows", "correct", text, number, evidence)


def _forms(reject: Mapping[str, Any], fields: list[str], source: Source) -> tuple[Text, Text]:
    """Forms in which refused dates were written (9 is any digit), and the one that is expected."""
    nothing = Text(fr="", en="")
    if reject["reason"] not in {"invalid_date", "impossible_date"}:
        return nothing, nothing
    forms = reject["forms"][:3]
    seen = Text(
        fr=f" ; formes reçues : {', '.join(f'« {form} »' for form in forms)}",
        en=f"; forms received: {', '.join(f'“{form}”' for form in forms)}",
    )
    formats = [rule.format for name in fields if (rule := source.columns.get(name)) is not None and rule.format]
    wanted = [date_form(each) for each in dict.fromkeys(formats)]
    expected = Text(
        fr=f" ; forme attendue : {', '.join(w.fr for w in wanted)}",
        en=f"; form expected: {', '.join(w.en for w in wanted)}",
    )
    return (seen if forms else nothing), (expected if wanted else nothing)


def unlocated_rows(document: Document, source: Source) -> Iterator[Recommendation]:
    """Rows without a position."""
    last = document["last"]
    if last["located"] is None or not last["accepted"]:
        return
    missing, share = last["not_located"], last["not_located"] / last["accepted"]
    if share < _UNLOCATED_SHARE:
        return
    fr, en = "joindre X et Y, ou une adresse complète", "join X and Y, or a full address"
    if "address" not in source.columns:
        fr, en = "joindre X et Y, ou ajouter une colonne d’adresse", "join X and Y, or add a column of addresses"
    rows = counted(missing, *ROWS)
    text = Text(
        fr=f"{percent(share).fr} des lignes ({whole(missing).fr}) n’ont pas de position : {fr}. "
        "Elles sont comptées partout comme « non localisé » et absentes des cartes.",
        en=f"{percent(share).en} of rows ({rows.en}) have no position: {en}. "
        "They are counted everywhere as “non localisé” and are on no map.",
    )
    yield Recommendation("not_located", "correct", text, missing, {"rows": missing, "share": round(share, 6)})


def unmapped_codes(document: Document, _source: Source) -> Iterator[Recommendation]:
    """Codes that the city file does not translate."""
    codes = document["unmapped"]
    if not codes:
        return
    number = sum(codes.values())
    ordered = sorted(codes.items(), key=lambda item: (-item[1], item[0]))
    shown = listed([f"{code} ({whole(n).fr})" for code, n in ordered], _SHOWN_LABELS)
    rows = counted(number, *ROWS)
    text = Text(
        fr=f"{rows.fr} avec un code que la nomenclature ne connaît pas : {shown.fr}. "
        f"À faire : nous dire ce que {'ces codes désignent' if len(codes) > 1 else 'ce code désigne'}.",
        en=f"{rows.en} with a code that the taxonomy does not know: {shown.en}. "
        f"To do: tell us what {'they stand' if len(codes) > 1 else 'it stands'} for.",
    )
    yield Recommendation("unmapped_codes", "correct", text, number, {"codes": dict(ordered)})


def personal_values(document: Document, _source: Source) -> Iterator[Recommendation]:
    """Personal values that were masked on arrival."""
    for column, kinds in document["masked"].items():
        number = sum(kinds.values())
        names = [PERSONAL.get(kind, Text(fr=kind, en=kind)) for kind in kinds]
        values = counted(number, ("valeur personnelle", "valeurs personnelles"), ("personal value", "personal values"))
        hidden, them = ("masquées", "conservées"), "les"
        if number == 1:
            hidden, them = ("masquée", "conservée"), "la"
        text = Text(
            fr=f"{values.fr} dans la colonne {column} ({', '.join(n.fr for n in names)}) : {hidden[0]} à l’arrivée et "
            f"{hidden[1]} nulle part. À faire : {them} retirer à la source.",
            en=f"{values.en} in column {column} ({', '.join(n.en for n in names)}): masked on arrival and kept "
            "nowhere. To do: remove at the source.",
        )
        yield Recommendation("personal_values", "correct", text, number, {"column": column, "kinds": dict(kinds)})


def duplicates(document: Document, source: Source) -> Iterator[Recommendation]:
    """Rows that may be one fact, and sources whose rows have no id."""
    found = document["duplicates"]
    if found["equal_rows"]:
        rows = counted(found["equal_rows"], *_EQUAL_ROWS)
        several = found["equal_rows"] > 1
        if source.merge_equal_rows:
            level: Level = "know"
            text = Text(
                fr=f"{rows.fr} à une autre : {'elles ont été réunies' if several else 'elle lui a été réunie'}.",
                en=f"{rows.en} to another one in every column: {'they were' if several else 'it was'} merged.",
            )
        else:
            level = "check"
            text = Text(
                fr=f"{rows.fr} à une autre, {'comptées et gardées' if several else 'comptée et gardée'} : "
                "double saisie, ou faits distincts ?",
                en=f"{rows.en} to another one in every column, counted and kept: typed twice, or distinct facts?",
            )
        yield Recommendation("equal_rows", level, text, found["equal_rows"], {"rows": found["equal_rows"]})
    if found["near_duplicates"]:
        rows = counted(found["near_duplicates"], *_CLOSE_RECORDS)
        text = Text(
            fr=f"{rows.fr}, par le lieu et l’heure, du même fait dans une autre source : un seul est gardé et "
            "porte la liste des autres.",
            en=f"{rows.en} in place and time to the same fact in another source: one is kept and lists the others.",
        )
        yield Recommendation(
            "near_duplicates", "know", text, found["near_duplicates"], {"rows": found["near_duplicates"]}
        )
    if "record_id" not in source.columns:
        text = Text(
            fr="Aucun identifiant par ligne : une ligne corrigée passe pour une ligne nouvelle. À faire : joindre un "
            "numéro qui ne change pas d’un envoi à l’autre.",
            en="No id per row: a corrected row looks like a new one. To do: join a number that stays the same from one "
            "delivery to the next.",
        )
        yield Recommendation("no_record_id", "check", text)


def empty_columns(document: Document, source: Source) -> Iterator[Recommendation]:
    """Columns that are mostly empty."""
    for entry in document["completeness"]:
        if entry["field"] in _EMPTY_BY_NATURE or not entry["of"] or entry["share"] >= _EMPTY_SHARE:
            continue
        missing = entry["of"] - entry["filled"]
        share, column = percent(entry["share"]), columns_of(entry["field"], source)
        text = Text(
            fr=f"La colonne {column} n’est renseignée qu’à {share.fr} : la remplir, ou nous dire qu’elle ne sert plus.",
            en=f"Column {column} is filled in {share.en} of rows only: fill it, or tell us that it is no longer used.",
        )
        yield Recommendation(
            "empty_field", "check", text, missing, {"field": entry["field"], "filled": entry["filled"]}
        )
