# SPDX-License-Identifier: Apache-2.0
"""Pictures, folders of pictures and videos that others made: strict readers, one MP4 writer."""
