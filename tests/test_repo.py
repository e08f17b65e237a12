"""What stands in several places agrees: commands, version, pins, tools, the wheel's content."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import lwlab

PROJECT = Path(__file__).parents[1]


def read(name):
    return (PROJECT / name).read_text(encoding="utf-8")


def makefile_targets():
    return set(re.findall(r"^([a-z]+):.*## ", read("Makefile"), re.MULTILINE))


def make_commands(text):
    """Return the targets of the ``make x`` in code spans and code blocks of a Markdown text."""
    code = re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL)
    return set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(code)))


def pins():
    lines = [line.split("#")[0].strip() for line in read("constraints.txt").splitlines()]
    return dict(line.split("==") for line in lines if line)


def project_table():
    return tomllib.loads(read("pyproject.toml"))["project"]


@pytest.mark.parametrize("name", ["README.md", ".github/CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_make_command_that_is_named_exists(name):
    commands = make_commands(read(name))
    assert "test" in commands
    assert commands <= makefile_targets()


def test_make_help_lists_every_target():
    # --no-print-directory: this test runs inside "make test", which would say where it is.
    command = ["make", "--no-print-directory", "help"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert {line.split()[1] for line in done.stdout.splitlines()} == makefile_targets()


def test_the_readme_names_files_that_exist():
    text = read("README.md")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    missing = [link for link in links if not (PROJECT / link).exists()]
    assert missing == []
    for lesson in re.findall(r"`(\d\d_\w+)`", text):
        assert (PROJECT / "notebooks" / f"{lesson}.ipynb").is_file(), lesson


def test_the_version_stands_in_one_place_and_the_changelog_has_it():
    assert project_table()["dynamic"] == ["version"]
    assert "version" not in project_table()
    assert metadata.version("lwlab") == lwlab.__version__
    assert f"\n## [{lwlab.__version__}]" in read("CHANGELOG.md")
    assert "\n## [Unreleased]" in read("CHANGELOG.md")
    holders = [
        path for path in (PROJECT / "lwlab").rglob("*.py") if lwlab.__version__ in path.read_text()
    ]
    assert holders == [PROJECT / "lwlab" / "__init__.py"]


def test_every_dependency_is_pinned_within_what_is_allowed_and_explained():
    table = project_table()
    extras = itertools.chain(*table["optional-dependencies"].values())
    wanted = [*table["dependencies"], *extras]
    known = {canonicalize_name(name): version for name, version in pins().items()}
    for requirement in map(Requirement, wanted):
        if requirement.name == "lwlab":
            continue
        assert known[canonicalize_name(requirement.name)] in requirement.specifier, requirement
        assert f"`{requirement.name}" in read("CHANGELOG.md"), requirement.name


def test_pins_are_exact_and_bring_no_gpu_runtime():
    assert len(pins()) > 50
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pins().values())
    assert not [name for name in pins() if re.match(r"nvidia|triton|cuda", name)]


def test_every_pin_installs_on_the_oldest_python_that_is_allowed():
    # An old pip that meets such a pin tries other combinations for a quarter of an hour.
    oldest = f"{project_table()['requires-python'].removeprefix('>=')}.0"
    for name, version in pins().items():
        try:
            found = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue  # pulled in on other platforms only
        if found["Version"].split("+")[0] == version and found["Requires-Python"]:
            assert oldest in SpecifierSet(found["Requires-Python"]), name


def test_what_is_installed_here_is_what_is_pinned():
    assert metadata.version("torch").split("+")[0] == pins()["torch"]
    assert metadata.version("ruff") == pins()["ruff"]


def test_pre_commit_uses_the_pinned_tools():
    config = yaml.safe_load(read(".pre-commit-config.yaml"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {"ruff", "ruff-format", "nbstripout", "end-of-file-fixer"} <= {h["id"] for h in hooks}
    for tool in {tool for hook in hooks for tool in hook["additional_dependencies"]}:
        name, version = tool.split("==")
        assert pins().get(name, version) == version, tool


def test_ci_is_a_script_that_can_run():
    path = PROJECT / ".ci" / "run"
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", path], check=True)
    assert "set -euo pipefail" in path.read_text()
    assert path.read_text().rstrip().endswith("make test"), "pytest's closing line comes last"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel without a network and return its path."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = folder.glob("*.whl")
    return path


def test_the_wheel_carries_the_package_and_the_lessons_and_nothing_else(wheel):
    assert wheel.name == f"lwlab-{lwlab.__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {
        f"lwlab/lessons/{path.relative_to(PROJECT / 'notebooks').as_posix()}"
        for path in (PROJECT / "notebooks").rglob("*.ipynb")
        if ".ipynb_checkpoints" not in path.parts
    }
    assert "lwlab/lessons/00_start_here.ipynb" in shipped
    assert shipped <= names
    sources = {p.relative_to(PROJECT).as_posix() for p in (PROJECT / "lwlab").rglob("*.py")}
    assert sources | {"lwlab/py.typed"} <= names
    info = f"lwlab-{lwlab.__version__}.dist-info/"
    assert f"{info}licenses/LICENSE" in names
    assert all(name.startswith(("lwlab/", info)) for name in names)
    assert not [name for name in names if "checkpoint" in name or "__pycache__" in name]


def test_styles_and_scripts_of_the_labs_travel_too(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (PROJECT / "lwlab").rglob("*"):
        if path.suffix in (".js", ".css", ".json", ".svg"):
            assert path.relative_to(PROJECT).as_posix() in names


def test_an_installed_wheel_brings_its_lessons_to_a_folder(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-m", "lwlab", "lab", "mine", "--no-open"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    originals = sorted((PROJECT / "notebooks").glob("*.ipynb"))
    assert [path.name for path in sorted((tmp_path / "mine").glob("*.ipynb"))] == [
        path.name for path in originals
    ]
    for path in originals:
        assert (tmp_path / "mine" / path.name).read_bytes() == path.read_bytes()
