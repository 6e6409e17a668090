"""Contract: the sample is the same bytes on every machine, and its committed sums and heads say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_samples.marseille.generator import generate
from data_samples.marseille.generator import sample as module
from data_samples.marseille.generator.heads import ROWS, heads
from data_samples.marseille.generator.land import FOLDER
from data_samples.marseille.generator.sample import SUMS, ensure_sample, file_digests, read_sums, write_sums
from data_samples.marseille.generator.truth import Truth


@pytest.fixture(scope="module")
def afresh(tmp_path_factory) -> Path:
    """A second generation, in another folder."""
    out = tmp_path_factory.mktemp("other machine")
    generate(out)
    return out


def test_another_folder_gives_the_committed_sums(afresh):
    assert file_digests(afresh) == read_sums(FOLDER / SUMS)


def test_committed_heads_are_the_first_rows(afresh):
    fresh = heads(afresh / "deliveries")
    committed = {f.name: f.read_text(encoding="utf-8") for f in (FOLDER / "heads").iterdir()}
    assert committed == fresh
    assert all(len(text.splitlines()) >= ROWS for text in fresh.values())


def test_generated_folder_is_not_tracked():
    assert "/data_samples/marseille/generated/" in (FOLDER.parents[1] / ".gitignore").read_text(encoding="utf-8")


def _fake(content: str):
    def made(out: Path, seed: int = 0, *, progress=None) -> Truth:
        out.mkdir(parents=True)
        (out / "a.txt").write_text(content, encoding="utf-8")
        return Truth(seed, {}, file_digests(out))

    return made


def test_ensure_sample_generates_once_and_repairs(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "generate", _fake("good"))
    generated = tmp_path / "generated"
    write_sums(tmp_path / SUMS, _fake("good")(tmp_path / "model").digests)
    assert ensure_sample(tmp_path)
    assert not ensure_sample(tmp_path)
    (generated / "a.txt").write_text("spoilt", encoding="utf-8")
    (generated / "extra.txt").write_text("left over", encoding="utf-8")
    assert ensure_sample(tmp_path)
    assert [f.name for f in generated.iterdir()] == ["a.txt"]
    assert (generated / "a.txt").read_text(encoding="utf-8") == "good"
    assert not list(tmp_path.glob(".generating-*"))


def test_ensure_sample_refuses_a_different_result(tmp_path, monkeypatch):
    write_sums(tmp_path / SUMS, _fake("good")(tmp_path / "model").digests)
    monkeypatch.setattr(module, "generate", _fake("other"))
    with pytest.raises(RuntimeError, match=r"differs from .* in a\.txt"):
        ensure_sample(tmp_path)
    assert not (tmp_path / "generated").exists()
