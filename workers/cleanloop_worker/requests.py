"""The requests: one class each, whose fields are the keys.

cleanloop has the same requests in Rust (src/programs/casa/requests). All keys must be there, null where there is
nothing to say; both sides are compared when the worker starts.
"""

from dataclasses import dataclass
from typing import Any

Parameters = dict[str, Any]  # of a task of CASA, which checks them itself


@dataclass(frozen=True)
class Operations:
    """The operations with their keys and types."""


@dataclass(frozen=True)
class Versions:
    """Versions of CASA, numpy and Python."""


@dataclass(frozen=True)
class Simulate:
    """Makes OUTPUT/NAME.ms of a preset; numbers that are null come from the preset."""

    output: str
    name: str
    preset: str
    seed: int
    phase_rms_deg: float | None
    amplitude_rms: float | None
    gain_time_s: float | None
    delay_rms_ns: float | None
    hand_phase_deg: float | None
    window_phase_deg: float | None
    random_phases: bool
    gain_errors: bool
    sources: int | None
    field_arcsec: float | None
    pointing_arcsec: list[float] | None
    bright_jy: float | None
    noise_jy: float | None
    duration_s: float | None
    integration_s: float | None
    config: str | None
    antennas: int | None
    channels: int | None
    windows: int | None
    night: int | None
    hour_angle_h: float | None
    flagged_fraction: float | None
    stokes: str | None
    directions: int | None
    direction_phase_rms_deg: float | None
    direction_amplitude_rms: float | None
    direction_gain_time_s: float | None


@dataclass(frozen=True)
class FillModel:
    """Puts the true sky (a file that Simulate wrote) into MODEL_DATA."""

    ms: str
    sky: str


@dataclass(frozen=True)
class FourCorrelations:
    """Copies a measurement set as one of four correlations and one spectral window, a column of it as DATA."""

    ms: str
    column: str
    output: str


@dataclass(frozen=True)
class Summary:
    """What is in a measurement set."""

    ms: str


@dataclass(frozen=True)
class Inspect:
    """What is in a measurement set; without `values` the visibilities are taken to be finite."""

    ms: str
    column: str | None
    values: bool


@dataclass(frozen=True)
class ReadPointing:
    """Where a measurement set points."""

    ms: str


@dataclass(frozen=True)
class FlagNotFinite:
    """Flags unflagged visibilities that, or whose weights, are no numbers."""

    ms: str
    column: str


@dataclass(frozen=True)
class ModelIsEmpty:
    """Whether MODEL_DATA is zero everywhere."""

    ms: str


@dataclass(frozen=True)
class ShortBaselineFlux:
    """Flux that the shortest baselines see in DATA, Jy."""

    ms: str


@dataclass(frozen=True)
class MeasureNoise:
    """The theoretical noise of an image."""

    ms: str
    column: str
    field: int | None


@dataclass(frozen=True)
class Checksum:
    """SHA-256 of a column."""

    ms: str
    column: str


@dataclass(frozen=True)
class CopyColumn:
    """Copies a column of visibilities."""

    ms: str
    source: str
    target: str


@dataclass(frozen=True)
class AdoptCorrected:
    """Makes CORRECTED_DATA the DATA of a working copy."""

    ms: str


@dataclass(frozen=True)
class Split:
    """Copies a part of a measurement set, averaged; the column becomes DATA."""

    ms: str
    output: str
    column: str
    fields: list[int]
    spw: str
    time_s: float | None
    channels: int


@dataclass(frozen=True)
class Smearing:
    """Part of a point source's flux that averaging takes away at a distance from the phase centre."""

    ms: str
    field: int | None
    radius_rad: float
    frequency_hz: float
    bandwidth_hz: float
    time_s: float


@dataclass(frozen=True)
class ShiftPhaseCentre:
    """A working copy gets the phase centre of another measurement set."""

    ms: str
    like: str


@dataclass(frozen=True)
class SaveColumn:
    """Keeps a column of visibilities in files."""

    ms: str
    column: str
    folder: str


@dataclass(frozen=True)
class LoadColumn:
    """Puts back what SaveColumn kept."""

    ms: str
    column: str
    folder: str


@dataclass(frozen=True)
class WindowChannels:
    """Channels of a spectral window."""

    window: int
    channels: list[int]


@dataclass(frozen=True)
class ChannelAmplitudes:
    """Median amplitude of each channel; with line-free channels, of what a fit to these leaves."""

    ms: str
    column: str
    field: int | None
    line_free: list[WindowChannels]
    fitorder: int


@dataclass(frozen=True)
class Uvcontsub:
    """A copy without continuum; parameters under uvcontsub's own names."""

    ms: str
    column: str
    field: int | None
    output: str
    parameters: Parameters


@dataclass(frozen=True)
class SubtractModel:
    """CORRECTED_DATA of a copy becomes the source without MODEL_DATA."""

    ms: str
    source: str


@dataclass(frozen=True)
class GainTable:
    """A table of solutions; without channels it is for the whole band."""

    path: str
    channels: list[int] | None
    spectral_window: int | None


@dataclass(frozen=True)
class AppliedTable:
    """A table of solutions with the way in which it is applied."""

    path: str
    channels: list[int] | None
    spectral_window: int | None
    interp: str
    calwt: bool


