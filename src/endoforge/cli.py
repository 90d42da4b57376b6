# SPDX-License-Identifier: Apache-2.0
"""One command per stage; the only place that prints or exits.

Slow libraries are loaded by the command that needs them, so that ``--help`` answers at once.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from endoforge import verbs
from endoforge.errors import EndoforgeError

_SECONDS_BETWEEN_LINES = 10.0

EXIT_INCOMPLETE = 4
EXIT_INTERRUPTED = 130
_INTERRUPTED = "endoforge: interrupted; the same command continues"
_PATIENCE_S = 3.0

app = typer.Typer(
    name="endoforge",
    help="Labelled surgical video without a labeller: simulate, train, evaluate, run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder that the result goes to.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override one setting, e.g. camera.width=640. Repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


# ---- simulate and check --------------------------------------------------------------------------


@app.command()
def simulate(
    recipe: Annotated[str, typer.Argument(help="Recipe name, YAML file or data set, e.g. colon.")],
    out: OutOption,
    frames: Annotated[int | None, typer.Option(help="Frames in the whole data set.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same data set.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
    ct: Annotated[
        Path | None, typer.Option(help="CT for cinematic recipes: NIfTI file or DICOM folder.")
    ] = None,
    assignments: SetOption = None,
    strict: Annotated[bool, typer.Option(help="Stop at the first sequence that fails.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a labelled data set. Run the same command again to continue an interrupted one."""
    with _progress("simulate", "frames", as_json) as progress:
        report = verbs.simulate(
            recipe,
            out=out,
            frames=frames,
            seed=seed,
            workers=workers,
            ct=ct,
            assignments=assignments or (),
            strict=strict,
            progress=progress,
        )
    rate = report.frames_made / max(report.seconds, 1e-9)
    _show(
        report,
        f"{report.frames} of {report.frames_planned} frames in {report.out} "
        f"({report.frames_made} new, {rate:.1f} frames/s)",
        as_json,
    )
    for sequence, failure in report.failures.items():
        print(f"sequence {sequence} failed: {failure}", file=sys.stderr)
    if not report.complete:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command()
def check(
    dataset: Annotated[Path, typer.Argument(help="Data set folder.")],
    as_json: JsonOption = False,
) -> None:
    """Verify a data set: hashes, units, ranges, and that depth, flow and poses agree."""
    with _progress("check", "frames", as_json) as progress:
        report = verbs.check(dataset, progress=progress)
    lines = [f"{report.frames} frames in {report.sequences} sequences checked"]
    if report.audited:
        lines.append(f"the audit rejected {report.rejected} frames; training and export skip them")
    lines += [str(problem) for problem in report.problems] or ["no problem found"]
    _show(report, "\n".join(lines), as_json)
    if report.problems:
        raise typer.Exit(3)


