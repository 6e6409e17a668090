"""The local gazetteer: an address becomes a position on a street with a stated precision, or stays not located.

A wrong place is worse than none: an address that may mean two streets, or a street elsewhere than its postcode says,
is told to be ambiguous and gets no position. There is no interpolation along house numbers, which a layer of streets
does not have: the position is halfway along the street and its precision reaches to the street's farthest end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import product
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyproj
import shapely
from numpy.typing import NDArray

from layers.digests import digest_json, table_digest
from layers.errors import CalanqueError
from layers.gazetteer.addresses import LEADING_NUMBER, NUMBERED, Address, Part, read_address
from layers.gazetteer.hints import Hints
from layers.gazetteer.matching import Slips, StreetNames
from layers.gazetteer.streets import Spot, Street, halfway, meeting, read_streets
from layers.gazetteer.words import COMPLEMENTS, Phrase

_CRS84 = "OGC:CRS84"
_DEGREE_DECIMALS, _METRE_DECIMALS = 9, 4
_MOST_REMEMBERED = 200_000
"""Texts whose answers are kept from batch to batch: bounds the memory, not the result."""
_COLUMNS = ("id", "name", "other_name", "geometry")
_NO_ZONES: Mapping[str, NDArray[np.object_]] = MappingProxyType({})

FloatArray = NDArray[np.float64]


class Outcome(IntEnum):
    """What became of an address."""

    NOT_ASKED = 0
    FOUND = 1
    AMBIGUOUS = 2
    """It may mean several streets, or a street that is not where the address says."""
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Located:
    """Positions of addresses, shape (n,).

    Attributes
    ----------
    lon, lat
        Degrees, CRS84, NaN where not found; nine decimals.
    x_m, y_m
        Metres in the city's metric CRS, NaN where not found; four decimals.
    precision_m
        Largest distance to where on that street's axis the address can be, in whole metres, NaN where not found.
    street
        Id of the street (of the first that is named, at a crossing), None where not found.
    outcome
        ``Outcome`` codes, int8.
    """

    lon: FloatArray
    lat: FloatArray
    x_m: FloatArray
    y_m: FloatArray
    precision_m: FloatArray
    street: NDArray[np.object_]
    outcome: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class _Mention:
    """A place in an address where a street is named, and the streets that it may be."""

    numbered: bool
    has_way: bool
    streets: tuple[int, ...]
    phrases: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    outcome: Outcome
    street: int = -1
    spot: Spot | None = None


class Gazetteer:
    """Streets of a city, ready to be looked for. Made by ``of_streets``; the same streets make the same one.

    Attributes
    ----------
    digest
        Canonical digest of the streets, their zones and the metric CRS.
    """

    def __init__(self, streets: Sequence[Street], metric_crs: str, digest: str) -> None:
        self.digest = digest
        self._streets = tuple(streets)
        self._names = StreetNames.of(self._streets)
        self._to_degrees = pyproj.Transformer.from_crs(metric_crs, _CRS84, always_xy=True)
        self._to_metres = pyproj.Transformer.from_crs(_CRS84, metric_crs, always_xy=True)
        self._halfway: dict[int, Spot] = {}
        self._answered: dict[str, _Answer] = {}
        self._known = Hints()
        for hints in {s.zones for s in self._streets}:
            self._known |= hints

    @classmethod
    def of_streets(
        cls, streets: pa.Table, metric_crs: str, zones: Mapping[str, NDArray[np.object_]] = _NO_ZONES
    ) -> Gazetteer:
        """Make a gazetteer of a streets layer.

        Parameters
        ----------
        streets
            Columns ``id``, ``name``, ``other_name`` (null; several parted by semicolons) and ``geometry`` (WKB in
            CRS84: LineString, MultiLineString or Point). Several rows may be one street.
        metric_crs
            The city's CRS, in metres.
        zones
            Zone level → key or name of the zone of each row, shape (n,), None off all zones. Keys and names can both
            be given, under two names of a level.

        Raises
        ------
        CalanqueError
            If a column is missing, or zones are not as many as rows.
        """
        missing = [c for c in _COLUMNS if c not in streets.column_names]
        if missing:
            raise CalanqueError(f"streets have no column {', '.join(missing)} (columns: {streets.column_names})")
        wrong = [level for level, values in zones.items() if len(values) != streets.num_rows]
        if wrong:
            raise CalanqueError(f"zones {', '.join(wrong)} are not as many as the {streets.num_rows} streets")
        wkb = streets.column("geometry").cast(pa.binary()).to_numpy(zero_copy_only=False)
        shapes = shapely.force_2d(shapely.from_wkb(wkb))
        move = pyproj.Transformer.from_crs(_CRS84, metric_crs, always_xy=True).transform
        metric = shapely.transform(shapes, lambda xy: np.column_stack(move(xy[:, 0], xy[:, 1])))
        told = streets.select(_COLUMNS)
        for level in sorted(zones):
            told = told.append_column(f"zone_{level}", pa.array(zones[level], pa.string()))
        digest = digest_json({"streets": table_digest(told, ["id"]), "metric_crs": metric_crs})
        return cls(read_streets(told, zones, np.asarray(metric, dtype=object)), metric_crs, digest)

    def locate(self, addresses: pa.Array | pa.ChunkedArray) -> Located:
        """Look for addresses.

        Each distinct text is read once, whatever the house number at its start.

        Parameters
        ----------
        addresses
            Text, shape (n,), null where not asked.
        """
        texts = addresses.cast(pa.string())
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        short = pc.replace_substring_regex(texts, LEADING_NUMBER, NUMBERED)
        distinct = short.dictionary_encode()
        answers = self._remembered(distinct.dictionary.to_pylist())
        code = distinct.indices.fill_null(len(answers)).to_numpy(zero_copy_only=False)
        return self._located([*answers, _Answer(Outcome.NOT_ASKED)], code)

    def _remembered(self, texts: list[str]) -> list[_Answer]:
        """Answer each text; an answer depends on its text alone, so batches share them."""
        new = [t for t in texts if t not in self._answered]
        if len(self._answered) + len(new) > _MOST_REMEMBERED:
            self._answered.clear()
            new = texts
        self._answered.update(zip(new, self._answers(new), strict=True))
        return [self._answered[t] for t in texts]

    def _answers(self, texts: list[str]) -> list[_Answer]:
        """Answer each text: exactly where it can be, else allowing for slips of the pen."""
        read = [read_address(text, self._known.names) for text in texts]
        answers: list[_Answer] = []
        missed: list[Phrase] = []
        unsure: list[int] = []
        for number, address in enumerate(read):
            mentions = self._mentions(address, {})
            answers.append(self._answer(address, mentions))
            if answers[-1].outcome is Outcome.UNKNOWN:
                unsure.append(number)
                missed.extend(p for m in mentions if not m.streets for p in m.phrases)
        slips = self._names.slips_of(missed)
        for number in unsure if slips else ():
            answers[number] = self._answer(read[number], self._mentions(read[number], slips))
        return answers

    def _mentions(self, address: Address, slips: Slips) -> list[_Mention]:
        whole = self._mention(address.whole, slips)
        if whole.streets:
            return [whole]
        return [m for part in address.parts for m in self._mentions_of(part, slips, crossing=address.crossing)]

    def _mentions_of(self, part: Part, slips: Slips, *, crossing: bool) -> Iterator[_Mention]:
        whole = self._mention(part, slips)
        several = [self._mention(p, slips) for p in part.pieces]
        # Names can hold "et" and "x": two streets only where the whole is none and each of the two is one, or where
        # the address says that two streets cross.
        enough = any if crossing else all
        if whole.streets or not several or not enough(m.streets for m in several):
            yield whole if whole.streets or not several else _with_phrases(whole, several)
        else:
            yield from several

    def _mention(self, part: Part, slips: Slips) -> _Mention:
        found = (self._names.find(r, numbered=part.numbered, slips=slips) for r in part.readings)
        streets = next((tuple(f) for f in found if f), ())
        has_way = any(r.way and r.way not in COMPLEMENTS for r in part.readings)
        return _Mention(part.numbered, has_way, streets, part.readings)

    def _answer(self, address: Address, mentions: list[_Mention]) -> _Answer:
        named = [m for m in mentions if m.streets]
        missed = [m for m in mentions if not m.streets and m.has_way]
        if not named or (missed and not address.crossing):
            return _Answer(Outcome.UNKNOWN)
        choices = list(dict.fromkeys((m.numbered, self._in_place(m.streets, address.hints)) for m in named))
        if any(not streets for _, streets in choices):
            return _Answer(Outcome.AMBIGUOUS)
        numbered = [streets for has_number, streets in choices if has_number]
        if len(choices) > 1 and (address.crossing or not numbered):
            return self._crossing(choices[0][1], choices[1][1])
        streets = numbered[0] if numbered else choices[0][1]
        if len(streets) > 1 or len(set(numbered)) > 1:
            return _Answer(Outcome.AMBIGUOUS)
        return _Answer(Outcome.FOUND, streets[0], self._spot(streets[0]))

    def _in_place(self, streets: tuple[int, ...], hints: Hints) -> tuple[int, ...]:
        """Those streets that are in the part of town that the address tells, or else near to it."""
        here = [s for s in streets if not hints.contradict(self._streets[s].zones, self._known)]
        here = here or [s for s in streets if not hints.contradict(self._streets[s].near, self._known)]
        named = [s for s in here if hints.names & self._streets[s].zones.names]
        return tuple(named or here)

    def _crossing(self, first: tuple[int, ...], second: tuple[int, ...]) -> _Answer:
        met = []
        for one, other in product(first, second):
            spot = meeting(self._streets[one].shape, self._streets[other].shape, self._spot(one))
            if one != other and spot:
                met.append((one, spot))
        return _Answer(Outcome.FOUND, *met[0]) if len(met) == 1 else _Answer(Outcome.AMBIGUOUS)

    def _spot(self, street: int) -> Spot:
        if street not in self._halfway:
            self._halfway[street] = halfway(self._streets[street].shape)
        return self._halfway[street]

    def _located(self, answers: list[_Answer], code: NDArray[np.int64]) -> Located:
        """Spread the answers over the addresses, and round as coordinates are rounded everywhere."""
        nowhere = Spot(np.nan, np.nan, np.nan)
        x, y, precision_m = np.array([(s.x_m, s.y_m, s.precision_m) for s in (a.spot or nowhere for a in answers)]).T
        found = np.array([a.spot is not None for a in answers])
        lon, lat = np.full((2, len(answers)), np.nan)
        lon[found], lat[found] = np.round(self._to_degrees.transform(x[found], y[found]), _DEGREE_DECIMALS)
        x[found], y[found] = np.round(self._to_metres.transform(lon[found], lat[found]), _METRE_DECIMALS)
        street = np.array([self._streets[a.street].id if a.street >= 0 else None for a in answers], dtype=object)
        outcome = np.array([a.outcome for a in answers], dtype=np.int8)
        return Located(lon[code], lat[code], x[code], y[code], precision_m[code], street[code], outcome[code])


def _with_phrases(whole: _Mention, several: list[_Mention]) -> _Mention:
    """The same mention, with the phrases of its pieces among those that may hold a slip."""
    phrases = (*whole.phrases, *(p for m in several if not m.streets for p in m.phrases))
    return _Mention(whole.numbered, whole.has_way, (), phrases)
