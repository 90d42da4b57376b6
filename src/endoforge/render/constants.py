# SPDX-License-Identifier: Apache-2.0
"""The few constants that the kernel and its NumPy twin share."""

#: Shadow rays start this far above the wall: light enters tissue and leaves it a little further on.
SHADOW_START_MM = 0.3
#: Visibility rays towards another camera start this far above the wall.
SIGHT_START_MM = 0.02
#: Once-reflected light falls off as 1 / (d² + this²): close to a wall, its own light is missing.
CAVITY_MM = 14.0
#: What redness patches take away, per colour channel.
PATCH_COLOUR = (0.25, 1.0, 0.9)
#: Share of the relief that the diffuse light under the film can feel.
DIFFUSE_RELIEF = 0.35
#: Sides of the triplanar pattern that weigh less than this are left out.
FAINTEST_SIDE = 0.03
#: Shifts that keep the three sides from showing the same part of the pattern, in periods.
SIDE_SHIFT = (0.0, 0.37, 0.71)
#: Cosines towards the camera below this no longer coarsen the pattern's level.
STEEPEST = 0.15
#: Bits of a pixel's flags: a surface was met; it is hidden in the next frame, in the previous
#: one, from the right eye; the film outshines the tissue; the tissue may move by itself.
FOUND, HIDDEN_NEXT, HIDDEN_PREVIOUS, HIDDEN_RIGHT, SPECULAR, MOVES = 1, 2, 4, 8, 16, 32

#: A layer of blood and of bile: linear RGB albedo, roughness of its surface, share of light that
#: it reflects when hit squarely (refractive indices 1.35 and 1.34), and share of the relief that
#: it fills. Colours: own choice after laparoscopic pictures.
BLOOD_COLOUR, BILE_COLOUR = (0.30, 0.012, 0.010), (0.40, 0.27, 0.025)
LAYER_ROUGHNESS, LAYER_F0, LAYER_FILLS = 0.035, 0.0225, 0.7
#: How much the blotches of the pattern fray the border of a layer.
LAYER_FRAY = 0.9
#: Brightness of linear red, green and blue (ITU-R BT.709).
BRIGHTNESS = (0.2126, 0.7152, 0.0722)