@dataclass(frozen=True)
class GaincalParameters:
    """Parameters of gaincal under its own names; null: gaincal's default."""

    solint: str
    calmode: str
    minsnr: float
    gaintype: str
    solnorm: bool
    normtype: str
    refantmode: str
    minblperant: int
    combine: str
    solmode: str
    selectdata: bool
    spw: str
    field: str
    uvrange: str | None
    antenna: str | None
    timerange: str | None
    scan: str | None


@dataclass(frozen=True)
class Gaincal:
    """Solves for gains in `nspw` equal channel ranges, with tables applied before; refant null: the antenna with most
    data near the centre. With the norm `flux`, `flux_of` are the last tables of one of several sets
    that are imaged together; null: it is alone."""

    ms: str
    folder: str
    name: str
    refant: str | None
    nspw: int
    applied: list[AppliedTable]
    flux_of: list[str] | None
    parameters: GaincalParameters


@dataclass(frozen=True)
class Applycal:
    """Applies tables from DATA to CORRECTED_DATA."""

    ms: str
    tables: list[AppliedTable]
    applymode: str


@dataclass(frozen=True)
class ApplyOnto:
    """Applies tables of a copy to the data that it was made from: rows of the field; `windows` holds number, first and
    last channel of each window of the copy (none: all), `bin` the channels that were averaged."""

    ms: str
    field: int | None
    windows: list[list[int]]
    bin: int
    tables: list[AppliedTable]
    applymode: str


@dataclass(frozen=True)
class SpectralWindowMaps:
    """The spwmap of each table."""

    tables: list[GainTable]


@dataclass(frozen=True)
class TableStatistics:
    """Statistics of CASA's tables."""

    tables: list[GainTable]


@dataclass(frozen=True)
class IdentityGains:
    """Makes the tables leave the data of these antennas as they are."""

    tables: list[GainTable]
    antennas: list[str]


@dataclass(frozen=True)
class GainTerm:
    """The gains of one solve: its terms, the least S/N, and how amplitudes are normalised."""

    names: list[str]
    minsnr: float
    normalise: str | None


@dataclass(frozen=True)
class GainStatistics:
    """Statistics of another calibrator's gains (.npz); flags and scales go to the file `edits`."""

    ms: str
    gains: str
    edits: str
    terms: list[GainTerm]


@dataclass(frozen=True)
class TcleanOpen:
    """Opens tclean's tools in a folder."""

    folder: str
    parameters: Parameters
    fixed_mask: bool
    mask: str | None


@dataclass(frozen=True)
class TcleanClose:
    """Closes the tools of a folder."""

    folder: str


@dataclass(frozen=True)
class TcleanGrid:
    """Works out the frequencies of a cube's channels, in an empty folder."""

    folder: str
    parameters: Parameters


@dataclass(frozen=True)
class TcleanPsf:
    """Makes the PSF."""

    folder: str


@dataclass(frozen=True)
class TcleanPb:
    """Makes the primary beam."""

    folder: str


@dataclass(frozen=True)
class TcleanMajor:
    """Makes the residual of the present model."""

    folder: str


@dataclass(frozen=True)
class ChannelLimit:
    """Limit of one channel of a cube; one that is not active is left alone."""

    active: bool
    threshold_jy: float | None


@dataclass(frozen=True)
class TcleanMinor:
    """One minor cycle inside a mask; threshold null: that of the parameters."""

    folder: str
    mask: str | None
    threshold_jy: float | None
    iterations_left: int
    channels: list[ChannelLimit] | None


@dataclass(frozen=True)
class TcleanRestore:
    """Restores the images; also writes the model to the data."""

    folder: str
    update_model: bool


@dataclass(frozen=True)
class TcleanReplaceModel:
    """Takes the planes of a FITS cube as the model."""

    folder: str
    model: str


@dataclass(frozen=True)
class TcleanRollBack:
    """Goes back to the model after a cycle."""

    folder: str
    cycle: int


@dataclass(frozen=True)
class ChannelCycle:
    """A channel and the cycle whose model it takes."""

    channel: int
    cycle: int


@dataclass(frozen=True)
class TcleanRevertChannels:
    """Channels of a cube take the models of earlier cycles."""

    folder: str
    back: list[ChannelCycle]


@dataclass(frozen=True)
class TcleanPredict:
    """Puts the model of an earlier imaging into MODEL_DATA."""

    parameters: Parameters
    model: str


@dataclass(frozen=True)
class Tclean:
    """One plain call of the task, with CASA's own masks."""

    parameters: Parameters


@dataclass(frozen=True)
class ExportImage:
    """Writes a CASA image as FITS."""

    image: str
    path: str


@dataclass(frozen=True)
class DeconvolutionPrepare:
    """Brings images into a folder; `terms`: Taylor terms, 0 for other deconvolvers than mtmfs."""

    folder: str
    residual: list[str]
    psf: list[str]
    model: list[str]
    pb: str | None
    terms: int


@dataclass(frozen=True)
class DeconvolutionRun:
    """One minor cycle on images that were prepared."""

    folder: str
    parameters: Parameters
    mask: str | None
    one_cycle: bool
    terms: int
    outputs: str
    casa_images: bool
