"""Tasks of models: pure functions from a clean image to (input, target), and how its output is scored.

A task is a frozen dataclass; its fields are its settings. A new one is a subclass of `Task` in any file.
"""

from ae.tasks.colorize import Colorize, ColorizePhotograph
from ae.tasks.denoise import Denoise, DenoiseByCrossEntropy, DenoiseByPSNR, DenoisePhotograph, Denoising
from ae.tasks.task import Task

__all__ = [
    "Colorize",
    "ColorizePhotograph",
    "Denoise",
    "DenoiseByCrossEntropy",
    "DenoiseByPSNR",
    "DenoisePhotograph",
    "Denoising",
    "Task",
]
