"""What the sample city is made of: themes, categories, sources and the sizes of all that is planted.

Nothing here is drawn: these are the choices, kept in one place because every later oracle rests on them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

SEED = 20260101
CRS_METRIC = "EPSG:2154"
TIME_ZONE = "Europe/Paris"
START = dt.date(2023, 1, 1)
END = dt.date(2025, 12, 31)
DAYS = (END - START).days + 1
INSTALLED = dt.date(2024, 7, 1)
"""First day in service of every camera of the three schemes: 18 months before, 18 after."""


@dataclass(frozen=True)
class Category:
    """A second-level category: its share of the theme, severity (1–4) and how each source calls it.

    ``codes`` maps a source to the source's code and the share of the category's records that it writes.
    ``interval_share`` of the records only have a span of time, up to ``interval_hours`` long.
    """

    key: str
    share: float
    severity: tuple[float, float, float, float]
    codes: tuple[tuple[str, str, float], ...]
    interval_share: float = 0.0
    interval_hours: float = 0.0


@dataclass(frozen=True)
class Theme:
    """A first-level theme: expected records outside planted places, the places' number and the time profile."""

    key: str
    background: float
    hot_places: int
    profile: str
    season_amplitude: float
    season_peak_month: float
    rain_effect: float
    heat_effect: float
    reserved_share: float
    """Share of this theme in the schemes and their matched controls."""
    categories: tuple[Category, ...]
    sensitive: bool = False


MC, VF, AM, CSU = "main_courante", "verbalisations", "allo_mairie", "csu"
LIGHT, MIXED, GRAVE = (0.6, 0.3, 0.1, 0.0), (0.3, 0.4, 0.25, 0.05), (0.05, 0.3, 0.45, 0.2)

