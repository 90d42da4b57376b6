# SPDX-License-Identifier: Apache-2.0
import inspect
import json
import os
import re
import signal
import subprocess
import sys

import pytest

import endoforge
from endoforge import cli, verbs
from endoforge.errors import DataError, SettingsError

SMALL = ["--set", "camera.width=48", "--set", "camera.height=40", "--set", "anatomy.length_mm=130"]


def run_cli(capsys, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(list(words))
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def test_the_public_names_are_the_verbs_and_the_version():
    assert sorted(endoforge.__all__) == endoforge.__all__
    for name in set(endoforge.__all__) - {"__version__"}:
        assert getattr(endoforge, name) is getattr(verbs, name)


def test_every_verb_is_a_command_of_the_same_name():
    commands = {command.callback.__name__ for command in cli.app.registered_commands}
    verb_names = {
        name
        for name, value in vars(verbs).items()
        if inspect.isfunction(value) and value.__module__ == verbs.__name__
    }
    assert verb_names <= commands
    assert commands - verb_names == {"demo", "doctor"}


def test_help_names_every_command(capsys):
    code, out, _ = run_cli(capsys, "--help")
    assert code == 0
    for command in ("simulate", "check", "train", "evaluate", "run", "view", "demo", "doctor"):
        assert command in out


def test_help_loads_neither_torch_nor_mitsuba():
    code = (
        "import sys; from endoforge import cli\n"
        "try: cli.main(['simulate', '--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'mitsuba', 'drjit', 'cv2', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["simulate", "colno", "--out", "x"], 2, "no recipe 'colno'"),
        (["simulate", "colon", "--out", "x", "--set", "framse=3"], 2, "did you mean 'frames'"),
        (["simulate", "colon", "--out", "x", "--set", "anatomy.mask=no.nii"], 3, "no.nii"),
        (["check", "nowhere"], 3, "nowhere is no data set"),
        (["train", "depth-unett", "--data", "x", "--out", "y"], 2, "known: depth-unet"),
        (["train", "depth-unet", "--out", "y"], 2, "give --data"),
        (
            ["train", "depth-unet", "--data", "x", "--real", "z", "--out", "y"],
            2,
            "leave out --real",
        ),
        (["train", "gan", "--out", "y"], 3, "needs pictures to learn from"),
        (["train", "pix2pix", "--data", "nowhere", "--out", "y"], 3, "there is no nowhere"),
        (["train", "gan", "--out", "y", "--set", "objectiv=hinge"], 2, "did you mean 'objective'"),
        (["train", "gan", "--out", "y", "--settings", "no.yaml"], 2, "no.yaml"),
        (["evaluate", "no-such-model", "x"], 3, "no-such-model"),
        (["run", "depth", "no-such-picture.png", "--out", "y"], 3, "no-such-picture.png"),
        (["view", "nowhere"], 3, "nowhere"),
    ],
)
def test_a_mistake_is_answered_in_one_line_with_its_exit_code(
    capsys, tmp_path, monkeypatch, words, code, message
):
    monkeypatch.chdir(tmp_path)
    got, _, err = run_cli(capsys, *words)
    assert (got, err.count("\n")) == (code, 1)
    assert message in err


def test_a_wrong_option_is_a_usage_error(capsys):
    code, _, err = run_cli(capsys, "simulate", "colon", "--frmes", "3")
    assert code == 2
    assert "--frames" in err


def test_debug_shows_the_trace():
    with pytest.raises(SettingsError):
        cli.main(["--debug", "simulate", "colno", "--out", "x"])


def test_an_interrupt_ends_with_130(capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(verbs, "check", interrupted)
    code, _, err = run_cli(capsys, "check", "somewhere")
    assert code == 130
    assert "the same command continues" in err


def test_an_interrupt_that_a_library_swallows_still_ends_the_process():
    deaf = """
import time
from endoforge import cli, verbs

def check(*_, **__):
    print("ready", flush=True)
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass

verbs.check = check
cli.main(["check", "somewhere"])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", deaf], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"the same command continues" in err


def test_json_prints_one_object_and_nothing_else(capsys, tmp_path):
    out = str(tmp_path / "data")
    words = ["simulate", "colon", "--frames", "2", "--seed", "3", "--out", out, "--json", *SMALL]
    code, text, err = run_cli(capsys, *words)
    assert (code, err) == (0, "")
    report = json.loads(text)
    assert (report["frames"], report["frames_planned"], report["failures"]) == (2, 2, {})
    code, text, err = run_cli(capsys, "check", out, "--json")
    assert (code, json.loads(text)["problems"]) == (0, [])


def test_check_ends_with_3_when_a_shard_was_changed(capsys, tmp_path):
    out = tmp_path / "data"
    run_cli(capsys, "simulate", "colon", "--frames", "2", "--out", str(out), *SMALL)
    shard = out / "shard-000000.tar"
    content = bytearray(shard.read_bytes())
    content[5000] ^= 1
    shard.write_bytes(content)
    code, text, _ = run_cli(capsys, "check", str(out))
    assert code == 3
    assert "shard-000000.tar" in text


def test_an_unwritable_place_is_named(capsys, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    out = str(tmp_path / "file" / "data")
    code, _, err = run_cli(capsys, "simulate", "colon", "--frames", "2", "--out", out, *SMALL)
    assert code in (3, 4)
    assert err.count("\n") == 1
    assert "file" in err


def test_the_pipe_may_close_early():
    done = subprocess.run(
        f"{sys.executable} -m endoforge --help | head -c 1",
        shell=True,
        capture_output=True,
        check=False,
        env=os.environ,
    )
    assert b"Traceback" not in done.stderr


def test_verbs_raise_our_errors_in_python(tmp_path):
    with pytest.raises(DataError, match="no data set"):
        endoforge.check(tmp_path)


def test_a_log_file_gets_a_line_with_rate_and_time_left_now_and_then(capsys, monkeypatch):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(cli.time, "monotonic", lambda: float(next(clock)))
    update = cli._lines("simulate", "frames")
    for done in range(20, 60, 10):
        update(done, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(
        re.fullmatch(r"simulate: \d+ of 100 frames, .* frames/s, \d+ s left", x) for x in lines
    )


def test_the_rate_leaves_out_what_was_there_before(monkeypatch):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(cli.time, "monotonic", lambda: next(clock))
    rate = cli._rate()
    assert rate(500) == 0.0
    assert rate(520) == 2.0
