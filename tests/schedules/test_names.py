from __future__ import annotations

from edgewright.schedules import names
from edgewright.schedules.workload import Activation, Conv2dWorkload, Epilogue


def test_kernel_names_follow_the_grammar() -> None:
    name = names.kernel_name("conv2d_direct", "oc2ow14", "avx512", "n1c64h56w56", "", "b_relu")
    assert name == "f32_conv2d_direct_oc2ow14__avx512_n1c64h56w56_b_relu"


def test_numbers_become_letters_and_digits() -> None:
    stems = [names.number_stem(value) for value in (6.0, -0.1, 1e-10, 1e20, float("inf"))]
    assert stems == ["6", "m0p1", "1em10", "1e20", "inf"]


def test_shapes_say_what_differs_from_the_usual() -> None:
    usual = Conv2dWorkload(1, 64, 56, 56, 64, 3, 3, 1, 1, 1, 1, 1, 1)
    assert names.conv2d_stem(usual) == "n1c64h56w56_o64k3x3s1p1"
    odd = Conv2dWorkload(2, 8, 9, 7, 8, 1, 3, 2, 1, 0, 1, 0, 2, 1, 2, 4)
    assert names.conv2d_stem(odd) == "n2c8h9w7_o8k1x3s2x1p0x1x0x2d1x2g4"


def test_epilogues_are_in_the_order_of_their_work() -> None:
    epilogue = Epilogue(bias=True, residual=True, activation=Activation("clip", 0.0, 6.0))
    assert names.epilogue_stem(epilogue) == "b_res_clip0to6"
    assert names.epilogue_stem(Epilogue()) == ""
