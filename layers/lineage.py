"""Lineage: from a published product back to the files that were delivered.

A run's manifest holds the digest of every layer and every delivery that it was made from. Which of them a product
needs follows from what it is: a record collection is its layer, a zone level its boundaries, and each family of cells
or rasters has its entry in :data:`FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from layers.catalogue import SourceEntry, read_catalogue
from layers.errors import LakeError
from layers.home import Home
from layers.lake import layer_table
from layers.products import Grain, ProductSpec
from layers.receiving import RawDelivery, raw_deliveries
from layers.runs import Run, RunManifest, open_run

_LAYERS, _DELIVERIES, _STAGES = "layers/", "deliveries/", "stages/"


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """Layers that a family of products reads, and the steps that make it, in their order."""

    layers: tuple[str, ...]
    steps: tuple[str, ...]


FAMILIES: Final[Mapping[str, MadeFrom]] = MappingProxyType(
    {
        "hex_incidents": MadeFrom(("incidents", "land"), ("index",)),
        "hotspots": MadeFrom(("incidents", "land"), ("index", "analyse")),
        "risk_density": MadeFrom(("incidents", "land"), ("surfaces",)),
    }
)
"""Families of cells and rasters. One that is not here is taken to need every layer of its run."""
_JOINED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"incidents": ("streets", "weather")})
"""Layers that ingestion reads to locate or enrich the records of another one."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a product comes from; ``document`` is JSON."""

    document: Mapping[str, Any]

    def text(self) -> str:
        """Draw the lineage as a tree of lines."""
        document = self.document
        head = f"{document['product']}  run {document['run']}, as of {document['as_of']}"
        return "\n".join([head, *_branches(_tree(document))])


def lineage(home: Home, run_id: str | None, collection: str) -> Lineage:
    """Follow a product back to the deliveries that it was made from.

    Parameters
    ----------
    home
        The home folder.
    run_id
        The run; by default the one that is served.
    collection
        Id of the product, for instance ``hotspots``.

    Returns
    -------
    Lineage
        Product, method, parameters, seed and digests of its forms; its layers with their digests; their sources; and
        of each delivery its order, digest, name, rows, and whether the lake still holds it.

    Raises
    ------
    RunError
        If there is no such run, or it has no such product.
    """
    run = open_run(home, run_id)
    product = run.manifest.product(collection)
    known = _Known(home, run.manifest)
    layers = layers_of(product.spec, run.manifest)
    spec, manifest = product.spec, run.manifest
    document = {
        "product": spec.id,
        "title": spec.title.model_dump(),
        "run": manifest.run_id,
        "as_of": manifest.as_of.isoformat(),
        "built_at": manifest.built_at,
        "method": spec.method.model_dump() if spec.method else None,
        "parameters": spec.parameters,
        "seed": spec.seed,
        "references": list(spec.references),
        "forms": {str(form): file.model_dump(mode="json") for form, file in sorted(product.forms.items())},
        "city_file": manifest.city,
        "code": manifest.code,
        "versions": manifest.lock,
        "steps": [{"step": step, "key": key} for step, key in _steps(spec, manifest)],
        "layers": [known.layer(name) for name in layers],
        "unattributed": known.unattributed(),
    }
    return Lineage(document)


def layers_of(spec: ProductSpec, manifest: RunManifest) -> list[str]:
    """Layers of the run that a product was made from, those read to make them included."""
    present = [name.removeprefix(_LAYERS) for name in manifest.inputs if name.startswith(_LAYERS)]
    zones = [name for name in present if name.startswith("zones_")]
    match spec.grain:
        case Grain.RECORD:
            # Zone columns and, of incidents, the column on_land.
            first = [spec.family, *(["land"] if spec.family == "incidents" else []), *zones]
        case Grain.ZONE:
            first = [f"zones_{spec.family}"]
        case _:
            first = list(FAMILIES[spec.family].layers) if spec.family in FAMILIES else present
    wanted = dict.fromkeys(name for layer in first for name in (layer, *_JOINED.get(layer, ())))
    return [name for name in wanted if name in present]


def products_using(run: Run, layer: str) -> list[str]:
    """Products of a run that a layer's records went into, in the order of the manifest."""
    return [p.spec.id for p in run.manifest.products if layer in layers_of(p.spec, run.manifest)]


def _steps(spec: ProductSpec, manifest: RunManifest) -> list[tuple[str, str]]:
    """Steps that made a product and their keys; every step of the run for a family that is not known."""
    if spec.grain not in {Grain.CELL, Grain.RASTER}:
        return []
    keys = {name.removeprefix(_STAGES): key for name, key in manifest.inputs.items() if name.startswith(_STAGES)}
    steps = FAMILIES[spec.family].steps if spec.family in FAMILIES else tuple(keys)
    return [(step, keys[step]) for step in steps if step in keys]


