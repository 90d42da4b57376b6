# SPDX-License-Identifier: Apache-2.0
"""A program that one of several processes runs: a toy with a judge, trained together on a CPU."""

import sys
from pathlib import Path

from endoforge.training.trainer import Training, make_fabric, train
from training.toys import Regression, line_batch, toy_settings


def main(folder: str, steps: str) -> None:
    settings = toy_settings(steps=int(steps), devices=2, schedule="constant", validate_every=1000)
    fabric = make_fabric(settings)
    task = Regression(norm=False)
    train(Training(task, line_batch, settings, Path(folder)), fabric)


if __name__ == "__main__":
    main(*sys.argv[1:])