THEMES: tuple[Theme, ...] = (
    Theme(
        "vie_nocturne",
        6000,
        5,
        "night",
        0.20,
        7,
        -0.25,
        0.020,
        0.13,
        (
            Category("tapage_nocturne", 0.5, LIGHT, ((MC, "MC101", 0.5), (AM, "BRUIT-NUIT", 0.5))),
            Category("rixe", 0.2, GRAVE, ((MC, "MC102", 0.5), (CSU, "3101", 0.5))),
            Category("ivresse_publique", 0.3, MIXED, ((MC, "MC103", 0.4), (CSU, "3102", 0.6))),
        ),
    ),
    Theme(
        "sites_evenementiels",
        2300,
        0,
        "evening",
        0.15,
        6,
        -0.10,
        0.010,
        0.0,
        (
            Category("debordement_foule", 0.4, MIXED, ((MC, "MC201", 0.5), (CSU, "3201", 0.5))),
            Category("vente_a_la_sauvette", 0.6, LIGHT, ((MC, "MC202", 0.6), (CSU, "3202", 0.4))),
        ),
    ),
    Theme(
        "abords_ecoles",
        2200,
        4,
        "school",
        0.0,
        1,
        -0.05,
        0.0,
        0.04,
        (
            Category("stationnement_ecole", 0.6, LIGHT, ((VF, "V21", 0.7), (AM, "ECOLE-STAT", 0.3))),
            Category("attroupement_ecole", 0.25, MIXED, ((MC, "MC301", 1.0),)),
            Category("degradation_ecole", 0.15, MIXED, ((MC, "MC302", 0.6), (AM, "ECOLE-DEGR", 0.4)), 0.5, 60.0),
        ),
    ),
    Theme(
        "marches",
        2500,
        4,
        "morning",
        0.10,
        6,
        -0.30,
        0.0,
        0.05,
        (
            Category("etal_non_autorise", 0.6, LIGHT, ((MC, "MC401", 0.8), (CSU, "3401", 0.2))),
            Category("dechets_marche", 0.4, LIGHT, ((AM, "MARCHE-DECHETS", 1.0),)),
        ),
    ),
    Theme(
        "chantiers",
        2900,
        4,
        "day",
        0.10,
        5,
        -0.15,
        0.0,
        0.07,
        (
            Category("emprise_irreguliere", 0.5, LIGHT, ((MC, "MC501", 0.6), (AM, "CHANTIER-EMPRISE", 0.4))),
            Category("nuisance_chantier", 0.3, LIGHT, ((AM, "CHANTIER-BRUIT", 1.0),)),
            Category("vol_chantier", 0.2, MIXED, ((MC, "MC502", 1.0),), 0.6, 48.0),
        ),
    ),
    Theme(
        "occupation_espace_public",
        6200,
        5,
        "late_day",
        0.15,
        7,
        -0.20,
        0.015,
        0.20,
        (
            Category("depot_sauvage", 0.55, LIGHT, ((AM, "DEPOT", 0.8), (CSU, "3601", 0.2)), 0.3, 24.0),
            Category("terrasse_irreguliere", 0.2, LIGHT, ((MC, "MC601", 1.0),)),
            Category("occupation_hall", 0.25, MIXED, ((MC, "MC602", 0.6), (AM, "REGROUPEMENT", 0.4))),
        ),
    ),
    Theme(
        "stationnement",
        8600,
        5,
        "day",
        0.05,
        12,
        0.10,
        0.0,
        0.29,
        (
            Category("stationnement_genant", 0.5, LIGHT, ((VF, "V11", 0.85), (AM, "STAT-GENANT", 0.15))),
            Category("double_file", 0.25, LIGHT, ((VF, "V12", 0.7), (CSU, "3701", 0.3))),
            Category("vehicule_ventouse", 0.15, LIGHT, ((VF, "V13", 0.5), (AM, "STAT-VENTOUSE", 0.5)), 0.7, 72.0),
            Category("mise_en_fourriere", 0.1, MIXED, ((VF, "V14", 1.0),)),
        ),
    ),
    Theme(
        "accidents",
        3800,
        4,
        "commute",
        0.05,
        10,
        0.35,
        0.0,
        0.13,
        (
            Category("accident_materiel", 0.6, LIGHT, ((MC, "MC801", 0.5), (CSU, "3801", 0.5))),
            Category("accident_corporel", 0.3, GRAVE, ((MC, "MC802", 0.6), (CSU, "3802", 0.4))),
            Category("accident_deux_roues", 0.1, GRAVE, ((CSU, "3803", 1.0),)),
        ),
    ),
    Theme(
        "littoral",
        2400,
        0,
        "beach",
        0.85,
        7.3,
        -0.60,
        0.050,
        0.0,
        (
            Category("incivilite_plage", 0.6, LIGHT, ((MC, "MC901", 0.7), (AM, "PLAGE", 0.3))),
            Category("baignade_interdite", 0.4, MIXED, ((MC, "MC902", 1.0),)),
        ),
    ),
    Theme(
        "habitat_social",
        3400,
        4,
        "late_day",
        0.05,
        1,
        -0.05,
        0.0,
        0.09,
        (
            Category(
                "degradation_parties_communes", 0.45, MIXED, ((AM, "HLM-DEGR", 0.6), (MC, "MC111", 0.4)), 0.4, 48.0
            ),
            Category("vol_de_cave", 0.25, MIXED, ((MC, "MC112", 1.0),)),
            Category("rodeo", 0.3, MIXED, ((CSU, "3111", 0.6), (AM, "RODEO", 0.4))),
        ),
    ),
    Theme(
        "lieux_de_culte",
        1500,
        0,
        "week_end",
        0.05,
        4,
        -0.05,
        0.0,
        0.0,
        (
            Category("degradation_culte", 0.3, GRAVE, ((MC, "MC121", 1.0),), 0.6, 48.0),
            Category("stationnement_culte", 0.7, LIGHT, ((VF, "V31", 0.6), (MC, "MC122", 0.4))),
        ),
    ),
    Theme(
        "violences_familiales",
        2200,
        0,
        "evening",
        0.05,
        12,
        0.0,
        0.005,
        0.0,
        (
            Category("differend_familial", 0.7, MIXED, ((MC, "MC131", 1.0),)),
            Category("violence_conjugale", 0.3, GRAVE, ((MC, "MC132", 1.0),)),
        ),
        sensitive=True,
    ),
)

THEME = {t.key: t for t in THEMES}
THEME_OF = {c.key: t.key for t in THEMES for c in t.categories}

# Profiles: weight of each local hour, then of each day from Monday to Sunday.
_FLAT_DAYS = (1.0,) * 7


def _bump(*peaks: tuple[float, float, float], floor: float) -> tuple[float, ...]:
    """Hour weights: a floor and triangular peaks (hour, half width, height), around the clock."""
    hours = []
    for hour in range(24):
        weight = floor
        for centre, half_width, height in peaks:
            away = min(abs(hour - centre), 24 - abs(hour - centre))
            weight += height * max(0.0, 1 - away / half_width)
        hours.append(weight)
    return tuple(hours)