@app.command()
def export(
    dataset: Annotated[Path, typer.Argument(help="Data set folder.")],
    out: OutOption,
    format: Annotated[
        str, typer.Option("--format", help="png, exr, coco, hdf5, kitti, tum, nerfstudio or ply.")
    ],
    with_rejected: Annotated[
        bool, typer.Option("--with-rejected", help="Write frames too that an audit rejected.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a data set in another format."""
    with _progress("export", "frames", as_json) as progress:
        report = verbs.export(
            dataset, format=format, out=out, with_rejected=with_rejected, progress=progress
        )
    text = f"{report.frames} frames in {report.files} files, {report.bytes / 1e6:.1f} MB, in {out}"
    if report.rejected:
        text += f"; {report.rejected} frames left out, the audit rejected them"
    _show(report, text, as_json)


@app.command()
def audit(
    dataset: Annotated[Path, typer.Argument(help="Translated data set folder.")],
    against: Annotated[
        Path | None, typer.Option(help="What it was made from; found in dataset.json if not given.")
    ] = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge frame by frame whether labels still hold after translation; reject the others."""
    with _progress("audit", "frames", as_json) as progress:
        report = verbs.audit(
            dataset, against=against, assignments=assignments or (), progress=progress
        )
    text = (
        f"{len(report.rejected)} of {report.frames} frames rejected (score {report.threshold:g} or "
        f"more); median score {report.median_damage:.2f}, median shift "
        f"{report.median_shift_px:.2f} px"
    )
    worst = (f"sequence {s} frame {i}: {score:.2f}" for (s, i), score in report.worst)
    _show(report, f"{text}\nworst: {', '.join(worst)}", as_json)


# ---- train, evaluate, run ------------------------------------------------------------------------


@app.command()
def train(
    task: Annotated[
        str,
        typer.Argument(
            help="What to train: depth-unet, segmentation-unet, or a method of translation: gan, "
            "dcgan, pix2pix, cyclegan, cut, munit, content-munit, reverse."
        ),
    ],
    out: OutOption,
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="Data set folder. Repeatable.")
    ] = None,
    real: Annotated[
        list[Path] | None,
        typer.Option(
            "--real",
            help="For translation: real pictures, a folder, video or data set. Repeatable.",
        ),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="YAML file, or a run's settings.json.")
    ] = None,
    assignments: SetOption = None,
    start_from: Annotated[
        str | None, typer.Option("--from", help="Model to fine-tune, e.g. depth or a folder.")
    ] = None,
    narrow: Annotated[
        bool, typer.Option("--narrow", help="Small translators at 128 px, for use without a GPU.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Print what would happen, then stop.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a network, or a translator. Run the same command again to continue."""
    with _progress("train", "steps", as_json) as progress:
        report = verbs.train(
            task,
            data=data or (),
            real=real or (),
            out=out,
            settings_file=settings,
            assignments=assignments or (),
            start_from=start_from,
            narrow=narrow,
            dry_run=dry_run,
            progress=progress,
        )
    _show(report, f"model in {out / 'model'}" if not dry_run else _pretty(report), as_json)


@app.command()
def translate(
    model: Annotated[str, typer.Argument(help="Translator: a RUN folder or a model folder.")],
    dataset: Annotated[Path, typer.Argument(help="Data set that gets another look.")],
    out: OutOption,
    styles: Annotated[int | None, typer.Option(help="Looks per sequence.")] = None,
    style_from: Annotated[
        list[Path] | None, typer.Option(help="Borrow the look of a picture. Repeatable.")
    ] = None,
    style_bank: Annotated[
        Path | None, typer.Option(help="Folder that endoforge styles wrote.")
    ] = None,
    style_group: Annotated[int | None, typer.Option(help="Looks of this group of it.")] = None,
    style_between: Annotated[
        tuple[Path, Path, int] | None, typer.Option(help="Two pictures, and how many steps.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same random looks.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 1,
    audit: Annotated[bool, typer.Option(help="Judge whether labels still hold.")] = True,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a data set another look; labels stay. Run the same command again to continue."""
    choices: dict[str, Any] = {"styles": styles, "style_group": style_group, "seed": seed}
    choices["style_from"] = [str(path) for path in style_from] if style_from else None
    choices["style_bank"] = None if style_bank is None else str(style_bank)
    if style_between is not None:
        choices |= {
            "style_between": [str(p) for p in style_between[:2]],
            "styles": style_between[2],
        }
    with _progress("translate", "frames", as_json) as progress:
        report = verbs.translate(
            model,
            dataset,
            out=out,
            choices={name: value for name, value in choices.items() if value is not None},
            workers=workers,
            audit=audit,
            assignments=assignments or (),
            progress=progress,
        )
    rate = report.frames_made / max(report.seconds, 1e-9)
    text = (
        f"{report.frames} of {report.frames_planned} frames in {report.out} "
        f"({report.frames_made} new, {rate:.1f} frames/s), styles: {', '.join(report.styles)}"
    )
    if report.rejected is not None:
        text += f"; the audit rejected {report.rejected}"
    _show(report, text, as_json)
    for sequence, failure in report.failures.items():
        print(f"sequence {sequence} failed: {failure}", file=sys.stderr)
    if not report.complete:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command()
def styles(
    model: Annotated[str, typer.Argument(help="Translator with styles: munit, content-munit.")],
    paths: Annotated[list[Path], typer.Argument(help="Folders of pictures, videos, data sets.")],
    out: OutOption,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the looks of a hospital's pictures on a map and into groups."""
    with _progress("styles", "pictures", as_json) as progress:
        bank = verbs.styles(model, paths, out=out, assignments=assignments or (), progress=progress)
    sizes = {group: len(bank.members(group)) for group in range(bank.groups)}
    listed = ", ".join(f"{group} ({size} pictures)" for group, size in sizes.items())
    _show({"out": str(out), "groups": sizes}, f"groups {listed}; see {out / 'map.png'}", as_json)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Model: depth, a RUN folder or a model folder.")],
    dataset: Annotated[Path, typer.Argument(help="Data set folder with depth.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the result.")] = None,
    fit_baselines_on: Annotated[
        Path | None, typer.Option("--baselines-from", help="Data set that baselines may look at.")
    ] = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a depth model with every alignment side by side, beside trivial baselines."""
    with _progress("evaluate", "frames", as_json) as progress:
        result = verbs.evaluate(
            model,
            dataset,
            out=out,
            baselines_from=fit_baselines_on,
            assignments=assignments or (),
            progress=progress,
        )
    _show(result.to_dict(), result.table(), as_json)


@app.command()
def realism(
    made: Annotated[Path, typer.Argument(help="Made pictures: data set, folder or video.")],
    real: Annotated[list[Path], typer.Argument(help="Real pictures: folders or videos.")],
    features: Annotated[
        Path | None, typer.Option(help="Weights: Inception's for true FID, or SqueezeNet's.")
    ] = None,
    before: Annotated[Path | None, typer.Option(help="What the pictures were made from.")] = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how far made pictures are from real ones, in the features of a named network."""
    result = verbs.realism(
        made, real, features=features, before=before, assignments=assignments or ()
    )
    _show(result.to_dict(), result.table(), as_json)


@app.command()
def reproduce(
    experiment: Annotated[str, typer.Argument(help="Experiment: cinematic or reverse.")],
    out: OutOption,
    scale: Annotated[str, typer.Option(help="quick or full.")] = "quick",
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a paper's experiment again: data, trainings, tables, and which claims held."""

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    result = verbs.reproduce(
        experiment, out=out, scale=scale, assignments=assignments or (), say=say
    )
    _show(result.to_dict(), result.markdown(), as_json)


@app.command()
def run(
    model: Annotated[
        str, typer.Argument(help="Model of depth or segmentation: depth, a RUN or a model folder.")
    ],
    path: Annotated[Path, typer.Argument(help="Picture, folder of pictures or video.")],
    out: OutOption,
    adapt: Annotated[
        str | None,
        typer.Option(help="Translator of method reverse to see pictures through, e.g. a RUN."),
    ] = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate depth, or masks, on a picture, a folder or a video."""
    with _progress("run", "frames", as_json) as progress:
        report = verbs.run(
            model, path, out=out, adapt=adapt, assignments=assignments or (), progress=progress
        )
    _show(report, f"{report.frames} frames written to {out}", as_json)
    for warning in report.warnings:
        print(warning, file=sys.stderr)


# ---- view, demo, doctor --------------------------------------------------------------------------


@app.command()
def view(
    path: Annotated[Path, typer.Argument(help="Data set or RUN folder.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="HTML file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one static page about a data set or a run; it opens from disk."""
    page = verbs.view(path, out=out)
    _show({"report": str(page)}, f"open {page}", as_json)


@app.command()
def demo(
    out: OutOption = Path("demo"),
    as_json: JsonOption = False,
) -> None:
    """Run the whole pipeline, small and offline: simulate, train, evaluate, run, report."""
    from endoforge.demo import run_demo

    def say(text: str) -> None:
        print(text, file=sys.stderr if as_json else sys.stdout, flush=True)

    result = run_demo(out, say)
    _show(result, f"open {result['report']}", as_json)


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what works on this machine and how to mend what does not."""
    from endoforge.doctor import diagnose

    findings = diagnose()
    lines = []
    for finding in findings:
        lines.append(f"{'ok  ' if finding.ok else 'MISS'} {finding.name}: {finding.detail}")
        if not finding.ok and finding.mend:
            lines.append(f"     mend: {finding.mend}")
    _show({"findings": [asdict(f) for f in findings]}, "\n".join(lines), as_json)
    if any(not finding.ok and finding.required for finding in findings):
        raise typer.Exit(1)


# ---- how results, progress and errors reach a person ---------------------------------------------


def _show(result: Any, text: str, as_json: bool) -> None:
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return  # one of several processes that train together speaks for all
    print(json.dumps(_plain(result), default=str) if as_json else text)


def _plain(result: Any) -> Any:
    return asdict(result) if is_dataclass(result) and not isinstance(result, type) else result


def _pretty(result: Any) -> str:
    return json.dumps(_plain(result), indent=2, default=str)


Update = Callable[[int, int], None]


@contextmanager
def _progress(what: str, unit: str, quiet: bool) -> Iterator[Update | None]:
    """Show a bar with rate and time left on a terminal, a line now and then in a log file."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bar(what, unit) as update:
            yield update
    else:
        yield _lines(what, unit)


@contextmanager
def _bar(what: str, unit: str) -> Iterator[Update]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeLeft())
    bar = Progress(TextColumn("{task.description}"), *columns, console=Console(stderr=True))
    rate_of = _rate()
    with bar:
        task = bar.add_task(what, total=None, rate="")

        def update(done: int, total: int) -> None:
            rate = f"{rate_of(done):.1f} {unit}/s"
            bar.update(task, completed=done, total=total, rate=rate)

        yield update


def _lines(what: str, unit: str) -> Update:
    """Report at most every ten seconds."""
    rate_of, shown = _rate(), time.monotonic()

    def update(done: int, total: int) -> None:
        nonlocal shown
        rate = rate_of(done)
        if time.monotonic() - shown > _SECONDS_BETWEEN_LINES and rate > 0:
            shown = time.monotonic()
            left = (total - done) / rate
            text = f"{what}: {done} of {total} {unit}, {rate:.1f} {unit}/s, {left:.0f} s left"
            print(text, file=sys.stderr, flush=True)

    return update


def _rate() -> Callable[[int], float]:
    """Count from the first call on: what an earlier run did is not this run's speed."""
    marks: list[tuple[float, int]] = []

    def rate(done: int) -> float:
        marks.append((time.monotonic(), done))
        del marks[1:-1]
        (started, first), (now, last) = marks[0], marks[-1]
        return (last - first) / (now - started) if now > started else 0.0

    return rate


def _version(show: bool | None) -> None:
    if show:
        from importlib.metadata import version

        print(f"endoforge {version('endoforge')}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    show_version: Annotated[
        bool | None,
        typer.Option("--version", callback=_version, is_eager=True, help="Print version."),
    ] = None,
) -> None:
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(message)s"
    )
    if not verbose and not debug:
        logging.getLogger("endoforge.frames.workers").setLevel(logging.CRITICAL)


def _listen_for_interrupts() -> None:
    """Let SIGTERM, and SIGINT unless our parent had it ignored, interrupt this process."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(*_: object) -> NoReturn:
    threading.Thread(target=_insist, daemon=True).start()
    raise KeyboardInterrupt


def _insist() -> None:
    """End the process although a library swallowed the interrupt: what is on disk is whole."""
    time.sleep(_PATIENCE_S)
    os.write(2, f"{_INTERRUPTED}\n".encode())
    os._exit(EXIT_INTERRUPTED)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 failed, 2 usage, 3 bad input, 4 run again, 130."""
    _listen_for_interrupts()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=words)
    except EndoforgeError as error:
        if "--debug" in words:
            raise
        print(f"endoforge: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == EXIT_INTERRUPTED:
            print(_INTERRUPTED, file=sys.stderr)
        raise
    sys.exit(0)
