# SPDX-License-Identifier: Apache-2.0
"""The whole error family.

::

    EndoforgeError
    ├── SettingsError      (ValueError)    a setting is unknown, out of range or contradicts another
    ├── CameraError        (ValueError)    a camera model that cannot exist
    ├── ShapeError         (ValueError)    two arrays that must line up do not
    ├── SceneError         (ValueError)    anatomy that cannot be used: empty, torn, touching itself
    ├── DataError          (ValueError)    a file is damaged, missing, foreign or cannot be written
    │   └── StorageError   (OSError too)   the disk is full or the folder cannot be written
    ├── CheckpointError    (ValueError)    a checkpoint or model file is damaged or of another kind
    ├── TrainingDiverged   (RuntimeError)  the loss stopped being a number
    └── MissingDependency  (ImportError)   an optional part is not installed; says what to install

A message says what was expected, what came, and what to do. The command line turns each class
into one line and an exit code (`exit_code`).
"""


class EndoforgeError(Exception):
    """Root of every error that Endoforge raises on purpose."""

    exit_code = 1


class SettingsError(EndoforgeError, ValueError):
    """A setting is unknown, out of range or contradicts another."""

    exit_code = 2


class CameraError(EndoforgeError, ValueError):
    """A camera model that cannot exist."""

    exit_code = 3


class ShapeError(EndoforgeError, ValueError):
    """Two arrays that must line up do not."""

    exit_code = 3


class SceneError(EndoforgeError, ValueError):
    """Anatomy that cannot be used: empty, torn or touching itself."""

    exit_code = 3


class DataError(EndoforgeError, ValueError):
    """A file is damaged, missing or not what it claims to be."""

    exit_code = 3


class StorageError(DataError, OSError):
    """The disk is full or the folder cannot be written; run again once that is mended."""

    exit_code = 4


class CheckpointError(EndoforgeError, ValueError):
    """A checkpoint or model file is damaged, of another kind or from a newer version."""

    exit_code = 3


class TrainingDiverged(EndoforgeError, RuntimeError):
    """The loss stopped being a finite number too often to go on."""


class MissingDependency(EndoforgeError, ImportError):
    """An optional part is not installed; the message holds the command that installs it."""
