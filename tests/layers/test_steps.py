from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from layers.errors import LakeError
from layers.home import Home
from layers.products import Column, Form, Grain, Kind, Product, ProductSpec
from layers.steps import Stage, latest_stage
from layers.values import Text

WORDS = Text(fr="Essai", en="Trial")


def product(product_id: str = "trial", values: tuple[int, ...] = (1, 2)) -> Product:
    spec = ProductSpec(
        id=product_id,
        family="trial",
        title=WORDS,
        description=WORDS,
        grain=Grain.ZONE,
        key="key",
        columns=(Column(name="key", kind=Kind.KEY, title=WORDS), Column(name="n", kind=Kind.COUNT, title=WORDS)),
    )
    keys = pa.array([f"k{v}" for v in values])
    return Product(spec, {Form.EXACT: pa.table({"key": keys, "n": pa.array(values, pa.int64())})})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def done(home: Home, key: str, value: int = 1) -> Stage:
    stage = Stage(home, "analyse", key)
    stage.begin()
    stage.finish([product("b", (value,)), product("a", (value,))], {"cells": value})
    return stage


def test_a_stage_gives_back_its_products_in_order_and_its_figures(home: Home):
    assert latest_stage(home, "analyse") is None
    stage = done(home, "k1", 7)
    assert latest_stage(home, "analyse").key == "k1"
    assert [p.spec.id for p in stage.products()] == ["b", "a"]
    assert stage.products()[0].tables[Form.EXACT].to_pylist() == [{"key": "k7", "n": 7}]
    assert stage.figures() == {"cells": 7}


def test_a_stage_without_its_last_file_is_not_complete(home: Home):
    stage = done(home, "k1")
    (stage.folder / "stage.json").unlink()
    assert not stage.complete
    assert latest_stage(home, "analyse") is None
    with pytest.raises(LakeError, match="not complete"):
        stage.products()
    left_over = stage.folder / "left-over"
    left_over.touch()
    assert not (stage.begin() / "left-over").exists()


def test_a_complete_stage_is_not_begun_again(home: Home):
    with pytest.raises(LakeError, match="not written twice"):
        done(home, "k1").begin()


def test_skipping_back_to_an_earlier_key_points_at_it(home: Home):
    first = done(home, "k1", 1)
    done(home, "k2", 2)
    assert latest_stage(home, "analyse").figures() == {"cells": 2}
    assert first.complete  # the previous stage stays: a publication may be reading it
    first.point()
    assert latest_stage(home, "analyse").figures() == {"cells": 1}


def test_older_stages_are_removed(home: Home):
    stages = [done(home, key) for key in ("k1", "k2", "k3")]
    assert [s.complete for s in stages] == [False, True, True]
