from types import SimpleNamespace

import jax
import pytest

from ae.models import PixelMLP, UNet
from ae.runtime.peak import matrix_product_flops, peak_flops
from ae.score.flops import multiply_adds, training_flops


@pytest.mark.parametrize(
    ("kind", "dtype", "precision", "teraflops"),
    [
        ("NVIDIA H100 80GB HBM3", "bfloat16", "default", 989.4),
        ("NVIDIA H100 80GB HBM3", "float32", "default", 494.7),
        ("NVIDIA H100 80GB HBM3", "float32", "float32", 67),
        ("NVIDIA H100 PCIe", "bfloat16", "default", 756),
        ("NVIDIA A100-SXM4-40GB", "float16", "default", 312),
        ("Tesla V100-SXM2-16GB", "float32", "default", 15.7),
        ("Tesla V100-PCIE-16GB", "float16", "default", 112),
        ("Tesla T4", "bfloat16", "default", None),
        ("NVIDIA L4", "float32", "float32", 30.3),
        ("NVIDIA L40S", "bfloat16", "default", 362),
        ("NVIDIA GeForce RTX 4090", "bfloat16", "default", 165.2),
        ("NVIDIA GeForce RTX 4050 Laptop", "bfloat16", "default", None),
        ("NVIDIA A1000", "float32", "default", None),
    ],
)
def test_a_gpus_peak_is_its_makers(monkeypatch, kind, dtype, precision, teraflops):
    gpu = SimpleNamespace(platform="gpu", device_kind=kind)
    monkeypatch.setattr(jax, "devices", lambda: [gpu, gpu])
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    expected = teraflops and pytest.approx(2 * teraflops * 1e12)
    assert peak_flops(dtype, precision) == expected


def test_a_cpus_peak_is_measured_once():
    assert 1e8 < matrix_product_flops() == peak_flops("float32", "default") < 1e14


def test_a_training_step_has_three_times_the_products_of_its_outputs():
    model = UNet((2, 4))
    assert training_flops(model, (8, 8, 1), 5) == 3 * 2 * 5 * multiply_adds(model, (8, 8, 1))
    plain = PixelMLP((4,), (False,))
    assert training_flops(plain, (28, 28, 1), 256) == 6 * 256 * 784 * (4 + 4)
    assert training_flops(plain.clone(pixel_levels=64), (28, 28, 1), 256) == pytest.approx(6 * 64 * (4 + 4))
