// table.pov - an empty wooden table in a room with window light: the picture of examples/table.png.
// Units are metres; nothing but this file is used. SPDX-License-Identifier: Apache-2.0
#version 3.7;
global_settings {
  assumed_gamma 1
  radiosity { count 350 error_bound 0.28 recursion_limit 3 brightness 1.35 pretrace_end 0.005 nearest_count 12 }
}

camera { location <0.62, 1.50, -1.75> look_at <-0.22, 0.88, 0.75> right x up y angle 57 }

// ---- light: a low sun through the window on the left, and the sky outside
light_source {
  <-6.0, 4.3, -1.0> rgb <1.0, 0.86, 0.68> * 3.0
  area_light <0.2, 0, 0>, <0, 0.2, 0>, 9, 9 adaptive 2 circular orient
}
light_source { // the sky, as the window lets it in
  <-1.97, 1.6, 0.2> rgb <0.62, 0.76, 0.95> * 1.15
  area_light <0, 1.4, 0>, <0, 0, 1.8>, 7, 7 adaptive 2
  fade_distance 1.6 fade_power 2
}
sky_sphere { pigment { gradient y color_map { [0 rgb <0.80, 0.87, 0.95>] [1 rgb <0.36, 0.55, 0.85>] } } emission 1.15 }

// ---- surfaces
#declare Plaster = texture {
  pigment { bozo scale 0.9 color_map { [0 rgb <0.60, 0.63, 0.58>] [1 rgb <0.65, 0.67, 0.62>] } }
  normal { bumps 0.015 scale 0.012 }
  finish { diffuse 0.8 }
}
#declare White = texture { pigment { rgb 0.82 } finish { diffuse 0.8 specular 0.15 roughness 0.03 } }

// One board: rings of a log, stretched along x; Seed moves the cut through the log.
#macro Wood(Light, Dark, Seed)
  texture {
    pigment {
      wood turbulence 0.06 octaves 3 omega 0.4 lambda 3
      color_map { [0 rgb Light] [0.55 rgb Light * 0.86 + Dark * 0.1] [0.9 rgb Dark] [1 rgb Light] }
      scale <0.045, 0.045, 1> rotate <2.5, 3, 0> translate <0.11 * Seed, 0.37 * Seed, Seed>
      rotate y * 90
    }
    finish { diffuse 0.75 specular 0.18 roughness 0.02 reflection { 0.01, 0.14 fresnel } conserve_energy }
  }
#end

// ---- the room: floor, back wall, left wall with the window, right wall, ceiling; x -2..2, z -3.6..2.2, y 0..2.7
#declare Boards = union {
  #declare I = 0;
  #while (I < 34)
    box {
      <-3, -0.02, 0>, <3, 0, 0.166> translate z * (-3.6 + I * 0.17)
      Wood(<0.36, 0.22, 0.12>, <0.22, 0.12, 0.06>, I * 1.7)
      interior { ior 1.4 }
    }
    #declare I = I + 1;
  #end
}
object { Boards }
box { <-3, -0.2, -4>, <3, -0.022, 3> pigment { rgb 0.03 } }
box { <-2.2, 0, 2.2>, <2.2, 2.7, 2.4> texture { Plaster } }
box { <2.0, 0, -3.8>, <2.2, 2.7, 2.4> texture { Plaster } }
box { <-2.2, 0, -3.8>, <2.2, 2.7, -3.6> texture { Plaster } }
box { <-2.2, 2.7, -3.8>, <2.2, 2.9, 2.4> texture { White } }
difference {
  box { <-2.2, 0, -3.8>, <-2.0, 2.7, 2.4> }
  box { <-2.3, 0.85, -0.75>, <-1.9, 2.35, 1.15> }
  texture { Plaster }
}
box { <-2.0, 0, 2.18>, <2.0, 0.11, 2.2> texture { White } }

// window frame, bars and sill
#macro Bar(A, B) box { A, B texture { White } } #end
Bar(<-2.14, 0.85, -0.75>, <-2.08, 0.91, 1.15>)
Bar(<-2.14, 2.29, -0.75>, <-2.08, 2.35, 1.15>)
Bar(<-2.14, 0.85, -0.75>, <-2.08, 2.35, -0.69>)
Bar(<-2.14, 0.85, 1.09>, <-2.08, 2.35, 1.15>)
Bar(<-2.13, 0.85, 0.175>, <-2.09, 2.35, 0.225>)
Bar(<-2.13, 1.62, -0.75>, <-2.09, 1.66, 1.15>)
Bar(<-2.2, 0.81, -0.82>, <-1.86, 0.85, 1.22>)

// a picture on the back wall
union {
  box { <-0.02, -0.02, -0.03>, <0.68, 0.90, 0> Wood(<0.20, 0.12, 0.07>, <0.10, 0.06, 0.03>, 5) interior { ior 1.4 } }
  box { <0.03, 0.03, -0.034>, <0.63, 0.85, -0.01> pigment { rgb 0.86 } finish { diffuse 0.8 } }
  box {
    <0.11, 0.13, -0.036>, <0.55, 0.75, -0.01>
    pigment {
      gradient y turbulence 0.12 octaves 4 scale 0.75
      color_map {
        [0 rgb <0.10, 0.20, 0.22>] [0.35 rgb <0.16, 0.34, 0.36>] [0.42 rgb <0.55, 0.42, 0.26>]
        [0.55 rgb <0.78, 0.55, 0.33>] [0.85 rgb <0.55, 0.62, 0.66>] [1 rgb <0.35, 0.48, 0.60>]
      }
    }
    finish { diffuse 0.8 }
  }
  translate <0.40, 1.24, 2.2>
}

// ---- the table: five boards, an apron, four legs
union {
  #declare I = 0;
  #while (I < 5)
    superellipsoid {
      <0.04, 0.04> scale <0.80, 0.02, 0.0895> translate <0, 0.76, 0.16 + I * 0.18>
      Wood(<0.58, 0.36, 0.19>, <0.40, 0.22, 0.10>, 3.1 + I * 2.3)
      interior { ior 1.45 }
    }
    #declare I = I + 1;
  #end
  #macro Leg(X, Z)
    box { <X - 0.035, 0, Z - 0.035>, <X + 0.035, 0.74, Z + 0.035>
      Wood(<0.50, 0.30, 0.15>, <0.34, 0.18, 0.08>, X + Z * 3) interior { ior 1.45 } }
  #end
  Leg(-0.71, 0.16) Leg(0.71, 0.16) Leg(-0.71, 0.88) Leg(0.71, 0.88)
  box { <-0.68, 0.65, 0.13>, <0.68, 0.74, 0.155> Wood(<0.50, 0.30, 0.15>, <0.34, 0.18, 0.08>, 9) interior { ior 1.45 } }
  box { <-0.68, 0.65, 0.885>, <0.68, 0.74, 0.91> Wood(<0.50, 0.30, 0.15>, <0.34, 0.18, 0.08>, 8) interior { ior 1.45 } }
}
