# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from PIL import Image

from endoforge import verbs
from endoforge.errors import DataError, SettingsError
from endoforge.frames.media.video import VideoEnd, read_video
from endoforge.frames.png import decode_png
from endoforge.serving.mask_panels import colour_of, masked
from endoforge.serving.masks import NO_CLASS, run_masks
from endoforge.serving.settings import MaskSettings
from endoforge.training.sealed import update_content
from frames.media.samples import shown_in, tissue, write_video


class Halves:
    """The upper half is one class, the lower half another."""

    classes = ("liver", "fat", "never there")

    def predict(self, image):
        rows = np.arange(image.shape[0])[:, None] >= image.shape[0] // 2
        return np.broadcast_to(rows, image.shape[:2]).astype(np.uint8)


def save(path, picture):
    Image.fromarray(picture).save(path)
    return path


def test_a_picture_gives_a_mask_and_a_drawing_and_the_surround_has_no_class(tmp_path):
    image, inside = shown_in("circle")
    source = save(tmp_path / "a.png", image)
    report = run_masks(Halves(), source, tmp_path / "out")
    assert (report.frames, report.warnings) == (1, ())
    mask = decode_png((tmp_path / "out" / "masks" / "a.png").read_bytes(), "mask").pixels
    none = mask == NO_CLASS
    assert (none != ~inside).mean() < 0.02
    assert set(np.unique(mask[~none])) == {0, 1}
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    (frame,) = manifest["frames"]
    assert frame["shares"]["liver"] == pytest.approx((mask == 0).sum() / (~none).sum(), abs=1e-4)
    assert frame["shares"]["never there"] == 0
    assert manifest["classes"] == {"0": "liver", "1": "fat", "2": "never there", "255": "no class"}
    assert (tmp_path / "out" / frame["side_by_side"]).is_file()


def test_a_video_becomes_a_video_with_masks_over_it_and_runs_again_in_its_place(tmp_path):
    video = write_video(tmp_path / "a.mp4", 5)
    for _ in range(2):
        settings = MaskSettings(panel_px=160, stills=2, limit=4)
        report = run_masks(Halves(), video, tmp_path / "out", settings)
    frames = [
        one for one in read_video(tmp_path / "out" / "video.mp4") if not isinstance(one, VideoEnd)
    ]
    assert len(frames) == report.frames == 4
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 4
    assert len(list((tmp_path / "out" / "side_by_side").iterdir())) == 2


def test_a_picture_without_structure_has_no_mask_and_says_why(tmp_path):
    source = save(tmp_path / "a.png", np.full((64, 64, 3), 120, np.uint8))
    report = run_masks(Halves(), source, tmp_path / "out")
    assert report.not_trusted == 1
    assert "1 of 1 pictures are not trusted" in report.warnings[0]
    mask = decode_png((tmp_path / "out" / "masks" / "a.png").read_bytes(), "mask").pixels
    assert (mask == NO_CLASS).all()


def test_colours_lie_over_classes_alone():
    image = np.full((2, 2, 3), 100, np.uint8)
    label = np.array([[0, 1], [NO_CLASS, 0]], np.uint8)
    drawn = masked(image, label, 2, 0.5)
    assert drawn[1, 0].tolist() == [100, 100, 100]
    assert np.abs(drawn[0, 1].astype(int) - (50 + np.array(colour_of(1)) / 2)).max() <= 1


def test_results_of_depth_are_not_overwritten_with_masks(tmp_path):
    source = save(tmp_path / "a.png", tissue())
    verbs.run("depth", source, out=tmp_path / "out", assignments=["point_clouds=0"])
    with pytest.raises(DataError, match="expected 'endoforge segmentation run'"):
        run_masks(Halves(), source, tmp_path / "out")


# ---- as the command line calls it ----------------------------------------------------------------


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    from endoforge.segmentation.classes import ClassScheme
    from endoforge.segmentation.model_file import SegmentationModel, save_segmentation_model
    from endoforge.segmentation.networks.unet import SegmentationUNet
    from endoforge.segmentation.settings import SegmentationUNetSettings

    folder = tmp_path_factory.mktemp("models") / "model"
    network = SegmentationUNet(SegmentationUNetSettings(widths=(4, 8), blocks=(0, 1)), 2)
    scheme = ClassScheme(("liver", "fat"), {})
    save_segmentation_model(folder, SegmentationModel(network, (64, 48), scheme, {}))
    return folder


def test_a_segmentation_model_is_run_for_masks(tmp_path, segmenter):
    source = save(tmp_path / "a.png", tissue())
    report = verbs.run(segmenter, source, out=tmp_path / "out", assignments=["device=cpu"])
    assert report.frames == 1
    assert (tmp_path / "out" / "masks" / "a.png").is_file()


def test_a_model_of_another_kind_is_refused_with_what_to_do(tmp_path, segmenter):
    source = save(tmp_path / "a.png", tissue())
    with pytest.raises(SettingsError, match=r"depth model behind --adapt.*; leave"):
        verbs.run(segmenter, source, out=tmp_path / "out", adapt="back")
    update_content(segmenter, "model", {"kind": "translation-model"})
    with pytest.raises(SettingsError, match=r"got the translator .*; give it to endoforge trans"):
        verbs.run(segmenter, source, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
