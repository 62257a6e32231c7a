// bay.pov - a still bay between hills in the late afternoon: the picture of examples/bay.jpg.
// Units are metres; nothing but this file is used. SPDX-License-Identifier: Apache-2.0
#version 3.7;
global_settings { assumed_gamma 1 max_trace_level 6 }

camera { location <0, 7, -40> look_at <0, 8.2, 60> right x * image_width / image_height up y angle 56 }

// ---- light: a sun behind the left shoulder, sky, clouds, haze
#declare Sun = vnormalize(<-0.75, 0.42, -0.45>);
light_source { Sun * 20000 rgb <1.0, 0.84, 0.64> * 1.9 parallel point_at 0 }
light_source { <2000, 9000, -3000> rgb <0.55, 0.70, 1.0> * 0.42 shadowless }
sky_sphere {
  pigment {
    gradient y
    color_map {
      [0.00 rgb <0.93, 0.83, 0.70>] [0.10 rgb <0.72, 0.79, 0.85>] [0.35 rgb <0.33, 0.52, 0.78>] [1 rgb <0.14, 0.30, 0.62>]
    }
  }
}
// thin clouds on a plane, seen from below
plane {
  y, 900
  texture {
    pigment {
      bozo turbulence 0.9 octaves 7 omega 0.55 lambda 2.2
      color_map {
        [0.00 rgb <1.0, 0.96, 0.90> transmit 0.15] [0.30 rgb <1.0, 0.95, 0.88> transmit 0.45]
        [0.52 rgb 1 transmit 1] [1 rgb 1 transmit 1]
      }
      scale <1900, 1, 800> translate <700, 0, 350>
    }
    finish { emission 0.92 diffuse 0 }
  }
  no_shadow
}
fog { fog_type 2 distance 2600 fog_offset 150 fog_alt 250 color rgb <0.70, 0.77, 0.84> }

// ---- land
#declare Grass = pigment {
  bozo turbulence 0.5 octaves 6 scale 0.03
  color_map { [0 rgb <0.16, 0.22, 0.07>] [0.5 rgb <0.26, 0.30, 0.10>] [0.8 rgb <0.38, 0.36, 0.15>] [1 rgb <0.20, 0.25, 0.09>] }
}
#declare Rock = pigment {
  granite turbulence 0.2 scale 0.08
  color_map { [0 rgb <0.33, 0.30, 0.27>] [1 rgb <0.50, 0.46, 0.41>] }
}
#declare Ground = texture {
  pigment {
    slope y turbulence 0.05
    pigment_map { [0.72 Rock] [0.84 Grass] [1 Grass] }
  }
  normal { granite 0.25 scale 0.02 }
  finish { diffuse 0.85 }
}

// A height field of N x N from a function of x and z in 0..1; heights 0..1.
#macro Hills(F, N)
  height_field { function N, N { F(x, 1 - y, 0) } smooth water_level 0.001 translate <-0.5, 0, 0> texture { Ground } }
#end
#declare Noise = function { pigment { bumps scale 0.14 turbulence 0.35 octaves 6 omega 0.5 color_map { [0 rgb 0] [1 rgb 1] } } }
#declare Ridge = function { pigment { wrinkles scale 0.22 turbulence 0.25 octaves 6 color_map { [0 rgb 0] [1 rgb 1] } } }

// far mountains, then the two headlands that make the bay; the middle is left to the water
#declare Rise = function(h) { min(0.99, select(h, 0, 0, pow(h, 0.8))) }
#declare Far = function(x, y, z) { (0.5 * Ridge(x * 2.3 + 3, y * 1.2, 1).red + 0.42 * Noise(x * 1.3, y, 5).red) * min(1, 0.04 + y * 3) }
#declare Left = function(x, y, z) { Rise((0.45 * Noise(x, y, 2).red + 0.55 * Ridge(x, y, 2).red) * (1.35 - 2.2 * x) - 0.10 - pow(1 - y, 8)) }
#declare Right = function(x, y, z) { Rise((0.45 * Noise(x, y, 9).red + 0.55 * Ridge(x, y, 7).red) * (2.1 * x - 0.85) - 0.10 - pow(1 - y, 8)) }
object { Hills(Far, 800) scale <5600, 560, 1700> translate <0, -2, 2300> }
object { Hills(Left, 800) scale <900, 190, 700> translate <-300, -2, 300> }
object { Hills(Right, 800) scale <1000, 200, 900> translate <380, -2, 520> }

// the meadow the picture is taken from
#declare Meadow = function(x, y, z) { 0.62 + 0.22 * Noise(x * 0.6, y * 0.6, 3).red - 0.55 * pow(y, 1.6) + 0.10 * (x - 0.5) * (x - 0.5) }
height_field {
  function 600, 600 { Meadow(x, 1 - y, 0) } smooth translate <-0.5, -0.55, 0> scale <110, 12, 75> translate <0, 0.2, -45>
  texture {
    pigment {
      bozo turbulence 1.1 octaves 7 omega 0.62 scale <0.22, 0.1, 0.12>
      color_map { [0 rgb <0.13, 0.20, 0.05>] [0.45 rgb <0.22, 0.29, 0.08>] [0.7 rgb <0.36, 0.37, 0.13>] [1 rgb <0.48, 0.42, 0.19>] }
    }
    normal { granite 0.25 scale <0.02, 0.02, 0.006> }
    finish { diffuse 0.9 }
  }
}

// ---- water
plane {
  y, 0
  texture {
    pigment { rgb <0.015, 0.045, 0.055> }
    normal { average normal_map {
      [1 bumps 0.10 scale <9, 1, 3>] [1 bumps 0.07 scale <2.2, 1, 0.8> rotate y * 17] [0.6 bumps 0.05 scale <40, 1, 9>]
    } }
    finish { diffuse 0.5 reflection { 0.03, 0.95 fresnel } specular 0.25 roughness 0.004 conserve_energy }
  }
  interior { ior 1.33 }
}
