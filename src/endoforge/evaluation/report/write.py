# SPDX-License-Identifier: Apache-2.0
"""The stage behind ``endoforge view``: look what lies in a folder and write the page about it."""

from pathlib import Path

from endoforge.errors import DataError
from endoforge.evaluation.report.dataset_page import dataset_page
from endoforge.evaluation.report.run_page import is_run, run_page
from endoforge.frames.manifest import MANIFEST
from endoforge.frames.storage import write_atomically

REPORT_FILE = "report.html"


def write_report(path: Path, out: Path | None = None) -> Path:
    """Write one static page that opens from disk.

    Args:
        path: A data set; or a RUN folder with any of: a training's metrics, evaluations (up to two
            folders down), depth of pictures (likewise).
        out: HTML file; None writes ``report.html`` into the folder.

    Returns:
        The page's file.

    Raises:
        DataError: The folder is neither, or something in it is damaged.
        StorageError: The page cannot be written.
    """
    try:
        html = _page_about(path)
    except PermissionError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}; check the path") from None
    page = path / REPORT_FILE if out is None else out
    write_atomically(page, html.encode("utf-8", errors="replace"))
    return page.resolve()


def _page_about(path: Path) -> str:
    if not path.is_dir():
        raise DataError(f"there is no folder {path}; give a data set or a run")
    if (path / MANIFEST).is_file():
        return dataset_page(path)
    if is_run(path):
        return run_page(path)
    raise DataError(
        f"{path} holds neither a data set (dataset.json) nor a run (metrics.jsonl, "
        "evaluation.json or a manifest.json of 'endoforge run'); check the path"
    )