PROFILES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "night": (_bump((0, 5, 1.0), floor=0.06), (0.7, 0.7, 0.8, 1.0, 1.5, 1.8, 1.1)),
    "evening": (_bump((21, 5, 1.0), floor=0.12), (0.8, 0.8, 0.9, 0.9, 1.2, 1.4, 1.2)),
    "late_day": (_bump((18, 7, 1.0), floor=0.15), (1.0, 1.0, 1.0, 1.0, 1.1, 1.1, 0.9)),
    "school": (_bump((8, 2, 0.7), (16, 3, 1.0), (12, 2, 0.4), floor=0.04), (1.2, 1.2, 0.9, 1.2, 1.2, 0.2, 0.1)),
    "morning": (_bump((10, 4, 1.0), floor=0.03), (0.5, 0.8, 1.2, 0.8, 1.2, 1.8, 0.9)),
    "day": (_bump((10, 5, 1.0), (16, 5, 0.9), floor=0.08), (1.1, 1.1, 1.1, 1.1, 1.1, 0.9, 0.4)),
    "commute": (_bump((8, 3, 0.9), (18, 4, 1.0), floor=0.18), (1.1, 1.1, 1.1, 1.1, 1.2, 0.8, 0.6)),
    "beach": (_bump((16, 6, 1.0), floor=0.04), (0.8, 0.8, 0.9, 0.8, 0.9, 1.5, 1.6)),
    "week_end": (_bump((11, 4, 1.0), (18, 4, 0.5), floor=0.06), (0.5, 0.5, 0.6, 0.6, 1.5, 1.3, 1.8)),
    "always": (_bump(floor=1.0), _FLAT_DAYS),
}

# Hot places: density in the disc, as a multiple of the theme's own 95th percentile over res 9 cells with land.
HOT_FACTOR = 4.4
HOT_RADIUS_M = 450.0
EMERGING_RADIUS_M = 400.0
EMERGING_THEME = "occupation_espace_public"
EMERGING_FACTOR = 2.5
EMERGING_PATTERNS = ("new", "intensifying", "diminishing", "sporadic")

# Camera schemes and their matched controls: expected records *before* installation, outside any effect.
SCHEMES = ("A", "B", "C")
SCHEME_EFFECT = {"A": -0.30, "B": -0.30, "C": 0.0}
SCHEME_DISPLACED = {"A": 0.0, "B": 1.0, "C": 0.0}
SCHEME_RADIUS_M = 400.0
SCHEME_BEFORE = 1380.0
SCHEME_RING_BEFORE = 980.0
RING_M = 100.0
CONTROLS = 44
CONTROL_RADIUS_M = 175.0
CONTROL_BEFORE = 140.0
CONTROL_RING_BEFORE = 100.0

# An intervention that is not a camera: new street lighting lowers night incidents in a disc.
LIGHTING_RADIUS_M = 260.0
LIGHTING_DATE = dt.date(2024, 4, 15)
LIGHTING_EFFECT = -0.35
LIGHTING_EXPECTED = 900.0

# Zones whose level changes: factor on the background of their quartier, by local date.
RISING, FALLING, CRISIS = 3, 3, 2
CRISIS_START = dt.date(2025, 11, 1)
CRISIS_FACTOR = 4.0

# Near repeat: offspring of one category, as a branching process.
CONTAGIOUS = "vol_de_cave"
OFFSPRING_MEAN = 0.45
OFFSPRING_SIGMA_M = 55.0
OFFSPRING_MEAN_DAYS = 4.0
OFFSPRING_MAX_DAYS = 14.0

BURST_CATEGORY = "depot_sauvage"
BURST_START = dt.date(2025, 12, 20)
BURST_DAYS = 3
BURST_RECORDS = 60
BURST_RADIUS_M = 150.0

SCHOOL_EXCESS = {"abords_ecoles": 3600.0, "accidents": 500.0}
SCHOOL_RADIUS_M = 130.0
ACCIDENT_POINTS, ACCIDENTS_PER_POINT, ACCIDENT_POINT_RADIUS_M = 30, 24.0, 22.0
PARKING_POINTS, PARKING_PER_POINT, PARKING_POINT_RADIUS_M = 25, 40.0, 30.0

# Recording.
EXACT_DUPLICATES, NEAR_DUPLICATES = 400, 1200
NEAR_DUPLICATE_M, NEAR_DUPLICATE_MINUTES = 25.0, 10.0
ADDRESS_ONLY_SHARE = 0.03
IMPRECISE_SHARE = 0.12
CORRECTED = AM
CHANGED_ROWS, WITHDRAWN_ROWS, ADDED_ROWS = 240, 120, 90

EVENTS, CONFLICTS, CAMERAS, PLANNED_CAMERAS = 400, 24, 150, 12
