import fnmatch
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
COMPOSE = REPOSITORY / "docker" / "compose.yaml"


def instructions():
    """(name, arguments) of the Dockerfile, continued lines joined."""
    text = (REPOSITORY / "docker" / "Dockerfile").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


def stages():
    """The instructions of each stage by its name, those of the stages it starts from included."""
    found = {}
    for name, arguments in instructions():
        if name == "FROM":
            source, _, stage = arguments.split()
            found[stage] = list(found.get(source, []))
        elif found:
            found[stage].append((name, arguments))
    return found


def default(argument):
    return next(text.split("=", 1)[1] for name, text in instructions() if name == "ARG" and text.startswith(argument))


def copied():
    """What COPY takes from the context."""
    for name, arguments in instructions():
        if name == "COPY":
            *sources, _ = [word for word in shlex.split(arguments) if not word.startswith("--")]
            yield from sources


def services():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return yaml.safe_load(COMPOSE.read_text())["services"]


@pytest.mark.parametrize("stage", ["runtime", "label"])
def test_an_image_runs_as_a_user_who_is_not_root(stage):
    users = [arguments for name, arguments in stages()[stage] if name == "USER"]
    assert users == ["1000:1000"]


def test_the_base_is_pinned_to_a_patch_of_python():
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", default("BASE"))


def test_every_stage_starts_from_the_base_or_another_stage():
    sources = [arguments.split()[0] for name, arguments in instructions() if name == "FROM"]
    assert set(sources) <= {"${BASE}", *stages()}


def test_nothing_is_the_latest():
    for path in ("Dockerfile", "compose.yaml"):
        assert ":latest" not in (REPOSITORY / "docker" / path).read_text()


def test_what_is_copied_exists_and_is_let_in_by_dockerignore():
    rules = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    for source in copied():
        assert (REPOSITORY / source).exists(), source
        assert f"!{source}" in rules, source


@pytest.mark.parametrize(
    "path", ["datasets/isbi2012/data", "bundles/isbi/models/model.pt", "bundles/isbi/output", "monai_unet/__pycache__"]
)
def test_data_weights_and_caches_stay_out(path):
    kept = False
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        if fnmatch.fnmatch(path, line.lstrip("!")) or path.startswith(line.lstrip("!") + "/"):
            kept = line.startswith("!")
    assert not kept


def test_what_is_installed_is_pinned_and_leaves_no_cache():
    installs = [
        part
        for name, text in instructions()
        if name == "RUN"
        for part in re.findall(r"pip (?:install|wheel)[^&]*", text)
    ]
    assert len(installs) >= 6
    for command in installs:
        assert "--no-cache-dir" in command, command
        assert "--constraint" in command or "--no-deps" in command or "==" in command, command


def test_both_images_take_the_same_pytorch():
    pins = [
        re.search(r"^torch==\S+", (REPOSITORY / name).read_text(), re.MULTILINE).group()
        for name in ("constraints.txt", "requirements-label.txt")
    ]
    assert pins[0] == pins[1]


def test_dependencies_are_installed_before_the_sources_come():
    runtime = stages()["runtime"]
    first = next(i for i, (name, text) in enumerate(runtime) if "requirements.txt" in text and name == "RUN")
    sources = next(i for i, (_, text) in enumerate(runtime) if "from=package" in text)
    assert first < sources


def test_the_extras_are_those_of_the_project():
    section = (REPOSITORY / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1].split("\n[")[0]
    extras = set(re.findall(r"^(\w+) = \[", section, re.MULTILINE))
    assert set(default("EXTRAS").split(",")) <= extras


def test_the_program_in_the_dockerfile_lists_the_projects_requirements():
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11, as the image has")
    run = next(text for name, text in instructions() if name == "RUN" and "tomllib" in text)
    program = shlex.split(run)[2].replace("/opt/monai-unet", REPOSITORY.as_posix())
    found = subprocess.run([sys.executable, "-c", program, "large"], capture_output=True, text=True, check=True)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert found.stdout.splitlines() == project["dependencies"] + project["optional-dependencies"]["large"]


def test_ports_are_published_on_this_machine_only():
    ports = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert {"tensorboard", "label"} <= set(ports)
    for published in ports.values():
        assert all(port.startswith("127.0.0.1:") for port in published)


def test_services_have_no_more_rights_than_they_need():
    for service in services().values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["user"] == "${RUN_AS:-1000:1000}"
        assert "privileged" not in service
        assert "network_mode" not in service


def test_only_the_services_of_the_gpu_reserve_one():
    reserved = {name for name, service in services().items() if "deploy" in service}
    assert reserved == {"train-gpu", "label-gpu"}


def test_services_build_stages_that_there_are():
    for service in services().values():
        build = service["build"]
        assert (COMPOSE.parent / build["context"] / build["dockerfile"]).resolve() == REPOSITORY / "docker/Dockerfile"
        assert build.get("target", "runtime") in stages()


def test_training_and_labelling_name_a_bundle_that_is_in_the_image():
    for name, command in ((name, service["command"]) for name, service in services().items()):
        for word in command:
            if "BUNDLE" in word and word.startswith("bundles/"):
                assert (REPOSITORY / word.replace("${BUNDLE:-isbi}", "isbi")).exists(), name
