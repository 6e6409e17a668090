"""Fixed texts of the map page, in both languages."""

from __future__ import annotations

from ogc_server.errors import Language

_TEXTS: dict[str, tuple[str, str]] = {
    "site": ("Calanque", "Calanque"),
    "map": ("Carte", "Map"),
    "skip": ("Aller à la carte", "Skip to the map"),
    "skip_table": ("Aller au tableau", "Skip to the table"),
    "layers": ("Couches", "Layers"),
    "choose": ("Choisir une autre couche", "Choose another layer"),
    "theme": ("Thème", "Theme"),
    "theme_hint": (
        "Une couche sans thème, ou sans celui-ci, montre tout.",
        "A layer without themes, or without this one, shows everything.",
    ),
    "show": ("Afficher", "Show"),
    "legend": ("Légende", "Legend"),
    "method": ("Méthode", "Method"),
    "table": ("En tableau", "As a table"),
    "open_qgis": ("Ouvrir dans QGIS", "Open in QGIS"),
    "qgis_1": (
        "Menu Couche › Ajouter une couche › Ajouter une couche WFS / OGC API – Features.",
        "Menu Layer › Add Layer › Add WFS / OGC API – Features Layer.",
    ),
    "qgis_2": ("Nouvelle connexion, avec cette adresse :", "New connection, with this address:"),
    "qgis_3": (
        "Version « OGC API – Features », puis Connexion : choisir la collection.",
        "Version “OGC API – Features”, then Connect: choose the collection.",
    ),
    "qgis_4": (
        "Clic droit sur la couche › Propriétés › Symbologie › Style › Charger le style, avec ce fichier :",
        "Right-click the layer › Properties › Symbology › Style › Load Style, with this file:",
    ),
    "qgis_tiles": (
        "Ou, sans télécharger les objets : Ajouter une couche de tuiles vectorielles, avec cette adresse de style :",
        "Or, without downloading features: Add Vector Tile Layer, with this style address:",
    ),
    "style_file": ("style QML", "QML style"),
    "data": ("Données et services", "Data and services"),
    "collection": ("Description de la collection", "Description of the collection"),
    "features": ("Objets (GeoJSON)", "Features (GeoJSON)"),
    "api": ("Documentation de l’API", "API documentation"),
    "home": ("Accueil du service", "Service home page"),
    "style": ("Style MapLibre", "MapLibre style"),
    "period": ("Période d’analyse", "Analysis period"),
    "colon": (" :", ":"),
    "as_of": ("données au", "data as of"),
    "run": ("publication", "run"),
    "caution": (
        "Lecture descriptive de faits enregistrés : ni une prévision, ni un jugement sur des personnes.",
        "A description of recorded facts: neither a forecast nor a judgement on anyone.",
    ),
    "left_out": (
        "Sans JavaScript, la carte montre les enregistrements localisés les plus récents ; non dessinés :",
        "Without JavaScript, the map shows the latest located records; not drawn:",
    ),
    "other_language": ("English", "Français"),
    "region": ("Carte interactive", "Interactive map"),
    "keyboard": (
        "Au clavier : flèches pour se déplacer, + et − pour zoomer, Entrée pour lire l’objet au centre.",
        "Keyboard: arrows to move, + and − to zoom, Enter to read the feature at the centre.",
    ),
    "no_position": ("sans position", "without a position"),
    "empty": ("Aucune ligne.", "No rows."),
}


def wording(language: Language) -> dict[str, str]:
    """Return the texts of the page in one language."""
    index = 0 if language == "fr" else 1
    return {key: texts[index] for key, texts in _TEXTS.items()}
