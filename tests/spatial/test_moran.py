"""Global and local Moran: published values, esda's traps, and a naive oracle."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import h3
import libpysal
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from libpysal.graph import Graph

from hexgrid.cells import neighbour_matrix
from spatial.classes import LISA_CLASSES
from spatial.errors import StatisticError
from spatial.moran import conditional_p, global_moran, local_moran, moran_graph, standardised_density
from support.city_on_land import LandCells


def adjacency_of(links: pd.DataFrame, order: list[str]) -> sp.csr_array:
    place = {key: i for i, key in enumerate(order)}
    rows, columns = (links[name].map(place).to_numpy() for name in links.columns)
    matrix = sp.coo_array((np.ones(len(links)), (rows, columns)), shape=(len(order), len(order))).tocsr()
    return sp.csr_array(((matrix + matrix.T) > 0).astype(float))


def example(data: str, column: str, neighbours: str) -> tuple[np.ndarray, sp.csr_array]:
    """Values and neighbours of an example that ships with libpysal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = libpysal.io.open(libpysal.examples.get_path(data))
        values = np.array(table.by_col(column), dtype=float)
        links = libpysal.io.open(libpysal.examples.get_path(neighbours))
        graph = links.read().to_adjlist(drop_islands=True)
        table.close()
        links.close()
    first = {key: i for i, key in enumerate(dict.fromkeys(graph["focal"]))}
    rows, columns = graph["focal"].map(first), graph["neighbor"].map(first)
    return values, sp.csr_array((np.ones(len(graph)), (rows, columns)), shape=(values.size, values.size))


def test_the_variance_on_a_lattice_is_that_of_cliff_and_ord():
    """3 × 3 rook lattice, values 1…9: asserted by esda's own tests; z uses the randomisation variance 0.0596875."""
    rows, columns = np.divmod(np.arange(9), 3)
    near = (np.abs(rows[:, None] - rows) + np.abs(columns[:, None] - columns) == 1).astype(float)
    from esda.moran import Moran

    found = Moran(np.arange(1, 10), Graph.from_sparse(sp.csr_array(near)), transformation="b", permutations=0)
    assert found.VI_rand == pytest.approx(0.0596875)


@pytest.mark.parametrize(
    ("data", "column", "neighbours", "expected"),
    [
        ("stl_hom.txt", "HR8893", "stl.gal", 0.24365582621771659),
        ("sids2.dbf", "SIDR74", "sids2.gal", 0.24772519320480135),
    ],
)
def test_global_moran_is_that_of_esdas_examples(data: str, column: str, neighbours: str, expected: float):
    """esda, tests/test_moran.py."""
    values, near = example(data, column, neighbours)
    found = global_moran(values, moran_graph(near), permutations=99, seed=1)
    assert found is not None
    assert found.statistic == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "pairs", "key"),
    [("columbus_CRIME", "columbus_queen", "row"), ("marseille_iris_income2011", "marseille_iris_queen", "DCOMIRIS")],
)
def test_both_morans_are_those_of_spdep(shared_data: Path, name: str, pairs: str, key: str):
    folder = shared_data / "known_answers" / "spdep"
    local = pd.read_csv(folder / f"{name}_local.csv", dtype={key: str})
    expected = json.loads((folder / "global_statistics.json").read_text())[f"{name}_queen"]["moran_W_randomisation"]
    values = local["value"].to_numpy(dtype=float)
    graph = moran_graph(adjacency_of(pd.read_csv(folder / f"{pairs}_pairs.csv", dtype=str), local[key].tolist()))
    found = global_moran(values, graph, permutations=999, seed=1)
    assert found is not None
    assert found.statistic == pytest.approx(expected["estimate"]["Moran I statistic"], rel=1e-12)
    assert found.expectation == pytest.approx(expected["estimate"]["Expectation"], rel=1e-12)
    assert found.z == pytest.approx(expected["statistic"], rel=1e-9)
    assert found.p == pytest.approx(2 / 1000)
    n = values.size
    ours = local_moran(values, graph, permutations=99, seed=1, alpha=0.05)
    # spdep divides by Σ(x−x̄)²/n, esda by Σ(x−x̄)²/(n−1).
    np.testing.assert_allclose(ours.statistic * n / (n - 1), local["Ii"], rtol=1e-9)
    score = (local["Ii"] - local["E_cond"]) / np.sqrt(local["Var_cond"])
    clear = (np.abs(score) > 4).to_numpy()
    assert (ours.p[clear] <= 0.05).all()


