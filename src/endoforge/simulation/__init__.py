# SPDX-License-Identifier: Apache-2.0
"""From settings to scenes, frames and shards, on several workers, and resumable."""
