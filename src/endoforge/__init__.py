# SPDX-License-Identifier: Apache-2.0
"""Labelled surgical video without a labeller.

Each function here does what the command of the same name does: ``endoforge.simulate("colon", …)``
is ``endoforge simulate colon …``. Nothing inside the package imports this file.
"""

from endoforge.verbs import check, evaluate, export, run, simulate, train, view

__version__ = "0.1.0"

__all__ = ["__version__", "check", "evaluate", "export", "run", "simulate", "train", "view"]
