"""Headers that tell that a column holds persons."""

from __future__ import annotations

import pytest

from layers.errors import DeliveryError
from layers.personal import Screen

TELLING = {
    "email": ["email", "E-mail", "EMAIL", "Adresse mail", "courriel", "adresse_courriel", "contactEmail", "MEL"],
    "phone": [
        "telephone", "Téléphone", "Numero de telephone", "tel", "TEL_PORTABLE", "phone_number", "num_portable", "GSM",
    ],
    "plate": [
        "immatriculation", "Immat", "licence plate", "LICENSE_PLATE", "plaque", "plaque_immatriculation",
        "plaque d'immatriculation",
        "numero_plaque", "vehicle_plate",
    ],
    "ip": ["ip", "adresse_ip", "IP address", "ipAddress", "client_ip"],
    "birth_date": [
        "date_naissance", "Date de naissance", "DATE_NAISSANCE", "ddn", "DOB", "birth_date", "lieu de naissance",
        "dateOfBirth", "né_le", "year_of_birth",
    ],
    "national_id": [
        "NIR", "iban", "ssn", "numero_securite_sociale", "numéro de sécurité sociale", "passport_no", "num_cni",
    ],
    "person_name": [
        "nom_plaignant", "NOM PLAIGNANT", "nomPlaignant", "plaignant", "nom_de_famille", "prenom", "Prénom",
        "PRENOMS", "surname",
        "last_name", "lastName", "Full Name", "victim_name", "Nom de la victime", "nom_temoin", "owner_name",
        "nom_agent", "civilité",
        "nom", "NOM", "name", "identite_victime", "adresse_victime", "home_address",
    ],
    "narrative": [
        "commentaire", "Commentaires", "comments", "recit", "Récit des faits", "narrative", "texte libre",
        "exposé des faits",
    ],
}  # fmt: skip

INNOCENT = [
    "nombre", "nb_victimes", "nombre de plaignants", "nom_rue", "nom_site", "Nom du site", "nom_commune", "nom_voie",
    "street_name",
    "renommee", "plaque_rue", "recital", "adresse", "ADRESSE 1", "address", "libelle", "type", "code", "numero",
    "num_voie",
    "telepherique", "zip", "ipc", "shipment", "mailing_zone", "hotel", "naissances", "plateau", "template",
    "commentary_box",
    "observations", "divers", "col7", "licence", "agent_type", "vol_telephone", "type_plaque", "neighbourhood",
    "nom_quartier",
    "date_appel", "statut", "description", "motif", "mobile", "premises_type", "case_desc",
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "header"), [(kind, header) for kind, headers in TELLING.items() for header in headers]
)
def test_a_telling_header_is_refused_by_name(source_of, kind, header):
    screen = Screen(source_of("incidents", {"address": header}), "log.csv")
    with pytest.raises(DeliveryError) as error:
        screen.check_header(["NUM", header])
    assert repr(header) in str(error.value)
    assert "log.csv" in str(error.value)
    assert f"({kind})" in str(error.value)


@pytest.mark.parametrize("header", INNOCENT)
def test_an_innocent_header_passes(source_of, header):
    Screen(source_of("incidents", {"address": header}), "log.csv").check_header([header])


@pytest.mark.parametrize("header", ["nom", "Nom", "NAME", "name", "le nom"])
def test_names_of_places_may_be_called_names(source_of, header):
    Screen(source_of("sensitive_sites", {"name": header}), "sites.csv").check_header([header])
    Screen(source_of("events", {"title": header}), "events.csv").check_header([header])


@pytest.mark.parametrize("header", ["nom_plaignant", "prenom", "telephone", "victim_name"])
def test_persons_are_refused_as_names_of_places_too(source_of, header):
    with pytest.raises(DeliveryError):
        Screen(source_of("sensitive_sites", {"name": header}), "sites.csv").check_header([header])


def test_the_time_of_a_call_is_a_time_and_a_date_of_birth_is_none(source_of):
    Screen(source_of("incidents", {"started_at": "date_appel_telephone"}), "log.csv").check_header(
        ["date_appel_telephone"]
    )
    for header in ("date_naissance", "telephone"):
        with pytest.raises(DeliveryError):
            Screen(source_of("incidents", {"started_at": header}), "log.csv").check_header([header])


def test_columns_that_are_dropped_pseudonymised_or_absent_may_be_called_anything(source_of):
    source = source_of("incidents", {"address": "email"}).model_copy(update={"pseudonymise": ("email",)})
    Screen(source, "log.csv").check_header(["email"])
    Screen(source_of("incidents", {"address": "ADR"}, drop=["telephone"]), "log.csv").check_header(["ADR", "telephone"])
    Screen(source_of("incidents", {"address": "telephone"}), "log.csv").check_header(["ADR"])
