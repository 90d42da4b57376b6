# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from endoforge.errors import DataError, StorageError
from endoforge.evaluation.report.write import write_report
from endoforge.frames.png import encode_png
from evaluation.report_payloads import PAYLOADS
from evaluation.samples import Page, check_page, small_dataset, write_run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return small_dataset(tmp_path_factory.mktemp("report") / "set", sequences=3)


@pytest.fixture(scope="module")
def run(tmp_path_factory, dataset):
    return write_run(tmp_path_factory.mktemp("report") / "run", dataset)


def rewritten(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def pictures_of(folder, name="scope.mp4", reason="ends early"):
    """What a run on pictures leaves, by hand: this room may not import its neighbour."""
    still = np.random.default_rng(0).integers(0, 255, (60, 140, 3), dtype=np.uint8)
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(encode_png(still))
    frame = {
        "name": name, "trusted": True, "reasons": [], "side_by_side": "a.png",
        "panels": [[5, 5, 60, 50], [75, 5, 60, 50]],
        "depth_mm": {"p5": 5.0, "median": 20.0, "p95": 60.0},
    }  # fmt: skip
    doubtful = frame | {"trusted": False, "reasons": [reason], "name": f"dark {name}"}
    manifest = {
        "kind": "endoforge depth run", "complete": True,
        "note": "There is no ground truth for these pictures.",
        "input": {"name": name, "kind": "video"}, "model": {"name": name},
        "camera": {"assumed": True, "note": name}, "colour_range_mm": [4.0, 128.0],
        "counts": {"written": 2, "not_trusted": 1, "refused": 0},
        "problems": [{"name": name, "reason": reason, "refused": 0}],
        "frames": [frame, doubtful],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_the_page_of_a_data_set_shows_every_label_and_keeps_the_laws(dataset):
    page = write_report(dataset)
    text = check_page(page.read_text()).text
    assert page == (dataset / "report.html").resolve()
    for word in ("depth", "normal", "class", "object", "flow", "hidden next", "polyp", "mm"):
        assert word in text
    assert "12 frames" in text or "frames 12" in text
    assert "Sequence 0" in text
    assert "Sequence 2" in text


def test_every_frame_of_the_contact_sheet_has_all_seven_pictures(dataset):
    page = check_page(write_report(dataset).read_text())
    texts = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    named = [text for text in texts if "sequence" in text]
    assert len(named) >= 4 * 7
    assert len(named) % 7 == 0
    assert len(set(named)) == len(named)


def test_the_page_of_a_run_shows_curves_all_alignments_and_baselines(run):
    page = check_page(write_report(run).read_text())
    for words in (
        "no alignment", "scaled to each picture's median", "scale and shift",
        "constant", "gradient", "silog", "Held-out figures", "worst of all frames", "1 to 200 mm",
    ):  # fmt: skip
        assert words in page.text
    drawings = [a["aria-label"] for tag, a in page.tags if tag == "svg" and "aria-label" in a]
    assert any("Training losses" in text for text in drawings)
    assert any("Colour bar of relative error" in text for text in drawings)


def test_pictures_without_truth_say_so(tmp_path, run):
    folder = tmp_path / "run"
    pictures_of(folder / "real")
    page = check_page(write_report(folder).read_text())
    assert "no ground truth" in page.text
    assert "ends early" in page.text
    assert "not trusted" in page.text
    assert "Figures against ground truth" not in page.text


def test_an_unfinished_run_on_pictures_is_left_out(tmp_path):
    folder = pictures_of(tmp_path / "run")
    rewritten(folder / "manifest.json", lambda m: m.update(complete=False))
    with pytest.raises(DataError, match="holds neither"):
        write_report(folder)


def test_the_same_folder_gives_the_same_page(dataset, tmp_path):
    first = write_report(dataset, tmp_path / "a.html").read_bytes()
    assert write_report(dataset, tmp_path / "b.html").read_bytes() == first


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_of_a_run_becomes_code(tmp_path, payload):
    folder = tmp_path / "run"
    pictures_of(folder / "real", payload, payload)
    (folder / "settings.json").write_text(json.dumps({payload: {payload: payload}}))
    (folder / "manifest.json").write_text(json.dumps({"task": payload, payload: [payload]}))
    lines = [{"step": step, "wall_s": step, f"depth/{payload}": 1.5} for step in (0, 1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = check_page_without_links(write_report(folder).read_text())
    assert payload.split()[0][:12] in page.text + " ".join(page.texts)


def test_no_text_of_a_data_set_or_an_evaluation_becomes_code(tmp_path, dataset):
    everything = " ".join(PAYLOADS)
    folder = small_dataset(tmp_path / "set", sequences=1, frames=2)
    rewritten(folder / "dataset.json", lambda m: m.update(name="<script>1</script>" + PAYLOADS[4]))
    rewritten(folder / "dataset.json", lambda m: m["labels"].update({"1": everything}))
    rewritten(folder / "dataset.json", lambda m: m["provenance"].update({"x": everything}))
    check_page_without_links(write_report(folder).read_text())
    run = write_run(tmp_path / "run", dataset)

    def poison(values):
        values["model"] = values["dataset"]["name"] = values["protocol_sentence"] = everything
        values["predictors"][0]["name"] = everything
        values["error_maps"][0]["chosen"] = everything

    rewritten(run / "evaluation" / "evaluation.json", poison)
    check_page_without_links(write_report(run).read_text())


def check_page_without_links(html: str) -> Page:
    """The laws hold even where hostile texts, shown as texts, hold addresses."""
    return check_page(html.replace("http://127.0.0.1", "nowhere"))


def test_a_result_that_names_files_outside_its_folder_is_refused(tmp_path, dataset):
    run = write_run(tmp_path / "run", dataset)
    for name in ("../secret.png", "/etc/passwd", "error_maps/../../secret.png"):
        rewritten(
            run / "evaluation" / "evaluation.json",
            lambda v, name=name: v["error_maps"][0]["files"].update(image=name),
        )
        with pytest.raises(DataError, match="outside"):
            write_report(run)


def test_a_damaged_result_is_named(tmp_path, dataset):
    run = write_run(tmp_path / "run", dataset)
    result = run / "evaluation" / "evaluation.json"
    rewritten(result, lambda v: v["predictors"][0].pop("scores"))
    with pytest.raises(DataError, match=r"evaluation\.json lacks .*scores"):
        write_report(run)
    result.write_text(result.read_text()[:100])
    with pytest.raises(DataError, match=r"evaluation\.json"):
        write_report(run)


def test_a_damaged_picture_of_a_result_is_named(tmp_path, dataset):
    run = write_run(tmp_path / "run", dataset)
    picture = run / "evaluation" / "error_maps" / "00-error.png"
    picture.write_bytes(picture.read_bytes()[:90])
    with pytest.raises(DataError, match=r"00-error\.png"):
        write_report(run)


@pytest.mark.parametrize("count", [1, 2])
def test_a_data_set_of_one_or_two_frames_has_a_page_too(tmp_path, count):
    check_page(write_report(small_dataset(tmp_path / "set", 1, count)).read_text())


def test_a_folder_with_nothing_to_show_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds neither"):
        write_report(tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        write_report(tmp_path / "missing")


def test_a_place_that_cannot_be_written_is_named(tmp_path, dataset):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        write_report(dataset, tmp_path / "file" / "page.html")