class _Known:
    """What the home folder knows of the inputs of a run."""

    def __init__(self, home: Home, manifest: RunManifest) -> None:
        self._home = home
        self._inputs = manifest.inputs
        self._held: dict[str, dict[str, RawDelivery]] = {}
        try:
            self._entries = {entry.id: entry for entry in read_catalogue(home)}
        except LakeError:
            self._entries = {}  # a home without its lake still tells what the manifest says

    def layer(self, name: str) -> dict[str, Any]:
        """Describe a layer: its digest in the run, whether it is still the lake's, and its sources."""
        digest = self._inputs[f"{_LAYERS}{name}"]
        version = layer_table(self._home, name).latest()
        current = version is not None and version.digest == digest
        sources = self._sources(name)
        return {"layer": name, "digest": digest, "current": current, "sources": [self._source(s) for s in sources]}

    def _sources(self, layer: str) -> list[str]:
        """Sources of the run's deliveries that feed a layer, as the catalogue says."""
        delivered = dict.fromkeys(name.split("/")[1] for name in self._inputs if name.startswith(_DELIVERIES))
        return [name for name in delivered if name in self._entries and self._entries[name].layer == layer]

    def unattributed(self) -> dict[str, str]:
        """Deliveries of sources that the city file names no more: nobody knows which layer they fed."""
        named = {name: digest for name, digest in self._inputs.items() if name.startswith(_DELIVERIES)}
        return {
            name.removeprefix(_DELIVERIES): digest
            for name, digest in sorted(named.items())
            if name.split("/")[1] not in self._entries
        }

    def _source(self, name: str) -> dict[str, Any]:
        entry = self._entries[name]
        deliveries = [
            self._delivery(entry, int(key.rsplit("/", 1)[1]), digest)
            for key, digest in sorted(self._inputs.items())
            if key.startswith(f"{_DELIVERIES}{name}/")
        ]
        return {
            "source": name,
            "title": entry.title.model_dump(),
            "organisation": entry.organisation,
            "deliveries": deliveries,
        }

    def _delivery(self, entry: SourceEntry, order: int, digest: str) -> dict[str, Any]:
        """Describe a delivery from the lake's copy, else from the catalogue, else by its digest alone."""
        if entry.id not in self._held:
            self._held[entry.id] = {raw.received.digest: raw for raw in raw_deliveries(entry.id, self._home)}
        held = self._held[entry.id].get(digest)
        noted = next((delivery for delivery in entry.deliveries if delivery.digest == digest), None)
        if held is not None:
            found: dict[str, Any] = {"name": held.received.name, "rows": held.rows, "purged_rows": held.purged_rows}
        elif noted is not None:
            found = {"name": noted.name, "rows": noted.rows, "purged_rows": noted.purged_rows}
        else:
            found = {"name": None, "rows": None, "purged_rows": None}
        return {"order": order, "digest": digest, **found, "held": held is not None}


_Tree = Sequence[tuple[str, "_Tree"]]


def _tree(document: Mapping[str, Any]) -> _Tree:
    scalars = {k: v for k, v in document["parameters"].items() if not isinstance(v, dict | list)}
    made: list[tuple[str, _Tree]] = []
    if document["method"]:
        made.append((document["method"]["en"], ()))
    if scalars:
        made.append((", ".join(f"{name} {value}" for name, value in scalars.items()), ()))
    if document["seed"] is not None:
        made.append((f"seed {document['seed']}", ()))
    headings: list[tuple[str, _Tree]] = [
        ("method", made),
        ("forms", [(_form(name, file), ()) for name, file in document["forms"].items()]),
        ("steps", [(f"{step['step']}  {_short(step['key'])}", ()) for step in document["steps"]]),
        ("layers", [_layer(layer) for layer in document["layers"]]),
        (
            "deliveries of sources that the city file names no more",
            [(f"{name}  {_short(digest)}", ()) for name, digest in document["unattributed"].items()],
        ),
    ]
    digests = {"city file": "city_file", "code": "code", "versions": "versions"}
    decided = ", ".join(f"{label} {_short(document[key])}" for label, key in digests.items())
    return [*((label, below) for label, below in headings if below), (decided, ())]


def _form(name: str, file: Mapping[str, Any]) -> str:
    rows = f", {file['rows']} rows" if file["rows"] is not None else ""
    return f"{name}  {_short(file['digest'])}  {file['path']}{rows}"


def _layer(layer: Mapping[str, Any]) -> tuple[str, _Tree]:
    later = "" if layer["current"] else "  (the lake holds another version now)"
    sources = [
        (f"{source['source']}  {source['title']['en']} ({source['organisation']})", _deliveries(source["deliveries"]))
        for source in layer["sources"]
    ]
    return f"{layer['layer']}  {_short(layer['digest'])}{later}", sources


def _deliveries(deliveries: Sequence[Mapping[str, Any]]) -> _Tree:
    lines = []
    for delivery in deliveries:
        rows = "" if delivery["rows"] is None else f"  {delivery['rows']} rows"
        purged = f", {delivery['purged_rows']} destroyed since" if delivery["purged_rows"] else ""
        gone = "" if delivery["held"] else "  (no longer in the lake)"
        name = delivery["name"] or "name not known"
        lines.append((f"{delivery['order']}  {name}  {_short(delivery['digest'])}{rows}{purged}{gone}", ()))
    return lines


def _branches(tree: _Tree, indent: str = "") -> Iterator[str]:
    for position, (label, below) in enumerate(tree):
        last = position == len(tree) - 1
        yield f"{indent}{'└─' if last else '├─'} {label}"
        yield from _branches(below, indent + ("   " if last else "│  "))


def _short(digest: str) -> str:
    return digest[:12]
