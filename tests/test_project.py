"""What the pages say is true: links lead somewhere, commands exist, snippets run, signatures are the code's."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import flowcore
from flowcore import hookspecs
from flowcore.capabilities import CAPABILITIES

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "plugins/*/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
    if ".venv" not in path.parts
)
IDS = [str(path.relative_to(ROOT)) for path in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)


def commands(page: Path) -> list[str]:
    """The lines that a page shows to be typed."""
    lines = [line for text in blocks(page, "console") for line in text.splitlines()]
    return [line[2:].split("  #")[0].strip() for line in lines if line.startswith("$ ")]


def slug(heading: str) -> str:
    """A heading's anchor, as the sites that show Markdown make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            assert anchor in [slug(heading) for heading in headings], f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_make_targets_of_the_pages_exist(page: Path) -> None:
    phony = " ".join(re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M))
    mentioned = re.findall(r"(?:^\$ |`)make ([a-z-]+)", page.read_text(), re.M)
    assert set(mentioned) <= set(phony.split())


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_of_the_pages_exist(page: Path) -> None:
    mentioned = set(re.findall(r"(?:^\$ |`)flow ([a-z][a-z-]*)\b(?! =)", page.read_text(), re.M))
    if mentioned:
        assert mentioned <= command_names()


def command_names() -> set[str]:
    """The commands that ``flow --help`` lists."""
    done = subprocess.run([flow(), "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"^  ([a-z][a-z-]*)\b", done.stdout, re.M))


def flow() -> str:
    """The command beside this interpreter."""
    return str(Path(sys.executable).with_name("flow"))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_complete_documents_of_the_pages_are_right(page: Path) -> None:
    from flowcore.backend import check

    for text in blocks(page, "yaml"):
        if text.startswith("flowcore: 1"):
            assert check(text) == []


def keys(schema: object) -> set[str]:
    """Every key that a schema knows, at any depth."""
    found: set[str] = set()
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            found |= set(properties)
        for inner in schema.values():
            found |= keys(inner)
    elif isinstance(schema, list):
        for inner in schema:
            found |= keys(inner)
    return found


def test_the_page_about_the_document_names_every_key() -> None:
    from flowcore.document import schema

    text = (ROOT / "docs" / "document.md").read_text()
    named = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    assert {key for key in keys(schema()) if re.fullmatch(r"[a-z_]+", key)} <= named


@pytest.fixture
def readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the README tells to write, as the working directory."""
    page = ROOT / "README.md"
    (tmp_path / "first.py").write_text(next(text for text in blocks(page, "python") if "flow.main" in text))
    (tmp_path / "first.yaml").write_text(next(text for text in blocks(page, "yaml") if text.startswith("flowcore:")))
    (tmp_path / "flowcore.yaml").write_text(next(text for text in blocks(page, "yaml") if "profiles:" in text))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAREHOUSE_TOKEN", "sesame")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    return page


def test_the_commands_of_the_readme_work(readme: Path) -> None:
    for line in commands(readme):
        # What takes an engine or a cluster is for the tests that have one.
        if line.split()[0] in ("make", "pip") or "--backend" in line or "--check" in line:
            continue
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_program_of_the_readme_works(readme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = (text for text in blocks(readme, "python") if "flow.run(" in text)
    exec(compile(text, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == "succeeded {'total': 14}"


def test_the_profile_of_the_readme_works(readme: Path) -> None:
    line = "flow run first.yaml --profile nightly"
    assert line in readme.read_text()
    assert subprocess.run(["sh", "-c", line], capture_output=True, timeout=60, check=False).returncode == 0


def test_the_readme_tells_the_first_workflow_twice(readme: Path) -> None:
    import flowcore as flow

    first = flow.run("first.py", backend="local")
    assert first.outputs == flow.run("first.yaml", backend="local").outputs == {"total": 14}


# What the page about plugins shows


def methods(source: ast.AST, of: str) -> dict[str, list[str]]:
    """The methods of a class in a source, with their arguments."""
    (found,) = (node for node in ast.walk(source) if isinstance(node, ast.ClassDef) and node.name == of)
    functions = [node for node in found.body if isinstance(node, ast.FunctionDef)]
    return {node.name: [argument.arg for argument in node.args.args] for node in functions}


def test_the_page_about_plugins_has_the_contract_as_it_is() -> None:
    page = ROOT / "docs" / "plugins.md"
    contract = next(text for text in blocks(page, "python") if "class Backend(Protocol)" in text)
    assert methods(ast.parse(contract), "Backend") == methods(ast.parse(inspect.getsource(hookspecs)), "Backend")
    assert {name for name in vars(hookspecs.Backend) if hasattr(getattr(hookspecs.Backend, name), "flowcore_spec")} == {
        name for name in methods(ast.parse(contract), "Backend") if name not in ("capabilities", "limits")
    }


def test_the_page_about_plugins_names_every_capability() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text()
    assert set(CAPABILITIES) <= set(re.findall(r"^\| `([a-z_.]+)` \|", text, re.M))


def test_the_backend_of_the_page_about_plugins_works(tmp_path: Path) -> None:
    from flowcore.backend import Backend, load
    from flowcore.registry import contract_fault

    page = ROOT / "docs" / "plugins.md"
    source = next(text for text in blocks(page, "python") if "class ShellBackend" in text)
    file = tmp_path / "flowcore_shell.py"
    file.write_text(source)
    names: dict[str, object] = {"__name__": "flowcore_shell"}
    exec(compile(source, str(file), "exec"), names)
    cls: type = names["ShellBackend"]  # type: ignore[assignment]
    assert contract_fault(cls) is None
    options = names["Options"](folder=str(tmp_path / "runs"))  # type: ignore[operator]
    backend = Backend.of(cls(options), "shell")

    document = (
        "flowcore: 1\nname: two\nparams: {who: 'the world; $(date)'}\nsteps:\n"
        "  greet: {command: [echo, 'hello ${{ params.who }}'], env: {A: b}}\n"
        "  fail: {needs: [greet], command: [sh, -c, 'exit 3']}\n"
        "  never: {needs: [fail], command: [echo, never]}\n"
    )
    rendered = backend.render(load(document))
    assert backend.render(load(document)) == rendered
    handle = backend.submit(rendered, "key")
    assert backend.submit(rendered, "key") == handle
    update = backend.wait(handle)
    assert update.phase == "failed"
    assert {name: (str(state.phase), state.exit_code) for name, state in update.steps.items()} == {
        "greet": ("succeeded", 0),
        "fail": ("failed", 3),
        "never": ("skipped", None),
    }
    assert [line.line for line in backend.logs(handle)] == ["hello the world; $(date)"]
    backend.cancel(handle)


# The repository itself


def tracked() -> list[Path]:
    """The files of the project, as far as git knows them."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [ROOT / name for name in done.stdout.splitlines()]


def test_the_map_of_the_house_names_what_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for cell in re.findall(r"^\| (`.*?) \|", text, re.M):
        for name in re.findall(r"`([^`]+)`", cell):
            assert (ROOT / name).exists() or (ROOT / f"{name}.py").exists(), name


def test_all_distributions_have_one_version() -> None:
    versions = {
        re.search(r'^version = "(.*)"$', file.read_text(), re.M)[1]  # type: ignore[index]
        for file in (ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml"))
    }
    assert versions == {flowcore.__version__}
    assert f"## {versions.pop()}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_backend_is_an_extra_and_every_plugin_a_development_requirement() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for file in ROOT.glob("plugins/*/pyproject.toml"):
        text = file.read_text()
        required = (ROOT / "requirements-dev.txt").read_text()
        assert re.search(rf"^-e plugins/{file.parent.name}(\[.*\])?$", required, re.M)
        if '"flowcore.backends"' not in text:
            continue  # a library of backends comes along with them
        name = re.search(r'^name = "flowcore-(.*)"$', text, re.M)[1]  # type: ignore[index]
        assert re.search(rf'^{name} = \["flowcore-{name}[^a-z]', project, re.M)
        assert re.search(rf'^all = \[.*"flowcore-{name}[^a-z]', project, re.M)


def test_nothing_names_a_place_of_somebodys_machine() -> None:
    places = [f"{place}/" for place in (ROOT, Path.home()) if len(place.parts) > 1]
    for file in tracked():
        if file.is_file() and file.suffix in (".md", ".py", ".toml", ".yaml", ".yml", ".sh", ".txt"):
            text = file.read_text(encoding="utf-8", errors="replace")
            found = [place for place in places if re.search(rf"(?<![\w.]){re.escape(place)}", text)]
            assert not found, f"{file.relative_to(ROOT)} names {found}"
