# SPDX-License-Identifier: Apache-2.0
"""Run ``endoforge --help`` and fail if it loaded a heavy library on the way."""

import contextlib
import io
import sys
import time

HEAVY = ("torch", "mitsuba", "drjit", "cv2", "scipy", "skimage", "matplotlib", "trimesh", "nibabel")


def main() -> None:
    """Exit with 1 and a sentence if ``--help`` fails or loads a heavy library."""
    start = time.perf_counter()
    sys.argv = ["endoforge", "--help"]
    printed = io.StringIO()
    from endoforge.cli import main as endoforge

    code: object = 0
    with contextlib.redirect_stdout(printed):
        try:
            endoforge()
        except SystemExit as stop:
            code = stop.code
    if code not in (0, None) or "simulate" not in printed.getvalue():
        sys.exit(f"endoforge --help failed with {code!r} and printed {printed.getvalue()!r}")
    if loaded := [name for name in HEAVY if name in sys.modules]:
        sys.exit(f"endoforge --help loads {', '.join(loaded)}; import them inside the command")
    sys.stdout.write(f"endoforge --help: light, {time.perf_counter() - start:.2f} s\n")


if __name__ == "__main__":
    main()