def test_global_moran_leaves_numpys_generator_as_it_was_and_needs_it_not():
    values, near = example("stl_hom.txt", "HR8893", "stl.gal")
    graph = moran_graph(near)
    np.random.seed(7)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = global_moran(values, graph, permutations=199, seed=3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(8)  # noqa: NPY002
    assert global_moran(values, graph, permutations=199, seed=3) == first
    assert global_moran(values, graph, permutations=199, seed=4) != first


def test_global_p_is_two_sided():
    """A chessboard is as far from chance as a cluster: its I is low, its p small."""
    rows, columns = np.divmod(np.arange(100), 10)
    near = sp.csr_array((np.abs(rows[:, None] - rows) + np.abs(columns[:, None] - columns) == 1).astype(float))
    graph = moran_graph(near)
    board = global_moran(((rows + columns) % 2).astype(float), graph, permutations=999, seed=1)
    halves = global_moran((rows < 5).astype(float), graph, permutations=999, seed=1)
    assert board is not None
    assert halves is not None
    assert (board.statistic, board.p) == (pytest.approx(-1), pytest.approx(0.002))
    assert (halves.statistic > 0.8, halves.p) == (True, pytest.approx(0.002))


def naive_p(z: np.ndarray, near: sp.csr_array, permutations: int, seed: int) -> np.ndarray:
    """Conditional permutation as its definition says: each place draws its neighbours from all others."""
    rng = np.random.default_rng(seed)
    p = np.ones(z.size)
    for i in range(z.size):
        neighbours = near[[i]].indices
        if neighbours.size == 0:
            continue
        others = np.delete(z, i)
        sums = np.array([rng.choice(others, neighbours.size, replace=False).sum() for _ in range(permutations)])
        seen = z[neighbours].sum()
        above, below = (sums >= seen - 1e-9).sum(), (sums <= seen + 1e-9).sum()
        p[i] = min(1.0, 2 * (min(above, below) + 1) / (permutations + 1))
    return p


def test_shared_draws_give_the_p_of_separate_ones():
    rng = np.random.default_rng(2)
    cells = np.array([h3.str_to_int(c) for c in h3.grid_disk("89396830aafffff", 3)])
    near = sp.csr_array(neighbour_matrix(cells))
    z = rng.gamma(0.7, 1, cells.size)
    ours = conditional_p(z, near, permutations=19_999, seed=5)
    expected = naive_p(z, near, 2_000, seed=6)
    error = np.sqrt(np.maximum(expected * (2 - expected), 0.004) / 2_000)
    assert np.abs((ours - expected) / error).max() < 4
    assert np.corrcoef(ours, expected)[0, 1] > 0.99


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), others=st.integers(2, 6))
def test_no_draw_contains_the_place_itself(seed: int, others: int):
    """Where all the others are neighbours, every draw is what is observed: p is 1, whatever the values."""
    z = np.random.default_rng(seed).normal(size=others + 1)
    near = sp.csr_array(1 - np.eye(others + 1))
    assert (conditional_p(z, near, permutations=99, seed=seed) == 1).all()


def sparse_incidents() -> tuple[np.ndarray, sp.csr_array]:
    """127 cells and an isolated one, six incidents: most neighbourhoods are empty."""
    disk = sorted(h3.grid_disk("89396830aafffff", 6))
    cells = np.array([h3.str_to_int(c) for c in [*disk, "89392000003ffff"]])
    counts = np.zeros(cells.size)
    counts[np.random.default_rng(1).choice(127, 6, replace=False)] = 1
    return counts, sp.csr_array(neighbour_matrix(cells))


def test_empty_neighbourhoods_are_not_significant():
    """A sum that all draws tie with is extreme on neither side; the island has no neighbours and is not judged."""
    counts, near = sparse_incidents()
    graph = moran_graph(near)
    found = local_moran(counts, graph, permutations=999, seed=1, alpha=0.05)
    empty = (near @ counts + counts == 0) & (np.diff(near.indptr) > 0)
    assert empty.sum() > 60
    assert (found.p[empty] > 0.5).all()
    assert np.isnan(found.p[-1])
    assert found.codes[-1] == -1


def patchy_values() -> tuple[np.ndarray, sp.csr_array]:
    rng = np.random.default_rng(9)
    cells = np.array([h3.str_to_int(c) for c in h3.grid_disk("89396830aafffff", 12)])
    near = sp.csr_array(neighbour_matrix(cells))
    return rng.normal(size=cells.size) + near @ rng.normal(size=cells.size), near


