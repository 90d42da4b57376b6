# SPDX-License-Identifier: Apache-2.0
import json
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from endoforge.errors import CameraError, CheckpointError, DataError, StorageError
from endoforge.frames.media.video import VideoEnd, read_video
from endoforge.frames.planes import decode_depth
from endoforge.frames.png import decode_png
from endoforge.geometry.camera_files import write_camera
from endoforge.geometry.cameras import PinholeCamera
from endoforge.serving.depth import estimate, run_depth
from endoforge.serving.settings import RunSettings
from frames.media.samples import cut, tissue, write_video
from serving.samples import BrightnessModel

MODEL = BrightnessModel()


def picture_folder(path: Path, count: int = 3) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(tissue(shift=4 * index)).save(path / f"{index}.png")
    return path


def manifest_of(out: Path) -> dict:
    return json.loads((out / "manifest.json").read_text())


def files_of(out: Path) -> set[str]:
    return {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}


def test_a_picture_gives_depth_a_drawing_and_a_cloud(tmp_path):
    source = picture_folder(tmp_path / "in", 1) / "0.png"
    report = run_depth(MODEL, source, tmp_path / "out")
    assert (report.frames, report.refused, report.warnings) == (1, 0, ())
    assert files_of(tmp_path / "out") == {
        "depth/0.png", "side_by_side/0.png", "points/0.ply", "manifest.json",
    }  # fmt: skip
    depth = decode_depth((tmp_path / "out" / "depth" / "0.png").read_bytes())
    assert np.allclose(depth, MODEL.predict(tissue()), atol=0.003)
    notes = decode_png((tmp_path / "out" / "depth" / "0.png").read_bytes(), "depth").notes
    assert (notes["unit"], notes["meaning"], float(notes["scale"])) == ("mm", "z", 0.005)


def test_the_manifest_says_what_was_assumed_and_that_there_is_no_truth(tmp_path):
    run_depth(MODEL, picture_folder(tmp_path / "in"), tmp_path / "out")
    manifest = manifest_of(tmp_path / "out")
    assert manifest["camera"]["assumed"] is True
    assert manifest["camera"]["diagonal_deg"] == 140.0
    assert "no ground truth" in manifest["note"]
    assert manifest["complete"] is True
    assert manifest["counts"] == {"written": 3, "not_trusted": 0, "refused": 0}
    assert str(tmp_path) not in json.dumps(manifest)
    assert {"0", "1", "2"} == {frame["name"] for frame in manifest["frames"]}


def test_a_folder_becomes_a_film_too(tmp_path):
    run_depth(MODEL, picture_folder(tmp_path / "in", 4), tmp_path / "out")
    *frames, end = read_video(tmp_path / "out" / "video.mp4")
    assert isinstance(end, VideoEnd)
    assert end.warnings == ()
    assert [round(frame.time_s, 2) for frame in frames] == [0.0, 0.1, 0.2, 0.3]


def test_a_video_keeps_its_times_and_its_odd_size_is_no_trouble(tmp_path):
    times = [0.0, 0.04, 0.2, 0.6]
    video = write_video(tmp_path / "a.mp4", times_s=times, size=(97, 71), pix_fmt="yuv444p")
    report = run_depth(MODEL, video, tmp_path / "out")
    frames = list(read_video(tmp_path / "out" / "video.mp4"))[:-1]
    assert report.frames == 4
    assert [round(frame.time_s, 2) for frame in frames] == times
    assert [f["time_s"] for f in manifest_of(tmp_path / "out")["frames"]] == times


def test_a_video_that_ends_early_is_done_up_to_the_cut_and_reported(tmp_path):
    video = cut(write_video(tmp_path / "a.mp4", 40, movflags="faststart"), 0.5)
    report = run_depth(MODEL, video, tmp_path / "out", RunSettings(stills=2, point_clouds=1))
    assert 10 < report.frames < 30
    assert "ends early" in report.warnings[0]
    manifest = manifest_of(tmp_path / "out")
    assert "ends early" in manifest["problems"][0]["reason"]
    assert manifest["counts"]["refused"] == 0
    assert len(manifest["frames"]) == report.frames


def test_broken_and_empty_pictures_are_counted_not_skipped(tmp_path):
    folder = picture_folder(tmp_path / "in")
    (folder / "3.png").write_bytes((folder / "0.png").read_bytes()[:300])
    Image.new("RGB", (96, 72)).save(folder / "4.png")
    report = run_depth(MODEL, folder, tmp_path / "out")
    assert (report.frames, report.refused, report.not_trusted) == (4, 1, 1)
    assert any("3.png" in warning for warning in report.warnings)
    assert any("not trusted" in warning for warning in report.warnings)


def test_a_picture_that_shows_nothing_gets_no_depth(tmp_path):
    Image.new("RGB", (96, 72), (255, 255, 255)).save(tmp_path / "a.png")
    run_depth(MODEL, tmp_path / "a.png", tmp_path / "out")
    depth = decode_depth((tmp_path / "out" / "depth" / "a.png").read_bytes())
    frame = manifest_of(tmp_path / "out")["frames"][0]
    assert np.isnan(depth).all()
    assert frame["trusted"] is False
    assert "too bright" in frame["reasons"][0]
    assert frame["points"] is None


