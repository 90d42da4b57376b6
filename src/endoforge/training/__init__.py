# SPDX-License-Identifier: Apache-2.0
"""The Task protocol, the trainer, checkpoints and the record of a run."""
