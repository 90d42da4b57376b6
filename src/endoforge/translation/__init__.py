# SPDX-License-Identifier: Apache-2.0
"""Another look for the same scene: pictures translated between simulated and real."""
