"""The planted camera effects can be found again from the truth's geometry, by a plain analysis."""

from __future__ import annotations

import ast
import datetime as dt
import hashlib
import json
import multiprocessing
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from data_samples.marseille import analysis_of_truth as plain
from data_samples.marseille.generator.land import FOLDER

WANTED = {"A": plain.DECREASE, "B": plain.DISPLACED, "C": plain.NOTHING}
EVIDENCE = FOLDER.parents[1] / "docs" / "evidence" / "camera_verdicts.json"
SEEDS = range(1, 101)


def code_digest() -> str:
    """Digest of the analysis and of all modules of the project that it imports: what the evidence speaks of."""
    names, files = [plain.__name__], {}
    while names:
        name = names.pop()
        path = FOLDER.parents[1].joinpath(*name.split(".")).with_suffix(".py")
        if not path.is_file() or name in files:
            continue
        files[name] = path.read_bytes()
        for node in ast.walk(ast.parse(files[name])):
            if isinstance(node, ast.ImportFrom) and node.module:
                names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return hashlib.sha256(b"".join(hashlib.sha256(files[n]).digest() for n in sorted(files))).hexdigest()


def summary(found: list[plain.Verdict]) -> dict:
    return {
        v.scheme: {
            "verdict": v.verdict,
            "change": round(v.area.change, 4),
            "p": v.area.p_value,
            "ring_change": round(v.ring.change, 4),
            "ring_p": v.ring.p_value,
            "before": v.area.before,
            "ring_before": v.ring.before,
            "controls_before": v.area.control_before,
            "dispersion": round(v.area.dispersion, 3),
        }
        for v in found
    }


def test_sample_schemes_from_its_deliveries(delivered, sample):
    """The committed sample, read from its files: verdicts, sizes before, matched controls, dispersion of months."""
    located = delivered[delivered["x_m"].notna()]
    truth = plain.TruthGeometry.read(sample / "truth")
    found = plain.judge(
        located["x_m"].to_numpy(), located["y_m"].to_numpy(), located["month"].to_numpy(np.int64), truth
    )
    assert {v.scheme: v.verdict for v in found} == WANTED
    for verdict in found:
        assert verdict.area.before >= 1_200
        assert verdict.ring.before <= verdict.area.before
        assert verdict.area.control_before >= 4 * verdict.area.before
        assert verdict.area.dispersion <= 1.5
    effect = {v.scheme: v.area.change for v in found}
    assert abs(effect["A"] + 0.30) < 0.08
    assert abs(effect["B"] + 0.30) < 0.08
    assert abs(effect["C"]) < 0.08
    ring = next(v.ring for v in found if v.scheme == "B")
    area = next(v.area for v in found if v.scheme == "B")
    moved, arrived = area.before * 0.30, ring.after - ring.before * ring.control_after / ring.control_before
    assert arrived == pytest.approx(moved, abs=5 * np.sqrt(ring.before + ring.after))


def test_compositions_of_schemes_and_controls_are_alike(truth_records, truth_areas):
    before = truth_records[truth_records["true_utc"] < "2024-06-30 22:00+00:00"]
    kind = before["component"].str.split("/").str[0]
    shares = before[kind.isin(["scheme", "control"])].groupby(kind)["theme"].value_counts(normalize=True).unstack()
    assert (shares.loc["scheme"] - shares.loc["control"]).abs().max() < 0.02


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_three_other_seeds(seed):
    assert {s: v["verdict"] for s, v in summary(plain.judge_seed(seed)).items()} == WANTED


@pytest.mark.parametrize(
    ("treated", "control", "sign"),
    [((80, 40), 300, -1), ((40, 80), 300, 1), ((60, 60), 300, 0)],
)
def test_compare_on_made_up_months(treated, control, sign):
    rng = np.random.default_rng(4)
    months = np.concatenate([rng.poisson(treated[0], 18), rng.poisson(treated[1], 18)])
    result = plain.compare(months, rng.poisson(control, 36))
    if sign:
        assert np.sign(result.change) == sign
        assert result.p_value == pytest.approx(1 / (1 + plain.PERMUTATIONS), rel=0.01)
    else:
        assert result.p_value > 0.01


def test_permutation_p_is_calibrated_under_the_null():
    """Property: over-dispersed months without any effect reject at most at the nominal rate."""
    rng = np.random.default_rng(5)
    p_values = []
    for _ in range(200):
        season = rng.gamma(30, 1 / 30, 36)
        p_values.append(plain.compare(rng.poisson(70 * season), rng.poisson(320 * season)).p_value)
    assert np.mean(np.array(p_values) <= 0.05) < 0.10
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.08)


def test_evidence_is_about_this_code():
    evidence = json.loads(EVIDENCE.read_text(encoding="utf-8"))
    assert evidence["code"] == code_digest(), "run `make prove`: the generator or the analysis changed since"
    assert len(evidence["seeds"]) == len(SEEDS)
    for scheme, wanted in WANTED.items():
        right = sum(v[scheme]["verdict"] == wanted for v in evidence["results"].values())
        assert right == evidence["right"][scheme]
        assert right >= 90


@pytest.mark.prove
def test_three_verdicts_in_a_hundred_seeds():
    started = time.perf_counter()
    with ProcessPoolExecutor(max_workers=2, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = pool.map(plain.judge_seed, SEEDS, chunksize=5)
        results = {seed: summary(verdicts) for seed, verdicts in zip(SEEDS, found, strict=True)}
    right = {s: sum(r[s]["verdict"] == wanted for r in results.values()) for s, wanted in WANTED.items()}
    given = {s: dict(sorted(Counter(r[s]["verdict"] for r in results.values()).items())) for s in WANTED}
    write_evidence(EVIDENCE, results, right, given, time.perf_counter() - started)
    assert all(n >= 90 for n in right.values()), right


def write_evidence(path: Path, results: dict, right: dict, given: dict, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {
        "what": "verdicts of data_samples/marseille/analysis_of_truth.py on three camera schemes, by seed",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "code": code_digest(),
        "alpha": plain.ALPHA,
        "permutations": plain.PERMUTATIONS,
        "seconds": round(seconds),
        "wanted": WANTED,
        "right": right,
        "given": given,
        "smallest_before": min(v["before"] for r in results.values() for v in r.values()),
        "largest_ring_to_scheme": max(
            round(v["ring_before"] / v["before"], 3) for r in results.values() for v in r.values()
        ),
        "smallest_controls_to_scheme": min(
            round(v["controls_before"] / v["before"], 3) for r in results.values() for v in r.values()
        ),
        "largest_dispersion": max(v["dispersion"] for r in results.values() for v in r.values()),
    }
    lines = ",\n".join(f'  "{seed}": {json.dumps(result)}' for seed, result in results.items())
    text = json.dumps(head, ensure_ascii=False, indent=1)[:-2]
    text += f',\n "seeds": {json.dumps(list(results))},\n "results": {{\n{lines}\n }}\n}}\n'
    path.write_text(text, encoding="utf-8")
