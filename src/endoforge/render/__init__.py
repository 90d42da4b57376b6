# SPDX-License-Identifier: Apache-2.0
"""From a scene, a camera and a view to a labelled frame."""
