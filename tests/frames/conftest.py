# SPDX-License-Identifier: Apache-2.0
"""Property tests of this room have no time limit per example: a busy machine is no fault."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
