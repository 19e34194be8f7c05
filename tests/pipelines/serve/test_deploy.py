"""What deploy/ ships fits this server: names of metrics and options, nginx, a rolling restart."""

import asyncio
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer.main
import yaml

from dynstream.cli.main import build
from dynstream.pipelines.batch import ray_workers
from dynstream.pipelines.serve.options import read_config
from dynstream.pipelines.serve.rights import read_tokens

from .live import lab, run
from .rolling import NGINX, free_ports, local_configuration, rolling
from .test_http import make_offer

DEPLOY = Path(__file__).parents[3] / "deploy"


def options() -> dict[str, str]:
    command = typer.main.get_command(build(["serve"])).commands["serve"]  # type: ignore[attr-defined]
    return {word.removeprefix("--"): each.name for each in command.params for word in each.opts}


def test_dashboard_and_alerts_ask_for_metrics_that_there_are() -> None:
    async def story() -> str:
        async with lab() as world:
            await world.post("/offer", json={"type": "offer", "sdp": await make_offer("video")})
            await world.request("GET", "/metrics")
            return str((await world.request("GET", "/metrics"))[2])

    text = run(story())
    there = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) | set(re.findall(r"^(\w+)[ {]", text, re.MULTILINE))
    dashboard = json.loads((DEPLOY / "grafana" / "dynstream.json").read_text())
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert len(asked) > 30
    for expression in asked:
        for name in re.findall(r"\b(?:dynstream|process)_\w+", expression):
            sums = {name, name.removesuffix("_count"), name.removesuffix("_sum"), name.removesuffix("_bucket")}
            assert sums & there, f"{name} in {expression}"


def test_the_dashboard_of_a_batch_asks_for_metrics_that_its_workers_have() -> None:
    counters = set(re.findall(r'Counter\("(\w+)"', Path(ray_workers.__file__).read_text("utf-8")))
    panels = json.loads((DEPLOY / "grafana" / "batch.json").read_text())["panels"]
    asked = {name for panel in panels for one in panel["targets"] for name in re.findall(r"ray_\w+", one["expr"])}
    assert asked == {f"ray_{name}_total" for name in counters}
    assert len(counters) == 4


def test_the_files_name_options_that_there_are() -> None:
    names = options()
    found = read_config(DEPLOY / "serve.toml", names)
    assert found["max_sessions"] == 8
    assert {token.name for token in read_tokens((DEPLOY / "tokens.toml").read_text(), "x")} == {
        "page",
        "stage",
        "operator",
    }
    unit = (DEPLOY / "systemd" / "dynstream@.service").read_text()
    compose = (DEPLOY / "compose.yaml").read_text()
    for option in re.findall(r" --([a-z-]+)", re.search(r"^ExecStart=.*$", unit, re.MULTILINE)[0]):  # type: ignore[index]
        assert option in names
    for variable in re.findall(r"DYNSTREAM_SERVE_([A-Z_]+)", unit + compose):
        assert variable.lower().replace("_", "-") in names, variable
    services = yaml.safe_load(compose)["services"]
    assert set(services) >= {"a", "b", "nginx"}
    for service in services.values():
        for volume in service.get("volumes", ()):
            here = volume.partition(":")[0]
            if here.startswith("./") and here not in ("./cert.pem", "./key.pem"):
                assert (DEPLOY / here).exists(), here
    assert tomllib.loads((DEPLOY / "serve.toml").read_text())["log-format"] == "json"


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    path = local_configuration(tmp_path, *(lambda front, *backs: (front, list(backs)))(*free_ports(3)))
    checked = subprocess.run([str(NGINX), "-t", "-c", str(path), "-p", str(tmp_path)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_a_rolling_restart_loses_no_edits() -> None:
    assert asyncio.run(asyncio.wait_for(rolling(2), 240)) == []