def test_statistic_and_quadrant_are_esdas():
    from esda.moran import Moran_Local

    values, near = patchy_values()
    graph = moran_graph(near)
    ours = local_moran(values, graph, permutations=999, seed=1, alpha=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Moran_Local(values, graph, permutations=0)
    np.testing.assert_allclose(ours.statistic, theirs.Is, rtol=1e-12)
    judged = ours.codes != LISA_CLASSES.index("ns")
    assert judged.sum() > 5
    quadrant = {1: "HH", 2: "LH", 3: "LL", 4: "HL"}
    assert [LISA_CLASSES[c] for c in ours.codes[judged]] == [quadrant[q] for q in theirs.q[judged]]


@pytest.mark.prove  # esda compiles its engine for a quarter of a minute
def test_p_is_esdas_where_nothing_ties_and_better_where_much_does():
    """Continuous values: both tails agree within Monte Carlo error. Six incidents: esda's default marks empty cells."""
    from esda.moran import Moran_Local

    values, near = patchy_values()
    graph = moran_graph(near)
    ours = local_moran(values, graph, permutations=999, seed=1, alpha=0.1)
    counts, sparse_near = sparse_incidents()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        upper, lower = (
            Moran_Local(values, graph, permutations=999, seed=2, alternative=side, keep_simulations=False).p_sim
            for side in ("greater", "lesser")
        )
        tied = Moran_Local(counts, moran_graph(sparse_near), permutations=999, seed=1, keep_simulations=False).p_sim
    theirs = np.minimum(1, 2 * np.minimum(upper, lower))
    assert np.abs(ours.p - theirs).max() < 0.15
    assert abs(float(np.mean(ours.p - theirs))) < 0.02
    empty = (sparse_near @ counts + counts == 0) & (np.diff(sparse_near.indptr) > 0)
    assert (tied[empty] <= 0.05).mean() > 0.5


def test_a_planted_cluster_is_high_among_high_and_a_lone_peak_is_an_outlier():
    cells = sorted(h3.grid_disk("89396830aafffff", 15))
    place = {cell: i for i, cell in enumerate(cells)}
    values = np.random.default_rng(3).normal(10, 1, len(cells))
    cluster = [place[c] for c in h3.grid_disk("89396830aafffff", 3)]
    values[cluster] += 8
    near = sp.csr_array(neighbour_matrix(np.array([h3.str_to_int(c) for c in cells])))
    hole = cluster[len(cluster) // 2]
    values[place["89396830aafffff"]] = 0
    found = local_moran(values, moran_graph(near), permutations=9_999, seed=1, alpha=0.05)
    assert found.codes[place["89396830aafffff"]] == LISA_CLASSES.index("LH")
    inner = [place[c] for c in h3.grid_ring("89396830aafffff", 2)]
    assert (found.codes[inner] == LISA_CLASSES.index("HH")).all()
    assert hole in cluster
    assert (found.codes == LISA_CLASSES.index("HH")).sum() <= len(cluster)


def test_what_does_not_vary_is_not_judged():
    _, near = sparse_incidents()
    graph = moran_graph(near)
    assert global_moran(np.full(128, 3.0), graph, permutations=99, seed=1) is None
    found = local_moran(np.full(128, 3.0), graph, permutations=99, seed=1, alpha=0.05)
    assert np.isnan(found.p).all()
    assert (found.codes == -1).all()


def test_values_that_are_missing_or_misaligned_are_refused():
    _, near = sparse_incidents()
    graph = moran_graph(near)
    with pytest.raises(StatisticError, match=r"shape \(3,\) for a graph of 128"):
        local_moran(np.zeros(3), graph, permutations=99, seed=1, alpha=0.05)
    with pytest.raises(StatisticError, match="1 of 128 values are not finite"):
        global_moran(np.append(np.arange(127.0), np.nan), graph, permutations=99, seed=1)


def test_density_is_standardised_as_by_assuncao_and_reis():
    """Their formula, term by term: v = a + m/b, m = Σe/Σb, a = Σb(e/b − m)²/Σb − m n/Σb."""
    counts, steps = np.array([6, 1, 0, 3]), np.array([20, 10, 1, 20])
    share = steps / 20
    mean = counts.sum() / share.sum()
    a = (share * (counts / share - mean) ** 2).sum() / share.sum() - mean * 4 / share.sum()
    expected = (counts / share - mean) / np.sqrt(a + mean / share)
    np.testing.assert_allclose(standardised_density(counts, steps), expected, rtol=1e-12)
    assert (standardised_density(np.zeros(4, dtype=np.int64), steps) == 0).all()


def test_null_cities_are_not_called_clustered(land_cells: dict[int, LandCells]):
    """60 cities of constant intensity on real land: p ≤ 0.05 in 3 of them, give or take (9 or more: P < 0.003)."""
    cells = land_cells[9]
    land = np.flatnonzero(cells.places.on_land)
    steps = cells.places.steps[land]
    graph = moran_graph(neighbour_matrix(cells.cells)[land][:, land])
    rng = np.random.default_rng(4)
    found = []
    for seed in range(60):
        values = standardised_density(cells.null_counts(5_000, rng)[land], steps)
        moran = global_moran(values, graph, permutations=199, seed=seed)
        assert moran is not None
        found.append(moran.p <= 0.05)
        assert (local_moran(values, graph, permutations=999, seed=seed, alpha=0.05).codes == 4).all()
    assert sum(found) <= 8


def test_two_thousand_cells_are_judged_in_a_moment(land_cells: dict[int, LandCells]):
    """Draws are shared, so 9,999 permutations of a whole city cost one sort per number of neighbours."""
    cells = land_cells[9]
    rng = np.random.default_rng(1)
    land = np.flatnonzero(cells.places.on_land)
    density = standardised_density(cells.null_counts(30_000, rng)[land], cells.places.steps[land])
    near = neighbour_matrix(cells.cells)[land][:, land]
    found = local_moran(density, moran_graph(near), permutations=9_999, seed=1, alpha=0.05)
    assert 0.02 < np.nanmean(found.p <= 0.05) < 0.08
    assert (found.codes == LISA_CLASSES.index("ns")).mean() > 0.99
