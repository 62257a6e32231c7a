// desk.pov - a wooden table and a wall, as scripts/scenes draws them: the picture of examples/desk.jpg.
// Scene 22 of seed 221206909 without its mug. SPDX-License-Identifier: Apache-2.0
#version 3.7;
global_settings { assumed_gamma 1 max_trace_level 8 }
camera { location <0.193, 2.549, -3.864> look_at <0, 0.52, 0.15> right x up y angle 44 }
box { <-4.4, -0.18, -2.1>, <4.4, 0, 2.6> texture { pigment { wood turbulence 0.06 color_map { [0 rgb <0.42, 0.25, 0.12> * 0.903] [0.7 rgb <0.27, 0.14, 0.06> * 0.903] [1 rgb <0.42, 0.25, 0.12> * 0.903] } scale 0.35 rotate <3, 88, 2> translate <0.370, 0.3, 0> } finish { diffuse 0.8 specular 0.2 roughness 0.03 reflection 0.04 } } }
plane { y, -2.4 pigment { rgb <0.16, 0.13, 0.11> } }
plane { -z, -4.6 texture { pigment { rgb <0.620, 0.660, 0.620> } finish { diffuse 0.8 } } }
light_source { <5.33, 9.24, -9.07> rgb <0.950, 0.812, 0.630> area_light <1.6, 0, 0>, <0, 1.6, 0>, 4, 4 adaptive 1 jitter circular orient }
light_source { <2, 7, -9> rgb 0.340 shadowless }
