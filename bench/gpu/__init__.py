"""Measure on one NVIDIA GPU, in stages; also where there is no network, with wheels carried there in pieces.

`pack` fetches and cuts where there is a network, `measure` puts together, installs and measures where there is a GPU.
Both run on a bare Python, so they import the standard library only. docs/gpu.md says how to use them.
"""
