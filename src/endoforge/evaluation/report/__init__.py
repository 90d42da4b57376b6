# SPDX-License-Identifier: Apache-2.0
"""One static page about a data set or a run; it opens from disk and loads nothing."""
