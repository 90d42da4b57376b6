# SPDX-License-Identifier: Apache-2.0
"""Engine set-up, the fast surface renderer, and the slow NumPy twin it is tested against."""
