"""The fields that are simulated."""

from typing import Any

VLA: dict[str, Any] = {
    "config": "vla.b.cfg",
    "telescope": "VLA",
    "frequency_hz": 1.4e9,
    "channel_width_hz": 8e6,
    "channels": 4,
    "stokes": "RR LL",
    "direction": ("12h00m00.0", "+40d00m00.0"),
    "integration_s": 30.0,
    "duration_s": 7200.0,
    "noise_jy": 0.15,
    "phase_rms_deg": 40.0,
    "amplitude_rms": 0.10,
    "sources": 20,
    "flux_scale": 0.02,
    "flux_limit": 1.5,
    "field_arcsec": 700.0,
    "bright_jy": 2.0,
    "gaussians": [(0.8, 60.0, 35.0, 30.0, -210.0, 190.0)],
}
# Gaussians are (flux Jy, major arcsec, minor arcsec, position angle deg, east arcsec, north arcsec).
PRESETS: dict[str, dict[str, Any]] = {
    "demo": {},
    "pointlike": {"gaussians": []},
    "crowded": {"sources": 60, "flux_scale": 0.015},
    "extended": {
        "sources": 10,
        "bright_jy": 1.0,
        "gaussians": [
            (0.8, 60.0, 35.0, 30.0, -210.0, 190.0),
            (1.5, 110.0, 70.0, -50.0, 180.0, 230.0),
            (0.6, 80.0, 25.0, 80.0, 300.0, -280.0),
            (0.4, 45.0, 45.0, 0.0, -330.0, -260.0),
            (1.0, 90.0, 60.0, 10.0, -60.0, -390.0),
        ],
    },
    "low-snr": {
        "sources": 8,
        "flux_scale": 0.01,
        "flux_limit": 0.06,
        "bright_jy": 0.25,
        "phase_rms_deg": 30.0,
        "gaussians": [(0.08, 40.0, 25.0, 30.0, -210.0, 190.0)],
    },
    "amplitude": {"amplitude_rms": 0.25},
    "bright": {"bright_jy": 15.0},
    "line-cube": {
        "config": "alma.cycle7.3.cfg",
        "telescope": "ALMA",
        "frequency_hz": 100e9,
        "channel_width_hz": 2e6,
        "channels": 10,
        "stokes": "XX YY",
        "direction": ("12h00m00.0", "-23d00m00.0"),
        "integration_s": 60.0,
        "duration_s": 3600.0,
        "noise_jy": 0.05,
        "phase_rms_deg": 0.0,
        "amplitude_rms": 0.0,
        "sources": 0,
        "bright_jy": 0.0,
        "gaussians": [],
        "line": True,
    },
}