def test_there_is_no_depth_on_the_black_border():
    image = tissue(200, 160)
    image[:, :50] = 0
    depth, reasons = estimate(MODEL, image)
    assert reasons == ()
    assert np.isnan(depth[:, :45]).all()
    assert np.isfinite(depth[:, 60:]).all()


def test_running_again_replaces_the_results_and_nothing_else(tmp_path):
    run_depth(MODEL, picture_folder(tmp_path / "many", 5), tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    run_depth(MODEL, picture_folder(tmp_path / "few", 1) / "0.png", tmp_path / "out")
    assert files_of(tmp_path / "out") == {
        "depth/0.png", "side_by_side/0.png", "points/0.ply", "manifest.json", "notes.txt",
    }  # fmt: skip


def test_a_folder_with_other_things_in_it_is_not_touched(tmp_path):
    source = picture_folder(tmp_path / "in")
    other = tmp_path / "out"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match=r"thesis\.txt"):
        run_depth(MODEL, source, other)
    (other / "manifest.json").write_text('{"kind": "something else"}')
    with pytest.raises(DataError, match="something else"):
        run_depth(MODEL, source, other)
    assert files_of(other) == {"thesis.txt", "manifest.json"}


def test_results_never_go_where_the_input_lies(tmp_path):
    source = picture_folder(tmp_path / "in")
    for place in (source, tmp_path):
        with pytest.raises(DataError, match="lies in the folder"):
            run_depth(MODEL, source, place)


def test_a_camera_file_is_used_and_must_fit(tmp_path):
    source = picture_folder(tmp_path / "in", 1) / "0.png"
    camera = tmp_path / "camera.json"
    write_camera(camera, PinholeCamera.from_field_of_view(192, 144, 80.0))
    run_depth(MODEL, source, tmp_path / "out", RunSettings(camera=camera))
    assert manifest_of(tmp_path / "out")["camera"]["assumed"] is False
    write_camera(camera, PinholeCamera.from_field_of_view(144, 144, 80.0))
    with pytest.raises(CameraError, match="144 × 144"):
        run_depth(MODEL, source, tmp_path / "out", RunSettings(camera=camera))


def test_stills_and_clouds_are_spread_evenly_over_the_run(tmp_path):
    settings = RunSettings(stills=2, point_clouds=0)
    run_depth(MODEL, picture_folder(tmp_path / "in", 6), tmp_path / "out", settings)
    assert {f for f in files_of(tmp_path / "out") if not f.startswith("depth")} == {
        "side_by_side/0.png", "side_by_side/3.png", "video.mp4", "manifest.json",
    }  # fmt: skip


def test_progress_is_told_and_a_limit_kept(tmp_path):
    told = []
    report = run_depth(
        MODEL,
        picture_folder(tmp_path / "in", 5),
        tmp_path / "out",
        RunSettings(limit=3),
        lambda done, total: told.append((done, total)),
    )
    assert report.frames == 3
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_wrong_input_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match="there is no"):
        run_depth(MODEL, tmp_path / "missing", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no picture"):
        run_depth(MODEL, tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_model_is_refused(tmp_path):
    with pytest.raises(CheckpointError):
        run_depth(str(tmp_path / "none"), picture_folder(tmp_path / "in"), tmp_path / "out")


def test_a_folder_where_nothing_can_be_read_is_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"no picture of .* can be used.*a\.png"):
        run_depth(MODEL, tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out" / "video.mp4").exists()
    assert manifest_of(tmp_path / "out")["complete"] is False


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    source = picture_folder(tmp_path / "in")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        run_depth(MODEL, source, tmp_path / "file" / "out")


def test_depth_beyond_the_farthest_stays_at_it(tmp_path):
    class Far:
        def predict(self, image):
            return np.full(image.shape[:2], 480.0, np.float32)

    run_depth(Far(), picture_folder(tmp_path / "in", 1) / "0.png", tmp_path / "out")
    depth = decode_depth((tmp_path / "out" / "depth" / "0.png").read_bytes())
    assert np.allclose(depth, 65535 * 0.005)


def test_a_full_disk_leaves_no_half_result(tmp_path):
    """A limit on the size of files stands for the full disk; the model's code is not needed."""
    source = picture_folder(tmp_path / "in")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(StorageError, match="cannot write"):
            run_depth(MODEL, source, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert manifest_of(tmp_path / "out")["complete"] is False
    assert not (tmp_path / "out" / "video.mp4").exists()
    assert run_depth(MODEL, source, tmp_path / "out").frames == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a read-only folder")
def test_a_read_only_folder_is_named(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="locked"):
        run_depth(MODEL, picture_folder(tmp_path / "in"), tmp_path / "locked" / "out")
