# SPDX-License-Identifier: Apache-2.0
"""Traces one triangle with a variant of Mitsuba; run in a process of its own, which may abort."""

import sys

from endoforge.render.libraries import prepare_libraries


def trace_one_triangle(variant: str) -> str:
    """Hit a triangle at z = 2 from the origin and return the variant's name.

    Raises:
        RuntimeError: The ray did not hit where it must.
    """
    import mitsuba as mi

    mi.set_variant(variant)
    mesh = mi.Mesh("triangle", 3, 1)
    values = mi.traverse(mesh)
    values["vertex_positions"] = mi.Float([-1, -1, 2, 3, -1, 2, -1, 3, 2])
    values["faces"] = mi.UInt32([0, 1, 2])
    values.update()
    scene = mi.load_dict({"type": "scene", "triangle": mesh})
    ray = mi.Ray3f(mi.Point3f(0, 0, 0), mi.Vector3f(0, 0, 1))
    distance = float(scene.ray_intersect_preliminary(ray).t[0])
    if abs(distance - 2) > 1e-5:
        raise RuntimeError(f"the triangle is 2 away, the {variant} renderer says {distance}")
    return f"{variant} works"


if __name__ == "__main__":
    prepare_libraries()
    sys.stdout.write(trace_one_triangle(sys.argv[1]) + "\n")
